"""What an online payment is held to where the pack says so: YC-2023's birthday, DZ-2018's relief."""

from __future__ import annotations

import datetime as dt

import pytest

from services.collection.obligations import events as e
from services.collection.obligations.domain import Obligation, evolve
from services.collection.obligations.facts import AgentFact, CampaignFact, RosterFact
from services.collection.payments.domain import Knowledge, Placement, ReceiptState, place_order
from services.collection.payments.orders import Order, OrderLine, Receipt
from shared.kernel.clock import SHANGHAI
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance, Leg, Payer
from shared.policy import Pack, load_pack

YC, DZ = load_pack("YC-2023"), load_pack("DZ-2018")
TURNING_60 = dt.date(1962, 11, 20)
HALF = (Leg(Payer.PERSON, 17_500), Leg(Payer.FINANCE, 17_500))


def _assessed(
    pack: Pack, birth: dt.date, legs: tuple[Leg, ...], category: str = "", *more: object
) -> Obligation:
    year = pack.insured_year
    event = e.ContributionAssessed(
        assessment_id=f"{year}-medical-p1-1",
        version=1,
        person_id="p1",
        insurance=Insurance.MEDICAL,
        year=year,
        campaign=f"{pack.region.division}-{year}",
        village=f"{pack.region.division[:6]}101201",
        birth=birth,
        standard_fen=sum(leg.fen for leg in legs),
        legs=legs,
        category=category,
        pack_id=pack.id,
        pack_version=pack.version,
        pack_digest=pack.digest,
    )
    state = evolve(Obligation(), event)
    for other in more:
        state = evolve(state, other)  # type: ignore[arg-type]
    return state


def _pay(
    pack: Pack, state: Obligation, day: str, fen: int, channel: str = "WECHAT", **order: object
) -> Placement | Refusal:
    year = pack.insured_year
    campaign = f"{pack.region.division}-{year}"
    village = f"{pack.region.division[:6]}101201"
    fact = CampaignFact(
        campaign, pack.region.division, year, pack, pack.window("medical").start, pack.window("medical").end
    )
    agent = AgentFact(
        "A-1", campaign, village, "VH", "U", "ACC", (), tuple(Insurance), (village[:9],), "FULL", True
    )
    roster = RosterFact(f"{campaign}.{village}", village, 1, 0, 17_500, True, True)
    known = Knowledge({campaign: fact}, {}, {(campaign, Insurance.MEDICAL, "p1"): roster}, {campaign: agent})
    paid_at = dt.datetime.combine(dt.date.fromisoformat(day), dt.time(10), SHANGHAI)
    line = OrderLine("p1", year, Insurance.MEDICAL, fen)
    asked = Order("O-1", channel, paid_at, (line,), **order)  # type: ignore[arg-type]
    receipt = ReceiptState() if asked.receipt is not None else None
    return place_order(asked, {line.key: state}, known, None, receipt)


def test_before_the_birthday_the_half_is_refused_online_with_its_reason() -> None:
    """004:L203-207, D-43: given 59 on the day and 60 at the year's end, when half is offered online: refused."""
    refused = _pay(YC, _assessed(YC, TURNING_60, HALF), "2022-11-19", 17_500)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.rule) == ("AMOUNT_NOT_ASSESSED", "BIRTHDAY_HOLD")
    assert refused.clause.startswith("004:L203-207")


def test_before_the_birthday_whoever_insists_pays_the_whole_online() -> None:
    """Scenario 7: 350 if insisted; the payment brings the version it was held to (I-12, I-14)."""
    placed = _pay(YC, _assessed(YC, TURNING_60, HALF), "2022-11-19", 35_000)
    assert isinstance(placed, Placement)
    (line,) = placed.lines
    reassessed, kept, received = line.events
    assert isinstance(reassessed, e.ContributionReassessed)
    assert (reassessed.version, reassessed.reason, reassessed.legs) == (
        2,
        "PAID_ONLINE",
        (Leg(Payer.PERSON, 35_000),),
    )
    assert isinstance(kept, e.PaidTermsKept)
    assert (kept.legs, kept.reason) == (reassessed.legs, "PAID_ONLINE")
    assert isinstance(received, e.PaymentReceived)
    assert (received.assessment_id, received.fen, received.standard_fen) == (
        "2023-medical-p1-2",
        35_000,
        35_000,
    )
    state = _assessed(YC, TURNING_60, HALF, "", reassessed, received)
    assert state.effective is not None
    assert state.assessment is not None
    assert state.assessment.personal_fen == 35_000


@pytest.mark.parametrize("day", ["2022-11-20", "2022-12-20"])
def test_from_the_birthday_on_the_half_is_what_is_owed_online(day: str) -> None:
    """004:L203-207: on the day itself the payer is 60; 350 is then refused (I-14)."""
    state = _assessed(YC, TURNING_60, HALF)
    placed = _pay(YC, state, day, 17_500)
    assert isinstance(placed, Placement)
    assert [type(event) for event in placed.lines[0].events] == [e.PaymentReceived]
    assert isinstance(_pay(YC, state, day, 35_000), Refusal)


def test_an_agent_takes_the_half_before_the_birthday() -> None:
    """D-43: by agent, counter or list the age at the year's end decides; only online waits."""
    state = _assessed(YC, TURNING_60, HALF)
    cash = _pay(
        YC, state, "2022-11-01", 17_500, "CASH_AGENT", agent_id="A-1", receipt=Receipt("B-1", "000001")
    )
    assert isinstance(cash, Placement)
    assert [type(event) for event in cash.lines[0].events] == [e.PaymentReceived]
    counter = _pay(YC, state, "2022-11-01", 17_500, "BANK_BRANCH")
    assert isinstance(counter, Placement)


def test_turning_seventy_costs_half_online_until_the_birthday() -> None:
    """004:L119-123: nothing is due at the year's end; online before the birthday it is the half."""
    state = _assessed(YC, dt.date(1952, 12, 1), (Leg(Payer.FINANCE, 35_000),))
    assert isinstance(_pay(YC, state, "2022-11-19", 35_000), Refusal)
    placed = _pay(YC, state, "2022-11-19", 17_500)
    assert isinstance(placed, Placement)
    reassessed = placed.lines[0].events[0]
    assert isinstance(reassessed, e.ContributionReassessed)
    assert reassessed.legs == HALF
    later = _pay(YC, state, "2022-12-01", 17_500)
    assert isinstance(later, Refusal)
    assert later.rule == "NOTHING_DUE"


def test_final_money_of_the_wrong_half_is_kept_and_given_back() -> None:
    """I-14: captured money is recorded; half before the birthday is a wrong amount, a refund follows."""
    placed = _pay(YC, _assessed(YC, TURNING_60, HALF), "2022-11-19", 17_500, captured=True)
    assert isinstance(placed, Placement)
    (line,) = placed.lines
    assert line.standing == "WRONG_AMOUNT"
    assert [type(event) for event in line.events] == [e.MisfitPaymentDetected]


def test_a_leg_the_government_has_paid_cannot_be_forfeited() -> None:
    """I-12, I-17: the government's half is vouchered, so the half is owed online too."""
    vouchered = e.GovernmentLegVouchered(
        person_id="p1", insurance=Insurance.MEDICAL, year=2023, payer="finance", fen=17_500, voucher_no="V-1"
    )
    state = _assessed(YC, TURNING_60, HALF, "", vouchered)
    assert isinstance(_pay(YC, state, "2022-11-19", 17_500), Placement)
    assert isinstance(_pay(YC, state, "2022-11-19", 35_000), Refusal)


def test_a_category_keeps_its_relief_online_in_2023() -> None:
    """004:L113-121: only the age waits for a birthday; an exempt category owes nothing anywhere."""
    state = _assessed(YC, TURNING_60, (Leg(Payer.FINANCE, 35_000),), "SEVERELY_DISABLED")
    refused = _pay(YC, state, "2022-11-19", 35_000)
    assert isinstance(refused, Refusal)
    assert refused.rule == "NOTHING_DUE"


def test_paying_online_forfeits_the_relief_of_2018() -> None:
    """000:L129-131: an exempt person who pays on the website pays all of it; at the village nothing is due."""
    state = _assessed(DZ, dt.date(1950, 1, 1), (Leg(Payer.PERSON, 9_000), Leg(Payer.FINANCE, 9_000)))
    half = _pay(DZ, state, "2017-11-20", 9_000, "HR_WEBSITE")
    assert isinstance(half, Refusal)
    assert (half.rule, half.clause) == ("RELIEF_FORFEITED_ONLINE", "000:L129-131")
    placed = _pay(DZ, state, "2017-11-20", 18_000, "HR_WEBSITE")
    assert isinstance(placed, Placement)
    assert [type(event).__name__ for event in placed.lines[0].events] == [
        "ContributionReassessed",
        "PaidTermsKept",
        "PaymentReceived",
    ]


def test_where_the_pack_is_silent_the_channel_changes_nothing() -> None:
    """D-43: SC-2025 has one age for every channel."""
    pack = load_pack("SC-2025")
    state = _assessed(pack, dt.date(1964, 12, 1), (Leg(Payer.PERSON, 20_000), Leg(Payer.FINANCE, 20_000)))
    assert isinstance(_pay(pack, state, "2024-10-20", 20_000), Placement)
    assert isinstance(_pay(pack, state, "2024-10-20", 40_000), Refusal)
