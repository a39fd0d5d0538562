"""Losses planted in a real run's databases: each shows as exactly its fen (architecture §5, issue 3 §4)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from typing import Any

import asyncpg
import msgspec
import pytest

from deploy.audit.evidence import Books, Evidence, Row
from deploy.audit.money import MoneyAudit, audit_money
from deploy.cli.output import Exit
from deploy.local import control
from deploy.local.postgres import server_for
from deploy.local.processes import python
from deploy.local.programs import WORLD
from tests.faults.system.conftest import Undisturbed
from tests.faults.system.village import Village

pytestmark = [pytest.mark.processes, pytest.mark.postgres, pytest.mark.timeout(900)]

Fen = Callable[[Row], int]


def own_fen(row: Row) -> int:
    """Fen the event itself says."""
    return int(row.data["fen"])


def lines_fen(row: Row) -> int:
    """Fen of the lines an event names in full."""
    return sum(int(line[4]) for line in row.data["lines"])


def without(evidence: Evidence, service: str, lost: Row) -> MoneyAudit:
    """The audit of money when an event was never written."""
    logs = dict(evidence.logs) | {service: [row for row in evidence.logs[service] if row is not lost]}
    return audit_money(Evidence(logs, evidence.books))


LOSSES = [
    pytest.param("collection", "PaymentReceived", own_fen, id="a payment"),
    pytest.param("collection", "ReceiptIssued", own_fen, id="a receipt"),
    pytest.param("collection", "DeclarationLines", lines_fen, id="a declaration's lines"),
    pytest.param("collection", "VoucherLines", lines_fen, id="a voucher's lines"),
    pytest.param("collection", "CollectionInfoReturned", lines_fen, id="a skipped return"),
    pytest.param("collection", "PaymentRefunded", own_fen, id="a refund"),
    pytest.param("registration", "BookkeepingPosted", own_fen, id="a booking"),
]


@pytest.mark.parametrize(("service", "kind", "fen"), LOSSES)
def test_every_event_of_the_money_is_missed_by_its_fen(
    undisturbed: Undisturbed, service: str, kind: str, fen: Fen
) -> None:
    """Each event of the kind in turn: what is not placed any more is exactly what it carried.

    But for a payment told a second time, as one after death: that its first event is gone is I-30's to show.
    """
    again = {row.data["line_id"] for row in undisturbed.evidence.collection("PostDeathPaymentDetected")}
    rows = [row for row in undisturbed.evidence.of(service, kind) if row.data.get("line_id") not in again]
    assert rows
    for lost in rows:
        assert without(undisturbed.evidence, service, lost).unaccounted_fen == fen(lost) > 0, lost.event_id


@pytest.mark.parametrize(
    ("service", "kind"), [("collection", "PaymentReceived"), ("registration", "BookkeepingPosted")]
)
@pytest.mark.parametrize("by", [1, -1])
def test_an_amount_changed_by_a_fen_is_never_accounted_for(
    undisturbed: Undisturbed, service: str, kind: str, by: int
) -> None:
    """What was taken and what was booked differ: the line is placed nowhere."""
    evidence = undisturbed.evidence
    first = next(evidence.of(service, kind))
    changed = replace(first, data={**first.data, "fen": own_fen(first) + by})
    log = [changed if row is first else row for row in evidence.logs[service]]
    found = audit_money(Evidence({**evidence.logs, service: log}, evidence.books)).unaccounted_fen
    assert found == own_fen(first)


@pytest.mark.parametrize("book", ["rows", "deposits", "treasury", "refunds"])
@pytest.mark.parametrize("by", [1, -1])
def test_a_fen_in_an_outside_book_shows_as_one_fen(undisturbed: Undisturbed, book: str, by: int) -> None:
    """A taking, a bank line, a treasury entry, a refund, each line in turn."""
    evidence = undisturbed.evidence
    lines: tuple[Any, ...] = getattr(evidence.books, book)
    assert lines
    for index, line in enumerate(lines):
        other = (*lines[:index], msgspec.structs.replace(line, fen=line.fen + by), *lines[index + 1 :])
        books: Books = msgspec.structs.replace(evidence.books, **{book: other})
        assert audit_money(Evidence(evidence.logs, books)).unaccounted_fen == 1, line


async def verify(village: Village) -> tuple[int, dict[str, Any]]:
    """``liangxian verify --json`` on the running system: exit code and what it found."""
    child = await asyncio.create_subprocess_exec(
        python(), "-m", "deploy.cli", "verify", "--json", "--data", village.data,
        "--port-base", str(village.port_base),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(child.communicate(), 300)
    assert child.returncode is not None
    found: dict[str, Any] = msgspec.json.decode(out)
    return child.returncode, found


@asynccontextmanager
async def event_deleted(village: Village, service: str, event_id: str) -> AsyncIterator[None]:
    """A row of a service's log is gone, as whoever owns the database could do it; then it is back."""
    server = server_for(village.data)
    connection = await asyncpg.connect(server.url(service))
    try:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(
            "CREATE TEMPORARY TABLE deleted AS SELECT * FROM platform.events WHERE event_id::text = $1",
            event_id,
        )
        gone = await connection.execute("DELETE FROM platform.events WHERE event_id::text = $1", event_id)
        assert gone == "DELETE 1"
        yield
        await connection.execute("INSERT INTO platform.events OVERRIDING SYSTEM VALUE SELECT * FROM deleted")
    finally:
        await connection.close()


def bank_line(village: Village, slip_no: str, by: int) -> None:
    """The bank writes a fen more or less on a slip."""
    with closing(sqlite3.connect(village.data / WORLD / "world.sqlite", timeout=30)) as books, books:
        changed = books.execute("UPDATE slips SET fen = fen + ? WHERE slip_no = ?", (by, slip_no))
        assert changed.rowcount == 1


async def test_verify_finds_them_in_the_databases_themselves(undisturbed: Undisturbed) -> None:
    """The same system, started again: clean; a receipt deleted, a bank line + 1 fen; clean again."""
    village, evidence = undisturbed.village, undisturbed.evidence
    receipt = next(evidence.collection("ReceiptIssued"))
    slip = evidence.books.deposits[0].slip_no
    await control.up(village.options)
    try:
        assert await found_by(village) == (Exit.OK, 0, True)
        async with event_deleted(village, "collection", receipt.event_id):
            assert await found_by(village) == (Exit.DIFFERENCE, own_fen(receipt), False)
        bank_line(village, slip, 1)
        assert await found_by(village) == (Exit.DIFFERENCE, 1, False)
        bank_line(village, slip, -1)
        assert await found_by(village) == (Exit.OK, 0, True)
    finally:
        await village.stop()


async def found_by(village: Village) -> tuple[int, int, bool]:
    """Exit code, unaccounted fen, clean."""
    code, report = await verify(village)
    return code, report["unaccounted_fen"], report["clean"]
