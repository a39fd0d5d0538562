"""The hot path's cost in queries: one load of streams, at most four fact sources a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from tests.unit.collection.money_service import GivenFacts, MoneyService, cash, opened, payment


class CountedFacts:
    """Counts the queries of a source."""

    def __init__(self, source: GivenFacts, counts: dict[str, int]) -> None:
        self._load = source.load
        self._name = source.name
        self._counts = counts

    async def load(self, connection: Any, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        self._counts[self._name] = self._counts.get(self._name, 0) + 1
        return await self._load(connection, keys)


async def counted(money: MoneyService, bodies: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> dict:
    """Post all bodies at once; how often each source and the log were asked."""
    counts: dict[str, int] = {}
    facts = money.facts
    for source in (facts.campaigns, facts.deaths, facts.rosters, facts.agents, facts.roster_states):
        monkeypatch.setattr(source, "load", CountedFacts(source, counts).load)
    log = money.service.parts.log
    transaction = log.transaction
    counts["transactions"] = 0

    def counting() -> Any:
        counts["transactions"] += 1
        return transaction()

    monkeypatch.setattr(log, "transaction", counting)
    async with money.service.client(["collection:payments:write"]) as client:
        responses = await asyncio.gather(
            *(
                client.post(
                    "/payments",
                    content=msgspec.json.encode(body),
                    headers={"Idempotency-Key": body["order_no"], "Content-Type": "application/json"},
                )
                for body in bodies
            )
        )
    assert {response.status_code for response in responses} == {201}
    return counts


@pytest.mark.parametrize(
    ("make", "sources"),
    [(payment, {"campaigns", "deaths"}), (cash, {"campaigns", "deaths", "rosters", "agents"})],
)
async def test_a_batch_asks_each_source_once(
    make: Any, sources: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty orders cost a handful of batches; self-service needs two sources, an agent four."""
    persons = [f"p{number}" for number in range(60)]
    money = await opened(*persons)
    await money.post("/payments", make("W1", persons[0]))
    bodies = [make(f"O{number}", person) for number, person in enumerate(persons[1:])]
    counts = await counted(money, bodies, monkeypatch)
    batches = counts.pop("transactions")
    assert batches < len(bodies)
    assert set(counts) == sources
    assert all(asked <= batches for asked in counts.values())
