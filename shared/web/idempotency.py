"""``Idempotency-Key`` (幂等键): required where a route says so, bound to the parsed command."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from pydantic import BaseModel
from starlette.requests import HTTPConnection

from shared.eventstore.commands import IdempotencyKey
from shared.kernel.errors import ProblemError, Refusal
from shared.security.principal import Principal

HEADER = "Idempotency-Key"
MAX_LENGTH = 255


def digest_of(command: Any) -> bytes:
    """SHA-256 of the parsed command as canonical JSON: white space and key order do not matter."""
    plain = command.model_dump(mode="json") if isinstance(command, BaseModel) else command
    return hashlib.sha256(msgspec.json.encode(plain, order="deterministic")).digest()


def header_key(request: HTTPConnection, *, required: bool = True) -> str | None:
    """The header's value. Raises ProblemError IDEMPOTENCY_KEY_MISSING or IDEMPOTENCY_KEY_TOO_LONG (400)."""
    key = request.headers.get(HEADER, "").strip()
    if not key:
        if required:
            raise ProblemError(Refusal("IDEMPOTENCY_KEY_MISSING", field=HEADER))
        return None
    if len(key) > MAX_LENGTH:
        raise ProblemError(Refusal("IDEMPOTENCY_KEY_TOO_LONG", field=HEADER))
    if not key.isprintable():
        raise ProblemError(Refusal("HEADER_INVALID", field=HEADER))
    return key


def idempotency_key(
    request: HTTPConnection, principal: Principal, operation: str, command: Any, *, required: bool = True
) -> IdempotencyKey | None:
    """The store's key of a request. ``command``: the parsed body, a struct, pydantic model or dict.

    None only when the header is absent and ``required`` is False.
    """
    key = header_key(request, required=required)
    return None if key is None else IdempotencyKey(principal.organisation, operation, key, digest_of(command))


def required_key(
    request: HTTPConnection, principal: Principal, operation: str, command: Any
) -> IdempotencyKey:
    """As ``idempotency_key`` where the route requires the header: never None."""
    key = header_key(request)
    return IdempotencyKey(principal.organisation, operation, key or "", digest_of(command))
