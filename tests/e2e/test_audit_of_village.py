"""The auditor over a whole campaign: clean as it ran; every planted loss shows as exactly its fen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from deploy.audit.evidence import Books, Evidence, Row
from deploy.audit.money import audit_money
from deploy.audit.running import books_of
from deploy.audit.verify import audit
from deploy.rehearsal.campaign import Campaign
from deploy.rehearsal.plan import draw_plan
from shared.policy import load_pack
from shared.testing.service import MemoryService
from tests.e2e.composition import composed

_kept: list[Evidence] = []


async def evidence_of_village() -> Evidence:
    """Logs and the outside's books after ST-2020 at a twentieth of the people; run once for this module."""
    if not _kept:
        plan = draw_plan(load_pack("ST-2020"), "店子镇", seed=1, scale=0.05, villages=1)
        async with composed(1) as system:
            await Campaign(system.driver(plan)).run()
            logs = {name: await rows(service) for name, service in system.services.items()}
            books = books_of([system.books.statement(plan.campaign)])
        _kept.append(Evidence(logs, books))
    return _kept[0]


async def rows(service: MemoryService) -> list[Row]:
    """The log as an auditor reads it: payloads as plain JSON."""
    types = service.parts.types
    found = []
    for recorded in await service.parts.log.read(0, 1_000_000, None):
        name, _, data = types.encode(recorded.event)
        row = Row(
            recorded.position,
            recorded.event_id,
            recorded.era,
            recorded.stream,
            recorded.version,
            name,
            msgspec.json.decode(data),
            recorded.occurred_at,
        )
        found.append(row)
    return found


def lines_fen(row: Row) -> int:
    """Fen of the lines an event names in full."""
    return sum(int(line[4]) for line in row.data["lines"])


def own_fen(row: Row) -> int:
    """Fen the event itself says."""
    return int(row.data["fen"])


@pytest.mark.timeout(600)
async def test_every_invariant_was_checked_and_holds() -> None:
    """Issue 3 §4: every I-nn checked, ``unaccounted_fen`` 0, nothing placed nowhere."""
    report = audit(await evidence_of_village())
    assert [(each.id, each.details) for each in report.invariants if not each.holds] == []
    assert all(each.checked for each in report.invariants)
    assert (report.unaccounted_fen, report.difference_fen, report.broken) == (0, 0, ())
    assert set(report.states) == {"BOOKED", "REFUNDED"}
    assert report.clean


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("service", "kind", "fen"),
    [
        ("collection", "PaymentReceived", own_fen),
        ("collection", "ReceiptIssued", own_fen),
        ("collection", "DeclarationLines", lines_fen),
        ("collection", "VoucherLines", lines_fen),
        ("collection", "CollectionInfoReturned", lines_fen),
        ("collection", "PaymentRefunded", own_fen),
        ("registration", "BookkeepingPosted", own_fen),
    ],
)
async def test_a_deleted_event_shows_as_exactly_its_fen(
    service: str, kind: str, fen: Callable[[Row], int]
) -> None:
    """architecture §5: a deleted event, a skipped return, a lost receipt."""
    evidence = await evidence_of_village()
    lost = next(evidence.of(service, kind))
    logs = dict(evidence.logs) | {service: [row for row in evidence.logs[service] if row is not lost]}
    money = audit_money(Evidence(logs, evidence.books))
    assert money.unaccounted_fen == fen(lost)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("book", ["rows", "deposits", "treasury"])
async def test_a_fen_more_in_an_outside_book_shows_as_one_fen(book: str) -> None:
    """A bank line, a channel's taking, a treasury entry + 1 fen."""
    evidence = await evidence_of_village()
    first, *others = getattr(evidence.books, book)
    more = msgspec.structs.replace(first, fen=first.fen + 1)
    books: Books = msgspec.structs.replace(evidence.books, **{book: (more, *others)})
    assert audit_money(Evidence(evidence.logs, books)).unaccounted_fen == 1


@pytest.mark.timeout(600)
async def test_two_lines_swapped_in_amount_do_not_cancel() -> None:
    """Plus and minus never cancel: one cell a fen up, another a fen down, are two fen."""
    evidence = await evidence_of_village()
    first, second, *others = evidence.books.rows
    up = msgspec.structs.replace(first, fen=first.fen + 1)
    down = msgspec.structs.replace(second, fen=second.fen - 1)
    books = msgspec.structs.replace(evidence.books, rows=(up, down, *others))
    assert audit_money(replace(evidence, books=books)).unaccounted_fen == 2
