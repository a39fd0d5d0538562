"""Given a pack's or campaign's events, when someone acts, then events or a refusal."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from services.collection.campaigns import domain as d
from services.collection.campaigns import events as e
from shared.kernel.errors import Refusal
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance
from shared.policy import Pack, load_pack, load_packs, revise
from shared.policy.registry import PackRegistry

CAMPAIGN = "370406-2020"
PACK = load_pack("ST-2020")
DRAFT = d.DraftPack(pack_id="ST-2020", maker="tax-01")
PUBLISH = d.PublishPack(pack_id="ST-2020", campaign=CAMPAIGN, approver="tax-02")
OPEN = d.OpenCampaign(campaign=CAMPAIGN, pack_id="ST-2020")


def events_of(decision: list[Event] | Refusal) -> list[Event]:
    assert isinstance(decision, list), decision
    return decision


def refusal_of(decision: object) -> Refusal:
    assert isinstance(decision, Refusal), decision
    return decision


def packs(*events: Event) -> d.PackState:
    state = d.PackState()
    for event in events:
        state = d.evolve_pack(state, event)
    return state


def campaign(*events: Event) -> d.CampaignState:
    state = d.CampaignState()
    for event in events:
        state = d.evolve_campaign(state, event)
    return state


def drafted(pack: Pack = PACK, state: d.PackState | None = None) -> list[Event]:
    return events_of(d.draft_pack(state or d.PackState(), DRAFT, pack))


def published() -> d.PackState:
    state = packs(*drafted())
    for event in events_of(d.publish_pack(state, PUBLISH, PACK)):
        state = d.evolve_pack(state, event)
    return state


def opened() -> list[Event]:
    return events_of(d.open_campaign(d.CampaignState(), OPEN, published(), PACK))


def test_a_pack_is_published_by_somebody_else_than_its_maker() -> None:
    """EVENTS 0: maker and approver differ."""
    event = events_of(d.publish_pack(packs(*drafted()), PUBLISH, PACK))[0]
    assert isinstance(event, e.PolicyPackPublished)
    assert (event.maker, event.approver, event.digest) == ("tax-01", "tax-02", PACK.digest)
    assert event.provisional is True
    same = d.PublishPack(pack_id="ST-2020", campaign=CAMPAIGN, approver="tax-01")
    assert refusal_of(d.publish_pack(packs(*drafted()), same, PACK)).code == "FOUR_EYES"


def test_a_pack_is_drafted_before_it_is_published() -> None:
    """EVENTS 0: nothing is published that nobody proposed."""
    assert refusal_of(d.publish_pack(d.PackState(), PUBLISH, PACK)).rule == "NOT_DRAFTED"


def test_one_version_has_one_content() -> None:
    """architecture §5: version and digest name a pack; drafted again it is nothing new, changed it is refused."""
    state = packs(*drafted())
    assert drafted(PACK, state) == []
    other = revise(PACK, {"listed_60_69_yuan": 100}, "EXT:test")
    same_version = Pack(msgspec.structs.replace(other.document, version=1))
    assert refusal_of(d.draft_pack(state, DRAFT, same_version)).code == "PACK_MISMATCH"


@pytest.mark.parametrize("name", ["370406-2021", "370404-2020", "nonsense"])
def test_a_pack_is_for_its_region_and_year(name: str) -> None:
    """EVENTS 0: region and year of the campaign are the pack's."""
    command = d.PublishPack(pack_id="ST-2020", campaign=name, approver="tax-02")
    assert refusal_of(d.publish_pack(packs(*drafted()), command, PACK)).field == "campaign"


def test_a_campaign_opens_with_the_published_pack_and_the_widest_window() -> None:
    """D-25, D-47: the legal window of both insurances; once."""
    event = opened()[0]
    assert isinstance(event, e.CampaignOpened)
    assert (event.window_from, event.window_to) == (dt.date(2019, 10, 1), dt.date(2019, 12, 20))
    assert (event.division, event.year, event.pack_digest) == ("370406", 2020, PACK.digest)
    again = d.open_campaign(campaign(event), OPEN, published(), PACK)
    assert refusal_of(again).rule == "CAMPAIGN_OPEN"


def test_an_unpublished_pack_opens_nothing() -> None:
    """EVENTS 0: drafted is not enough."""
    decision = d.open_campaign(d.CampaignState(), OPEN, packs(*drafted()), PACK)
    assert refusal_of(decision).rule == "PACK_NOT_PUBLISHED"


def test_the_medical_window_alone_does_not_bound_the_campaign() -> None:
    """D-13: SC-2025's pension window is its own; the campaign spans both."""
    pack = load_pack("SC-2025")
    state = packs(*drafted(pack))
    name = f"{pack.region.division}-2025"
    publish = d.PublishPack(pack_id="SC-2025", campaign=name, approver="tax-02")
    for event in events_of(d.publish_pack(state, publish, pack)):
        state = d.evolve_pack(state, event)
    decision = d.open_campaign(
        d.CampaignState(), d.OpenCampaign(campaign=name, pack_id="SC-2025"), state, pack
    )
    event = events_of(decision)[0]
    assert isinstance(event, e.CampaignOpened)
    assert event.window_from == min(pack.window(i.value).start for i in Insurance)


def test_the_window_is_only_ever_extended() -> None:
    """EVENTS 0: new_end > old_end; again it must be later than the extended end."""
    state = campaign(*opened())
    command = d.ExtendWindow(
        campaign=CAMPAIGN, new_end=dt.date(2019, 12, 31), reason="outage", authority="tax"
    )
    event = events_of(d.extend_window(state, command))[0]
    assert isinstance(event, e.CampaignWindowExtended)
    assert event.old_end == dt.date(2019, 12, 20)
    state = d.evolve_campaign(state, event)
    assert state.window_to == dt.date(2019, 12, 31)
    assert refusal_of(d.extend_window(state, command)).rule == "NEW_END_NOT_LATER"
    assert refusal_of(d.extend_window(d.CampaignState(), command)).code == "NO_CAMPAIGN"
    closed = d.evolve_campaign(state, e.CampaignClosed(campaign=CAMPAIGN, closed_on=dt.date(2020, 1, 1)))
    assert refusal_of(d.extend_window(closed, command)).rule == "CAMPAIGN_CLOSED"


def test_days_move_the_phase_once() -> None:
    """D-24 to D-26: the first day of a phase changes it, the next does not, a gap keeps the last."""
    state = campaign(*opened())
    first = d.begin_day(state, CAMPAIGN, dt.date(2019, 10, 26), PACK)
    assert [type(event) for event in first] == [e.CampaignPhaseChanged]
    for event in first:
        state = d.evolve_campaign(state, event)
    assert state.phase == "COLLECTION"
    assert d.begin_day(state, CAMPAIGN, dt.date(2019, 10, 27), PACK) == []
    assert d.begin_day(state, CAMPAIGN, dt.date(2019, 11, 23), PACK) == []
    assert d.begin_day(d.CampaignState(), CAMPAIGN, dt.date(2019, 10, 26), PACK) == []


def test_the_campaign_closes_after_its_last_day() -> None:
    """EVENTS 0: after the last phase and the (extended) window; then days change nothing."""
    state = campaign(*opened())
    assert d.begin_day(state, CAMPAIGN, dt.date(2019, 12, 20), PACK) != []
    closing = d.begin_day(state, CAMPAIGN, dt.date(2019, 12, 21), PACK)
    assert [type(event) for event in closing] == [e.CampaignClosed]
    assert d.begin_day(d.evolve_campaign(state, closing[0]), CAMPAIGN, dt.date(2019, 12, 22), PACK) == []


def test_a_revision_is_newer_and_of_four_eyes() -> None:
    """D-06: only a later version revises; the campaign goes on with it."""
    second = revise(PACK, {"listed_60_69_yuan": 100}, "EXT:test")
    state = published()
    for event in drafted(second, state):
        state = d.evolve_pack(state, event)
    command = d.RevisePack(
        pack_id="ST-2020",
        campaign=CAMPAIGN,
        approver="tax-02",
        effective_from=dt.date(2019, 11, 1),
        source="EXT:test",
    )
    running = campaign(*opened())
    decided = d.revise_pack(state, running, command, second)
    assert not isinstance(decided, Refusal)
    assert [type(event) for event in (*decided[0], *decided[1])] == [
        e.PolicyPackRevised,
        e.CampaignPackReplaced,
    ]
    after = d.evolve_campaign(running, decided[1][0])
    assert (after.pack_version, after.pack_digest) == (2, second.digest)
    assert refusal_of(d.revise_pack(state, after, command, second)).rule == "VERSION_NOT_NEWER"
    assert refusal_of(d.revise_pack(state, d.CampaignState(), command, second)).code == "NO_CAMPAIGN"


def target(**changes: object) -> d.TargetRow:
    fields = {"division": "370406101", "insurance": Insurance.MEDICAL, "persons": 10, "amount": 260000}
    return d.TargetRow(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "persons", "amount", "code"),
    [
        ((target(amount=260001),), 10, None, "TARGET_MISMATCH"),
        ((target(),), 11, None, "TARGET_MISMATCH"),
        ((target(),), 10, 1, "TARGET_MISMATCH"),
        ((target(), target()), 20, None, "ALREADY_EXISTS"),
        ((target(division="110101"),), 10, None, "VALIDATION_FAILED"),
        ((target(), target(division="370406102", unit="WAN_YUAN", amount=3)), 20, None, "VALIDATION_FAILED"),
        ((), 0, None, "VALIDATION_FAILED"),
    ],
)
def test_targets_that_do_not_add_up_are_refused_whole(
    rows: tuple[d.TargetRow, ...], persons: int, amount: int | None, code: str
) -> None:
    """I-02, D-19: persons × standard, stated totals, one row a place, never 万元 among fen."""
    command = d.AssignTargets(
        campaign=CAMPAIGN, rows=rows, stated_total_persons=persons, stated_total_amount=amount
    )
    assert refusal_of(d.assign_targets(campaign(*opened()), command, PACK)).code == code


def test_pension_targets_are_kept_in_their_own_unit() -> None:
    """D-19: 360 万元 stays 360 万元."""
    rows = (target(insurance=Insurance.PENSION, persons=11300, amount=360, unit="WAN_YUAN"),)
    command = d.AssignTargets(
        campaign=CAMPAIGN, rows=rows, stated_total_persons=11300, stated_total_amount=360
    )
    event = events_of(d.assign_targets(campaign(*opened()), command, PACK))[0]
    assert isinstance(event, e.CollectionTargetAssigned)
    assert (event.amount, event.unit) == (360, "WAN_YUAN")


@pytest.mark.parametrize("pack", load_packs().values(), ids=lambda pack: pack.id)
def test_every_shipped_pack_can_be_put_in_force(pack: Pack) -> None:
    """I-01: personal + fiscal = total, tiers ascending."""
    assert d.pack_fault(pack) is None


def test_the_registry_finds_the_narrowest_pack_of_a_place_and_year() -> None:
    """D-59: packs are data; a town's pack goes before its district's."""
    packs_held = PackRegistry(load_packs().values())
    found = packs_held.covering("370406101201", 2018)
    assert found is not None
    assert found.id == "DZ-2018"
    assert packs_held.covering("370406101201", 2020) is PACK
    assert packs_held.covering("110101001001", 2020) is None
    assert packs_held.exactly("ST-2020", 1, "other") is None
    changed = revise(PACK, {"listed_60_69_yuan": 1}, "EXT:test").document
    with pytest.raises(ValueError, match="two different packs"):
        PackRegistry([PACK, Pack(msgspec.structs.replace(changed, version=1))])
