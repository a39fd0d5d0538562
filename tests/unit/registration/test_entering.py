"""信息录入 decided: nothing that is not paid, not arrived or not reconciled (000:L270-276, I-15)."""

from __future__ import annotations

import datetime as dt

import pytest

from services.registration.data_entry import domain as d
from services.registration.data_entry import events as e
from services.registration.facts import Insured
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance

TODAY = dt.date(2017, 12, 12)
COMMAND = d.EnterLeg(person_id="p1", insurance=Insurance.MEDICAL, year=2018)
GOVERNMENT = d.EnterLeg(person_id="p1", insurance=Insurance.MEDICAL, year=2018, payer="finance")


def enrolled(*, live: bool = True) -> Insured:
    return Insured("medical-2018-p1", live, dt.date(2018, 1, 1), dt.date(2018, 12, 31))


def line(deposit_no: str = "FD-1", document_no: str = "PD-1") -> d.EntryLine:
    return d.EntryLine("370406101-2018", "370406101201", 18000, deposit_no, document_no)


@pytest.mark.parametrize(
    ("known", "paid", "code"),
    [
        (None, False, "NOT_PAID"),
        (None, True, "NOT_ARRIVED"),
        (line("", "PD-1"), True, "NOT_ARRIVED"),
        (line("FD-1", ""), True, "NOT_RECONCILED"),
    ],
)
def test_what_is_missing_is_named(known: d.EntryLine | None, paid: bool, code: str) -> None:
    """先缴费后录入: unpaid, paid and not arrived, arrived and not signed for."""
    refused = d.enter_leg(d.Entered(), COMMAND, enrolled(), known, paid, "ON_LIST", TODAY)
    assert isinstance(refused, Refusal)
    assert refused.code == code


def test_nobody_is_entered_without_a_live_enrolment() -> None:
    """A cancelled enrolment is not entered; its line is left out of the summary."""
    for enrolment in (None, enrolled(live=False)):
        refused = d.enter_leg(d.Entered(), COMMAND, enrolment, line(), True, "ON_LIST", TODAY)
        assert isinstance(refused, Refusal)
        assert refused.code == "NOT_ENROLLED"


def test_a_leg_is_entered_once() -> None:
    """The entry names its document and deposit; entered before, nothing new is said."""
    entered = d.enter_leg(d.Entered(), COMMAND, enrolled(), line(), True, "ON_LIST", TODAY)
    assert isinstance(entered, list)
    [event] = entered
    assert isinstance(event, e.EnrolmentEntered)
    assert (event.document_no, event.deposit_no, event.fen, event.operator) == (
        "PD-1",
        "FD-1",
        18000,
        "STATION",
    )
    state = d.evolve(d.Entered(), event)
    assert d.enter_leg(state, COMMAND, enrolled(), line(), True, "ON_LIST", TODAY) == []
    other = d.enter_leg(state, GOVERNMENT, enrolled(), line(), False, "ON_LIST", TODAY)
    assert isinstance(other, list)
    assert len(other) == 1


def test_government_legs_count_by_list_or_on_arrival() -> None:
    """D-52: ON_LIST enters what stands in a document; ON_ARRIVAL waits for finance's money."""
    waiting = line("", "PD-GOV-1")
    by_list = d.enter_leg(d.Entered(), GOVERNMENT, enrolled(), waiting, False, "ON_LIST", TODAY)
    assert isinstance(by_list, list)
    assert len(by_list) == 1
    waits = d.enter_leg(d.Entered(), GOVERNMENT, enrolled(), waiting, False, "ON_ARRIVAL", TODAY)
    assert isinstance(waits, Refusal)
    assert waits.code == "NOT_ARRIVED"
