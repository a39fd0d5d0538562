"""What registration learns later reaches collection where a rule needs it: cover elsewhere, identities."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.collection.app import SERVICE
from shared.contracts.registration import (
    EmployeeInsuranceReportedV1,
    OutOfAreaCoverReportedV1,
    RegistrationInfoTransmittedV1,
    SpecialIdentityMarkedV1,
    SpecialIdentityRemovedV1,
)
from shared.kernel.insurance import Insurance
from shared.testing.service import memory_service
from tests.integration.collection.conftest import World

MEDICAL, PENSION = Insurance.MEDICAL, Insurance.PENSION
CAMPAIGN, VILLAGE = "370404-2023", "370404001201"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """YC-2023's campaign, and p1 enrolled for both insurances."""
    async with memory_service(SERVICE, today=dt.date(2022, 10, 21)) as service:
        world = World(service)
        await world.post("/packs", {"pack_id": "YC-2023", "maker": "tax-01"}, 201)
        await world.post("/packs/YC-2023:publish", {"campaign": CAMPAIGN, "approver": "tax-02"})
        await world.post("/campaigns", {"campaign": CAMPAIGN, "pack_id": "YC-2023"}, 201)
        await world.receive(enrolled(MEDICAL), enrolled(PENSION))
        yield world


def enrolled(insurance: Insurance) -> RegistrationInfoTransmittedV1:
    return RegistrationInfoTransmittedV1(
        person_id="p1",
        record_no=f"{insurance.value}-2023-p1",
        record_version=1,
        insurance=insurance,
        year=2023,
        status="ACTIVE",
        route="HUKOU",
        period_from=dt.date(2023, 1, 1),
        period_to=dt.date(2023, 12, 31),
        birth=dt.date(1980, 5, 1),
        sex="F",
        division=VILLAGE,
        hukou_division=VILLAGE,
    )


def employed(insurance: Insurance, to_date: dt.date | None = None) -> EmployeeInsuranceReportedV1:
    return EmployeeInsuranceReportedV1(
        person_id="p1", insurance=insurance, from_date=dt.date(2022, 11, 1), to_date=to_date
    )


def marked(category: str, insurance: Insurance = PENSION) -> SpecialIdentityMarkedV1:
    return SpecialIdentityMarkedV1(
        person_id="p1",
        category=category,
        source_department="VETERANS",
        valid_from=dt.date(2023, 1, 1),
        valid_to=dt.date(2023, 12, 31),
        insurance=insurance,
        year=2023,
    )


async def owed(world: World) -> dict[str, tuple[int, str]]:
    page = await world.get("/obligations", campaign=CAMPAIGN, village=VILLAGE)
    return {row["insurance"]: (row["personal_fen"], row["refused"]) for row in page["items"]}


async def choose(world: World, expect: int) -> Any:
    tier = {"person_id": "p1", "year": 2023, "campaign": CAMPAIGN, "tier_yuan": 100}
    return await world.post("/tiers", tier, expect)


async def test_who_took_a_job_is_not_charged_for_that_insurance(world: World) -> None:
    """I-05, D-34: judged per insurance; a spell that ended before the year leaves the assessment."""
    assert (await owed(world))["medical"] == (35_000, "")
    await world.receive(employed(MEDICAL, dt.date(2022, 12, 31)))
    assert (await owed(world))["medical"] == (35_000, "")
    await world.receive(employed(MEDICAL))
    assert (await owed(world))["medical"] == (0, "I-05")
    await world.receive(employed(MEDICAL, dt.date(2022, 12, 15)))
    assert (await owed(world))["medical"] == (35_000, ""), "the spell's end became known"
    await world.receive(employed(PENSION))
    assert (await owed(world))["medical"] == (35_000, "")


async def test_who_paid_elsewhere_is_not_charged_again(world: World) -> None:
    """004:L80-82: cover of 2023 in another pooling area; another year does not count."""
    elsewhere = OutOfAreaCoverReportedV1(person_id="p1", insurance=MEDICAL, region="3702", year=2022)
    await world.receive(elsewhere)
    assert (await owed(world))["medical"] == (35_000, "")
    await world.receive(OutOfAreaCoverReportedV1(person_id="p1", insurance=MEDICAL, region="3702", year=2023))
    assert (await owed(world))["medical"] == (0, "I-05")


async def test_a_fact_that_comes_before_the_link_counts_too() -> None:
    """I-05: messages of two topics have no order; the person's stream keeps what was learned."""
    async with memory_service(SERVICE, today=dt.date(2022, 10, 21)) as service:
        world = World(service)
        await world.post("/packs", {"pack_id": "YC-2023", "maker": "tax-01"}, 201)
        await world.post("/packs/YC-2023:publish", {"campaign": CAMPAIGN, "approver": "tax-02"})
        await world.post("/campaigns", {"campaign": CAMPAIGN, "pack_id": "YC-2023"}, 201)
        await world.receive(employed(MEDICAL))
        await world.receive(enrolled(MEDICAL))
        assert (await owed(world))["medical"] == (0, "I-05")


async def test_a_hardship_group_may_choose_the_lowest_tier_and_pays_it(world: World) -> None:
    """004:L90-94, 004:L98: 优抚 may choose 100 and pays it himself; it is not paid for, and nobody else may."""
    refused = await choose(world, 422)
    assert "LOWEST_TIER_GROUPS" in (refused["code"], refused["rule"])
    await world.receive(marked("PREFERENTIAL", MEDICAL))
    await choose(world, 422)
    await world.receive(marked("PREFERENTIAL"))
    await choose(world, 201)
    assert (await owed(world))["pension"] == (10_000, "")
    page = await world.get("/obligations", campaign=CAMPAIGN, village=VILLAGE, insurance="pension")
    assert [row["category"] for row in page["items"]] == ["PREFERENTIAL"], "why the tier is his (I-13)"
    removed = SpecialIdentityRemovedV1(
        person_id="p1",
        category="PREFERENTIAL",
        source_department="VETERANS",
        from_date=dt.date(2022, 11, 1),
        insurance=PENSION,
        year=2023,
    )
    await world.receive(removed)
    assert (await owed(world))["pension"] == (0, "LOWEST_TIER_GROUPS")


async def test_whom_the_government_pays_for_waits_for_subsidys_word(world: World) -> None:
    """I-31: an identity the government pays for opens no tier here; only a resolved entitlement does."""
    await world.receive(marked("MINIMUM_LIVING"))
    await choose(world, 422)
