"""From linking to the final roster, through the routes, in memory (scenario 1 up to its step 3)."""

from __future__ import annotations

import datetime as dt

from shared.contracts.notification import RosterNoticeClosedV1, RosterObjectionRaisedV1
from shared.contracts.registration import DeathReportedV1
from shared.contracts.subsidy import SubsidyEntitlementResolvedV1
from shared.kernel.insurance import Insurance, Leg, Payer
from tests.integration.collection.conftest import CAMPAIGN, ROSTER, VILLAGE, World, registration

MEDICAL, PENSION = Insurance.MEDICAL, Insurance.PENSION


async def three_persons(world: World) -> None:
    """p1 and p2 ordinary, p3 on the minimum living allowance; p1 also pays a pension of 300."""
    await world.receive(
        registration("p1", MEDICAL),
        registration("p1", PENSION),
        registration("p2", MEDICAL),
        registration("p3", MEDICAL),
        SubsidyEntitlementResolvedV1(
            person_id="p3",
            insurance=MEDICAL,
            year=2020,
            campaign=CAMPAIGN,
            version=1,
            category="MINIMUM_LIVING",
            department="CIVIL_AFFAIRS",
            standard_fen=26000,
            legs=(Leg(Payer.FINANCE, 26000),),
        ),
    )
    await world.post("/tiers", {"person_id": "p1", "year": 2020, "campaign": CAMPAIGN, "tier_yuan": 300}, 201)


async def dispatched(world: World) -> None:
    """The roster of the three persons, reviewed by two and published."""
    await three_persons(world)
    await world.post("/rosters", {"campaign": CAMPAIGN, "village": VILLAGE}, 201)
    await world.post(f"/rosters/{ROSTER}:review", {"role": "TAX_BRANCH", "actor": "t1"})
    await world.post(
        f"/rosters/{ROSTER}:review", {"role": "TOWN_AGENCY", "actor": "a1"}, organisation="town-agency"
    )
    await world.post(f"/rosters/{ROSTER}:publish", {"to": "TOWN_AGENCY"})


def notice_closed(version: int = 1) -> RosterNoticeClosedV1:
    return RosterNoticeClosedV1(
        village=VILLAGE,
        campaign=CAMPAIGN,
        notice_id=f"N-ROSTER-{ROSTER}-{version}",
        roster_id=ROSTER,
        roster_version=version,
        closed_on=dt.date(2019, 10, 29),
    )


async def test_three_persons_from_linking_to_the_final_roster(opened: World) -> None:
    """002:L134-148: list, two reviews, roster, notice, amendment, final; 260 × 2 + 300 due, 260 from finance."""
    world = opened
    await dispatched(world)
    obligations = await world.get("/obligations", campaign=CAMPAIGN, village=VILLAGE)
    owed = {(row["person_id"], row["insurance"]): row["personal_fen"] for row in obligations["items"]}
    assert owed == {
        ("p1", "medical"): 26000,
        ("p1", "pension"): 30000,
        ("p2", "medical"): 26000,
        ("p3", "medical"): 0,
    }
    roster = await world.get(f"/rosters/{ROSTER}")
    assert (roster["state"], roster["count"]) == ("DISPATCHED", 4)
    assert (roster["standard_fen"], roster["personal_fen"]) == (108000, 82000)

    refused = await world.post(f"/rosters/{ROSTER}:finalise", {}, 409)
    assert refused["rule"] == "NOTICE_OPEN"
    await world.receive(notice_closed())

    await world.receive(registration("p4", MEDICAL))
    amended = await world.post(
        f"/rosters/{ROSTER}:amend", {"add": [{"person_id": "p4", "insurance": "medical"}]}
    )
    assert (amended["version"], amended["count"], amended["personal_fen"]) == (2, 5, 108000)
    final = await world.post(f"/rosters/{ROSTER}:finalise", {})
    assert final["final"] is True
    status = await world.get(f"/rosters/{ROSTER}")
    assert (status["state"], status["version"], status["notice_closed"]) == ("FINAL", 2, True)

    names = [type(message).__name__ for message in await world.messages()]
    for name, times in {
        "CampaignOpenedV1": 1,
        "RegistrationLinkedV1": 5,
        "CollectionRosterFormedV1": 1,
        "RosterLinesFormedV1": 2,
        "RosterDispatchedV1": 1,
        "RosterAmendedV1": 1,
        "RosterFinalizedV1": 1,
    }.items():
        assert names.count(name) == times, name


async def test_a_death_takes_the_line_off_before_the_roster_is_final(opened: World) -> None:
    """I-08: nobody dead on a final roster; amending takes him off unnamed."""
    world = opened
    await dispatched(world)
    await world.receive(
        notice_closed(),
        DeathReportedV1(
            person_id="p2", date=dt.date(2019, 10, 20), source="CIVIL_AFFAIRS", batch_month="2019-10"
        ),
    )
    stale = await world.post(f"/rosters/{ROSTER}:finalise", {}, 409)
    assert stale["rule"] == "ROSTER_STALE"
    amended = await world.post(f"/rosters/{ROSTER}:amend", {})
    assert amended["count"] == 3
    await world.post(f"/rosters/{ROSTER}:finalise", {})
    lines = await world.get(f"/rosters/{ROSTER}/lines")
    assert {line["person_id"] for line in lines["items"]} == {"p1", "p3"}


async def test_an_open_objection_keeps_the_roster_from_being_final(opened: World) -> None:
    """I-09: every objection is resolved first; its outcome is published once."""
    world = opened
    await dispatched(world)
    await world.receive(
        RosterObjectionRaisedV1(
            village=VILLAGE,
            campaign=CAMPAIGN,
            objection_id="O-1",
            notice_id=f"N-ROSTER-{ROSTER}-1",
            roster_id=ROSTER,
            person_id="p1",
            insurance=MEDICAL,
            claim="WRONG_AMOUNT",
        ),
        notice_closed(),
    )
    refused = await world.post(f"/rosters/{ROSTER}:finalise", {}, 409)
    assert refused["rule"] == "OBJECTIONS_OPEN"
    body = {"roster_id": ROSTER, "outcome": "REJECTED", "finding": "核对无误 / checked"}
    await world.post("/objections/O-1:resolve", body)
    await world.post("/objections/O-1:resolve", body)
    await world.post(f"/rosters/{ROSTER}:finalise", {})
    resolved = [m for m in await world.messages() if type(m).__name__ == "ObjectionResolvedV1"]
    assert len(resolved) == 1


async def test_who_enrols_after_the_final_roster_goes_on_a_supplement(opened: World) -> None:
    """D-46: a supplementary roster with a notice of its own."""
    world = opened
    await dispatched(world)
    await world.receive(notice_closed())
    await world.post(f"/rosters/{ROSTER}:finalise", {})
    await world.receive(registration("p9", MEDICAL))
    formed = await world.post(f"/rosters/{ROSTER}:supplement", {}, 201)
    assert (formed["version"], formed["supplements"], formed["count"]) == (2, 1, 5)
    await world.post(f"/rosters/{ROSTER}:publish", {"supplement": 1})
    roster = await world.get(f"/rosters/{ROSTER}")
    assert roster["supplements"][0]["notice_closed"] is False
    await world.receive(notice_closed(2))
    roster = await world.get(f"/rosters/{ROSTER}")
    assert roster["supplements"][0]["notice_closed"] is True
    sent = [m for m in await world.messages() if type(m).__name__ == "RosterDispatchedV1"]
    assert [message.supplementary for message in sent] == [False, True]  # type: ignore[attr-defined]


async def test_the_roster_is_exported_without_names_unless_allowed(opened: World) -> None:
    """The file holds persons by number of the system; the name column stays empty without the scope."""
    world = opened
    await dispatched(world)
    answer = await world.fetch(f"/rosters/{ROSTER}/export.csv")
    assert answer.status_code == 200
    rows = answer.content.decode("utf-8-sig").split("\r\n")
    assert rows[0].startswith("人员编号,姓名")
    assert rows[1].split(",")[:3] == ["p1", "", "居民医疗保险"]
    assert len(rows) == 6
