"""One whole campaign of ST-2020, day by day in simulated time, from an empty system to a reconciled one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import partial
from typing import Any

from deploy.rehearsal import closing, collecting, preparation
from deploy.rehearsal.driver import Act, Driver
from deploy.rehearsal.plan import OVER, SHORT

DAY = dt.timedelta(days=1)


class Campaign:
    """The calendar of a run over a driver."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        document = driver.plan.pack.document
        self._collect = driver.plan.pack.collection
        self._treasury = next(phase for phase in document.phases if phase.kind == "TREASURY")
        self._window_end = document.windows.medical.end
        self._tasks: dict[dt.date, list[tuple[str, Act]]] = {}
        for day, name, act in preparation.tasks(driver):
            self._tasks.setdefault(day, []).append((name, act))
        self.first = document.phases[0].start
        self.last = dt.date(driver.plan.year, 1, 5)

    async def run(self) -> None:
        """All days in order; what is behind a resumed run is passed over."""
        days = (self.last - self.first).days + 1
        await self._driver.drain()
        for number in range(days):
            day = self.first + number * DAY
            self._driver.watcher.day(day, number + 1, days)
            await self._driver.begin_day(day)
            for name, act in self._day(day):
                await self._driver.step(f"{day}/{name}", act)

    def _day(self, day: dt.date) -> Iterator[tuple[str, Act]]:
        """The steps of a day, in order."""
        yield from self._tasks.get(day, ())
        yield from self._entering(day)
        yield from self._people(day)
        yield from self._corrections(day)
        if self._collect.start - 4 * DAY <= day <= self._window_end:
            yield "payments", lambda: collecting.take_payments(self._driver, day)
            yield "close-day", lambda: collecting.close_day(self._driver, day)
        yield from self._declaring(day)
        yield from self._government(day)
        if self._collect.start - 4 * DAY <= day <= self._window_end + 4 * DAY:
            yield "debit-vouchers", lambda: collecting.debit_vouchers(self._driver, day)
        yield from self._refunds(day)
        if day.day == 2 and day > self._collect.start:
            month = f"{day.replace(day=1) - DAY:%Y-%m}"
            yield "month-end", lambda: closing.month_end(self._driver, month)

    def _entering(self, day: dt.date) -> Iterator[tuple[str, Act]]:
        if not self._collect.start - 3 * DAY <= day <= self._window_end + 5 * DAY:
            return
        declared = self._treasury.start

        async def enter() -> Any:
            reject = []
            if day == declared + DAY:  # the treasury sends one of the village's vouchers back, once
                reject = [
                    row["voucher_no"]
                    for row in await closing.agent_vouchers(self._driver)
                    if row["insurance"] == "medical"
                ]
            return {**await collecting.enter_treasury(self._driver, day, reject), "rejected": reject}

        yield "treasury-entries", enter
        if day == declared + 2 * DAY:
            rejected = self._driver.journal.answer(f"{declared + DAY}/treasury-entries")["rejected"]
            for voucher_no in rejected:
                yield (
                    f"reissue-{voucher_no}",
                    partial(closing.reissue_voucher, self._driver, voucher_no),
                )

    def _people(self, day: dt.date) -> Iterator[tuple[str, Act]]:
        for role, died, told in closing.DEATHS:
            if day == self._collect.start + told * DAY:
                died_on = self._collect.start + died * DAY
                yield (
                    f"death-{role}",
                    partial(closing.report_death, self._driver, role, died_on, day),
                )
        if day.day == 5:
            yield "death-batches", lambda: closing.report_death_batches(self._driver, day)

    def _corrections(self, day: dt.date) -> Iterator[tuple[str, Act]]:
        for role in (SHORT, OVER):
            on = self._driver.plan.roles[role].on
            if on is not None and day == on + DAY:
                yield f"correct-{role}", partial(collecting.correct_deposit, self._driver, role, day)
        if day == self._collect.end - 2 * DAY:
            yield "close-cases", lambda: closing.close_cases(self._driver)

    def _declaring(self, day: dt.date) -> Iterator[tuple[str, Act]]:
        driver, treasury = self._driver, self._treasury.start
        if day == self._collect.end + DAY:
            yield "sign-roster", lambda: closing.sign_roster(driver)
        if day == treasury:
            yield "declare", lambda: closing.declare(driver)
            number = driver.journal.answer(f"{day}/declare")["declaration_no"]
            yield "verify-declaration", lambda: closing.verify_declaration(driver, number)
        if day == treasury + 5 * DAY:
            yield "stamp-roster", lambda: closing.stamp_roster(driver)

    def _government(self, day: dt.date) -> Iterator[tuple[str, Act]]:
        driver, start = self._driver, self._collect.start
        if day == start + 9 * DAY:
            yield "apply-for-funds", lambda: closing.apply_for_funds(driver)
        if day == start + 20 * DAY:
            yield "appropriate", lambda: closing.appropriate(driver, day)
        if day == start + 25 * DAY:
            yield "transfer", lambda: closing.transfer(driver, day)
        if day == self._treasury.start - DAY:
            yield "government-payments", lambda: closing.submit_government_payments(driver)

    def _refunds(self, day: dt.date) -> Iterator[tuple[str, Act]]:
        driver = self._driver
        if day == self._collect.start + 46 * DAY:
            yield "ask-refund", lambda: closing.ask_refund(driver)
        if day.weekday() == 0 and day > self._collect.start:
            yield "approve-refunds", lambda: closing.approve_refunds(driver)
            yield "pay-refunds", lambda: closing.pay_refunds(driver, day)
