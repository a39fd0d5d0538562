"""Routes of the money's positions and of reconciliations."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.collection.reconciliation import events as r
from services.collection.reconciliation import overview
from services.collection.reconciliation.handlers import reconcile_command, statement_command
from services.collection.reconciliation.queries import (
    BookRow,
    MonthFacts,
    SnapshotFacts,
    book_rows,
    differences,
    month_bounds,
    positions,
)
from shared.eventstore.database import Row
from shared.kernel.division import parse_campaign
from shared.kernel.errors import ProblemError, Refusal
from shared.kernel.insurance import Insurance
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.fields import Count, Day, Fen
from shared.web.idempotency import required_key
from shared.web.requests import metadata
from shared.web.responses import answer, json_response
from shared.web.service import Ports

Reader = Annotated[Principal, Depends(authorised("collection:reconciliation:read"))]
Writer = Annotated[Principal, Depends(authorised("collection:reconciliation:write"))]


class ReconcileBody(BaseModel):
    """对账 / reconcile a day."""

    model_config = ConfigDict(extra="forbid")

    campaign: str = Field(max_length=16, examples=["370406-2020"])
    date: Day


class StatementRowBody(BaseModel):
    """对账单一行 / one insurance."""

    model_config = ConfigDict(extra="forbid")

    insurance: Insurance
    count: Count = Field(ge=0)
    fen: Fen = Field(ge=0)


class StatementBody(BaseModel):
    """月度对账单 / finance's or the treasury's statement of a month."""

    model_config = ConfigDict(extra="forbid")

    party: str = Field(pattern="^(FINANCE|TREASURY)$")
    campaign: str = Field(max_length=16, examples=["370406-2020"])
    month: str = Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", examples=["2019-12"])
    rows: list[StatementRowBody] = Field(max_length=2)


def _checked(campaign: str) -> str:
    try:
        parse_campaign(campaign)
    except ValueError:
        raise ProblemError(Refusal("VALIDATION_FAILED", rule="CAMPAIGN_ID", field="campaign")) from None
    return campaign


def _mine(principal: Principal, campaign: str) -> str:
    """The campaign id when the caller has all of its division; 403 DIVISION_FORBIDDEN else."""
    require_division(principal, _checked(campaign).partition("-")[0], "campaign")
    return campaign


def _item(row: Row) -> dict[str, Any]:
    return dict(row._mapping)


def _book(row: BookRow) -> dict[str, Any]:
    return {
        "campaign": row.campaign,
        "channel": row.channel,
        "book": row.book,
        "insurance": row.insurance,
        "date": row.date,
        "outside_fen": row.outside_fen,
        "placed_fen": row.placed_fen,
        "difference_fen": row.difference_fen,
        "unaccounted_fen": row.unaccounted_fen,
    }


def router(ports: Ports, snapshots: SnapshotFacts, months: MonthFacts) -> APIRouter:
    """Routes under ``/money``, ``/reconciliations`` and ``/statements``."""
    routes = APIRouter(tags=["对账 reconciliation"])

    @routes.get("/money/positions", summary="资金状态 / where the money is")
    async def money_positions(principal: Reader, campaign: Annotated[str, Query(max_length=16)]) -> Response:
        """所辖村居的资金 / of the caller's villages; money of no village is for whoever has the whole campaign."""
        async with ports.database.read() as connection:
            rows = await positions(connection, _checked(campaign), principal.divisions)
        return json_response({"campaign": campaign, "rows": [_item(row) for row in rows]})

    @routes.get("/campaigns/{campaign}/villages", summary="各村居总览 / people and money per village")
    async def campaign_villages(principal: Reader, campaign: str) -> Response:
        """insurance ``ALL``: people of the village, each once; their money stands in the rows of insurances."""
        _mine(principal, campaign)
        async with ports.database.read() as connection:
            rows = await overview.villages(connection, campaign)
        return json_response({"campaign": campaign, "items": rows})

    @routes.get("/campaigns/{campaign}/days", summary="逐日缴费 / payers' money per day, channel, insurance")
    async def campaign_days(principal: Reader, campaign: str) -> Response:
        _mine(principal, campaign)
        async with ports.database.read() as connection:
            rows = await overview.days(connection, campaign)
        return json_response({"campaign": campaign, "items": [_item(row) for row in rows]})

    @routes.get("/money/unaccounted", summary="未落实资金 / what is unaccounted for")
    async def money_unaccounted(
        principal: Reader, campaign: Annotated[str, Query(max_length=16)] = ""
    ) -> Response:
        if campaign:
            _mine(principal, campaign)
        async with ports.database.read() as connection:
            rows = await book_rows(connection, campaign)
        rows = [row for row in rows if principal.covers(row.campaign.partition("-")[0])]
        open_rows = [_book(row) for row in rows if row.unaccounted_fen or row.difference_fen]
        return json_response(
            {
                "unaccounted_fen": sum(row.unaccounted_fen for row in rows),
                "difference_fen": sum(abs(row.difference_fen) for row in rows),
                "checked": len(rows),
                "rows": open_rows,
            }
        )

    @routes.post("/reconciliations", status_code=201, summary="对账 / reconcile a day")
    async def reconcile(request: Request, principal: Writer, body: ReconcileBody) -> Response:
        key = required_key(request, principal, "reconcile", body)
        command = reconcile_command(
            _mine(principal, body.campaign),
            body.date,
            ports.clock.today(),
            snapshots,
            metadata(request, principal, body.campaign),
            key,
        )
        return answer(await ports.store.execute(command))

    @routes.get("/reconciliations/differences", summary="对账差异 / open differences")
    async def list_differences(principal: Reader, campaign: Annotated[str, Query(max_length=16)]) -> Response:
        async with ports.database.read() as connection:
            rows = await differences(connection, _mine(principal, campaign))
        return json_response({"items": [_item(row) for row in rows]})

    @routes.post("/statements", status_code=201, summary="月度对账单 / a party's statement")
    async def receive_statement(request: Request, principal: Writer, body: StatementBody) -> Response:
        key = required_key(request, principal, "receive_statement", body)
        _mine(principal, body.campaign)
        month_bounds(body.month)
        if len({row.insurance for row in body.rows}) != len(body.rows):
            raise ProblemError(Refusal("VALIDATION_FAILED", rule="INSURANCE_TWICE", field="rows"))
        statement = r.PartyStatementReceived(
            campaign=body.campaign,
            month=body.month,
            party=body.party,
            rows=tuple(r.StatementRow(row.insurance, row.count, row.fen) for row in body.rows),
        )
        told = metadata(request, principal, body.campaign)
        return answer(await ports.store.execute(statement_command(statement, months, told, key)))

    return routes
