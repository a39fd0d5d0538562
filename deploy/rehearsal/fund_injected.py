"""What goes wrong in a plan without a treasury, and what came of it, from the run's own answers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from deploy.rehearsal.driver import Driver
from deploy.rehearsal.fund_preparation import DAY


@dataclass(frozen=True, slots=True)
class Case:
    """An injected case. shown_by: the published fact that shows it, "" when a refusal published none."""

    kind: str
    term: str
    expected: str
    outcome: str
    shown_by: str = ""


def fund_cases(driver: Driver) -> list[Case]:
    """Entered too early or unpaid, mixed deposits, a station that confirms itself, relief online."""
    start = driver.plan.pack.collection.start
    entry = driver.plan.script.days.sign or start
    steps = {name.partition("/")[2]: name for name in driver.journal.steps()}

    def answer(step: str) -> dict[str, Any]:
        return dict(driver.journal.answer(steps.get(step, "")) or {})

    mixed = _mixed(driver, start + 20 * DAY, entry)
    rebooked = answer("rebook-deposit").get("slips", [])
    return [
        Case(
            "ENTERED_BEFORE_ARRIVAL",
            "资金未到账即录入",
            "NOT_ARRIVED",
            str(answer("enter-before-arrival").get("code", "")),
        ),
        Case("ENTERED_UNPAID", "未缴费即录入", "NOT_PAID", str(answer("enter-unpaid").get("code", ""))),
        Case(
            "DEPOSIT_MIXED",
            "养老、医疗资金混存",
            "1 flagged, 1 rebooked",
            f"{len(mixed)} flagged, {len(rebooked)} rebooked",
            "SettlementOverdue",
        ),
        Case(
            "STATION_CONFIRMS_ITSELF",
            "人社所自行确认单据",
            "SAME_ORGANISATION",
            str(answer("confirm-itself").get("code", "")),
        ),
        Case(
            "RELIEF_ONLINE",
            "减免对象网上缴费",
            "AMOUNT_NOT_ASSESSED",
            str(answer("relief-online").get("code", "")),
        ),
    ]


def _mixed(driver: Driver, first: dt.date, last: dt.date) -> list[str]:
    found: list[str] = []
    day = first
    while day <= last:
        found += (driver.journal.answer(f"{day}/close-day") or {}).get("mixed", [])
        day += DAY
    return found
