"""``rehearse``: payers from the target's roster, a profile at a rate, and the verdict by objectives and by money."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import ipaddress
import random
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from deploy.load.auditing import MoneyAudit, audit, target_unaccounted
from deploy.load.connections import Pool
from deploy.load.figures import curve, summary
from deploy.load.orders import Orders, Sent, mix_of
from deploy.load.payers import Payers, read_bills
from deploy.load.preparing import Population, business_day, prepare
from deploy.load.profiles import Beside, DayClose, Outage, Profile, extend_window, last_day, yesterdays
from deploy.load.running import OpenLoop, settle, unresolved
from deploy.load.watching import Watcher, drained
from deploy.rehearsal.clients import SERVICES, Services, secrets_of
from deploy.rehearsal.script import SCRIPTS, client_of
from shared.kernel.division import campaign_id
from shared.policy import Pack, load_packs

WORLD_OFFSET = 9
SETTLE_SECONDS = 60.0
GAUGE_SECONDS = 45.0
SPARE = 1.05
"""So many more payers than arrivals are asked for."""
NEEDED = {
    Profile.DAY_CLOSE: frozenset({"bank-file", "treasury-file"}),
    Profile.OUTAGE: frozenset({"window-extended"}),
}
"""What a profile does beside the payments, without which it proves nothing."""

YESTERDAYS_SHARE = 0.1
AT_ONCE = 64
FIRST_PORT = 80


class UnusableTargetError(ValueError):
    """What stands against this run before it begins; a sentence for people."""


class SilentTargetError(RuntimeError):
    """The target stopped answering after orders had been sent; a sentence for people."""


@dataclass(frozen=True, slots=True)
class Objectives:
    """When a run has passed, apart from the money, which must be right always."""

    p99_ms: float = 100.0
    drained_seconds: float = 30.0
    dropped: int = 0
    shed: int = 0
    refused_share: float = 0.05


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What is asked for. services: addresses by name; agents: an agent's id with ``{village}`` in it, "" for none."""

    target: str
    pack: str
    profile: Profile
    rate: float
    seconds: float
    secrets_file: Path
    services: Mapping[str, str] = field(default_factory=dict)
    connections: int = 128
    seed: int = 1
    agents: str = "A-{village}-1"
    population: Population | None = None
    objectives: Objectives = Objectives()
    allowed: bool = False
    issuer: str = ""


def is_loopback(target: str) -> bool:
    """True when nobody else's machine is meant."""
    host = urlsplit(target).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def addresses_of(asked: Rehearsal, http: httpx.AsyncClient) -> dict[str, str]:
    """Addresses of the four services. The target is any of them, or a machine's first port; the others lie beside
    it, or are named one by one. Raises UnusableTargetError, httpx.TransportError."""
    target = asked.target.rstrip("/")
    parts = urlsplit(target)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UnusableTargetError(f"--target {asked.target}: http://HOST:PORT")
    if parts.port is None and len(asked.services) < len(SERVICES):
        raise UnusableTargetError(
            "没有端口的地址须用 --service 指明四个服务 / without a port name all four with --service"
        )
    found = dict(asked.services)
    if len(found) < len(SERVICES):
        response = await http.get(f"{target}/readyz")
        try:
            name = str(response.json()["service"])
            base = (parts.port or FIRST_PORT) - SERVICES.index(name)
        except (ValueError, KeyError):
            raise UnusableTargetError(f"{target} 不是本系统的服务 / is none of our services") from None
        for offset, service in enumerate(SERVICES):
            found.setdefault(service, f"{parts.scheme}://{parts.hostname}:{base + offset}")
    if not asked.allowed and not all(is_loopback(each) for each in found.values()):
        raise UnusableTargetError(
            "目标不在本机：须有书面许可并加 --i-may-load-this-target / not this machine: that takes permission"
            " and --i-may-load-this-target"
        )
    return found


def pack_of(asked: Rehearsal) -> Pack:
    """The pack, when people can pay by orders under it. Raises UnusableTargetError."""
    pack = load_packs().get(asked.pack)
    if pack is None or pack.id not in SCRIPTS:
        raise UnusableTargetError(f"没有此政策包的演练 / no rehearsal of pack {asked.pack}")
    return pack


async def rehearse(asked: Rehearsal) -> dict[str, Any]:
    """Run and judge; answers the report. Raises UnusableTargetError (no order was sent), SilentTargetError (some were),
    UnexpectedAnswerError, httpx errors."""
    pack = pack_of(asked)
    timeout = httpx.Timeout(900.0, connect=10.0)
    async with httpx.AsyncClient(timeout=timeout, trust_env=False) as http:
        addresses = await addresses_of(asked, http)
        services = Services(addresses, secrets_of(asked.secrets_file), http, patience_seconds=60.0)
        if asked.population is not None:
            try:
                await prepare(services, _world(addresses), http, pack, asked.population)
            except ValueError as fault:
                raise UnusableTargetError(str(fault)) from None
        run = _Run(asked, pack, services, http, await business_day(services))
        return await run.whole()


def _world(addresses: Mapping[str, str]) -> str:
    parts = urlsplit(addresses["registration"])
    return f"{parts.scheme}://{parts.hostname}:{(parts.port or FIRST_PORT) + WORLD_OFFSET}"


class _Run:
    """One run against a target that is ready for payers."""

    def __init__(
        self, asked: Rehearsal, pack: Pack, services: Services, http: httpx.AsyncClient, day: dt.date
    ) -> None:
        self._asked, self._pack, self._services, self._http, self._day = asked, pack, services, http, day
        self._campaign = campaign_id(pack.region.division, pack.insured_year)
        self._name = f"R{secrets.token_hex(4)}"
        self._tokens: dict[str, str] = {}
        self._beside = Beside()
        self._first: list[Sent] = []

    async def whole(self) -> dict[str, Any]:
        """Payers, load, rest, audit."""
        began = time.monotonic()
        payers = await self._payers()
        collection = self._services.address("collection")
        pool = Pool(collection, self._asked.connections, limit=int(self._asked.rate * 5) + 1000)
        await pool.open()
        watcher = Watcher(self._services, self._http)
        watching = asyncio.get_running_loop().create_task(watcher.run())
        loop = OpenLoop(pool)
        cpu = time.process_time()
        try:
            await self._profile(loop, pool, payers)
            cpu = time.process_time() - cpu
            rest = await drained(self._services, max(self._asked.objectives.drained_seconds * 2, 60.0))
            unknown = await settle(pool, filter(unresolved, loop.outcome.sent), SETTLE_SECONDS)
            if any(each.settled is not None for each in loop.outcome.sent):
                await drained(self._services, SETTLE_SECONDS)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await pool.close()
        money = await self._audit([*self._first, *loop.outcome.sent], unknown)
        figures = summary(loop.outcome, self._asked.rate) | {
            "drained_seconds": None if rest is None else round(rest, 2),
            "reconnects": pool.reconnects,
            "generator_cpu_seconds": round(cpu, 2),
            "payers_left": payers.left,
        }
        document = self._document(figures, money, watcher, time.monotonic() - began)
        document["curve"] = curve(loop.outcome)
        return document

    async def _payers(self) -> Payers:
        bills = await read_bills(self._services, self._campaign, self._pack, self._day)
        payers = Payers(bills, self._asked.seed)
        share = 1 + (YESTERDAYS_SHARE if self._asked.profile is Profile.DAY_CLOSE else 0)
        wanted = int(self._asked.rate * self._asked.seconds * SPARE * share)
        if payers.orders_at_least() < wanted:
            windows = {name: self._pack.window(name) for name in ("medical", "pension")}
            shown = "; ".join(f"{name} {span.start}..{span.end}" for name, span in windows.items())
            raise UnusableTargetError(
                f"未缴费的人不够 / too few payers: {payers.left} 人可缴约 {payers.orders_at_least()} 单，需 / orders,"
                f" wanted {wanted}. 业务日 / business day {self._day}; 缴费期 / windows {shown}."
                " 降低速率或时长，或在空系统上 --prepare / lower --rate or --seconds, or --prepare an empty system"
            )
        return payers

    async def _orders(self, payers: Payers) -> Orders:
        asked, script = self._asked, SCRIPTS[self._pack.id]
        mix = mix_of(script, asked.agents)
        clients = {client_of(channel) for channel in (*mix.day, *mix.evening)}
        for client in sorted(clients):
            granted = await self._services.grant(client, "collection")
            self._tokens[client] = str(granted["access_token"])
        host = urlsplit(self._services.address("collection")).netloc
        return Orders(
            payers, mix, self._pack, self._day, self._tokens.__getitem__, run=self._name, seed=asked.seed,
            host=host, seconds=asked.seconds, agents=asked.agents,
        )  # fmt: skip

    async def _profile(self, loop: OpenLoop, pool: Pool, payers: Payers) -> None:
        asked = self._asked
        orders = await self._orders(payers)
        source = random.Random(f"arrivals:{asked.seed}")
        match asked.profile:
            case Profile.LAST_DAY:
                await last_day(loop, orders, asked.rate, asked.seconds, source)
            case Profile.DAY_CLOSE:
                await self._day_close(loop, pool, orders, source)
            case Profile.OUTAGE:
                await self._outage(loop, orders, source)

    async def _day_close(self, loop: OpenLoop, pool: Pool, orders: Orders, source: random.Random) -> None:
        """Yesterday's money is told first, in order; its files meet today's payers."""
        asked, yesterday = self._asked, self._day - dt.timedelta(days=1)
        count = int(asked.rate * asked.seconds * YESTERDAYS_SHARE)
        self._first = list(yesterdays(orders, yesterday, count))
        for start in range(0, len(self._first), AT_ONCE):
            left = await settle(pool, self._first[start : start + AT_ONCE], SETTLE_SECONDS)
            if left:
                raise SilentTargetError(f"昨日款项未获答复 / {left} of yesterday's orders were not answered")
        closing = DayClose(self._services, self._campaign, self._name, yesterday)
        self._beside = closing.beside
        load = last_day(loop, orders, asked.rate, asked.seconds, source)
        await asyncio.gather(load, closing.send(loop, self._first))

    async def _outage(self, loop: OpenLoop, orders: Orders, source: random.Random) -> None:
        asked = self._asked
        outage = Outage(orders, asked.rate, asked.seconds)
        self._beside = outage.beside
        await loop.run(outage.moments(source), lambda due: outage.draw(loop, due, source), asked.seconds)
        first, last = outage.down
        self._beside.note("outage", first, last, orders=outage.cut_off)
        self._beside.note("backlog", last, max(outage.drained_at, last), orders=outage.cut_off)
        status = await extend_window(
            self._services,
            self._campaign,
            self._pack.window("medical").end,
            self._name,
        )
        self._beside.note("window-extended", loop.now, loop.now, status=status)

    async def _audit(self, sent: list[Sent], unknown: int) -> MoneyAudit:
        await self._gauge()
        days = sorted({dt.date.fromisoformat(each.paid_at[:10]) for each in sent} | {self._day})
        return await audit(self._services, self._http, self._campaign, days, self._name, sent, unknown)

    async def _gauge(self) -> None:
        """Until the target has reckoned its money after the run."""
        until = time.monotonic() + GAUGE_SECONDS
        while time.monotonic() < until:
            if await target_unaccounted(self._services, self._http, self._campaign) is not None:
                return
            await asyncio.sleep(1.0)

    def _document(
        self, figures: dict[str, Any], money: MoneyAudit, watcher: Watcher, seconds: float
    ) -> dict[str, Any]:
        watch, asked = watcher.watch, self._asked
        beside = beside_faults(asked.profile, self._beside.steps)
        judged = judge(asked.objectives, figures, money, beside)
        return {
            "run": self._name,
            "target": asked.target,
            "pack": {"id": self._pack.id, "version": self._pack.version, "digest": self._pack.digest},
            "campaign": self._campaign,
            "business_day": self._day.isoformat(),
            "profile": str(asked.profile),
            "rate": asked.rate,
            "seconds": asked.seconds,
            "connections": asked.connections,
            "seed": asked.seed,
            "took_seconds": round(seconds, 1),
            "figures": figures,
            "money": dataclasses.asdict(money) | {"clean": money.clean},
            "lag": {
                "every_seconds": watch.moments,
                "stages": watch.lag,
                "worst": {stage: round(max(values), 3) for stage, values in sorted(watch.lag.items())},
                "deepest_queue": watch.deepest_queue,
                "dead_letters": watch.dead_letters,
                "missed_looks": watch.missed,
            },
            "beside": self._beside.steps,
            "objectives": judged,
            "passed": all(each["met"] for each in judged),
        }


def beside_faults(profile: Profile, steps: Sequence[Mapping[str, Any]]) -> int:
    """What a profile does beside the payments and did not come about: files not sent, their refused rows, a
    window that was not extended."""
    done = {step["step"] for step in steps}
    missing = NEEDED.get(profile, frozenset()) - done
    refused = sum(int(step.get("refused", 0)) for step in steps)
    return len(missing) + refused + sum(int(step.get("status", 200)) >= 400 for step in steps)


def judge(
    wanted: Objectives, figures: Mapping[str, Any], money: MoneyAudit, beside: int = 0
) -> list[dict[str, Any]]:
    """Each objective with its limit, what was measured, and whether it is met. beside: see ``beside_faults``."""
    answered = max(figures["accepted"] + figures["refused"], 1)
    rest = figures["drained_seconds"]
    rows: list[tuple[str, float, float | None]] = [
        ("p99_ms", wanted.p99_ms, figures["latency_ms"]["p99"]),
        ("drained_seconds", wanted.drained_seconds, rest),
        ("dropped", wanted.dropped, figures["dropped"]),
        ("shed", wanted.shed, figures["shed"]),
        ("refused_share", wanted.refused_share, round(figures["refused"] / answered, 4)),
        ("server_errors", 0, figures["server_errors"]),
        ("own_unaccounted_fen", 0, money.own_unaccounted_fen),
        ("target_unaccounted_fen", 0, money.target_unaccounted_fen),
        ("missing", 0, money.missing),
        ("repeated", 0, money.repeated),
        ("phantom", 0, money.phantom),
        ("differing", 0, money.differing),
        ("unknown", 0, money.unknown),
        ("beside_faults", 0, beside),
    ]
    judged = [
        {"objective": name, "limit": limit, "measured": found, "met": found is not None and found <= limit}
        for name, limit, found in rows
    ]
    some = figures["accepted"] > 0
    return [*judged, {"objective": "accepted", "limit": 1, "measured": figures["accepted"], "met": some}]
