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

from fastapi import FastAPI, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from deploy.rehearsal.books import Books, Line, Order
from deploy.rehearsal.clients import Services, UnexpectedAnswerError
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
    """缴费 / pay an order. asked: the channel asks before it takes; lose_answer: its first answer is lost."""

    order_no: str
    campaign: str
    paid_at: dt.datetime
    lines: list[LineBody] = Field(min_length=1)
    asked: bool = True
    lose_answer: bool = False


class CloseBody(Body):
    """日终 / close an agent's day. adjustments: fen per insurance by which the slip differs."""

    village: str
    campaign: str
    date: dt.date
    deposited_on: dt.date
    account_ref: str = ""
    adjustments: dict[str, int] = Field(default_factory=dict)


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


class DayBody(Body):
    """哪次征缴 / which campaign."""

    campaign: str


class TreasuryBody(DayBody):
    """入库 / vouchers to send back once."""

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
    _bank(app, world)
    _treasury(app, world)

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
        return {
            "status": "ready",
            "service": "rehearsal",
            "orders": books.number("SELECT COUNT(*) FROM orders"),
        }

    @app.get("/books", summary="外部账 / What the outside knows of a campaign")
    async def statement(campaign: Annotated[str, Query(max_length=16)]) -> dict[str, Any]:
        return books.statement(campaign)


def _answer(order: Order) -> dict[str, Any]:
    return asdict(order)


def _payers(app: FastAPI, world: World) -> None:
    @app.post("/channels/{channel}/pay", summary="线上缴费 / A resident pays online")
    async def pay(channel: str, body: PayBody) -> dict[str, Any]:
        lines = [line.line() for line in body.lines]
        order = await world.pay(
            channel,
            body.order_no,
            body.campaign,
            body.paid_at.isoformat(),
            lines,
            asked=body.asked,
            lose_answer=body.lose_answer,
        )
        return _answer(order)

    @app.post("/agents/{agent}/collect", summary="代收 / An agent collects at the door")
    async def collect(agent: str, body: PayBody) -> dict[str, Any]:
        lines = [line.line() for line in body.lines]
        order = await world.collect(agent, body.order_no, body.campaign, body.paid_at.isoformat(), lines)
        return _answer(order)

    @app.post("/agents/{agent}/close-day", summary="日终 / An agent's summary and slips")
    async def close_day(agent: str, body: CloseBody) -> dict[str, Any]:
        return await world.close_day(
            agent,
            body.village,
            body.campaign,
            body.date,
            body.deposited_on,
            body.account_ref,
            body.adjustments,
        )

    @app.post("/channels/{channel}/day-files/{day}", summary="渠道日终文件 / Send a channel's day file")
    async def day_file(channel: str, day: dt.date, body: DayBody) -> dict[str, Any]:
        return await world.send_day_file(channel, body.campaign, day)


def _bank(app: FastAPI, world: World) -> None:
    @app.post("/bank/deposit-files/{day}", summary="银行解缴文件 / Send the bank's deposit file")
    async def deposit_file(day: dt.date, body: DayBody) -> dict[str, Any]:
        return await world.send_deposit_file(body.campaign, day)

    @app.post("/bank/corrections", summary="补缴、退回 / A correction at the counter")
    async def correction(body: CorrectionBody) -> dict[str, str]:
        world.correct({**body.model_dump(mode="json"), "account_ref": ""})
        return {"slip_no": body.slip_no}

    @app.post("/bank/vouchers/{day}", summary="扣款上解 / Debit and remit what is issued")
    async def vouchers(day: dt.date, body: DayBody) -> dict[str, int]:
        return await world.debit_vouchers(body.campaign, day)


def _treasury(app: FastAPI, world: World) -> None:
    @app.post("/treasury/entries/{day}", summary="入库 / Enter what arrived")
    async def entries(day: dt.date, body: TreasuryBody) -> dict[str, int]:
        return await world.enter(body.campaign, day, body.reject)

    @app.post("/treasury/refunds/{day}", summary="退付 / Pay what was approved")
    async def refunds(day: dt.date, body: DayBody) -> dict[str, int]:
        return await world.pay_refunds(body.campaign, day)

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
