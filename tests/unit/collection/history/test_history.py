"""Given last year's payers, when this year is assessed, then who goes on, who is new and who lapsed (D-12)."""

from __future__ import annotations

import datetime as dt

import msgspec

from services.collection.history import domain as d
from services.collection.history import events as e
from services.collection.history.events import HistoryLine
from services.collection.obligations.facts import EnrolmentLink, TaxpayerFact
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance

MEDICAL, PENSION = Insurance.MEDICAL, Insurance.PENSION
VILLAGE, OTHER = "370406001201", "370406001202"


def command(*lines: HistoryLine, village: str = VILLAGE) -> d.RecordHistory:
    return d.RecordHistory(2024, village, "金三", lines)


def recorded(*lines: HistoryLine) -> d.History:
    state = d.History()
    for event in _events(d.record_history(state, command(*lines))):
        state = d.evolve(state, event)
    return state


def _events(decision: object) -> list[e.PaymentHistoryRecorded]:
    assert isinstance(decision, list), decision
    return decision


def test_a_village_of_history_is_kept_in_parts() -> None:
    """D-12: 1,201 lines are events of at most 500, each well under 64 KiB."""
    lines = [HistoryLine(f"p{number:031d}", MEDICAL, 38_000) for number in range(1201)]
    events = _events(d.record_history(d.History(), command(*lines)))
    assert sum(len(event.lines) for event in events) == 1201
    assert all(len(event.lines) <= 500 and len(msgspec.json.encode(event)) < 65_536 for event in events)


def test_the_same_line_again_is_nothing_new() -> None:
    """A file handed in twice, or a line doubled in it, changes nothing."""
    line = HistoryLine("p1", MEDICAL, 38_000)
    assert _events(d.record_history(recorded(line), command(line))) == []
    (event,) = _events(d.record_history(d.History(), command(line, line)))
    assert event.lines == (line,)


def test_another_amount_or_village_for_a_line_is_refused() -> None:
    """History is never written over (D-12)."""
    state = recorded(HistoryLine("p1", MEDICAL, 38_000))
    for again in (
        command(HistoryLine("p1", MEDICAL, 39_000)),
        command(HistoryLine("p1", MEDICAL, 38_000), village=OTHER),
        command(HistoryLine("p2", MEDICAL, 1), HistoryLine("p2", MEDICAL, 2)),
    ):
        refused = d.record_history(state, again)
        assert isinstance(refused, Refusal)
        assert (refused.code, refused.clause) == ("HISTORY_DIFFERS", "D-12")


def test_a_line_that_cannot_be_is_refused() -> None:
    """A village has 12 digits, money is not negative."""
    negative = d.record_history(d.History(), command(HistoryLine("p1", MEDICAL, -1)))
    assert isinstance(negative, Refusal)
    assert negative.field == "lines.0.paid_fen"
    assert isinstance(d.record_history(d.History(), command(village="370406001")), Refusal)


def person(person_id: str, *links: EnrolmentLink) -> TaxpayerFact:
    return TaxpayerFact(
        person_id, f"T{person_id}", dt.date(1970, 1, 1), "F", VILLAGE, False, False, VILLAGE, links=links
    )


def link(insurance: Insurance, village: str = VILLAGE) -> EnrolmentLink:
    return EnrolmentLink(insurance, 2026, "370406001-2026", village, f"{insurance.value}-2026-x")


def test_who_lapsed_and_why() -> None:
    """Scenario 13: deaths, moves, refusals, missing tiers and missing registrations are told apart."""
    before = [
        d.Paid("goes-on", MEDICAL, 40_000, "BOOKED"),
        d.Paid("dead", MEDICAL, 40_000, "BOOKED"),
        d.Paid("moved", MEDICAL, 40_000, "FILE"),
        d.Paid("sixty", PENSION, 35_000, "BOOKED"),
        d.Paid("undecided", PENSION, 35_000, "BOOKED"),
        d.Paid("gone", MEDICAL, 40_000, "BOOKED"),
    ]
    now = [
        d.Owed("goes-on", MEDICAL, dt.date(1980, 1, 1), ""),
        d.Owed("dead", MEDICAL, dt.date(1940, 1, 1), ""),
        d.Owed("sixty", PENSION, None, "AGE_OVER_MAX"),
        d.Owed("new", MEDICAL, dt.date(2025, 9, 1), ""),
    ]
    persons = {
        "moved": person("moved", link(MEDICAL, OTHER)),
        "sixty": person("sixty", link(PENSION)),
        "undecided": person("undecided", link(PENSION)),
        "gone": person("gone"),
    }
    gone = d.lapsed(before, now, persons, {"dead": dt.date(2025, 5, 1)}, VILLAGE, 2026)
    assert {each.person_id: each.reason for each in gone} == {
        "dead": "DIED",
        "moved": "MOVED",
        "sixty": "AGE_OVER_MAX",
        "undecided": "NO_TIER",
        "gone": "NOT_REGISTERED",
    }
    found = d.changes(before, now, gone, 2026)
    assert (found.continuing, found.new) == (2, 1)
    assert found.lapsed == {"AGE_OVER_MAX": 1, "DIED": 1, "MOVED": 1, "NOT_REGISTERED": 1, "NO_TIER": 1}


def test_new_sixties_and_seventies_are_counted_once() -> None:
    """D-43: who turned 60 or 70 in the year before the insured year, for medical insurance."""
    now = [
        d.Owed("60", MEDICAL, dt.date(1965, 12, 31), ""),
        d.Owed("59", MEDICAL, dt.date(1966, 1, 1), ""),
        d.Owed("61", MEDICAL, dt.date(1964, 12, 31), ""),
        d.Owed("70", MEDICAL, dt.date(1955, 1, 1), ""),
        d.Owed("60p", PENSION, dt.date(1965, 6, 1), ""),
        d.Owed("refused", MEDICAL, dt.date(1965, 6, 1), "HUKOU"),
    ]
    found = d.changes([], now, [], 2026)
    assert (found.turned_60, found.turned_70) == (1, 1)
