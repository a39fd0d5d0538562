"""Measures 2 and 3: a province's last-day peak with all four services, and when a payment is seen as PAID.

Poisson arrivals, latency from the moment a request was due. One API process and two, on the embedded broker; then
more than it can do; then one API process on Kafka. Everything runs on the same cores as the generator.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import httpx

from deploy.local.kafka import missing_tools
from deploy.local.layout import Broker
from tests.benchmarks.rig.accounts import Accounts
from tests.benchmarks.rig.campaign import CAMPAIGN, assess, open_campaign, person, write_payments
from tests.benchmarks.rig.load import Plan, Report, Target
from tests.benchmarks.rig.site import Child, Site, fire
from tests.benchmarks.rig.table import Measure, Table
from tests.benchmarks.rig.watching import Watch, delays, share

RATE = 3_000
SECONDS = 60.0
SHORT_SECONDS = 20.0
OVERLOAD = 3
OVERLOAD_SECONDS = 5.0
CONNECTIONS = 256
OVERLOAD_CONNECTIONS = 2_000
SAMPLE = 200
"""One payment in so many is looked for in the read models."""

DRAIN_SECONDS = 30.0
SETTLE_SECONDS = 300.0
WARM_SECONDS = 2.0
IN_REGISTRATION = "SELECT line_id FROM paid_line WHERE line_id = ANY($1::text[])"
IN_PROGRESS = f"""SELECT person_id FROM progress_obligation
WHERE campaign = '{CAMPAIGN}' AND insurance = 'medical' AND paid_fen > 0 AND person_id = ANY($1::text[])"""


class Rig:
    """The four services in roles, an open campaign, and people who have not paid yet."""

    def __init__(self, site: Site, broker: Broker) -> None:
        self.site = site
        self.broker = broker
        self.apis: list[Child] = []
        self.workers: list[Child] = []
        self.tokens: dict[str, str] = {}
        self._next_person = 0

    async def start(self, people: int) -> None:
        """Open, assess, and let every service read what was assessed and every database come to rest."""
        opening = await self.site.service("collection", name="opening", broker=self.broker)
        self.tokens = {name: await self.site.token(opening.port, name) for name in ("tax", "platform")}
        pack = await open_campaign(opening.port, self.tokens["tax"])
        await self.site.drop("opening")
        await assess(self.site, 0, people, pack)
        for service in ("registration", "subsidy", "notification"):
            self.workers.append(await self.site.service(service, broker=self.broker))
        self.workers.append(await self.site.service("collection", roles="worker", broker=self.broker))
        await self.add_api()
        await self.drained(SETTLE_SECONDS)
        await self.site.at_rest(people)

    async def add_api(self) -> None:
        """One more process that takes payments."""
        name = f"collection-api-{len(self.apis) + 1}"
        self.apis.append(await self.site.service("collection", roles="api", name=name, broker=self.broker))

    async def drained(self, seconds: float) -> float:
        """Seconds until nobody is behind. Raises TimeoutError."""
        started = time.perf_counter()
        headers = {"Authorization": f"Bearer {self.tokens['tax']}"}
        async with httpx.AsyncClient(headers=headers, timeout=30, trust_env=False) as client:
            while time.perf_counter() - started < seconds:
                lags = await asyncio.gather(
                    *(client.get(f"http://127.0.0.1:{each.port}/ops/lag") for each in self.workers)
                )
                if all(lag.raise_for_status().json()["drained"] for lag in lags):
                    return time.perf_counter() - started
                await asyncio.sleep(0.1)
        raise TimeoutError("the services do not come to rest")

    async def unaccounted(self) -> int:
        """``unaccounted_fen`` of the campaign, as the service reckons it."""
        headers = {"Authorization": f"Bearer {self.tokens['tax']}"}
        async with httpx.AsyncClient(headers=headers, timeout=60, trust_env=False) as client:
            address = f"http://127.0.0.1:{self.apis[0].port}/money/unaccounted"
            response = await client.get(address, params={"campaign": CAMPAIGN})
        return int(response.raise_for_status().json()["unaccounted_fen"])

    async def offer(
        self, rate: float, seconds: float, watched: bool, connections: int = CONNECTIONS
    ) -> tuple[Report, dict[str, float], Mapping[str, Watch]]:
        """Payments of people who have not paid yet."""
        first, count = self._next_person, int(rate * seconds * 1.03) + 100
        self._next_person += count
        mark = f"O{first}x"
        requests = write_payments(self.site.layout.data / "open.tsv", first, count, mark)
        numbers = range(first, first + count, SAMPLE)
        watches = {
            "registration": Watch(
                self.site.postgres.url("registration"), IN_REGISTRATION,
                [f"WECHAT-{mark}{number:09d}/1" for number in numbers],
            ),
            "progress": Watch(
                self.site.postgres.url("notification"), IN_PROGRESS, [person(number) for number in numbers]
            ),
        }  # fmt: skip
        target = Target(
            tuple(each.port for each in self.apis), "/payments",
            {"Authorization": f"Bearer {self.tokens['platform']}"},
        )  # fmt: skip
        pids = {child.name: child.pid for child in (*self.apis, *self.workers)}
        kafka = self.site.kafka.running() if self.site.kafka is not None else None
        if kafka is not None:
            pids["kafka"] = kafka.pid
        accounts = Accounts(pids, self.site.postmaster)
        looking = [asyncio.create_task(each.run()) for each in watches.values()] if watched else []
        before = accounts.read()
        plan = Plan(target, str(requests), seconds, connections, rate=rate, seed=first + 1, times=watched)
        report = await fire(plan)
        cpu = accounts.since(before, report.cpu_seconds)
        if watched:
            await asyncio.wait(looking, timeout=DRAIN_SECONDS / 3)
            for watch in watches.values():
                watch.stop.set()
            await asyncio.gather(*looking)
        return report, cpu, watches


async def measure(site: Site, table: Table, rate: int = RATE, seconds: float = SECONDS) -> None:
    """One process, two, too much; then Kafka where it can run."""
    short = min(seconds, SHORT_SECONDS)
    rig = Rig(site, Broker.EMBEDDED)
    offered = rate * (WARM_SECONDS * 2 + seconds + short + OVERLOAD * OVERLOAD_SECONDS) * 1.04 + 1000
    await rig.start(int(offered))
    await _peak(rig, table, f"one API process, embedded broker, {rate:,}/s for {seconds:g} s", rate, seconds)
    await _overload(rig, table, rate)
    await rig.add_api()
    await _peak(rig, table, f"two API processes, embedded broker, {rate:,}/s for {short:g} s", rate, short)
    await site.stop_services()
    missing = missing_tools()
    if missing is not None:
        table.note(f"Kafka was not measured: {missing}")
        return
    await site.fresh()
    await site.start_kafka()
    kafka = Rig(site, Broker.KAFKA)
    await kafka.start(int(rate * (WARM_SECONDS + short) * 1.04) + 1000)
    await _peak(kafka, table, f"one API process, Kafka, {rate:,}/s for {short:g} s", rate, short)


async def _peak(rig: Rig, table: Table, title: str, rate: float, seconds: float) -> None:
    await rig.offer(rate / 2, WARM_SECONDS, watched=False)
    report, cpu, watches = await rig.offer(rate, seconds, watched=True)
    waited = await rig.drained(DRAIN_SECONDS)
    found = Measure(f"open loop: {title}", "accepted/s")
    found.add("payments", report.rate, cpu, p50_ms=report.p50_ms, p99_ms=report.p99_ms, late=report.late)
    found.at_most("p99 ms", report.p99_ms, 100.0)
    found.at_most("not accepted", report.offered - report.accepted, 0)
    found.at_least("accepted/s ÷ offered/s", report.accepted / max(report.offered, 1), 1.0)
    for name, watch in watches.items():
        answered = _sampled(report, name)
        times, never = delays(answered, watch.seen)
        found.at_most(f"seen as PAID in {name}: p99 s", share(times, 0.99), 1.0)
        found.note(f"{name}: {len(times)} payments looked for, p50 {1000 * share(times, 0.5):.0f} ms")
        if never:
            found.fault(f"{never} of {len(answered)} accepted payments were not seen in {name}")
    found.at_most("drained after the end, s", waited, 2.0)
    found.at_most("unaccounted fen", await rig.unaccounted(), 0)
    if report.statuses.keys() - {"201"}:
        found.note(f"answers: {report.statuses}; {report.dropped} dropped")
    table.take(found)


def _sampled(report: Report, name: str) -> dict[str, float]:
    """Sampled payments that were accepted, as the read model names them, with the moment they were answered."""
    answered: dict[str, float] = {}
    for key, at in report.answered_at:
        mark, _, number = key.partition("x")
        if (int(number) - int(mark[1:])) % SAMPLE == 0:
            answered[person(int(number)) if name == "progress" else f"WECHAT-{key}/1"] = at
    return answered


async def _overload(rig: Rig, table: Table, rate: float) -> None:
    """More than it can do: what is not refused stays quick, what is refused is told when to come back."""
    report, cpu, _ = await rig.offer(
        rate * OVERLOAD, OVERLOAD_SECONDS, watched=False, connections=OVERLOAD_CONNECTIONS
    )
    waited = await rig.drained(SETTLE_SECONDS)
    found = Measure(f"open loop: {OVERLOAD * rate:,.0f}/s offered to one API process", "accepted/s")
    found.add("payments", report.rate, cpu, p50_ms=report.p50_ms, p99_ms=report.p99_ms, late=report.late)
    found.at_most("p99 ms of the accepted", report.p99_ms, 200.0)
    refused = report.statuses.get("503", 0)
    found.at_most("503 without Retry-After", refused - report.retry_after, 0)
    others = report.offered - report.accepted - refused
    found.at_most("neither accepted nor 503", others, 0)
    found.at_most("unaccounted fen", await rig.unaccounted(), 0)
    found.note(f"answers: {report.statuses}; {report.late:,} sent late; at rest {waited:.1f} s after the end")
    table.take(found)
