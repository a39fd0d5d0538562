"""Routes of packs and campaigns."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from services.collection.campaigns import domain as d
from services.collection.campaigns.handlers import Campaigns
from services.collection.campaigns.projection import DIFFERENCE
from services.collection.campaigns.queries import campaign_view, differences_statement, revisions_view
from shared.eventstore.database import Database
from shared.kernel.bounds import Amount, Quantity
from shared.kernel.errors import ProblemError, Refusal
from shared.kernel.insurance import Insurance
from shared.policy.checks import check_pack
from shared.policy.loading import PackInvalidError, parse
from shared.policy.registry import PackRegistry
from shared.policy.writing import is_synthetic
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.fields import Count, Day, Fen
from shared.web.idempotency import required_key
from shared.web.paging import DEFAULT_LIMIT, After, Limit, keyset, paged
from shared.web.requests import metadata, read_body
from shared.web.responses import answer, json_response
from shared.web.small_files import table_of

Reader = Annotated[Principal, Depends(authorised("collection:campaigns:read"))]
Writer = Annotated[Principal, Depends(authorised("collection:campaigns:write"))]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DraftPackBody(_Body):
    """拟定政策包 / propose a pack this service holds."""

    pack_id: str = Field(examples=["ST-2020"], max_length=32)
    maker: str = Field(examples=["tax-01"], max_length=64, description="拟定人工号 / staff id of the maker")
    version: Count | None = Field(None, ge=1, description="缺省为最新版 / newest when absent")


class PublishPackBody(_Body):
    """发布政策包 / publish it for a campaign; another person approves."""

    campaign: str = Field(examples=["370406-2020"], max_length=16)
    approver: str = Field(examples=["tax-02"], max_length=64)
    version: Count | None = Field(None, ge=1)


class RevisePackBody(PublishPackBody):
    """调整政策包 / put a later version in force."""

    effective_from: Day = Field(examples=["2019-11-15"])
    source: str = Field(examples=["鲁人社字〔2019〕1号"], min_length=1, max_length=200)


class OpenCampaignBody(_Body):
    """启动集中征缴 / open a campaign."""

    campaign: str = Field(examples=["370406-2020"], max_length=16)
    pack_id: str = Field(examples=["ST-2020"], max_length=32)
    pack_version: Count | None = Field(None, ge=1)


class ExtendBody(_Body):
    """延长征缴期 / extend the window."""

    new_end: Day = Field(examples=["2019-12-31"])
    reason: str = Field(examples=["系统维护 / outage"], max_length=200)
    authority: str = Field(examples=["区税务局"], max_length=100)


class TargetRowBody(_Body):
    """一行任务 / one row."""

    division: str = Field(examples=["370406101"], pattern=r"^\d{6}(\d{3}(\d{3})?)?$")
    insurance: Insurance
    persons: Count = Field(ge=0, examples=[28126])
    name: str = Field("", max_length=60, examples=["店子镇"])
    amount_fen: Fen | None = Field(None, ge=0, examples=[731276000])
    amount_wan_yuan: Fen | None = Field(None, ge=0, description="养老金额，万元 / pension money, 10,000 yuan")
    statistical_scope: str = Field("ALL", pattern="^(ALL|EXCL_EXEMPT)$")


class TargetsBody(_Body):
    """任务分配表 / a task table of one insurance."""

    rows: list[TargetRowBody] = Field(min_length=1, max_length=500)
    stated_total_persons: Count = Field(ge=0)
    stated_total_amount: Fen | None = Field(None, ge=0, description="与各行同单位 / in the rows' unit")


class TargetFileRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of a task table as a file: the amount in the unit the route was told."""

    division: str
    persons: Quantity
    name: str = ""
    amount: Amount | None = None


_TARGET_COLUMNS = {
    "区划代码": "division",
    "名称": "name",
    "镇(街道)": "name",
    "村居": "name",
    "人数": "persons",
    "金额": "amount",
}
_FEN_PER = {"FEN": 1, "YUAN": 100, "元": 100}
_WAN = ("WAN_YUAN", "万元")
_PACK_BYTES = 1 << 20


def _row(body: TargetRowBody) -> d.TargetRow:
    wan = body.amount_wan_yuan is not None
    return d.TargetRow(
        division=body.division,
        insurance=body.insurance,
        persons=body.persons,
        name=body.name,
        amount=body.amount_wan_yuan if wan else body.amount_fen,
        unit="WAN_YUAN" if wan else "FEN",
        statistical_scope=body.statistical_scope,
    )


def router(campaigns: Campaigns, database: Database, packs: PackRegistry) -> APIRouter:
    """Routes under ``/packs`` and ``/campaigns``."""
    routes = APIRouter(tags=["campaigns 征缴工作"])

    @routes.post("/packs", status_code=201, summary="拟定政策包 / draft a pack")
    async def draft_pack(request: Request, principal: Writer, body: DraftPackBody) -> Response:
        key = required_key(request, principal, "draft_pack", body)
        command = d.DraftPack(pack_id=body.pack_id, maker=body.maker)
        return answer(await campaigns.draft(command, body.version, metadata(request, principal), key))

    @routes.post("/packs/{pack_id}:publish", summary="发布政策包 / publish a pack")
    async def publish_pack(
        pack_id: str, request: Request, principal: Writer, body: PublishPackBody
    ) -> Response:
        require_division(principal, body.campaign.partition("-")[0], "campaign")
        key = required_key(request, principal, f"publish_pack {pack_id}", body)
        command = d.PublishPack(pack_id=pack_id, campaign=body.campaign, approver=body.approver)
        about = metadata(request, principal, body.campaign)
        return answer(await campaigns.publish(command, body.version, about, key))

    @routes.post("/packs/{pack_id}:revise", summary="调整政策包 / revise a pack")
    async def revise_pack(
        pack_id: str, request: Request, principal: Writer, body: RevisePackBody
    ) -> Response:
        require_division(principal, body.campaign.partition("-")[0], "campaign")
        key = required_key(request, principal, f"revise_pack {pack_id}", body)
        command = d.RevisePack(
            pack_id=pack_id,
            campaign=body.campaign,
            approver=body.approver,
            effective_from=body.effective_from,
            source=body.source,
        )
        about = metadata(request, principal, body.campaign)
        return answer(await campaigns.revise(command, body.version, about, key))

    @routes.post("/campaigns", status_code=201, summary="启动集中征缴 / open a campaign")
    async def open_campaign(request: Request, principal: Writer, body: OpenCampaignBody) -> Response:
        require_division(principal, body.campaign.partition("-")[0], "campaign")
        key = required_key(request, principal, "open_campaign", body)
        command = d.OpenCampaign(campaign=body.campaign, pack_id=body.pack_id)
        about = metadata(request, principal, body.campaign)
        outcome = await campaigns.open(command, body.pack_version, about, key)
        return answer(outcome, f"/campaigns/{body.campaign}")

    @routes.post("/campaigns/{campaign}/targets", status_code=201, summary="下达任务 / assign targets")
    async def assign_targets(
        campaign: str, request: Request, principal: Writer, body: TargetsBody
    ) -> Response:
        require_division(principal, campaign.partition("-")[0], "campaign")
        key = required_key(request, principal, f"assign_targets {campaign}", body)
        command = d.AssignTargets(
            campaign=campaign,
            rows=tuple(_row(row) for row in body.rows),
            stated_total_persons=body.stated_total_persons,
            stated_total_amount=body.stated_total_amount,
        )
        return answer(await campaigns.assign_targets(command, metadata(request, principal, campaign), key))

    @routes.post("/campaigns/{campaign}:extend", summary="延长征缴期 / extend the window")
    async def extend_window(campaign: str, request: Request, principal: Writer, body: ExtendBody) -> Response:
        require_division(principal, campaign.partition("-")[0], "campaign")
        key = required_key(request, principal, f"extend_window {campaign}", body)
        command = d.ExtendWindow(
            campaign=campaign, new_end=body.new_end, reason=body.reason, authority=body.authority
        )
        return answer(await campaigns.extend(command, metadata(request, principal, campaign), key))

    _revision_routes(routes, database)
    _table_routes(routes, campaigns)
    _pack_routes(routes, packs)

    @routes.get("/campaigns/{campaign}", summary="征缴工作 / a campaign with its targets")
    async def get_campaign(campaign: str, principal: Reader) -> Response:
        async with database.read() as connection:
            view = await campaign_view(connection, campaign)
        if view is None:
            raise ProblemError(Refusal("NOT_FOUND", field="campaign"))
        return json_response(view)

    return routes


def _revision_routes(routes: APIRouter, database: Database) -> None:
    """政策调整: versions a campaign has had, and whose amount each changed (D-06)."""

    @routes.get(
        "/campaigns/{campaign}/revisions", summary="政策版本与差异合计 / versions and what they changed"
    )
    async def revisions(campaign: str, principal: Reader) -> Response:
        require_division(principal, campaign.partition("-")[0], "campaign")
        async with database.read() as connection:
            found = await revisions_view(connection, campaign)
        return json_response({"items": found})

    @routes.get(
        "/campaigns/{campaign}/revisions/{version}/differences",
        summary="调整差异清单 / whose amount a revision changed",
    )
    async def differences(
        campaign: str,
        version: Count,
        principal: Reader,
        village: Annotated[str, Query(max_length=12, description="村居或镇街 / village or town")] = "",
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        require_division(principal, village or campaign.partition("-")[0], "village")
        columns = [DIFFERENCE.c.insurance, DIFFERENCE.c.person_id]
        statement = keyset(differences_statement(campaign, version, village), columns, after, limit)
        async with database.read() as connection:
            rows = await connection.execute(statement)
        return json_response(
            paged(rows, limit, lambda row: dict(row._mapping), lambda row: (row.insurance, row.person_id))
        )


def _table_routes(routes: APIRouter, campaigns: Campaigns) -> None:
    @routes.post(
        "/campaigns/{campaign}/targets:import",
        status_code=201,
        summary="任务分配表入库 / assign a task table from a file, whole or not at all",
    )
    async def import_targets(
        campaign: str,
        request: Request,
        principal: Writer,
        insurance: Insurance,
        stated_total_persons: Annotated[Count, Query(ge=0, description="表中合计人数 / as the table states")],
        stated_total_amount: Annotated[
            Fen | None, Query(ge=0, description="与各行同单位 / in the rows' unit")
        ] = None,
        unit: Annotated[
            str, Query(pattern="^(FEN|YUAN|WAN_YUAN|元|万元)$", description="金额单位 / unit")
        ] = "YUAN",
        statistical_scope: Annotated[str, Query(pattern="^(ALL|EXCL_EXEMPT)$")] = "ALL",
    ) -> Response:
        require_division(principal, campaign.partition("-")[0], "campaign")
        rows, digest = await table_of(request, TargetFileRow, _TARGET_COLUMNS)
        wan = unit in _WAN
        factor = 1 if wan else _FEN_PER[unit]
        stated = None if stated_total_amount is None else stated_total_amount * factor
        command = d.AssignTargets(
            campaign=campaign,
            rows=tuple(
                d.TargetRow(
                    division=row.division,
                    insurance=insurance,
                    persons=row.persons,
                    name=row.name,
                    amount=None if row.amount is None else row.amount * factor,
                    unit="WAN_YUAN" if wan else "FEN",
                    statistical_scope=statistical_scope,
                )
                for row in rows
            ),
            stated_total_persons=stated_total_persons,
            stated_total_amount=stated,
        )
        told = [digest, insurance.value, unit, statistical_scope, stated_total_persons, stated]
        key = required_key(request, principal, f"import_targets {campaign}", told)
        return answer(await campaigns.assign_targets(command, metadata(request, principal, campaign), key))


def _pack_routes(routes: APIRouter, packs: PackRegistry) -> None:
    @routes.get("/packs", summary="本服务持有的政策包 / packs this service holds, and files it cannot read")
    async def held(principal: Reader) -> Response:
        packs.look_again()
        items = [
            {
                "pack_id": pack.id,
                "version": pack.version,
                "digest": pack.digest,
                "insured_year": pack.insured_year,
                "division": pack.region.division,
                "synthetic": is_synthetic(pack),
            }
            for pack in sorted(packs, key=lambda pack: (pack.insured_year, pack.id, pack.version))
        ]
        return json_response({"items": items, "faults": packs.faults})

    @routes.post("/packs:check", summary="检查政策包文件 / check a pack file (YAML); nothing is kept")
    async def check(request: Request, principal: Writer) -> Response:
        body = await read_body(request, _PACK_BYTES)
        try:
            pack = parse(body.decode("utf-8"))
        except (UnicodeDecodeError, PackInvalidError) as fault:
            message = str(fault) if isinstance(fault, PackInvalidError) else "UTF-8"
            return json_response({"faults": [{"rule": "PACK_INVALID", "path": "", "message": message}]})
        return json_response(
            {"pack_id": pack.id, "version": pack.version, "digest": pack.digest, "faults": check_pack(pack)}
        )
