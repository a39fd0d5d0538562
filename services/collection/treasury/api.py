"""Routes of declarations and vouchers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.collection.treasury import domain as d
from services.collection.treasury.handlers import Treasury, VoucherStep, step_command, verify_command
from services.collection.treasury.projection import VOUCHERED, declaration, treasury_line, voucher
from services.collection.treasury.queries import vouchers_statement
from shared.eventstore.commands import Command
from shared.eventstore.database import Row
from shared.kernel.clock import SHANGHAI
from shared.kernel.division import parse_campaign
from shared.kernel.errors import ProblemError, Refusal
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.fields import Count, Day, Fen, Moment
from shared.web.idempotency import idempotency_key, required_key
from shared.web.imports import ImportContext, ImportKind
from shared.web.operations import accept_upload
from shared.web.paging import DEFAULT_LIMIT, After, Limit, inside, keyset, paged, placed_inside
from shared.web.requests import metadata
from shared.web.responses import answer, json_response
from shared.web.service import Ports

Reader = Annotated[Principal, Depends(authorised("collection:treasury:read"))]
Writer = Annotated[Principal, Depends(authorised("collection:treasury:write"))]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AttachmentsBody(_Body):
    """申报附件 / what is handed in with a declaration."""

    roster_digest: str = Field("", max_length=128)
    receipts_from: str = Field("", max_length=64)
    receipts_to: str = Field("", max_length=64)
    deposit_slips: list[str] = Field(default_factory=list, max_length=500)


class DeclarationBody(_Body):
    """虚拟户申报 / declare what a village's agents took."""

    virtual_household_id: str = Field(min_length=1, max_length=64)
    campaign: str = Field(max_length=16, examples=["370406-2020"])
    village: str = Field(pattern=r"^\d{12}$", examples=["370406101201"])
    via: str = Field(pattern="^(HALL|ETAX)$")
    attachments: AttachmentsBody | None = None
    total_count: Count | None = Field(None, ge=0)
    total_fen: Fen | None = Field(None, ge=0)


class VerifyBody(_Body):
    """核对 / verify a declaration, or send it back."""

    actor: str = Field(min_length=1, max_length=64, examples=["tax-03"])
    accepted: bool = True
    differences: str = Field("", max_length=500)


class DebitedBody(_Body):
    """扣款 / the bank debited the voucher."""

    method: str = Field(min_length=1, max_length=40, examples=["FOUR_PARTY_AGREEMENT"])
    bank_ref: str = Field(min_length=1, max_length=64)
    amount_fen: int = Field(gt=0, le=10**12)
    at: Moment


class RemittedBody(_Body):
    """上解 / remitted to the treasury."""

    batch: str = Field(min_length=1, max_length=64)
    at: Moment


class EntryBody(_Body):
    """入库 / the treasury's answer."""

    treasury_date: Day
    amount_fen: int = Field(gt=0, le=10**12)
    result: str = Field("CONFIRMED", pattern="^(CONFIRMED|REJECTED)$")
    reason: str = Field("", max_length=100)


_Fen = Annotated[int, msgspec.Meta(gt=0, le=10**12)]
_Number = Annotated[str, msgspec.Meta(min_length=1, max_length=160)]


class VoucherStepRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of the treasury's or bank's file.

    step: debited, remitted or in-treasury; result: of in-treasury, CONFIRMED or REJECTED with its reason.
    """

    voucher_no: _Number
    step: Literal["debited", "remitted", "in-treasury"]
    amount_fen: _Fen
    date: dt.date
    ref: Annotated[str, msgspec.Meta(max_length=64)] = ""
    method: Annotated[str, msgspec.Meta(max_length=40)] = "FILE"
    result: Literal["CONFIRMED", "REJECTED"] = "CONFIRMED"
    reason: Annotated[str, msgspec.Meta(max_length=100)] = ""


def step_of(row: VoucherStepRow) -> VoucherStep:
    """The step a row of a file means; amounts are compared at every step."""
    at = dt.datetime.combine(row.date, dt.time(12), SHANGHAI)
    ref = row.ref or row.date.isoformat()
    if row.step == "debited":
        return lambda v: d.debit(v, row.voucher_no, row.method, ref, row.amount_fen, at)
    if row.step == "remitted":
        return lambda v: d.remit(v, row.voucher_no, ref, at, row.amount_fen)
    if row.result == "CONFIRMED":
        return lambda v: d.confirm_entry(v, row.voucher_no, row.date, row.amount_fen)
    return lambda v: d.reject_entry(v, row.voucher_no, row.date, row.amount_fen, row.reason)


def vouchers_import() -> ImportKind[VoucherStepRow]:
    """``POST /vouchers:import``."""

    def to_command(row: VoucherStepRow, context: ImportContext) -> Command:
        return step_command(
            "import_voucher_step",
            row.voucher_no,
            step_of(row),
            context.divisions,
            context.metadata,
            context.key,
        )

    return ImportKind("vouchers", VoucherStepRow, to_command, answers="voucher_no")


def _item(row: Row) -> dict[str, Any]:
    return dict(row._mapping)


def router(treasury: Treasury, ports: Ports, kind: ImportKind[VoucherStepRow]) -> APIRouter:
    """Routes under ``/declarations`` and ``/vouchers``."""
    routes = APIRouter(tags=["申报入库 treasury"])
    _declarations(routes, treasury, ports)
    _steps(routes, treasury)
    _vouchers(routes, ports, kind)
    return routes


def _declarations(routes: APIRouter, treasury: Treasury, ports: Ports) -> None:
    @routes.post("/declarations", status_code=201, summary="虚拟户申报 / submit a declaration")
    async def submit_declaration(request: Request, principal: Writer, body: DeclarationBody) -> Response:
        require_division(principal, body.village, "village")
        try:
            parse_campaign(body.campaign)
        except ValueError:
            raise ProblemError(Refusal("VALIDATION_FAILED", rule="CAMPAIGN_ID", field="campaign")) from None
        key = required_key(request, principal, "submit_declaration", body)
        papers = body.attachments
        command = d.Declare(
            "",
            body.campaign,
            body.village,
            body.virtual_household_id,
            body.via,
            papers.roster_digest if papers else "",
            papers.receipts_from if papers else "",
            papers.receipts_to if papers else "",
            tuple(papers.deposit_slips) if papers else (),
            body.total_count,
            body.total_fen,
        )
        return answer(await treasury.declare(command, metadata(request, principal, body.campaign), key))

    @routes.post("/declarations/{declaration_no}:verify", summary="核对 / verify or send back")
    async def verify_declaration(
        declaration_no: str, request: Request, principal: Writer, body: VerifyBody
    ) -> Response:
        key = idempotency_key(
            request, principal, f"verify_declaration {declaration_no}", body, required=False
        )
        command = verify_command(
            declaration_no,
            body.actor,
            body.accepted,
            body.differences,
            principal.divisions,
            metadata(request, principal),
            key,
        )
        return answer(await treasury.execute(command))

    @routes.get("/declarations", summary="申报 / declarations")
    async def list_declarations(
        principal: Reader,
        campaign: Annotated[str, Query(max_length=16)] = "",
        village: Annotated[str, Query(max_length=12)] = "",
        state: Annotated[str, Query(max_length=12)] = "",
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        c = declaration.c
        wanted = {c.campaign: campaign, c.village: village, c.state: state}
        statement = declaration.select().where(inside(c.village, principal.divisions))
        statement = statement.where(*(col == value for col, value in wanted.items() if value))
        async with ports.database.read() as connection:
            rows = await connection.execute(keyset(statement, [c.declaration_no], after, limit))
        return json_response(paged(rows, limit, _item, lambda row: [row.declaration_no]))


def _steps(routes: APIRouter, treasury: Treasury) -> None:
    async def take(
        operation: str, voucher_no: str, step: VoucherStep, request: Request, principal: Principal, body: Any
    ) -> Response:
        # Repeats are recognised by what the step says, so the key is welcome but not needed.
        key = idempotency_key(request, principal, f"{operation} {voucher_no}", body, required=False)
        told = metadata(request, principal)
        command = step_command(operation, voucher_no, step, principal.divisions, told, key)
        return answer(await treasury.execute(command))

    @routes.post("/vouchers/{voucher_no}:debited", summary="扣款 / debited")
    async def debited(voucher_no: str, request: Request, principal: Writer, body: DebitedBody) -> Response:
        def step(state: d.Voucher) -> Any:
            return d.debit(state, voucher_no, body.method, body.bank_ref, body.amount_fen, body.at)

        return await take("debit_voucher", voucher_no, step, request, principal, body)

    @routes.post("/vouchers/{voucher_no}:remitted", summary="上解 / remitted")
    async def remitted(voucher_no: str, request: Request, principal: Writer, body: RemittedBody) -> Response:
        def step(state: d.Voucher) -> Any:
            return d.remit(state, voucher_no, body.batch, body.at)

        return await take("remit_voucher", voucher_no, step, request, principal, body)

    @routes.post("/vouchers/{voucher_no}:in-treasury", summary="入库或退回 / entered or rejected")
    async def in_treasury(voucher_no: str, request: Request, principal: Writer, body: EntryBody) -> Response:
        def step(state: d.Voucher) -> Any:
            if body.result == "CONFIRMED":
                return d.confirm_entry(state, voucher_no, body.treasury_date, body.amount_fen)
            return d.reject_entry(state, voucher_no, body.treasury_date, body.amount_fen, body.reason)

        return await take("enter_voucher", voucher_no, step, request, principal, body)

    @routes.post("/vouchers/{voucher_no}:reissue", summary="重新开票 / reissue after a rejection")
    async def reissue_voucher(voucher_no: str, request: Request, principal: Writer) -> Response:
        def step(state: d.Voucher) -> Any:
            return d.reissue(state, voucher_no)

        return await take("reissue_voucher", voucher_no, step, request, principal, {})


def _vouchers(routes: APIRouter, ports: Ports, kind: ImportKind[VoucherStepRow]) -> None:
    @routes.post("/vouchers:import", status_code=202, summary="国库、银行文件 / import steps")
    async def import_vouchers(request: Request, principal: Writer) -> Response:
        return await accept_upload(request, principal, ports, kind)

    @routes.get("/vouchers", summary="税票 / vouchers")
    async def list_vouchers(
        principal: Reader,
        state: Annotated[str, Query(max_length=12)] = "",
        campaign: Annotated[str, Query(max_length=16)] = "",
        village: Annotated[str, Query(max_length=12)] = "",
        source: Annotated[str, Query(max_length=12)] = "",
        insurance: Annotated[str, Query(max_length=10)] = "",
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        statement = vouchers_statement(campaign, village, state, source, insurance)
        c = voucher.c
        statement = statement.where(placed_inside(c.village, c.campaign, principal.divisions))
        async with ports.database.read() as connection:
            rows = await connection.execute(keyset(statement, [voucher.c.voucher_no], after, limit))
        return json_response(paged(rows, limit, _item, lambda row: [row.voucher_no]))

    @routes.get("/vouchers/{voucher_no}", summary="一张税票 / one voucher")
    async def show_voucher(voucher_no: str, principal: Reader) -> Response:
        async with ports.database.read() as connection:
            rows = await connection.execute(voucher.select().where(voucher.c.voucher_no == voucher_no))
            lines: Sequence[Row] = await connection.execute(
                treasury_line.select()
                .where(VOUCHERED, treasury_line.c.voucher_no == voucher_no)
                .order_by(treasury_line.c.line_id)
            )
        if not rows:
            raise ProblemError(Refusal("NOT_FOUND", rule="VOUCHER_UNKNOWN", field="voucher_no"))
        require_division(principal, rows[0].village or rows[0].campaign.partition("-")[0], "voucher_no")
        return json_response(_item(rows[0]) | {"lines": [row.line_id for row in lines]})
