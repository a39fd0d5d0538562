"""Routes of rosters and objections."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from services.collection.roster.domain import Line, Place, Review, place_of
from services.collection.roster.exporting import roster_csv
from services.collection.roster.handlers import Rosters
from services.collection.roster.objections import Resolve
from services.collection.roster.projection import LINE, ROSTER
from services.collection.roster.queries import (
    line_view,
    lines_statement,
    roster_view,
    rosters_statement,
)
from shared.kernel.errors import ProblemError, Refusal
from shared.kernel.insurance import Insurance
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.fields import Count
from shared.web.idempotency import required_key
from shared.web.paging import DEFAULT_LIMIT, After, Limit, keyset, paged
from shared.web.requests import metadata
from shared.web.responses import answer, json_response
from shared.web.service import Ports

Reader = Annotated[Principal, Depends(authorised("collection:roster:read"))]
Writer = Annotated[Principal, Depends(authorised("collection:roster:write"))]
IDENTITY_SCOPE = "collection:identity:read"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class GenerateBody(_Body):
    """生成缴费信息清册 / generate the list of a village."""

    campaign: str = Field(pattern=r"^\d{6}(\d{3})?-\d{4}$", examples=["370406-2020"])
    village: str = Field(pattern=r"^\d{12}$", examples=["370406101201"])


class ReviewBody(_Body):
    """初审 / one signature. Findings hold no names or numbers."""

    role: str = Field(pattern="^(TAX_BRANCH|TOWN_AGENCY)$", examples=["TAX_BRANCH"])
    actor: str = Field(min_length=1, max_length=64, examples=["tax-branch-07"])
    findings: list[Annotated[str, Field(max_length=200)]] = Field(default_factory=list, max_length=50)


class PublishBody(_Body):
    """移交 / hand over to town and village; ``supplement`` for a supplementary roster."""

    to: str = Field("TOWN_AGENCY", max_length=64, examples=["TOWN_AGENCY"])
    agents: list[Annotated[str, Field(max_length=64)]] = Field(default_factory=list, max_length=100)
    supplement: Count = Field(0, ge=0)


class LineBody(_Body):
    """一行 / a line."""

    person_id: str = Field(pattern=r"^[A-Za-z0-9-]+$", max_length=64)
    insurance: Insurance


class RemovalBody(LineBody):
    """移除一行 / a line to take off."""

    reason: str = Field(pattern="^[A-Z_]{1,40}$", examples=["MOVED_AWAY"])


class AmendBody(_Body):
    """补充修改 / amend. Dead and cancelled people go and amounts are refreshed in any case."""

    add: list[LineBody] = Field(default_factory=list, max_length=5000)
    remove: list[RemovalBody] = Field(default_factory=list, max_length=5000)


class ActorBody(_Body):
    """签字、盖章 / who signs or stamps."""

    actor: str = Field(min_length=1, max_length=64, examples=["village-committee-01"])


class EmptyBody(_Body):
    """无内容 / nothing."""


class ResolveBody(_Body):
    """处理异议 / resolve an objection."""

    roster_id: str = Field(max_length=40, examples=["370406-2020.370406101201"])
    outcome: str = Field(pattern="^(UPHELD|REJECTED)$")
    finding: str = Field(min_length=1, max_length=200, examples=["经核实已补录 / verified and added"])


def _place(roster_id: str, principal: Principal) -> Place:
    place = place_of(roster_id)
    if place is None:
        raise ProblemError(Refusal("NOT_FOUND", field="roster_id"))
    require_division(principal, place.village, "roster_id")
    return place


def router(rosters: Rosters, ports: Ports) -> APIRouter:
    """``/rosters`` and ``/objections``."""
    routes = APIRouter(tags=["rosters 征收清册"])
    _add_commands(routes, rosters)
    _add_signatures(routes, rosters)
    _add_reads(routes, ports)
    return routes


def _add_commands(routes: APIRouter, rosters: Rosters) -> None:
    @routes.post("/rosters", status_code=201, summary="生成清册 / generate a roster's list")
    async def generate(request: Request, principal: Writer, body: GenerateBody) -> Response:
        require_division(principal, body.village, "village")
        place = Place(body.campaign, body.village)
        key = required_key(request, principal, "generate_roster", body)
        outcome = await rosters.generate(place, metadata(request, principal, body.campaign), key)
        return answer(outcome, f"/rosters/{place.roster_id}")

    @routes.post("/rosters/{roster_id}:review", summary="初审 / review")
    async def review(roster_id: str, request: Request, principal: Writer, body: ReviewBody) -> Response:
        place = _place(roster_id, principal)
        key = required_key(request, principal, f"review_roster {roster_id}", body)
        command = Review(
            role=body.role,
            actor=body.actor,
            organisation=principal.organisation,
            findings=tuple(body.findings),
        )
        return answer(await rosters.review(place, command, metadata(request, principal, place.campaign), key))

    @routes.post("/rosters/{roster_id}:publish", summary="移交并公示 / publish")
    async def publish(roster_id: str, request: Request, principal: Writer, body: PublishBody) -> Response:
        place = _place(roster_id, principal)
        key = required_key(request, principal, f"publish_roster {roster_id}", body)
        about = metadata(request, principal, place.campaign)
        return answer(await rosters.dispatch(place, body.to, tuple(body.agents), body.supplement, about, key))

    @routes.post("/rosters/{roster_id}:amend", summary="补充修改 / amend")
    async def amend(roster_id: str, request: Request, principal: Writer, body: AmendBody) -> Response:
        place = _place(roster_id, principal)
        key = required_key(request, principal, f"amend_roster {roster_id}", body)
        add = tuple(Line(line.person_id, line.insurance) for line in body.add)
        remove = tuple(Line(line.person_id, line.insurance, line.reason) for line in body.remove)
        about = metadata(request, principal, place.campaign)
        return answer(await rosters.amend(place, add, remove, about, key))

    @routes.post("/rosters/{roster_id}:finalise", summary="定稿 / finalise")
    async def finalise(roster_id: str, request: Request, principal: Writer, body: EmptyBody) -> Response:
        place = _place(roster_id, principal)
        key = required_key(request, principal, f"finalise_roster {roster_id}", body)
        return answer(await rosters.finalise(place, metadata(request, principal, place.campaign), key))

    @routes.post(
        "/rosters/{roster_id}:supplement", status_code=201, summary="补充清册 / supplementary roster"
    )
    async def supplement(roster_id: str, request: Request, principal: Writer, body: EmptyBody) -> Response:
        place = _place(roster_id, principal)
        key = required_key(request, principal, f"supplement_roster {roster_id}", body)
        return answer(await rosters.supplement(place, metadata(request, principal, place.campaign), key))


def _add_signatures(routes: APIRouter, rosters: Rosters) -> None:
    @routes.post("/rosters/{roster_id}:sign", summary="村居签字 / the village signs")
    async def sign(roster_id: str, request: Request, principal: Writer, body: ActorBody) -> Response:
        place = _place(roster_id, principal)
        key = required_key(request, principal, f"sign_roster {roster_id}", body)
        about = metadata(request, principal, place.campaign)
        return answer(await rosters.sign(place, body.actor, about, key))

    @routes.post("/rosters/{roster_id}:stamp", summary="加盖印章 / stamp the paid roster")
    async def stamp(roster_id: str, request: Request, principal: Writer, body: ActorBody) -> Response:
        place = _place(roster_id, principal)
        key = required_key(request, principal, f"stamp_roster {roster_id}", body)
        about = metadata(request, principal, place.campaign)
        return answer(await rosters.stamp(place, body.actor, about, key))

    @routes.post("/objections/{objection_id}:resolve", summary="处理异议 / resolve an objection")
    async def resolve(objection_id: str, request: Request, principal: Writer, body: ResolveBody) -> Response:
        place = _place(body.roster_id, principal)
        key = required_key(request, principal, f"resolve_objection {objection_id}", body)
        command = Resolve(objection_id=objection_id, outcome=body.outcome, finding=body.finding)
        about = metadata(request, principal, place.campaign)
        return answer(await rosters.resolve(place, command, about, key))


def _add_reads(routes: APIRouter, ports: Ports) -> None:
    database = ports.database

    @routes.get("/rosters", summary="清册列表 / rosters of a campaign")
    async def list_rosters(
        principal: Reader,
        campaign: Annotated[str, Query(max_length=16, examples=["370406-2020"])],
        division: Annotated[str, Query(max_length=12)] = "",
        state: Annotated[str, Query(max_length=20)] = "",
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        require_division(principal, division or campaign.partition("-")[0])
        statement = keyset(rosters_statement(campaign, division, state), [ROSTER.c.roster_id], after, limit)
        async with database.read() as connection:
            rows = await connection.execute(statement)
        return json_response(paged(rows, limit, lambda row: dict(row._mapping), lambda row: (row.roster_id,)))

    @routes.get("/rosters/{roster_id}", summary="清册 / a roster")
    async def get_roster(roster_id: str, principal: Reader) -> Response:
        _place(roster_id, principal)
        async with database.read() as connection:
            view = await roster_view(connection, roster_id)
        if view is None:
            raise ProblemError(Refusal("NOT_FOUND", field="roster_id"))
        return json_response(view)

    @routes.get("/rosters/{roster_id}/lines", summary="清册明细 / its lines")
    async def get_lines(
        roster_id: str,
        principal: Reader,
        version: Annotated[Count | None, Query(ge=0)] = None,
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        _place(roster_id, principal)
        columns = [LINE.c.person_id, LINE.c.insurance]
        async with database.read() as connection:
            rows = await connection.execute(
                keyset(lines_statement(roster_id, version), columns, after, limit)
            )

        def key(row: Any) -> tuple[str, str]:
            return row.person_id, row.insurance

        return json_response(paged(rows, limit, line_view, key))

    @routes.get("/rosters/{roster_id}/export.csv", summary="导出清册 / the roster as a file")
    async def export(
        roster_id: str, principal: Reader, version: Annotated[Count | None, Query(ge=0)] = None
    ) -> Response:
        _place(roster_id, principal)
        with_names = principal.allows(IDENTITY_SCOPE)
        pieces = roster_csv(database, ports.vault, roster_id, version, with_names=with_names)
        headers = {"Content-Disposition": f'attachment; filename="{roster_id}.csv"'}
        return StreamingResponse(pieces, media_type="text/csv; charset=utf-8", headers=headers)
