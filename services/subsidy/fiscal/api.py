"""Routes of family-planning couples and fiscal subsidies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.subsidy.fiscal import domain, handlers
from services.subsidy.fiscal.projection import subsidy_table
from shared.eventstore.commands import Store
from shared.eventstore.database import Connection, Database
from shared.kernel.division import parse_campaign
from shared.kernel.errors import ProblemError, Refusal
from shared.policy import Pack
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.fields import Day, Fen
from shared.web.idempotency import required_key
from shared.web.requests import metadata
from shared.web.responses import answer, json_response

LISTS = "subsidy:lists:write"
READ = "subsidy:funding:read"
WRITE = "subsidy:funding:write"

PackOf = Callable[[Connection, str], Awaitable[Pack | Refusal]]
"""The pack that binds a campaign, or why there is none."""

FindPersons = Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]
"""Person per number, for known numbers."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CoupleBody(_Body):
    """计生家庭 / a couple: found by numbers, which are kept nowhere."""

    campaign: str = Field(max_length=20, examples=["370404-2023"])
    kind: str = Field(max_length=20, examples=["one-child"])
    department: str = Field(max_length=64, examples=["HEALTH"])
    wife_number: str = Field(min_length=15, max_length=18)
    husband_number: str = Field("", max_length=18, description="无则空 / empty for none")
    basis: str = Field("", max_length=100, description="依据 / the department's paper")


class AppropriationBody(_Body):
    """拨付 / finance appropriates."""

    fen: Fen = Field(gt=0)
    on: Day


class ArrivalBody(AppropriationBody):
    """到账 / the money is there."""

    bank_ref: str = Field(min_length=1, max_length=64)


def router(store: Store, database: Database, pack_of: PackOf, find: FindPersons) -> APIRouter:
    """``/family-planning-couples`` and ``/fiscal-subsidies``."""
    routes = APIRouter(tags=["财政补助 fiscal subsidies"])

    @routes.post("/family-planning-couples", status_code=201)
    async def record_couple(
        body: CoupleBody, request: Request, principal: Annotated[Principal, Depends(authorised(LISTS))]
    ) -> Response:
        """登记计生家庭 / record a couple; both spouses must be registered."""
        year = _checked(principal, body.campaign)
        async with database.read() as connection:
            pack = await pack_of(connection, body.campaign)
        if isinstance(pack, Refusal):
            raise ProblemError(pack)
        numbers = [number for number in (body.wife_number, body.husband_number) if number]
        found = await find(numbers)
        for field, number in (("wife_number", body.wife_number), ("husband_number", body.husband_number)):
            if number and number not in found:
                raise ProblemError(Refusal("NOT_FOUND", rule="PERSON_UNKNOWN", field=field))
        department = pack.department(body.department)
        command = domain.RecordCouple(
            body.campaign,
            year,
            body.kind,
            found[body.wife_number],
            found.get(body.husband_number, ""),
            department.code if department is not None else body.department,
            body.basis,
        )
        key = required_key(request, principal, "record_couple", body)
        about = metadata(request, principal, body.campaign, pack)
        return answer(await store.execute(handlers.record_couple(command, pack, about, key)))

    @routes.get("/fiscal-subsidies")
    async def subsidies(
        principal: Annotated[Principal, Depends(authorised(READ))],
        campaign: Annotated[str, Query(max_length=20)],
    ) -> Response:
        """财政补助台账 / claimed, appropriated, arrived per kind of money."""
        _checked(principal, campaign)
        table = subsidy_table.c
        async with database.read() as connection:
            rows = await connection.execute(
                sa.select(subsidy_table).where(table.campaign == campaign).order_by(table.kind)
            )
        return json_response({"items": [_item(dict(row._mapping)) for row in rows]})

    _money_routes(routes, store)
    return routes


def _money_routes(routes: APIRouter, store: Store) -> None:
    @routes.post("/fiscal-subsidies/{campaign}/{kind}:appropriate", status_code=201)
    async def appropriate(
        campaign: str,
        kind: str,
        body: AppropriationBody,
        request: Request,
        principal: Annotated[Principal, Depends(authorised(WRITE))],
    ) -> Response:
        """财政拨付 / finance appropriates."""
        key = _key(principal, campaign, kind)
        idempotency = required_key(request, principal, f"appropriate_fiscal:{campaign}:{kind}", body)
        command = handlers.move(
            "appropriate_fiscal_subsidy",
            key,
            lambda state: domain.appropriate(state, key, body.fen, body.on),
            metadata(request, principal, campaign),
            idempotency,
        )
        return answer(await store.execute(command))

    @routes.post("/fiscal-subsidies/{campaign}/{kind}:arrived", status_code=201)
    async def arrived(
        campaign: str,
        kind: str,
        body: ArrivalBody,
        request: Request,
        principal: Annotated[Principal, Depends(authorised(WRITE))],
    ) -> Response:
        """到账 / the money arrived."""
        key = _key(principal, campaign, kind)
        idempotency = required_key(request, principal, f"fiscal_arrived:{campaign}:{kind}", body)
        command = handlers.move(
            "fiscal_subsidy_arrived",
            key,
            lambda state: domain.arrive(state, key, body.fen, body.on, body.bank_ref),
            metadata(request, principal, campaign),
            idempotency,
        )
        return answer(await store.execute(command))


def _checked(principal: Principal, campaign: str) -> int:
    try:
        division, year = parse_campaign(campaign)
    except ValueError:
        raise ProblemError(Refusal("CAMPAIGN_UNKNOWN", field="campaign"), 422) from None
    require_division(principal, division, "campaign")
    return year


def _key(principal: Principal, campaign: str, kind: str) -> domain.SubsidyKey:
    year = _checked(principal, campaign)
    if kind not in domain.KINDS:
        raise ProblemError(Refusal("NOT_FOUND", rule="FISCAL_KIND", field="kind"))
    return domain.SubsidyKey(campaign, year, kind)


def _item(row: dict[str, object]) -> dict[str, object]:
    """With what finance still owes, and what is on its way."""
    claimed, appropriated = row["claimed_fen"], row["appropriated_fen"]
    arrived = row["arrived_fen"]
    if not (isinstance(claimed, int) and isinstance(appropriated, int) and isinstance(arrived, int)):
        raise TypeError("fen are whole numbers")
    return row | {"outstanding_fen": claimed - appropriated, "in_transit_fen": appropriated - arrived}
