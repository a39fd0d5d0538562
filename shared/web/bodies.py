"""JSON bodies nothing could store are refused at the door (请求内容检查).

PostgreSQL keeps no NUL in a text and no number beyond 64 bits. An event that held one would be in the log for ever
and stop every read model that meets it, so it is refused before anything is decided.
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.kernel.errors import ProblemError, Refusal
from shared.web.reasons import reason_of

_NUL = b"\\u0000"
_LONG_NUMBER = re.compile(rb'":(?<!\\":)\s*-?\d{17,}')
"""A key's number of 17 digits or more: behind a quotation mark that ends a key, never inside a text."""

_OVERLAP = 64


class StorableBodies:
    """Looks at JSON bodies on their way in; other media types have readers of their own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT", "PATCH"):
            await self._app(scope, receive, send)
            return
        if not Headers(scope=scope).get("content-type", "").startswith("application/json"):
            await self._app(scope, receive, send)
            return
        first: list[Message] = [await receive()]
        tail = refuse_unstorable(b"", first[0].get("body", b""))

        async def passing() -> Message:
            nonlocal tail
            if first:
                return first.pop()
            message = await receive()
            tail = refuse_unstorable(tail, message.get("body", b""))
            return message

        await self._app(scope, passing, send)


def refuse_unstorable(before: bytes, block: bytes) -> bytes:
    """Raises ProblemError VALIDATION_FAILED (422); answers the end of what was seen, for the next block."""
    seen = before + block
    rule = "CONTROL_CHARACTER" if _NUL in seen else "NUMBER_TOO_LARGE" if _LONG_NUMBER.search(seen) else ""
    if rule:
        raise ProblemError(Refusal("VALIDATION_FAILED", rule=rule, message=reason_of("", rule)))
    return seen[-_OVERLAP:]
