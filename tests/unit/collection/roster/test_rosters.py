"""Given a roster's events, when somebody signs, publishes or amends, then events or a refusal."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given as each
from hypothesis import strategies as st

from services.collection.roster import domain as d
from services.collection.roster import events as e
from services.collection.roster import objections as o
from services.collection.roster.events import RosterEntry
from services.collection.roster.lines import MAX_LINES, line_events, parts, totals
from services.collection.roster.publication import RosterPublication
from services.collection.roster.state import Roster, evolve, key_of
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded
from shared.kernel.clock import SHANGHAI
from shared.kernel.errors import Refusal
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance
from shared.policy import load_pack
from tests.unit.collection.obligation_cases import CAMPAIGN, VILLAGE, campaign

PLACE = d.Place(CAMPAIGN, VILLAGE)
MEDICAL = Insurance.MEDICAL
TAX = d.Review(role="TAX_BRANCH", actor="t1", organisation="tax-branch")
TOWN = d.Review(role="TOWN_AGENCY", actor="a1", organisation="town-agency")


def entry(person_id: str, personal_fen: int = 26000) -> RosterEntry:
    return RosterEntry(person_id, MEDICAL, 26000, personal_fen)


def owing(*entries: RosterEntry, **more: Any) -> d.Candidates:
    owed = {(found.person_id, found.insurance): found for found in entries}
    return d.Candidates(owed, **more)


THREE = owing(entry("p1"), entry("p2"), entry("p3", 0), lapsed=1)


def events_of(decision: list[Event] | Refusal) -> list[Event]:
    assert isinstance(decision, list), decision
    return decision


def rule(decision: object) -> str:
    assert isinstance(decision, Refusal), decision
    return decision.rule


def fold(state: Roster, events: Iterable[Event]) -> Roster:
    for event in events:
        state = evolve(state, event)
    return state


def generated() -> Roster:
    return fold(Roster(), events_of(d.generate(Roster(), PLACE, campaign(), THREE)))


def formed() -> Roster:
    state = fold(generated(), events_of(d.review(generated(), PLACE, TAX)))
    return fold(state, events_of(d.review(state, PLACE, TOWN)))


def published() -> Roster:
    return fold(formed(), events_of(d.dispatch(formed(), PLACE, campaign(), "TOWN_AGENCY", ("A-1",))))


def noticed(state: Roster | None = None) -> Roster:
    state = state or published()
    return fold(state, d.note_notice_closed(state, PLACE, "N-1", 1, dt.date(2019, 11, 4)))


def final() -> Roster:
    return fold(noticed(), events_of(d.finalise(noticed(), PLACE, THREE)))


def test_the_list_is_generated_from_assessments_with_both_totals() -> None:
    """I-08, D-12: at standard and due from persons; last year's payers who are missing are counted."""
    header = events_of(d.generate(Roster(), PLACE, campaign(), THREE))[0]
    assert isinstance(header, e.PaymentInfoListGenerated)
    assert (header.count, header.standard_fen, header.personal_fen) == (3, 78000, 52000)
    assert (header.basis, header.lapsed_count) == ("REGISTRATION", 1)


def test_the_basis_is_the_packs() -> None:
    """D-12: DZ-2022 and SC-2025 start from the tax history."""
    pack = load_pack("DZ-2022")
    village = "370406101201"
    place = d.Place("370406101-2022", village)
    about = campaign(pack, campaign="370406101-2022", division="370406101", year=2022)
    header = events_of(d.generate(Roster(), place, about, THREE))[0]
    assert isinstance(header, e.PaymentInfoListGenerated)
    assert header.basis == "TAX_HISTORY"


def test_nobody_to_list_and_foreign_villages_are_refused() -> None:
    """EVENTS 3: an empty list is no list; a village of another campaign is not ours."""
    assert rule(d.generate(Roster(), PLACE, campaign(), owing())) == "ROSTER_EMPTY"
    foreign = d.Place(CAMPAIGN, "110101001001")
    assert rule(d.generate(Roster(), foreign, campaign(), THREE)) == "DIVISION"
    unopened = d.generate(Roster(), PLACE, None, THREE)
    assert isinstance(unopened, Refusal)
    assert unopened.code == "NO_CAMPAIGN"


def test_generated_again_the_reviews_start_anew() -> None:
    """EVENTS 3: a signature stands for the list it was given on."""
    state = fold(generated(), events_of(d.review(generated(), PLACE, TAX)))
    state = fold(state, events_of(d.generate(state, PLACE, campaign(), owing(entry("p1")))))
    assert state.reviews == {}
    assert len(state.listed) == 1
    assert rule(d.generate(formed(), PLACE, campaign(), THREE)) == "ROSTER_FORMED"


def test_the_second_signature_forms_the_roster() -> None:
    """002:L135-137: tax branch and town agency; header and lines agree with the list."""
    state = fold(generated(), events_of(d.review(generated(), PLACE, TAX)))
    assert not state.formed
    events = events_of(d.review(state, PLACE, TOWN))
    assert [type(event).__name__ for event in events] == [
        "RosterPreliminarilyReviewed",
        "CollectionRosterFormed",
        "RosterLines",
    ]
    assert fold(state, events).lines == generated().listed


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (msgspec.structs.replace(TOWN, actor="t1"), "REVIEWERS_DIFFER"),
        (msgspec.structs.replace(TOWN, organisation="tax-branch"), "REVIEWERS_DIFFER"),
        (TAX, "REVIEWED"),
        (msgspec.structs.replace(TOWN, role="MAYOR"), "REVIEW_ROLE"),
    ],
)
def test_the_two_signatures_differ_in_person_organisation_and_role(second: d.Review, expected: str) -> None:
    """EVENTS 3: one event per signature, different persons and organisations."""
    state = fold(generated(), events_of(d.review(generated(), PLACE, TAX)))
    assert rule(d.review(state, PLACE, second)) == expected


def test_nothing_is_reviewed_that_was_not_generated_or_is_formed() -> None:
    """EVENTS 4: GENERATED → REVIEWED → FORMED, in order."""
    assert rule(d.review(Roster(), PLACE, TAX)) == "NOT_GENERATED"
    assert rule(d.review(formed(), PLACE, TAX)) == "ROSTER_FORMED"


def test_a_formed_roster_is_dispatched_once() -> None:
    """002:L138-143: handed to the town and the agents; the pack's notice is awaited; again is nothing new."""
    event = events_of(d.dispatch(formed(), PLACE, campaign(), "TOWN_AGENCY", ("A-1",)))[0]
    assert isinstance(event, e.RosterDispatched)
    assert (event.notice, event.count, event.version) == (True, 3, 1)
    assert published().awaited == {0}
    assert d.dispatch(published(), PLACE, campaign(), "TOWN_AGENCY", ()) == []
    assert rule(d.dispatch(generated(), PLACE, campaign(), "TOWN_AGENCY", ())) == "NOT_FORMED"
    assert rule(d.dispatch(formed(), PLACE, campaign(), "TOWN_AGENCY", (), 1)) == "SUPPLEMENT"


def test_a_plan_without_a_roster_notice_awaits_none() -> None:
    """FACTS 1.6: DZ-2022 has no roster notice, so dispatch is enough to go on."""
    pack = load_pack("DZ-2022")
    place = d.Place("370406101-2022", VILLAGE)
    about = campaign(pack, campaign="370406101-2022", division="370406101", year=2022)
    state = fold(formed(), events_of(d.dispatch(formed(), place, about, "TOWN_AGENCY", ())))
    assert state.awaited == frozenset()
    assert events_of(d.finalise(state, place, THREE))


def test_a_notice_closes_once_and_only_for_what_was_dispatched() -> None:
    """I-09: the version that was published; others and repeats change nothing."""
    assert d.note_notice_closed(published(), PLACE, "N-1", 7, dt.date(2019, 11, 4)) == []
    assert noticed().awaited == frozenset()
    assert d.note_notice_closed(noticed(), PLACE, "N-1", 1, dt.date(2019, 11, 4)) == []


def test_an_amendment_adds_removes_and_refreshes() -> None:
    """EVENTS 3: a new version with +lines, −lines and reasons; amounts are the current ones."""
    now = owing(entry("p1", 0), entry("p2"), entry("p3", 0), entry("p4"))
    events = events_of(
        d.amend(published(), PLACE, (d.Line("p4", MEDICAL),), (d.Line("p2", MEDICAL, "MOVED_AWAY"),), now)
    )
    header = events[0]
    assert isinstance(header, e.RosterAmended)
    assert (header.version, header.added, header.changed, header.count) == (2, 1, 1, 3)
    assert [(found.person_id, found.reason) for found in header.removed] == [("p2", "MOVED_AWAY")]
    state = fold(published(), events)
    assert {key[0] for key in state.lines} == {"p1", "p3", "p4"}
    assert header.personal_fen == 26000


def test_the_dead_and_the_cancelled_go_without_being_named() -> None:
    """I-08: no dead, cancelled or duplicate person."""
    now = owing(entry("p3", 0), dead=frozenset({"p1"}))
    header = events_of(d.amend(published(), PLACE, (), (), now))[0]
    assert isinstance(header, e.RosterAmended)
    assert {(found.person_id, found.reason) for found in header.removed} == {
        ("p1", "DEATH"),
        ("p2", "CANCELLED"),
    }


def test_nothing_to_amend_is_no_new_version() -> None:
    """EVENTS 3: versions tell of changes."""
    assert d.amend(published(), PLACE, (), (), THREE) == []


@pytest.mark.parametrize(
    ("add", "remove", "candidates", "code"),
    [
        ((d.Line("p9", MEDICAL),), (), THREE, "AMOUNT_NOT_ASSESSED"),
        ((d.Line("p1", MEDICAL),), (), THREE, "ALREADY_EXISTS"),
        ((), (d.Line("p9", MEDICAL),), THREE, "NOT_ON_ROSTER"),
        (
            (),
            (d.Line("p1", MEDICAL),),
            dataclasses.replace(THREE, paid=frozenset({("p1", MEDICAL)})),
            "ALREADY_PAID",
        ),
    ],
)
def test_amendments_that_break_the_roster_are_refused(
    add: tuple[d.Line, ...], remove: tuple[d.Line, ...], candidates: d.Candidates, code: str
) -> None:
    """I-08, I-21: only assessed lines come, only listed unpaid ones go."""
    refused = d.amend(published(), PLACE, add, remove, candidates)
    assert isinstance(refused, Refusal)
    assert refused.code == code


def test_the_dead_who_had_paid_stay_until_their_refund() -> None:
    """I-21: a paid line must stand on the roster its declaration rests on."""
    paid = frozenset({("p1", MEDICAL)})
    now = owing(entry("p2"), entry("p3", 0), dead=frozenset({"p1"}), paid=paid)
    assert d.amend(published(), PLACE, (), (), now) == []
    assert events_of(d.finalise(noticed(), PLACE, now))


def test_a_roster_is_final_after_its_notice_with_nobody_stale_on_it() -> None:
    """I-09, I-08: final is immutable."""
    event = events_of(d.finalise(noticed(), PLACE, THREE))[0]
    assert isinstance(event, e.RosterFinalized)
    assert (event.version, event.count, event.personal_fen) == (1, 3, 52000)
    assert d.finalise(final(), PLACE, THREE) == []
    assert rule(d.amend(final(), PLACE, (), (), THREE)) == "ROSTER_FINAL"


def test_what_keeps_a_roster_from_being_final() -> None:
    """I-08, I-09: not published, notice open, objections open, dead people."""
    assert rule(d.finalise(formed(), PLACE, THREE)) == "NOT_DISPATCHED"
    assert rule(d.finalise(published(), PLACE, THREE)) == "NOTICE_OPEN"
    assert rule(d.finalise(objected(noticed()), PLACE, THREE)) == "OBJECTIONS_OPEN"
    assert rule(d.finalise(noticed(), PLACE, owing(entry("p1")))) == "ROSTER_STALE"


def test_old_amounts_do_not_become_final() -> None:
    """I-08, I-14: whoever was reassessed after the roster was formed is brought up to date first."""
    now = owing(entry("p1"), entry("p2", 13000), entry("p3", 0))
    assert rule(d.finalise(noticed(), PLACE, now)) == "ROSTER_STALE"
    amended = fold(noticed(), events_of(d.amend(noticed(), PLACE, (), (), now)))
    event = events_of(d.finalise(amended, PLACE, now))[0]
    assert isinstance(event, e.RosterFinalized)
    assert event.personal_fen == 39000


def objected(state: Roster, kind: str = o.ROSTER) -> Roster:
    raised = o.Raised(
        objection_id="O-1", notice_id="N-1", kind=kind, person_id="p1", insurance=None, claim="WRONG_PERSON"
    )
    events = o.note_objection(state, PLACE, raised)
    state = fold(state, events)
    assert o.note_objection(state, PLACE, raised) == []
    return state


@pytest.mark.parametrize(
    ("kind", "expected"), [(o.ROSTER, e.RosterObjectionResolved), (o.PAYMENT, e.PaymentObjectionResolved)]
)
def test_an_objection_is_resolved_once(kind: str, expected: type[Event]) -> None:
    """I-09, EVENTS 8: with an outcome and a finding; the same again is nothing new, another is refused."""
    state = objected(published(), kind)
    command = o.Resolve(objection_id="O-1", outcome="UPHELD", finding="已更正")
    events = events_of(o.resolve_objection(state, PLACE, command))
    assert [type(event) for event in events] == [expected]
    state = fold(state, events)
    assert state.open_objections(kind) == 0
    assert o.resolve_objection(state, PLACE, command) == []
    other = msgspec.structs.replace(command, outcome="REJECTED")
    assert rule(o.resolve_objection(state, PLACE, other)) == "RESOLVED"
    assert rule(o.resolve_objection(Roster(), PLACE, command)) == "OBJECTION"


def test_a_supplement_lists_only_who_is_new() -> None:
    """D-46: after the final roster; its own version, its own notice, nobody twice."""
    now = owing(entry("p1"), entry("p2"), entry("p3", 0), entry("p4"))
    events = events_of(d.supplement(final(), PLACE, now))
    header = events[0]
    assert isinstance(header, e.SupplementaryRosterFormed)
    assert (header.version, header.supplement, header.count) == (2, 1, 1)
    state = fold(final(), events)
    assert rule(d.supplement(state, PLACE, now)) == "NOTHING_TO_ADD"
    state = fold(state, events_of(d.dispatch(state, PLACE, campaign(), "TOWN_AGENCY", (), 1)))
    assert state.awaited == {1}
    state = fold(state, d.note_notice_closed(state, PLACE, "N-2", 2, dt.date(2019, 11, 20)))
    assert state.awaited == frozenset()
    assert rule(d.supplement(noticed(), PLACE, now)) == "NOT_FINAL"


def test_the_village_signs_once_after_the_final_roster() -> None:
    """D-10: count and fen of what was paid."""
    assert rule(o.sign(noticed(), PLACE, "v1", (2, 52000))) == "NOT_FINAL"
    events = events_of(o.sign(final(), PLACE, "v1", (2, 52000)))
    assert isinstance(events[0], e.VillageRosterSigned)
    assert (events[0].count, events[0].fen) == (2, 52000)
    assert o.sign(fold(final(), events), PLACE, "v1", (3, 78000)) == []


def test_the_stamp_waits_for_the_treasury() -> None:
    """D-10, 002:L190: stamped only when all of the village's vouchers are in treasury; once."""
    signed = fold(final(), events_of(o.sign(final(), PLACE, "v1", (2, 52000))))
    arrived = o.VoucherFacts(True, 2, 52000)
    assert rule(o.stamp(final(), PLACE, "t1", arrived)) == "NOT_SIGNED"
    assert rule(o.stamp(signed, PLACE, "t1", None)) == "NOT_IN_TREASURY"
    assert rule(o.stamp(signed, PLACE, "t1", o.VoucherFacts(False, 2, 52000))) == "NOT_IN_TREASURY"
    events = events_of(o.stamp(signed, PLACE, "t1", arrived))
    assert isinstance(events[0], e.PaymentNoticeStamped)
    assert o.stamp(fold(signed, events), PLACE, "t1", arrived) == []


def test_a_payment_notice_is_noted_once() -> None:
    """EVENTS 8: declarations wait for PRE_DECLARATION."""
    day = dt.date(2019, 11, 25)
    events = o.note_payment_notice_closed(Roster(), PLACE, "N-PRE", "PRE_DECLARATION", day)
    state = fold(Roster(), events)
    assert state.payment_notices == {"PRE_DECLARATION"}
    assert o.note_payment_notice_closed(state, PLACE, "N-PRE", "PRE_DECLARATION", day) == []


@pytest.mark.parametrize("roster_id", ["", "370406-2020", "370406-2020.370406101", ".370406101201x"])
def test_what_is_no_roster_id(roster_id: str) -> None:
    """Interfaces: ``{campaign}.{village}``."""
    assert d.place_of(roster_id) is None
    assert d.place_of(PLACE.roster_id) == PLACE


ENTRIES = st.lists(
    st.builds(
        RosterEntry,
        st.text("0123456789abcdef", min_size=32, max_size=32),
        st.sampled_from(list(Insurance)),
        st.integers(0, 10**9),
        st.integers(0, 10**9),
        st.sampled_from(["", "REGISTERED_POOR_NOT_LIFTED", "MINIMUM_LIVING"]),
        st.integers(1, 99),
    ),
    max_size=40,
)


UNIQUE = ENTRIES.map(lambda lines: list({key_of(found): found for found in lines}.values()))


@each(ENTRIES, st.integers(1, 30))
def test_parts_lose_no_line_and_fit_event_and_message(lines: list[RosterEntry], times: int) -> None:
    """architecture §3: at most 500 lines and 64 KiB, in the log and as published."""
    lines *= times
    split = parts(lines)
    assert [found for part in split for found in part] == lines
    for event in line_events(PLACE.roster_id, CAMPAIGN, VILLAGE, 1, 0, lines):
        assert len(event.lines) <= MAX_LINES
        assert len(msgspec.json.encode(event)) < 64 * 1024
        message = RosterPublication().publish(_recorded(event))[0]
        assert len(msgspec.json.encode(message)) < 64 * 1024


@each(UNIQUE)
def test_the_digest_is_of_the_lines_not_of_their_order(lines: list[RosterEntry]) -> None:
    """I-08: totals are sums of the lines; the same lines in any order have one digest."""
    found = totals(lines)
    assert found == totals(list(reversed(lines)))
    assert found.personal_fen == sum(line.personal_fen for line in lines)
    if lines:
        assert found.digest != totals(lines[1:]).digest


def _recorded(event: Event) -> Recorded[Any]:
    moment = dt.datetime(2019, 11, 1, tzinfo=SHANGHAI)
    return Recorded(1, "id", 2020, "roster:x", 1, event, Metadata(""), moment, moment)
