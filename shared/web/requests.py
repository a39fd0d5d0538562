"""From a request: metadata of the events it causes, and its body as a msgspec struct."""

from __future__ import annotations

import re
from typing import Any, Protocol, TypeVar

import msgspec
from starlette.requests import HTTPConnection, Request

from shared.eventstore.streams import Metadata
from shared.kernel.errors import ProblemError, Refusal
from shared.observability.tracing import TRACEPARENT
from shared.security.principal import Principal
from shared.web.context import correlation_of, trace_of
from shared.web.spool import Spool, TooLargeError

T = TypeVar("T")
BODY_LIMIT = 1 << 20
"""Largest JSON body of a command, bytes."""

_PATH = re.compile(r" - at `(\$[^`]*)`\Z")


class PackIdentity(Protocol):
    """What a decision records about its policy pack."""

    @property
    def id(self) -> str:
        """Pack id."""
        ...

    @property
    def digest(self) -> str:
        """Digest of the compiled pack."""
        ...


def metadata(
    request: HTTPConnection, principal: Principal, campaign: str = "", pack: PackIdentity | None = None
) -> Metadata:
    """Who and why, for every event of the request. Causation is the request itself."""
    told = metadata_of(correlation_of(request.scope), principal, campaign, trace_of(request.scope))
    if pack is not None:
        told.pack, told.pack_digest = pack.id, pack.digest
    return told


def metadata_of(
    correlation: str, principal: Principal, campaign: str = "", traceparent: str = ""
) -> Metadata:
    """As ``metadata``, where there is no request object. traceparent: of the request's span, if it is sampled."""
    told = Metadata(
        correlation, f"request:{correlation}", principal.client_id, principal.organisation, campaign
    )
    if traceparent:
        told.extra = {TRACEPARENT: traceparent}
    return told


def fault_field(fault: msgspec.MsgspecError) -> str:
    """Dotted field of a msgspec fault, e.g. ``lines.0.amount_fen``; its text may quote the value."""
    match = _PATH.search(str(fault))
    if match is None:
        return ""
    return re.sub(r"\[(\d+|\.\.\.)\]", r".\1", match[1]).removeprefix("$").strip(".")


def decode(body: bytes, kind: type[T]) -> T:
    """A JSON body as a struct. Raises ProblemError BODY_MALFORMED (400) or VALIDATION_FAILED (422)."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as fault:
        raise ProblemError(Refusal("VALIDATION_FAILED", field=fault_field(fault))) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ProblemError(Refusal("BODY_MALFORMED")) from None


def _refuse_announced(request: Request, limit_bytes: int) -> None:
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > limit_bytes:
        raise ProblemError(Refusal("BODY_TOO_LARGE"))


async def spool_body(request: Request, spool: Spool, limit_bytes: int) -> None:
    """The whole body into a spool. Raises ProblemError BODY_TOO_LARGE (413) without reading further."""
    _refuse_announced(request, limit_bytes)
    try:
        await spool.fill(request.stream(), limit_bytes)
    except TooLargeError:
        raise ProblemError(Refusal("BODY_TOO_LARGE")) from None


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body. Raises ProblemError BODY_TOO_LARGE (413) without reading further."""
    _refuse_announced(request, limit_bytes)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit_bytes:
            raise ProblemError(Refusal("BODY_TOO_LARGE"))
        parts.append(part)
    return b"".join(parts)


async def parsed(request: Request, kind: type[T], limit_bytes: int = BODY_LIMIT) -> T:
    """The JSON body of a route as a struct; see ``decode``."""
    return decode(await read_body(request, limit_bytes), kind)


def plain(value: Any) -> Any:
    """A struct as JSON-able builtins."""
    return msgspec.to_builtins(value)
