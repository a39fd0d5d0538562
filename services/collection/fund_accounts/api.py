"""Routes of fund accounts, signatures, payment documents, weekly statistics and forms."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from services.collection.fund_accounts import documents as doc
from services.collection.fund_accounts import domain as d
from services.collection.fund_accounts import events as f
from services.collection.fund_accounts.forms import PriorYear, payment_detail_csv, payment_summary_csv
from services.collection.fund_accounts.handlers import DocumentStep, FundAccounts, step_command
from services.collection.fund_accounts.projection import (
    fund_account,
    fund_line,
    payment_document,
    weekly_statistics,
)
from services.collection.fund_accounts.queries import documents_statement
from shared.eventstore.commands import FactSource
from shared.eventstore.database import Row
from shared.kernel.division import parse_campaign
from shared.kernel.errors import ProblemError, Refusal
from shared.kernel.insurance import Insurance
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.fields import Count, Day, Fen
from shared.web.idempotency import idempotency_key, required_key
from shared.web.paging import DEFAULT_LIMIT, After, Limit, inside, keyset, paged
from shared.web.requests import metadata
from shared.web.responses import answer, json_response
from shared.web.service import Ports

Reader = Annotated[Principal, Depends(authorised("collection:fund_accounts:read"))]
Writer = Annotated[Principal, Depends(authorised("collection:fund_accounts:write"))]
CampaignQuery = Annotated[str, Query(max_length=16, examples=["370406101-2018"])]
IDENTITY_SCOPE = "collection:identity:read"
CAMPAIGN_ID = r"^\d{6}(\d{3})?-\d{4}$"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AccountBody(_Body):
    """开设基金账户 / open a fund account. account_ref is a reference, never an account number."""

    campaign: str = Field(pattern=CAMPAIGN_ID, examples=["370406101-2018"])
    insurance: Insurance
    kind: str = Field(pattern="^(INCOME|FISCAL)$")
    account_ref: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", examples=["FI-MEDICAL"])
    bank: str = Field(min_length=1, max_length=64, examples=["BANK-1"])


class TotalBody(_Body):
    """险种合计 / one insurance of the bank vouchers."""

    insurance: Insurance
    count: Count = Field(ge=1)
    amount_fen: Fen = Field(gt=0)


class SignBody(_Body):
    """村居对账签字 / the village's bank vouchers and receipt stubs."""

    actor: str = Field(min_length=1, max_length=64, examples=["station-02"])
    slips: list[Annotated[str, Field(max_length=64)]] = Field(min_length=1, max_length=500)
    receipts_from: str = Field("", max_length=64)
    receipts_to: str = Field("", max_length=64)
    receipts: Count = Field(ge=0, description="收据底联份数 / receipt stubs brought")
    totals: list[TotalBody] = Field(min_length=1, max_length=2)


class DrawBody(_Body):
    """渠道缴费单据 / draw a channel's deposited lines."""

    campaign: str = Field(pattern=CAMPAIGN_ID, examples=["370406101-2018"])
    channel: str = Field(pattern=r"^[A-Z][A-Z_]{1,39}$", examples=["HR_WEBSITE"])


class MoneyBody(_Body):
    """到账或划转 / money that moved."""

    bank_ref: str = Field(min_length=1, max_length=64)
    amount_fen: Fen = Field(gt=0)
    date: Day


class SummaryBody(_Body):
    """个人缴费汇总表 / what was entered."""

    actor: str = Field(min_length=1, max_length=64, examples=["station-02"])
    count: Count = Field(ge=1)
    amount_fen: Fen = Field(gt=0)
    reason: str = Field("", max_length=200, description="未录入原因 / why some lines were not entered")


class ReceiptBody(_Body):
    """财政往来收据 / the fiscal receipt."""

    receipt_no: str = Field(min_length=1, max_length=64)


class ConfirmBody(_Body):
    """确认 / the district agency confirms."""

    actor: str = Field(min_length=1, max_length=64, examples=["agency-01"])


def _item(row: Row) -> dict[str, Any]:
    return dict(row._mapping)


_PAYMENT_LINE = sa.case((fund_line.c.line_key.startswith("gov:"), ""), else_=fund_line.c.line_key).label(
    "line_id"
)
"""The payment line of a document's line; "" for money of the government, which has none."""


def _campaign(campaign: str) -> str:
    try:
        parse_campaign(campaign)
    except ValueError:
        raise ProblemError(Refusal("VALIDATION_FAILED", rule="CAMPAIGN_ID", field="campaign")) from None
    return campaign


def _seen(principal: Principal) -> sa.ColumnElement[bool]:
    """A village's documents for who may act there; the others for who has the whole campaign."""
    c = payment_document.c
    whole = sa.and_(c.village == "", inside(c.campaign, principal.divisions))
    return sa.or_(whole, sa.and_(c.village != "", inside(c.village, principal.divisions)))


Take = Callable[..., Awaitable[Response]]
CampaignOf = Callable[[str], Awaitable[str]]


def router(funds: FundAccounts, ports: Ports, prior_year: PriorYear) -> APIRouter:
    """All routes of the capability."""
    routes = APIRouter(tags=["基金账户 fund accounts"])
    _accounts(routes, funds, ports)
    _drawing(routes, funds)
    _steps(routes, funds, ports)
    _documents(routes, ports)
    _reports(routes, ports, prior_year)
    return routes


def _accounts(routes: APIRouter, funds: FundAccounts, ports: Ports) -> None:
    @routes.post("/fund-accounts", status_code=201, summary="开设基金账户 / open a fund account")
    async def open_account(request: Request, principal: Writer, body: AccountBody) -> Response:
        require_division(principal, body.campaign.partition("-")[0], "campaign")
        key = required_key(request, principal, "open_fund_account", body)
        told = metadata(request, principal, body.campaign)
        account = (body.account_ref, body.bank)
        outcome = await funds.open_account(body.campaign, body.insurance, body.kind, account, told, key)
        return answer(outcome)

    @routes.get("/fund-accounts", summary="基金账户 / fund accounts of a campaign")
    async def list_accounts(principal: Reader, campaign: CampaignQuery) -> Response:
        c = fund_account.c
        statement = sa.select(fund_account).where(c.campaign == _campaign(campaign))
        async with ports.database.read() as connection:
            rows = await connection.execute(statement.order_by(c.insurance, c.kind))
        return json_response({"items": [_item(row) for row in rows]})


def _drawing(routes: APIRouter, funds: FundAccounts) -> None:
    @routes.post(
        "/village-accounts/{campaign}/{village}:sign",
        status_code=201,
        summary="村居对账签字 / sign a village",
    )
    async def sign_village(
        campaign: str, village: str, request: Request, principal: Writer, body: SignBody
    ) -> Response:
        require_division(principal, village, "village")
        _campaign(campaign)
        key = required_key(request, principal, f"sign_village {campaign}/{village}", body)
        command = d.SignVillage(
            campaign,
            village,
            0,
            0,
            body.actor,
            principal.organisation,
            tuple(body.slips),
            body.receipts_from,
            body.receipts_to,
            body.receipts,
            tuple(f.InsuranceTotal(each.insurance, each.count, each.amount_fen) for each in body.totals),
        )
        return answer(await funds.sign_village(command, metadata(request, principal, campaign), key))

    @routes.post("/payment-documents", status_code=201, summary="渠道缴费单据 / draw a channel's documents")
    async def draw_channel(request: Request, principal: Writer, body: DrawBody) -> Response:
        require_division(principal, body.campaign.partition("-")[0], "campaign")
        key = required_key(request, principal, "draw_channel_documents", body)
        told = metadata(request, principal, body.campaign)
        return answer(
            await funds.draw_channel(body.campaign, body.channel, principal.organisation, told, key)
        )


def _steps(routes: APIRouter, funds: FundAccounts, ports: Ports) -> None:
    async def take(
        operation: str,
        document_no: str,
        step: DocumentStep,
        request: Request,
        principal: Principal,
        body: Any,
        facts: Sequence[tuple[FactSource, Sequence[Any]]] = (),
    ) -> Response:
        # Repeats are recognised by what the step says, so the key is welcome but not needed.
        key = idempotency_key(request, principal, f"{operation} {document_no}", body, required=False)
        told = metadata(request, principal)
        command = step_command(operation, document_no, step, principal.divisions, told, key, facts)
        return answer(await funds.execute(command))

    accounts, entered = funds.facts.accounts, funds.facts.entered

    async def campaign_of(document_no: str) -> str:
        async with ports.database.read() as connection:
            rows = await connection.execute(
                sa.select(payment_document.c.campaign).where(payment_document.c.document_no == document_no)
            )
        return rows[0][0] if rows else ""

    @routes.post(
        "/payment-documents/{document_no}:deposited", summary="财政代缴到账 / finance's money arrived"
    )
    async def deposited(document_no: str, request: Request, principal: Writer, body: MoneyBody) -> Response:
        campaign = await campaign_of(document_no)

        def step(state: doc.Document, loaded: Any) -> Any:
            refs = loaded.fact(accounts, campaign) or {}
            return doc.receive_government_money(
                state, document_no, refs.get((state.insurance, d.INCOME), ""), body.bank_ref, body.amount_fen, body.date
            )  # fmt: skip

        facts = [(accounts, [campaign])]
        return await take("receive_government_money", document_no, step, request, principal, body, facts)

    @routes.post("/payment-documents/{document_no}:file-summary", summary="个人缴费汇总表 / file the summary")
    async def file_summary(
        document_no: str, request: Request, principal: Writer, body: SummaryBody
    ) -> Response:
        command = doc.FileSummary(
            document_no, principal.organisation, body.actor, body.count, body.amount_fen, body.reason
        )

        def step(state: doc.Document, loaded: Any) -> Any:
            return doc.file_summary(state, command, loaded.fact(entered, document_no) or frozenset())

        facts = [(entered, [document_no])]
        return await take("file_summary", document_no, step, request, principal, body, facts)

    _agency_steps(routes, funds, ports, take, campaign_of)

    @routes.post("/payment-documents/{document_no}:issue-receipt", summary="财政往来收据 / fiscal receipt")
    async def issue_receipt(
        document_no: str, request: Request, principal: Writer, body: ReceiptBody
    ) -> Response:
        def step(state: doc.Document, loaded: Any) -> Any:
            return doc.issue_receipt(state, document_no, body.receipt_no)

        return await take("issue_fiscal_receipt", document_no, step, request, principal, body)


def _agency_steps(
    routes: APIRouter, funds: FundAccounts, ports: Ports, take: Take, campaign_of: CampaignOf
) -> None:
    accounts = funds.facts.accounts

    @routes.post("/payment-documents/{document_no}:transferred", summary="转入基金财政专户 / transferred")
    async def transferred(document_no: str, request: Request, principal: Writer, body: MoneyBody) -> Response:
        campaign = await campaign_of(document_no)

        def step(state: doc.Document, loaded: Any) -> Any:
            refs = loaded.fact(accounts, campaign) or {}
            return doc.transfer(
                state, document_no, refs.get((state.insurance, d.FISCAL), ""), body.bank_ref, body.amount_fen, body.date
            )  # fmt: skip

        facts = [(accounts, [campaign])]
        return await take("transfer_document", document_no, step, request, principal, body, facts)

    @routes.post("/payment-documents/{document_no}:confirmed", summary="确认缴费单据 / the agency confirms")
    async def confirmed(document_no: str, request: Request, principal: Writer, body: ConfirmBody) -> Response:
        def step(state: doc.Document, loaded: Any) -> Any:
            return doc.confirm(state, document_no, principal.organisation, body.actor, ports.clock.today())

        return await take("confirm_document", document_no, step, request, principal, body)


def _documents(routes: APIRouter, ports: Ports) -> None:
    @routes.get("/payment-documents", summary="缴费单据 / payment documents")
    async def list_documents(
        principal: Reader,
        campaign: Annotated[str, Query(max_length=16)] = "",
        village: Annotated[str, Query(max_length=12)] = "",
        state: Annotated[str, Query(max_length=12)] = "",
        source: Annotated[str, Query(max_length=12)] = "",
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        statement = documents_statement(campaign, village, state, source).where(_seen(principal))
        columns = [payment_document.c.document_no]
        async with ports.database.read() as connection:
            rows = await connection.execute(keyset(statement, columns, after, limit))
        return json_response(paged(rows, limit, _item, lambda row: [row.document_no]))

    @routes.get("/payment-documents/{document_no}/lines", summary="单据明细 / lines of a document")
    async def list_lines(
        document_no: str, principal: Reader, after: After = "", limit: Limit = DEFAULT_LIMIT
    ) -> Response:
        c = fund_line.c
        mine = sa.select(payment_document.c.document_no).where(
            payment_document.c.document_no == document_no, _seen(principal)
        )
        statement = sa.select(
            c.line_no,
            _PAYMENT_LINE,
            c.person_id,
            c.insurance,
            c.payer,
            c.fen,
            c.village,
            c.deposit_no,
            c.entered,
        ).where(c.document_no.in_(mine))
        async with ports.database.read() as connection:
            rows = await connection.execute(keyset(statement, [c.line_no], after, limit))
        return json_response(paged(rows, limit, _item, lambda row: [row.line_no]))


def _reports(routes: APIRouter, ports: Ports, prior_year: PriorYear) -> None:
    @routes.get("/statistics/weekly", summary="每周收录钱统计 / received, entered, money by week")
    async def weekly(principal: Reader, campaign: CampaignQuery, date: Day | None = None) -> Response:
        c = weekly_statistics.c
        statement = sa.select(weekly_statistics).where(
            c.campaign == _campaign(campaign), inside(c.village, principal.divisions)
        )
        if date is not None:
            statement = statement.where(c.date == date)
        async with ports.database.read() as connection:
            rows = await connection.execute(
                statement.order_by(c.date, c.village, c.insurance, c.subsidised).limit(5000)
            )
        return json_response({"campaign": campaign, "rows": [_week(row) for row in rows]})

    @routes.get("/forms/payment-detail.csv", summary="个人缴费明细表 / last year's and this year's payments")
    async def payment_detail(
        principal: Reader,
        campaign: CampaignQuery,
        village: Annotated[str, Query(pattern=r"^\d{12}$", examples=["370406101201"])],
    ) -> Response:
        require_division(principal, village, "village")
        pieces = payment_detail_csv(
            ports.database,
            ports.vault,
            prior_year,
            (_campaign(campaign), village),
            with_names=principal.allows(IDENTITY_SCOPE),
        )
        return _csv(pieces, f"payment-detail-{campaign}-{village}")

    @routes.get("/forms/payment-detail/totals", summary="上年度缴费合计 / last year's payments of a village")
    async def detail_totals(
        principal: Reader,
        campaign: CampaignQuery,
        village: Annotated[str, Query(pattern=r"^\d{12}$", examples=["370406101201"])],
    ) -> Response:
        require_division(principal, village, "village")
        async with ports.database.read() as connection:
            before = await prior_year(connection, village, parse_campaign(_campaign(campaign))[1] - 1)
        persons = len({paid.person_id for paid in before})
        totals = {"persons": persons, "count": len(before), "fen": sum(paid.fen for paid in before)}
        return json_response({"village": village, "year": parse_campaign(campaign)[1] - 1, **totals})

    @routes.get("/forms/payment-summary.csv", summary="个人缴费汇总表 / documents of a campaign")
    async def payment_summary(principal: Reader, campaign: CampaignQuery) -> Response:
        pieces = payment_summary_csv(ports.database, _campaign(campaign), _seen(principal))
        return _csv(pieces, f"payment-summary-{campaign}")


def _week(row: Row) -> dict[str, Any]:
    """Equal: what was received is entered and lies in the account, in count and fen."""
    received, entered = (row.received_count, row.received_fen), (row.entered_count, row.entered_fen)
    return _item(row) | {"equal": received == entered == (row.money_count, row.money_fen)}


def _csv(pieces: Any, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(pieces, media_type="text/csv; charset=utf-8", headers=headers)
