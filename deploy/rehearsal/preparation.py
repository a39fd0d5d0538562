"""Preparing the campaign (筹资准备): pack, targets, households, people, lists, tiers, rosters and notices.

People, enrolments and tiers go by file, some thousand rows at a time; rosters and lists by calls.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from deploy.rehearsal.clients import UnexpectedAnswerError
from deploy.rehearsal.driver import Act, Driver
from deploy.rehearsal.plan import OBJECTOR, lists_of_town
from deploy.rehearsal.population import VillageSize
from deploy.rehearsal.residents import Listing, Resident

Task = tuple[dt.date, str, Act]

REFUSED_EMPLOYEES = 5
"""So many employees try to enrol all the same and are refused (I-05)."""
LIST_LINES = 6000
"""Lines of a list at most; a longer one is sent in several."""
DAY = dt.timedelta(days=1)


def tasks(driver: Driver) -> Sequence[Task]:
    """Steps of the preparation, each on its day; every one of them comes to rest before the next."""
    days, plan = driver.plan.script.days, driver.plan
    notice = plan.pack.notice_days("ROSTER")
    closed = days.roster + dt.timedelta(days=2 + (notice or 0) + 1)
    found = [
        (days.open, "open-campaign", lambda: open_campaign(driver)),
        (days.open, "assign-targets", lambda: assign_targets(driver)),
        (days.open, "authorise-agents", lambda: authorise_agents(driver)),
        (days.register, "register-people", lambda: register_people(driver)),
        (days.register, "report-employees", lambda: report_employees(driver)),
        (days.enrol, "enrol", lambda: enrol(driver)),
        (days.lists, "submit-lists", lambda: submit_lists(driver)),
        (days.lists, "verify-lists", lambda: verify_lists(driver)),
        (days.lists + DAY, "resubmit-list", lambda: resubmit_list(driver)),
        (days.lists + DAY, "verify-resubmitted", lambda: verify_resubmitted(driver)),
        (days.tiers, "choose-tiers", lambda: choose_tiers(driver)),
        (days.roster, "generate-rosters", lambda: generate_rosters(driver)),
        (days.roster + DAY, "review-rosters", lambda: review_rosters(driver)),
        (days.roster + 2 * DAY, "publish-rosters", lambda: publish_rosters(driver)),
    ]
    if notice:
        raised = days.roster + 3 * DAY
        found += [
            (raised, "raise-objections", lambda: raise_objections(driver)),
            (raised + DAY, "register-omitted", lambda: register_omitted(driver)),
            (raised + DAY, "enrol-omitted", lambda: enrol_omitted(driver)),
            (raised + DAY, "resolve-objections", lambda: resolve_objections(driver)),
            (closed, "amend-roster", lambda: amend_roster(driver)),
        ]
    found += [
        (closed, "finalise-rosters", lambda: finalise_rosters(driver)),
        (max(days.learn, closed), "learn-bills", lambda: learn_bills(driver)),
    ]
    return found


async def open_campaign(driver: Driver) -> Any:
    """Pack drafted, published by another person, campaign opened (I-01)."""
    plan, post = driver.plan, driver.services.post
    pack = plan.pack.id
    await post("tax", "collection", "/packs", {"pack_id": pack, "maker": "tax-01"}, driver.key("draft"))
    body = {"campaign": plan.campaign, "approver": "tax-02"}
    await post("tax", "collection", f"/packs/{pack}:publish", body, driver.key("publish"))
    opened = {"campaign": plan.campaign, "pack_id": pack}
    await post("tax", "collection", "/campaigns", opened, driver.key("open"))
    return {}


async def assign_targets(driver: Driver) -> Any:
    """下达任务: the plan's task table, one table per insurance, in the units it prints (I-02, D-19, D-20)."""
    table, plan = driver.plan.pack.document.task_table, driver.plan
    if table is None:
        return {}
    codes = {size.name: size.division for size in plan.villages}
    rows: dict[str, list[dict[str, Any]]] = {"medical": [], "pension": []}
    for row in table.rows:
        division = row.division or codes.get(row.name, "")
        if not division:
            continue
        common = {"division": division, "name": row.name, "statistical_scope": table.scope}
        medical = common | {"insurance": "medical", "persons": row.medical_persons}
        if row.medical_amount_yuan is not None:
            medical["amount_fen"] = row.medical_amount_yuan * 100
        rows["medical"].append(medical)
        if row.pension_persons is not None:
            amount = {"amount_wan_yuan": row.pension_amount_wan_yuan}
            rows["pension"].append(common | {"insurance": "pension", "persons": row.pension_persons} | amount)
    path = f"/campaigns/{plan.campaign}/targets"
    for insurance, lines in rows.items():
        if not lines:
            continue
        unit = "amount_fen" if insurance == "medical" else "amount_wan_yuan"
        amounts = [line.get(unit) for line in lines]
        body: dict[str, Any] = {
            "rows": lines,
            "stated_total_persons": sum(line["persons"] for line in lines),
        }
        if None not in amounts:
            body["stated_total_amount"] = sum(amounts)
        await driver.services.post("tax", "collection", path, body, driver.key("targets", insurance))
    return {"rows": sum(len(lines) for lines in rows.values())}


async def authorise_agents(driver: Driver) -> Any:
    """代收单位与代办员: where the pack has virtual households each town has one; every village its agents."""
    plan = driver.plan
    for town in plan.population.towns:
        if plan.script.households:
            await _register_household(driver, town.division, town.name)
    works = [
        partial(_authorise, driver, size, agent) for size in plan.villages for agent in plan.agents(size)
    ]
    await _each(driver, works)
    await _tell_agents(driver)
    return {"agents": len(works)}


async def _register_household(driver: Driver, town: str, name: str) -> None:
    """The collecting unit is sent by 医保; the tax branch registers its virtual household and scope."""
    plan, post = driver.plan, driver.services.post
    villages = [size.division for size in plan.population.of_town(town)]
    unit_name = f"{name}养老医保管理所（合成）"
    unit = {"unit_id": plan.unit(town), "name": unit_name, "village": villages[0]}
    await post("medical", "registration", "/collecting-units", unit, driver.key("unit", town))
    household = {
        "virtual_household_id": plan.virtual_household(town),
        "campaign": plan.campaign,
        "unit_id": plan.unit(town),
        "name": unit_name,
        "villages": villages,
    }
    await post("tax-branch", "collection", "/virtual-households", household, driver.key("household", town))
    scope = {"insurances": ["medical", "pension"], "divisions": [town]}
    path = f"/virtual-households/{plan.virtual_household(town)}:assign-scope"
    await post("tax-branch", "collection", path, scope, driver.key("scope", town))


async def _authorise(driver: Driver, size: VillageSize, agent: str) -> None:
    plan = driver.plan
    body = {
        "agent_id": agent,
        "campaign": plan.campaign,
        "village": size.division,
        "virtual_household_id": plan.virtual_household(size.town),
        "unit": plan.unit(size.town),
        "designated_account_ref": plan.account(size.town),
        "channels": sorted(plan.script.at_hand),
    }
    await driver.services.post("tax-branch", "collection", "/agents", body, driver.key("agent", agent))


async def _tell_agents(driver: Driver) -> None:
    plan = driver.plan
    receipts = sorted(code for code in plan.script.at_hand if plan.pack.receipt_required(code))
    agents = [
        {
            "agent": agent,
            "village": size.division,
            "account_ref": plan.account(size.town),
            "receipts": " ".join(receipts),
        }
        for size in plan.villages
        for agent in plan.agents(size)
    ]
    await driver.outside.post("/agents", {"campaign": plan.campaign, "agents": agents})


async def _each(driver: Driver, works: Sequence[Act]) -> None:
    """Many acts, some at once, with progress."""
    step = max(driver.concurrency * 8, 1)
    for start in range(0, len(works), step):
        await driver.together(works[start : start + step])
        driver.watcher.progress(min(start + step, len(works)), len(works))


# -- people ---------------------------------------------------------------------------------------------


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
                    if each.ordinal != omitted:
                        ordinals.append(each.ordinal)
                        rows.append(person_row(size, each))
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


# -- lists ----------------------------------------------------------------------------------------------


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


# -- rosters --------------------------------------------------------------------------------------------


async def generate_rosters(driver: Driver) -> Any:
    """缴费信息清册生成, each village its own."""

    async def one(size: VillageSize) -> None:
        body = {"campaign": driver.plan.campaign, "village": size.division}
        key = driver.key("roster", size.division)
        await driver.services.post("tax-branch", "collection", "/rosters", body, key)

    await _each(driver, [partial(one, size) for size in driver.plan.villages])
    return {"rosters": len(driver.plan.villages)}


async def review_rosters(driver: Driver) -> Any:
    """初审 by the tax branch and the town agency: two persons of two organisations."""

    async def one(size: VillageSize) -> None:
        path = f"/rosters/{driver.plan.roster(size)}:review"
        for client, role, actor in (
            ("tax-branch", "TAX_BRANCH", "branch-03"),
            ("town-agency", "TOWN_AGENCY", "town-05"),
        ):
            body = {"role": role, "actor": actor, "findings": []}
            key = driver.key("review", role, size.division)
            await driver.services.post(client, "collection", path, body, key)

    await _each(driver, [partial(one, size) for size in driver.plan.villages])
    return {}


async def publish_rosters(driver: Driver) -> Any:
    """移交镇街、管区，转交代办员; where the pack has one, the village notice follows."""
    plan = driver.plan

    async def one(size: VillageSize) -> None:
        body = {"to": "TOWN_AGENCY", "agents": list(plan.agents(size))}
        path = f"/rosters/{plan.roster(size)}:publish"
        await driver.services.post(
            "town-agency", "collection", path, body, driver.key("dispatch", size.division)
        )

    await _each(driver, [partial(one, size) for size in plan.villages])
    return {}


async def finalise_rosters(driver: Driver) -> Any:
    """定稿上报."""

    async def one(size: VillageSize) -> None:
        path = f"/rosters/{driver.plan.roster(size)}:finalise"
        await driver.services.post(
            "town-agency", "collection", path, {}, driver.key("finalise", size.division)
        )

    await _each(driver, [partial(one, size) for size in driver.plan.villages])
    return {}


async def notice_of(driver: Driver, kind: str) -> dict[str, Any]:
    """The first village's latest notice of a kind."""
    found = [
        row
        async for row in driver.services.pages(
            "village-committee", "notification", "/notices", village=driver.plan.cast.division, kind=kind
        )
    ]
    return found[-1]


async def raise_objections(driver: Driver) -> Any:
    """One neighbour disputes an amount; one says somebody of his household is missing."""
    notice = (await notice_of(driver, "ROSTER"))["notice_id"]
    disputed, other = driver.plan.roles[OBJECTOR].payers[:2]
    ids = {}
    for name, who, claim in (("amount", disputed, "WRONG_AMOUNT"), ("missing", other, "NOT_LISTED")):
        body = {"person_id": driver.person(who), "insurance": "medical", "claim": claim}
        path, key = f"/notices/{notice}/objections", driver.key("objection", name)
        reply = await driver.services.post("village-committee", "notification", path, body, key)
        ids[name] = reply.body["objection_id"]
    driver.journal.write("objections", ids)
    return ids


async def register_omitted(driver: Driver) -> Any:
    """The forgotten person registers."""
    omitted = driver.plan.omitted
    if omitted is None:
        return {}
    row = person_row(driver.plan.cast, omitted)
    reply = await driver.services.post("hr", "registration", "/people", row, driver.key("omitted"))
    driver.journal.add_persons([(omitted.ordinal, str(reply.body["person_id"]))])
    return {}


async def enrol_omitted(driver: Driver) -> Any:
    """And is enrolled, in whatever he belongs to."""
    omitted, plan = driver.plan.omitted, driver.plan
    if omitted is None:
        return {}
    person = driver.person(omitted)
    for client, insurance in (("medical", "medical"), ("hr", "pension")):
        if insurance == "pension" and omitted.pension_tier is None:
            continue
        body = {"person_id": person, "insurance": insurance, "year": plan.year}
        key = driver.key("enrol-omitted", insurance)
        await driver.services.post(client, "registration", "/enrolments", body, key)
    return {}


async def resolve_objections(driver: Driver) -> Any:
    """Both are resolved before the notice may close: one rejected, one upheld."""
    ids = driver.journal.note("objections")
    for name, outcome, finding in (
        ("amount", "REJECTED", "标准与文件一致 / the amount is the plan's"),
        ("missing", "UPHELD", "漏登，已补登记 / omitted, registered now"),
    ):
        body = {"roster_id": driver.plan.roster(driver.plan.cast), "outcome": outcome, "finding": finding}
        path = f"/objections/{ids[name]}:resolve"
        await driver.services.post("town-agency", "collection", path, body, driver.key("resolve", name))
    return {}


async def amend_roster(driver: Driver) -> Any:
    """补充修改清册: the forgotten person is added."""
    omitted, plan = driver.plan.omitted, driver.plan
    if omitted is None:
        return {}
    person = driver.person(omitted)
    if omitted.pension_tier is not None:
        tier = {
            "person_id": person,
            "year": plan.year,
            "campaign": plan.campaign,
            "tier_yuan": omitted.pension_tier,
        }
        await driver.services.post("town-agency", "collection", "/tiers", tier, driver.key("tier-omitted"))
        await driver.drain()
    insurances = ["medical"] + (["pension"] if omitted.pension_tier is not None else [])
    body = {"add": [{"person_id": person, "insurance": each} for each in insurances], "remove": []}
    path = f"/rosters/{plan.roster(plan.cast)}:amend"
    await driver.services.post("town-agency", "collection", path, body, driver.key("amend"))
    return {}


# -- bills ----------------------------------------------------------------------------------------------


async def learn_bills(driver: Driver) -> Any:
    """Channels and agents learn what each village owes, and what its households will pay and when."""
    plan = driver.plan
    orders = done = 0

    async def one(size: VillageSize) -> None:
        nonlocal orders, done
        body = {
            "campaign": plan.campaign,
            "village": size.division,
            "orders": list(_orders(driver, size)),
        }
        planned = await driver.outside.post("/orders:plan", body)
        orders += int(planned["orders"])
        done += 1
        driver.watcher.progress(done, len(plan.villages))

    await driver.together([partial(one, size) for size in plan.villages], 2)
    return {"orders": orders}


def _orders(driver: Driver, size: VillageSize) -> Iterable[dict[str, Any]]:
    plan, persons = driver.plan, driver.persons(size)
    for planned in plan.households(size):
        if planned.on is None or planned.role:
            continue
        number = planned.household.number
        people = [persons[each.ordinal] for each in planned.household.members if not each.employee]
        if not people:
            continue
        order = {
            "channel": planned.channel,
            "agent": planned.agent,
            "persons": people,
            "paid_at": moment(planned.on, number),
            "order_no": order_no(driver, size, number, planned.on),
            "insurances": ["medical", "pension"],
        }
        if planned.pension_on is None:
            yield order
            continue
        yield order | {"insurances": ["medical"]}
        later = planned.pension_on
        yield order | {
            "insurances": ["pension"],
            "paid_at": moment(later, number),
            "order_no": order_no(driver, size, number, later),
        }


def order_no(driver: Driver, size: VillageSize, household: int, day: dt.date) -> str:
    """A household's order of a day."""
    return f"{driver.plan.seed}-{size.division[3:]}-{household:04d}-{day:%m%d}"


def moment(day: dt.date, household: int) -> str:
    """When a household pays on a day."""
    return f"{day}T{9 + household % 8:02d}:{household * 7 % 60:02d}:00+08:00"
