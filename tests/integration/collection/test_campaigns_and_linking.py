"""Campaigns, links, households, agents and assessments through the routes and messages."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from services.collection import app
from shared.contracts.registration import SpecialPaymentAssessedV1
from shared.contracts.subsidy import SubsidyEntitlementResolvedV1, SubsidyEntitlementRevokedV1
from shared.kernel.insurance import Insurance, Leg, Payer
from shared.policy import load_pack, revise
from shared.policy.registry import PackRegistry
from shared.testing.http import assert_every_route_needs_a_token, assert_openapi_is_complete
from shared.testing.service import memory_service
from tests.integration.collection.conftest import (
    CAMPAIGN,
    OPENED,
    SCOPES,
    VILLAGE,
    World,
    registration,
)

MEDICAL, PENSION = Insurance.MEDICAL, Insurance.PENSION


async def obligation(world: World, person_id: str, insurance: Insurance = MEDICAL) -> dict[str, object]:
    found = await world.get("/obligations", campaign=CAMPAIGN, person_id=person_id, insurance=insurance.value)
    assert len(found["items"]) == 1, found
    item: dict[str, object] = found["items"][0]
    return item


async def test_every_route_needs_a_token_and_is_described(world: World) -> None:
    """architecture §6: 401 on every route, OpenAPI complete."""
    assert await assert_every_route_needs_a_token(world.service.app) > 30
    assert_openapi_is_complete(world.service.app)


async def test_the_campaign_moves_through_its_phases_with_the_days(opened: World) -> None:
    """D-25: collection from 10-26, a gap from 11-21, treasury from 11-26, closed after 12-20."""
    world = opened
    assert (await world.get(f"/campaigns/{CAMPAIGN}"))["phase"] == "COLLECTION"
    await world.service.begin_day(dt.date(2019, 11, 22))
    assert (await world.get(f"/campaigns/{CAMPAIGN}"))["phase"] == "COLLECTION"
    await world.service.begin_day(dt.date(2019, 11, 26))
    assert (await world.get(f"/campaigns/{CAMPAIGN}"))["phase"] == "TREASURY"
    extended = {"new_end": "2019-12-31", "reason": "系统维护 / outage", "authority": "区税务局"}
    await world.post(f"/campaigns/{CAMPAIGN}:extend", extended)
    await world.service.begin_day(dt.date(2019, 12, 31))
    assert (await world.get(f"/campaigns/{CAMPAIGN}"))["closed_on"] is None
    await world.service.begin_day(dt.date(2020, 1, 1))
    assert (await world.get(f"/campaigns/{CAMPAIGN}"))["closed_on"] == "2020-01-01"


async def test_targets_add_up_to_the_districts_total(opened: World) -> None:
    """I-02, FACTS 7.1: 437,854 persons × 260 yuan = 113,842,040 yuan over ten rows; one fen off is refused."""
    table = load_pack("ST-2020").task_table
    assert table is not None
    rows = [
        {
            "division": row.division,
            "name": row.name,
            "insurance": "medical",
            "persons": row.medical_persons,
            "amount_fen": (row.medical_amount_yuan or 0) * 100,
        }
        for row in table.rows
    ]
    body = {"rows": rows, "stated_total_persons": 437854, "stated_total_amount": 11384204000}
    wrong = {**body, "stated_total_amount": 11384204001}
    refused = await opened.post(f"/campaigns/{CAMPAIGN}/targets", wrong, 422)
    assert (refused["code"], refused["field"]) == ("TARGET_MISMATCH", "stated_total_amount")
    await opened.post(f"/campaigns/{CAMPAIGN}/targets", body, 201)
    targets = (await opened.get(f"/campaigns/{CAMPAIGN}"))["targets"]
    assert sum(row["amount"] for row in targets) == 11384204000


async def test_people_linked_before_the_opening_are_assessed_at_the_opening(world: World) -> None:
    """EVENTS 4: assessed on linking, at CampaignOpened for those already linked."""
    await world.receive(registration("p1", MEDICAL), registration("p2", MEDICAL))
    assert (await world.get("/obligations", campaign=CAMPAIGN))["items"] == []
    await world.post("/packs", {"pack_id": "ST-2020", "maker": "tax-01"}, 201)
    await world.post("/packs/ST-2020:publish", {"campaign": CAMPAIGN, "approver": "tax-02"})
    await world.post("/campaigns", {"campaign": CAMPAIGN, "pack_id": "ST-2020"}, 201)
    found = await world.get("/obligations", campaign=CAMPAIGN)
    assert [item["personal_fen"] for item in found["items"]] == [26000, 26000]


async def test_every_transmitted_version_gets_one_answer(opened: World) -> None:
    """EVENTS 1: accepted, cancelled, an old version and a village of no campaign: four answers."""
    world = opened
    await world.receive(registration("p1", MEDICAL, version=2))
    assert (await obligation(world, "p1"))["personal_fen"] == 26000
    await world.receive(
        registration("p1", MEDICAL, version=1),
        registration("p1", MEDICAL, version=3, status="CANCELLED"),
        registration("p2", MEDICAL, village="110101001001"),
    )
    answers = [
        (type(message).__name__, message.record_version, getattr(message, "error", ""))
        for message in await world.messages()
        if type(message).__name__.startswith(("RegistrationInfo", "RegistrationLinked"))
        and hasattr(message, "record_version")
    ]
    assert answers == [
        ("RegistrationLinkedV1", 2, ""),
        ("RegistrationInfoRejectedV1", 1, "VERSION_STALE"),
        ("RegistrationInfoAcceptedV1", 3, ""),
        ("RegistrationInfoRejectedV1", 1, "NO_CAMPAIGN"),
    ]
    owed = await obligation(world, "p1")
    assert (owed["refused"], owed["personal_fen"]) == ("ENROLMENT_CANCELLED", 0)


async def test_entitlements_resolved_and_revoked_reassess_the_unpaid(opened: World) -> None:
    """I-12: all of it from finance while entitled; the full standard when revoked; an old version is no matter."""
    world = opened
    resolved = SubsidyEntitlementResolvedV1(
        person_id="p1",
        insurance=MEDICAL,
        year=2020,
        campaign=CAMPAIGN,
        version=1,
        category="MINIMUM_LIVING",
        department="CIVIL_AFFAIRS",
        standard_fen=26000,
        legs=(Leg(Payer.FINANCE, 26000),),
    )
    await world.receive(resolved)
    await world.receive(registration("p1", MEDICAL))
    first = await obligation(world, "p1")
    assert (first["personal_fen"], first["government_fen"], first["version"]) == (0, 26000, 1)
    revoked = SubsidyEntitlementRevokedV1(
        person_id="p1",
        insurance=MEDICAL,
        year=2020,
        campaign=CAMPAIGN,
        version=2,
        reason="STATUS_END",
        from_date=OPENED,
    )
    await world.receive(revoked, resolved)
    second = await obligation(world, "p1")
    assert (second["personal_fen"], second["version"]) == (26000, 2)


async def test_a_pension_has_no_amount_before_a_tier_and_government_pays_the_lowest(opened: World) -> None:
    """I-13, D-54: a tier is asked for; 100 only for listed groups; who is paid for stands at 100 by himself."""
    world = opened
    await world.receive(registration("p1", PENSION), registration("p2", PENSION))
    assert (await world.get("/obligations", campaign=CAMPAIGN))["items"] == []
    body = {"person_id": "p1", "year": 2020, "campaign": CAMPAIGN, "tier_yuan": 100}
    refused = await world.post("/tiers", body, 422)
    assert (refused["code"], refused["rule"]) == ("TIER_NOT_ALLOWED", "LOWEST_TIER_GROUPS")
    refused = await world.post("/tiers", {**body, "tier_yuan": 350}, 422)
    assert refused["rule"] == "TIER_NOT_IN_PACK"
    chosen = await world.post("/tiers", {**body, "tier_yuan": 800}, 201)
    assert (chosen["personal_fen"], chosen["assessment_id"]) == (80000, "2020-pension-p1-1")
    owed = await obligation(world, "p1", PENSION)
    assert (owed["tier_yuan"], owed["matching_subsidy_fen"]) == (800, 6000)
    await world.receive(
        SubsidyEntitlementResolvedV1(
            person_id="p2",
            insurance=PENSION,
            year=2020,
            campaign=CAMPAIGN,
            version=1,
            category="SEVERELY_DISABLED",
            department="DISABLED_FEDERATION",
            standard_fen=10000,
            legs=(Leg(Payer.FINANCE, 10000),),
        )
    )
    paid_for = await obligation(world, "p2", PENSION)
    assert (paid_for["personal_fen"], paid_for["government_fen"], paid_for["tier_yuan"]) == (0, 10000, 100)


async def test_tiers_are_imported_in_bulk_with_an_outcome_per_row(opened: World) -> None:
    """202, a job, and the refused row by number and rule."""
    world = opened
    await world.receive(registration("p1", PENSION), registration("p2", PENSION))
    rows = [
        {"person_id": person, "year": 2020, "campaign": CAMPAIGN, "tier_yuan": tier}
        for person, tier in (("p1", 300), ("p2", 100), ("p3", 300))
    ]
    body = b"\n".join(msgspec.json.encode(row) for row in rows)
    async with world.service.client(SCOPES, organisation="town-agency") as client:
        accepted = await client.post(
            "/tiers:import",
            content=body,
            headers={"Idempotency-Key": "file-1", "Content-Type": "application/x-ndjson"},
        )
        assert accepted.status_code == 202, accepted.text
        await world.service.settle()
        job = (await client.get(accepted.headers["Location"])).json()
        failures = await client.get(job["failures"])
    assert (job["state"], job["accepted"], job["refused"]) == ("DONE", 1, 2)
    assert "LOWEST_TIER_GROUPS" in failures.text
    assert "NOT_LINKED" in failures.text


async def test_a_special_assessment_is_collected_exactly_as_registration_made_it(opened: World) -> None:
    """I-31: the amount and its validity are registration's."""
    world = opened
    await world.receive(registration("p1", MEDICAL))
    await world.receive(
        SpecialPaymentAssessedV1(
            person_id="p1",
            assessment_no="S-1",
            kind="LATE",
            insurance=MEDICAL,
            year=2020,
            personal_fen=78000,
            valid_to=dt.date(2020, 2, 29),
        )
    )
    owed = await obligation(world, "p1")
    assert (owed["personal_fen"], owed["version"]) == (78000, 2)


async def test_a_household_collects_for_everyone_in_its_scope(opened: World) -> None:
    """002:L126-130: register, scope, link those there and those who come; the agent has a unit account."""
    world = opened
    await world.receive(registration("p1", MEDICAL))
    household = {
        "virtual_household_id": "VH-1",
        "campaign": CAMPAIGN,
        "unit_id": "U-1",
        "name": "店子镇养老医保管理所",
        "villages": [VILLAGE],
    }
    await world.post("/virtual-households", household, 201)
    scope = {"insurances": ["medical", "pension"], "divisions": [VILLAGE]}
    await world.post("/virtual-households/VH-1:assign-scope", scope)
    await world.receive(registration("p2", MEDICAL))
    for person_id in ("p1", "p2"):
        links = (await world.get(f"/taxpayers/{person_id}"))["links"]
        assert [link["virtual_household_id"] for link in links] == ["VH-1"]
    agent = {
        "agent_id": "A-1",
        "campaign": CAMPAIGN,
        "village": VILLAGE,
        "virtual_household_id": "VH-1",
        "unit": "U-1",
        "designated_account_ref": "ACC-1",
        "account_type": "PERSONAL",
        "channels": ["CASH_AGENT"],
    }
    refused = await world.post("/agents", agent, 201)
    assert (refused["status"], refused["rule"]) == ("REFUSED", "PERSONAL_ACCOUNT")
    authorized = await world.post("/agents", {**agent, "account_type": "UNIT"}, 201)
    assert authorized["status"] == "AUTHORIZED"
    revoke = {"campaign": CAMPAIGN, "reason": "换届 / new committee"}
    async with world.service.client(SCOPES, divisions=["370406102"]) as elsewhere:
        answer = await elsewhere.post(
            "/agents/A-1:revoke", json=revoke, headers={"Idempotency-Key": "elsewhere"}
        )
    assert (answer.status_code, answer.json()["code"]) == (403, "DIVISION_FORBIDDEN")
    await world.post("/agents/A-1:revoke", revoke)
    agents = (await world.get("/virtual-households/VH-1"))["agents"]
    assert [(row["agent_id"], row["active"]) for row in agents] == [("A-1", False)]


async def test_a_quote_is_the_packs_answer(opened: World) -> None:
    """Interfaces: the same answer as the command line's assess; a refusal stands inside."""
    body = {
        "campaign": CAMPAIGN,
        "insurance": "medical",
        "birth": "1955-01-01",
        "paid_at": "2019-11-01",
        "channel": "CASH_AGENT",
        "categories": ["低保"],
    }
    quoted = await opened.post("/assessments:quote", body)
    assert (quoted["outcome"], quoted["standard_fen"], quoted["personal_fen"]) == ("nothing_due", 26000, 0)
    late = await opened.post("/assessments:quote", {**body, "paid_at": "2020-01-05", "categories": []})
    assert (late["outcome"], late["refusal"]["rule"]) == ("refused", "FISCAL_SUBSIDY_UNKNOWN")
    unknown = await opened.post("/assessments:quote", {**body, "campaign": None, "pack": "XX-2020"}, 404)
    assert unknown["field"] == "pack"


async def test_a_revised_pack_reassesses_the_unpaid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenario 14, D-06: the unpaid are reassessed by the new version, by event; four eyes here too."""
    shipped = load_pack("ST-2020")
    second = revise(shipped, {"listed_60_69_yuan": 100}, "EXT:test")
    packs = PackRegistry([shipped, second])
    monkeypatch.setattr(app, "open_registry", lambda _: packs)
    async with memory_service(app.SERVICE, today=OPENED) as service:
        await _revise(World(service))


async def _revise(world: World) -> None:
    await world.post("/packs", {"pack_id": "ST-2020", "version": 1, "maker": "tax-01"}, 201)
    publish = {"campaign": CAMPAIGN, "approver": "tax-02", "version": 1}
    await world.post("/packs/ST-2020:publish", publish)
    await world.post("/campaigns", {"campaign": CAMPAIGN, "pack_id": "ST-2020", "pack_version": 1}, 201)
    await world.receive(registration("p1", MEDICAL))
    await world.post("/packs", {"pack_id": "ST-2020", "version": 2, "maker": "tax-01"}, 201)
    revision = {**publish, "version": 2, "effective_from": "2019-11-01", "source": "鲁人社字〔2019〕1号"}
    refused = await world.post("/packs/ST-2020:revise", {**revision, "approver": "tax-01"}, 422)
    assert refused["code"] == "FOUR_EYES"
    await world.post("/packs/ST-2020:revise", revision)
    assert (await world.get(f"/campaigns/{CAMPAIGN}"))["pack_version"] == 2
    owed = await obligation(world, "p1")
    assert owed["version"] == 2
    revised = [m for m in await world.messages() if type(m).__name__ == "ContributionAssessedV1"]
    assert [message.pack_version for message in revised] == [1, 2]  # type: ignore[attr-defined]


async def test_what_may_not_be_seen_or_done_elsewhere_is_forbidden(opened: World) -> None:
    """architecture §6: scopes per organisation and division, on reads and writes alike."""
    world = opened
    await world.receive(registration("p1", MEDICAL), registration("p1", PENSION))
    paths = [
        f"/obligations?campaign={CAMPAIGN}",
        f"/obligations?campaign={CAMPAIGN}&village={VILLAGE}",
        "/taxpayers/p1",
        f"/rosters/{CAMPAIGN}.{VILLAGE}",
        f"/rosters/{CAMPAIGN}.{VILLAGE}/lines",
        f"/rosters/{CAMPAIGN}.{VILLAGE}/export.csv",
        f"/rosters?campaign={CAMPAIGN}",
    ]
    tier = {"person_id": "p1", "year": 2020, "campaign": CAMPAIGN, "tier_yuan": 300}
    posts = [
        ("/tiers", tier),
        ("/rosters", {"campaign": CAMPAIGN, "village": VILLAGE}),
        (f"/campaigns/{CAMPAIGN}:extend", {"new_end": "2019-12-31", "reason": "r", "authority": "a"}),
    ]
    async with world.service.client(SCOPES, divisions=["370406102"]) as elsewhere:
        for path in paths:
            answer = await elsewhere.get(path)
            assert (answer.status_code, answer.json()["code"]) == (403, "DIVISION_FORBIDDEN"), path
        for path, body in posts:
            answer = await elsewhere.post(path, json=body, headers={"Idempotency-Key": f"else {path}"})
            assert (answer.status_code, answer.json()["code"]) == (403, "DIVISION_FORBIDDEN"), path
    async with world.service.client([]) as nobody:
        assert (await nobody.get(paths[0])).json()["code"] == "INSUFFICIENT_SCOPE"


async def test_repeated_requests_are_answered_once(opened: World) -> None:
    """architecture §3: same key and body replays the answer; same key and other body is refused; no key is 400."""
    world = opened
    await world.receive(registration("p1", PENSION))
    body = {"person_id": "p1", "year": 2020, "campaign": CAMPAIGN, "tier_yuan": 300}
    async with world.service.client(SCOPES) as client:
        first = await client.post("/tiers", json=body, headers={"Idempotency-Key": "k"})
        again = await client.post("/tiers", json=body, headers={"Idempotency-Key": "k"})
        other = await client.post("/tiers", json={**body, "tier_yuan": 500}, headers={"Idempotency-Key": "k"})
        missing = await client.post("/tiers", json=body)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.content == first.content
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert (missing.status_code, missing.json()["code"]) == (400, "IDEMPOTENCY_KEY_MISSING")
