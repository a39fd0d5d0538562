"""Routes of history: what was paid last year, who lapsed since, and next year's targets."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from services.collection.history.domain import RecordHistory
from services.collection.history.events import HistoryLine
from services.collection.history.handlers import Histories, record_command
from services.collection.history.queries import HistoryReader
from shared.eventstore.commands import Command
from shared.eventstore.database import Database
from shared.kernel.bounds import Amount, InsuredYear
from shared.kernel.division import parse_campaign
from shared.kernel.errors import ProblemError, Refusal
from shared.kernel.insurance import Insurance
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.fields import Fen
from shared.web.idempotency import required_key
from shared.web.imports import ImportContext, ImportKind
from shared.web.operations import accept_upload
from shared.web.requests import metadata
from shared.web.responses import answer, json_response
from shared.web.service import Ports

Reader = Annotated[Principal, Depends(authorised("collection:campaigns:read"))]
Writer = Annotated[Principal, Depends(authorised("collection:campaigns:write"))]
Village = Annotated[str, Query(pattern=r"^\d{12}$", description="村居代码 / village code")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class HistoryLineBody(_Body):
    """一人一险 / one person and insurance."""

    person_id: str = Field(pattern=r"^[A-Za-z0-9-]+$", max_length=64, examples=["5f0c…"])
    insurance: Insurance
    paid_fen: Fen = Field(
        0, ge=0, examples=[38000], description="各方合计；不详为 0 / by everybody; 0 unknown"
    )


class HistoryBody(_Body):
    """一个村居的上年缴费 / who had paid in a village."""

    year: int = Field(ge=2000, le=2100, examples=[2024])
    village: str = Field(pattern=r"^\d{12}$", examples=["370406001201"])
    source: str = Field(min_length=1, max_length=60, examples=["金三"])
    lines: list[HistoryLineBody] = Field(min_length=1, max_length=5000)


class HistoryRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of ``POST /history:import``."""

    person_id: str
    year: InsuredYear
    insurance: Insurance
    village: str
    paid_fen: Amount = 0


def history_import() -> ImportKind[HistoryRow]:
    """``POST /history:import``: one person and insurance a row."""

    def to_command(row: HistoryRow, context: ImportContext) -> Command | Refusal:
        if not context.covers(row.village):
            return Refusal("DIVISION_FORBIDDEN", field="village")
        line = HistoryLine(row.person_id, row.insurance, row.paid_fen)
        source = context.parameters.get("source", "")
        command = RecordHistory(row.year, row.village, source, (line,))
        return record_command(command, row.person_id, context.metadata, context.key)

    columns = {
        "人员编号": "person_id",
        "年度": "year",
        "险种": "insurance",
        "村居代码": "village",
        "缴费金额（分）": "paid_fen",
    }
    return ImportKind("history", HistoryRow, to_command, columns)


def router(histories: Histories, reader: HistoryReader, ports: Ports, kind: ImportKind[Any]) -> APIRouter:
    """``/history`` and what follows from it per campaign."""
    routes = APIRouter(tags=["history 缴费历史"])

    @routes.post("/history", status_code=201, summary="缴费历史入库 / record a village's history")
    async def record(request: Request, principal: Writer, body: HistoryBody) -> Response:
        require_division(principal, body.village, "village")
        key = required_key(request, principal, "record_history", body)
        lines = tuple(HistoryLine(each.person_id, each.insurance, each.paid_fen) for each in body.lines)
        command = RecordHistory(body.year, body.village, body.source, lines)
        return answer(await histories.record(command, metadata(request, principal), key))

    @routes.post("/history:import", status_code=202, summary="批量缴费历史 / import history from a file")
    async def import_history(
        request: Request,
        principal: Writer,
        source: Annotated[str, Query(max_length=60, description="来源 / where the file comes from")] = "",
    ) -> Response:
        return await accept_upload(request, principal, ports, kind, parameters={"source": source})

    @routes.get("/history", summary="缴费历史 / who had paid in a village for a year: files and bookings")
    async def history(
        principal: Reader, village: Village, year: Annotated[int, Query(ge=2000, le=2100)]
    ) -> Response:
        require_division(principal, village, "village")
        async with ports.database.read() as connection:
            found = await reader.of_village(connection, village, year)
        return json_response({"items": [dataclasses.asdict(paid) for paid in found]})

    _campaign_routes(routes, reader, ports.database)
    return routes


def _campaign_routes(routes: APIRouter, reader: HistoryReader, database: Database) -> None:
    @routes.get("/campaigns/{campaign}/lapsed", summary="断缴人员 / last year's payers who do not go on")
    async def lapsed(campaign: str, principal: Reader, village: Village) -> Response:
        require_division(principal, village, "village")
        _known(campaign)
        async with database.read() as connection:
            found = await reader.village_year(connection, campaign, village)
        return json_response({"items": [dataclasses.asdict(each) for each in found.lapsed]})

    @routes.get(
        "/campaigns/{campaign}/changes", summary="与上年对比 / each village's year against the year before"
    )
    async def changed(
        campaign: str,
        principal: Reader,
        village: Annotated[str, Query(max_length=12, description="村居或镇街 / village or town")] = "",
    ) -> Response:
        division, year = _known(campaign)
        require_division(principal, village or division, "village")
        items = []
        async with database.read() as connection:
            for each in await _villages(reader, connection, village or division, year):
                found = await reader.village_year(connection, campaign, each)
                items.append({"village": each, **dataclasses.asdict(found.changes)})
        return json_response({"items": items})

    @routes.get(
        "/campaigns/{campaign}/targets:proposed",
        summary="按上年缴费拟定任务 / next year's targets from what was paid last year",
    )
    async def proposed(campaign: str, principal: Reader) -> Response:
        division, year = _known(campaign)
        require_division(principal, division, "campaign")
        rows: list[dict[str, Any]] = []
        async with database.read() as connection:
            for each in await reader.villages(connection, division, year - 1):
                found = await reader.published(connection, each, year - 1)
                for insurance in Insurance:
                    persons = sum(paid.insurance is insurance for paid in found)
                    if persons:
                        rows.append({"division": each, "insurance": insurance.value, "persons": persons})
        totals = {
            insurance.value: sum(row["persons"] for row in rows if row["insurance"] == insurance.value)
            for insurance in Insurance
        }
        return json_response({"statistical_scope": "ALL", "rows": rows, "stated_total_persons": totals})


async def _villages(reader: HistoryReader, connection: Any, division: str, year: int) -> list[str]:
    before = await reader.villages(connection, division, year - 1)
    now = await reader.villages(connection, division, year)
    return sorted({*before, *now})


def _known(campaign: str) -> tuple[str, int]:
    try:
        return parse_campaign(campaign)
    except ValueError:
        raise ProblemError(Refusal("NOT_FOUND", field="campaign")) from None
