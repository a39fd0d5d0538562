"""Real processes, a real PostgreSQL, a real Kafka: the faults that decide the design (architecture §4).

After each: every fact once, in order per person.
"""

from __future__ import annotations

import pytest
from _pytest.mark import ParameterSet

from tests.faults.messaging.conftest import Theatre, exactly_once


def on_kafka(fault: str) -> ParameterSet:
    """The database's side of a fault is the same under both brokers; Kafka's group is not."""
    return pytest.param("kafka", fault, marks=pytest.mark.kafka)


pytestmark = [pytest.mark.processes, pytest.mark.postgres]


async def test_two_relays_at_once_repeat_and_lose_nothing(theatre: Theatre) -> None:
    """Leadership switched off: two relays publish one log; the cursor's compare-and-set lets one page win."""
    await theatre.note(400)
    for worker in ("r1", "r2"):
        theatre.start("relay", worker=worker, leads_alone=True, page=20)
    theatre.start("consumer")
    await theatre.note(400)
    exactly_once(await theatre.settled(), 800)


async def test_a_leader_that_is_killed_is_followed_at_once(theatre: Theatre) -> None:
    """kill -9 of the leading relay: the advisory lock goes with its connection, the standby goes on."""
    leader = theatre.start("relay", worker="r1", fault="before", at=3, page=20)
    theatre.start("consumer")
    await theatre.note(60)

    async def leads() -> bool:
        return await theatre.published() > 0

    await theatre.wait(leads, "a leader")
    theatre.start("relay", worker="r2", page=20)
    await theatre.note(200)
    await theatre.wait(leader.dead, "the leader's death")
    exactly_once(await theatre.settled(), 260)


async def test_relays_killed_between_publish_and_cursor_repeat_a_page(theatre: Theatre) -> None:
    """Published, not recorded: the next relay publishes the page again, the consumer skips it."""
    theatre.start("consumer")
    await theatre.note(200)
    for number in range(3):
        dying = theatre.start("relay", worker=f"r{number}", fault="after", at=2, page=20)
        await theatre.wait(dying.dead, "the relay's death")
    theatre.start("relay", worker="last", page=20)
    exactly_once(await theatre.settled(), 200)
    assert await theatre.published() == 200 + 3 * 20


@pytest.mark.parametrize(
    ("theatre", "fault"),
    [("embedded", "before"), ("embedded", "inside"), ("embedded", "after"), on_kafka("after")],
    indirect=["theatre"],
)
async def test_consumers_killed_around_the_commit_lose_and_repeat_nothing(
    theatre: Theatre, fault: str
) -> None:
    """Effect and offset are one transaction: killed before, inside or after it, the successor knows."""
    theatre.start("relay")
    await theatre.note(200)
    dying = theatre.start("consumer", worker="c1", fault=fault, at=2, page=30)
    await theatre.wait(dying.dead, "the consumer's death")
    theatre.start("consumer", worker="c2", page=30)
    exactly_once(await theatre.settled(), 200)


@pytest.mark.parametrize(
    ("theatre", "fault"),
    [("embedded", "before"), ("embedded", "inside"), on_kafka("before")],
    indirect=["theatre"],
)
async def test_a_frozen_consumer_wakes_with_a_page_in_hand(theatre: Theatre, fault: str) -> None:
    """SIGSTOP, rebalance, SIGCONT: the woken worker is fenced; frozen inside its transaction, the server ends
    that before the successor loses patience."""
    theatre.start("relay")
    await theatre.note(100)
    zombie = theatre.start("consumer", worker="c1", fault=fault, at=2, freeze=True, page=30)
    await theatre.wait(zombie.frozen, "the consumer's freezing")
    theatre.start("consumer", worker="c2", page=30)
    await theatre.note(100)
    before = await theatre.settled()
    zombie.thaw()
    await theatre.note(100)
    after = await theatre.settled()
    exactly_once(after, 300)
    assert after[: len(before)] == before
    assert not zombie.dead()
