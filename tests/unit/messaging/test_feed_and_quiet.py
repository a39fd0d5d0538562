"""The feed of published messages, and the rate limit on a chatty library's log."""

from __future__ import annotations

import logging

from shared.kernel.clock import SeededRuntime
from shared.kernel.insurance import Insurance
from shared.messaging.address import LogIdentity
from shared.messaging.feed import feed
from shared.messaging.publication import Publications
from shared.messaging.quiet import LINES, PER_SECONDS, RateLimit, quieten
from tests.unit.messaging.samples import (
    EmploymentNoted,
    EmploymentPublication,
    PeoplePublication,
    PersonAdded,
    Unheard,
    note,
    source_parts,
)


async def test_the_feed_gives_published_messages_by_position_and_never_private_events() -> None:
    """One event may give several messages; sealed fields are for their receivers and stay empty."""
    async with source_parts() as parts:
        publication = EmploymentPublication()
        publication.broken = {"bad"}
        publications = Publications(LogIdentity("registration"), [publication, PeoplePublication()])
        both = (Insurance.MEDICAL, Insurance.PENSION)
        await note(
            parts,
            Unheard(),
            EmploymentNoted(person_id="p1", insurances=both),
            EmploymentNoted(person_id="bad"),
        )
        await note(parts, PersonAdded(person_id="p2"), Unheard())
        page = await feed(parts.log, publications, 0, 3)
        assert [envelope.sequence for envelope in page.events] == ["2", "2"]
        assert page.events[1].id == f"{page.events[0].id}/1"
        page = await feed(parts.log, publications, page.next_after, 100)
        assert [envelope.type for envelope in page.events] == ["liangxian.registration.person_registered.v1"]
        assert b'"sealed":{}' in bytes(page.events[0].data)
        assert page.next_after == 5
        assert (await feed(parts.log, publications, 5, 100)).next_after == 5


async def test_a_feed_passes_long_stretches_of_private_events() -> None:
    async with source_parts() as parts:
        publications = Publications(LogIdentity("registration"), [EmploymentPublication()])
        await note(parts, *[Unheard() for _ in range(10)], EmploymentNoted(person_id="p1"))
        page = await feed(parts.log, publications, 0, 1)
        assert [envelope.sequence for envelope in page.events] == ["11"]


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("aiokafka.x", logging.ERROR, "f", 1, text, ("broker",), None)


async def test_a_flood_of_one_line_is_held_back_and_counted() -> None:
    runtime = SeededRuntime(1)
    limit = RateLimit(runtime)
    assert [limit.filter(record("%s away")) for _ in range(LINES + 4)] == [True] * LINES + [False] * 4
    assert limit.filter(record("%s other"))
    await runtime.sleep(PER_SECONDS)
    again = record("%s away")
    assert limit.filter(again)
    assert again.getMessage() == "broker away (4 like this were held back)"


def test_every_logger_of_the_library_is_limited_once() -> None:
    chatty = logging.getLogger("chattylib.deep.module")
    for _ in range(2):
        quieten(SeededRuntime(1), "chattylib")
    assert sum(isinstance(item, RateLimit) for item in chatty.filters) == 1
    assert not any(isinstance(item, RateLimit) for item in logging.getLogger("shared.other").filters)
