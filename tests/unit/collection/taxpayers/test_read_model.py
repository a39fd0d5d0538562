"""Given events of taxpayers, when they come in pages of any size, then the links read are the same."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from services.collection.taxpayers import domain as d
from services.collection.taxpayers.projection import ENROLLED, TaxpayerProjection, metadata
from shared.eventstore.sqlite import MemoryDatabase
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded
from shared.kernel.clock import SHANGHAI
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance
from tests.unit.collection.taxpayers.test_linking import after, changed

AT = dt.datetime(2019, 10, 2, tzinfo=SHANGHAI)
ELSEWHERE = "370406101202"


def story(steps: Sequence[str]) -> list[Event]:
    """What a person's stream tells when registration transmits, moves or cancels him, and households take him."""
    events: list[Event] = []
    state = d.Taxpayer()
    for version, step in enumerate(steps, start=1):
        told = changed(record_version=version, village=ELSEWHERE if step == "moves" else "370406101201")
        match step:
            case "taken in":
                new = d.link_household(state, told.person_id, Insurance.MEDICAL, 2020, f"VH-{version}")
            case "cancelled":
                new = d.link_registration(state, changed(record_version=version, status=d.CANCELLED), "C")
            case "linked":
                new = d.link_registration(state, told, "C")
            case _:
                new = d.link_registration(state, told, "C", f"VH-{version}")
        state = after(new, state)
        events += new
    return events


async def links(events: Sequence[Event], page: int) -> tuple[list[tuple[Any, ...]], d.Taxpayer]:
    """The rows of links after the events in pages of a size, and the state the events fold to."""
    database = MemoryDatabase([metadata])
    recorded = [
        Recorded(number, f"e{number}", 0, "taxpayer:p", number, event, Metadata("c"), AT, AT)
        for number, event in enumerate(events, start=1)
    ]
    for start in range(0, len(recorded), page):
        async with database.begin() as connection:
            await TaxpayerProjection().apply(connection, recorded[start : start + page])
    async with database.read() as connection:
        rows = await connection.execute(sa.select(ENROLLED))
    return [tuple(row) for row in rows], after(list(events))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(["linked", "served", "moves", "taken in", "cancelled"]), max_size=6),
    st.integers(min_value=1, max_value=20),
)
async def test_the_size_of_a_page_changes_nothing(steps: list[str], page: int) -> None:
    """I-30, 002:L128-130: link and household as the stream has them, whether written together or apart."""
    rows, state = await links(story(steps), page)
    told = [
        (link.campaign, link.village, link.record_no, link.virtual_household_id)
        for link in state.links.values()
    ]
    assert [(row[3], row[4], row[5], row[7]) for row in rows] == told
