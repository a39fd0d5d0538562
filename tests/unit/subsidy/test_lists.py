"""Lists: the stamp, the lines, what is released (I-10; 004:L225-236)."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from services.subsidy.lists import domain as d
from services.subsidy.lists import events as e
from services.subsidy.lists.events import ListLine
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance

TODAY = dt.date(2019, 10, 8)
YEAR = dt.date(2020, 1, 1)


def lines(count: int) -> tuple[ListLine, ...]:
    return tuple(ListLine(number, f"p{number}", YEAR) for number in range(1, count + 1))


def submit(found: tuple[ListLine, ...], stamped: int | None = None) -> d.SubmitList:
    return d.SubmitList(
        "L1",
        "CIVIL_AFFAIRS",
        "MINIMUM_LIVING",
        Insurance.MEDICAL,
        2020,
        "370406-2020",
        len(found) if stamped is None else stamped,
        "002:L359-372",
        found,
        dt.date(2019, 10, 25),
    )


def given(*events: object) -> d.SubsidyList:
    state = d.SubsidyList()
    for event in events:
        state = d.evolve(state, event)  # type: ignore[arg-type]
    return state


def submitted(found: tuple[ListLine, ...]) -> list[object]:
    decision = d.submit_list(d.SubsidyList(), submit(found), TODAY)
    assert isinstance(decision, list)
    return list(decision)


def test_a_list_is_a_header_and_pages_of_lines() -> None:
    header, first, second, third = submitted(lines(1_001))
    assert isinstance(header, e.SubsidyListSubmitted)
    assert (header.stamped_total, header.unmatched, header.late) == (1_001, 0, False)
    assert isinstance(first, e.SubsidyListLinesRecorded)
    assert isinstance(second, e.SubsidyListLinesRecorded)
    assert isinstance(third, e.SubsidyListLinesRecorded)
    assert [len(page.lines) for page in (first, second, third)] == [500, 500, 1]
    assert (third.part, third.parts) == (3, 3)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (submit(lines(2), stamped=3), "STAMPED_TOTAL_MISMATCH"),
        (submit(()), "LIST_EMPTY"),
        (submit((*lines(1), ListLine(1, "p9", YEAR))), "LINE_NO_REPEATED"),
    ],
)
def test_a_list_that_does_not_add_up_is_refused(command: d.SubmitList, code: str) -> None:
    """I-10: stamped total = number of lines."""
    refusal = d.submit_list(d.SubsidyList(), command, TODAY)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code


def test_a_list_id_is_used_once() -> None:
    refusal = d.submit_list(given(*submitted(lines(1))), submit(lines(1)), TODAY)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "LIST_EXISTS"


def test_a_late_list_is_accepted_and_flagged() -> None:
    """I-10, D-09: a warning, not a rejection."""
    decision = d.submit_list(d.SubsidyList(), submit(lines(1)), dt.date(2019, 10, 26))
    assert isinstance(decision, list)
    assert isinstance(decision[0], e.SubsidyListSubmitted)
    assert decision[0].late


def test_a_person_twice_on_one_list_fails_the_second_line() -> None:
    _, page = submitted((ListLine(1, "p1", YEAR), ListLine(2, "p1", YEAR)))
    assert isinstance(page, e.SubsidyListLinesRecorded)
    assert [line.error for line in page.lines] == ["", "DUPLICATE"]


def test_two_unmatched_lines_keep_their_own_error() -> None:
    """No person id is no person: two unknown numbers are not duplicates of each other."""
    unknown = (ListLine(1, "", YEAR, "NOT_ENROLLED"), ListLine(2, "", YEAR, "ID_INVALID"))
    _, page = submitted(unknown)
    assert isinstance(page, e.SubsidyListLinesRecorded)
    assert [line.error for line in page.lines] == ["NOT_ENROLLED", "ID_INVALID"]


def test_verification_releases_the_good_lines_only() -> None:
    history = submitted((*lines(2), ListLine(3, "", YEAR, "NOT_ENROLLED")))
    decision = d.verify_list(given(*history), "stamp-1", 3, "civil-affairs")
    assert isinstance(decision, list)
    verified, released = decision
    assert isinstance(verified, e.SubsidyListVerified)
    assert isinstance(released, e.SubsidyLinesReleased)
    assert [line.line_no for line in released.lines] == [1, 2]


@pytest.mark.parametrize(
    ("history", "stamp", "count", "code"),
    [
        ([], "s", 1, "LIST_UNKNOWN"),
        (submitted(lines(1)), "  ", 1, "STAMP_MISSING"),
        (submitted(lines(1)), "s", 2, "STAMPED_TOTAL_MISMATCH"),
    ],
)
def test_verification_needs_stamp_and_count(history: list[object], stamp: str, count: int, code: str) -> None:
    refusal = d.verify_list(given(*history), stamp, count, "civil-affairs")
    assert isinstance(refusal, Refusal)
    assert refusal.code == code


def test_a_list_is_verified_once() -> None:
    history = submitted(lines(1))
    decision = d.verify_list(given(*history), "s", 1, "civil-affairs")
    assert isinstance(decision, list)
    refusal = d.verify_list(given(*history, *decision), "s", 1, "civil-affairs")
    assert isinstance(refusal, Refusal)
    assert refusal.code == "LIST_VERIFIED"


FAILED_BEFORE = d.Resubmitted(
    "CIVIL_AFFAIRS", "MINIMUM_LIVING", Insurance.MEDICAL, "370406-2020", frozenset({1, 3})
)


def resubmit(number: int, corrects: d.Resubmitted | None = FAILED_BEFORE) -> d.SubmitList:
    found = (ListLine(number, f"p{number}", YEAR),)
    return replace(submit(found), list_id="L2", resubmits="L1", corrects=corrects)


def test_failed_lines_come_back_corrected_under_their_numbers() -> None:
    """I-10: a correction names its predecessor in the header and with the lines."""
    decision = d.submit_list(d.SubsidyList(), resubmit(3), TODAY)
    assert isinstance(decision, list)
    header, page = decision
    assert isinstance(header, e.SubsidyListSubmitted)
    assert isinstance(page, e.SubsidyListLinesRecorded)
    assert (header.resubmits, page.resubmits) == ("L1", "L1")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (resubmit(3, None), "LIST_UNKNOWN"),
        (resubmit(2), "LINE_NOT_FAILED"),
        (resubmit(3, replace(FAILED_BEFORE, insurance=Insurance.PENSION)), "LIST_DIFFERS"),
        (resubmit(3, replace(FAILED_BEFORE, department="HEALTH")), "LIST_DIFFERS"),
    ],
)
def test_only_failed_lines_of_the_same_kind_of_list_are_corrected(command: d.SubmitList, code: str) -> None:
    """I-10: what was imported is not claimed again by a correction."""
    refusal = d.submit_list(d.SubsidyList(), command, TODAY)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code
