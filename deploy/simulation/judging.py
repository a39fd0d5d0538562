"""What must hold when a history has ended, whatever went wrong in it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from deploy.audit.evidence import Evidence, Row, rows_of
from deploy.audit.lines import RECEIVED_TYPES, UNIDENTIFIED
from deploy.audit.running import books_of
from deploy.audit.verify import ReplayedProjection, audit
from deploy.rehearsal.books import TAKEN, Books
from deploy.simulation.services import Instance, SimulatedDatabase, Site
from deploy.simulation.village import CAMPAIGN
from shared.eventstore import tables
from shared.eventstore.memory import MemoryLog
from shared.eventstore.projections import ProjectionRunner
from shared.kernel.clock import SeededRuntime
from shared.policy import Pack

Sites = Mapping[str, Site]


class Broken(Exception):
    """Something that must hold does not. what: which rule, for telling failures apart."""

    def __init__(self, what: str, detail: str) -> None:
        super().__init__(f"{what}: {detail}")
        self.what = what


async def judge(
    sites: Sites,
    instances: Mapping[str, Instance],
    scratch: Mapping[str, SimulatedDatabase],
    books: Books,
    packs: Mapping[str, Pack],
) -> int:
    """Answers the number of events. Raises Broken."""
    logs = {name: rows_of([row._asdict() for row in site.log.rows]) for name, site in sites.items()}
    _positions(logs)
    _payments(logs["collection"], books)
    await _letters(sites)
    replayed = [
        one for name, site in sites.items() for one in await _replays(site, instances[name], scratch[name])
    ]
    report = audit(Evidence(logs, books_of([books.statement(CAMPAIGN)]), packs), replayed)
    violated = {each.id: each.details for each in report.invariants if each.violations}
    if violated:
        raise Broken(min(violated), str(violated))
    if report.unaccounted_fen or report.difference_fen or report.broken:
        detail = f"unaccounted {report.unaccounted_fen}, difference {report.difference_fen}, {report.broken}"
        raise Broken("MONEY", detail)
    return sum(report.events.values())


def _positions(logs: Mapping[str, Sequence[Row]]) -> None:
    """Positions 1, 2, 3 …; versions 1, 2, 3 … in each stream; no event twice (I-30)."""
    for name, rows in logs.items():
        if [row.position for row in rows] != list(range(1, len(rows) + 1)):
            raise Broken("POSITIONS", name)
        versions: Counter[tuple[int, str]] = Counter()
        for row in rows:
            versions[row.era, row.stream] += 1
            if row.version != versions[row.era, row.stream]:
                raise Broken("VERSIONS", f"{name} {row.stream} version {row.version}")
        if len({row.event_id for row in rows}) != len(rows):
            raise Broken("EVENT_IDS", name)


def _payments(rows: Sequence[Row], books: Books) -> None:
    """Every payment that was answered 201, or told by a day file, lies in the log exactly once, and no other."""
    found = [(row.type, row.data["line_id"]) for row in rows if row.type in (*RECEIVED_TYPES, UNIDENTIFIED)]
    again = [one for one, times in Counter(found).items() if times > 1]
    if again:
        raise Broken("RECORDED_TWICE", str(again))
    ours = sorted({line_id for _, line_id in found})
    taken = books.rows(
        "SELECT o.channel || '-' || o.order_no || '/' || t.n AS line_id FROM orders o"
        " JOIN takings t ON t.order_id = o.id WHERE o.state = ?",
        (TAKEN,),
    )
    theirs = sorted(row["line_id"] for row in taken)
    if ours != theirs:
        raise Broken("PAYMENTS", f"ours {ours}, theirs {theirs}")


async def _letters(sites: Sites) -> None:
    """Nothing failed for good, and nothing waits."""
    for name, site in sites.items():
        for table in (tables.dead_letters, tables.parked):
            rows = site.database.dump(table)
            if rows:
                raise Broken(table.name.upper(), f"{name}: {len(rows)}, first {rows[0]}")


async def _replays(site: Site, instance: Instance, scratch: SimulatedDatabase) -> list[ReplayedProjection]:
    """Every read model against what the log alone makes of it."""
    scratch.empty()
    log = MemoryLog(scratch, site.definition.types)
    log.rows = site.log.rows
    projections = instance.description.projections
    runner = ProjectionRunner(log=log, projections=projections, runtime=SeededRuntime(0))
    while await runner.run_once():
        pass
    if runner.failures:
        raise Broken("REPLAY", f"{site.definition.name}: {runner.failures}")
    found = []
    for projection in projections:
        here = [site.database.dump(table) for table in projection.tables]
        anew = [scratch.dump(table) for table in projection.tables]
        found.append(ReplayedProjection(site.definition.name, projection.name, int(here != anew)))
    return found


def digest_of(sites: Sites) -> str:
    """One number for all four logs, to the last byte."""
    digest = hashlib.sha256()
    for name in sorted(sites):
        for row in sites[name].log.rows:
            digest.update(msgspec.json.encode([name, *map(_text, row)]))
    return digest.hexdigest()


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
