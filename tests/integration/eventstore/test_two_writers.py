"""Several writers on one log: nothing lost, nothing reordered, no deadlock; and each detector notices its
mutant (architecture §3: order)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from shared.eventstore import decision, writer
from shared.eventstore.commands import Done
from shared.eventstore.decision import BatchDecider, Task
from shared.eventstore.postgres_log import PostgresLog
from shared.eventstore.writer import Writer
from shared.kernel.clock import SystemRuntime, WallClock
from tests.contract.eventstore.sample import TAKEN, TYPES, key, mixed_row, pay
from tests.integration.eventstore.observation import deadlocked, faults_of, lost_by_a_tail

pytestmark = pytest.mark.postgres

MakeLog = Callable[[], PostgresLog]
Execute = Callable[[str], Awaitable[None]]


async def write(log: PostgresLog, commands: list[Any], kind: type[Writer] = Writer) -> list[Any]:
    """All commands at once through a writer of its own; exceptions are answers."""
    store = kind(log=log, clock=WallClock(), runtime=SystemRuntime(), types=TYPES, queue=10_000)
    await store.start()
    try:
        return await asyncio.gather(*map(store.execute, commands), return_exceptions=True)
    finally:
        await store.stop()


async def function_without(url: str, text: str) -> str:
    """append_events with a piece of its text taken out."""
    connection = await asyncpg.connect(url)
    try:
        source: str = await connection.fetchval(
            "SELECT pg_get_functiondef('platform.append_events'::regproc)"
        )
    finally:
        await connection.close()
    assert text in source
    return source.replace(text, "")


class TestOrder:
    async def test_a_tail_never_passes_an_open_append(self, url: str, make_log: MakeLog) -> None:
        assert await lost_by_a_tail(make_log(), make_log(), make_log(), url) == set()

    async def test_without_the_lock_the_tail_loses_an_event(
        self, url: str, make_log: MakeLog, execute: Execute
    ) -> None:
        """Mutant: the advisory lock is gone; position order is no longer commit order."""
        await execute(
            "CREATE OR REPLACE FUNCTION platform.append_lock() RETURNS void LANGUAGE sql AS 'SELECT'"
        )
        assert await lost_by_a_tail(make_log(), make_log(), make_log(), url) == {"purse:held"}

    async def test_two_writers_on_the_same_streams(self, make_log: MakeLog) -> None:
        """Given 30 purses that hold 10 payments each, when two writers send 300 commands each to them, then
        exactly 300 are accepted and every stream is whole; a tail that reads meanwhile sees each once."""
        logs = [make_log(), make_log()]
        reader = make_log()
        seen: list[int] = []
        finished = asyncio.Event()

        async def tail() -> None:
            position = 0
            while True:
                over = finished.is_set()
                page = await reader.read_page(position, 50)
                seen.extend(item.position for item in page.events)
                if page.scanned == position and over:
                    return
                position = page.scanned

        reading = asyncio.ensure_future(tail())
        commands = [pay(f"p{n % 30}", 1, limit=10) for n in range(300)]
        answers = await asyncio.gather(*[write(log, commands) for log in logs])
        finished.set()
        await reading
        outcomes = [outcome for answer in answers for outcome in answer]
        accepted = [outcome.position for outcome in outcomes if isinstance(outcome, Done)]
        refused = {outcome.code for outcome in outcomes if not isinstance(outcome, Done)}
        assert refused <= {"PURSE_FULL", "CONCURRENT_CHANGE"}
        assert sorted(accepted) == seen == sorted(seen)
        assert await faults_of(reader) == []
        if "CONCURRENT_CHANGE" not in refused:
            assert len(seen) == 300

    async def test_the_same_keys_from_two_writers(self, make_log: MakeLog) -> None:
        logs = [make_log(), make_log()]
        commands = [pay(f"p{n}", idempotency=key(f"k{n}")) for n in range(200)]
        first, second = await asyncio.gather(*[write(log, commands) for log in logs])
        for one, other in zip(first, second, strict=True):
            assert (one.position, one.response) == (other.position, other.response)
            assert one.replayed != other.replayed
        assert await logs[0].head() >= 200
        assert len(await logs[0].read(0, 1000)) == 200

    async def test_the_same_guards_from_two_writers(self, make_log: MakeLog) -> None:
        logs = [make_log(), make_log()]
        answers = await asyncio.gather(
            *[
                write(log, [pay(f"{side}{n}", receipt=f"r{n}") for n in range(100)])
                for side, log in zip("ab", logs, strict=True)
            ]
        )
        for one, other in zip(*answers, strict=True):
            assert sorted([isinstance(one, Done), isinstance(other, Done)]) == [False, True]
            assert TAKEN in (one, other)
        assert len(await logs[0].read(0, 1000)) == 100

    async def test_two_processes(self, url: str, make_log: MakeLog) -> None:
        """Two processes of this program append to common and to own streams at the same time."""
        children = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.integration.eventstore.writing_process", url, name, "400"
            )
            for name in ("one", "two")
        ]
        async with asyncio.timeout(120):
            codes = [await child.wait() for child in children]
        assert codes == [0, 0]
        log = make_log()
        assert await faults_of(log) == []
        assert len(await log.read_stream("purse:common", 2020)) == 200
        assert len(await log.read(0, 10_000)) == 1000


class TestKeys:
    async def test_sorted_keys_do_not_deadlock(self, url: str, make_log: MakeLog) -> None:
        assert not await deadlocked([make_log(), make_log(), make_log()], url)

    async def test_unsorted_keys_deadlock(self, url: str, make_log: MakeLog, execute: Execute) -> None:
        """Mutant: idempotency rows are inserted in the order of the batch."""
        await execute(
            await function_without(
                url, 'ORDER BY organisation COLLATE "C", operation COLLATE "C", key COLLATE "C"'
            )
        )
        assert await deadlocked([make_log(), make_log(), make_log()], url)

    async def test_equal_keys_of_a_batch_must_be_merged(
        self, make_log: MakeLog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Mutant: nobody notices that a key stands twice in the batch; both commands are written."""

        class Unmerged(BatchDecider):
            def known(self, task: Task) -> bool:
                self._keys.clear()
                return super().known(task)

        commands = [pay(purse, idempotency=key("k")) for purse in ("a", "b")]
        log = make_log()
        await write(log, commands)
        assert len(await log.read(0, 10)) == 1
        monkeypatch.setattr(writer, "BatchDecider", Unmerged)
        await write(log, [pay(purse, idempotency=key("other")) for purse in ("a", "b")])
        assert len(await log.read(0, 10)) == 3


class TestIsolation:
    async def test_a_bad_neighbour_without_halving(self, make_log: MakeLog) -> None:
        """Mutant: an error of the database fails the whole batch."""

        class Unhalved(Writer):
            async def _isolate(self, error: Exception, tasks: list[Task], *_: Any) -> None:
                for task in tasks:
                    self._answer(task, error)

        log = make_log()
        commands = [pay(f"p{n}", row=mixed_row(f"r{n}", 5000 if n == 7 else n)) for n in range(21)]
        failed = [isinstance(answer, Exception) for answer in await write(log, commands, Unhalved)]
        assert failed == [True] * 21
        failed = [isinstance(answer, Exception) for answer in await write(log, commands)]
        assert failed == [n == 7 for n in range(21)]

    async def test_a_text_postgresql_refuses_fails_its_command_only(self, make_log: MakeLog) -> None:
        """A NUL in a guard's key is no text for PostgreSQL; the batch it stands in is halved."""
        log = make_log()
        answers = await write(log, [pay(f"p{n}", receipt="r\x00" if n == 3 else f"r{n}") for n in range(9)])
        assert [isinstance(answer, Exception) for answer in answers] == [n == 3 for n in range(9)]

    async def test_groups_must_be_joined(self, make_log: MakeLog, monkeypatch: pytest.MonkeyPatch) -> None:
        """Mutant: commands of a batch are written one by one. B rests on A's event, A's receipt is taken, yet
        the version of the purse happens to fit: B is accepted on an event that never happened."""
        log = make_log()
        await write(log, [pay("x", receipt="r")])
        batch = [pay("a", 10, receipt="r"), pay("a", 1)]
        answers = await write(log, batch)
        assert (answers[0], answers[1].response) == (TAKEN, b'{"before":0}')
        assert await faults_of(log) == []
        monkeypatch.setattr(decision.BatchDecider, "_join", lambda *_: None)
        answers = await write(log, [pay("b", 10, receipt="r"), pay("b", 1)])
        assert answers[1].response == b'{"before":10}'
        assert await faults_of(log) == ["(2020, 'purse:b'): [2]"]
