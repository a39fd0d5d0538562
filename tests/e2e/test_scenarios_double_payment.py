"""EVENTS scenario 5: the same person pays by WeChat and through the agent on one day (I-17)."""

from __future__ import annotations

import asyncio

from tests.e2e.scene import AGENT, CAMPAIGN, COLLECTING, DECLARING, MEDICAL_FEN, YEAR, Payer, Scene, scene

DAY = COLLECTING.isoformat()


async def test_the_second_payment_is_refused_when_it_asks_first() -> None:
    """Scenario 5, I-17: WeChat paid, the agent asks and takes nothing; one payment, no refund."""
    async with scene(Payer("a")) as village:
        await village.roster()
        await village.day(COLLECTING)
        first = await village.online("a", f"{DAY}T08:30", "W-1")
        assert first["state"] == "TAKEN"
        second = await village.cash("a", f"{DAY}T10:00", "C-1")
        assert (second["state"], second["code"]) == ("REFUSED", "ALREADY_PAID")
        await village.day_file(COLLECTING)
        assert await village.items("collection", "/refunds", campaign=CAMPAIGN) == []
        assert await village.published("collection", "duplicate_payment_detected") == []
        assert await village.positions() == [("medical", "WECHAT", "VOUCHERED", 1, MEDICAL_FEN)]
        assert (await village.get("collection", f"/receipts/B-{AGENT}"))["items"] == []
        await village.assert_sound()


async def test_two_that_ask_at_once_are_one_payment() -> None:
    """Scenario 5, I-17: whoever the writer takes first is recorded, the other is refused."""
    async with scene(Payer("a")) as village:
        await village.roster()
        await village.day(COLLECTING)
        (line,) = await village.lines("a", "medical")
        paid = {
            "person_id": line["person_id"],
            "year": YEAR,
            "insurance": "medical",
            "amount_fen": line["fen"],
        }
        by_phone = {
            "order_no": "W-1",
            "channel": "WECHAT",
            "paid_at": f"{DAY}T10:00:00+08:00",
            "lines": [paid],
        }
        at_the_door = by_phone | {
            "order_no": "C-1",
            "channel": "CASH_AGENT",
            "agent": AGENT,
            "receipt": {"book_no": "B-1", "serial_no": "000001"},
        }
        ask = village.system.clients.ask
        answers = await asyncio.gather(
            ask("channel-wechat", "collection", "/payments", by_phone, "w-1"),
            ask("village-agent", "collection", "/payments", at_the_door, "c-1"),
        )
        await village.system.drain()
        assert sorted((answer.status, answer.code) for answer in answers) == [
            (201, ""),
            (409, "ALREADY_PAID"),
        ]
        lines = await village.items("collection", "/payments", campaign=CAMPAIGN)
        assert [row["standing"] for row in lines] == ["EFFECTIVE"]


async def test_captured_money_is_found_double_and_goes_back() -> None:
    """Scenario 5, I-17, I-28: final money is never refused: DuplicatePaymentDetected, then a refund of all of it."""
    async with scene(Payer("a")) as village:
        await village.roster()
        await village.day(COLLECTING)
        assert (await village.cash("a", f"{DAY}T10:00", "C-1"))["state"] == "TAKEN"
        assert (await village.online("a", f"{DAY}T18:20", "W-1", asked=False))["state"] == "TAKEN"
        await village.close_day(COLLECTING)
        await village.day_file(COLLECTING)
        (found,) = await village.published("collection", "duplicate_payment_detected")
        assert found["person_id"] == village.persons["a"]
        await _refunded(village)
        await village.sign()
        await village.declare()
        await village.into_treasury(DECLARING)
        assert await village.positions() == [
            ("medical", "CASH_AGENT", "BOOKED", 1, MEDICAL_FEN),
            ("medical", "WECHAT", "REFUNDED", 1, MEDICAL_FEN),
        ]
        cover = await village.cover("a")
        assert cover is not None
        assert (cover["status"], cover["from_date"]) == ("GRANTED", "2020-01-01")
        assert await village.enrolments("a") == {"medical": "LINKED"}
        await village.assert_sound()


async def _refunded(village: Scene) -> None:
    (refund,) = await village.items("collection", "/refunds", campaign=CAMPAIGN)
    assert (refund["reason"], refund["state"], refund["fen"]) == ("DUPLICATE", "VERIFIED", MEDICAL_FEN)
    await village.refunds(COLLECTING)
    (refund,) = await village.items("collection", "/refunds", campaign=CAMPAIGN)
    assert refund["state"] == "SETTLED"
    await village.refunds(COLLECTING)
    assert len(await village.published("collection", "refund_paid")) == 1
    again = {"payment_line_id": refund["payment_line_id"], "reason": "DUPLICATE", "applicant": "payer"}
    reply = await village.ask("tax-branch", "collection", "/refunds", again)
    assert reply.status < 500
    assert len(await village.items("collection", "/refunds", campaign=CAMPAIGN)) == 1
