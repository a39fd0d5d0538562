"""asyncpg sessions that spend less on arrays, in which nearly all rows travel.

asyncpg knows few array types by itself. For every other it asks the server's catalogue, with a recursive query
that costs several times what the statements it is asked for do, and again in every session: here once a process.
And it asks of each element, by abstract classes, whether it is an array itself: here by the types there are,
which takes a third of the time. Both only cost more where asyncpg has changed inside.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import asyncpg
from asyncpg.protocol import protocol

FIRST_OWN_OID = 16384
"""Types below come with the server, alike in all databases; those from here on may differ in each."""

_KNOWN: dict[frozenset[int], Any] = {}

ARRAYS: tuple[type[Any], ...] = (list, tuple, set, frozenset, type({}.keys()), type({}.values()))
"""What may be sent as an array."""

protocol.IterableABC = protocol.SizedABC = ARRAYS


class _Kept:
    """Stands for the statement that asked: it has left the session's unnamed statement alone."""

    name = "kept"


class Session(asyncpg.Connection):  # type: ignore[misc]
    """A connection whose answers about the server's own types are shared."""

    __slots__ = ()

    async def _introspect_types(
        self,
        typeoids: Iterable[int],
        timeout: float,  # noqa: ASYNC109 - asyncpg's own signature
    ) -> tuple[Any, Any]:
        wanted = frozenset(typeoids)
        known = _KNOWN.get(wanted)
        if known is not None:
            return known, _Kept
        answer: tuple[Any, Any] = await super()._introspect_types(wanted, timeout)
        if max(wanted, default=0) < FIRST_OWN_OID:
            _KNOWN[wanted] = answer[0]
        return answer
