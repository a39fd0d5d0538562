"""Routes of assessment: quote, tiers, obligations."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from services.collection.assessment.domain import SelectTier
from services.collection.assessment.handlers import Assessments
from services.collection.assessment.quoting import Quotes
from services.collection.obligations.listing import (
    MAX_OBLIGATIONS,
    obligation_item,
    obligations_statement,
)
from shared.eventstore.commands import Command
from shared.kernel.bounds import InsuredYear, Quantity
from shared.kernel.errors import ProblemError, Refusal
from shared.kernel.insurance import Insurance
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.fields import Count, Day
from shared.web.idempotency import required_key
from shared.web.imports import ImportContext, ImportKind
from shared.web.operations import accept_upload
from shared.web.paging import DEFAULT_LIMIT, After, Paged, encode_cursor
from shared.web.requests import metadata
from shared.web.responses import answer, json_response
from shared.web.service import Ports

Reader = Annotated[Principal, Depends(authorised("collection:assessment:read"))]
Writer = Annotated[Principal, Depends(authorised("collection:assessment:write"))]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TierBody(_Body):
    """选择缴费档次 / choose a pension tier."""

    person_id: str = Field(pattern=r"^[A-Za-z0-9-]+$", max_length=64, examples=["5f0c…"])
    year: int = Field(ge=2000, le=2100, examples=[2020])
    campaign: str = Field(max_length=16, examples=["370406-2020"])
    tier_yuan: Count = Field(ge=1, examples=[300])


class TierRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of ``POST /tiers:import``."""

    person_id: str
    year: InsuredYear
    campaign: str
    tier_yuan: Quantity


class QuoteBody(_Body):
    """问应缴 / what would this person owe. Either ``pack`` or ``campaign``."""

    pack: str | None = Field(None, max_length=32, examples=["ST-2020"])
    campaign: str | None = Field(None, max_length=16, examples=["370406-2020"])
    insurance: Insurance
    birth: Day = Field(examples=["1970-01-01"])
    paid_at: Day = Field(examples=["2019-11-01"])
    channel: str | None = Field(None, max_length=40, examples=["CASH_AGENT"])
    categories: list[str] = Field(default_factory=list, max_length=20)
    tier_yuan: Count | None = Field(None, ge=1)
    sex: str | None = Field(None, pattern="^[FM]$")
    spouse_birth: Day | None = None
    family_planning: str | None = Field(None, max_length=20)
    hukou: str = Field("in", pattern="^(in|out)$")
    permit: bool = False
    student: bool = False
    employee_insured: bool = False
    paid_elsewhere: bool = False
    listed: list[str] = Field(default_factory=list, max_length=20)
    params: dict[str, int | bool | str] = Field(default_factory=dict)


def tiers_import(assessments: Assessments) -> ImportKind[TierRow]:
    """``POST /tiers:import``: one choice a row."""

    def to_command(row: TierRow, context: ImportContext) -> Command | Refusal:
        command = SelectTier(
            person_id=row.person_id, year=row.year, campaign=row.campaign, tier_yuan=row.tier_yuan
        )
        about = dataclasses.replace(context.metadata, campaign=row.campaign)
        return assessments.select_tier_command(command, about, context.key, context.divisions)

    return ImportKind(
        "tiers",
        TierRow,
        to_command,
        columns={"人员编号": "person_id", "年度": "year", "征缴工作": "campaign", "缴费档次": "tier_yuan"},
    )


def router(assessments: Assessments, quotes: Quotes, ports: Ports, kind: ImportKind[TierRow]) -> APIRouter:
    """``/tiers``, ``/assessments:quote`` and ``/obligations``."""
    routes = APIRouter(tags=["assessment 应缴核定"])

    @routes.post("/tiers", status_code=201, summary="选择缴费档次 / choose a pension tier")
    async def select_tier(request: Request, principal: Writer, body: TierBody) -> Response:
        key = required_key(request, principal, "select_tier", body)
        command = SelectTier(
            person_id=body.person_id, year=body.year, campaign=body.campaign, tier_yuan=body.tier_yuan
        )
        about = metadata(request, principal, body.campaign)
        return answer(await assessments.select_tier(command, about, key, principal.divisions))

    @routes.post("/tiers:import", status_code=202, summary="批量选择档次 / import tier choices")
    async def import_tiers(request: Request, principal: Writer) -> Response:
        return await accept_upload(request, principal, ports, kind)

    @routes.post("/assessments:quote", summary="问应缴 / quote what a person would owe")
    async def quote(principal: Reader, body: QuoteBody) -> Response:
        answered = await quotes.quote(body.model_dump())
        if isinstance(answered, Refusal):
            raise ProblemError(answered)
        return json_response(answered)

    @routes.get("/obligations", summary="应缴明细 / what people owe, and whether it is paid")
    async def obligations(
        principal: Reader,
        campaign: Annotated[str, Query(max_length=16, examples=["370406-2020"])],
        village: Annotated[
            str, Query(pattern=r"^\d{0,12}$", description="村居或镇街 / village or town")
        ] = "",
        insurance: Insurance | None = None,
        person_id: Annotated[str, Query(max_length=64)] = "",
        after: After = "",
        limit: Annotated[int, Query(ge=1, le=MAX_OBLIGATIONS)] = DEFAULT_LIMIT,
    ) -> Response:
        require_division(principal, village or campaign.partition("-")[0], "village")
        wanted = insurance.value if insurance is not None else ""
        statement = obligations_statement(campaign, village, wanted, person_id, after, limit)
        async with ports.database.read() as connection:
            rows = await connection.execute(statement)
        items = [obligation_item(row) for row in rows[:limit]]
        last = items[-1] if len(rows) > limit else None
        cursor = encode_cursor([last.village, last.insurance, last.person_id]) if last is not None else None
        return json_response(Paged(items, cursor))

    return routes
