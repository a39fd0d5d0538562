"""A village whose engines and network fail: its own PostgreSQL, a proxy in between, a clock that can be set."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx

from deploy.local.layout import SERVICES
from deploy.local.postgres import PostgresServer
from deploy.local.processes import StartFailed, free_port, leash, until
from deploy.local.programs import organisations_file
from deploy.local.provisioning import BROKER
from deploy.rehearsal.clients import Services
from tests.faults.network import PostgresProxy
from tests.faults.system.alarms import Alarms, Seen, now
from tests.faults.system.village import Moment, Progress, Village

DATABASES = (*SERVICES, BROKER)
KEEP_SECONDS = 0.2
LONGEST_SECONDS = 45.0
"""How long a fault goes on at most while its alert has not fired yet."""
HEALED_SECONDS = 90.0
FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
_ANSWERS = re.compile(
    r'^liangxian_http_request_duration_seconds_count\{.*status="(5\d\d)".*\} (\S+)$', re.MULTILINE
)
_ROUTE = re.compile(r'route="/(?:readyz|metrics)"')


@dataclass(frozen=True, slots=True)
class Fault:
    """What befalls the village, when, for how long at least, and which alerts may tell of it (any of them)."""

    name: str
    befalls: Callable[[FaultyVillage], contextlib.AbstractAsyncContextManager[str]] = field(repr=False)
    when: Callable[[Progress], bool] = field(repr=False)
    alerts: frozenset[str] = frozenset()
    seconds: float = 5.0


@dataclass
class FaultyVillage(Village):
    """``small``: a directory on a file system of its own that can be filled, for PostgreSQL's data."""

    small: Path | None = None
    alarms: Alarms | None = None
    server: PostgresServer = field(init=False)
    proxy: PostgresProxy = field(init=False)
    seen: list[Seen] = field(default_factory=list)
    _down: bool = False
    _fired: set[str] = field(default_factory=set)
    _let_go: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.server = PostgresServer(self.small or self.folder / "server")

    @property
    def clock(self) -> Path:
        """What the services' clock is off by, as libfaketime reads it; PostgreSQL's clock stays right."""
        return self.folder / "clock"

    async def open(self) -> None:
        """Start the server, the proxy and who keeps the server running."""
        await self._start_server()
        self.proxy = PostgresProxy(free_port(), self.server.port)
        await self.proxy.start()
        location = urlsplit(self.server.url())
        host = f"{location.netloc.rpartition('@')[0]}@127.0.0.1:{self.proxy.port}"
        self.environment = {"LIANGXIAN_POSTGRES_URL": urlunsplit(location._replace(netloc=host))}
        if FAKETIME:
            self.clock.write_text("+0", encoding="ascii")
            self.environment |= {
                "LD_PRELOAD": str(FAKETIME[0]),
                "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }

    async def close(self) -> None:
        """Stop the system, then what it stood on."""
        await self.stop()
        await self.proxy.stop()
        await self.server.stop()
        self._let_go()
        self.server.destroy()

    async def _start_server(self) -> None:
        """It ends with this process, however that ends."""
        await self.server.start()
        running = self.server.running()
        if running is not None:
            self._let_go()
            self._let_go = leash(running.pid, signal.SIGINT)

    async def suffer(self, faults: list[Fault]) -> None:
        """The whole campaign, each fault as soon as its moment is seen."""
        keeper = asyncio.ensure_future(self._keep())
        try:
            await self.run(faults)
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def befall(self, moment: Moment, driver: asyncio.subprocess.Process) -> asyncio.subprocess.Process:
        """See Village.befall; a fault until everybody is well again."""
        if not isinstance(moment, Fault):
            return await super().befall(moment, driver)
        self.seen.append(await self._suffer(moment))
        return driver

    async def _suffer(self, fault: Fault) -> Seen:
        """The fault, as long as it must and until its alert fires; then until everybody is well."""
        await until(lambda: self._quiet(fault), seconds=LONGEST_SECONDS, every=0.5)
        answers, began = await self._answered(), now()
        async with fault.befalls(self) as story:
            await asyncio.sleep(fault.seconds)
            await until(lambda: self._alarmed(fault), seconds=LONGEST_SECONDS - fault.seconds, every=0.5)
        ended = now()
        assert await until(self._well, seconds=HEALED_SECONDS, every=0.2), f"not well after {fault.name}"
        healed = now()
        fired = set() if self.alarms is None else self.alarms.fired(began, healed) | self._fired
        told = [story] if story else []
        told += [
            f"{count} × {status}" for status, count in sorted((await self._answered() - answers).items())
        ]
        told.append(f"well again after {healed - ended:.1f} s")
        return Seen(fault.name, ended - began, ", ".join(told), frozenset(fired), fault.alerts)

    async def _alarmed(self, fault: Fault) -> bool:
        self._fired = set()
        if self.alarms is None or not fault.alerts:
            return True
        self._fired = await asyncio.to_thread(self.alarms.firing)
        return bool(self._fired & fault.alerts)

    async def _quiet(self, fault: Fault) -> bool:
        """Nothing fires any more that the fault before may have left, and that this one is to be told by."""
        return self.alarms is None or not await asyncio.to_thread(self.alarms.firing) & fault.alerts

    async def _well(self) -> bool:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as http:
            try:
                answers = [await http.get(f"{each}/readyz") for each in self.addresses()]
            except httpx.HTTPError:
                return False
        return all(answer.status_code == httpx.codes.OK for answer in answers)

    async def _answered(self) -> Counter[str]:
        """Answers with 5xx so far by status, probes aside; services that are away count nothing."""
        found: Counter[str] = Counter()
        async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
            for each in self.addresses():
                with contextlib.suppress(httpx.HTTPError):
                    for sample in _ANSWERS.finditer((await http.get(f"{each}/metrics")).text):
                        if not _ROUTE.search(sample[0]):
                            found[sample[1]] += int(float(sample[2]))
        return found

    def addresses(self) -> list[str]:
        """Base addresses of the four services."""
        return [f"http://127.0.0.1:{self.port_base + offset}" for offset in range(len(SERVICES))]

    async def _keep(self) -> None:
        """Start PostgreSQL again whenever it is down and may be up: a service manager's job."""
        while True:
            if not self._down and self.server.running() is None:
                with contextlib.suppress(StartFailed):  # no room to start in: at the next look
                    await self._start_server()
            await asyncio.sleep(KEEP_SECONDS)

    @contextmanager
    def held_down(self) -> Iterator[None]:
        """Nobody starts PostgreSQL again meanwhile."""
        self._down = True
        try:
            yield
        finally:
            self._down = False

    async def resend(self) -> int:
        """Every service publishes its whole log again; answers the number of messages."""
        async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
            services = Services.on(self.port_base, organisations_file(), http)
            replies = [
                await services.post("ops", name, "/ops/relay:resend", {"from": 1}) for name in SERVICES
            ]
        return sum(int(reply.body["records"]) for reply in replies)

    async def messages(self) -> int:
        """How many messages the broker was given."""
        connection = await asyncpg.connect(self.server.url(BROKER))
        try:
            return int(await connection.fetchval("SELECT sum(next_offset) FROM broker.partitions"))
        finally:
            await connection.close()


@asynccontextmanager
async def postgres_restarted(village: FaultyVillage) -> AsyncIterator[str]:
    """Stopped in order, with a checkpoint; away for a while."""
    with village.held_down():
        await village.server.stop()
        yield "stopped in order"


@asynccontextmanager
async def postmaster_killed(village: FaultyVillage) -> AsyncIterator[str]:
    """``kill -9``: no checkpoint, sessions cut in the middle of what they did; recovery from the WAL."""
    with village.held_down():
        running = village.server.running()
        assert running is not None
        assert running.signal(signal.SIGKILL)
        assert await until(lambda: not running.alive(), seconds=10)
        yield "recovered from its WAL"


@asynccontextmanager
async def disk_full(village: FaultyVillage) -> AsyncIterator[str]:
    """The file system of PostgreSQL's data shrinks to what is used, and again where some of it is given free (old WAL
    after a checkpoint), until somebody wants more; later it is as big as it was."""
    small = village.small
    assert small is not None

    def full() -> bool:
        return "No space left on device" in village.server.log.read_text(encoding="utf-8", errors="replace")

    def squeezed() -> bool:
        resize(small, shutil.disk_usage(small).used)
        return full()

    squeezing = asyncio.ensure_future(until(squeezed, seconds=LONGEST_SECONDS, every=0.5))
    try:
        yield "PostgreSQL: no space left on device"
    finally:
        squeezing.cancel()
        await asyncio.wait([squeezing])
        resize(small, SMALL_BYTES)
    assert full(), "the disk was never full for anybody"


def over(*databases: str, delay: float | None = None, silent: bool = False) -> Befalls:
    """The network to these databases is cut; or slow by seconds a packet; or swallows everything."""

    @asynccontextmanager
    async def befalls(village: FaultyVillage) -> AsyncIterator[str]:
        proxy = village.proxy
        if delay is not None:
            async with proxy.slow(delay, *databases):
                yield f"{delay * 1000:.0f} ms a packet"
        elif silent:
            async with proxy.silence(*databases):
                yield "packets swallowed, nobody told"
        else:
            async with proxy.cut(*databases):
                yield "connections reset and refused"

    return befalls


@asynccontextmanager
async def delivered_twice(village: FaultyVillage) -> AsyncIterator[str]:
    """Every log is published again from its first event, while the campaign goes on."""
    before = await village.messages()
    again = await village.resend()
    assert again > 0
    assert await village.messages() >= before + again
    yield f"{again} messages delivered again"


def clock_set(seconds: int) -> Befalls:
    """The services' clock jumps by so much and, when it is over, back."""

    @asynccontextmanager
    async def befalls(village: FaultyVillage) -> AsyncIterator[str]:
        village.clock.write_text(f"{seconds:+d}", encoding="ascii")
        try:
            yield f"jumped by {seconds:+d} s and back"
        finally:
            village.clock.write_text("+0", encoding="ascii")

    return befalls


Befalls = Callable[[FaultyVillage], contextlib.AbstractAsyncContextManager[str]]
SMALL_BYTES = 3 << 30


def resize(mounted: Path, size: int) -> None:
    """Give a file system in memory another size."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(mounted)], check=True, timeout=10)


@contextmanager
def small_file_system() -> Iterator[Path | None]:
    """A file system in memory that everybody may enter; None where we may not make one."""
    mounted = Path(tempfile.mkdtemp(prefix="liangxian-disk-"))
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_BYTES},mode=0755", "tmpfs", str(mounted)]
    made = os.geteuid() == 0 and subprocess.run(command, check=False, timeout=10).returncode == 0
    try:
        yield mounted if made else None
    finally:
        if made:
            subprocess.run(["umount", "--lazy", str(mounted)], check=False, timeout=10)
        mounted.rmdir()
