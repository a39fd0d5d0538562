"""One whole campaign, day by day in simulated time, from an empty system to a reconciled one.

``Campaign`` is the flow in which tax collects (ST-2020 and after); what a pack has not, its calendar leaves
out: cash and declarations, a roster notice, stamps. A plan without a treasury has a flow of its own
(``fund_campaign``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from deploy.rehearsal import birthdays, closing, collecting, preparation, years
from deploy.rehearsal.driver import Act, Driver
from deploy.rehearsal.plan import DIED_EARLY, DIED_UNPAID, OVER, PAID_DEAD, SHORT

DAY = dt.timedelta(days=1)

BESIDE = {"treasury-entries": "debit-vouchers", "channel-files": "payments"}
"""Steps of a day and what goes on beside them: the treasury enters what came earlier while the bank debits what is
new, and channels send yesterday's files while people pay. Neither sees what the other does."""

MEANWHILE = {"declare": "treasury-entries"}
"""Steps of one day and what of every day goes on beside them: villages declare while registration books what the
treasury entered, which are other lines."""

DEATHS = (
    # role, died so many days after the collecting phase began, told so many days after it
    (DIED_UNPAID, 8, 10),
    (PAID_DEAD, 14, 23),
    (DIED_EARLY, 43, 45),
)


class Runs(Protocol):
    """A campaign that can be run."""

    async def run(self) -> None:
        """From its first day to its last."""
        ...


class Campaign:
    """The calendar of a run over a driver. first, last: its days."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        plan = driver.plan
        self._days = plan.script.days
        self._collect = plan.pack.collection
        self._window_end = plan.pack.window("medical").end
        self._tasks: dict[dt.date, list[tuple[str, Act]]] = {}
        for day, name, act in [*self._preparation(), *self._closing()]:
            self._tasks.setdefault(day, []).append((name, act))
        self.first = self._days.open
        self.last = self._days.last

    async def run(self) -> None:
        """All days in order; what is behind a resumed run is passed over."""
        driver, days = self._driver, (self.last - self.first).days + 1
        driver.restless = True
        await driver.rest()
        for number in range(days):
            day = self.first + number * DAY
            driver.watcher.day(day, number + 1, days)
            await self._run_day(day)

    async def _run_day(self, day: dt.date) -> None:
        driver = self._driver
        await driver.begin_day(day)
        daily = dict(self._daily(day))
        for name, act in self._tasks.get(day, []):
            beside = MEANWHILE.get(name, "")
            works = [partial(driver.step, f"{day}/{name}", act, rest=True)]
            if beside in daily:
                works.insert(0, partial(driver.step, f"{day}/{beside}", daily.pop(beside)))
            await driver.together(works)
        back = (driver.journal.answer(f"{day - DAY}/treasury-entries") or {}).get("rejected", [])
        if back:  # the bank is to see them among today's vouchers, whoever is faster
            await driver.step(f"{day}/reissue-vouchers", partial(self._reissue, back), rest=True)
        for group in _side_by_side(daily.items()):
            await driver.together([partial(driver.step, f"{day}/{name}", act) for name, act in group])
        await driver.end_day(day)

    def _preparation(self) -> Sequence[preparation.Task]:
        """Steps before money is taken, each on its day."""
        return preparation.tasks(self._driver)

    def _daily(self, day: dt.date) -> Iterator[tuple[str, Act]]:
        """What happens on every day of its span, in order; rest comes at the day's end."""
        driver = self._driver
        opened = self._days.learn + DAY
        if opened <= day <= self.last:
            yield "treasury-entries", partial(self._enter, day)
            yield "debit-vouchers", partial(collecting.debit_vouchers, driver, day, day >= self._hasty)
        if opened < day <= self.last:
            yield "channel-files", partial(collecting.send_channel_files, driver, day - DAY)
        if opened <= day <= self._window_end:
            yield "payments", partial(collecting.take_payments, driver, day)
        if driver.plan.script.cash and self._collect.start <= day <= self._collect.end:
            yield "close-day", partial(collecting.close_day, driver, day)
        if day.weekday() == 0 and day > self._collect.start:
            yield "approve-refunds", lambda: closing.approve_refunds(driver)
        if day.weekday() == 1 and day > self._collect.start:
            yield "pay-refunds", partial(closing.pay_refunds, driver, day)

    @property
    def _hasty(self) -> dt.date:
        """From here on, at the first occasion, the treasury's file comes before the bank's."""
        return self._collect.start + 9 * DAY

    @property
    def _rejecting(self) -> dt.date:
        """The day on which the treasury sends a voucher back: one of a declaration where there is one."""
        if self._days.declare is not None:
            return self._days.declare
        return self._collect.start + 20 * DAY

    async def _enter(self, day: dt.date) -> Any:
        """Today's entries; on the first day from ``_rejecting`` on with something to send back, one goes back."""
        reject = []
        if day >= self._rejecting and not self._rejected(day):
            reject = ["DECLARATION" if self._days.declare is not None else "CHANNEL"]
        return await collecting.enter_treasury(self._driver, day, reject)

    def _rejected(self, until: dt.date) -> bool:
        """True when a voucher went back on a day before."""
        day = self._rejecting
        while day < until:
            if (self._driver.journal.answer(f"{day}/treasury-entries") or {}).get("rejected"):
                return True
            day += DAY
        return False

    def _closing(self) -> Iterator[preparation.Task]:
        """Steps after the preparation, each on its day."""
        driver, days, start = self._driver, self._days, self._collect.start
        for role, died, told in DEATHS:
            died_on = min(start + died * DAY, dt.date(driver.plan.year - 1, 12, 26))
            told_on = died_on + (told - died) * DAY
            yield told_on, f"death-{role}", partial(closing.report_death, driver, role, died_on, told_on)
            if role == DIED_EARLY:
                yield told_on + DAY, "ask-refund", lambda: closing.ask_refund(driver)
        for role in (SHORT, OVER):
            planned = driver.plan.roles.get(role)
            if planned is not None and planned.on is not None:
                day = planned.on + DAY
                yield day, f"correct-{role}", partial(collecting.correct_deposit, driver, role, day)
        yield from self._government()
        yield from self._villages()
        yield from self._months()
        yield from birthdays.tasks(driver)
        yield from years.tasks_after(driver)
        yield self._window_end + 5 * DAY, "close-cases", lambda: closing.close_cases(driver)
        if days.late is not None:
            late = days.late
            yield late, "money-after-the-window", partial(closing.pay_outside_window, driver, late)
            yield late, "assess-late-payer", partial(closing.assess_late, driver, late)
            if not driver.plan.script.late_rule:
                yield late, "late-payment", partial(closing.pay_late, driver, late)

    async def _reissue(self, rejected: Sequence[str]) -> Any:
        for voucher_no in rejected:
            await closing.reissue_voucher(self._driver, voucher_no)
        return {"reissued": list(rejected)}

    def _government(self) -> Iterator[preparation.Task]:
        driver, days = self._driver, self._days
        yield days.apply, "apply-for-funds", lambda: closing.apply_for_funds(driver)
        yield days.appropriate, "appropriate", partial(closing.appropriate, driver, days.appropriate)
        yield days.transfer, "transfer", partial(closing.transfer, driver, days.transfer)
        yield days.government, "government-payments", lambda: closing.submit_government_payments(driver)

    def _villages(self) -> Iterator[preparation.Task]:
        driver, days = self._driver, self._days
        if days.sign is not None:
            yield days.sign, "sign-rosters", lambda: closing.sign_rosters(driver)
        if days.declare is not None:
            yield days.declare, "declare", lambda: closing.declare(driver)
        if days.stamp is not None:
            yield days.stamp, "stamp-rosters", lambda: closing.stamp_rosters(driver)

    def _months(self) -> Iterator[preparation.Task]:
        driver, day = self._driver, self._days.open
        while day <= self._days.last:
            if day.day == 2 and day > self._collect.start:
                month = f"{day.replace(day=1) - DAY:%Y-%m}"
                yield day, "month-end", partial(closing.month_end, driver, month)
            if day.day == 5:
                yield day, "death-batches", partial(closing.report_death_batches, driver, day)
            day += DAY


class EmptyCampaign(Campaign):
    """The days of a campaign nobody takes part in: opened, every day begun and ended, month ends, and what the
    outside asks daily. What it costs, a campaign costs whatever its size."""

    def _preparation(self) -> Sequence[preparation.Task]:
        driver, day = self._driver, self._days.open
        return [
            (day, "open-campaign", lambda: preparation.open_campaign(driver)),
            (day, "assign-targets", lambda: preparation.assign_targets(driver)),
        ]

    def _closing(self) -> Iterator[preparation.Task]:
        return self._months()

    def _daily(self, day: dt.date) -> Iterator[tuple[str, Act]]:
        if not self._driver.plan.pack.pays_into_fund_accounts:
            yield from super()._daily(day)


def _side_by_side(steps: Iterable[tuple[str, Act]]) -> Iterator[Sequence[tuple[str, Act]]]:
    """Steps in their order, those that go on beside one another together."""
    group: list[tuple[str, Act]] = []
    for name, act in steps:
        if group and BESIDE.get(group[-1][0]) != name:
            yield group
            group = []
        group.append((name, act))
    if group:
        yield group


def campaign_of(driver: Driver) -> Runs:
    """The campaign of the plan's pack: a plan that pays into fund accounts has a flow of its own."""
    from deploy.rehearsal.fund_campaign import FundCampaign  # it builds on this module

    made: Callable[[Driver], Runs] = FundCampaign if driver.plan.pack.pays_into_fund_accounts else Campaign
    return made(driver)
