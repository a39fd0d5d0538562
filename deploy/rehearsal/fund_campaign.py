"""The campaign of a plan without a tax bureau (DZ-2018): fund accounts, signatures, data entry, confirmation.

Villages take cash and deposit it apart, the same day; when they have finished, the station signs with them,
enters what arrived, and the district agency pools and confirms. Registration, lists and refunds are those of
every campaign.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from deploy.rehearsal import closing, collecting, fund_closing, fund_preparation
from deploy.rehearsal.campaign import DAY, Campaign
from deploy.rehearsal.driver import Act
from deploy.rehearsal.plan import DOUBLE, OUT_OF_WINDOW
from deploy.rehearsal.preparation import Task

MIXING = 20
"""Day of the collecting phase from which on one agent's deposit is mixed."""
ROUNDS = (
    # days after the entry began: draw the channels', enter; then file, pay, pool and confirm
    (1, 4),
    (16, 18),
    (23, 25),
)
"""The villages' documents, the office's sporadic payers (D-24), and what came on the last days."""


class FundCampaign(Campaign):
    """The calendar of such a run."""

    def _preparation(self) -> Sequence[Task]:
        return fund_preparation.tasks(self._driver)

    @property
    def _entry(self) -> dt.date:
        """The day on which villages have finished and the station signs."""
        sign = self._days.sign
        assert sign is not None
        return sign

    def _daily(self, day: dt.date) -> Iterator[tuple[str, Act]]:
        driver = self._driver
        opened = self._days.learn + DAY
        yesterday = driver.journal.answer(f"{day - DAY}/close-day") or {}
        if yesterday.get("mixed"):
            yield "rebook-deposit", partial(fund_closing.rebook, driver, yesterday["mixed"], day)
        if opened <= day <= self._window_end:
            yield "payments", partial(collecting.take_payments, driver, day)
        if day == driver.plan.day(4):
            yield "enter-before-arrival", partial(fund_closing.enter_refused, driver, DOUBLE)
        if opened < day <= self._window_end + 11 * DAY:
            yield "channel-files", partial(collecting.send_channel_files, driver, day - DAY)
        if self._collect.start <= day <= self._collect.end + DAY:
            yield "close-day", partial(self._close, day)
        if day.weekday() == 0 and day > self._collect.start:
            yield "approve-refunds", lambda: closing.approve_refunds(driver)
        if day.weekday() == 1 and day > self._collect.start:
            yield "pay-refunds", partial(closing.pay_refunds, driver, day)

    async def _close(self, day: dt.date) -> Any:
        """The evening; from a certain day on the first agent who can mixes his deposits, once."""
        driver, mixed = self._driver, []
        if self._collect.start + MIXING * DAY <= day <= self._collect.end and not self._mixed(day):
            place = f"campaign={driver.plan.campaign}&day={day}&village={driver.plan.cast.division}"
            mixed = (await driver.outside.get(f"/fund-boxes?{place}"))["agents"][:1]
        answer = await collecting.close_day(driver, day, mixed)
        return {**answer, "mixed": mixed}

    def _mixed(self, until: dt.date) -> bool:
        day = self._collect.start + MIXING * DAY
        while day < until:
            if (self._driver.journal.answer(f"{day}/close-day") or {}).get("mixed"):
                return True
            day += DAY
        return False

    def _villages(self) -> Iterator[Task]:
        driver, entry = self._driver, self._entry
        yield self._collect.start + 2 * DAY, "relief-online", partial(fund_closing.relief_online, driver)
        yield entry, "sign-villages", lambda: fund_closing.sign_villages(driver)
        yield entry, "return-receipts", lambda: fund_closing.return_receipts(driver)
        yield entry + DAY, "enter-unpaid", partial(fund_closing.enter_refused, driver, OUT_OF_WINDOW)
        for number, (enter, finish) in enumerate(ROUNDS):
            first, then = entry + enter * DAY, entry + finish * DAY
            yield first, "draw-channels", partial(fund_closing.draw_channels, driver, first)
            yield first, "enter", partial(fund_closing.enter, driver, first)
            yield then - DAY, "file-summaries", lambda: fund_closing.file_summaries(driver)
            yield then - DAY, "issue-receipts", lambda: fund_closing.issue_receipts(driver)
            yield then, "finance-pays", partial(fund_closing.finance_pays, driver, then)
            yield then, "pool", partial(fund_closing.pool, driver, then)
            if number == 0:
                yield then, "confirm-itself", lambda: fund_closing.confirm_itself(driver)
            yield then, "confirm", lambda: fund_closing.confirm(driver)

    def _months(self) -> Iterator[Task]:
        """Finance keeps the fiscal account; there is no treasury to reconcile with."""
        driver, day = self._driver, self._days.open
        while day <= self._days.last:
            if day.day == 2 and day > self._collect.start:
                month = f"{day.replace(day=1) - DAY:%Y-%m}"
                yield day, "month-end", partial(fund_closing.month_end, driver, month)
            if day.day == 5:
                yield day, "death-batches", partial(closing.report_death_batches, driver, day)
            day += DAY
