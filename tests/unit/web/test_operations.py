"""Readiness, lag, dead letters, events (interfaces: all services)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import httpx
import msgspec

from shared.contracts.registration import DeathReportOverdueV1
from shared.contracts.topics import TOPICS
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded
from shared.kernel.clock import SeededRuntime
from shared.messaging.broker import BrokerUnavailableError, Outgoing
from shared.messaging.memory import MemoryBroker
from shared.testing.service import MemoryService, memory_service
from shared.web.background import Background
from shared.web.machinery import GroupLag
from shared.web.service import Ports, ServiceDescription
from tests.unit.web.conftest import SERVICE, WRITE, NoteTaken, describe


class Chokes:
    """A reaction that cannot handle one text."""

    name = "chokes"
    handles: ClassVar = (NoteTaken,)
    bad = "bad"

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Any]:
        if recorded.event.text == self.bad:
            raise KeyError(recorded.event.text)
        return []

    def key(self, recorded: Recorded[Any]) -> str:
        return "one-key"


class Tells:
    name = "tells"
    handles: ClassVar = (NoteTaken,)

    def publish(self, recorded: Recorded[Any]) -> Sequence[DeathReportOverdueV1]:
        return [DeathReportOverdueV1(source="POLICE", month="2019-12")] * 2


def with_more(ports: Ports) -> ServiceDescription:
    async def check() -> str | None:
        return fault[0] if fault else None

    async def gauge() -> None:
        ports.metrics.money_fen("370406-2020", "medical", {"paid": 28_000})

    return replace(
        describe(ports),
        reactions=[Chokes()],
        publications=[Tells()],
        checks=[check],
        gauges=[gauge],
        facts=lambda: {"pack": {"id": "st-2020"}},
    )


fault: list[str] = []
MORE = replace(SERVICE, describe=with_more)


async def notes(service: MemoryService, *texts: str) -> None:
    async with service.client([WRITE]) as client:
        for text in texts:
            assert (await client.post("/thin", json={"text": text})).status_code == 201


async def test_readiness_shows_facts_and_faults() -> None:
    async with memory_service(MORE) as service, service.anonymous() as client:
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["pack"]) == (200, {"id": "st-2020"})
        assert (ready.json()["rehearsal"], ready.json()["clock"]) == (True, "simulated")
        fault.append("pack: another digest than the campaign's")
        try:
            red = await client.get("/readyz")
        finally:
            fault.clear()
        assert (red.status_code, red.headers["Retry-After"]) == (503, "1")
        assert red.json()["faults"] == ["pack: another digest than the campaign's"]


async def test_a_failed_background_task_shows_and_is_started_again() -> None:
    runtime, conditions, runs = SeededRuntime(1), dict[str, str](), [0]
    shown: list[dict[str, str]] = []
    again = asyncio.Event()
    background = Background(runtime, conditions)

    async def work(stop: asyncio.Event) -> None:
        runs[0] += 1
        if runs[0] == 1:
            raise ValueError
        shown.append(dict(conditions))
        again.set()
        await stop.wait()

    async def forever(_: asyncio.Event) -> None:
        await asyncio.Event().wait()

    background.start("work", work)
    background.start("forever", forever, interrupt=True)
    async with asyncio.timeout(5):
        await again.wait()
        await background.stop()
    assert (runs, shown) == ([2], [{}])


async def test_gauges_are_set_before_metrics_are_rendered() -> None:
    async with memory_service(MORE) as service, service.anonymous() as client:
        text = (await client.get("/metrics")).text
    labels = 'campaign="370406-2020",insurance="medical",service="registration",stage="paid"'
    assert f"liangxian_money_fen{{{labels}}} 28000.0" in text


async def _gauge(client: httpx.AsyncClient, name: str) -> list[float]:
    """The values of a metric of the service."""
    lines = (await client.get("/metrics")).text.splitlines()
    return [float(line.split()[-1]) for line in lines if line.startswith(f"liangxian_{name}{{")]


async def test_dead_letters_are_listed_fixed_replayed_and_discarded() -> None:
    """A dead letter blocks its key; later events park behind it; fixing lets all go on."""
    async with memory_service(MORE) as service:
        await notes(service, "bad", "good")
        await service.settle()
        async with service.client(["ops"]) as client:
            lag = (await client.get("/ops/lag")).json()
            assert (lag["dead_letters"], lag["parked"]) == (1, 1)
            assert 1.0 in await _gauge(client, "dead_letters")
            assert 1.0 in await _gauge(client, "parked_messages")
            (letter,) = (await client.get("/ops/dead-letters")).json()["items"]
            assert (letter["kind"], letter["name"], letter["key"]) == ("reaction", "chokes", "one-key")
            assert letter["code"].startswith("KeyError")
            path = f"/ops/dead-letters/{letter['id']}"
            assert (await client.get(path)).json()["state"] == "open"
            wrong = await client.post(f"{path}:fix", content=b'{"text": 1}')
            assert wrong.status_code == 422
            broken = await client.post(f"{path}:fix", content=b"{")
            assert broken.json()["code"] == "BODY_MALFORMED"
            fixed = await client.post(f"{path}:fix", json={"text": "better", "division": "370406"})
            assert fixed.json()["fixed"] is True
            dry = await client.post(f"{path}:replay", params={"dry_run": True})
            assert dry.json()["dry_run"] is True
            assert (await client.post(f"{path}:replay")).json()["outcomes"] == []
            await service.settle()
            lag = (await client.get("/ops/lag")).json()
            assert (lag["dead_letters"], lag["parked"], lag["drained"]) == (0, 0, True)
            gone = await client.post(f"{path}:discard")
            assert (gone.status_code, gone.json()["code"]) == (404, "DEAD_LETTER_NOT_FOUND")


async def test_a_discarded_letter_lets_its_key_go_on() -> None:
    async with memory_service(MORE) as service:
        await notes(service, "bad", "good")
        await service.settle()
        async with service.client(["ops"]) as client:
            (letter,) = (await client.get("/ops/dead-letters")).json()["items"]
            discarded = await client.post(f"/ops/dead-letters/{letter['id']}:discard")
            assert (discarded.json()["state"], discarded.json()["resolved_by"]) == (
                "discarded",
                "test-client",
            )
            await service.settle()
            assert (await client.get("/ops/lag")).json()["parked"] == 0
            assert (await client.get("/ops/dead-letters")).json()["items"] == []


async def test_an_unknown_letter_is_a_404(service: MemoryService) -> None:
    async with service.client(["ops"]) as client:
        assert (await client.get("/ops/dead-letters/nothing")).status_code == 404


async def test_the_feed_gives_messages_and_never_private_events() -> None:
    async with memory_service(MORE) as service:
        await notes(service, "a", "b")
        async with service.client(["events:read"]) as client:
            first = (await client.get("/events", params={"limit": 1})).json()
            second = (await client.get("/events", params={"after": first["next"]})).json()
            end = (await client.get("/events", params={"after": second["next"]})).json()
        assert len(first["items"]) == 2
        assert {item["type"] for item in first["items"]} == {"liangxian.registration.death_report_overdue.v1"}
        assert [item["sequence"] for item in second["items"]] == ["2", "2"]
        assert end == {"items": [], "next": second["next"]}


async def test_the_feed_of_some_types_reads_only_them() -> None:
    """``types``: names of events; one nobody publishes gives nothing and moves to the head."""
    async with memory_service(MORE) as service:
        await notes(service, "a", "b", "c")
        async with service.client(["events:read"]) as client:
            first = (await client.get("/events", params={"types": "NoteTaken,Other", "limit": 2})).json()
            rest = (await client.get("/events", params={"types": "NoteTaken", "after": first["next"]})).json()
            none = (await client.get("/events", params={"types": "DayBegun"})).json()
        assert ([item["sequence"] for item in first["items"]], first["next"]) == (["1", "1", "2", "2"], "2")
        assert ([item["sequence"] for item in rest["items"]], rest["next"]) == (["3", "3"], "3")
        assert none == {"items": [], "next": "3"}


async def test_the_log_is_counted_by_type(service: MemoryService) -> None:
    """``/ops/log``: events per type and records on the service's own topics; null while the broker is away."""
    await notes(service, "a", "b")
    async with service.client(["ops"]) as client:
        assert (await client.get("/ops/log")).json() == {
            "service": "registration", "log_position": 2, "types": {"NoteTaken": 2}, "messages": None
        }  # fmt: skip
        broker = MemoryBroker(SeededRuntime(1))
        await broker.create_topics(TOPICS)
        service.machinery.consumption = GroupLag(broker, service.parts.database, "registration", [])
        assert (await client.get("/ops/log")).json()["messages"] == 0
        broker.available = False
        assert (await client.get("/ops/log")).json()["messages"] is None


async def test_readers_behind_the_head_are_not_drained() -> None:
    async with memory_service(MORE) as service:
        await notes(service, "a")
        async with service.client(["ops"]) as client:
            lag = (await client.get("/ops/lag")).json()
            assert (lag["log_position"], lag["readers"]["projection:notes"], lag["drained"]) == (1, 0, False)
            await service.settle()
            lag = (await client.get("/ops/lag")).json()
            assert lag["readers"] == {"projection:notes": 1, "reaction:chokes": 1}
            assert lag["drained"] is True


async def test_unread_messages_are_not_drained(service: MemoryService) -> None:
    """Topics count from the broker's ends and our offsets; an absent broker is never ``drained``."""
    broker = MemoryBroker(SeededRuntime(1))
    topic = DeathReportOverdueV1.topic
    await broker.create_topics([topic])
    service.machinery.consumption = GroupLag(broker, service.parts.database, "registration", [topic.name])
    lag = await service.machinery.lag()
    assert (lag.drained, lag.taken) == (True, {topic.name: 0})
    await broker.publish([Outgoing(topic.name, "k", 0, (), b"v")])
    lag = await service.machinery.lag()
    assert (lag.drained, lag.taken) == (False, {topic.name: 1})
    broker.available = False
    lag = await service.machinery.lag()
    assert not lag.drained
    assert [(one.topic, one.messages) for one in lag.topics] == [("", 1)]


async def test_a_projection_that_stopped_is_not_ready() -> None:
    async with memory_service(MORE) as service:
        service.projections.failures["notes"] = "KeyError"
        async with service.anonymous() as client:
            red = await client.get("/readyz")
        assert (red.status_code, red.json()["faults"]) == (503, ["projection:notes: KeyError"])


async def test_what_a_service_published_stands_beside_what_it_took() -> None:
    """Two services that agree on a topic have nothing under way between them; who cannot tell is not drained."""

    class Away(GroupLag):
        async def published(self) -> Mapping[str, int]:
            raise BrokerUnavailableError("OSError")

    async with memory_service(MORE) as service:
        broker, database = MemoryBroker(SeededRuntime(1)), service.parts.database
        await broker.create_topics(TOPICS)
        own = next(topic.name for topic in TOPICS if topic.service == "registration")
        await broker.publish([Outgoing(own, "k", 0, (), b"v")] * 2)
        service.machinery.consumption = GroupLag(broker, database, "registration", [])
        lag = await service.machinery.lag()
        assert (lag.drained, lag.published[own], sum(lag.published.values())) == (True, 2, 2)
        service.machinery.consumption = Away(broker, database, "registration", [])
        assert not (await service.machinery.lag()).drained


async def test_a_service_without_the_issuers_keys_is_not_ready() -> None:
    class NoKeys:
        def keys(self) -> None:
            return None

    async with memory_service(MORE) as service:
        service.machinery.keys = NoKeys()
        assert await service.machinery.faults() == ["issuer: no keys yet"]


async def test_lag_is_plain_json(service: MemoryService) -> None:
    async with service.client(["ops"]) as client:
        body = (await client.get("/ops/lag")).content
    assert msgspec.json.decode(body)["service"] == "registration"


async def test_a_caller_may_wait_for_rest() -> None:
    """``/ops/lag?wait=``: answered as soon as nothing is behind, at the latest when the time is over."""
    async with memory_service(MORE) as service, service.client(["registration:ops"]) as client:
        await notes(service, "a")
        runtime = service.ports.runtime
        before = runtime.monotonic()
        late = (await client.get("/ops/lag", params={"wait": 2})).json()
        assert (late["drained"], runtime.monotonic() - before >= 2) == (False, True)
        await service.settle()
        before = runtime.monotonic()
        rested = (await client.get("/ops/lag", params={"wait": 30})).json()
        assert (rested["drained"], rested["log_position"], runtime.monotonic() - before) == (True, 1, 0)
        assert (await client.get("/ops/lag", params={"wait": 3600})).status_code == 422


async def test_work_in_hand_is_no_rest() -> None:
    """What this process knows to be busy is not asked about in the database."""
    async with memory_service(MORE) as service, service.client(["registration:ops"]) as client:
        looks = [True, True]
        service.machinery.busy = lambda: bool(looks and looks.pop())
        assert (await client.get("/ops/lag", params={"wait": 30})).json()["drained"] is True
        assert not looks
