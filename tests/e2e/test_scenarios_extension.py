"""EVENTS scenario 11, the campaign's side: a window extended after an outage, and nobody late inside it."""

from __future__ import annotations

import datetime as dt

from tests.e2e.scene import CAMPAIGN, MEDICAL_FEN, Payer, Scene, scene

LAST_DAY, AFTER, NEW_END = dt.date(2019, 12, 20), dt.date(2019, 12, 24), dt.date(2019, 12, 31)


async def _late(village: Scene, name: str, paid_at: dt.date) -> str:
    body = {
        "person_id": village.persons[name],
        "insurance": "medical",
        "year": 2020,
        "kind": "LATE",
        "paid_at": paid_at.isoformat(),
    }
    reply = await village.ask("medical", "registration", "/special-assessments", body)
    return str(reply.body["rule"])


async def test_nobody_is_late_inside_an_extended_window() -> None:
    """CampaignWindowExtended on the last day: four services follow, and only the day behind the new end is late."""
    async with scene(Payer("a"), Payer("b")) as village:
        await village.day(LAST_DAY)
        assert await _late(village, "a", AFTER) == "FISCAL_SUBSIDY_UNKNOWN", "late by the plan's own window"

        extension = {"new_end": NEW_END.isoformat(), "reason": "平台故障", "authority": "区税务局"}
        shorter = await village.ask(
            "tax", "collection", f"/campaigns/{CAMPAIGN}:extend", {**extension, "new_end": "2019-12-20"}
        )
        assert shorter.body["rule"] == "NEW_END_NOT_LATER"
        await village.post("tax", "collection", f"/campaigns/{CAMPAIGN}:extend", extension)
        (told,) = await village.published("collection", "campaign_window_extended")
        assert (told["old_end"], told["new_end"]) == ("2019-12-20", "2019-12-31")

        assert await _late(village, "a", AFTER) == "NOT_LATE"
        await village.day(AFTER)
        paid = await village.online("a", f"{AFTER}T10:00", "W-a")
        assert paid["state"] == "TAKEN"
        await village.day_file(AFTER)
        await village.into_treasury(AFTER)
        cover = await village.cover("a")
        assert cover is not None
        assert (cover["status"], cover["from_date"]) == ("GRANTED", "2020-01-01")
        assert await village.positions() == [("medical", "WECHAT", "BOOKED", 1, MEDICAL_FEN)]

        behind = NEW_END + dt.timedelta(days=1)
        await village.day(behind)
        late = await village.online("b", f"{behind}T10:00", "W-b")
        assert (late["state"], late["code"]) == ("REFUSED", "OUTSIDE_WINDOW")
        assert await _late(village, "b", behind) == "FISCAL_SUBSIDY_UNKNOWN"
        progress = await village.get("notification", f"/progress/{CAMPAIGN}")
        assert str(progress).count("2019-12-31") >= 1
        await village.assert_sound()
