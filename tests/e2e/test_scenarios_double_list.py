"""EVENTS scenario 3: 残联 and 民政 list the same severely disabled person (D-27, I-11, I-27)."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.e2e.scene import CAMPAIGN, COLLECTING, MEDICAL_FEN, Payer, Scene, scene

FEDERATION, CIVIL_AFFAIRS = "DISABLED_FEDERATION", "CIVIL_AFFAIRS"
PAYING = dt.date(2019, 11, 25)

TWICE = Payer(
    "twice",
    dt.date(1969, 8, 2),
    lists=((FEDERATION, "SEVERELY_DISABLED"), (CIVIL_AFFAIRS, "SEVERELY_DISABLED")),
)
ONCE = Payer("once", dt.date(1970, 2, 3), lists=((CIVIL_AFFAIRS, "MINIMUM_LIVING"),))


async def test_two_departments_list_one_person_and_one_of_them_pays() -> None:
    """Scenario 3, I-11: the overlap surfaces, one department applies and pays, one government voucher leg."""
    async with scene(TWICE, ONCE) as village:
        person = village.persons["twice"]
        (overlap,) = await village.published("subsidy", "subsidy_overlap_detected")
        assert overlap["person_id"] == person
        assert sorted(overlap["departments"]) == [CIVIL_AFFAIRS, FEDERATION]
        await _one_payer(village, person)
        await _neither_pays_a_second_time(village)
        await village.into_treasury(PAYING)
        await _booked_once(village, person)
        await village.assert_sound()


async def _one_payer(village: Scene, person: str) -> None:
    entitled = await village.items("subsidy", "/subsidy-entitlements", campaign=CAMPAIGN, insurance="medical")
    mine = [row for row in entitled if row["person_id"] == person]
    assert [(row["department"], row["government_fen"]) for row in mine] == [(FEDERATION, MEDICAL_FEN)]
    owed = await village.items("collection", "/obligations", campaign=CAMPAIGN)
    (obligation,) = [row for row in owed if row["person_id"] == person]
    assert (obligation["personal_fen"], obligation["government_fen"]) == (0, MEDICAL_FEN)
    await village.day(COLLECTING)
    answer = await village.ask(
        "channel-wechat",
        "collection",
        "/payments",
        {
            "order_no": "W-1",
            "channel": "WECHAT",
            "paid_at": f"{COLLECTING}T09:00:00+08:00",
            "lines": [{"person_id": person, "year": 2020, "insurance": "medical", "amount_fen": MEDICAL_FEN}],
        },
    )
    assert answer.code == "AMOUNT_NOT_ASSESSED", "whom government pays for orders nothing"


async def _neither_pays_a_second_time(village: Scene) -> None:
    """Each department's fund covers exactly whom it was resolved to pay for (I-27)."""
    await village.day(PAYING)
    for department, who in ((FEDERATION, "disabled-persons-federation"), (CIVIL_AFFAIRS, "civil-affairs")):
        fund = {"department": department, "campaign": CAMPAIGN}
        await village.post(who, "subsidy", "/funds:apply", fund)
        await village.outside(
            "/finance/appropriations", department=department, date=PAYING.isoformat(), fen=MEDICAL_FEN
        )
        await village.post(who, "subsidy", f"/funds/{department}/{CAMPAIGN}:transfer", {"fen": MEDICAL_FEN})
        body = {**fund, "insurance": "medical"}
        await village.post(who, "subsidy", "/government-payments", body)
        again = await village.ask(who, "subsidy", "/government-payments", body)
        assert (again.status, again.code) == (422, "NOTHING_TO_SUBMIT")
    funds = await village.items("subsidy", "/funds", campaign=CAMPAIGN)
    assert [(row["persons"], row["applied_fen"]) for row in funds] == [(1, MEDICAL_FEN)] * 2


async def _booked_once(village: Scene, person: str) -> None:
    returned = await village.published("collection", "collection_info_returned")
    legs = [line for message in returned for line in message["lines"] if line["person_id"] == person]
    assert [(leg["payer"], leg["fen"]) for leg in legs] == [("finance", MEDICAL_FEN)]
    vouchers = await village.vouchers(source="GOVERNMENT")
    assert sum(row["count"] for row in vouchers) == 2
    assert {row["state"] for row in vouchers} == {"IN_TREASURY"}
    booked = await village.published("registration", "bookkeeping_entries_posted")
    assert [line["fen"] for part in booked for line in part["lines"]] == [MEDICAL_FEN, MEDICAL_FEN]
    assert await village.positions() == [("medical", "GOVERNMENT", "BOOKED", 2, 2 * MEDICAL_FEN)]
    cover = await village.cover("twice")
    assert cover is not None
    assert (cover["status"], cover["from_date"], cover["to_date"]) == ("GRANTED", "2020-01-01", "2020-12-31")


CLAIMS = ((CIVIL_AFFAIRS, "MINIMUM_LIVING"), (FEDERATION, "SEVERELY_DISABLED"))


@pytest.mark.parametrize("lists", [CLAIMS, CLAIMS[::-1]], ids=["payer listed first", "payer listed last"])
async def test_which_list_came_first_does_not_decide_who_pays(lists: tuple[tuple[str, str], ...]) -> None:
    """D-27, I-11: the pack's order decides; exactly one entitlement stands, and one department may apply."""
    async with scene(Payer("both", dt.date(1969, 8, 2), lists=lists)) as village:
        entitled = await village.items("subsidy", "/subsidy-entitlements", campaign=CAMPAIGN)
        assert [(row["department"], row["category"]) for row in entitled] == [CLAIMS[0]]
        assert len(await village.published("subsidy", "subsidy_overlap_detected")) == 1
        fund = {"department": FEDERATION, "campaign": CAMPAIGN}
        refused = await village.ask("disabled-persons-federation", "subsidy", "/funds:apply", fund)
        assert refused.code == "NOTHING_TO_APPLY"
        await village.assert_sound(money=False)
