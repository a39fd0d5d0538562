"""EVENTS scenario 14: a plan is revised in mid-campaign, and four services go on by its next version (D-06)."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec

from shared.policy import Pack, dump, load_pack
from tests.e2e.scene import CAMPAIGN, VILLAGE, Payer, Scene, scene

PAID = dt.date(2019, 11, 2)
REVISED = dt.date(2019, 11, 5)
POOR = Payer("c", lists=(("CIVIL_AFFAIRS", "MINIMUM_LIVING"),))


def dearer() -> Pack:
    """ST-2020's second version: 280 yuan instead of 260, and tier 600 gone."""
    document = load_pack("ST-2020").document
    personal = msgspec.structs.replace(document.medical.personal, value=280)
    tiers = tuple(tier for tier in document.pension.tiers if tier.yuan != 600)
    return Pack(
        msgspec.structs.replace(
            document,
            version=2,
            medical=msgspec.structs.replace(document.medical, personal=personal),
            pension=msgspec.structs.replace(document.pension, tiers=tiers),
            task_table=None,  # its amounts were persons × 260
        )
    )


async def _revise(village: Scene, folder: Path) -> None:
    draft = {"pack_id": "ST-2020", "version": 2, "maker": "tax-01"}
    missing = await village.ask("tax", "collection", "/packs", draft)
    assert missing.code == "NOT_FOUND", "a pack nobody holds cannot be drafted"
    folder.joinpath("ST-2020-v2.yaml").write_text(dump(dearer()), encoding="utf-8")
    await village.post("tax", "collection", "/packs", draft)
    order = {
        "campaign": CAMPAIGN,
        "version": 2,
        "effective_from": REVISED.isoformat(),
        "source": "鲁人社字〔2019〕1号",
    }
    same = await village.ask("tax", "collection", "/packs/ST-2020:revise", {**order, "approver": "tax-01"})
    assert same.code == "FOUR_EYES"
    await village.post("tax", "collection", "/packs/ST-2020:revise", {**order, "approver": "tax-02"})


async def _owed(village: Scene) -> dict[tuple[str, str], dict[str, Any]]:
    rows = await village.items("collection", "/obligations", campaign=CAMPAIGN)
    names = {person_id: name for name, person_id in village.persons.items()}
    return {(names[row["person_id"]], row["insurance"]): row for row in rows}


async def test_a_revision_reaches_all_four_services(tmp_path: Path) -> None:
    """The unpaid are reassessed, the paid keep their amount, the difference list is exact; all is booked."""
    people = (Payer("a"), Payer("b"), POOR, Payer("d", tier_yuan=600), Payer("e", tier_yuan=300))
    async with scene(*people, packs=tmp_path) as village:
        await village.day(PAID)
        await village.online("b", f"{PAID}T20:15", "W-b", "medical")
        await village.day_file(PAID)
        await village.day(REVISED)
        await _revise(village, tmp_path)

        owed = await _owed(village)
        assert {key: row["personal_fen"] for key, row in owed.items()} == {
            ("a", "medical"): 28_000,
            ("b", "medical"): 26_000,
            ("c", "medical"): 0,
            ("d", "medical"): 28_000,
            ("d", "pension"): 0,
            ("e", "medical"): 28_000,
            ("e", "pension"): 30_000,
        }
        assert owed["c", "medical"]["government_fen"] == 28_000
        assert owed["d", "pension"]["refused"] == "TIER_NOT_IN_PACK"
        assert (owed["b", "medical"]["paid"], owed["b", "medical"]["version"]) == (True, 1)

        names = {person_id: name for name, person_id in village.persons.items()}
        path = f"/campaigns/{CAMPAIGN}/revisions/2/differences"
        found = {
            (names[row["person_id"]], row["insurance"]): (
                row["before_standard_fen"],
                row["after_standard_fen"],
                row["after_personal_fen"],
            )
            for row in await village.items("collection", path, village=VILLAGE)
        }
        assert found == {
            ("a", "medical"): (26_000, 28_000, 28_000),
            ("c", "medical"): (26_000, 28_000, 0),
            ("d", "medical"): (26_000, 28_000, 28_000),
            ("d", "pension"): (60_000, 0, 0),
            ("e", "medical"): (26_000, 28_000, 28_000),
        }
        versions = (await village.get("collection", f"/campaigns/{CAMPAIGN}/revisions"))["items"]
        assert [(row["version"], row["previous_version"], row["differing"]) for row in versions] == [
            (1, None, 0),
            (2, 1, 5),
        ]

        entitled = await village.items("subsidy", "/subsidy-entitlements", campaign=CAMPAIGN)
        assert [row["government_fen"] for row in entitled] == [28_000]
        assert village.logged("subsidy", "VillageEntitlementsDue") == ["VillageEntitlementsDue"]

        await village.day(PAID + dt.timedelta(days=4))
        paid = await village.online("a", "2019-11-06T20:15", "W-a", "medical")
        assert paid["state"] == "TAKEN"
        await village.day_file(dt.date(2019, 11, 6))
        await village.into_treasury(dt.date(2019, 11, 6))
        assert [(channel, state, fen) for _, channel, state, _, fen in await village.positions()] == [
            ("WECHAT", "BOOKED", 26_000),
            ("WECHAT", "BOOKED", 28_000),
        ]
        for name in ("a", "b"):
            cover = await village.cover(name)
            assert cover is not None
            assert cover["status"] == "GRANTED"
        assert village.logged("registration", "BookkeepingMismatchDetected") == []
        await village.assert_sound()


async def test_the_notice_of_a_revised_campaign_starts(tmp_path: Path) -> None:
    """I-09: notification holds the campaign's new version and starts the roster's notice by it."""
    async with scene(Payer("a"), packs=tmp_path) as village:
        await _revise(village, tmp_path)
        await village.roster()
        page = await village.get("notification", "/notices", village=VILLAGE, kind="ROSTER")
        (notice,) = page["items"]
        assert (notice["days"], notice["state"]) == (3, "CLOSED")
        lines = await village.items("collection", f"/rosters/{CAMPAIGN}.{VILLAGE}/lines")
        assert [line["personal_fen"] for line in lines] == [28_000]
