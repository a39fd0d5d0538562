"""Auditing a system that runs: logs through the auditor's role, the outside's books and replays by HTTP.

While this process hears the logs, the services replay their read models: both cores are busy.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec

from deploy.audit.evidence import SERVICES, BankDeposit, Books, RefundPaid, Takings, TreasuryEntry
from deploy.audit.hearing import ORDER
from deploy.audit.reading import Log, open_log
from deploy.audit.verify import AuditReport, Examination, ReplayedProjection
from deploy.local.layout import WORLD_OFFSET, Layout
from deploy.local.programs import organisations_file
from deploy.rehearsal.clients import Services
from deploy.rehearsal.resting import RestlessError, come_to_rest
from shared.policy.registry import PackRegistry, open_registry

OPERATOR = "ops"
GAUGE = "liangxian_unaccounted_fen"
CHECKED = "liangxian_unaccounted_checked_timestamp_seconds"
REST_SECONDS = 60.0
REPLAY_SECONDS = 3600.0
LOOK_SECONDS = 1.0
BOOK_PAGE = 5000
PARTS: Mapping[str, type[Any]] = {
    "rows": Takings,
    "deposits": BankDeposit,
    "treasury": TreasuryEntry,
    "refunds": RefundPaid,
}
"""The parts of the outside's books that are compared, and what a line of each is."""
_SAMPLE = re.compile(r"^(?P<name>[a-z_:]+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')

Progress = Callable[[str, int, int], None]
"""Told what is under way, how much of it is done, and of how much (0: nobody knows)."""
Since = int | Mapping[str, int]


class NotRunningError(Exception):
    """There is no system in the data directory."""


@dataclass(frozen=True, slots=True)
class Running:
    """Where a system is: its databases, its services as the operator, the outside world's address."""

    addresses: Mapping[str, str]
    services: Services
    http: httpx.AsyncClient
    world: str
    open: Callable[[str], AbstractAsyncContextManager[Log]] = open_log
    packs: PackRegistry = field(default_factory=lambda: open_registry(packs_folder()))


def packs_folder(data: Path | None = None) -> Path | None:
    """Where the services have packs of their own (D-59): ``LIANGXIAN_PACKS``, else in the data directory."""
    folder = os.environ.get("LIANGXIAN_PACKS", "")
    if folder:
        return Path(folder)
    return Layout(data).packs if data is not None else None


def auditor_addresses(data: Path) -> dict[str, str]:
    """Service -> address of the read-only role. Raises NotRunningError."""
    try:
        stored: dict[str, dict[str, str]] = json.loads(Layout(data).databases.read_text(encoding="utf-8"))
        return {name: stored[name]["auditor"] for name in SERVICES}
    except (OSError, ValueError, KeyError):
        raise NotRunningError(f"{data}") from None


async def verify_running(
    data: Path, port_base: int, since: Since = 0, progress: Progress = lambda *_: None
) -> AuditReport:
    """The whole audit of a system on this machine. Raises NotRunningError, httpx.TransportError."""
    patience = httpx.Timeout(60.0, read=REPLAY_SECONDS)
    async with httpx.AsyncClient(timeout=patience, trust_env=False) as http:
        services = Services.on(port_base, organisations_file(), http, patience_seconds=30.0)
        world = f"http://127.0.0.1:{port_base + WORLD_OFFSET}"
        packs = open_registry(packs_folder(data))
        return await verify(
            Running(auditor_addresses(data), services, http, world, packs=packs), since, progress
        )


async def verify(system: Running, since: Since = 0, progress: Progress = lambda *_: None) -> AuditReport:
    """Wait for rest, hear everything, judge it."""
    faults = [] if await at_rest(system.services) else ["NOT_AT_REST"]
    examination = Examination(system.packs, since)
    try:
        async with asyncio.TaskGroup() as tasks:
            replays = [tasks.create_task(_replay(system.services, name, progress)) for name in SERVICES]
            await _hear(system, examination, progress)
    except ExceptionGroup as failures:
        raise _first(failures) from None
    campaigns = sorted(set(examination.campaigns.opened))
    async for page in read_books(system.http, system.world, campaigns, progress):
        examination.compare_with(page)
    gauges, missing = await read_gauges(system.http, system.services.address("collection"), campaigns)
    projections = [each for replay in replays for each in replay.result()]
    return examination.report(projections, gauges=gauges, faults=(*faults, *missing))


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    """The first of several that failed together."""
    found: Exception = failures
    while isinstance(found, ExceptionGroup):
        found = found.exceptions[0]
    return found


async def at_rest(services: Services) -> bool:
    """True once the four services are at rest, whatever is parked; False when time is over."""
    try:
        await come_to_rest(services, REST_SECONDS, parked=True, look_seconds=LOOK_SECONDS)
    except RestlessError:
        return False
    return True


async def _hear(system: Running, examination: Examination, progress: Progress) -> None:
    """Every log once, in the order in which they are judged."""
    for name in ORDER:
        async with system.open(system.addresses[name]) as log:
            survey = await log.survey(examination.scope.since(name))
            examination.survey(name, survey)
            types = examination.types(name)
            wanted = sum(survey.types.get(each, 0) for each in types)
            done = 0
            async for rows in log.pages(types):
                examination.hear(name, rows)
                done += len(rows)
                progress(f"读 {name} 日志 / reading the {name} log", done, wanted)


async def _replay(services: Services, service: str, progress: Progress) -> list[ReplayedProjection]:
    """Every read model of a service against its replay, in one pass of its log."""
    label = f"重放 {service} / replaying {service}"
    watch = asyncio.ensure_future(_watch(services, service, label, progress))
    try:
        reply = await services.post(OPERATOR, service, "/ops/projections:replay", {"swap": False})
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
    progress(label, 1, 1)
    return [
        ReplayedProjection(service, each["projection"], int(each["differences"]))
        for each in reply.body["items"]
    ]


async def _watch(services: Services, service: str, label: str, progress: Progress) -> None:
    """How far the service is."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        found = (await services.get(OPERATOR, service, "/ops/projections")).get("replaying")
        if found:
            progress(label, found["position"], found["until"])


async def read_books(
    http: httpx.AsyncClient, world: str, campaigns: Iterable[str], progress: Progress = lambda *_: None
) -> AsyncIterator[Books]:
    """The outside's books of the campaigns, page by page."""
    for campaign in campaigns:
        for part in PARTS:
            after: int | None = 0
            while after is not None:
                query: dict[str, str | int] = {
                    "campaign": campaign,
                    "part": part,
                    "after": after,
                    "limit": BOOK_PAGE,
                }
                response = await http.get(f"{world}/books", params=query)
                response.raise_for_status()
                page = msgspec.json.decode(response.content)
                yield books_of([{part: page["items"]}])
                after = page["next"]
        progress(f"外部账 {campaign} / the outside's books", 1, 1)


def books_of(statements: Iterable[Mapping[str, Any]]) -> Books:
    """Books from answers of ``GET /books``; what the treasury sent back was never entered."""
    found: dict[str, list[Any]] = {part: [] for part in PARTS}
    for statement in statements:
        for part, kind in PARTS.items():
            found[part] += [
                msgspec.convert(each, kind)
                for each in statement.get(part, ())
                if each.get("result", "CONFIRMED") == "CONFIRMED"
            ]
    return Books(**{part: tuple(lines) for part, lines in found.items()})


def joined(pages: Iterable[Books]) -> Books:
    """Pages as one."""
    found: dict[str, tuple[Any, ...]] = dict.fromkeys(PARTS, ())
    for page in pages:
        for part in PARTS:
            found[part] += getattr(page, part)
    return Books(**found)


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
