"""Routes of progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from services.notification.progress import queries
from services.notification.progress.domain import rate
from shared.eventstore.database import Database, Row
from shared.kernel.division import parse_campaign, within
from shared.kernel.errors import ProblemError, Refusal
from shared.kernel.insurance import Insurance
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.responses import json_response

READ = "notification:progress:read"


def router(database: Database) -> APIRouter:
    """Routes under ``/progress``."""
    routes = APIRouter(tags=["进度 progress"])

    @routes.get("/progress/{campaign}")
    async def show_progress(
        campaign: str,
        principal: Annotated[Principal, Depends(authorised(READ))],
        division: Annotated[str, Query(max_length=12, pattern=r"^\d*$")] = "",
    ) -> Response:
        """征缴进度 / who owes, who paid and how far the money has come, per village and insurance."""
        require_division(principal, division or _division(campaign), "division")
        async with database.read() as connection:
            window = await queries.campaign(connection, campaign)
            if window is None:
                raise ProblemError(Refusal("NOT_FOUND", rule="CAMPAIGN_UNKNOWN"), status=404)
            villages = await queries.by_village(connection, campaign, division)
            stages = await queries.stages(connection, campaign, division)
            targets = await queries.targets(connection, campaign)
            bands = await queries.pension_bands(connection, campaign, division, window.window_to)
        scopes = {row.insurance: row.statistical_scope for row in targets}
        money = {
            (stage.village, stage.insurance, stage.stage): (int(stage.lines), int(stage.fen))
            for stage in stages
        }
        return json_response(
            {
                "campaign": campaign,
                "window_from": window.window_from,
                "window_to": window.window_to,
                "villages": [_village(row, money, scopes) for row in villages],
                "targets": [
                    dict(row._mapping)
                    for row in targets
                    if within(row.division, division) or within(division, row.division)
                ],
                "pension_bands": [
                    {
                        "band": band,
                        "enrolled": persons,
                        "paid": paid,
                        "rate": paid / persons if persons else 0.0,
                    }
                    for band, (persons, paid) in bands.items()
                ],
            }
        )

    return routes


def _division(campaign: str) -> str:
    """The division of a campaign; what is no campaign's id is nobody's campaign."""
    try:
        return parse_campaign(campaign)[0]
    except ValueError:
        raise ProblemError(Refusal("NOT_FOUND", rule="CAMPAIGN_UNKNOWN"), status=404) from None


def _village(
    row: Row, money: Mapping[tuple[str, str, str], tuple[int, int]], scopes: dict[str, str]
) -> dict[str, Any]:
    in_treasury, booked, refunded = (
        money.get((row.village, row.insurance, stage), (0, 0))
        for stage in ("IN_TREASURY", "BOOKED", "REFUNDED")
    )
    persons, exempt, paid = int(row.persons), int(row.exempt_persons), int(row.paid_persons)
    return {
        "division": row.village,
        "insurance": Insurance(row.insurance).value,
        "persons": persons,
        "exempt_persons": exempt,
        "paid_persons": paid,
        "rate": rate(persons, exempt, paid, scopes.get(row.insurance, "ALL")),
        "due_fen": int(row.due_fen),
        "paid_fen": int(row.paid_fen),
        "subsidised_fen": int(row.subsidised_fen),
        "in_treasury_fen": in_treasury[1],
        "booked_fen": booked[1],
        "booked_lines": booked[0],
        "refunded_fen": refunded[1],
    }
