"""Routes of coverage: rates by the pack's measures, and who is missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from services.registration.coverage import domain
from services.registration.policies.domain import Policy, YearPolicies
from services.registration.policies.queries import PolicyFacts
from shared.eventstore.database import Connection, Database, Row
from shared.kernel.errors import ProblemError, Refusal
from shared.kernel.insurance import Insurance
from shared.security.principal import Principal
from shared.security.vault import Vault
from shared.web.auth import authorised, require_division
from shared.web.paging import DEFAULT_LIMIT, Limit
from shared.web.responses import json_response

Reader = Annotated[Principal, Depends(authorised("registration:enrolment:read"))]
IDENTITY_SCOPE = "registration:identity:read"
Year = Annotated[int, Query(ge=2000, le=2100, description="参保年度 / insured year")]
Division = Annotated[str, Query(pattern=r"^\d{6}(\d{3}(\d{3})?)?$", description="区划 / division")]

Groups = Callable[[Connection, int, Insurance, str, bool], Awaitable[Sequence[domain.Group]]]
"""Living people of a division by circumstances, for a year and insurance; by village too where that is wanted."""

Known = Callable[[Connection, int, Insurance], Awaitable[bool]]
"""Whether anybody paid for a year and insurance here."""

Unpaid = Callable[[Connection, int, Insurance, str, str, int], Awaitable[Sequence[Row]]]
"""Living people of a division nobody has paid for, behind a person id."""

CircumstancesOf = Callable[[Row], domain.Circumstances]


class Coverage:
    """Answers both routes from the census."""

    def __init__(
        self,
        database: Database,
        policies: PolicyFacts,
        groups: Groups,
        unpaid: Unpaid,
        circumstances: CircumstancesOf,
        known: Known,
    ) -> None:
        self._database = database
        self._policies = policies
        self._groups = groups
        self._unpaid = unpaid
        self._circumstances = circumstances
        self._known = known

    async def rates(self, year: int, division: str, villages: bool = True) -> dict[str, Any]:
        """Counts and rates per insurance, band and village, with the division's own sum first; without villages
        only that, for a quarter of the work."""
        async with self._database.read() as connection:
            policy = await self._policy(connection, year, division)
            items: list[dict[str, Any]] = []
            for insurance in Insurance:
                items += await self._of_insurance(connection, policy, year, insurance, division, villages)
        return {
            "year": year,
            "division": division,
            "age_on": age_on(policy),
            "pack": policy.pack.id,
            "items": items,
        }

    async def missing(
        self, year: int, insurance: Insurance, division: str, after: str, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Eligible people nobody has paid for, and where to go on; a page may hold fewer than ``limit``."""
        async with self._database.read() as connection:
            policy = await self._policy(connection, year, division)
            rows = await self._unpaid(connection, year, insurance, division, after, limit + 1)
        eligibility = domain.Eligibility(policy.pack, insurance, age_on(policy))
        items = [
            {
                "person_id": row.person_id,
                "village": row.village,
                "household": row.household,
                "state": "NOT_PAID" if row.enrolled else "NOT_ENROLLED",
            }
            for row in rows[:limit]
            if eligibility.of(self._circumstances(row))
        ]
        return items, rows[limit - 1].person_id if len(rows) > limit else None

    async def _policy(self, connection: Connection, year: int, division: str) -> Policy:
        years: YearPolicies = (await self._policies.load(connection, [year]))[year]
        policy = years.of(division)
        if isinstance(policy, Refusal):
            raise ProblemError(policy)
        return policy

    async def _of_insurance(
        self,
        connection: Connection,
        policy: Policy,
        year: int,
        insurance: Insurance,
        division: str,
        villages: bool,
    ) -> list[dict[str, Any]]:
        eligibility = domain.Eligibility(policy.pack, insurance, age_on(policy))
        targets = domain.targets_of(policy.pack, insurance)
        measures = {domain.Band(target.age_from, target.age_to): target for target in targets}
        bands = list(dict.fromkeys([domain.Band(), *measures]))
        groups = await self._groups(connection, year, insurance, division, villages)
        counts = domain.count_groups(groups, eligibility, bands)
        before = await self._before(connection, year, insurance, division, eligibility, villages)
        items = []
        for band in bands:
            mine = {village: count for (village, held), count in counts.items() if held == band}
            whole = domain.Count(
                sum(count.eligible for count in mine.values()),
                sum(count.enrolled for count in mine.values()),
                sum(count.paid for count in mine.values()),
            )
            target = measures.get(band)
            for village, count in [("", whole), *(sorted(mine.items()) if villages else ())]:
                items.append(
                    {
                        "village": village,
                        "insurance": insurance.value,
                        "band": band.label,
                        "eligible": count.eligible,
                        "enrolled": count.enrolled,
                        "paid": count.paid,
                        "paid_over_eligible": count.paid_over_eligible,
                        "paid_over_enrolled": count.paid_over_enrolled,
                        "measure": target.measure if target is not None else "",
                        "clause": target.clause if target is not None else "",
                        "rate": count.rate(target.measure if target is not None else ""),
                        "target_percent": target.percent if target is not None else None,
                        "last_year_rate": before.get(village) if band == domain.Band() else None,
                    }
                )
        return items

    async def _before(
        self,
        connection: Connection,
        year: int,
        insurance: Insurance,
        division: str,
        eligibility: domain.Eligibility,
        villages: bool,
    ) -> dict[str, float]:
        """Last year's paid ÷ eligible per village and, under "", of the division; empty when nobody paid
        here for that year (D-53: 参保缴费率不降低)."""
        if not await self._known(connection, year - 1, insurance):
            return {}
        groups = await self._groups(connection, year - 1, insurance, division, villages)
        on = domain.a_year_before(eligibility.on)
        earlier = domain.Eligibility(eligibility.pack, insurance, on)
        counts = domain.count_groups(groups, earlier, [domain.Band()])
        if not any(count.paid for count in counts.values()):
            return {}
        rates = {village: count.paid_over_eligible for (village, _), count in counts.items()}
        eligible = sum(count.eligible for count in counts.values())
        paid = sum(count.paid for count in counts.values())
        return rates | {"": paid / eligible if eligible else 0.0}


def age_on(policy: Policy) -> Any:
    """Ages count on the last day of the window, extended or not (D-05)."""
    return policy.extended_to or policy.pack.window("medical").end


def router(coverage: Coverage, database: Database, vault: Vault) -> APIRouter:
    """``/coverage`` and ``/coverage/missing``."""
    routes = APIRouter(tags=["coverage 应保尽保"])

    @routes.get("/coverage", summary="参保缴费率 / Rates by the plan's measures, per village")
    async def rates(
        caller: Reader,
        year: Year,
        division: Division,
        villages: Annotated[bool, Query(description="分村 / by village")] = True,
    ) -> Response:
        require_division(caller, division)
        return json_response(await coverage.rates(year, division, villages))

    @routes.get("/coverage/missing", summary="应保未保名单 / Who could be insured and is not")
    async def missing(
        caller: Reader,
        year: Year,
        insurance: Insurance,
        division: Division,
        after: Annotated[str, Query(max_length=64, description="上一页的 next / next of the last page")] = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        require_division(caller, division)
        items, following = await coverage.missing(year, insurance, division, after, limit)
        if caller.allows(IDENTITY_SCOPE):
            async with database.read() as connection:
                known = await vault.identities(connection, [item["person_id"] for item in items])
            for item in items:
                identity = known.get(item["person_id"])
                item["name"] = identity.name if identity is not None else ""
        return json_response({"items": items, "next": following})

    return routes
