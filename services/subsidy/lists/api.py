"""Routes of lists: submit, verify, see outcomes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.subsidy.lists import domain, handlers, queries
from services.subsidy.lists.events import ListLine
from services.subsidy.lists.projection import line_table, list_table
from shared.eventstore.commands import Store
from shared.eventstore.database import Connection, Database
from shared.kernel.clock import Clock
from shared.kernel.division import parse_campaign
from shared.kernel.errors import ProblemError, Refusal
from shared.kernel.identity import identity_fault
from shared.kernel.insurance import Insurance
from shared.policy import Pack
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.fields import Count, Day
from shared.web.idempotency import required_key
from shared.web.paging import DEFAULT_LIMIT, After, Limit, inside, keyset, paged
from shared.web.requests import metadata
from shared.web.responses import answer, json_response

READ = "subsidy:lists:read"
WRITE = "subsidy:lists:write"


class LineBody(BaseModel):
    """名单行 / a line: the number finds the person; the name is for the department's own check."""

    model_config = ConfigDict(extra="forbid")

    line_no: Count = Field(ge=1)
    name: str = Field(min_length=1, max_length=64)
    number: str = Field(min_length=1, max_length=32)
    valid_from: Day | None = Field(default=None, description="身份起始 / status counts from")


class ListBody(BaseModel):
    """资助名单 / a department's list, one category and one insurance."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "list_id": "CIVIL_AFFAIRS-2020-medical-1",
                    "department": "CIVIL_AFFAIRS",
                    "category": "MINIMUM_LIVING",
                    "insurance": "medical",
                    "campaign": "370406-2020",
                    "stamped_total": 1,
                    "legal_basis": "002:L359-372",
                    "lines": [{"line_no": 1, "name": "示例", "number": "11010519491231002X"}],
                }
            ]
        },
    )

    list_id: str = Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9._-]+$")
    department: str = Field(min_length=1, max_length=64)
    category: str = Field(min_length=1, max_length=64, description="类别代码或中文 / code or Chinese term")
    insurance: Insurance
    campaign: str = Field(max_length=20)
    stamped_total: Count = Field(ge=0)
    legal_basis: str = Field(default="", max_length=200)
    lines: list[LineBody] = Field(max_length=50_000)
    resubmits: str = Field(
        default="", max_length=80, description="更正哪份名单的失败行 / the list whose failed lines come back"
    )


class VerifyBody(BaseModel):
    """核实盖章 / verification with the stamp and the number of lines."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"stamp": "民政-01", "count": 1}]}
    )

    stamp: str = Field(min_length=1, max_length=64)
    count: Count = Field(ge=0)


PackOf = Callable[[Connection, str], Awaitable[Pack | Refusal]]
"""The pack that binds a campaign, or why there is none."""


async def pack_for(database: Database, pack_of: PackOf, campaign: str) -> Pack:
    """The campaign's pack. Raises ProblemError CAMPAIGN_UNKNOWN or PACK_MISMATCH."""
    async with database.read() as connection:
        found = await pack_of(connection, campaign)
    if isinstance(found, Refusal):
        raise ProblemError(found, 422 if found.code == "CAMPAIGN_UNKNOWN" else None)
    return found


FindPersons = Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]
"""Person per number, for known numbers."""


def list_deadline(pack: Pack) -> dt.date:
    """The day lists are wanted by: the pack's own, else the day before agents collect (D-09)."""
    for deadline in pack.document.deadlines:
        if deadline.what == "LISTS" and deadline.date is not None:
            return deadline.date
    return pack.collection.start - dt.timedelta(days=1)


def _found(body: ListBody, persons: Mapping[str, str], year: int, today: dt.date) -> tuple[ListLine, ...]:
    lines = []
    for line in body.lines:
        person_id = persons.get(line.number, "")
        error = ""
        if not person_id:
            error = "ID_INVALID" if identity_fault(line.number, today) else "NOT_ENROLLED"
        start = line.valid_from or dt.date(year, 1, 1)
        lines.append(ListLine(line.line_no, person_id, start, error))
    return tuple(lines)


async def _corrects(database: Database, list_id: str) -> domain.Resubmitted | None:
    """What is known of the list a resubmission names; None for none or an unknown one."""
    if not list_id:
        return None
    async with database.read() as connection:
        row = await queries.header(connection, list_id)
        if row is None:
            return None
        failed = await queries.failed_lines(connection, list_id)
    return domain.Resubmitted(row.department, row.category, Insurance(row.insurance), row.campaign, failed)


def router(
    store: Store, database: Database, clock: Clock, pack_of: PackOf, find_persons: FindPersons
) -> APIRouter:
    """Routes under ``/lists``."""
    routes = APIRouter(tags=["资助名单 subsidy lists"])

    @routes.post("/lists", status_code=201)
    async def submit_list(
        body: ListBody, request: Request, principal: Annotated[Principal, Depends(authorised(WRITE))]
    ) -> Response:
        """报送资助名单 / submit a list; every line answers for itself, none is lost."""
        pack = await pack_for(database, pack_of, body.campaign)
        require_division(principal, pack.region.division, "campaign")
        category = pack.category(body.category)
        department = pack.department(body.department)
        if category is None:
            raise ProblemError(
                Refusal("CATEGORY_UNKNOWN", field="category", message="没有此类别 / no such category")
            )
        if department is None:
            raise ProblemError(
                Refusal("DEPARTMENT_UNKNOWN", field="department", message="没有此部门 / no such department")
            )
        today = clock.today()
        year = parse_campaign(body.campaign)[1]
        persons = await find_persons([line.number for line in body.lines])
        command = domain.SubmitList(
            body.list_id,
            department.code,
            category.code,
            body.insurance,
            year,
            body.campaign,
            body.stamped_total,
            body.legal_basis,
            _found(body, persons, year, today),
            list_deadline(pack),
            body.resubmits,
            await _corrects(database, body.resubmits),
        )
        key = required_key(request, principal, "submit_list", body)
        outcome = await store.execute(
            handlers.submit_list(command, today, metadata(request, principal, body.campaign, pack), key)
        )
        return answer(outcome, f"/lists/{body.list_id}")

    @routes.get("/lists")
    async def list_lists(
        principal: Annotated[Principal, Depends(authorised(READ))],
        campaign: Annotated[str, Query(max_length=20)] = "",
        department: Annotated[str, Query(max_length=64)] = "",
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        """名单列表 / lists by campaign and department, of campaigns inside the caller's divisions."""
        wanted = queries.listing(campaign, department)
        wanted = wanted.where(inside(list_table.c.campaign, principal.divisions))
        statement = keyset(wanted, [list_table.c.list_id], after, limit)
        async with database.read() as connection:
            rows = await connection.execute(statement)
        return json_response(paged(rows, limit, lambda row: dict(row._mapping), lambda row: [row.list_id]))

    @routes.get("/lists/{list_id}")
    async def show_list(list_id: str, principal: Annotated[Principal, Depends(authorised(READ))]) -> Response:
        """名单 / a list and how many of its lines are imported or failed."""
        async with database.read() as connection:
            row = await queries.header(connection, list_id)
            if row is None:
                raise ProblemError(Refusal("NOT_FOUND", rule="LIST_UNKNOWN"), status=404)
            require_division(principal, parse_campaign(row.campaign)[0])
            counts = await queries.counts(connection, list_id)
            corrected = await queries.corrected(connection, list_id)
        complete = counts.get("IMPORTED", 0) + counts.get("FAILED", 0) == row.stamped_total
        return json_response({**row._mapping, "lines": counts, "corrected": corrected, "complete": complete})

    @routes.get("/lists/{list_id}/failures")
    async def show_failures(
        list_id: str,
        principal: Annotated[Principal, Depends(authorised(READ))],
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        """导入失败的行 / failed lines with their reason, to correct and submit again (``resubmits``)."""
        statement = keyset(queries.failures(list_id), [line_table.c.line_no], after, limit)
        async with database.read() as connection:
            row = await queries.header(connection, list_id)
            if row is None:
                raise ProblemError(Refusal("NOT_FOUND", rule="LIST_UNKNOWN"), status=404)
            require_division(principal, parse_campaign(row.campaign)[0])
            rows = await connection.execute(statement)
        return json_response(paged(rows, limit, lambda row: dict(row._mapping), lambda row: [row.line_no]))

    @routes.post("/lists/{list_id}:verify")
    async def verify_list(
        list_id: str,
        body: VerifyBody,
        request: Request,
        principal: Annotated[Principal, Depends(authorised(WRITE))],
    ) -> Response:
        """核实盖章确认 / verify a list; its good lines go to registration."""
        async with database.read() as connection:
            row = await queries.header(connection, list_id)
        if row is None:
            raise ProblemError(Refusal("NOT_FOUND", rule="LIST_UNKNOWN"), status=404)
        pack = await pack_for(database, pack_of, row.campaign)
        require_division(principal, pack.region.division, "campaign")
        command = handlers.verify_list(
            list_id,
            row.year,
            body.stamp,
            body.count,
            principal.organisation,
            metadata(request, principal, row.campaign, pack),
            required_key(request, principal, f"verify_list:{list_id}", body),
        )
        return answer(await store.execute(command))

    return routes
