"""Routes of funding: apply, appropriate, transfer, submit government payments, approve refunds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.subsidy.funding import handlers, queries
from services.subsidy.funding.domain import FundKey
from services.subsidy.funding.events import GovernmentLine
from services.subsidy.funding.projection import approval_table, fund_table
from shared.eventstore.commands import Store
from shared.eventstore.database import Connection, Database, Row
from shared.kernel.clock import Clock
from shared.kernel.division import parse_campaign
from shared.kernel.errors import ProblemError, Refusal
from shared.kernel.insurance import Insurance
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.fields import Fen
from shared.web.idempotency import required_key
from shared.web.paging import DEFAULT_LIMIT, After, Limit, inside, keyset, paged
from shared.web.requests import metadata
from shared.web.responses import answer, json_response

READ = "subsidy:funding:read"
WRITE = "subsidy:funding:write"
APPROVE = "subsidy:refunds:write"
REFUNDS = "subsidy:refunds:read"

Totals = Callable[[Connection, str, str], Awaitable[tuple[int, int]]]
"""(persons, fen) of a department's live entitlements in a campaign."""

Payable = Callable[[Connection, str, str, str], Awaitable[Sequence[Row]]]
"""Live entitlements of (campaign, department, insurance), ordered by person."""


class FundBody(BaseModel):
    """哪一笔资金 / which department and campaign."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"department": "CIVIL_AFFAIRS", "campaign": "370406-2020"}]},
    )

    department: str = Field(min_length=1, max_length=64)
    campaign: str = Field(min_length=1, max_length=20)


class PaymentBody(FundBody):
    """政府代缴申报 / a government payment of one insurance."""

    insurance: Insurance


class AmountBody(BaseModel):
    """金额（分）/ an amount in fen."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"fen": 2600000}]})

    fen: Fen = Field(gt=0)


class ApprovalBody(BaseModel):
    """审核 / who approves."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"actor": "finance-07"}]})

    actor: str = Field(min_length=1, max_length=64)


def fund_key(principal: Principal, department: str, campaign: str) -> FundKey:
    """The fund, inside the caller's divisions. Raises ProblemError."""
    try:
        division, year = parse_campaign(campaign)
    except ValueError:
        raise ProblemError(Refusal("CAMPAIGN_UNKNOWN", field="campaign"), 422) from None
    require_division(principal, division, "campaign")
    return FundKey(department, year, campaign)


def router(store: Store, database: Database, clock: Clock, totals: Totals, payable: Payable) -> APIRouter:
    """Routes under ``/funds``, ``/government-payments`` and ``/refund-approvals``."""
    routes = APIRouter(tags=["资助资金 funding"])

    @routes.post("/funds:apply", status_code=201)
    async def apply_for_fund(
        body: FundBody, request: Request, principal: Annotated[Principal, Depends(authorised(WRITE))]
    ) -> Response:
        """申请补助资金 / apply for what the department's entitlements need."""
        key = fund_key(principal, body.department, body.campaign)
        async with database.read() as connection:
            persons, fen = await totals(connection, body.campaign, body.department)
        command = handlers.apply_for_fund(
            key,
            persons,
            fen,
            metadata(request, principal, body.campaign),
            required_key(request, principal, "apply_for_fund", body),
        )
        return answer(await store.execute(command))

    @routes.post("/funds/{department}/{campaign}:appropriate", status_code=201)
    async def appropriate_fund(
        department: str,
        campaign: str,
        body: AmountBody,
        request: Request,
        principal: Annotated[Principal, Depends(authorised(WRITE))],
    ) -> Response:
        """财政拨付 / finance appropriates."""
        key = fund_key(principal, department, campaign)
        idempotency = required_key(request, principal, f"appropriate_fund:{department}:{campaign}", body)
        command = handlers.appropriate_fund(
            key, body.fen, metadata(request, principal, campaign), idempotency
        )
        return answer(await store.execute(command))

    @routes.post("/funds/{department}/{campaign}:transfer", status_code=201)
    async def transfer_fund(
        department: str,
        campaign: str,
        body: AmountBody,
        request: Request,
        principal: Annotated[Principal, Depends(authorised(WRITE))],
    ) -> Response:
        """部门转付 / the department passes the money on."""
        key = fund_key(principal, department, campaign)
        idempotency = required_key(request, principal, f"transfer_fund:{department}:{campaign}", body)
        command = handlers.transfer_fund(key, body.fen, metadata(request, principal, campaign), idempotency)
        return answer(await store.execute(command))

    @routes.get("/funds")
    async def list_funds(
        principal: Annotated[Principal, Depends(authorised(READ))],
        campaign: Annotated[str, Query(max_length=20)] = "",
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        """资金台账 / funds and how far their money has come, of campaigns inside the caller's divisions."""
        table = fund_table.c
        columns = [table.campaign, table.department, table.kind]
        wanted = queries.funds(campaign).where(inside(table.campaign, principal.divisions))
        async with database.read() as connection:
            rows = await connection.execute(keyset(wanted, columns, after, limit))
        return json_response(
            paged(
                rows,
                limit,
                lambda row: dict(row._mapping),
                lambda row: [row.campaign, row.department, row.kind],
            )
        )

    @routes.post("/government-payments", status_code=201)
    async def submit_government_payment(
        body: PaymentBody, request: Request, principal: Annotated[Principal, Depends(authorised(WRITE))]
    ) -> Response:
        """政府代缴申报 / submit every live entitlement not yet submitted (I-27)."""
        key = fund_key(principal, body.department, body.campaign)
        async with database.read() as connection:
            entitled = await payable(connection, body.campaign, body.department, body.insurance.value)
            done, returned = await queries.legs(connection, key.year, body.insurance.value)
        lines = tuple(
            GovernmentLine(row.person_id, row.village, row.payer, int(row.government_fen))
            for row in entitled
            if row.person_id not in done
        )
        command = handlers.submit_government_payment(
            key,
            body.insurance,
            lines,
            returned,
            metadata(request, principal, body.campaign),
            required_key(request, principal, "submit_government_payment", body),
        )
        return answer(await store.execute(command))

    @routes.get("/refund-approvals")
    async def list_approvals(
        principal: Annotated[Principal, Depends(authorised(REFUNDS))],
        state: Annotated[str, Query(max_length=10)] = "",
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        """退费审核列表 / refunds waiting for or given finance's approval."""
        columns = [approval_table.c.refund_no]
        wanted = queries.approvals(state).where(inside(approval_table.c.campaign, principal.divisions))
        async with database.read() as connection:
            rows = await connection.execute(keyset(wanted, columns, after, limit))
        return json_response(paged(rows, limit, lambda row: dict(row._mapping), lambda row: [row.refund_no]))

    @routes.post("/refund-approvals/{refund_no}:approve")
    async def approve_refund(
        refund_no: str,
        body: ApprovalBody,
        request: Request,
        principal: Annotated[Principal, Depends(authorised(APPROVE))],
    ) -> Response:
        """财政审核退费 / finance approves a refund 人社 or 医保 verified."""
        async with database.read() as connection:
            row = await queries.approval(connection, refund_no)
        if row is None:
            raise ProblemError(Refusal("NOT_FOUND", rule="REFUND_UNKNOWN"), status=404)
        require_division(principal, parse_campaign(row.campaign)[0])
        command = handlers.approve_refund(
            refund_no,
            row.year,
            principal.organisation,
            clock.today(),
            metadata(request, principal, row.campaign),
            required_key(request, principal, f"approve_refund:{refund_no}", body),
        )
        return answer(await store.execute(command))

    return routes
