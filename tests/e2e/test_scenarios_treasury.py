"""EVENTS scenario 10: the treasury sends a voucher back; entries early, twice, or by file (I-15, I-23, I-24)."""

from __future__ import annotations

import datetime as dt
from typing import Any

from tests.e2e.scene import COLLECTING, MEDICAL_FEN, Payer, Scene, scene

PAID = COLLECTING
ENTERED = PAID + dt.timedelta(days=1)
REJECTED = PAID + dt.timedelta(days=1)


async def _voucher(village: Scene) -> dict[str, Any]:
    """Two residents pay by WeChat; their money of the day is one voucher, issued."""
    await village.day(PAID)
    for number, name in enumerate(("a", "b"), 1):
        assert (await village.online(name, f"{PAID}T09:0{number}", f"W-{number}"))["state"] == "TAKEN"
    await village.day_file(PAID)
    (voucher,) = await village.vouchers()
    assert (voucher["state"], voucher["fen"]) == ("ISSUED", 2 * MEDICAL_FEN)
    return voucher


async def _state(village: Scene, voucher_no: str) -> str:
    return str((await village.get("collection", f"/vouchers/{voucher_no}"))["state"])


async def _nothing_returned(village: Scene) -> None:
    assert await village.published("collection", "collection_info_returned") == []
    assert await village.published("registration", "bookkeeping_entries_posted") == []
    assert [await village.cover(name) for name in ("a", "b")] == [None, None]


async def _returned_once(village: Scene) -> None:
    (returned,) = await village.published("collection", "collection_info_returned")
    assert [line["fen"] for line in returned["lines"]] == [MEDICAL_FEN, MEDICAL_FEN]
    (posted,) = await village.published("registration", "bookkeeping_entries_posted")
    assert [line["fen"] for line in posted["lines"]] == [MEDICAL_FEN, MEDICAL_FEN]
    assert len(await village.published("registration", "collection_info_acknowledged")) == 1
    assert await village.positions() == [("medical", "WECHAT", "BOOKED", 2, 2 * MEDICAL_FEN)]
    for name in ("a", "b"):
        cover = await village.cover(name)
        assert cover is not None
        assert cover["status"] == "GRANTED"


async def test_a_rejected_voucher_returns_nothing_until_it_is_issued_again() -> None:
    """Scenario 10, I-15, I-23: no return and no entitlement; reissued, debited and entered: one return."""
    async with scene(Payer("a"), Payer("b")) as village:
        number = (await _voucher(village))["voucher_no"]
        await village.bank(PAID)
        await village.treasury(REJECTED, reject=[number])
        assert await _state(village, number) == "REJECTED"
        await _nothing_returned(village)
        assert await village.positions() == [("medical", "WECHAT", "VOUCHERED", 2, 2 * MEDICAL_FEN)]

        reissued = await village.ask("tax", "collection", f"/vouchers/{number}:reissue", {})
        assert reissued.status == 200
        assert await _state(village, number) == "ISSUED"
        await _nothing_returned(village)
        stale = {
            "treasury_date": REJECTED.isoformat(),
            "amount_fen": 2 * MEDICAL_FEN,
            "result": "CONFIRMED",
        }
        early = await village.ask("treasury", "collection", f"/vouchers/{number}:in-treasury", stale)
        assert (early.status, early.code) == (409, "VOUCHER_STATE")

        await village.into_treasury(REJECTED)
        assert await _state(village, number) == "IN_TREASURY"
        await _returned_once(village)
        await village.assert_sound()


async def test_entries_out_of_order_and_repeated_are_one_return() -> None:
    """Scenario 10, I-23, I-24: an entry before debit and remittance is refused, a repeated one changes nothing."""
    async with scene(Payer("a"), Payer("b")) as village:
        number = (await _voucher(village))["voucher_no"]
        path = f"/vouchers/{number}:in-treasury"
        entry = {"treasury_date": ENTERED.isoformat(), "amount_fen": 2 * MEDICAL_FEN}
        for key in ("", "t-1"):
            early = await village.ask("treasury", "collection", path, entry, key)
            assert (early.status, early.code, early.body["rule"]) == (409, "VOUCHER_STATE", "IS_ISSUED")
        remitted = {"batch": "R-1", "at": f"{PAID}T17:30:00+08:00"}
        early = await village.ask("bank", "collection", f"/vouchers/{number}:remitted", remitted)
        assert (early.status, early.code) == (409, "VOUCHER_STATE")
        await _nothing_returned(village)

        await village.into_treasury(PAID)
        await _returned_once(village)
        for key in ("t-1", "t-2"):
            again = await village.ask("treasury", "collection", path, entry, key)
            assert again.status == 200, again.body
        other = await village.ask("treasury", "collection", path, entry | {"amount_fen": MEDICAL_FEN})
        assert (other.status, other.code) == (422, "AMOUNT_MISMATCH")
        late = entry | {"result": "REJECTED", "reason": "ACCOUNT_NAME_MISMATCH"}
        back = await village.ask("treasury", "collection", path, late)
        assert (back.status, back.code) == (409, "VOUCHER_STATE")
        await _returned_once(village)
        await village.assert_sound()


async def test_the_same_entry_by_file_and_by_call_is_one_return() -> None:
    """Scenario 10, I-23: the treasury's file repeats what its call said; every row is answered, one return."""
    async with scene(Payer("a"), Payer("b")) as village:
        number = (await _voucher(village))["voucher_no"]
        await village.into_treasury(PAID)
        row = {
            "voucher_no": number,
            "step": "in-treasury",
            "amount_fen": 2 * MEDICAL_FEN,
            "date": ENTERED.isoformat(),
        }
        rejected = row | {"result": "REJECTED", "reason": "LATE"}
        counts = await village.upload("treasury", "collection", "/vouchers:import", [row, row, rejected])
        assert counts == {"rows": 3, "accepted": 2, "refused": 1}
        await _returned_once(village)
        await village.assert_sound()


async def test_a_return_that_arrives_twice_is_booked_once() -> None:
    """Scenario 10, I-24: collection publishes its log again from the start; nobody does anything twice."""
    async with scene(Payer("a"), Payer("b")) as village:
        await _voucher(village)
        await village.into_treasury(PAID)
        before = {name: len(one.parts.log.rows) for name, one in village.system.services.items()}
        sent = await village.resend("collection")
        assert sent > 0
        assert {name: len(one.parts.log.rows) for name, one in village.system.services.items()} == before
        await _returned_once(village)
        await village.assert_sound()
