"""Who relays a log, or runs a service's readers: one process at a time.

Leadership only saves work and noise. What keeps the order is the relay's cursor and the readers' checkpoints
(compare-and-set) and the consumers' watermarks: two relays at once repeat messages, they never lose or reorder any.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Protocol

import asyncpg

from shared.kernel.clock import Runtime

logger = logging.getLogger(__name__)

PROBE_SECONDS = 2.0
IDLE_SESSION_SECONDS = 10
ANSWER_SECONDS = 5.0
_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Leadership(Protocol):
    """The right to relay one log, or to run one service's readers."""

    async def hold(self) -> bool:
        """True while we lead; tries to become leader when nobody is. Never raises."""
        ...

    async def release(self) -> None:
        """Let another lead."""
        ...


class SoleLeadership:
    """Always leads: one relay per log by construction (simulation, unit tests)."""

    async def hold(self) -> bool:
        return True

    async def release(self) -> None:
        return


class AdvisoryLeadership:
    """A session-level advisory lock on a connection of its own.

    A leader that dies lets go at once. One that is frozen lets go after ``IDLE_SESSION_SECONDS``: the server
    ends a session that stops asking, and the woken leader finds its connection closed before it publishes.
    """

    def __init__(self, dsn: str, name: str, runtime: Runtime) -> None:
        """name: of what is led; also of the channel on which those who stand by wake the leader (``heard``)."""
        self.heard: Callable[[], None] | None = None
        self._dsn = dsn
        self._name = name
        self._runtime = runtime
        self._connection: Any = None
        self._leads = False
        self._asked = 0.0

    async def hold(self) -> bool:
        """See Leadership.hold."""
        now = self._runtime.monotonic()
        if self._connection is not None and now - self._asked < PROBE_SECONDS:
            return self._leads and not self._connection.is_closed()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._ask()
        except _AWAY as error:
            logger.warning("leadership of %s: %s", self._name, type(error).__name__)
            await self.release()
            self._leads = False
        self._asked = self._runtime.monotonic()
        return self._leads

    async def _ask(self) -> None:
        if self._connection is None or self._connection.is_closed():
            self._leads = False
            self._connection = await asyncpg.connect(
                self._dsn,
                server_settings={
                    "application_name": self._name,
                    "idle_session_timeout": str(IDLE_SESSION_SECONDS * 1000),
                },
            )
        if self._leads:
            await self._connection.execute("SELECT 1")
        else:
            self._leads = await self._connection.fetchval(
                "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", self._name
            )
            if self._leads and self.heard is not None:
                await self._connection.add_listener(self._name, self._told)

    def _told(self, *_: Any) -> None:
        if self.heard is not None:
            self.heard()

    async def tell(self) -> None:
        """Wake the leader, wherever it is. Never raises: the leader looks by itself too."""
        if self._connection is None or self._connection.is_closed():
            return
        with contextlib.suppress(*_AWAY):
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._connection.execute("SELECT pg_notify($1, '')", self._name)

    async def release(self) -> None:
        """See Leadership.release."""
        connection, self._connection, self._leads = self._connection, None, False
        if connection is not None:
            with contextlib.suppress(*_AWAY):
                await connection.close(timeout=1)
