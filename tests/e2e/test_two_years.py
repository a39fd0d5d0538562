"""EVENTS scenario 13: two years on the same databases; the second follows from what the first booked (D-12)."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.composition import composed
from tests.e2e.years import OTHER, VILLAGE, Years, campaign_of, write_next_year

FIRST, SECOND = 2025, 2026
Y1, Y2 = campaign_of(FIRST), campaign_of(SECOND)
OPENED_1, PAID_1 = dt.date(2024, 9, 2), dt.date(2024, 10, 15)
SIGNED_1 = dt.date(2025, 1, 1)
OPENED_2, PAID_2 = dt.date(2025, 9, 1), dt.date(2025, 9, 5)
PEOPLE = {
    "ann": dt.date(1980, 5, 6),
    "bob": dt.date(1965, 6, 1),
    "cat": dt.date(1955, 3, 1),
    "dan": dt.date(1978, 1, 1),
    "eve": dt.date(1979, 1, 1),
    "fay": dt.date(1990, 1, 1),
    "hal": dt.date(1985, 1, 1),
    "ivy": dt.date(1970, 1, 1),
}


@pytest.fixture
async def years(tmp_path: Path) -> AsyncIterator[Years]:
    """The first year collected: history loaded, all but hal paid, everything booked."""
    async with composed(seed=7, today=dt.date(2024, 8, 31), packs=tmp_path) as system:
        first = Years(system)
        await _first_year(first)
        write_next_year(tmp_path)
        yield first


async def _first_year(years: Years) -> None:
    await years.day(OPENED_1)
    await years.open("SC-2025", FIRST)
    for name, born in PEOPLE.items():
        await years.register(name, born)
    for name in PEOPLE:
        if name != "ivy":
            pension = name in ("ann", "bob")
            insurances = ("medical", "pension") if pension else ("medical",)
            await years.enrol(name, FIRST, *insurances, tier_yuan=350 if pension else 0)
    lines = [
        {"person_id": years.persons[name], "insurance": "medical", "paid_fen": 38_000}
        for name in ("ann", "cat", "ivy")
    ]
    history = {"year": 2024, "village": VILLAGE, "source": "金三", "lines": lines}
    await years.post("tax", "collection", "/history", history)
    await years.day(PAID_1)
    for (name, insurance), fen in (await years.owed(FIRST)).items():
        if fen and name != "hal":
            reply = await years.pay(name, insurance, FIRST, fen, PAID_1)
            assert reply.status == 201, reply.body
    await years.settle(PAID_1)


async def _publish_the_first_year(years: Years) -> None:
    """Roster listed, reviewed, final; signed after the window and shown for the plan's 31 days (003:L99)."""
    await years.post("tax-branch", "collection", "/rosters", {"campaign": Y1, "village": VILLAGE})
    roster = f"/rosters/{Y1}.{VILLAGE}"
    for who, role in (("tax-branch", "TAX_BRANCH"), ("town-agency", "TOWN_AGENCY")):
        review = {"role": role, "actor": f"{who}-1"}
        await years.post(who, "collection", f"{roster}:review", review)
    await years.post("town-agency", "collection", f"{roster}:publish", {})
    await years.post("town-agency", "collection", f"{roster}:finalise", {})
    await years.day(SIGNED_1)
    await years.post("village-committee", "collection", f"{roster}:sign", {"actor": "village-01"})
    await years.day(SIGNED_1 + dt.timedelta(days=31))


async def _second_year(years: Years) -> None:
    await _publish_the_first_year(years)
    await years.day(dt.date(2025, 5, 5))
    death = {
        "person_id": years.persons["dan"],
        "date": "2025-05-01",
        "source": "POLICE",
        "batch_month": "2025-05",
    }
    await years.post("police", "registration", "/deaths", death)
    move = {"division": OTHER}
    await years.post("hr", "registration", f"/people/{years.persons['eve']}:correct", move)
    await years.day(OPENED_2)
    await years.open("SC-2026", SECOND)
    await years.register("gus", dt.date(2025, 3, 1))
    await years.enrol("ann", SECOND, "medical", "pension", tier_yuan=350)
    for name in ("bob", "cat", "eve", "hal", "gus"):
        await years.enrol(name, SECOND, "medical")


async def test_the_first_years_roster_knows_the_history_of_a_file(years: Years) -> None:
    """D-12: TAX_HISTORY, from the loaded year 2024; who paid then and is not registered is lapsed."""
    assert await years.history(2024) == {
        ("ann", "medical"): (38_000, "FILE"),
        ("cat", "medical"): (38_000, "FILE"),
        ("ivy", "medical"): (38_000, "FILE"),
    }
    assert await years.lapsed(FIRST) == {("ivy", "medical"): "NOT_REGISTERED"}
    await years.post("tax-branch", "collection", "/rosters", {"campaign": Y1, "village": VILLAGE})
    roster = await years.get("collection", f"/rosters/{Y1}.{VILLAGE}")
    assert (roster["basis"], roster["lapsed_count"]) == ("TAX_HISTORY", 1)


async def test_history_is_what_was_booked_and_published(years: Years) -> None:
    """D-12: hal owed and did not pay, so he is no history; booked legs are, once the village was shown them."""
    proposed = await years.get("collection", f"/campaigns/{Y2}/targets:proposed")
    assert proposed["stated_total_persons"] == {"medical": 0, "pension": 0}, "not published yet"
    await _publish_the_first_year(years)
    assert await years.history(FIRST) == {
        ("ann", "medical"): (40_000, "BOOKED"),
        ("ann", "pension"): (35_000, "BOOKED"),
        ("bob", "medical"): (40_000, "BOOKED"),
        ("bob", "pension"): (35_000, "BOOKED"),
        ("cat", "medical"): (20_000, "BOOKED"),
        ("dan", "medical"): (40_000, "BOOKED"),
        ("eve", "medical"): (40_000, "BOOKED"),
        ("fay", "medical"): (40_000, "BOOKED"),
    }
    proposed = await years.get("collection", f"/campaigns/{Y2}/targets:proposed")
    assert proposed["stated_total_persons"] == {"medical": 6, "pension": 2}


async def test_the_second_year_shows_who_died_moved_lapsed_and_aged(years: Years) -> None:
    """Scenario 13, D-43, D-44: the difference between the years is told apart, and the targets come from it."""
    await _second_year(years)
    proposed = await years.get("collection", f"/campaigns/{Y2}/targets:proposed")
    assert await years.enrol("bob", SECOND, "pension") == ["REJECTED"], "60 on 31 December 2025"
    assert await years.lapsed(SECOND) == {
        ("bob", "pension"): "NOT_REGISTERED",
        ("dan", "medical"): "DIED",
        ("eve", "medical"): "MOVED",
        ("fay", "medical"): "NOT_REGISTERED",
    }
    assert await years.owed(SECOND) == {
        ("ann", "medical"): 40_000,
        ("ann", "pension"): 35_000,
        ("bob", "medical"): 20_000,
        ("cat", "medical"): 0,
        ("gus", "medical"): 40_000,
        ("hal", "medical"): 40_000,
    }
    (changed, moved_in) = (await years.get("collection", f"/campaigns/{Y2}/changes"))["items"]
    assert (changed["village"], changed["continuing"], changed["new"]) == (VILLAGE, 4, 2)
    assert (changed["turned_60"], changed["turned_70"]) == (1, 1)
    assert changed["lapsed"] == {"DIED": 1, "MOVED": 1, "NOT_REGISTERED": 2}
    assert (moved_in["village"], moved_in["new"]) == (OTHER, 1)

    await years.post("tax-branch", "collection", "/rosters", {"campaign": Y2, "village": VILLAGE})
    roster = await years.get("collection", f"/rosters/{Y2}.{VILLAGE}")
    assert (roster["basis"], roster["count"], roster["lapsed_count"]) == ("TAX_HISTORY", 6, 4)
    for insurance, persons in proposed["stated_total_persons"].items():
        table = {
            "rows": [row for row in proposed["rows"] if row["insurance"] == insurance],
            "stated_total_persons": persons,
        }
        await years.post("tax", "collection", f"/campaigns/{Y2}/targets", table)
    targets = (await years.get("collection", f"/campaigns/{Y2}"))["targets"]
    assert {row["insurance"]: row["persons"] for row in targets} == {"medical": 6, "pension": 2}


async def test_late_payers_of_one_year_live_beside_the_next_window(years: Years, tmp_path: Path) -> None:
    """Scenario 13, D-48: hal pays 2025 late and 2026 on time on the same day; both are booked, both covers stand."""
    await _second_year(years)
    await years.day(PAID_2)
    unasked = await years.pay("hal", "medical", FIRST, 40_000, PAID_2)
    assert unasked.body["rule"] == "WINDOW", "a late payment is assessed first (I-31)"
    special = {
        "person_id": years.persons["hal"],
        "insurance": "medical",
        "year": FIRST,
        "kind": "LATE",
        "paid_at": PAID_2.isoformat(),
    }
    await years.post("medical", "registration", "/special-assessments", special)
    for year in (FIRST, SECOND):
        reply = await years.pay("hal", "medical", year, 40_000, PAID_2)
        assert reply.status == 201, reply.body
    ann = await years.pay("ann", "medical", SECOND, 40_000, PAID_2)
    assert ann.status == 201
    again = await years.pay("ann", "medical", FIRST, 40_000, PAID_2, "W-again")
    assert again.body["code"] == "ALREADY_PAID"
    await years.settle(PAID_2)
    assert await years.cover("hal", FIRST) == ("GRANTED", "2025-12-05", "2025-12-31")
    assert await years.cover("hal", SECOND) == ("GRANTED", "2026-01-01", "2026-12-31")
    assert (await years.history(FIRST))["hal", "medical"] == (40_000, "BOOKED")
    for year in (FIRST, SECOND):
        assert await years.money(year) == (0, 0)
    assert years.violations(tmp_path) == {}


async def test_an_interrupted_year_is_made_up_for_beside_the_next_window(
    years: Years, tmp_path: Path
) -> None:
    """000:L143-147, I-26, I-31: a past year's pension at its tier, booked to the account without matching subsidy."""
    await _second_year(years)
    await years.day(PAID_2)
    assert await years.enrol("hal", FIRST, "pension") == ["REGISTERED"]
    arrears = {
        "person_id": years.persons["hal"],
        "insurance": "pension",
        "year": FIRST,
        "kind": "INTERRUPTION",
        "paid_at": PAID_2.isoformat(),
        "tier_yuan": 500,
    }
    unproved = await years.ask("hr", "registration", "/special-assessments", arrears)
    assert unproved.body["rule"] == "NOT_INTERRUPTED"
    await years.post("hr", "registration", "/special-assessments", {**arrears, "basis": "缴费凭证2019"})
    reply = await years.pay("hal", "pension", FIRST, 50_000, PAID_2)
    assert reply.status == 201, reply.body
    await years.settle(PAID_2)
    account = await years.get("registration", f"/people/{years.persons['hal']}/account")
    assert account["balance_fen"] == 50_000
    assert (await years.history(FIRST))["hal", "pension"] == (50_000, "BOOKED")
    assert await years.money(FIRST) == (0, 0)
    assert years.violations(tmp_path) == {}
