"""Auditing a system that runs: logs through the auditor's role, the outside's books and replays by HTTP."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec

from deploy.audit.evidence import (
    SERVICES,
    BankDeposit,
    Books,
    Evidence,
    RefundPaid,
    Row,
    Takings,
    TreasuryEntry,
    read_log,
)
from deploy.audit.verify import AuditReport, ReplayedProjection, audit
from deploy.local.layout import WORLD_OFFSET, Layout
from deploy.local.programs import organisations_file
from deploy.rehearsal.clients import Services

OPERATOR = "ops"
GAUGE = "liangxian_unaccounted_fen"
CHECKED = "liangxian_unaccounted_checked_timestamp_seconds"
REST_SECONDS = 60.0
POLL_SECONDS = 0.2
_SAMPLE = re.compile(r"^(?P<name>[a-z_:]+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')

Progress = Callable[[str], None]


class NotRunningError(Exception):
    """There is no system in the data directory."""


@dataclass(frozen=True, slots=True)
class Running:
    """Where a system is: its databases, its services as the operator, the outside world's address."""

    addresses: Mapping[str, str]
    services: Services
    http: httpx.AsyncClient
    world: str


def auditor_addresses(data: Path) -> dict[str, str]:
    """Service -> address of the read-only role. Raises NotRunningError."""
    try:
        stored: dict[str, dict[str, str]] = json.loads(Layout(data).databases.read_text(encoding="utf-8"))
        return {name: stored[name]["auditor"] for name in SERVICES}
    except (OSError, ValueError, KeyError):
        raise NotRunningError(f"{data}") from None


async def verify_running(
    data: Path, port_base: int, since: int = 0, progress: Progress = lambda _: None
) -> AuditReport:
    """The whole audit of a system on this machine. Raises NotRunningError, httpx.TransportError."""
    async with httpx.AsyncClient(timeout=600, trust_env=False) as http:
        services = Services.on(port_base, organisations_file(), http, patience_seconds=30.0)
        world = f"http://127.0.0.1:{port_base + WORLD_OFFSET}"
        return await verify(Running(auditor_addresses(data), services, http, world), since, progress)


async def verify(system: Running, since: int = 0, progress: Progress = lambda _: None) -> AuditReport:
    """Wait for rest, read everything, judge it."""
    faults = [] if await at_rest(system.services) else ["NOT_AT_REST"]
    progress("读取日志 / reading the logs")
    logs: dict[str, Sequence[Row]] = {name: await read_log(system.addresses[name]) for name in SERVICES}
    campaigns = sorted({row.data["campaign"] for row in logs["collection"] if row.type == "CampaignOpened"})
    books = await read_books(system.http, system.world, campaigns)
    evidence = Evidence(logs, books, since=since)
    replays = [each async for each in _replays(system.services, progress)]
    gauges, missing = await read_gauges(system.http, system.services.address("collection"), campaigns)
    progress("核对 / judging")
    return audit(evidence, replays, gauges=gauges, faults=(*faults, *missing))


async def at_rest(services: Services) -> bool:
    """True once nothing moved between two looks at ``/ops/lag`` of all four; False when time is over."""
    before: tuple[int, ...] | None = None
    deadline = asyncio.get_running_loop().time() + REST_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        reports = [await services.get(OPERATOR, name, "/ops/lag") for name in SERVICES]
        positions = tuple(int(report["log_position"]) for report in reports)
        drained = all(report["drained"] for report in reports)
        if drained and positions == before:
            return True
        before = positions if drained else None
        await asyncio.sleep(POLL_SECONDS)
    return False


async def read_books(http: httpx.AsyncClient, world: str, campaigns: Iterable[str]) -> Books:
    """The outside's books of the campaigns, together."""
    statements = []
    for campaign in campaigns:
        response = await http.get(f"{world}/books", params={"campaign": campaign})
        response.raise_for_status()
        statements.append(response.json())
    return books_of(statements)


def books_of(statements: Iterable[Mapping[str, Any]]) -> Books:
    """Books from the answers of ``GET /books``; what the treasury sent back was never entered."""
    rows: list[Takings] = []
    deposits: list[BankDeposit] = []
    entries: list[TreasuryEntry] = []
    refunds: list[RefundPaid] = []
    for statement in statements:
        rows += [msgspec.convert(row, Takings) for row in statement["rows"]]
        deposits += [BankDeposit(slip["slip_no"], slip["fen"]) for slip in statement["deposits"]]
        entries += [
            TreasuryEntry(entry["voucher_no"], entry["fen"])
            for entry in statement["treasury"]
            if entry.get("result", "CONFIRMED") == "CONFIRMED"
        ]
        refunds += [RefundPaid(refund["line_id"], refund["fen"]) for refund in statement["refunds"]]
    return Books(tuple(rows), tuple(deposits), tuple(entries), tuple(refunds))


async def _replays(services: Services, progress: Progress) -> Any:
    """Every read model of every service against its replay."""
    for service in SERVICES:
        names = (await services.get(OPERATOR, service, "/ops/projections"))["items"]
        for name in names:
            progress(f"重放 / replaying {service} {name}")
            path = f"/ops/projections/{name}:replay"
            reply = await services.post(OPERATOR, service, path, {"swap": False})
            yield ReplayedProjection(service, name, int(reply.body["differences"]))


async def read_gauges(
    http: httpx.AsyncClient, collection: str, campaigns: Sequence[str]
) -> tuple[dict[str, int], list[str]]:
    """Collection's own ``unaccounted_fen`` by campaign and insurance, and what is missing of it."""
    response = await http.get(f"{collection}/metrics")
    response.raise_for_status()
    return gauges_of(response.text, campaigns)


def gauges_of(metrics: str, campaigns: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """The gauge in a Prometheus text; a campaign without it, or one never reckoned, is named as missing."""
    gauges: dict[str, int] = {}
    reckoned = False
    for sample in _SAMPLE.finditer(metrics):
        if sample["name"] == CHECKED:
            reckoned = float(sample["value"]) > 0
        if sample["name"] == GAUGE:
            labels = dict(_LABEL.findall(sample["labels"] or ""))
            gauges[f"{labels['campaign']} {labels['insurance']}"] = round(float(sample["value"]))
    known = {name.partition(" ")[0] for name in gauges}
    missing = [f"GAUGE_MISSING {campaign}" for campaign in campaigns if campaign not in known]
    return gauges, missing if reckoned else [*missing, "GAUGE_NEVER_RECKONED"]
