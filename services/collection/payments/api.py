"""Routes of payments. ``POST /payments`` is thin: a struct in, one command, no framework in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from services.collection.payments.domain import ORDER_NO_TAKEN
from services.collection.payments.handlers import (
    PaymentFacts,
    Payments,
    in_campaign,
    order_digest,
    order_key,
    payment_command,
)
from services.collection.payments.orders import Order, OrderLine, Receipt
from services.collection.payments.projection import payment_line, payment_receipt
from services.collection.payments.queries import CampaignYears, lines_statement
from shared.eventstore.commands import Command, IdempotencyKey, Outcome, Store
from shared.eventstore.database import Connection, Row
from shared.eventstore.streams import Metadata
from shared.kernel.bounds import When, check_days
from shared.kernel.clock import SHANGHAI
from shared.kernel.errors import ProblemError, Refusal
from shared.kernel.insurance import Insurance
from shared.security.principal import Principal
from shared.web.auth import authorised
from shared.web.fields import Day
from shared.web.front import hot_route
from shared.web.idempotency import required_key
from shared.web.imports import ImportContext, ImportKind
from shared.web.operations import accept_upload
from shared.web.paging import DEFAULT_LIMIT, After, Limit, inside, keyset, paged
from shared.web.requests import metadata
from shared.web.responses import answer, json_response
from shared.web.service import HotCommand, Ports, ThinRoute

READ = "collection:payments:read"
WRITE = "collection:payments:write"

Reader = Annotated[Principal, Depends(authorised(READ))]
Writer = Annotated[Principal, Depends(authorised(WRITE))]

_Code = Annotated[str, msgspec.Meta(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=40)]
_Number = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]+$", min_length=1, max_length=64)]
_Person = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9-]+$", min_length=1, max_length=64)]
_Fen = Annotated[int, msgspec.Meta(gt=0, le=100_000_000)]
_Year = Annotated[int, msgspec.Meta(ge=2000, le=2100)]


class PaymentLineBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """缴费明细 / what is paid for one person, insured year and insurance, fen."""

    person_id: _Person
    year: _Year
    insurance: Insurance
    amount_fen: _Fen


class ReceiptBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """专用收据 / a village receipt."""

    book_no: _Number
    serial_no: _Number


class PaymentBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """缴费订单 / an order: all lines or none. captured: the money is final and is never refused."""

    order_no: _Number
    channel: _Code
    paid_at: When
    lines: Annotated[tuple[PaymentLineBody, ...], msgspec.Meta(min_length=1, max_length=50)]
    payer: Annotated[str, msgspec.Meta(max_length=64)] = ""
    agent: Annotated[str, msgspec.Meta(max_length=64)] = ""
    receipt: ReceiptBody | None = None
    captured: bool = False

    def __post_init__(self) -> None:
        check_days(paid_at=self.paid_at)


class PaymentRow(PaymentBody, frozen=True, forbid_unknown_fields=True):
    """``POST /payments:import`` 的一行 / a row: an order; final money unless it says ``"captured": false``."""

    captured: bool = True


EXAMPLE = {
    "order_no": "WX20191102000001",
    "channel": "WECHAT",
    "paid_at": "2019-11-02T10:15:00+08:00",
    "lines": [{"person_id": "0" * 32, "year": 2020, "insurance": "medical", "amount_fen": 26000}],
}


def order_of(body: PaymentBody, divisions: Sequence[str]) -> Order:
    """The command of a body; ``divisions``: where the caller may act."""
    receipt = body.receipt
    return Order(
        order_no=body.order_no,
        channel=body.channel,
        paid_at=body.paid_at.astimezone(SHANGHAI),
        lines=tuple(
            [OrderLine(line.person_id, line.year, line.insurance, line.amount_fen) for line in body.lines]
        ),
        agent_id=body.agent,
        receipt=Receipt(receipt.book_no, receipt.serial_no) if receipt is not None else None,
        captured=body.captured,
        divisions=tuple(divisions),
    )


def thin_payment(payments: Payments) -> ThinRoute:
    """``POST /payments``, the hot path."""

    def command(
        body: PaymentBody, principal: Principal, told: Metadata, key: IdempotencyKey
    ) -> Command | None:
        return payments.command(order_of(body, principal.divisions), told, key)

    async def record(
        body: PaymentBody, principal: Principal, told: Metadata, key: IdempotencyKey, outcome: Outcome | None
    ) -> Outcome:
        return await payments.record(order_of(body, principal.divisions), told, key, outcome)

    _, schemas = msgspec.json.schema_components([PaymentBody], ref_template="#/components/schemas/{name}")
    operation: dict[str, Any] = {
        "tags": ["缴费 payments"],
        "summary": "缴费 / record a payment",
        "operationId": "record_payment",
        "x-scope": WRITE,
        "parameters": [
            {"name": "Idempotency-Key", "in": "header", "required": True, "schema": {"type": "string"}}
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/PaymentBody"},
                    "examples": {"family": {"value": EXAMPLE}},
                }
            },
        },
        "responses": {
            "200": {"description": "同一订单的首次答复 / the same order's first answer"},
            "201": {"description": "已收款 / recorded"},
        },
    }
    hot = HotCommand(WRITE, "record_payment", PaymentBody, command, payments.final, record)
    return hot_route("/payments", hot, operation, schemas)


@dataclass(slots=True)
class _Prepared:
    """What a slice of orders is decided with: campaigns of their years, bodies their numbers are known by."""

    campaigns: Sequence[str]
    digests: Mapping[str, str]
    _told: Metadata | None = None

    def metadata(self, told: Metadata) -> Metadata:
        """The slice's, in its campaign where there is but one: one for all rows."""
        if self._told is None:
            alone = not told.campaign and len(self.campaigns) == 1
            self._told = in_campaign(told, self.campaigns[0]) if alone else told
        return self._told


def payments_import(store: Store, facts: PaymentFacts, campaigns: CampaignYears) -> ImportKind[PaymentRow]:
    """``POST /payments:import``: one order a row, decided as ``POST /payments`` decides it."""

    async def prepare(rows: Sequence[PaymentRow], connection: Connection) -> _Prepared:
        years = frozenset(line.year for row in rows for line in row.lines)
        numbers = [order_key(row) for row in rows]
        return _Prepared(await campaigns.read(connection, years), await store.guard_holders("order", numbers))

    def to_command(row: PaymentRow, context: ImportContext) -> Command | Refusal:
        order = order_of(row, context.divisions)
        prepared: _Prepared = context.prepared
        known = prepared.digests.get(order_key(row))
        if known is not None and known != order_digest(order):
            return ORDER_NO_TAKEN
        told = prepared.metadata(context.metadata)
        return payment_command(order, prepared.campaigns, facts, told, context.key)

    return ImportKind("payments", PaymentRow, to_command, prepare=prepare, answers="payment_id")


class IdentifyBody(BaseModel):
    """待查款项查明 / whom unidentified money was meant for."""

    model_config = ConfigDict(extra="forbid")

    line_id: str = Field(min_length=1, max_length=160)
    person_id: str = Field(pattern=r"^[A-Za-z0-9-]+$", max_length=64)
    year: int = Field(ge=2000, le=2100, examples=[2020])
    insurance: Insurance


class VoidBody(BaseModel):
    """收据作废 / a spoiled receipt form."""

    model_config = ConfigDict(extra="forbid")

    agent: str = Field(min_length=1, max_length=64)
    reason: str = Field(min_length=1, max_length=100, examples=["书写错误 / miswritten"])


def _item(row: Row) -> dict[str, Any]:
    return dict(row._mapping)


def router(payments: Payments, ports: Ports, kind: ImportKind[PaymentRow]) -> APIRouter:
    """Routes under ``/payments``, ``/receipts`` and ``/suspense``."""
    routes = APIRouter(tags=["缴费 payments"])
    database = ports.database

    @routes.post("/payments:import", status_code=202, summary="批量导入缴费 / import orders")
    async def import_payments(request: Request, principal: Writer) -> Response:
        return await accept_upload(request, principal, ports, kind)

    @routes.get("/payments", summary="缴费明细 / lines of payments")
    async def list_payments(
        principal: Reader,
        campaign: Annotated[str, Query(max_length=20)] = "",
        village: Annotated[str, Query(max_length=12)] = "",
        channel: Annotated[str, Query(max_length=40)] = "",
        agent: Annotated[str, Query(max_length=64)] = "",
        standing: Annotated[str, Query(max_length=20)] = "",
        person_id: Annotated[str, Query(max_length=64)] = "",
        paid_on: Day | None = None,
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        statement = lines_statement(campaign, village, channel, agent, standing, person_id, paid_on)
        if "" not in principal.divisions:  # money nobody is known for has no village
            statement = statement.where(inside(payment_line.c.village, principal.divisions))
        async with database.read() as connection:
            rows = await connection.execute(keyset(statement, [payment_line.c.line_id], after, limit))
        return json_response(paged(rows, limit, _item, lambda row: [row.line_id]))

    @routes.get("/payments/{payment_id}", summary="一笔缴费 / one payment")
    async def show_payment(payment_id: str, principal: Reader) -> Response:
        async with database.read() as connection:
            rows = await connection.execute(
                payment_line.select()
                .where(payment_line.c.payment_id == payment_id)
                .order_by(payment_line.c.line_id)
            )
        items = [_item(row) for row in rows if not row.village or principal.covers(row.village)]
        if not items:
            raise ProblemError(Refusal("NOT_FOUND", rule="PAYMENT_UNKNOWN"))
        return json_response({"payment_id": payment_id, "lines": items})

    @routes.get("/receipts/{book_no}", summary="收据 / receipts of a book")
    async def list_receipts(
        book_no: str, principal: Reader, after: After = "", limit: Limit = DEFAULT_LIMIT
    ) -> Response:
        statement = payment_receipt.select().where(payment_receipt.c.book_no == book_no)
        async with database.read() as connection:
            rows = await connection.execute(keyset(statement, [payment_receipt.c.serial_no], after, limit))
        return json_response(paged(rows, limit, _item, lambda row: [row.serial_no]))

    @routes.post("/receipts/{book_no}/{serial_no}:void", status_code=201, summary="收据作废 / void a receipt")
    async def void_receipt(
        book_no: str, serial_no: str, request: Request, principal: Writer, body: VoidBody
    ) -> Response:
        key = required_key(request, principal, f"void_receipt {book_no}/{serial_no}", body)
        told = metadata(request, principal)
        return answer(await payments.void_receipt(book_no, serial_no, body.agent, body.reason, told, key))

    @routes.post(
        "/suspense/{channel}/{order_no}:identify", status_code=201, summary="查明待查款项 / identify money"
    )
    async def identify_money(
        channel: str, order_no: str, request: Request, principal: Writer, body: IdentifyBody
    ) -> Response:
        key = required_key(request, principal, f"identify_money {channel}/{order_no}", body)
        target = OrderLine(body.person_id, body.year, body.insurance, 0)
        return answer(
            await payments.identify(
                channel,
                order_no,
                body.line_id,
                target,
                principal.divisions,
                metadata(request, principal),
                key,
            )
        )

    return routes
