"""Short ways to ask a pack."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from shared.policy import Assessment, AssessmentRequest, Insurance, assess, load_pack


def _day(value: Any) -> Any:
    return dt.date.fromisoformat(value) if isinstance(value, str) else value


@pytest.fixture
def ask() -> Callable[..., Assessment]:
    """``ask(pack_id, birth=…, paid_at=…, …)``; dates as ISO text, medical unless said otherwise."""

    def _ask(pack_id: str, **known: Any) -> Assessment:
        for field in ("birth", "paid_at", "spouse_birth", "extended_to"):
            if field in known:
                known[field] = _day(known[field])
        known.setdefault("birth", dt.date(1980, 6, 1))
        known.setdefault("insurance", Insurance.MEDICAL)
        return assess(load_pack(pack_id), AssessmentRequest(**known))

    return _ask
