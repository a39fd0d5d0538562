"""One payer per person, insurance and year (I-11), legs that sum to the standard (I-12)."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from services.subsidy.eligibility import domain as d
from services.subsidy.eligibility import events as e
from services.subsidy.eligibility.events import Claim
from shared.kernel.insurance import GOVERNMENT, Insurance, Leg, Payer
from shared.policy import Pack, load_pack, revise

PACK = load_pack("ST-2020")
ADULT = dt.date(1970, 5, 1)
DISABLED = Claim("L-disabled", 1, "DISABLED_FEDERATION", "SEVERELY_DISABLED")
DISABLED_CIVIL = Claim("L-civil", 4, "CIVIL_AFFAIRS", "SEVERELY_DISABLED")
MINIMUM = Claim("L-civil", 7, "CIVIL_AFFAIRS", "MINIMUM_LIVING")
SIXTIES = Claim("L-health", 2, "HEALTH", "ELDERLY_60_69")
SEVENTIES = Claim("L-health", 3, "HEALTH", "ELDERLY_70_PLUS")


def claim(
    state: d.Entitlement,
    which: Claim,
    insurance: Insurance = Insurance.MEDICAL,
    birth: dt.date = ADULT,
    died_on: dt.date | None = None,
) -> list[object]:
    command = d.ReceiveClaim("p1", insurance, 2020, "370406-2020", "370406101201", birth, which)
    decision = d.receive_claim(state, command, PACK, died_on)
    assert isinstance(decision, list)
    return list(decision)


def given(*events: object) -> d.Entitlement:
    state = d.Entitlement()
    for event in events:
        state = d.evolve(state, event)  # type: ignore[arg-type]
    return state


def resolved(events: list[object]) -> e.SubsidyEntitlementResolved:
    (found,) = [event for event in events if isinstance(event, e.SubsidyEntitlementResolved)]
    return found


def test_a_listed_person_is_paid_for_by_finance() -> None:
    """002:L71-77, D-29: the department applies, district finance pays all 260 yuan."""
    found = resolved(claim(d.Entitlement(), MINIMUM))
    assert found.legs == (Leg(Payer.FINANCE, 26_000),)
    assert (found.department, found.version, found.government_fen) == ("CIVIL_AFFAIRS", 1, 26_000)


@pytest.mark.parametrize(
    ("which", "birth", "legs"),
    [
        (SIXTIES, dt.date(1955, 6, 1), {Payer.PERSON: 13_000, Payer.FINANCE: 13_000}),
        (SEVENTIES, dt.date(1945, 6, 1), {Payer.FINANCE: 26_000}),
    ],
)
def test_listed_elderly_people(which: Claim, birth: dt.date, legs: dict[Payer, int]) -> None:
    """D-58: listed 60-69 pay half, 70 and over nothing."""
    found = resolved(claim(d.Entitlement(), which, birth=birth))
    assert {leg.payer: leg.fen for leg in found.legs} == legs


def test_two_departments_surface_an_overlap_and_one_pays() -> None:
    """Scenario 3, D-27: 残联 and 民政 both claim a severely disabled person."""
    history = claim(d.Entitlement(), DISABLED_CIVIL)
    history += claim(given(*history), DISABLED)
    (overlap,) = [event for event in history if isinstance(event, e.SubsidyOverlapDetected)]
    assert {each.department for each in overlap.claims} == {"CIVIL_AFFAIRS", "DISABLED_FEDERATION"}
    state = given(*history)
    assert state.resolved is not None
    assert state.resolved.department == "DISABLED_FEDERATION"
    assert sum(leg.fen for leg in state.resolved.legs if leg.payer in GOVERNMENT) == 26_000


def test_the_order_of_claims_does_not_choose_the_payer() -> None:
    one = claim(d.Entitlement(), DISABLED)
    one += claim(given(*one), DISABLED_CIVIL)
    other = claim(d.Entitlement(), DISABLED_CIVIL)
    other += claim(given(*other), DISABLED)
    first, second = given(*one).resolved, given(*other).resolved
    assert first is not None
    assert second is not None
    assert (first.department, first.legs) == (second.department, second.legs)


def test_the_same_line_twice_changes_nothing() -> None:
    history = claim(d.Entitlement(), MINIMUM)
    assert claim(given(*history), MINIMUM) == []


def test_a_category_without_relief_here_is_refused_as_a_fact() -> None:
    """A health list gives no pension relief in ST-2020: the fact is kept, no leg is made up."""
    events = claim(d.Entitlement(), SEVENTIES, Insurance.PENSION, dt.date(1970, 1, 1))
    assert not [event for event in events if isinstance(event, e.SubsidyEntitlementResolved)]
    assert [event for event in events if isinstance(event, e.SubsidyEntitlementRefused)]


def test_government_pays_the_lowest_pension_tier() -> None:
    """002:L59-63: 100 yuan for severely disabled people, by district finance."""
    found = resolved(claim(d.Entitlement(), DISABLED, Insurance.PENSION))
    assert found.legs == (Leg(Payer.FINANCE, 10_000),)


def test_a_dead_person_gets_no_entitlement() -> None:
    """I-16."""
    events = claim(d.Entitlement(), MINIMUM, died_on=dt.date(2019, 10, 1))
    assert [type(event) for event in events] == [e.SubsidyClaimReceived]


def test_a_death_revokes_and_its_correction_restores() -> None:
    """Scenario 4d: a wrong report withdrawn undoes everything."""
    history = claim(d.Entitlement(), MINIMUM)
    died = dt.date(2019, 11, 2)
    revoked = d.revoke(given(*history), "p1", Insurance.MEDICAL, 2020, "DEATH", died, submitted=False)
    assert isinstance(revoked, list)
    state = given(*history, *revoked)
    assert state.resolved is None
    restored = d.restore(state, "p1", Insurance.MEDICAL, 2020, PACK)
    assert isinstance(restored, list)
    again = resolved(list(restored))
    assert (again.version, again.legs) == (3, (Leg(Payer.FINANCE, 26_000),))


def test_a_claim_received_under_a_wrong_death_is_resolved_on_its_correction() -> None:
    """Scenario 4d: the list came while the wrong report stood; nothing had been revoked, nothing is lost."""
    died = dt.date(2019, 11, 2)
    history = claim(d.Entitlement(), DISABLED_CIVIL, died_on=died)
    history += claim(given(*history), DISABLED, died_on=died)
    state = given(*history)
    assert state.resolved is None
    restored = d.restore(state, "p1", Insurance.MEDICAL, 2020, PACK)
    assert isinstance(restored, list)
    found = resolved(list(restored))
    assert (found.version, found.department) == (1, "DISABLED_FEDERATION")
    assert d.restore(given_on(state, [found]), "p1", Insurance.MEDICAL, 2020, PACK) == []


def test_a_death_inside_the_insured_year_holds_no_claim_back() -> None:
    """As with a death that comes after the claim: that year's cover stands (scenario 4b)."""
    assert resolved(claim(d.Entitlement(), MINIMUM, died_on=dt.date(2020, 3, 1))).version == 1


def test_what_the_pack_refused_is_not_refused_again_by_a_correction() -> None:
    """The refusal was not the death's doing: one fact is enough."""
    state = given(*claim(d.Entitlement(), SEVENTIES, Insurance.PENSION, dt.date(1970, 1, 1)))
    assert state.refused
    assert d.restore(state, "p1", Insurance.PENSION, 2020, PACK) == []


def test_a_submitted_leg_is_not_revoked() -> None:
    """The money is on its way: a refund would follow it, never a silent drop."""
    state = given(*claim(d.Entitlement(), MINIMUM))
    died = dt.date(2019, 12, 2)
    assert d.revoke(state, "p1", Insurance.MEDICAL, 2020, "DEATH", died, submitted=True) == []


def test_only_a_death_is_restored() -> None:
    history = claim(d.Entitlement(), MINIMUM)
    ended = d.revoke(
        given(*history), "p1", Insurance.MEDICAL, 2020, "STATUS_END", dt.date(2019, 11, 2), submitted=False
    )
    assert isinstance(ended, list)
    assert d.restore(given(*history, *ended), "p1", Insurance.MEDICAL, 2020, PACK) == []


REVISED = revise(PACK, {"listed_60_69_yuan": 100}, "EXT:test")
BORN_1955 = dt.date(1955, 6, 1)


def review(state: d.Entitlement, pack: Pack = REVISED, *, submitted: bool = False) -> list[object]:
    decision = d.review(state, "p1", Insurance.MEDICAL, 2020, pack, submitted, dt.date(2019, 11, 15))
    assert isinstance(decision, list)
    return list(decision)


def test_a_revised_plan_resolves_what_is_not_on_its_way_again() -> None:
    """D-06, D-58, scenario 14: 60-69 pay 100 by the new version; a submitted leg stands."""
    state = given(*claim(d.Entitlement(), SIXTIES, birth=BORN_1955))
    found = resolved(review(state))
    assert found.legs == (Leg(Payer.PERSON, 10_000), Leg(Payer.FINANCE, 16_000))
    assert (found.version, found.pack_version) == (2, REVISED.version)
    assert review(state, submitted=True) == []
    assert review(given_on(state, [found])) == [], "once per version"


def test_a_claim_refused_for_an_unset_parameter_is_resolved_once_it_is_set() -> None:
    """D-14: YC-2023's fixed aid F; unset it refuses, set by a revision the claim is answered; not for the dead."""
    yicheng = load_pack("YC-2023")
    monitored = Claim("L-rural", 1, "RURAL_REVITALISATION", "RELAPSE_MONITORED")
    command = d.ReceiveClaim("p1", Insurance.MEDICAL, 2023, "370404-2023", "370404001201", ADULT, monitored)
    history = d.receive_claim(d.Entitlement(), command, yicheng, None)
    assert isinstance(history, list)
    assert isinstance(history[-1], e.SubsidyEntitlementRefused)
    assert history[-1].rule == "FIXED_AID_UNKNOWN"
    revised = revise(yicheng, {"fixed_aid_yuan": 150}, "EXT:test")
    day = dt.date(2022, 11, 15)

    def again(pack: Pack, *, alive: bool = True) -> list[object]:
        state = given(*history)
        found = d.review(state, "p1", Insurance.MEDICAL, 2023, pack, False, day, alive=alive)
        assert isinstance(found, list)
        return list(found)

    assert again(yicheng) == [], "still unset"
    assert again(revised, alive=False) == []
    assert resolved(again(revised)).legs == (Leg(Payer.PERSON, 20_000), Leg(Payer.DEPARTMENT, 15_000))


def test_a_relief_the_revised_plan_ends_is_revoked() -> None:
    """D-06: without a government leg there is no entitlement any more."""
    state = given(*claim(d.Entitlement(), SIXTIES, birth=BORN_1955))
    ended = review(state, revise(PACK, {"listed_60_69_yuan": 260}, "EXT:test"))
    assert [type(event) for event in ended] == [e.SubsidyEntitlementRefused, e.SubsidyEntitlementRevoked]
    assert given_on(state, ended).resolved is None


def paid(*legs: Leg) -> d.PaidTerms:
    return d.PaidTerms(sum(leg.fen for leg in legs), legs, "PAID_ONLINE", dt.date(2019, 11, 2))


def test_an_entitlement_follows_what_was_paid() -> None:
    """I-12, I-27: legs that were paid stand; the government pays just its own."""
    state = given(*claim(d.Entitlement(), SIXTIES, birth=BORN_1955))
    assert d.keep_paid_terms(state, paid(Leg(Payer.PERSON, 13_000), Leg(Payer.FINANCE, 13_000)), False) == []
    other = paid(Leg(Payer.PERSON, 10_000), Leg(Payer.FINANCE, 16_000))
    kept = d.keep_paid_terms(state, other, False)
    assert isinstance(kept, list)
    assert resolved(list(kept)).government_fen == 16_000
    assert d.keep_paid_terms(state, other, True) == [], "on its way"


def test_whoever_paid_everything_himself_is_paid_for_by_nobody() -> None:
    """004:L203-207, 000:L129-131: paid whole online, the entitlement ends and no leg is submitted."""
    state = given(*claim(d.Entitlement(), SIXTIES, birth=BORN_1955))
    (ended,) = d.keep_paid_terms(state, paid(Leg(Payer.PERSON, 26_000)), False)  # type: ignore[misc]
    assert isinstance(ended, e.SubsidyEntitlementRevoked)
    assert ended.reason == "PAID_ONLINE"


@for_all(
    st.lists(
        st.sampled_from([DISABLED, DISABLED_CIVIL, MINIMUM, SIXTIES, SEVENTIES]), min_size=1, max_size=6
    ),
    st.dates(dt.date(1930, 1, 1), dt.date(2015, 1, 1)),
    st.sampled_from(list(Insurance)),
)
def test_legs_always_sum_to_the_standard(claims: list[Claim], birth: dt.date, insurance: Insurance) -> None:
    """I-11, I-12 for any order of any claims."""
    state = d.Entitlement()
    for which in claims:
        state = given_on(state, claim(state, which, insurance, birth))
    if state.resolved is not None:
        found = state.resolved
        assert sum(leg.fen for leg in found.legs) == found.standard_fen
        assert all(leg.fen > 0 for leg in found.legs)
        assert 0 < found.government_fen <= found.standard_fen


def given_on(state: d.Entitlement, events: list[object]) -> d.Entitlement:
    for event in events:
        state = d.evolve(state, event)  # type: ignore[arg-type]
    return state
