"""What a log line may not say (脱敏): known personal fields and types, and text that looks like them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

MASKED = "***"

PERSONAL_FIELDS = frozenset(
    {
        "access_token", "account", "account_no", "accounts", "address", "authorization", "bank_account",
        "bank_card", "card_no", "client_secret", "id_card", "id_number", "identity", "identity_number",
        "name", "number", "password", "payer_name", "person_name", "phone", "secret", "telephone", "token",
    }
)  # fmt: skip
"""Field names whose values are never logged, at any depth."""

_IDENTITY_NUMBER = re.compile(r"(?<![0-9A-Za-z])\d{6}(?:18|19|20)\d{9}[0-9Xx](?![0-9A-Za-z])", re.ASCII)
_MOBILE = re.compile(r"(?<![0-9A-Za-z.])1[3-9]\d{9}(?![0-9A-Za-z])", re.ASCII)
_BEARER = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_DEPTH = 6


def mask_text(text: str) -> str:
    """Text with identity numbers (18), mobile numbers (11) and tokens replaced."""
    for pattern in (_IDENTITY_NUMBER, _MOBILE, _BEARER):
        text = pattern.sub(MASKED, text)
    return text


def masked(value: Any, depth: int = 0) -> Any:
    """A value fit for a log line: plain data with personal fields masked; objects become their type's name.

    Structs and unknown objects are not logged at all, as their fields may be personal.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return mask_text(value)
    if depth >= _DEPTH:
        return MASKED
    if isinstance(value, BaseException):
        return type(value).__name__
    if isinstance(value, Mapping):
        return masked_fields(value, depth + 1)
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray):
        return [masked(one, depth + 1) for one in value]
    if isinstance(value, msgspec.Struct | bytes | bytearray):
        return f"<{type(value).__name__}>"
    return mask_text(str(value)) if _is_plain(value) else f"<{type(value).__name__}>"


def _is_plain(value: Any) -> bool:
    return type(value).__module__ in ("datetime", "decimal", "pathlib", "uuid") or hasattr(value, "_value_")


def masked_fields(fields: Mapping[Any, Any], depth: int = 0) -> dict[str, Any]:
    """A mapping with the values of personal fields replaced."""
    return {
        str(name): MASKED if str(name).lower() in PERSONAL_FIELDS else masked(value, depth)
        for name, value in fields.items()
    }
