"""Routes of virtual households and agents."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from services.collection.virtual_households import domain as d
from services.collection.virtual_households.handlers import VirtualHouseholds
from services.collection.virtual_households.queries import household_view
from shared.eventstore.database import Database
from shared.kernel.errors import ProblemError, Refusal
from shared.kernel.insurance import Insurance
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.idempotency import required_key
from shared.web.requests import metadata
from shared.web.responses import answer, json_response

Reader = Annotated[Principal, Depends(authorised("collection:virtual_households:read"))]
Writer = Annotated[Principal, Depends(authorised("collection:virtual_households:write"))]
Village = Annotated[str, Field(pattern=r"^\d{12}$", examples=["370406101201"])]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class HouseholdBody(_Body):
    """登记虚拟户 / register a virtual household."""

    virtual_household_id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", examples=["VH-370406101"])
    campaign: str = Field(examples=["370406-2020"], max_length=16)
    unit_id: str = Field(max_length=64, examples=["U-370406101"])
    name: str = Field(
        max_length=60, examples=["店子镇养老医保管理所"], description="代收单位名称 / the unit's name"
    )
    villages: list[Village] = Field(min_length=1, max_length=500)


class ScopeBody(_Body):
    """代收范围 / collection scope."""

    insurances: list[Insurance] = Field(min_length=1, max_length=2)
    divisions: list[str] = Field(min_length=1, max_length=500, examples=[["370406101"]])


class AgentBody(_Body):
    """授权代办员 / authorise an agent."""

    agent_id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", examples=["A-370406101201"])
    campaign: str = Field(examples=["370406-2020"], max_length=16)
    village: Village
    virtual_household_id: str = Field(
        "",
        max_length=64,
        examples=["VH-370406101"],
        description="方案不设虚拟户时为空 / empty where there are none",
    )
    unit: str = Field(max_length=64, examples=["U-370406101"])
    designated_account_ref: str = Field(
        "", max_length=64, examples=["ACC-370406101"], description="账户代号，非账号 / a reference"
    )
    account_type: str = Field("UNIT", pattern="^(UNIT|PERSONAL)$")
    channels: list[str] = Field(min_length=1, max_length=20, examples=[["CASH_AGENT"]])


class RevokeBody(_Body):
    """取消授权 / revoke."""

    campaign: str = Field(examples=["370406-2020"], max_length=16)
    reason: str = Field(max_length=200, examples=["换届 / new committee"])


def router(households: VirtualHouseholds, database: Database) -> APIRouter:
    """``/virtual-households`` and ``/agents``."""
    routes = APIRouter(tags=["virtual households 虚拟户"])

    @routes.post("/virtual-households", status_code=201, summary="登记虚拟户 / register a virtual household")
    async def register(request: Request, principal: Writer, body: HouseholdBody) -> Response:
        for village in body.villages:
            require_division(principal, village, "villages")
        key = required_key(request, principal, "register_virtual_household", body)
        command = d.RegisterVirtualHousehold(
            virtual_household_id=body.virtual_household_id,
            campaign=body.campaign,
            unit_id=body.unit_id,
            unit_name=body.name,
            villages=tuple(body.villages),
        )
        outcome = await households.register(command, metadata(request, principal, body.campaign), key)
        return answer(outcome, f"/virtual-households/{body.virtual_household_id}")

    @routes.post("/virtual-households/{household_id}:assign-scope", summary="指定代收范围 / assign the scope")
    async def assign_scope(
        household_id: str, request: Request, principal: Writer, body: ScopeBody
    ) -> Response:
        for division in body.divisions:
            require_division(principal, division, "divisions")
        key = required_key(request, principal, f"assign_scope {household_id}", body)
        command = d.AssignScope(
            virtual_household_id=household_id,
            insurances=tuple(body.insurances),
            divisions=tuple(body.divisions),
        )
        return answer(await households.assign_scope(command, metadata(request, principal), key))

    @routes.get("/virtual-households/{household_id}", summary="虚拟户 / a virtual household with its agents")
    async def get_household(household_id: str, principal: Reader) -> Response:
        async with database.read() as connection:
            view = await household_view(connection, household_id)
        if view is None:
            raise ProblemError(Refusal("NOT_FOUND", field="virtual_household_id"))
        return json_response(view)

    @routes.post("/agents", status_code=201, summary="授权代办员 / authorise an agent")
    async def authorize(request: Request, principal: Writer, body: AgentBody) -> Response:
        require_division(principal, body.village, "village")
        key = required_key(request, principal, "authorize_agent", body)
        command = d.AuthorizeAgent(
            agent_id=body.agent_id,
            campaign=body.campaign,
            village=body.village,
            virtual_household_id=body.virtual_household_id,
            unit_id=body.unit,
            account_ref=body.designated_account_ref,
            account_type=body.account_type,
            channels=tuple(body.channels),
        )
        return answer(await households.authorize(command, metadata(request, principal, body.campaign), key))

    @routes.post("/agents/{agent_id}:revoke", summary="取消授权 / revoke an agent")
    async def revoke(agent_id: str, request: Request, principal: Writer, body: RevokeBody) -> Response:
        key = required_key(request, principal, f"revoke_agent {agent_id}", body)
        command = d.RevokeAgent(agent_id=agent_id, campaign=body.campaign, reason=body.reason)
        about = metadata(request, principal, body.campaign)
        return answer(await households.revoke(command, principal.divisions, about, key))

    return routes
