"""The audit at volume: the same strictness over a log that is never in memory as a whole."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from deploy.audit.evidence import Row
from deploy.audit.verify import AuditReport, Examination
from tests.unit.audit.volume import FEN, PACKS, PART, Volume

PEOPLE = 4 * PART + 123
BYTES_PER_PERSON = 2_300
"""With 440,000 people this is 1 GB."""

Change = Callable[[Row], bool]


class Marred(Volume):
    """A volume in which a change is made to the rows it wants; False takes the row out."""

    def __init__(self, people: int, change: Change) -> None:
        super().__init__(people)
        self._change = change

    def log(self, service: str) -> Iterator[Row]:
        return (row for row in super().log(service) if self._change(row))


def examined(volume: Volume) -> AuditReport:
    examination = Examination(PACKS)
    volume.examine(examination)
    return examination.report()


def violated(report: AuditReport) -> set[str]:
    return {each.id for each in report.invariants if each.violations}


def test_thousands_of_people_hold_and_all_of_them_were_looked_at() -> None:
    report = examined(Volume(PEOPLE))
    assert (violated(report), report.unaccounted_fen) == (set(), 0)
    assert report.states == {"BOOKED": FEN * PEOPLE}
    checked = {each.id: each.checked for each in report.invariants}
    assert {checked[number] for number in ("I-03", "I-04", "I-05", "I-12", "I-14", "I-16", "I-25")} == {
        PEOPLE
    }
    assert checked["I-24"] == 2 * PEOPLE + 1
    assert report.records_compared == PEOPLE + 1 + len(list(Volume(PEOPLE).books())) - 1


def nth_person(kind: str, number: int) -> Change:
    person = f"{number:032x}"
    return lambda row: row.type != kind or row.data.get("person_id") != person


def changed_fen(kind: str, number: int, by: int) -> Change:
    person = f"{number:032x}"

    def change(row: Row) -> bool:
        if row.type == kind and row.data.get("person_id") == person:
            row.data = {**row.data, "fen": row.data["fen"] + by}
        return True

    return change


def nth_part(kind: str, nth: int) -> Change:
    """Take out the nth event of a type, each time the log is read."""
    seen = 0

    def change(row: Row) -> bool:
        nonlocal seen
        seen = 0 if row.position == 1 else seen + (row.type == kind)
        return row.type != kind or seen != nth

    return change


@pytest.mark.parametrize(
    ("change", "fen"),
    [
        (nth_person("PaymentReceived", PEOPLE - 1), FEN),
        (nth_person("BookkeepingPosted", 1234), FEN),
        (changed_fen("PaymentReceived", 77, 1), FEN),
        (changed_fen("BookkeepingPosted", 77, -1), FEN),
        (nth_part("VoucherLines", 3), FEN * PART),
        (nth_part("SettlementLinesConfirmed", 2), FEN * PART),
        (nth_part("CollectionInfoReturned", 5), FEN * 123),
    ],
)
def test_a_loss_among_thousands_shows_as_exactly_its_fen(change: Change, fen: int) -> None:
    """architecture §5: one line, one booking, one fen, one part of a document."""
    report = examined(Marred(PEOPLE, change))
    assert report.unaccounted_fen == fen
    assert not report.clean


def test_what_an_audit_keeps_of_a_person_is_little() -> None:
    """440,000 people fit into a gigabyte: state grows with people, not with their events."""
    examined(Volume(100))  # what is loaded once is loaded
    tracemalloc.start()
    try:
        examination = Examination(PACKS)
        Volume(PEOPLE).examine(examination)
        kept, _ = tracemalloc.get_traced_memory()
        report = examination.report()
    finally:
        tracemalloc.stop()
    assert report.unaccounted_fen == 0
    assert kept / PEOPLE < BYTES_PER_PERSON
