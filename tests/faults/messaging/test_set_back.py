"""A receiver's database is set back to an earlier moment (ADR 0033): what it was told since comes again."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from deploy.local.postgres import Server
from tests.faults.messaging.conftest import Theatre, exactly_once

pytestmark = [pytest.mark.processes, pytest.mark.postgres]


@pytest.fixture
async def earlier(postgres: Server) -> AsyncIterator[str]:
    """The name of a database to be, dropped after the test."""
    name = f"earlier_{os.getpid()}"
    yield name
    await postgres.drop_database(name)


async def test_a_receiver_that_is_set_back_hears_again_what_it_was_told(
    theatre: Theatre, postgres: Server, earlier: str
) -> None:
    """Given 200 facts taken and 200 more behind a backup, when the backup takes the database's place, then its
    offsets lead to the same 200 again: each once, in order per person."""
    theatre.start("relay")
    first = theatre.start("consumer", worker="c1")
    await theatre.note(200)
    exactly_once(await theatre.settled(), 200)
    first.ask_to_stop()
    await theatre.wait(first.dead, "the first consumer's end")
    await postgres.create_database(earlier, template=theatre.right.rpartition("/")[2])

    second = theatre.start("consumer", worker="c2")
    await theatre.note(200)
    exactly_once(await theatre.settled(), 400)
    second.ask_to_stop()
    await theatre.wait(second.dead, "the second consumer's end")

    theatre.right = postgres.url(earlier)
    assert len(await theatre.facts()) == 200
    theatre.start("consumer", worker="c3")
    exactly_once(await theatre.settled(), 400)
