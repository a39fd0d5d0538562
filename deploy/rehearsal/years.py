"""Two insured years on the same databases (跨年): the first year's history as a file, and what the second year
builds on it: deaths and moves since, targets and rosters from what was booked and shown (D-12), who lapsed, and
a payer of the year before who is late beside the new window (D-48)."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from deploy.rehearsal import closing, collecting
from deploy.rehearsal.clients import SERVICES
from deploy.rehearsal.driver import Act, Driver
from deploy.rehearsal.journal import Journal
from deploy.rehearsal.plan import YEAR_LATER, Plan
from deploy.rehearsal.population import VillageSize
from deploy.rehearsal.residents import PER_VILLAGE, Resident, Village
from deploy.rehearsal.resting import OPERATOR
from deploy.rehearsal.turnover import DIED, LEFT, MOVED

DAY = dt.timedelta(days=1)
HISTORY_FEN = {True: 19_000, False: 38_000}
"""Medical insurance of the year before the first (synthetic): half for the elderly, and the full amount."""
HISTORY_LINES = 5000
HISTORY_SOURCE = "上年征缴系统（合成）"
NEW_PAYERS = 29
"""One in so many did not pay the year before the first."""
ENTERED_WITHIN = 5
"""Days until his money is entered: filed, debited, remitted, entered."""
NOT_REGISTERED = "NOT_REGISTERED"
SINCE, CENSUS = "since", "census"
"""Notes of a year that follows: where the logs ended, and what was in them, before it began."""

Task = tuple[dt.date, str, Act]


# -- before the year: what the year before left --------------------------------------------------------------


async def continue_from(driver: Driver, earlier: Journal) -> None:
    """Who is who, and where the four logs end: once, before the first day of a year that follows."""
    journal = driver.journal
    if journal.note(SINCE) is not None:
        return
    everybody = earlier.persons(0, PER_VILLAGE * (len(driver.plan.villages) + 1))
    journal.add_persons(everybody.items())
    census = {name: await driver.services.get(OPERATOR, name, "/ops/log") for name in SERVICES}
    types: Counter[str] = Counter()
    for one in census.values():
        types.update(one["types"])
    messages = sum(int(one["messages"] or 0) for one in census.values())
    journal.write(CENSUS, {"types": dict(types), "messages": messages})
    ends = {}
    for name in SERVICES:
        ends[name] = int((await driver.services.get(OPERATOR, name, "/ops/lag"))["log_position"])
    journal.write(SINCE, ends)


def tasks_before(driver: Driver) -> Iterator[Task]:
    """On the first day of a year that follows: who has died or moved since is told."""
    if driver.plan.before is not None:
        day = driver.plan.script.days.open
        yield day, "tell-deaths", partial(tell_deaths, driver, day)
        yield day, "tell-moves", lambda: tell_moves(driver)


def tasks_of_history(driver: Driver) -> Iterator[Task]:
    """In the first of several years: who had paid the year before it, once people are registered."""
    if driver.plan.goes_on and driver.plan.before is None:
        yield driver.plan.script.days.register, "load-history", lambda: load_history(driver)


def tasks_after(driver: Driver) -> Iterator[Task]:
    """In a year that follows: it is held beside the year before; and somebody pays for that one, whose money
    takes its own way."""
    plan = driver.plan
    if plan.before is None:
        return
    yield plan.script.days.learn, "compare-years", lambda: compare_years(driver)
    earlier, day = replace(driver, plan=plan.before), late_day(plan)
    yield day, "assess-late-of-last-year", partial(closing.assess_late, earlier, day, YEAR_LATER)
    yield day, "pay-late-of-last-year", partial(closing.pay_late, earlier, day, YEAR_LATER)
    yield (
        day + DAY,
        "channel-files-of-last-year",
        partial(collecting.send_channel_files, earlier, day),
    )
    for after in range(1, ENTERED_WITHIN + 1):
        on = day + after * DAY
        yield on, "debit-last-year", partial(collecting.debit_vouchers, earlier, on, False)
        yield on, "enter-last-year", partial(collecting.enter_treasury, earlier, on)


def late_day(plan: Plan) -> dt.date:
    """On which the late payer of the year before pays: the new window is open, and his cover still begins
    before his year is over (D-21)."""
    return max(plan.script.days.learn + DAY, plan.pack.window("medical").start)


# -- history of the year before the first --------------------------------------------------------------------


async def load_history(driver: Driver) -> Any:
    """缴费历史入库: the first village as a file of rows, the others a village at a time (D-12)."""
    plan, year, lines = driver.plan, driver.plan.year - 1, 0
    for done, size in enumerate(plan.villages, 1):
        persons = driver.persons(size)
        found = list(_history(plan.village(size), persons, year))
        lines += len(found)
        if size.number == 1:
            rows = [{**line, "year": year, "village": size.division} for line in found]
            key = driver.key("history", size.division)
            await driver.hand_in("tax", "collection", f"/history:import?source={HISTORY_SOURCE}", rows, key)
        else:
            await _post_history(driver, size, year, found)
        driver.watcher.progress(done, len(plan.villages))
    return {"lines": lines}


async def _post_history(
    driver: Driver, size: VillageSize, year: int, lines: Sequence[Mapping[str, Any]]
) -> None:
    for start in range(0, len(lines), HISTORY_LINES):
        part = lines[start : start + HISTORY_LINES]
        body = {"year": year, "village": size.division, "source": HISTORY_SOURCE, "lines": part}
        key = driver.key("history", size.division, start)
        await driver.services.post("tax", "collection", "/history", body, key)


def _history(village: Village, persons: Mapping[int, str], year: int) -> Iterator[dict[str, Any]]:
    """Who had paid: most who owe something now, and some who are employees since."""
    for person in village.each():
        known = persons.get(person.ordinal)
        paid = person.ordinal % 2 == 0 if person.employee else not person.exempt
        if known is None or not paid or person.birth.year >= year or person.ordinal % NEW_PAYERS == 0:
            continue
        half = any(each.category.startswith("ELDERLY") for each in person.listings)
        yield {"person_id": known, "insurance": "medical", "paid_fen": HISTORY_FEN[half]}
        if person.pension_tier is not None:
            yield {"person_id": known, "insurance": "pension", "paid_fen": person.pension_tier * 100}


# -- since the year before -----------------------------------------------------------------------------------


def _gone(plan: Plan, size: VillageSize, fate: str) -> tuple[Resident, ...]:
    return plan.turnover.gone(plan.before.village(size), fate) if plan.before is not None else ()


def moved_away(plan: Plan, size: VillageSize) -> tuple[Resident, ...]:
    """Who moved from a village since the year before: enrolled where he lives now."""
    return _gone(plan, size, MOVED)


async def tell_deaths(driver: Driver, day: dt.date) -> Any:
    """死亡通报 between the years."""
    works = []
    for size in driver.plan.villages:
        persons = driver.persons(size)
        for each in _gone(driver.plan, size, DIED):
            died_on = (day.replace(day=1) - DAY).isoformat()
            body = {"person_id": persons[each.ordinal], "died_on": died_on, "told_on": day.isoformat()}
            works.append(partial(driver.outside.post, "/police/deaths", body))
    await driver.each(works)
    return {"moved": len(works)}


async def tell_moves(driver: Driver) -> Any:
    """迁居: who moved lives in the next village now."""
    villages = driver.plan.villages
    works = []
    for size in villages:
        persons = driver.persons(size)
        there = villages[size.number % len(villages)].division
        for each in moved_away(driver.plan, size):
            path = f"/people/{persons[each.ordinal]}:correct"
            key = driver.key("move", each.ordinal)
            works.append(partial(driver.services.post, "hr", "registration", path, {"division": there}, key))
    await driver.each(works)
    return {"moved": len(works)}


async def assign_proposed_targets(driver: Driver) -> Any:
    """下达任务 from what the year before booked and showed (D-12)."""
    path = f"/campaigns/{driver.plan.campaign}/targets"
    proposed = await driver.services.get("tax", "collection", f"{path}:proposed")
    rows = 0
    for insurance, persons in proposed["stated_total_persons"].items():
        mine = [row for row in proposed["rows"] if row["insurance"] == insurance]
        if mine:
            body = {"rows": mine, "stated_total_persons": persons}
            await driver.services.post("tax", "collection", path, body, driver.key("targets", insurance))
            rows += len(mine)
    return {"rows": rows}


# -- what came of it -----------------------------------------------------------------------------------------


async def changes(driver: Driver) -> list[dict[str, Any]]:
    """与上年对比: each village beside the year before, as collection tells it; empty for a year by itself."""
    plan = driver.plan
    if plan.before is None and not plan.goes_on:
        return []
    names = {size.division: size.name for size in plan.villages}
    path, found = f"/campaigns/{plan.campaign}/changes", []
    for town in plan.population.towns:
        page = await driver.services.get("tax", "collection", path, village=town.division)
        for row in page["items"]:
            division = str(row["village"])
            told = {name: row[name] for name in ("continuing", "new", "turned_60", "turned_70", "lapsed")}
            lapsed = sum(row["lapsed"].values())
            name = names.get(division, division)
            found.append({"division": division, "name": name, **told, "lapsed_lines": lapsed})
    return found


async def compare_years(driver: Driver) -> Any:
    """The first village's lapsed lines by reason once its roster stands: as the people's fates say, and as
    collection tells them."""
    plan, village = driver.plan, driver.plan.cast.division
    before = await driver.services.get("tax", "collection", "/history", village=village, year=plan.year - 1)
    names = {person: ordinal for ordinal, person in driver.persons(plan.cast).items()}
    people = {each.ordinal: each for each in plan.before.village(plan.cast).each()} if plan.before else {}
    going_on = {each.ordinal: each for each in plan.village(plan.cast).each()}
    expected: Counter[str] = Counter()
    for row in before["items"]:
        person = people.get(names.get(row["person_id"], 0))
        if person is not None and row["published"]:
            expected[_why(plan, person, str(row["insurance"]), going_on)] += 1
    del expected[""]
    path = f"/campaigns/{plan.campaign}/lapsed"
    told = await driver.services.get("tax", "collection", path, village=village)
    reasons = Counter(str(row["reason"]) for row in told["items"])
    return {"moved": 0, "expected": _counted(expected), "told": _counted(reasons)}


def _why(plan: Plan, person: Resident, insurance: str, going_on: Mapping[int, Resident]) -> str:
    fate = plan.turnover.fate(person)
    if fate == DIED:
        return DIED
    if fate == MOVED and insurance == "medical":
        return MOVED
    now = going_on.get(person.ordinal)
    if fate in (MOVED, LEFT) or now is None:
        return NOT_REGISTERED
    return NOT_REGISTERED if insurance == "pension" and now.pension_tier is None else ""


def _counted(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))


async def late_payer_of_last_year(driver: Driver) -> str:
    """What came of the late payer: assessed, taken, and for which years he is booked."""
    plan, day = driver.plan, late_day(driver.plan)
    if plan.before is None:
        return ""
    person = driver.person(plan.before.roles[YEAR_LATER].payers[0])
    assessed = driver.journal.answer(f"{day}/assess-late-of-last-year")
    paid = driver.journal.answer(f"{day}/pay-late-of-last-year")
    booked = [str(year) for year in (plan.before.year, plan.year) if await _booked(driver, person, year)]
    return f"{assessed['rule'] or 'assessed'}, {paid['state']}, booked {' '.join(booked)}"


async def _booked(driver: Driver, person: str, year: int) -> bool:
    village = driver.plan.cast.division
    page = await driver.services.get("tax", "collection", "/history", village=village, year=year)
    return _is_booked(page["items"], person)


def _is_booked(lines: Iterable[Mapping[str, Any]], person: str) -> bool:
    return any(
        (line["person_id"], line["insurance"], line["origin"]) == (person, "medical", "BOOKED")
        for line in lines
    )
