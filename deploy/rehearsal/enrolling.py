"""People, enrolments and pension tiers of a campaign (参保登记): by file, some thousand rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from deploy.rehearsal.clients import UnexpectedAnswerError
from deploy.rehearsal.driver import Driver
from deploy.rehearsal.population import VillageSize
from deploy.rehearsal.residents import Resident
from deploy.rehearsal.years import moved_away

REFUSED_EMPLOYEES = 5
"""So many employees try to enrol all the same and are refused (I-05)."""


def person_row(size: VillageSize, resident: Resident) -> dict[str, Any]:
    """A row of the people file."""
    return {
        "name": resident.name,
        "number": resident.number,
        "division": size.division,
        "hukou_division": size.division[:9],
        "student": resident.student,
        "household": f"{resident.household:05d}",
    }


async def _by_file(
    driver: Driver,
    name: str,
    organisation: str,
    service: str,
    path: str,
    rows: Callable[[tuple[VillageSize, ...]], Iterable[Any]],
) -> dict[str, Any]:
    """A file per batch of villages, some at once; answers the counts of all."""
    batches = driver.plan.batches
    done = 0

    async def one(number: int, batch: tuple[VillageSize, ...]) -> dict[str, int]:
        nonlocal done
        content = list(rows(batch))
        counts = NO_ROWS
        if content:
            key = driver.key(name, number)
            counts = (await driver.hand_in(organisation, service, path, content, key)).counts
        done += 1
        driver.watcher.progress(done, len(batches))
        return counts

    works = [partial(one, number, batch) for number, batch in enumerate(batches)]
    return _sums(await driver.together(works, FILES_AT_ONCE))


def _sums(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    return {name: sum(each[name] for each in counts) for name in NO_ROWS}


FILES_AT_ONCE = 3
NO_ROWS = {"rows": 0, "accepted": 0, "refused": 0}


async def register_people(driver: Driver) -> Any:
    """参保登记: everybody but the one who is forgotten; who is who comes back row by row."""
    plan, journal = driver.plan, driver.journal
    omitted = plan.omitted.ordinal if plan.omitted is not None else 0
    done = 0

    async def one(number: int, batch: tuple[VillageSize, ...]) -> dict[str, int]:
        nonlocal done
        known: dict[str, int] | None = journal.note(f"people-{number}")
        if known is None:
            ordinals: list[int] = []
            rows: list[dict[str, Any]] = []
            for size in batch:
                for each in plan.village(size).each():
                    if each.ordinal != omitted and plan.registers(each):
                        ordinals.append(each.ordinal)
                        rows.append(person_row(size, each))
            if not rows:
                return NO_ROWS
            handed = await driver.hand_in(
                "hr", "registration", "/people:import", rows, driver.key("people", number)
            )
            found = [
                (ordinals[outcome["row"] - 1], outcome["id"])
                async for outcome in driver.files.outcomes(handed)
                if outcome.get("id")
            ]
            if len(found) != len(ordinals):
                raise UnexpectedAnswerError("POST", "/people:import", 202, f"{len(found)} of {len(ordinals)}")
            journal.add_persons(found)
            known = handed.counts
            journal.write(f"people-{number}", known)
        done += known["rows"]
        driver.watcher.progress(done, plan.population.persons)
        return known

    works = [partial(one, number, batch) for number, batch in enumerate(plan.batches)]
    return _sums(await driver.together(works, FILES_AT_ONCE))


async def report_employees(driver: Driver) -> Any:
    """职工参保: who is insured as an employee (I-05)."""

    def rows(batch: tuple[VillageSize, ...]) -> Iterable[Any]:
        for size in batch:
            persons = driver.persons(size)
            for each in driver.plan.village(size).each():
                if each.employee:
                    for insurance in ("medical", "pension"):
                        yield {
                            "person_id": persons[each.ordinal],
                            "insurance": insurance,
                            "from_date": f"{driver.plan.year - 2}-01-01",
                        }

    path = "/employee-insurance:import"
    return await _by_file(driver, "employees", "hr", "registration", path, rows)


async def enrol(driver: Driver) -> Any:
    """Enrolments by 医保 and 人社; some employees try and are refused."""
    plan = driver.plan
    omitted = plan.omitted.ordinal if plan.omitted is not None else 0

    def medical(batch: tuple[VillageSize, ...]) -> Iterable[Any]:
        for size in batch:
            persons, trying = driver.persons(size), 0
            for each in plan.village(size).each():
                if each.employee:
                    trying += 1
                    if size.number != 1 or trying > REFUSED_EMPLOYEES:
                        continue
                if each.ordinal != omitted:
                    yield {"person_id": persons[each.ordinal], "insurance": "medical", "year": plan.year}
            for each in moved_away(plan, size):
                yield {"person_id": persons[each.ordinal], "insurance": "medical", "year": plan.year}

    def pension(batch: tuple[VillageSize, ...]) -> Iterable[Any]:
        for size in batch:
            persons = driver.persons(size)
            for each in plan.village(size).each():
                if each.pension_tier is not None and each.ordinal != omitted:
                    yield {"person_id": persons[each.ordinal], "insurance": "pension", "year": plan.year}

    path = "/enrolments:import"
    return {
        "medical": await _by_file(driver, "enrol-medical", "medical", "registration", path, medical),
        "pension": await _by_file(driver, "enrol-pension", "hr", "registration", path, pension),
    }


async def choose_tiers(driver: Driver) -> Any:
    """选择缴费档次: everybody whose tier the government does not pay."""
    plan = driver.plan
    omitted = plan.omitted.ordinal if plan.omitted is not None else 0

    def rows(batch: tuple[VillageSize, ...]) -> Iterable[Any]:
        for size in batch:
            persons = driver.persons(size)
            for each in plan.village(size).each():
                if each.pension_tier is None or each.ordinal == omitted:
                    continue
                if not any(listing.insurance == "pension" for listing in each.listings):
                    yield {
                        "person_id": persons[each.ordinal],
                        "year": plan.year,
                        "campaign": plan.campaign,
                        "tier_yuan": each.pension_tier,
                    }

    return await _by_file(driver, "tiers", "town-agency", "collection", "/tiers:import", rows)
