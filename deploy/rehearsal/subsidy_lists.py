"""资助名单 of a campaign: submitted, verified, and a failed line brought back corrected."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import partial
from typing import Any

from deploy.rehearsal.driver import Driver
from deploy.rehearsal.plan import lists_of_town
from deploy.rehearsal.residents import Listing, Resident

LIST_LINES = 6000
"""Lines of a list at most; a longer one is sent in several."""
DAY = dt.timedelta(days=1)


async def submit_lists(driver: Driver) -> Any:
    """资助名单: one per department, category, insurance and town; one line of somebody nobody knows, and one
    number mistyped."""
    sent: list[list[Any]] = []
    towns = driver.plan.population.towns
    for done, town in enumerate(towns, 1):
        works = [partial(_submit, driver, name, part) for name, part in _lists(driver, town.division)]
        sent += await driver.together(works)
        driver.watcher.progress(done, len(towns))
    return {"lists": sent, "lines": sum(count for _, _, count in sent)}


ListName = tuple[str, str, str, str]
"""list id, department, category, insurance"""


def _lists(driver: Driver, town: str) -> list[tuple[ListName, list[dict[str, Any]]]]:
    plan = driver.plan
    found: list[tuple[ListName, list[dict[str, Any]]]] = []
    strange = plan.stranger if town == plan.cast.town else None
    for (department, category, insurance), people in lists_of_town(plan, town).items():
        lines = [
            {
                "line_no": number,
                "name": each.name,
                "number": _mistyped(each.number) if _is_mistyped(driver, each, insurance) else each.number,
            }
            for number, each in enumerate(people, 1)
        ]
        if strange is not None and insurance == "medical":
            lines.append({"line_no": len(lines) + 1, "name": strange.name, "number": strange.number})
            strange = None
        for part in range(0, len(lines), LIST_LINES):
            name = list_id(driver, town, department, category, insurance, part // LIST_LINES + 1)
            found.append(((name, department, category, insurance), lines[part : part + LIST_LINES]))
    return found


def _is_mistyped(driver: Driver, resident: Resident, insurance: str) -> bool:
    return insurance == "medical" and resident.ordinal == driver.plan.mistyped


def _mistyped(number: str) -> str:
    """Two digits of the serial exchanged against others: the check character does not fit any more."""
    return number[:14] + f"{(int(number[14:16]) + 37) % 100:02d}" + number[16:]


def list_id(driver: Driver, town: str, department: str, category: str, insurance: str, part: int) -> str:
    """Id of a department's list for a town."""
    return f"{department}-{category}-{insurance}-{driver.plan.year}-{town}-{part}"


async def _submit(driver: Driver, name: ListName, lines: Sequence[dict[str, Any]]) -> list[Any]:
    found, department, category, insurance = name
    body = {
        "list_id": found,
        "department": department,
        "category": category,
        "insurance": insurance,
        "campaign": driver.plan.campaign,
        "stamped_total": len(lines),
        "legal_basis": driver.plan.pack.id,
        "lines": lines,
    }
    client = driver.plan.script.departments[department]
    await driver.services.post(client, "subsidy", "/lists", body, driver.key("list", found))
    return [found, department, len(lines)]


async def verify_lists(driver: Driver) -> Any:
    """核实盖章确认 with the number of lines.

    One after the other: whose claim for a person on two lists comes first must not hang on the clock.
    """
    lists = driver.journal.answer(f"{driver.plan.script.days.lists}/submit-lists")["lists"]
    for done, each in enumerate(lists, 1):
        await _verify(driver, *each)
        driver.watcher.progress(done, len(lists))
    return {"lists": len(lists)}


async def _verify(driver: Driver, name: str, department: str, count: int) -> None:
    body = {"stamp": f"{department}-01", "count": count}
    client = driver.plan.script.departments[department]
    await driver.services.post(client, "subsidy", f"/lists/{name}:verify", body, driver.key("verify", name))


async def resubmit_list(driver: Driver) -> Any:
    """名单更正: the mistyped line comes back under its line number, with the person's right number."""
    plan = driver.plan
    person = next(each for each in plan.village(plan.cast).each() if each.ordinal == plan.mistyped)
    wrong = _mistyped(person.number)
    first, listing, line_no = next(
        (found, Listing(department, category, insurance), line["line_no"])
        for (found, department, category, insurance), lines in _lists(driver, plan.cast.town)
        for line in lines
        if line["number"] == wrong
    )
    name = f"{first}-R"
    client = plan.script.departments[listing.department]
    failures = driver.services.pages(client, "subsidy", f"/lists/{first}/failures")
    line_no = next(row["line_no"] for row in [row async for row in failures] if row["error"] == "ID_INVALID")
    body = {
        "list_id": name,
        "department": listing.department,
        "category": listing.category,
        "insurance": "medical",
        "campaign": plan.campaign,
        "stamped_total": 1,
        "legal_basis": plan.pack.id,
        "resubmits": first,
        "lines": [{"line_no": line_no, "name": person.name, "number": person.number}],
    }
    await driver.services.post(client, "subsidy", "/lists", body, driver.key("list", name))
    return {"list_id": name, "department": listing.department, "resubmits": first}


async def verify_resubmitted(driver: Driver) -> Any:
    """And is verified like the first."""
    step = f"{driver.plan.script.days.lists + DAY}/resubmit-list"
    answer = driver.journal.answer(step)
    await _verify(driver, answer["list_id"], answer["department"], 1)
    return {}
