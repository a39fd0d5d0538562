"""Ports of time, ids and randomness (architecture §5, determinism and two clocks)."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import threading
import uuid

from shared.kernel.clock import SHANGHAI, SeededRuntime, SimulatedClock, SystemRuntime, WallClock, uuid7


def test_simulated_time_stands_at_midnight_in_shanghai() -> None:
    now = SimulatedClock(dt.date(2019, 11, 1)).now()
    assert now == dt.datetime(2019, 10, 31, 16, tzinfo=dt.UTC)
    assert now.tzinfo is SHANGHAI


def test_simulated_time_never_runs_backwards() -> None:
    clock = SimulatedClock(dt.date(2019, 11, 2))
    clock.begin(dt.date(2019, 11, 1))
    assert clock.today() == dt.date(2019, 11, 2)
    clock.begin(dt.date(2019, 11, 3))
    assert clock.today() == dt.date(2019, 11, 3)


def test_wall_clock_is_aware_and_local() -> None:
    clock = WallClock()
    assert clock.now().utcoffset() == dt.timedelta(hours=8)
    assert abs(clock.today() - clock.now().date()) <= dt.timedelta(days=1)


def test_uuid7_carries_version_variant_and_time() -> None:
    made = uuid.UUID(uuid7(0x0123456789AB, bytes(range(10))))
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == 0x0123456789AB


def test_uuid7_takes_all_entropy_there_is_room_for() -> None:
    assert uuid7(1, b"\x00" * 10) != uuid7(1, b"\x01" + b"\x00" * 9)
    assert uuid7(1, b"\xff" * 10)[14] == "7"


async def test_one_seed_gives_one_history() -> None:
    async def history(runtime: SeededRuntime) -> list[object]:
        await runtime.sleep(1.5)
        return [runtime.new_id(), runtime.random_id(), runtime.random_bytes(12), runtime.timestamp()]

    assert await history(SeededRuntime(7)) == await history(SeededRuntime(7))
    assert await history(SeededRuntime(7)) != await history(SeededRuntime(8))


async def test_simulated_sleep_takes_no_time_and_lets_others_run() -> None:
    runtime, ran = SeededRuntime(1), asyncio.Event()

    async def other() -> None:
        ran.set()

    task = runtime.start(other(), "other")
    before = runtime.monotonic()
    await runtime.sleep(3600)
    assert runtime.monotonic() - before == 3600
    assert ran.is_set()
    await task
    assert task.get_name() == "other"


async def test_person_ids_given_later_come_later() -> None:
    """ADR 0053: rows of people registered together lie together, and 96 bits stay random."""
    for runtime in (SystemRuntime(), SeededRuntime(7)):
        one, other = runtime.random_id(), runtime.random_id()
        assert int(one[:8], 16) <= int(runtime.timestamp())
        assert one[:8] <= other[:8]
        assert one[8:] != other[8:]
    seeded = SeededRuntime(7)
    early = [seeded.random_id() for _ in range(20)]
    await seeded.sleep(1)
    assert max(early) < seeded.random_id()


async def test_system_runtime_gives_fresh_ids() -> None:
    runtime = SystemRuntime()
    assert len({runtime.new_id() for _ in range(100)}) == 100
    assert len({runtime.random_id() for _ in range(100)}) == 100
    assert len(runtime.random_id()) == 32
    assert len(runtime.random_bytes(12)) == 12
    before = runtime.monotonic()
    await runtime.sleep(0)
    assert runtime.monotonic() >= before
    assert runtime.timestamp() > 1_600_000_000


def test_no_entropy_is_handed_out_twice() -> None:
    """Nonces under one key must differ (AES-GCM): over the ends of blocks, between threads and runtimes."""
    taken: list[bytes] = []

    def take() -> None:
        runtime = SystemRuntime()
        taken.extend(runtime.random_bytes(12) for _ in range(2_000))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {len(piece) for piece in taken} == {12}
    assert len(set(taken)) == len(taken) == 8_000


def test_a_forked_child_has_entropy_of_its_own() -> None:
    """A child that went on in its parent's block would use its parent's nonces again."""
    runtime = SystemRuntime()
    runtime.random_bytes(12)
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(tell, runtime.random_bytes(12))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(told, 12) != runtime.random_bytes(12)
    os.close(told)
    os.close(tell)


def test_keys_come_straight_from_the_operating_system() -> None:
    assert [len(SystemRuntime().random_bytes(count)) for count in (0, 1, 12, 13, 32, 5_000)] == [
        0, 1, 12, 13, 32, 5_000,
    ]  # fmt: skip
