"""Routes of refunds."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.collection.refunds.domain import Payout
from services.collection.refunds.handlers import Refunds
from services.collection.refunds.projection import refund_table
from shared.eventstore.database import Database, Row
from shared.security.principal import Principal
from shared.web.auth import authorised
from shared.web.fields import Day
from shared.web.idempotency import idempotency_key, required_key
from shared.web.paging import DEFAULT_LIMIT, After, Limit, inside, keyset, paged
from shared.web.requests import metadata
from shared.web.responses import answer, json_response

Reader = Annotated[Principal, Depends(authorised("collection:refunds:read"))]
Writer = Annotated[Principal, Depends(authorised("collection:refunds:write"))]


class RefundBody(BaseModel):
    """退费申请 / ask for a refund."""

    model_config = ConfigDict(extra="forbid")

    payment_line_id: str = Field(min_length=1, max_length=160, examples=["WECHAT-WX20191102000001/1"])
    reason: str = Field(
        pattern="^(DUPLICATE|DIED_BEFORE_PERIOD|PAID_AFTER_DEATH|WRONG_AMOUNT|OUT_OF_WINDOW)$"
    )
    applicant: str = Field("payer", pattern="^(payer|heir|agent)$")


class PaidBody(BaseModel):
    """退付 / the refund was paid."""

    model_config = ConfigDict(extra="forbid")

    amount_fen: int = Field(gt=0, le=10**12, examples=[26000])
    paid_on: Day
    bank_ref: str = Field(min_length=1, max_length=64)


class RecoveredBody(BaseModel):
    """追回到账 / what was paid without ground came back."""

    model_config = ConfigDict(extra="forbid")

    amount_fen: int = Field(gt=0, le=10**12, examples=[26000])
    received_on: Day
    bank_ref: str = Field(min_length=1, max_length=64)


def _item(row: Row) -> dict[str, Any]:
    return dict(row._mapping)


def router(refunds: Refunds, database: Database) -> APIRouter:
    """Routes under ``/refunds``."""
    routes = APIRouter(tags=["退费 refunds"])

    @routes.post("/refunds", status_code=201, summary="退费申请 / ask for a refund")
    async def request_refund(request: Request, principal: Writer, body: RefundBody) -> Response:
        key = required_key(request, principal, "request_refund", body)
        told = metadata(request, principal)
        return answer(
            await refunds.request(
                body.payment_line_id, body.reason, body.applicant, principal.divisions, told, key
            )
        )

    @routes.post("/refunds/{refund_no}:paid", summary="退付 / the refund was paid")
    async def refund_paid(refund_no: str, request: Request, principal: Writer, body: PaidBody) -> Response:
        key = idempotency_key(request, principal, f"pay_refund {refund_no}", body, required=False)
        payout = Payout(body.amount_fen, body.paid_on, body.bank_ref)
        told = metadata(request, principal)
        return answer(await refunds.pay(refund_no, payout, principal.divisions, told, key))

    @routes.post("/refunds/{refund_no}:recovered", summary="追回到账 / a payout came back")
    async def refund_recovered(
        refund_no: str, request: Request, principal: Writer, body: RecoveredBody
    ) -> Response:
        key = idempotency_key(request, principal, f"recover_refund {refund_no}", body, required=False)
        payout = Payout(body.amount_fen, body.received_on, body.bank_ref)
        told = metadata(request, principal)
        return answer(await refunds.recover(refund_no, payout, principal.divisions, told, key))

    @routes.get("/refunds", summary="退费 / refunds")
    async def list_refunds(
        principal: Reader,
        state: Annotated[str, Query(max_length=12)] = "",
        campaign: Annotated[str, Query(max_length=16)] = "",
        person_id: Annotated[str, Query(max_length=64)] = "",
        reason: Annotated[str, Query(max_length=20)] = "",
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        c = refund_table.c
        wanted = {c.state: state, c.campaign: campaign, c.person_id: person_id, c.reason: reason}
        statement = refund_table.select().where(*(col == value for col, value in wanted.items() if value))
        mine = inside(c.village, principal.divisions)
        async with database.read() as connection:
            rows = await connection.execute(keyset(statement.where(mine), [c.refund_no], after, limit))
        return json_response(paged(rows, limit, _item, lambda row: [row.refund_no]))

    return routes
