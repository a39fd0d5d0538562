"""Given what is known of a person, when something new is learned, then what he owes."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest
from hypothesis import given as each
from hypothesis import strategies as st

from services.collection.assessment import domain as d
from services.collection.obligations import events as e
from services.collection.obligations.domain import Obligation, evolve
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance, Leg, Payer
from shared.policy import Pack, load_packs
from tests.unit.collection.obligation_cases import CAMPAIGN, TODAY, campaign, given, person, received

MEDICAL, PENSION = Insurance.MEDICAL, Insurance.PENSION
CIVIL = (Leg(Payer.FINANCE, 26000),)


def subject(insurance: Insurance = MEDICAL, **changes: object) -> d.Subject:
    known = {"person": person(), "campaign": campaign(), **changes}
    return d.Subject(insurance, 2020, today=TODAY, **known)  # type: ignore[arg-type]


def entitlement(version: int = 1, **changes: object) -> d.Entitlement:
    fields = {
        "person_id": "p1",
        "insurance": MEDICAL,
        "year": 2020,
        "campaign": CAMPAIGN,
        "version": version,
        "category": "MINIMUM_LIVING",
        "department": "CIVIL_AFFAIRS",
        "standard_fen": 26000,
        "legs": CIVIL,
    }
    return d.Entitlement(**{**fields, **changes})  # type: ignore[arg-type]


def after(state: Obligation, events: list[object]) -> Obligation:
    for event in events:
        state = evolve(state, event)  # type: ignore[arg-type]
    return state


def only(events: object) -> e.ContributionAssessed:
    assert isinstance(events, list)
    found = [event for event in events if isinstance(event, e.ContributionAssessed)]
    assert len(found) == 1, events
    return found[0]


def test_a_linked_person_owes_the_standard() -> None:
    """002:L69: 260 yuan, by the pack the campaign was opened with, whose version and digest are recorded."""
    assessed = only(d.assess_now(Obligation(), subject(), "REGISTRATION"))
    assert (assessed.standard_fen, assessed.legs) == (26000, (Leg(Payer.PERSON, 26000),))
    assert assessed.assessment_id == "2020-medical-p1-1"
    assert (assessed.pack_id, assessed.pack_version) == ("ST-2020", 1)
    assert assessed.pack_digest == campaign().pack.digest  # type: ignore[union-attr]


def test_asked_again_nothing_new_is_recorded() -> None:
    """The same causes give the same terms: no event, so replays and repeats change nothing."""
    first = d.assess_now(Obligation(), subject(), "REGISTRATION")
    assert d.assess_now(given(*first), subject(), "CAMPAIGN_OPENED") == []


@pytest.mark.parametrize(
    "missing",
    [
        {"person": None},
        {"campaign": None},
        {"campaign": campaign(campaign="370406101-2020")},
        {"person": person(links=())},
    ],
)
def test_while_something_is_missing_nothing_is_decided(missing: dict[str, object]) -> None:
    """EVENTS 4: linked and campaign open, else nothing yet; the later cause asks again."""
    assert d.assess_now(Obligation(), subject(**missing), "REGISTRATION") == []


def test_another_version_of_the_pack_decides_nothing() -> None:
    """architecture §5: a service whose pack differs from the open campaign's does not decide."""
    mismatched = d.CampaignFact(CAMPAIGN, "370406", 2020, None, TODAY, TODAY)
    assert d.assess_now(Obligation(), subject(campaign=mismatched), "REGISTRATION") == []


def test_who_is_not_eligible_is_refused_once() -> None:
    """I-04: hukou outside and no permit; asked again the refusal is not repeated."""
    outside = subject(person=person(hukou_division="370102001001"))
    refused = d.assess_now(Obligation(), outside, "REGISTRATION")
    assert [(event.code, event.rule) for event in refused] == [("HUKOU", "I-04")]  # type: ignore[attr-defined]
    assert d.assess_now(given(*refused), outside, "CAMPAIGN_OPENED") == []


def test_a_permit_holder_from_elsewhere_is_assessed() -> None:
    """D-04: a residence permit counts when the hukou lies outside the pack's region."""
    holder = subject(person=person(hukou_division="370102001001", residence_permit=True))
    assert only(d.assess_now(Obligation(), holder, "REGISTRATION")).standard_fen == 26000


def test_an_entitlement_moves_the_legs_while_unpaid() -> None:
    """I-12: reassessed with subsidy's legs; the legs still sum to the standard."""
    state = given(*d.assess_now(Obligation(), subject(), "REGISTRATION"))
    noted, reassessed = d.note_entitlement(state, entitlement(), subject())
    assert isinstance(noted, e.EntitlementNoted)
    assert isinstance(reassessed, e.ContributionReassessed)
    assert (reassessed.version, reassessed.reason, reassessed.legs) == (2, "SUBSIDY", CIVIL)


def test_an_entitlement_that_comes_first_is_used_when_the_person_is_linked() -> None:
    """Messages of two services may cross: the answer is the same (ADR 0012)."""
    early = d.note_entitlement(Obligation(), entitlement(), subject(person=None))
    assert [type(event) for event in early] == [e.EntitlementNoted]
    assert only(d.assess_now(given(*early), subject(), "REGISTRATION")).legs == CIVIL


def test_an_older_entitlement_changes_nothing() -> None:
    """Versions rise; a repeated or older one is no event."""
    state = given(*d.note_entitlement(Obligation(), entitlement(2), subject()))
    assert d.note_entitlement(state, entitlement(2), subject()) == []
    assert d.note_entitlement(state, entitlement(1), subject()) == []


def test_a_revoked_entitlement_leaves_the_person_the_standard() -> None:
    """EVENTS 4: revoked before payment: the person owes all of it again."""
    state = given(*d.note_entitlement(Obligation(), entitlement(), subject()))
    revoked = entitlement(2, category="", legs=(), standard_fen=0, reason="DEATH")
    assert only(d.note_entitlement(state, revoked, subject())).legs == (Leg(Payer.PERSON, 26000),)


def test_legs_that_do_not_sum_to_the_standard_are_refused() -> None:
    """I-12: Σ legs = personal standard; the refusal is kept as an event."""
    wrong = entitlement(legs=(Leg(Payer.FINANCE, 25000),))
    events = d.note_entitlement(Obligation(), wrong, subject())
    assert [event.rule for event in events if isinstance(event, e.AssessmentRefused)] == ["I-12"]


def test_the_paid_keep_their_assessment() -> None:
    """I-14: reassessed only while unpaid; subsidy is told that the paid legs stand (I-12)."""
    state = given(*d.assess_now(Obligation(), subject(), "REGISTRATION"), received())
    noted, kept = d.note_entitlement(state, entitlement(), subject())
    assert isinstance(noted, e.EntitlementNoted)
    assert isinstance(kept, e.PaidTermsKept)
    assert (kept.legs, kept.reason) == ((Leg(Payer.PERSON, 26_000),), "PAID_BEFORE")
    moved = subject(person=person(student=True, birth=dt.date(1976, 1, 1)))
    assert d.assess_now(state, moved, "REGISTRATION") == []


def test_a_vouchered_government_leg_counts_as_paid() -> None:
    """I-27: what finance is paying for is not reassessed."""
    noted = d.note_entitlement(Obligation(), entitlement(), subject())
    vouchered = e.GovernmentLegVouchered(
        person_id="p1", insurance=MEDICAL, year=2020, payer="finance", fen=26000, voucher_no="V-GOV-1"
    )
    state = given(*noted, vouchered)
    assert d.assess_now(state, subject(person=person(birth=dt.date(1976, 1, 1))), "REGISTRATION") == []


def dearer(yuan: int = 280) -> Pack:
    """ST-2020's next version, with another standard."""
    shipped = campaign().pack
    assert shipped is not None
    document = shipped.document
    personal = msgspec.structs.replace(document.medical.personal, value=yuan)
    medical = msgspec.structs.replace(document.medical, personal=personal)
    return Pack(msgspec.structs.replace(document, version=2, medical=medical))


def revised(state: Obligation, pack: Pack) -> list[object]:
    return list(d.assess_now(state, subject(campaign=campaign(pack)), "PACK_REVISED"))


def test_a_revision_reassesses_the_unpaid_and_names_whose_amount_differs() -> None:
    """D-06, scenario 14: 260 becomes 280; the difference is a fact of its own."""
    state = given(*d.assess_now(Obligation(), subject(), "REGISTRATION"))
    reassessed, found = revised(state, dearer())
    assert isinstance(reassessed, e.ContributionReassessed)
    assert (reassessed.pack_version, reassessed.reason) == (2, "PACK_REVISED")
    assert isinstance(found, e.RevisionDifferenceFound)
    assert (found.before_personal_fen, found.after_personal_fen) == (26_000, 28_000)
    assert (found.previous_version, found.pack_version) == (1, 2)
    assert revised(after(state, [reassessed, found]), dearer()) == [], "once"


def test_a_revision_that_leaves_the_amount_names_nobody() -> None:
    """D-06: the version is new, the amount is not."""
    state = given(*d.assess_now(Obligation(), subject(), "REGISTRATION"))
    assert [type(event) for event in revised(state, dearer(260))] == [e.ContributionReassessed]


def test_a_revision_leaves_the_paid_alone() -> None:
    """I-14: paid assessments keep their version."""
    state = given(*d.assess_now(Obligation(), subject(), "REGISTRATION"), received())
    assert revised(state, dearer()) == []


def test_a_relieved_person_waits_for_subsidy_after_a_revision() -> None:
    """I-12, I-31: legs of the old standard hold until subsidy has resolved by the new one."""
    state = given(*d.note_entitlement(Obligation(), entitlement(), subject()))
    assert revised(state, dearer()) == []
    newer = entitlement(2, standard_fen=28_000, legs=(Leg(Payer.FINANCE, 28_000),))
    noted, reassessed, found = d.note_entitlement(state, newer, subject(campaign=campaign(dearer())))
    assert isinstance(noted, e.EntitlementNoted)
    assert isinstance(reassessed, e.ContributionReassessed)
    assert isinstance(found, e.RevisionDifferenceFound)
    assert (found.before_standard_fen, found.after_standard_fen, found.after_personal_fen) == (
        26_000,
        28_000,
        0,
    )


def test_a_tier_the_revised_pack_has_not_is_named_with_its_rule() -> None:
    """I-13, D-06: the choice falls away; the difference says why."""
    chosen = d.select_tier(Obligation(), tier(600), subject(PENSION))
    state = given(*_events(chosen))  # type: ignore[arg-type]
    document = dearer(260).document
    tiers = tuple(each for each in document.pension.tiers if each.yuan != 600)
    pack = Pack(
        msgspec.structs.replace(document, pension=msgspec.structs.replace(document.pension, tiers=tiers))
    )
    refused, found = d.assess_now(state, subject(PENSION, campaign=campaign(pack)), "PACK_REVISED")
    assert isinstance(refused, e.AssessmentRefused)
    assert isinstance(found, e.RevisionDifferenceFound)
    assert (found.after_standard_fen, found.rule) == (0, "TIER_NOT_IN_PACK")


def test_a_cancelled_enrolment_takes_the_assessment_back() -> None:
    """EVENTS 1: cancelled and unpaid: nothing is owed; linked again it gets the next version."""
    state = given(*d.assess_now(Obligation(), subject(), "REGISTRATION"))
    cancelled = d.assess_now(state, subject(person=person(links=())), "REGISTRATION")
    assert [event.code for event in cancelled] == ["ENROLMENT_CANCELLED"]  # type: ignore[attr-defined]
    state = after(state, list(cancelled))
    assert state.assessment is None
    assert only(d.assess_now(state, subject(), "REGISTRATION")).version == 2


def test_a_special_assessment_is_taken_as_it_is() -> None:
    """I-31: exactly registration's amount until its date; the same number again is nothing new."""
    special = d.SpecialAssessment(
        person_id="p1",
        insurance=MEDICAL,
        year=2020,
        campaign=CAMPAIGN,
        assessment_no="S-1",
        kind="LATE",
        personal_fen=78000,
        fiscal_fen=52000,
        valid_to=dt.date(2020, 2, 29),
    )
    events = d.note_special_assessment(Obligation(), special, subject())
    assessed = only(events)
    assert (assessed.standard_fen, assessed.special_assessment_no) == (78000, "S-1")
    assert assessed.valid_to == dt.date(2020, 2, 29)
    assert d.note_special_assessment(given(*events), special, subject()) == []


# -- pension ------------------------------------------------------------------------------------


def tier(yuan: int) -> d.SelectTier:
    return d.SelectTier(person_id="p1", year=2020, campaign=CAMPAIGN, tier_yuan=yuan)


def test_a_pension_without_a_tier_has_no_amount() -> None:
    """EVENTS 4: a line without a tier cannot be paid; that is no refusal."""
    assert d.assess_now(Obligation(), subject(PENSION), "REGISTRATION") == []


@pytest.mark.parametrize(("yuan", "matching"), [(300, 3000), (500, 6000), (800, 6000), (5000, 6000)])
def test_a_tier_is_assessed_with_its_matching_subsidy(yuan: int, matching: int) -> None:
    """D-06: ST-2020 matches 30 below 500 and 60 from 500 up (scenario 9)."""
    events = d.select_tier(Obligation(), tier(yuan), subject(PENSION))
    assessed = only(events)
    assert (assessed.standard_fen, assessed.matching_subsidy_fen) == (yuan * 100, matching)
    assert assessed.tier_yuan == yuan


@pytest.mark.parametrize(("yuan", "rule"), [(100, "LOWEST_TIER_GROUPS"), (350, "TIER_NOT_IN_PACK")])
def test_a_tier_the_pack_refuses_is_refused_at_once(yuan: int, rule: str) -> None:
    """I-13: 100 only for listed groups; 350 is no tier of this pack."""
    refused = d.select_tier(Obligation(), tier(yuan), subject(PENSION))
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.rule) == ("TIER_NOT_ALLOWED", rule)


def test_a_tier_may_change_until_it_is_paid() -> None:
    """I-14: a new choice is a new version; after payment the tier stays."""
    state = given(*_events(d.select_tier(Obligation(), tier(300), subject(PENSION))))
    changed = only(d.select_tier(state, tier(500), subject(PENSION)))
    assert (changed.version, changed.standard_fen) == (2, 50000)
    refused = d.select_tier(after(state, [received(30000, PENSION)]), tier(500), subject(PENSION))
    assert isinstance(refused, Refusal)
    assert refused.code == "ALREADY_PAID"


def test_a_tier_needs_a_link_to_the_campaign() -> None:
    """EVENTS 2: who is not linked has nothing to choose for."""
    refused = d.select_tier(Obligation(), tier(300), subject(PENSION, person=person(links=())))
    assert isinstance(refused, Refusal)
    assert refused.rule == "NOT_LINKED"


def test_government_paid_people_stand_at_the_lowest_tier_whatever_they_chose() -> None:
    """D-54: no top-up by default; the earlier choice gives way to the entitlement."""
    state = given(*_events(d.select_tier(Obligation(), tier(300), subject(PENSION))))
    paid_for = entitlement(
        insurance=PENSION, category="DESTITUTE", standard_fen=10000, legs=(Leg(Payer.FINANCE, 10000),)
    )
    assessed = only(d.note_entitlement(state, paid_for, subject(PENSION)))
    assert (assessed.tier_yuan, assessed.legs) == (100, (Leg(Payer.FINANCE, 10000),))


def test_minors_and_the_old_pay_no_pension() -> None:
    """I-04, D-44: under 16 and over 59 are refused by rule."""
    for birth, code in ((dt.date(2004, 12, 1), "AGE_UNDER_16"), (dt.date(1955, 1, 1), "AGE_OVER_MAX")):
        refused = d.select_tier(Obligation(), tier(300), subject(PENSION, person=person(birth)))
        assert isinstance(refused, Refusal)
        assert refused.code == code


def _events(decision: object) -> list[object]:
    assert isinstance(decision, list), decision
    return decision


# -- every pack ---------------------------------------------------------------------------------


@each(
    pack=st.sampled_from(sorted(load_packs().values(), key=lambda found: found.id)),
    birth=st.dates(dt.date(1930, 1, 1), dt.date(2017, 1, 1)),
    permit=st.booleans(),
)
def test_legs_always_sum_to_the_standard(pack: Pack, birth: dt.date, permit: bool) -> None:
    """I-12 for every pack and age: Σ legs = standard, none negative, never a zero leg."""
    village = f"{pack.region.division:0<9}201"[:12]
    found = campaign(
        pack, campaign=f"{pack.region.division}-{pack.insured_year}", division=pack.region.division
    )
    link = d.EnrolmentLink(MEDICAL, pack.insured_year, found.campaign, village, "r")
    someone = person(
        birth, hukou_division="110101001001" if permit else village, residence_permit=permit, links=(link,)
    )
    about = d.Subject(MEDICAL, pack.insured_year, someone, found, TODAY)
    for event in d.assess_now(Obligation(), about, "REGISTRATION"):
        if isinstance(event, e.ContributionAssessed):
            assert sum(leg.fen for leg in event.legs) == event.standard_fen
            assert all(leg.fen > 0 for leg in event.legs)
        else:
            assert isinstance(event, (e.AssessmentRefused, e.BirthdayHoldFound))


# -- birthdays ----------------------------------------------------------------------------------


def yicheng(birth: dt.date, today: dt.date) -> d.Subject:
    """Someone of YC-2023 with a medical link."""
    pack = load_packs()["YC-2023"]
    place = campaign(pack, campaign="370404-2023", division="370404", year=2023)
    link = d.EnrolmentLink(MEDICAL, 2023, "370404-2023", "370404101201", "r")
    someone = person(birth, hukou_division="370404101201", village="370404101201", links=(link,))
    return d.Subject(MEDICAL, 2023, someone, place, today)


def test_whoever_turns_sixty_this_year_is_held_until_the_birthday() -> None:
    """Scenario 7, 004:L203-207: paying online before the birthday costs more; told once, with the date."""
    before = yicheng(dt.date(1962, 11, 20), dt.date(2022, 10, 21))
    events = d.assess_now(Obligation(), before, "REGISTRATION")
    holds = [event for event in events if isinstance(event, e.BirthdayHoldFound)]
    assert [hold.birthday for hold in holds] == [dt.date(2022, 11, 20)]
    assert only(events).legs[0].fen == 17500
    assert d.assess_now(given(*events), before, "CAMPAIGN_OPENED") == []


@pytest.mark.parametrize(
    ("birth", "today"),
    [
        (dt.date(1962, 11, 20), dt.date(2022, 11, 20)),
        (dt.date(1962, 9, 1), dt.date(2022, 10, 1)),
        (dt.date(1963, 11, 20), dt.date(2022, 10, 21)),
    ],
)
def test_nobody_else_is_held(birth: dt.date, today: dt.date) -> None:
    """On the birthday, with it before the window, or at another age there is nothing to wait for."""
    events = d.assess_now(Obligation(), yicheng(birth, today), "REGISTRATION")
    assert not [event for event in events if isinstance(event, e.BirthdayHoldFound)]
