"""What a process tells when it is asked: a scrape that never hides a fault (issue 5 §5)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest

from shared.eventstore.log import Failure
from shared.testing.service import MemoryService, memory_service
from shared.web import standing
from tests.unit.web.conftest import SERVICE, WRITE
from tests.unit.web.test_operations import MORE, fault, notes

AWAY = "database: does not answer"


async def scraped(service: MemoryService) -> dict[str, float]:
    """Samples of the service by name and labels (``service`` left out); the scrape itself must succeed."""
    async with service.anonymous() as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    lines = [line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#")]
    own = f'service="{service.name}"'
    return {
        name.replace(own, "").replace("{}", "").replace(",}", "}").replace("{,", "{"): float(value)
        for name, _, value in lines
    }


async def readiness(service: MemoryService) -> httpx.Response:
    async with service.anonymous() as client:
        return await client.get("/readyz")


async def test_a_check_that_fails_is_a_fault_to_alarm() -> None:
    """PACK_MISMATCH and the like: ``/readyz`` is red, and ServiceNotReady sees the same number."""
    async with memory_service(MORE) as service:
        assert (await scraped(service))["liangxian_faults"] == 0
        fault.append("pack: another digest than the campaign's")
        try:
            assert (await scraped(service))["liangxian_faults"] == 1
            assert (await readiness(service)).status_code == 503
        finally:
            fault.clear()


async def test_work_that_fails_again_and_again_is_told_until_it_goes_well() -> None:
    """Nothing else stands still when a reaction or a file cannot be written: relay, consumers and read models go on."""
    async with memory_service(MORE) as service:
        failures = 3
        service.machinery.failures["imports"] = lambda: failures
        assert (await scraped(service))['liangxian_work_failures{work="imports"}'] == 3
        failures = 0
        assert (await scraped(service))['liangxian_work_failures{work="imports"}'] == 0


async def test_a_database_that_is_away_is_told_by_a_scrape_that_succeeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Given no database, when Prometheus asks, then the process is up and not ready: not down."""

    async def gone() -> int:
        raise ConnectionResetError

    async with memory_service(MORE) as service:
        monkeypatch.setattr(service.parts.log, "head", gone)
        assert (await scraped(service))["liangxian_faults"] == 1
        assert (await readiness(service)).json()["faults"] == [AWAY]


async def test_a_database_that_hangs_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a database that takes the question and does not answer, then the scrape ends within its time."""

    async def never() -> int:
        await asyncio.Event().wait()
        return 0

    monkeypatch.setattr(standing, "ANSWER_SECONDS", 0.05)
    async with memory_service(MORE) as service:
        monkeypatch.setattr(service.parts.log, "head", never)
        assert (await scraped(service))["liangxian_faults"] == 1
        assert (await readiness(service)).json()["faults"] == [AWAY]


async def test_a_database_lost_between_readiness_and_gauges_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost() -> None:
        raise ConnectionResetError

    described = replace(SERVICE, describe=lambda ports: replace(SERVICE.describe(ports), gauges=[lost]))
    async with memory_service(described) as service:
        monkeypatch.setattr(service.parts.log, "failure", lambda _: Failure.CONNECTION)
        assert (await scraped(service))["liangxian_faults"] == 1


async def test_a_gauge_that_is_wrong_is_no_database_that_is_away() -> None:
    """A defect must not be taken for an outage, nor for silence: the scrape fails, ServiceDown fires."""

    async def wrong() -> None:
        raise ValueError

    described = replace(SERVICE, describe=lambda ports: replace(SERVICE.describe(ports), gauges=[wrong]))
    async with memory_service(described) as service, service.anonymous() as client:
        assert (await client.get("/metrics")).status_code == 500


async def test_the_lag_of_a_read_model_is_the_age_of_what_it_has_not_applied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Told while it is behind for whatever reason, not only when it failed; 0 once it has caught up."""
    asked: list[int] = []

    async def age(after: int) -> float:
        asked.append(after)
        return 45.0

    lag = 'liangxian_projection_lag_seconds{projection="notes"}'
    async with memory_service(SERVICE) as service:
        monkeypatch.setattr(service.parts.log, "lag_seconds", age)
        assert (await scraped(service))[lag] == 0
        await notes(service, "one", "two")
        assert (await scraped(service))[lag] == 45
        assert asked == [0, 0]
        await service.settle()
        assert (await scraped(service))[lag] == 0


async def test_events_a_read_model_has_no_use_for_do_not_make_it_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def age(_: int) -> float:
        return 45.0

    async def nothing(*_: Any) -> list[Any]:
        return []

    async with memory_service(SERVICE) as service:
        await notes(service, "one")
        monkeypatch.setattr(service.parts.log, "lag_seconds", age)
        monkeypatch.setattr(service.parts.log, "find", nothing)
        assert (await scraped(service))['liangxian_projection_lag_seconds{projection="notes"}'] == 0


async def test_an_api_process_tells_where_the_relay_stands() -> None:
    """No worker runs: the position of the last publication is told, so that RelayStalled can see it."""
    async with memory_service(MORE) as service:
        await notes(service, "one")
        found = await scraped(service)
        assert (found["liangxian_relay_position"], found["liangxian_log_position"]) == (0, 1)
        async with service.client([WRITE]) as client:
            assert (await client.post("/thin", json={"text": "two"})).status_code == 201
        assert (await scraped(service))["liangxian_log_position"] == 2
