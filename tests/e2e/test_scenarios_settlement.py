"""EVENTS scenario 6: the agent's deposit is late, too much, or too little (I-20, I-21, I-22)."""

from __future__ import annotations

import datetime as dt
from typing import Any

from tests.e2e.scene import AGENT, CAMPAIGN, COLLECTING, DECLARING, MEDICAL_FEN, VILLAGE, Payer, Scene, scene

DAY = COLLECTING.isoformat()
NEXT = COLLECTING + dt.timedelta(days=1)


async def _collected(village: Scene) -> None:
    await village.roster()
    await village.day(COLLECTING)
    for number, name in enumerate(("a", "b"), 1):
        assert (await village.cash(name, f"{DAY}T10:0{number}", f"C-{number}"))["state"] == "TAKEN"


async def _cases(village: Scene) -> list[tuple[str, int, str]]:
    rows = await village.items("notification", "/cases", campaign=CAMPAIGN)
    return [(row["rule"], row["fen"], row["state"]) for row in rows]


async def _close(village: Scene) -> None:
    (case,) = await village.items("notification", "/cases", campaign=CAMPAIGN)
    path = f"/cases/{case['case_id']}:close"
    without = await village.ask("tax", "notification", path, {"finding": "  "})
    assert without.code == "FINDING_MISSING"
    await village.post("tax", "notification", path, {"finding": "已核实 / verified"})
    assert [state for _, _, state in await _cases(village)] == ["CLOSED"]


async def _correct(village: Scene, kind: str, fen: int) -> None:
    """The next day at the bank, and the town agency says so."""
    slip = f"X-{kind[0]}"
    place = {"insurance": "medical", "date": DAY}
    await village.outside(
        "/bank/corrections",
        **place,
        slip_no=slip,
        agent=AGENT,
        village=VILLAGE,
        fen=fen,
        deposited_on=NEXT.isoformat(),
        kind="CORRECTION" if kind == "CORRECTIVE_DEPOSIT" else "RETURN",
    )
    resolution = {"kind": kind, "slip_no": slip, "amount_fen": fen, "note": "次日更正 / corrected"}
    body: dict[str, Any] = {**place, "campaign": CAMPAIGN, "agent_id": AGENT, "resolution": resolution}
    await village.post("town-agency", "collection", "/settlements", body)


async def _declared_and_booked(village: Scene) -> None:
    await village.declare()
    await village.into_treasury(DECLARING)
    assert await village.positions() == [("medical", "CASH_AGENT", "BOOKED", 2, 2 * MEDICAL_FEN)]
    await village.assert_sound()


async def test_cash_deposited_the_next_day_is_overdue() -> None:
    """Scenario 6, I-22: at the next BeginDay SettlementOverdue and a case of retention, once; then it settles."""
    async with scene(Payer("a"), Payer("b")) as village:
        await _collected(village)
        await village.close_day(COLLECTING, deposited_on=NEXT)
        assert await village.published("collection", "settlement_overdue") == []
        await village.day(NEXT)
        (overdue,) = await village.published("collection", "settlement_overdue")
        assert (overdue["source"], overdue["days"], overdue["fen"]) == (AGENT, 1, 2 * MEDICAL_FEN)
        assert await _cases(village) == [("FUND_RETENTION", 2 * MEDICAL_FEN, "OPEN")]
        assert len(await village.published("notification", "audit_case_opened")) == 1
        await village.outside(f"/days/{NEXT}/close")
        await village.day(NEXT + dt.timedelta(days=1))
        assert len(await village.published("collection", "settlement_overdue")) == 1
        assert await village.items("collection", "/settlements", campaign=CAMPAIGN, state="OPEN") == []
        await _close(village)
        await village.sign()
        await _declared_and_booked(village)


async def test_a_deposit_above_the_receipts_is_flagged_as_advance_funding() -> None:
    """Scenario 6, I-22: AdvanceFundingFlagged with a case; declaring waits until the excess is given back."""
    async with scene(Payer("a"), Payer("b")) as village:
        await _collected(village)
        await village.close_day(COLLECTING, adjustments={"medical": MEDICAL_FEN})
        assert village.logged("notification", "AdvanceFundingFlagged", "ShortfallFlagged") == [
            "AdvanceFundingFlagged"
        ]
        assert await _cases(village) == [("ADVANCE_FUNDING", MEDICAL_FEN, "OPEN")]
        await village.sign()
        refused = await village.try_declaring()
        assert (refused.code, refused.body["rule"]) == ("INVALID_STATE", "DISCREPANCY_OPEN")
        await _correct(village, "RETURNED_EXCESS", MEDICAL_FEN)
        await _close(village)
        await _declared_and_booked(village)


async def test_a_short_deposit_blocks_the_declaration_until_it_is_made_good() -> None:
    """Scenario 6, I-20, I-21: a discrepancy of exactly what is missing; corrected by parts, then declared."""
    short = 10_000
    async with scene(Payer("a"), Payer("b")) as village:
        await _collected(village)
        await village.close_day(COLLECTING, adjustments={"medical": -short})
        (found,) = await village.published("collection", "daily_settlement_discrepancy_detected")
        assert (found["source"], found["diff_fen"]) == (AGENT, -short)
        assert [rule for rule, _, _ in await _cases(village)] == ["SHORTFALL"]
        assert await village.published("collection", "daily_settlement_confirmed") == []
        await village.sign()
        refused = await village.try_declaring()
        assert (refused.code, refused.body["rule"]) == ("INVALID_STATE", "DISCREPANCY_OPEN")
        too_much = {
            "campaign": CAMPAIGN,
            "agent_id": AGENT,
            "date": DAY,
            "insurance": "medical",
            "resolution": {"kind": "CORRECTIVE_DEPOSIT", "slip_no": "X-9", "amount_fen": short + 1},
        }
        reply = await village.ask("town-agency", "collection", "/settlements", too_much)
        assert reply.code == "VALIDATION_FAILED"
        await _correct(village, "CORRECTIVE_DEPOSIT", short)
        assert len(await village.published("collection", "daily_settlement_discrepancy_resolved")) == 1
        await _declared_and_booked(village)
