"""Money for people: applied, appropriated, transferred, submitted (I-27; 002:L412-416)."""

from __future__ import annotations

import datetime as dt

import pytest

from services.subsidy.funding import domain as d
from services.subsidy.funding import events as e
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance

KEY = d.FundKey("CIVIL_AFFAIRS", 2020, "370406-2020")
LINES = tuple(e.GovernmentLine(f"p{n}", "370406101201", "finance", 26_000) for n in range(3))


def given(*events: object) -> d.Fund:
    state = d.Fund()
    for event in events:
        state = d.evolve(state, event)  # type: ignore[arg-type]
    return state


def events_of(decision: object) -> list[object]:
    assert isinstance(decision, list)
    return decision


def funded(fen: int = 78_000) -> list[object]:
    history = events_of(d.apply_for_fund(d.Fund(), KEY, 3, 78_000))
    history = history + events_of(d.appropriate_fund(given(*history), KEY, 78_000))
    return history + events_of(d.transfer_fund(given(*history), KEY, fen))


def test_an_application_restates_the_need() -> None:
    history = events_of(d.apply_for_fund(d.Fund(), KEY, 3, 78_000))
    assert d.apply_for_fund(given(*history), KEY, 3, 78_000) == []
    more = events_of(d.apply_for_fund(given(*history), KEY, 4, 104_000))
    assert given(*history, *more).applied_fen == 104_000


@pytest.mark.parametrize(
    ("decision", "code"),
    [
        (d.apply_for_fund(d.Fund(), KEY, 0, 0), "NOTHING_TO_APPLY"),
        (d.appropriate_fund(d.Fund(), KEY, 1), "OVER_APPLICATION"),
        (d.appropriate_fund(d.Fund(applied_fen=5), KEY, 0), "AMOUNT_INVALID"),
        (d.transfer_fund(d.Fund(applied_fen=5), KEY, 5), "OVER_APPROPRIATION"),
        (d.transfer_fund(d.Fund(appropriated_fen=5), KEY, -1), "AMOUNT_INVALID"),
        (d.submit_government_payment(d.Fund(), KEY, Insurance.MEDICAL, ()), "NOTHING_TO_SUBMIT"),
        (d.submit_government_payment(d.Fund(), KEY, Insurance.MEDICAL, LINES), "FUND_INSUFFICIENT"),
    ],
)
def test_money_never_moves_beyond_the_step_before(decision: object, code: str) -> None:
    """I-27: submitted <= transferred <= appropriated <= applied."""
    assert isinstance(decision, Refusal)
    assert decision.code == code


def test_a_government_payment_carries_every_line_and_its_totals() -> None:
    (event,) = events_of(d.submit_government_payment(given(*funded()), KEY, Insurance.MEDICAL, LINES))
    assert isinstance(event, e.GovernmentPaymentSubmitted)
    assert event.payment_no == "GP-370406-2020-CIVIL_AFFAIRS-medical-1"
    assert (event.total_count, event.total_fen, event.lines) == (3, 78_000, LINES)


def test_a_long_payment_comes_in_parts_with_one_number() -> None:
    lines = tuple(e.GovernmentLine(f"p{n}", "370406101201", "finance", 1) for n in range(801))
    events = events_of(d.submit_government_payment(given(*funded()), KEY, Insurance.MEDICAL, lines))
    parts = [event for event in events if isinstance(event, e.GovernmentPaymentSubmitted)]
    assert [len(part.lines) for part in parts] == [400, 400, 1]
    assert {part.payment_no for part in parts} == {"GP-370406-2020-CIVIL_AFFAIRS-medical-1"}
    state = given(*funded(), *parts)
    assert (state.payments, state.submitted_fen) == (1, 801)


def test_what_was_submitted_counts_against_the_money() -> None:
    history = funded(fen=77_999)
    refusal = d.submit_government_payment(given(*history), KEY, Insurance.MEDICAL, LINES)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "FUND_INSUFFICIENT"


def test_finance_approves_a_refund_once() -> None:
    """RefundApproved follows verification by 人社/医保 (I-31)."""
    request = e.RefundApprovalRequested(
        refund_no="F-1",
        person_id="p1",
        campaign="370406-2020",
        insurance=Insurance.MEDICAL,
        year=2020,
        fen=26_000,
    )
    unknown = d.approve_refund(d.Approval(), "finance", dt.date(2019, 11, 1))
    assert isinstance(unknown, Refusal)
    assert unknown.code == "REFUND_UNKNOWN"
    state = d.Approval()
    for event in events_of(d.request_approval(state, request)):
        state = d.evolve_approval(state, event)  # type: ignore[arg-type]
    assert d.request_approval(state, request) == []
    (approved,) = events_of(d.approve_refund(state, "finance", dt.date(2019, 11, 1)))
    assert isinstance(approved, e.RefundApproved)
    assert approved.fen == 26_000
    state = d.evolve_approval(state, approved)
    again = d.approve_refund(state, "finance", dt.date(2019, 11, 2))
    assert isinstance(again, Refusal)
    assert again.code == "REFUND_APPROVED"
    # Cancelled by a corrected death and opened once more: the approval stands and is told again (scenario 4).
    assert d.request_approval(state, request) == [approved]
