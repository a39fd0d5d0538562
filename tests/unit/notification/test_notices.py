"""Notices: days, objections and closing (I-09, D-10)."""

from __future__ import annotations

import datetime as dt

import pytest

from services.notification.notices import domain as d
from services.notification.notices import events as e
from services.notification.notices.consumer import which_notice
from shared.contracts.collection import VillageRosterSignedV1
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance
from shared.policy import load_pack

DISPATCHED = dt.date(2019, 10, 16)
NOTICE_ID = d.roster_notice_id("370406-2020.370406101201", 1)


def start(kind: str = d.ROSTER, days: int = 3) -> d.StartNotice:
    return d.StartNotice(NOTICE_ID, kind, "370406-2020", "370406101201", "370406-2020.370406101201", 1, days)


def given(*events: object) -> d.Notice:
    state = d.Notice()
    for event in events:
        state = d.evolve(state, event)  # type: ignore[arg-type]
    return state


def started(kind: str = d.ROSTER) -> list[object]:
    decision = d.start_notice(d.Notice(), start(kind), DISPATCHED)
    assert isinstance(decision, list)
    return list(decision)


def test_three_days_include_the_first_and_the_last() -> None:
    """ST-2020 flow step 3: 公示 3 天."""
    (event,) = started()
    assert isinstance(event, e.RosterNoticeStarted)
    assert (event.from_date, event.to_date) == (DISPATCHED, dt.date(2019, 10, 18))


def test_a_repeated_dispatch_starts_nothing() -> None:
    assert d.start_notice(given(*started()), start(), dt.date(2019, 10, 17)) == []


def test_a_notice_without_days_is_refused() -> None:
    refusal = d.start_notice(d.Notice(), start(days=0), DISPATCHED)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "NOTICE_DAYS_INVALID"


@pytest.mark.parametrize("day", [16, 17, 18])
def test_it_does_not_close_while_its_days_run(day: int) -> None:
    """I-09: at least the required days."""
    refusal = d.close_notice(given(*started()), NOTICE_ID, dt.date(2019, 10, day))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "NOTICE_RUNNING"


def test_it_closes_on_the_day_after() -> None:
    decision = d.close_notice(given(*started()), NOTICE_ID, dt.date(2019, 10, 19))
    assert isinstance(decision, list)
    assert isinstance(decision[0], e.RosterNoticeClosed)
    assert d.close_notice(given(*started(), *decision), NOTICE_ID, dt.date(2019, 10, 20)) == []


def objection(state: d.Notice, claim: str = "WRONG_AMOUNT") -> list[object]:
    decision = d.raise_objection(state, NOTICE_ID, d.RaiseObjection("p1", claim, Insurance.MEDICAL))
    assert isinstance(decision, list)
    return list(decision)


def test_an_open_objection_keeps_it_open_until_collection_resolves_it() -> None:
    """I-09: closes only with all objections resolved."""
    history = started()
    history += objection(given(*history))
    late = dt.date(2019, 10, 21)
    refusal = d.close_notice(given(*history), NOTICE_ID, late)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "OBJECTIONS_OPEN"
    resolved = d.receive_resolution(given(*history), NOTICE_ID, f"{NOTICE_ID}-O1", "UPHELD")
    assert isinstance(resolved, list)
    history += resolved
    assert d.receive_resolution(given(*history), NOTICE_ID, f"{NOTICE_ID}-O1", "UPHELD") == []
    closed = d.close_notice(given(*history), NOTICE_ID, late)
    assert isinstance(closed, list)
    assert isinstance(closed[0], e.RosterNoticeClosed)


def test_a_person_has_one_open_objection_of_a_claim() -> None:
    """I-09: the same again waits for collection's answer; another claim or another person does not."""
    history = started()
    history += objection(given(*history))
    again = d.raise_objection(given(*history), NOTICE_ID, d.RaiseObjection("p1", "WRONG_AMOUNT"))
    assert isinstance(again, Refusal)
    assert (again.code, again.rule) == ("INVALID_STATE", "OBJECTION_OPEN")
    for other in (d.RaiseObjection("p1", "MOVED_AWAY"), d.RaiseObjection("p2", "WRONG_AMOUNT")):
        assert isinstance(d.raise_objection(given(*history), NOTICE_ID, other), list)
    resolved = d.receive_resolution(given(*history), NOTICE_ID, f"{NOTICE_ID}-O1", "REJECTED")
    assert isinstance(resolved, list)
    (second,) = objection(given(*history, *resolved))
    assert isinstance(second, e.RosterObjectionRaised)
    assert second.objection_id == f"{NOTICE_ID}-O2"


def test_objections_are_numbered_within_their_notice() -> None:
    history = started()
    history += objection(given(*history))
    (second,) = objection(given(*history), "MOVED_AWAY")
    assert isinstance(second, e.RosterObjectionRaised)
    assert second.objection_id == f"{NOTICE_ID}-O2"


@pytest.mark.parametrize(
    ("history", "claim", "code"),
    [
        ([], "WRONG_AMOUNT", "NOTICE_UNKNOWN"),
        (started(), "PAID_NOT_LISTED", "CLAIM_UNKNOWN"),
        (started("PRE_DECLARATION"), "MOVED_AWAY", "CLAIM_UNKNOWN"),
    ],
)
def test_objections_that_do_not_fit_are_refused(history: list[object], claim: str, code: str) -> None:
    refusal = d.raise_objection(given(*history), NOTICE_ID, d.RaiseObjection("p1", claim))
    assert isinstance(refusal, Refusal)
    assert refusal.code == code


def test_a_closed_notice_takes_no_objection() -> None:
    history = started()
    closed = d.close_notice(given(*history), NOTICE_ID, dt.date(2019, 10, 19))
    assert isinstance(closed, list)
    refusal = d.raise_objection(given(*history, *closed), NOTICE_ID, d.RaiseObjection("p1", "WRONG_AMOUNT"))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "NOTICE_CLOSED"


def test_an_unknown_objection_is_not_resolved() -> None:
    refusal = d.receive_resolution(given(*started()), NOTICE_ID, "nobody's", "UPHELD")
    assert isinstance(refusal, Refusal)
    assert refusal.code == "OBJECTION_UNKNOWN"


def test_payment_notices_keep_their_kind() -> None:
    """D-10: one notice before declaration, one after treasury entry."""
    history = started("PRE_DECLARATION")
    assert isinstance(history[0], e.PaymentNoticeStarted)
    (raised,) = objection(given(*history), "PAID_NOT_LISTED")
    assert isinstance(raised, e.PaymentObjectionRaised)
    resolved = d.receive_resolution(given(*history, raised), NOTICE_ID, raised.objection_id, "REJECTED")
    assert isinstance(resolved, list)
    closed = d.close_notice(given(*history, raised, *resolved), NOTICE_ID, dt.date(2019, 10, 19))
    assert isinstance(closed, list)
    assert isinstance(closed[0], e.PaymentNoticeClosed)
    assert closed[0].kind == "PRE_DECLARATION"


@pytest.mark.parametrize(
    ("pack", "kind"), [("ST-2020", "PRE_DECLARATION"), ("SC-2025", "YEAR_END"), ("YC-2023", "YEAR_END")]
)
def test_a_signed_roster_is_shown_before_its_declaration_or_after_the_window(pack: str, kind: str) -> None:
    """D-10; 003:L99, 004:L209-213: where the plan shows payments once the window has ended, the signature starts it."""
    signed = VillageRosterSignedV1(
        roster_id="370406-2020.370406101201", campaign="370406-2020", village="370406101201", count=1, fen=1
    )
    found, notice_id, _ = which_notice(signed, load_pack(pack))
    assert (found, notice_id) == (kind, f"N-{kind}-370406-2020.370406101201")
