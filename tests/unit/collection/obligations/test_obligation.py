"""Given events of an obligation, then what is owed, what stands paid, and what is told to others."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from services.collection.obligations import events as e
from services.collection.obligations.facts import AgentFact, campaign_refusal
from services.collection.obligations.publication import ObligationPublication
from services.collection.obligations.stream import obligation
from shared.contracts import collection as c
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded
from shared.kernel.clock import SHANGHAI
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance, Leg, Payer
from tests.unit.collection.obligation_cases import CAMPAIGN, VILLAGE, campaign, given, received

MEDICAL = Insurance.MEDICAL
MOMENT = dt.datetime(2019, 11, 2, 9, tzinfo=SHANGHAI)


def assessed(version: int = 1, legs: tuple[Leg, ...] = (Leg(Payer.PERSON, 26000),)) -> e.ContributionAssessed:
    return e.ContributionAssessed(
        assessment_id=f"2020-medical-p1-{version}",
        version=version,
        person_id="p1",
        insurance=MEDICAL,
        year=2020,
        campaign=CAMPAIGN,
        village=VILLAGE,
        birth=dt.date(1975, 5, 1),
        standard_fen=26000,
        legs=legs,
        pack_id="ST-2020",
        pack_version=1,
        pack_digest="d",
    )


def refused() -> e.AssessmentRefused:
    return e.AssessmentRefused(
        person_id="p1",
        insurance=MEDICAL,
        year=2020,
        campaign=CAMPAIGN,
        village=VILLAGE,
        code="ENROLMENT_CANCELLED",
        rule="",
    )


def after_death(line: e.PaymentReceived) -> e.PostDeathPaymentDetected:
    return e.PostDeathPaymentDetected(
        payment_id=line.payment_id,
        line_id=line.line_id,
        order_no=line.order_no,
        channel=line.channel,
        person_id=line.person_id,
        insurance=line.insurance,
        year=line.year,
        campaign=line.campaign,
        village=line.village,
        fen=line.fen,
        paid_at=line.paid_at,
        died_on=dt.date(2019, 11, 1),
        was_effective=True,
    )


def test_one_stream_per_person_insurance_and_year() -> None:
    """I-17: the same person's two insurances and two years are four streams."""
    streams = {obligation(year, insurance, "p1").id for year in (2020, 2021) for insurance in Insurance}
    assert len(streams) == 4
    assert obligation(2020, MEDICAL, "p1").id == "obligation:2020:medical:p1"
    assert obligation(2020, MEDICAL, "p1").era == 2020


def test_the_person_owes_his_own_leg_only() -> None:
    """I-12: government's legs are not collected from the person."""
    halves = (Leg(Payer.PERSON, 13000), Leg(Payer.FINANCE, 13000))
    state = given(assessed(legs=halves))
    assert state.assessment is not None
    assert state.assessment.personal_fen == 13000
    assert given(assessed(legs=(Leg(Payer.FINANCE, 26000),))).assessment.personal_fen == 0  # type: ignore[union-attr]


def test_a_refusal_takes_an_unpaid_assessment_back_and_leaves_a_paid_one() -> None:
    """I-14: what was paid keeps its assessment."""
    assert given(assessed(), refused()).assessment is None
    assert given(assessed(), refused()).refused == "ENROLMENT_CANCELLED"
    assert given(assessed(), refused()).assessed_version == 1
    assert given(assessed(), received(), refused()).assessment is not None


def test_a_finding_after_death_can_be_withdrawn() -> None:
    """I-16, scenario 4d: effective, then not, then again."""
    line = received()
    state = given(assessed(), line)
    assert state.effective is not None
    found = after_death(line)
    assert given(assessed(), line, found).effective is None
    back = e.PostDeathFindingWithdrawn(line_id=line.line_id, person_id="p1")
    assert given(assessed(), line, found, back).effective is not None


def test_a_refunded_payment_no_longer_stands() -> None:
    """I-28: whole payment paid back: the leg is open again."""
    refund = e.PaymentRefunded(
        person_id="p1",
        insurance=MEDICAL,
        year=2020,
        line_id="WECHAT-1/1",
        refund_no="F-1",
        fen=26000,
        paid_on=dt.date(2019, 12, 1),
    )
    state = given(assessed(), received(), refund)
    assert state.effective is None
    assert [line.standing for line in state.lines.values()] == ["REFUNDED"]


def test_unknown_events_change_nothing() -> None:
    """Streams: what is in the log happened; an event this aggregate does not know leaves it as it is."""

    class SomethingElse(Event, frozen=True, kw_only=True):
        pass

    assert given(assessed(), SomethingElse()) == given(assessed())


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (assessed(), c.ContributionAssessedV1),
        (
            e.ContributionReassessed(**msgspec.structs.asdict(assessed(2)), reason="SUBSIDY"),
            c.ContributionAssessedV1,
        ),
        (refused(), c.AssessmentRefusedV1),
        (received(), c.PaymentReceivedV1),
        (after_death(received()), c.PostDeathPaymentDetectedV1),
        (
            e.BirthdayHoldFound(
                person_id="p1",
                insurance=MEDICAL,
                year=2020,
                campaign=CAMPAIGN,
                village=VILLAGE,
                birthday=dt.date(2019, 12, 1),
            ),
            c.BirthdayHoldFoundV1,
        ),
    ],
)
def test_each_event_is_told_in_the_published_language(event: Event, message: type[Any]) -> None:
    """architecture §4: private events are not the contract; each gives exactly one message, keyed by the person."""
    recorded = Recorded(1, "id", 2020, "obligation:x", 1, event, Metadata(""), MOMENT, MOMENT)
    told = ObligationPublication().publish(recorded)
    assert [type(found) for found in told] == [message]
    assert told[0].key() == "p1"
    assert type(event) in ObligationPublication.handles


def test_a_campaign_that_cannot_decide_says_why() -> None:
    """architecture §5: no campaign, or another version of its pack: nothing is decided."""
    assert campaign_refusal(campaign()) is None
    for fact, code in (
        (None, "NO_CAMPAIGN"),
        (
            campaign().__class__(CAMPAIGN, "370406", 2020, None, dt.date(2019, 10, 1), dt.date(2019, 12, 20)),
            "PACK_MISMATCH",
        ),
    ):
        refusal = campaign_refusal(fact)
        assert refusal is not None
        assert refusal.code == code


def test_an_agent_collects_in_his_scope_while_he_is_authorised() -> None:
    """EVENTS 2: 指定代收范围: insurance and division, and not after revocation."""
    fields: dict[str, Any] = {
        "agent_id": "A-1",
        "campaign": CAMPAIGN,
        "village": VILLAGE,
        "virtual_household_id": "VH-1",
        "unit_id": "U-1",
        "designated_account": "ACC-1",
        "channels": ("CASH_AGENT",),
        "insurances": (MEDICAL,),
        "divisions": (VILLAGE[:9],),
        "mode": "FULL",
        "active": True,
    }
    agent = AgentFact(**fields)
    assert agent.may_collect(MEDICAL, VILLAGE)
    assert not agent.may_collect(Insurance.PENSION, VILLAGE)
    assert not agent.may_collect(MEDICAL, "370406102201")
    assert not AgentFact(**fields | {"active": False}).may_collect(MEDICAL, VILLAGE)
