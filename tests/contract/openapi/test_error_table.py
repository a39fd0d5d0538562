"""docs/guides/integrate.md: its error table says what the services answer."""

from __future__ import annotations

import re
from pathlib import Path

from shared.kernel.errors import Refusal
from shared.web.problems import STATUS, status_of

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "integrate.md"
ROW = re.compile(r"^\| ([A-Z_0-9]+) \| (\d{3}) \|", re.MULTILINE)
EVERYBODYS = {
    "IDEMPOTENCY_KEY_MISSING", "IDEMPOTENCY_KEY_REUSED", "IDEMPOTENCY_KEY_IN_USE", "ALREADY_PAID",
    "AMOUNT_NOT_ASSESSED", "PERSON_DECEASED", "NOT_ON_ROSTER", "OUTSIDE_WINDOW", "CHANNEL_NOT_ALLOWED",
    "POLICY_UNSPECIFIED", "DIVISION_FORBIDDEN", "OVERLOADED", "CONCURRENT_CHANGE",
}  # fmt: skip
"""Codes integrators script against."""


def test_every_status_of_the_table_is_the_one_answered() -> None:
    """And every code of the interfaces is in it."""
    table = dict(ROW.findall(GUIDE.read_text(encoding="utf-8")))
    assert set(table) >= EVERYBODYS
    assert {code: int(status) for code, status in table.items()} == {
        code: status_of(Refusal(code)) for code in table
    }
    assert set(table) - set(STATUS) <= {"TOTALS_MISMATCH"}
