"""Routes of settlement: agents' summaries, banks' deposit files, corrections, channels' day files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.collection.obligations.facts import AgentFact
from services.collection.obligations.filing import FiledOrderLine
from services.collection.settlement.domain import Deposit
from services.collection.settlement.events import DayTotal
from services.collection.settlement.filing import MAX_LINES, read_day_file
from services.collection.settlement.handlers import AGENT_UNKNOWN, Settlements
from services.collection.settlement.projection import settlement_day
from services.collection.settlement.queries import days_statement
from shared.eventstore.database import Database
from shared.kernel.clock import SHANGHAI
from shared.kernel.division import parse_campaign
from shared.kernel.errors import ProblemError, Refusal
from shared.kernel.insurance import Insurance
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.fields import Count, Day, Moment
from shared.web.idempotency import header_key, required_key
from shared.web.paging import DEFAULT_LIMIT, After, Limit, keyset, paged, placed_inside
from shared.web.requests import metadata, read_body
from shared.web.responses import answer, json_response

Reader = Annotated[Principal, Depends(authorised("collection:settlement:read"))]
Writer = Annotated[Principal, Depends(authorised("collection:settlement:write"))]

MAX_FEN = 10**12
"""Ten thousand million yuan: more than any file of a district holds."""
_CODE = r"^[A-Za-z0-9._-]+$"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TotalBody(_Body):
    """一个险种的合计 / one insurance's total."""

    insurance: Insurance
    count: Count = Field(ge=0, examples=[12])
    amount_fen: int = Field(ge=0, le=MAX_FEN, examples=[312000])


class SummaryBody(_Body):
    """代办员日汇总 / an agent's summary of a day."""

    campaign: str = Field(max_length=16, examples=["370406-2020"])
    date: Day = Field(examples=["2019-11-02"])
    totals: list[TotalBody] = Field(min_length=1, max_length=2)
    receipts_from: str = Field("", max_length=64)
    receipts_to: str = Field("", max_length=64)


class DepositBody(_Body):
    """一笔解缴 / one deposit: a slip names agent, date and insurance."""

    slip_no: str = Field(pattern=_CODE, max_length=64)
    agent_id: str = Field(min_length=1, max_length=64)
    date: Day = Field(description="收款日 / the day the money was taken")
    insurance: Insurance
    amount_fen: int = Field(gt=0, le=MAX_FEN, examples=[312000])
    deposited_on: Day
    account_ref: str = Field("", max_length=64, description="账户引用，非账号 / a reference, never a number")


class DepositFileBody(_Body):
    """银行解缴文件 / a bank's deposit file."""

    file_no: str = Field(pattern=_CODE, max_length=64)
    bank: str = Field(pattern=_CODE, max_length=40)
    campaign: str = Field("", max_length=16)
    lines: list[DepositBody] = Field(max_length=20_000)


class ResolutionBody(_Body):
    """更正 / how the difference is put right."""

    kind: str = Field(pattern="^(CORRECTIVE_DEPOSIT|RETURNED_EXCESS)$")
    slip_no: str = Field(
        pattern=_CODE, max_length=64, description="银行回单号 / the bank's slip, found in its book"
    )
    amount_fen: int = Field(gt=0, le=MAX_FEN)
    note: str = Field("", max_length=200)


class SettlementBody(_Body):
    """日结差异更正 / correct a day that does not agree."""

    campaign: str = Field(max_length=16, examples=["370406-2020"])
    agent_id: str = Field(min_length=1, max_length=64)
    date: Day
    insurance: Insurance
    resolution: ResolutionBody


class FiledLineBody(_Body):
    """渠道一笔缴费 / a line of the channel's day."""

    order_no: str = Field(pattern=_CODE, max_length=64)
    person_id: str = Field(pattern=r"^[A-Za-z0-9-]+$", max_length=64)
    insurance: Insurance
    year: int = Field(ge=2000, le=2100)
    amount_fen: int = Field(gt=0, le=MAX_FEN)
    paid_at: Moment


class DayFileBody(_Body):
    """渠道日终文件 / a channel's day file; totals must agree with its lines."""

    file_no: str = Field(pattern=_CODE, max_length=64)
    date: Day
    campaign: str = Field(max_length=16, examples=["370406-2020"])
    lines: list[FiledLineBody] = Field(max_length=MAX_LINES)
    total_count: int = Field(ge=0, le=MAX_LINES)
    total_fen: int = Field(ge=0, le=MAX_FEN)


def check_campaign(campaign: str) -> str:
    """The campaign id, or 422 naming the field."""
    try:
        parse_campaign(campaign)
    except ValueError:
        raise ProblemError(Refusal("VALIDATION_FAILED", rule="CAMPAIGN_ID", field="campaign")) from None
    return campaign


def _deposit(body: DepositBody) -> Deposit:
    return Deposit(
        body.slip_no,
        body.agent_id,
        body.date,
        body.insurance,
        body.amount_fen,
        body.deposited_on,
        body.account_ref,
    )


def router(settlements: Settlements, database: Database, limit_bytes: int) -> APIRouter:
    """Routes under ``/agents/{id}/summaries``, ``/deposits``, ``/settlements`` and ``/channels``."""
    routes = APIRouter(tags=["日结 settlement"])

    async def known_agent(agent_id: str, campaign: str, principal: Principal) -> AgentFact:
        agent = await settlements.agent(agent_id, check_campaign(campaign))
        if agent is None:
            raise ProblemError(AGENT_UNKNOWN, status=404)
        require_division(principal, agent.village, "agent_id")
        return agent

    @routes.post("/agents/{agent_id}/summaries", status_code=201, summary="代办员日汇总 / submit a summary")
    async def submit_summary(
        agent_id: str, request: Request, principal: Writer, body: SummaryBody
    ) -> Response:
        key = required_key(request, principal, f"submit_summary {agent_id}", body)
        agent = await known_agent(agent_id, body.campaign, principal)
        totals = [DayTotal(each.insurance, each.count, each.amount_fen) for each in body.totals]
        receipts = (body.receipts_from, body.receipts_to)
        told = metadata(request, principal, body.campaign)
        return answer(await settlements.submit_summary(agent, body.date, totals, receipts, told, key))

    @routes.post("/deposits:import", status_code=201, summary="银行解缴文件 / a bank's deposit file")
    async def import_deposits(request: Request, principal: Writer, body: DepositFileBody) -> Response:
        named = {"bank": body.bank, "file_no": body.file_no, "campaign": body.campaign}
        key = required_key(request, principal, "receive_deposit_file", named)
        campaign = check_campaign(body.campaign) if body.campaign else ""
        told = metadata(request, principal, campaign)
        lines = [_deposit(line) for line in body.lines]
        return answer(await settlements.import_deposits(body.bank, body.file_no, campaign, lines, told, key))

    @routes.post("/settlements", status_code=201, summary="日结差异更正 / correct a day")
    async def correct_settlement(request: Request, principal: Writer, body: SettlementBody) -> Response:
        key = required_key(request, principal, "correct_settlement", body)
        agent = await known_agent(body.agent_id, body.campaign, principal)
        how = body.resolution
        resolution = (how.kind, how.slip_no, how.amount_fen, how.note)
        told = metadata(request, principal, body.campaign)
        return answer(await settlements.correct(agent, body.date, body.insurance, resolution, told, key))

    @routes.get("/settlements", summary="日结 / settlement days")
    async def list_settlements(
        principal: Reader,
        campaign: Annotated[str, Query(max_length=16)] = "",
        village: Annotated[str, Query(max_length=12)] = "",
        state: Annotated[str, Query(pattern="^(|OPEN|OVERDUE)$")] = "",
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        c = settlement_day.c
        columns = [c.campaign, c.village, c.source, c.date, c.insurance]
        statement = days_statement(campaign, village, state)
        mine = placed_inside(c.village, c.campaign, principal.divisions)
        async with database.read() as connection:
            rows = await connection.execute(keyset(statement.where(mine), columns, after, limit))

        def item(row: Any) -> dict[str, Any]:
            return dict(row._mapping)

        return json_response(
            paged(rows, limit, item, lambda r: [r.campaign, r.village, r.source, str(r.date), r.insurance])
        )

    async def take_day_file(
        channel: str,
        campaign: str,
        date: Day,
        file_no: str,
        lines: Sequence[FiledOrderLine],
        stated: tuple[int, int],
        request: Request,
        principal: Principal,
    ) -> Response:
        named = {"campaign": campaign, "date": date, "file_no": file_no, "stated": stated}
        key = required_key(request, principal, f"receive_day_file {channel}", named)
        require_division(principal, parse_campaign(check_campaign(campaign))[0], "campaign")
        if stated != (len(lines), sum(line.amount_fen for line in lines)):
            raise ProblemError(Refusal("TOTALS_MISMATCH", rule="I-20", field="total_fen"))
        told = metadata(request, principal, campaign)
        return answer(await settlements.receive_day_file(channel, campaign, date, file_no, lines, told, key))

    @routes.post(
        "/channels/{channel}/day-files:import", status_code=201, summary="渠道日终大文件 / a large day file"
    )
    async def import_day_file(
        channel: str,
        request: Request,
        principal: Writer,
        file_no: Annotated[str, Query(pattern=_CODE, max_length=64)],
        date: Day,
        campaign: Annotated[str, Query(max_length=16)],
    ) -> Response:
        """NDJSON：每行一笔，末行合计 / a line each, totals in the last row; all of it or nothing."""
        header_key(request)
        lines, trailer = read_day_file(await read_body(request, limit_bytes))
        stated = (trailer.total_count, trailer.total_fen)
        return await take_day_file(channel, campaign, date, file_no, lines, stated, request, principal)

    @routes.post("/channels/{channel}/day-files", status_code=201, summary="渠道日终文件 / a day file")
    async def receive_day_file(
        channel: str, request: Request, principal: Writer, body: DayFileBody
    ) -> Response:
        lines = [
            FiledOrderLine(
                line.order_no,
                line.person_id,
                line.insurance,
                line.year,
                line.amount_fen,
                line.paid_at.astimezone(SHANGHAI),
            )
            for line in body.lines
        ]
        stated = (body.total_count, body.total_fen)
        return await take_day_file(
            channel, body.campaign, body.date, body.file_no, lines, stated, request, principal
        )

    return routes
