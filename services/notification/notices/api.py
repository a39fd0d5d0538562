"""Routes of notices: read them, see their lines with masked names, raise objections."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.notification.notices import queries
from services.notification.notices.domain import ROSTER, RaiseObjection
from services.notification.notices.handlers import Notices
from services.notification.notices.projection import (
    notice_table,
    payment_line_table,
    publication_table,
    roster_line_table,
)
from services.notification.notices.publishing import PRIOR_YEAR, SUBSIDY_LIST, Publish
from shared.eventstore.database import Database, Row
from shared.kernel.clock import Clock
from shared.kernel.division import parse_campaign
from shared.kernel.errors import ProblemError, Refusal
from shared.kernel.insurance import Insurance
from shared.policy.registry import PackRegistry
from shared.security.principal import Principal
from shared.security.vault import Vault, mask_name
from shared.web.auth import authorised, require_division
from shared.web.fields import Count, Fen
from shared.web.idempotency import required_key
from shared.web.paging import DEFAULT_LIMIT, After, Limit, inside, keyset, paged
from shared.web.requests import metadata
from shared.web.responses import answer, json_response

READ = "notification:notices:read"
WRITE = "notification:notices:write"


class ObjectionBody(BaseModel):
    """公示异议 / an objection to a notice."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"person_id": "0" * 32, "insurance": "medical", "claim": "WRONG_AMOUNT"}]
        },
    )

    person_id: str = Field(min_length=1, max_length=64)
    claim: str = Field(min_length=1, max_length=20, description="异议类型 / claim or issue")
    insurance: Insurance | None = None


def _unknown() -> ProblemError:
    return ProblemError(
        Refusal("NOT_FOUND", rule="NOTICE_UNKNOWN", message="没有此公示 / no such notice"), status=404
    )


def _item(row: Row) -> dict[str, object]:
    return dict(row._mapping)


class PriorYearBody(BaseModel):
    """上年度缴费情况公示 / last year's payments, as the form's totals say."""

    model_config = ConfigDict(extra="forbid")

    campaign: str = Field(pattern=r"^\d{6}(\d{3})?-\d{4}$", examples=["370406101-2018"])
    village: str = Field(pattern=r"^\d{12}$", examples=["370406101201"])
    persons: Count = Field(ge=0)
    fen: Fen = Field(ge=0)


class ListShownBody(BaseModel):
    """资助名单公示 / a list of people the departments pay for."""

    model_config = ConfigDict(extra="forbid")

    campaign: str = Field(pattern=r"^\d{6}(\d{3})?-\d{4}$", examples=["370406101-2018"])
    village: str = Field(pattern=r"^\d{12}$", examples=["370406101201"])
    list_id: str = Field(min_length=1, max_length=120)
    persons: Count = Field(ge=0)


def publishing_router(notices: Notices, database: Database, packs: PackRegistry, clock: Clock) -> APIRouter:
    """What villages show without a period: ``/prior-year-payments``, ``/subsidy-lists-shown``, ``/publications``."""
    routes = APIRouter(tags=["公示 notices"])

    async def shown(command: Publish, request: Request, principal: Principal, body: BaseModel) -> Response:
        require_division(principal, command.village, "village")
        async with database.read() as connection:
            known = await queries.pack_of(connection, command.campaign)
        pack = (
            packs.exactly(known.pack_id, known.pack_version, known.pack_digest) if known is not None else None
        )
        if pack is None:
            raise ProblemError(Refusal("NO_CAMPAIGN", field="campaign"))
        key = required_key(request, principal, f"publish {command.publication_id}", body)
        told = metadata(request, principal, command.campaign)
        return answer(await notices.publish(command, pack, clock.today(), told, key))

    @routes.post("/prior-year-payments", status_code=201)
    async def publish_prior_year(
        body: PriorYearBody, request: Request, principal: Annotated[Principal, Depends(authorised(WRITE))]
    ) -> Response:
        """上年度缴费情况公示 / the village shows last year's payments."""
        year = parse_campaign(body.campaign)[1] - 1
        command = Publish(PRIOR_YEAR, body.campaign, body.village, year, body.persons, body.fen)
        return await shown(command, request, principal, body)

    @routes.post("/subsidy-lists-shown", status_code=201)
    async def publicise_list(
        body: ListShownBody, request: Request, principal: Annotated[Principal, Depends(authorised(WRITE))]
    ) -> Response:
        """资助名单公示 / the village shows a list of people paid for."""
        year = parse_campaign(body.campaign)[1]
        command = Publish(SUBSIDY_LIST, body.campaign, body.village, year, body.persons, about=body.list_id)
        return await shown(command, request, principal, body)

    @routes.get("/publications")
    async def list_publications(
        principal: Annotated[Principal, Depends(authorised(READ))],
        campaign: Annotated[str, Query(max_length=20)],
        village: Annotated[str, Query(max_length=12)] = "",
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        """村居公示记录 / what villages have shown without a period."""
        c = publication_table.c
        wanted = queries.publications(campaign, village).where(inside(c.village, principal.divisions))
        async with database.read() as connection:
            rows = await connection.execute(keyset(wanted, [c.publication_id], after, limit))
        return json_response(paged(rows, limit, _item, lambda row: [row.publication_id]))

    return routes


def router(notices: Notices, database: Database, vault: Vault) -> APIRouter:
    """Routes under ``/notices``."""
    routes = APIRouter(tags=["公示 notices"])

    @routes.get("/notices")
    async def list_notices(
        principal: Annotated[Principal, Depends(authorised(READ))],
        village: Annotated[str, Query(max_length=12)] = "",
        campaign: Annotated[str, Query(max_length=20)] = "",
        kind: Annotated[str, Query(max_length=20)] = "",
        state: Annotated[str, Query(max_length=10)] = "",
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        """公示列表 / notices by village, campaign, kind and state."""
        columns = [notice_table.c.notice_id]
        wanted = queries.listing(village, campaign, kind, state)
        wanted = wanted.where(inside(notice_table.c.village, principal.divisions))
        statement = keyset(wanted, columns, after, limit)
        async with database.read() as connection:
            rows = await connection.execute(statement)
        return json_response(paged(rows, limit, _item, lambda row: [row.notice_id]))

    @routes.get("/notices/{notice_id}")
    async def show_notice(
        notice_id: str, principal: Annotated[Principal, Depends(authorised(READ))]
    ) -> Response:
        """公示及异议 / a notice with its objections."""
        async with database.read() as connection:
            row = await queries.notice(connection, notice_id)
            if row is None:
                raise _unknown()
            require_division(principal, row.village)
            objections = await queries.objections(connection, notice_id)
        return json_response({**_item(row), "objections": [_item(each) for each in objections]})

    @routes.get("/notices/{notice_id}/lines")
    async def show_lines(
        notice_id: str,
        principal: Annotated[Principal, Depends(authorised(READ))],
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        """公示明细（姓名脱敏）/ the lines shown to the village, names masked."""
        async with database.read() as connection:
            row = await queries.notice(connection, notice_id)
            if row is None:
                raise _unknown()
            require_division(principal, row.village)
            if row.kind == ROSTER:
                statement = queries.roster_lines(row.roster_id, row.roster_version)
                columns = [roster_line_table.c.person_id, roster_line_table.c.insurance]
            else:
                statement = queries.payment_lines(row.campaign, row.village)
                columns = [payment_line_table.c.person_id, payment_line_table.c.insurance]
            rows = await connection.execute(keyset(statement, columns, after, limit))
            persons = tuple(dict.fromkeys(each.person_id for each in rows))
            identities = await vault.identities(connection, persons)

        def item(each: Row) -> dict[str, object]:
            identity = identities.get(each.person_id)
            return {**_item(each), "name": mask_name(identity.name) if identity else ""}

        return json_response(paged(rows, limit, item, lambda each: [each.person_id, each.insurance]))

    @routes.post("/notices/{notice_id}/objections", status_code=201)
    async def raise_objection(
        notice_id: str,
        body: ObjectionBody,
        request: Request,
        principal: Annotated[Principal, Depends(authorised(WRITE))],
    ) -> Response:
        """提出异议 / raise an objection while the notice runs."""
        async with database.read() as connection:
            row = await queries.notice(connection, notice_id)
        if row is None:
            raise _unknown()
        require_division(principal, row.village)
        key = required_key(request, principal, f"raise_objection:{notice_id}", body)
        outcome = await notices.raise_objection(
            notice_id,
            parse_campaign(row.campaign)[1],
            RaiseObjection(body.person_id, body.claim, body.insurance),
            metadata(request, principal, row.campaign),
            key,
        )
        return answer(outcome)

    return routes
