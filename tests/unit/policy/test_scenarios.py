"""EVENTS scenarios 7 to 9 in full: what the packs answer, and what the deciders make of the answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from services.collection.assessment import domain as assessing
from services.collection.obligations import events as owed
from services.collection.obligations.domain import Obligation
from services.collection.obligations.facts import CampaignFact, EnrolmentLink, TaxpayerFact
from services.notification.reminders import domain as reminding
from services.notification.reminders.events import BirthdayHoldNotified
from services.registration.facts import Identities, Insured, Resident
from services.registration.policies.domain import Policy
from services.registration.special_assessment import domain as special
from services.registration.special_assessment.events import SpecialPaymentAssessed
from shared.kernel.division import campaign_id
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance
from shared.policy import Assessment, Outcome, Pack, load_pack, revise
from tests.unit.collection.obligation_cases import given

Ask = Callable[..., Assessment]

BIRTHDAY = dt.date(2022, 12, 1)
TURNING_SIXTY = dt.date(1962, 12, 1)


def _village(pack: Pack) -> str:
    return f"{pack.region.division:0<9}201"[:12]


def _campaign(pack: Pack) -> CampaignFact:
    window = pack.window("medical")
    division = pack.region.division
    name = campaign_id(division, pack.insured_year)
    return CampaignFact(name, division, pack.insured_year, pack, window.start, window.end)


def _subject(pack: Pack, insurance: Insurance, birth: dt.date, today: dt.date) -> assessing.Subject:
    """Somebody of the pack's region, linked for one insurance."""
    place, year = _village(pack), pack.insured_year
    campaign = _campaign(pack)
    link = EnrolmentLink(insurance, year, campaign.campaign, place, "r")
    person = TaxpayerFact(
        person_id="p1",
        taxpayer_no="Tp1",
        birth=birth,
        sex="F",
        hukou_division=place,
        residence_permit=False,
        student=False,
        village=place,
        links=(link,),
    )
    return assessing.Subject(insurance, year, person, campaign, today)


# -- scenario 7: the birthday of YC-2023 ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("paid_at", "personal_fen", "held"),
    [
        ("2022-10-21", 35_000, True),
        ("2022-11-30", 35_000, True),
        ("2022-12-01", 17_500, False),
        ("2022-12-20", 17_500, False),
    ],
)
def test_59_online_waits_for_the_birthday_or_pays_350(
    ask: Ask, paid_at: str, personal_fen: int, held: bool
) -> None:
    """Scenario 7, 004:L203-207: 350 to whoever insists, with a warning to wait; on the birthday 175."""
    answer = ask("YC-2023", birth=TURNING_SIXTY.isoformat(), paid_at=paid_at, channel="WECHAT")
    assert (answer.outcome, answer.personal_fen) == (Outcome.DUE, personal_fen)
    assert any(warning.code == "BIRTHDAY_HOLD" for warning in answer.warnings) is held
    assert sum(leg.fen for leg in answer.legs) == answer.standard_fen == 35_000


def test_the_hold_is_found_and_told_once() -> None:
    """Scenario 7: collection finds who should wait, notification tells him once: BirthdayHoldNotified."""
    subject = _subject(load_pack("YC-2023"), Insurance.MEDICAL, TURNING_SIXTY, dt.date(2022, 10, 21))
    events = assessing.assess_now(Obligation(), subject, "REGISTRATION")
    (hold,) = [event for event in events if isinstance(event, owed.BirthdayHoldFound)]
    assert hold.birthday == BIRTHDAY
    assert not assessing.assess_now(given(*events), subject, "CAMPAIGN_OPENED")
    told = ("p1", hold.insurance, hold.year, hold.campaign, hold.village, hold.birthday)
    (notified,) = reminding.notify_birthday_hold(frozenset(), *told)  # type: ignore[misc]
    assert isinstance(notified, BirthdayHoldNotified)
    assert notified.birthday == BIRTHDAY
    assert reminding.notify_birthday_hold(reminding.evolve(frozenset(), notified), *told) == []


# -- scenario 8: late payers ----------------------------------------------------------------------------


def _late(pack: Pack, day: dt.date) -> list[object] | Refusal:
    """Registration asked for a special assessment of an ordinary person who pays late."""
    place, year = _village(pack), pack.insured_year
    resident = Resident(
        person_id="p1",
        birth=dt.date(1980, 6, 1),
        sex="F",
        division=place,
        hukou_division=place,
        residence_permit=False,
        student=False,
        household="",
        identified=True,
        merged_into="",
        died_on=None,
        employee=(),
        elsewhere=frozenset(),
    )
    enrolled = Insured("r", True, dt.date(year, 1, 1), dt.date(year, 12, 31))
    command = special.AssessSpecialPayment(
        person_id="p1", insurance=Insurance.MEDICAL, year=year, kind=special.LATE, paid_at=day
    )
    policy = Policy(campaign_id(pack.region.division, year), pack, None)
    decided = special.assess_special_payment(
        special.SpecialAssessed(), command, resident, enrolled, Identities((), ()), policy
    )
    return decided if isinstance(decided, Refusal) else list(decided)


def test_late_in_2023_is_covered_three_months_later(ask: Ask) -> None:
    """Scenario 8, 004:L133-137, D-23: paid 2023-01-31, covered from 2023-04-30."""
    answer = ask("YC-2023", paid_at="2023-01-31")
    assert (answer.late, answer.personal_fen) == (True, 35_000)
    assert (answer.entitled_from, answer.entitled_to) == (dt.date(2023, 4, 30), dt.date(2023, 12, 31))
    decided = _late(load_pack("YC-2023"), dt.date(2023, 1, 31))
    assert not isinstance(decided, Refusal)
    (assessed,) = decided
    assert isinstance(assessed, SpecialPaymentAssessed)
    assert (assessed.personal_fen, assessed.entitled_from) == (35_000, dt.date(2023, 4, 30))


def test_late_in_2018_is_refused_without_the_fiscal_subsidy(ask: Ask) -> None:
    """Scenario 8, D-21: the plan does not print it: not assessed, by pack and by registration."""
    refused = ask("DZ-2018", paid_at="2018-01-15")
    assert refused.outcome is Outcome.REFUSED
    assert refused.refusal is not None
    assert (refused.refusal.code, refused.refusal.rule) == ("POLICY_UNSPECIFIED", "FISCAL_SUBSIDY_UNKNOWN")
    assert (refused.personal_fen, refused.legs) == (0, ())
    decided = _late(load_pack("DZ-2018"), dt.date(2018, 1, 15))
    assert isinstance(decided, Refusal)
    assert (decided.code, decided.rule) == ("POLICY_UNSPECIFIED", "FISCAL_SUBSIDY_UNKNOWN")


def test_late_in_2018_is_assessed_once_the_subsidy_is_set_with_its_source() -> None:
    """Scenario 8, D-21: a parameter with a source turns the refusal into personal part plus subsidy."""
    revised = revise(load_pack("DZ-2018"), {"medical_fiscal_subsidy_yuan": 450}, "EXT:区财政文件")
    decided = _late(revised, dt.date(2018, 1, 15))
    assert not isinstance(decided, Refusal)
    (assessed,) = decided
    assert isinstance(assessed, SpecialPaymentAssessed)
    assert assessed.personal_fen == revised.standard_fen + 45_000


# -- scenario 9: pension tiers --------------------------------------------------------------------------

ADULT = dt.date(1980, 6, 1)


def _select(pack: Pack, yuan: int) -> list[object] | Refusal:
    subject = _subject(pack, Insurance.PENSION, ADULT, pack.collection.start)
    campaign = _campaign(pack).campaign
    choice = assessing.SelectTier(person_id="p1", year=pack.insured_year, campaign=campaign, tier_yuan=yuan)
    decided = assessing.select_tier(Obligation(), choice, subject)
    return decided if isinstance(decided, Refusal) else list(decided)


@pytest.mark.parametrize(("pack_id", "matching_yuan"), [("DZ-2018", 65), ("ST-2020", 60), ("SC-2025", 80)])
def test_tier_800_and_its_matching_subsidy(ask: Ask, pack_id: str, matching_yuan: int) -> None:
    """Scenario 9, I-26: 800 yuan of one's own, and 65, 60 or 80 on top by the pack's table."""
    pack = load_pack(pack_id)
    day = pack.collection.start.isoformat()
    answer = ask(pack_id, insurance=Insurance.PENSION, tier_yuan=800, paid_at=day)
    assert (answer.personal_fen, answer.matching_subsidy_fen) == (80_000, matching_yuan * 100)
    decided = _select(pack, 800)
    assert not isinstance(decided, Refusal)
    (assessed,) = [event for event in decided if isinstance(event, owed.ContributionAssessed)]
    assert (assessed.standard_fen, assessed.matching_subsidy_fen) == (80_000, matching_yuan * 100)


@pytest.mark.parametrize(
    ("pack_id", "yuan", "rule"),
    [
        ("SC-2025", 300, "TIER_NOT_IN_PACK"),
        ("DZ-2018", 100, "LOWEST_TIER_GROUPS"),
        ("ST-2020", 100, "LOWEST_TIER_GROUPS"),
        ("SC-2025", 100, "LOWEST_TIER_GROUPS"),
    ],
)
def test_a_tier_that_is_not_open_to_an_ordinary_person_is_rejected(
    ask: Ask, pack_id: str, yuan: int, rule: str
) -> None:
    """Scenario 9, I-13: 300 is no tier of SC-2025; 100 is for the listed groups only."""
    pack = load_pack(pack_id)
    day = pack.collection.start.isoformat()
    answer = ask(pack_id, insurance=Insurance.PENSION, tier_yuan=yuan, paid_at=day)
    assert answer.refusal is not None
    assert (answer.refusal.code, answer.refusal.rule) == ("TIER_NOT_ALLOWED", rule)
    decided = _select(pack, yuan)
    assert isinstance(decided, Refusal)
    assert (decided.code, decided.rule) == ("TIER_NOT_ALLOWED", rule)
