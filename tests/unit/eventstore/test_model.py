"""Random histories against a model: what is accepted, in what order, and what a repeated key answers."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.eventstore.commands import Accepted, Append, Command, Done, Guard, IdempotencyKey, Loaded, Page
from shared.eventstore.streams import Category, Metadata
from shared.eventstore.types import EventTypes
from shared.kernel.errors import Refusal
from shared.kernel.events import Event
from shared.testing.store import memory_store


class Counted(Event, frozen=True):
    """One step of a counter."""

    by: int


COUNTER: Category[int] = Category("counter", 0, lambda total, event: total + event.by)
FULL, USED = Refusal(code="FULL"), Refusal(code="USED")
LIMIT = 6


@dataclass(frozen=True)
class Step:
    """Count up ``target`` by what ``source`` holds plus one; maybe under a key, maybe with a receipt."""

    source: str
    target: str
    key: str | None
    receipt: str | None


STEPS = st.builds(
    Step,
    st.sampled_from("abc"),
    st.sampled_from("abc"),
    st.none() | st.sampled_from(["k1", "k2", "k3"]),
    st.none() | st.sampled_from(["r1", "r2"]),
)
BATCHES = st.lists(
    st.tuples(st.sampled_from(["singles", "page", "bulk"]), st.lists(STEPS, max_size=8)), max_size=8
)


@dataclass
class Model:
    """The commands one after the other, without batches, groups or retries."""

    counters: dict[str, int] = field(default_factory=dict)
    keys: dict[str, tuple[Step, str]] = field(default_factory=dict)
    receipts: set[str] = field(default_factory=set)
    log: list[tuple[str, int]] = field(default_factory=list)

    def run(self, step: Step) -> str:
        """accepted:<response> or the refusal's code."""
        if step.key is not None and step.key in self.keys:
            first, answer = self.keys[step.key]
            return answer if first == step else "IDEMPOTENCY_KEY_REUSED"
        by = self.counters.get(step.source, 0) + 1
        if self.counters.get(step.target, 0) + by > LIMIT:
            return FULL.code
        if step.receipt in self.receipts:
            return USED.code
        if step.receipt is not None:
            self.receipts.add(step.receipt)
        self.counters[step.target] = self.counters.get(step.target, 0) + by
        self.log.append((f"counter:{step.target}", by))
        answer = f"accepted:{self.counters[step.target]}"
        if step.key is not None:
            self.keys[step.key] = (step, answer)
        return answer


def command(step: Step) -> Command:
    source, target = COUNTER.stream(step.source), COUNTER.stream(step.target)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        by = loaded.state(source) + 1
        total = loaded.state(target) + by
        if total > LIMIT:
            return FULL
        return Accepted(
            [Append(target, [Counted(by=by)])],
            guards=[Guard("receipt", step.receipt, step.target, USED)] if step.receipt else (),
            response=total,
        )

    digest = repr(step).encode()
    key = IdempotencyKey("o", "count", step.key, digest) if step.key else None
    return Command("count", [source, target], decide, Metadata("c"), key=key)


def plain(outcome: Done | Refusal) -> str:
    return outcome.code if isinstance(outcome, Refusal) else f"accepted:{outcome.response.decode()}"


@settings(max_examples=300, deadline=None)
@given(BATCHES)
def test_batches_answer_as_if_commands_came_one_by_one(batches: list[tuple[str, list[Step]]]) -> None:
    """Whatever stands together in a batch, a page or a bulk: answers, order and log are those of the model."""

    async def play() -> None:
        async with memory_store(EventTypes([Counted])) as parts:
            model = Model()
            for kind, steps in batches:
                commands = [command(step) for step in steps]
                if kind == "page":
                    outcomes = await parts.store.execute_page(Page(commands))
                elif kind == "bulk":
                    outcomes = await parts.store.execute_bulk(commands)
                else:
                    outcomes = await asyncio.gather(*map(parts.store.execute, commands))
                check(model, steps, outcomes)
            events = await parts.log.read(0, 1000)
            assert sorted((item.stream, item.event.by) for item in events) == sorted(model.log)
            assert [item.position for item in events] == list(range(1, len(events) + 1))
            for name in "abc":
                stream = await parts.log.read_stream(f"counter:{name}")
                assert [item.version for item in stream] == list(range(1, len(stream) + 1))
                assert sum(item.event.by for item in stream) == model.counters.get(name, 0)

    asyncio.run(play())


def check(model: Model, steps: list[Step], outcomes: list[Done | Refusal]) -> None:
    """Accepted commands answer as the model does in the order of the log; every other answer is the model's
    at some moment between them. Without receipts nothing is decided twice, and the order is that of arrival.
    """
    accepted = [
        (outcome.position, step, plain(outcome))
        for step, outcome in zip(steps, outcomes, strict=True)
        if isinstance(outcome, Done) and not outcome.replayed
    ]
    in_order = copy.deepcopy(model)
    moments = [copy.deepcopy(model)]
    for _, step, answer in sorted(accepted, key=lambda item: item[0]):
        assert model.run(step) == answer
        moments.append(copy.deepcopy(model))
    for step, outcome in zip(steps, outcomes, strict=True):
        if isinstance(outcome, Refusal) or outcome.replayed:
            assert plain(outcome) in [copy.deepcopy(moment).run(step) for moment in moments], step
    if not any(step.receipt for step in steps):
        assert [plain(outcome) for outcome in outcomes] == [in_order.run(step) for step in steps]
