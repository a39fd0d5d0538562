"""Given what is linked, when registration transmits, then exactly one answer, and at most one live link."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest
from hypothesis import given as each
from hypothesis import strategies as st

from services.collection.taxpayers import domain as d
from services.collection.taxpayers import events as e
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance

CAMPAIGN = "370406-2020"
COMMAND = d.LinkRegistration(
    person_id="0123456789abcdef0123456789abcdef",
    record_no="medical-2020-p1",
    record_version=1,
    insurance=Insurance.MEDICAL,
    year=2020,
    status=d.ACTIVE,
    period_from=dt.date(2020, 1, 1),
    period_to=dt.date(2020, 12, 31),
    birth=dt.date(1975, 5, 1),
    sex="F",
    village="370406101201",
    hukou_division="370406101201",
)


def changed(**fields: Any) -> d.LinkRegistration:
    return msgspec.structs.replace(COMMAND, **fields)


def after(events: list[Event], state: d.Taxpayer | None = None) -> d.Taxpayer:
    state = state or d.Taxpayer()
    for event in events:
        state = d.evolve(state, event)
    return state


def kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_the_first_transmission_collects_accepts_and_links() -> None:
    """002:L119-124: 自然人信息采集 and 参保登记信息关联; the taxpayer number is derived from the person."""
    events = d.link_registration(d.Taxpayer(), COMMAND, CAMPAIGN)
    assert kinds(events) == ["NaturalPersonCollected", "RegistrationInfoAccepted", "RegistrationLinked"]
    assert isinstance(events[0], e.NaturalPersonCollected)
    assert events[0].taxpayer_no == "T0123456789abcdef"


def test_a_household_that_collects_there_is_linked_at_once() -> None:
    """002:L128-130: the person and the virtual household of his village."""
    events = d.link_registration(d.Taxpayer(), COMMAND, CAMPAIGN, "VH-1")
    assert kinds(events)[-1] == "PayerLinkedToVirtualHousehold"
    link = after(events).links[Insurance.MEDICAL, 2020]
    assert link.virtual_household_id == "VH-1"


def test_the_same_version_again_is_nothing_new() -> None:
    """EVENTS 1: every transmit gets one answer, and only one."""
    state = after(d.link_registration(d.Taxpayer(), COMMAND, CAMPAIGN))
    assert d.link_registration(state, COMMAND, CAMPAIGN) == []


@pytest.mark.parametrize(
    ("command", "campaign", "error"),
    [
        (COMMAND, None, "NO_CAMPAIGN"),
        (changed(village="370406101"), CAMPAIGN, "DIVISION_INVALID"),
        (changed(village="not a village"), CAMPAIGN, "DIVISION_INVALID"),
        (changed(period_from=dt.date(2021, 1, 1)), CAMPAIGN, "PERIOD_INVALID"),
        (changed(period_to=dt.date(2019, 12, 31)), CAMPAIGN, "PERIOD_INVALID"),
    ],
)
def test_what_cannot_be_linked_is_rejected_by_name(
    command: d.LinkRegistration, campaign: str | None, error: str
) -> None:
    """EVENTS 1: 退回 with an error; nothing is linked."""
    events = d.link_registration(d.Taxpayer(), command, campaign)
    assert kinds(events) == ["RegistrationInfoRejected"]
    assert isinstance(events[0], e.RegistrationInfoRejected)
    assert events[0].error == error
    assert after(events) == d.Taxpayer()


def test_an_older_version_is_stale() -> None:
    """EVENTS 1: exactly one live version per enrolment."""
    state = after(d.link_registration(d.Taxpayer(), changed(record_version=3), CAMPAIGN))
    events = d.link_registration(state, changed(record_version=2), CAMPAIGN)
    assert isinstance(events[0], e.RegistrationInfoRejected)
    assert events[0].error == "VERSION_STALE"


def test_a_cancelled_enrolment_is_unlinked_from_campaign_and_household() -> None:
    """EVENTS 2: 解除; the household's link goes first."""
    state = after(d.link_registration(d.Taxpayer(), COMMAND, CAMPAIGN, "VH-1"))
    events = d.link_registration(state, changed(record_version=2, status=d.CANCELLED), CAMPAIGN)
    assert kinds(events) == [
        "RegistrationInfoAccepted",
        "PayerUnlinkedFromVirtualHousehold",
        "RegistrationUnlinked",
    ]
    assert after(events, state).links == {}


def test_a_second_record_of_one_insurance_and_year_fails() -> None:
    """EVENTS 2: at most one live link per person, insurance and year."""
    state = after(d.link_registration(d.Taxpayer(), COMMAND, CAMPAIGN))
    events = d.link_registration(state, changed(record_no="other"), CAMPAIGN)
    assert kinds(events) == ["RegistrationInfoAccepted", "RegistrationLinkFailed"]
    assert after(events, state).links[Insurance.MEDICAL, 2020].record_no == "medical-2020-p1"


def test_someone_who_moved_is_linked_in_the_new_village() -> None:
    """EVENTS 1: a changed division unlinks and links; the old household loses him."""
    state = after(d.link_registration(d.Taxpayer(), COMMAND, CAMPAIGN, "VH-1"))
    events = d.link_registration(state, changed(record_version=2, village="370406102201"), CAMPAIGN)
    assert kinds(events) == [
        "RegistrationInfoAccepted",
        "PayerUnlinkedFromVirtualHousehold",
        "RegistrationUnlinked",
        "RegistrationLinked",
    ]
    link = after(events, state).links[Insurance.MEDICAL, 2020]
    assert (link.village, link.virtual_household_id) == ("370406102201", "")


def test_a_new_scope_takes_the_payer_over() -> None:
    """EVENTS 2: at most one live household link; the same household again is nothing new."""
    person = COMMAND.person_id
    state = after(d.link_registration(d.Taxpayer(), COMMAND, CAMPAIGN, "VH-1"))
    assert d.link_household(state, person, Insurance.MEDICAL, 2020, "VH-1") == []
    events = d.link_household(state, person, Insurance.MEDICAL, 2020, "VH-2")
    assert kinds(events) == ["PayerUnlinkedFromVirtualHousehold", "PayerLinkedToVirtualHousehold"]
    assert d.link_household(state, person, Insurance.PENSION, 2020, "VH-2") == []


@each(
    st.lists(
        st.tuples(
            st.integers(1, 6),
            st.sampled_from([d.ACTIVE, d.CANCELLED]),
            st.sampled_from(["medical-2020-p1", "other"]),
            st.sampled_from(["370406101201", "370406102201"]),
        ),
        max_size=12,
    )
)
def test_any_order_of_transmissions_leaves_at_most_one_link_of_a_live_record(
    sent: list[tuple[int, str, str, str]],
) -> None:
    """EVENTS 1 and 2: each transmission is answered at most once and links never double."""
    state = d.Taxpayer()
    for version, status, record_no, village in sent:
        command = changed(record_version=version, status=status, record_no=record_no, village=village)
        known = state.records.get(record_no, 0)
        events = d.link_registration(state, command, CAMPAIGN, "VH-1")
        answers = [
            event
            for event in events
            if isinstance(event, (e.RegistrationInfoAccepted, e.RegistrationInfoRejected))
        ]
        assert len(answers) == (0 if version == known else 1)
        state = after(events, state)
        assert len(state.links) <= 1
        for link in state.links.values():
            assert link.record_no in state.records
            assert link.virtual_household_id == "VH-1"
