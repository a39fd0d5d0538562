"""Measure 1: one payment over HTTP, all checks, durable; 64 connections in a closed loop, beside three baselines."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.rig.accounts import Accounts
from tests.benchmarks.rig.campaign import assess, open_campaign, write_payments
from tests.benchmarks.rig.load import Plan, Report, Target
from tests.benchmarks.rig.site import Child, Site, fire
from tests.benchmarks.rig.table import Measure, Table

ROUNDS = 3
SECONDS = 4.0
MOST_A_SECOND = 14_000
CONNECTIONS = 64
OURS, ORM, FASTAPI, BARE = "payments", "orm", "fastapi", "bare"


async def measure(site: Site, table: Table, rounds: int = ROUNDS, seconds: float = SECONDS) -> None:
    """Every round each in turn; medians. The first round warms everybody up."""
    opening = await site.service("collection", name="opening")
    pack = await open_campaign(opening.port, await site.token(opening.port, "tax"))
    await site.drop("opening")
    share = int(MOST_A_SECOND * seconds)
    await assess(site, 0, share * (rounds + 1), pack)
    await site.at_rest(share * (rounds + 1))
    servers = {
        OURS: await site.service("collection", roles="api", name=OURS),
        ORM: await site.baseline(ORM, "tests.benchmarks.baselines.orm_service:create_app"),
        FASTAPI: await site.baseline(FASTAPI, "tests.benchmarks.baselines.plain_services:fastapi_app"),
        BARE: await site.baseline(BARE, "tests.benchmarks.baselines.plain_services:bare", is_factory=False),
    }
    token = await site.token(servers[OURS].port, "platform")
    found = Measure("payment over HTTP, closed loop, 64 connections", "requests/s")
    for number in range(rounds + 1):
        requests = write_payments(site.layout.data / "closed.tsv", number * share, share, f"R{number}")
        for name in (BARE, FASTAPI, ORM, OURS):
            report, cpu = await _one(site, servers[name], requests, token, seconds)
            if not number:
                continue
            each = 10_000 * report.seconds / max(report.accepted, 1)  # percent of a core to µs a request
            costs = {"server_us": cpu["server"] * each, "postgresql_us": cpu.get("postgresql", 0.0) * each}
            found.add(name, report.rate, p50_ms=report.p50_ms, p99_ms=report.p99_ms, cpu=cpu, **costs)
            if report.accepted != report.answered or report.dropped:
                found.fault(f"{name}: {report.statuses}, {report.dropped} dropped")
    await site.stop_services()
    found.ratio(OURS, ORM, 8.0)
    found.ratio(OURS, FASTAPI, 1.0)
    found.at_most("p99 ms", found.median_of(OURS, "p99_ms"), 40.0)
    table.take(found)


async def _one(
    site: Site, server: Child, requests: Path, token: str, seconds: float
) -> tuple[Report, dict[str, float]]:
    target = Target((server.port,), "/payments", {"Authorization": f"Bearer {token}"})
    accounts = Accounts({"server": server.pid}, site.postmaster)
    before = accounts.read()
    report = await fire(Plan(target, str(requests), seconds, CONNECTIONS))
    return report, accounts.since(before, report.cpu_seconds)
