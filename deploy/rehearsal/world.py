"""The outside world as a process (port-base + 9, development only): what the driver asks of it, by HTTP.

Each route takes the business day it acts on and may be repeated. ``GET /books`` is what an auditor outside
the services compares them with.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from deploy.rehearsal.books import PARTS, Books, Line, Order
from deploy.rehearsal.clients import Services, UnexpectedAnswerError
from deploy.rehearsal.fund_world import FundDesk, fund_routes
from deploy.rehearsal.outside import World

Lifespan = Callable[[FastAPI], Any]


class Body(BaseModel):
    """A request of the driver."""

    model_config = ConfigDict(extra="forbid")


class LineBody(Body):
    """缴费明细 / a line; the village is what the payer says."""

    person_id: str
    village: str
    insurance: str = Field(examples=["medical"])
    year: int
    fen: int = Field(gt=0)

    def line(self) -> Line:
        """As the books keep it."""
        return Line(self.person_id, self.village, self.insurance, self.year, self.fen)


class PayBody(Body):
    """缴费 / pay an order. asked: the channel asks before it takes; repeat: lost or twice."""

    order_no: str
    campaign: str
    paid_at: dt.datetime
    lines: list[LineBody] = Field(min_length=1)
    agent: str = ""
    asked: bool = True
    repeat: str = Field("", pattern="^(|lost|twice)$")


class AgentBody(Body):
    """代办员 / an agent; receipts: channels whose money he writes a receipt for, blank-separated."""

    agent: str
    village: str
    account_ref: str
    receipts: str = ""


class AgentsBody(Body):
    """代办员名册 / the agents of a campaign."""

    campaign: str
    agents: list[AgentBody]


class PlannedOrder(msgspec.Struct, frozen=True):
    """A household's order: who is paid for, and for which insurances."""

    channel: str
    order_no: str
    agent: str
    paid_at: str
    persons: list[str]
    insurances: list[str]


class PlannedOrders(msgspec.Struct, frozen=True):
    """A village's orders."""

    campaign: str
    village: str
    orders: list[PlannedOrder]


class DayBody(Body):
    """哪次征缴 / which campaign."""

    campaign: str


class RefundsBody(DayBody):
    """退付 / the client that pays: the treasury, or the bank where there is none."""

    payer: str = Field("treasury", pattern="^(treasury|bank)$")


class CloseBody(DayBody):
    """日终 / agents' evening and what goes wrong in it."""

    late_agents: list[str] = Field(default_factory=list)
    misfits: dict[str, int] = Field(default_factory=dict)
    mixed: list[str] = Field(default_factory=list)


class FilesBody(DayBody):
    """渠道日终文件 / a day's files: channels whose file is late, orders that are forgotten."""

    late: list[str] = Field(default_factory=list)
    left_out: list[str] = Field(default_factory=list)


class FileBody(DayBody):
    """补报 / a channel's file by itself; part: a later one, of what was left out."""

    left_out: list[str] = Field(default_factory=list)
    part: str = ""


class CorrectionBody(Body):
    """补缴、退回 / a corrective deposit or a returned excess."""

    slip_no: str
    campaign: str
    agent: str
    village: str
    date: dt.date
    insurance: str
    fen: int = Field(gt=0)
    deposited_on: dt.date
    kind: str = Field(pattern="^(CORRECTION|RETURN)$")


class DebitBody(DayBody):
    """扣款 / hasty: the treasury's file about the first voucher comes before the bank's."""

    hasty: bool = False


class TreasuryBody(DayBody):
    """入库 / vouchers to send back once, or a source whose first voucher goes back."""

    reject: list[str] = Field(default_factory=list)


class AppropriationBody(DayBody):
    """拨付 / a department's money."""

    department: str
    date: dt.date
    fen: int = Field(gt=0)


class DeathBody(Body):
    """死亡销户 / a death the police learned of."""

    person_id: str
    died_on: dt.date
    told_on: dt.date


def create_world(world: World, lifespan: Lifespan | None = None) -> FastAPI:
    """The app over a world."""
    app = FastAPI(title="外部世界 The outside world (rehearsal)", lifespan=lifespan)
    app.state.world = world
    _health(app, world.books)
    _payers(app, world)
    _evenings(app, world)
    _bank(app, world)
    _treasury(app, world)
    fund_routes(app, FundDesk(world.books, world.services))

    @app.exception_handler(UnexpectedAnswerError)
    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"status": 502, "code": "SERVICE_REFUSED", "detail": str(error)}, 424)

    return app


def _health(app: FastAPI, books: Books) -> None:
    @app.get("/healthz", summary="进程存活 / The process lives")
    async def healthz() -> dict[str, str]:
        return {"status": "ok", "service": "rehearsal"}

    @app.get("/readyz", summary="可以接收请求 / Ready")
    async def readyz() -> dict[str, Any]:
        return {"status": "ready", "service": "rehearsal"}

    @app.get("/books", summary="外部账 / What the outside knows of a campaign")
    async def statement(
        campaign: Annotated[str, Query(max_length=16)],
        part: str = "",
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 5000,
    ) -> Response:
        """The whole statement, or a page of a part of it: what an auditor reads of a district."""
        if part and part not in PARTS:
            return JSONResponse({"status": 422, "code": "PART_UNKNOWN", "parts": sorted(PARTS)}, 422)
        told = books.page(campaign, part, after, limit) if part else books.statement(campaign)
        return Response(msgspec.json.encode(told), media_type="application/json")

    @app.get("/oddities", summary="异常 / Orders refused or repeated, rows of files refused")
    async def oddities(campaign: str) -> dict[str, Any]:
        return books.oddities(campaign)

    @app.get("/papers", summary="申报附件 / What a village hands in with its declaration")
    async def papers(campaign: str, village: str) -> dict[str, Any]:
        return books.papers(campaign, village)


def _answer(order: Order) -> dict[str, Any]:
    return {**asdict(order), "payment_id": order.payment_id}


def _payers(app: FastAPI, world: World) -> None:
    @app.post("/agents", summary="代办员名册 / Agents with their accounts")
    async def agents(body: AgentsBody) -> dict[str, int]:
        rows = [agent.model_dump() for agent in body.agents]
        return {"agents": world.register_agents(body.campaign, rows)}

    @app.post("/orders:plan", summary="了解应缴 / Learn a village's bills and keep what will be paid")
    async def plan_orders(request: Request) -> dict[str, int]:
        body = msgspec.json.decode(await request.body(), type=PlannedOrders)
        orders = [msgspec.structs.asdict(order) for order in body.orders]
        return {"orders": await world.plan_orders(body.campaign, body.village, orders)}

    @app.post("/days/{day}/pay", summary="当日缴费 / Everybody who pays today")
    async def pay_day(day: dt.date, body: DayBody) -> dict[str, Any]:
        return await world.take_day(body.campaign, day)

    @app.post("/channels/{channel}/pay", summary="单笔缴费 / One order")
    async def pay(channel: str, body: PayBody) -> dict[str, Any]:
        order = await world.pay(
            channel,
            body.order_no,
            body.campaign,
            body.paid_at.isoformat(),
            [line.line() for line in body.lines],
            agent=body.agent,
            asked=body.asked,
            repeat=body.repeat,
        )
        return _answer(order)


def _evenings(app: FastAPI, world: World) -> None:
    @app.post("/days/{day}/close", summary="日终 / Agents' summaries and slips, the deposit file")
    async def close_day(day: dt.date, body: CloseBody) -> dict[str, Any]:
        return await world.close_day(body.campaign, day, body.late_agents, body.misfits, body.mixed)

    @app.post("/days/{day}/files", summary="渠道日终文件 / Send the channels' files of a day")
    async def day_files(day: dt.date, body: FilesBody) -> dict[str, int]:
        return await world.send_day_files(body.campaign, day, body.late, body.left_out)

    @app.post("/channels/{channel}/day-files/{day}", summary="渠道日终文件 / Send a channel's day file")
    async def day_file(channel: str, day: dt.date, body: FileBody) -> dict[str, Any]:
        return await world.send_day_file(channel, body.campaign, day, body.left_out, body.part)

    @app.post("/bank/corrections", summary="补缴、退回 / A correction at the counter")
    async def correction(body: CorrectionBody) -> dict[str, str]:
        world.correct({**body.model_dump(mode="json"), "account_ref": ""})
        return {"slip_no": body.slip_no}


def _bank(app: FastAPI, world: World) -> None:
    @app.post("/days/{day}/debit", summary="扣款上解 / Debit and remit what is issued")
    async def debit(day: dt.date, body: DebitBody) -> dict[str, int]:
        return await world.debit_vouchers(body.campaign, day, body.hasty)

    @app.post("/days/{day}/enter", summary="入库 / Enter what arrived")
    async def enter(day: dt.date, body: TreasuryBody) -> dict[str, Any]:
        return await world.enter(body.campaign, day, body.reject)

    @app.post("/days/{day}/refunds", summary="退付 / Pay what was approved")
    async def refunds(day: dt.date, body: RefundsBody) -> dict[str, int]:
        return await world.pay_refunds(body.campaign, day, body.payer)


def _treasury(app: FastAPI, world: World) -> None:
    @app.post("/finance/approvals", summary="财政审核 / Approve refunds")
    async def approvals(body: DayBody) -> dict[str, int]:
        return await world.approve_refunds(body.campaign)

    @app.post("/finance/appropriations", summary="拨付 / Appropriate a department's money")
    async def appropriations(body: AppropriationBody) -> dict[str, Any]:
        reply = await world.appropriate(body.department, body.campaign, body.date, body.fen)
        return {"answer": reply.body}

    @app.post("/statements/{party}/{month}", summary="月末对账单 / Send a month's statement")
    async def statement(party: str, month: str, body: DayBody) -> dict[str, Any]:
        reply = await world.send_statement(party, body.campaign, month)
        return {"answer": reply.body}

    @app.post("/police/deaths", summary="死亡销户 / The police tell of a death")
    async def death(body: DeathBody) -> dict[str, Any]:
        reply = await world.report_death(body.person_id, body.died_on, body.told_on)
        return {"answer": reply.body}


def lifespan_of(books: Books, services: Services) -> Lifespan:
    """Closes what the process opened."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await services.close()
            books.close()

    return lifespan
