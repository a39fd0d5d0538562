"""The traceability table: the checkout's holds, and each kind of gap is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.arch.traceability import ROOT, TABLE, Row, cited_clauses, event_classes, faults_of, read_table

A_TEST = "tests/arch/test_locks.py::test_a_lock_names_hashes_and_no_addresses"
Plant = Callable[[list[Row]], list[Row]]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return read_table(ROOT / TABLE)


def test_the_checkout_has_no_gap(rows: list[Row]) -> None:
    """Issue 3 §1: every clause, D-nn, I-nn and event type has a test or a written reason."""
    assert faults_of(ROOT, rows) == []


def test_the_search_sees_clauses_and_events() -> None:
    """Looking at nothing would pass too."""
    assert {"002:L81", "002:L412-416", "004:L203-207"} <= cited_clauses(ROOT)
    classes = event_classes(ROOT)
    assert {"collection.obligations.PaymentReceived", "registration.vital.DeathReported"} <= classes
    assert "notification.supervision.Flagged" not in classes
    assert "collection.roster.RosterEntry" not in classes


def without(kind: str, name: str) -> Plant:
    return lambda rows: [row for row in rows if (row.kind, row.id) != (kind, name)]


def changed(kind: str, name: str, **fields: object) -> Plant:
    def plant(rows: list[Row]) -> list[Row]:
        return [replace(row, **fields) if (row.kind, row.id) == (kind, name) else row for row in rows]  # type: ignore[arg-type]

    return plant


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (without("clause", "002:L81"), "clause 002:L81: not in the table"),
        (without("discrepancy", "D-27"), "discrepancy D-27: not in the table"),
        (without("invariant", "I-17"), "invariant I-17: not in the table"),
        (
            without("class", "collection.obligations.PaymentReceived"),
            "class collection.obligations.PaymentReceived: not in the table",
        ),
        (without("event", "PaymentReceived"), "event: the catalogue has 150 types, the table 149"),
        (lambda rows: [*rows, rows[0]], "twice: "),
        (
            lambda rows: [*rows, Row("clause", "009:L1", (), "issue 9: somewhere else")],
            "nothing bears it any more",
        ),
        (lambda rows: [*rows, Row("rumour", "R-1", (), "issue 9: somewhere else")], "unknown kind rumour"),
        (changed("invariant", "I-17", where=(), reason=""), "invariant I-17: needs a test or a reason"),
        (
            changed("invariant", "I-17", reason="issue 9: and a reason too"),
            "needs a test or a reason, and not both",
        ),
        (changed("invariant", "I-17", where=(), reason="later"), "a reason says which issue"),
        (
            changed("invariant", "I-17", where=("tests/unit/nowhere.py::test_nothing",)),
            "no such test: tests/unit/nowhere.py::test_nothing",
        ),
        (
            changed("invariant", "I-17", where=("tests/arch/test_traceability.py::test_renamed",)),
            "no such test: tests/arch/test_traceability.py::test_renamed",
        ),
        (
            changed(
                "event",
                "VirtualHouseholdCredentialRotated",
                where=(A_TEST,),
                reason="",
            ),
            "no class bears the name",
        ),
    ],
)
def test_a_planted_gap_is_found(rows: list[Row], plant: Plant, said: str) -> None:
    faults = faults_of(ROOT, plant(list(rows)))
    assert any(said in fault for fault in faults), faults[:5]


def test_a_table_of_other_columns_is_no_table(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("kind,id,test\n", encoding="utf-8")
    with pytest.raises(ValueError, match="columns"):
        read_table(file)
