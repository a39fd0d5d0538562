"""What users of comparable systems complain about, each as a test named after its mechanism.

Others stand where the mechanism lies:
a consumer that stalls silently (Mojaloop #4247): ``ConsumerStalled``, tests/unit/messaging/test_consumer.py;
a message log that exhausts memory (X-Road #1293): tests/unit/web/test_uploads.py;
a slowdown nobody can explain (X-Road #1321): ``AppendLockWait`` and the lags, tests/operations;
an identity on a list twice without a choice (OpenSPP #247): tests/unit/subsidy/test_lists.py;
concurrent calls with one key (Formance #364): tests/unit/web/test_idempotency.py;
a bad row that blocks a million (piipan #446): tests/unit/web/test_imports.py.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from tests.e2e.scene import CAMPAIGN, COLLECTING, MEDICAL_FEN, Payer, Scene, scene

DAY = COLLECTING.isoformat()
NEXT = COLLECTING + dt.timedelta(days=1)


async def paid_online(village: Scene, *names: str) -> None:
    """Each pays by WeChat on the first day."""
    await village.day(COLLECTING)
    for number, name in enumerate(names, 1):
        assert (await village.online(name, f"{DAY}T09:0{number}", f"W-{number}"))["state"] == "TAKEN"


async def order(village: Scene, number: str) -> dict[str, Any]:
    """What a channel asks for: all that resident ``a`` owes for medical insurance."""
    [line] = await village.lines("a", "medical")
    asked = {name: line[name] for name in ("person_id", "year", "insurance")} | {"amount_fen": line["fen"]}
    paid_at = f"{DAY}T09:00:00+08:00"
    return {"order_no": number, "channel": "WECHAT", "paid_at": paid_at, "payer": "a", "lines": [asked]}


async def test_a_settlement_that_comes_again_doubles_no_balance() -> None:
    """Mojaloop #4115: the day file, the bank's and the treasury's word and every message come twice and once more."""
    async with scene(Payer("a"), Payer("b")) as village:
        await paid_online(village, "a", "b")
        for _ in range(3):
            await village.day_file(COLLECTING)
            await village.bank(COLLECTING)
        for _ in range(3):
            await village.treasury(NEXT)
            for service in village.system.services:
                await village.resend(service)
        assert await village.positions() == [("medical", "WECHAT", "BOOKED", 2, 2 * MEDICAL_FEN)]
        assert len(await village.vouchers()) == 1
        assert len(await village.published("registration", "bookkeeping_entries_posted")) == 1
        await village.assert_sound()


async def test_a_day_on_which_nothing_was_taken_closes() -> None:
    """Mojaloop #936: an agent's evening and a channel's file without money are the end of that day, and the money of
    the next day goes its way."""
    async with scene(Payer("a")) as village:
        await village.roster()
        await village.day(COLLECTING)
        await village.close_day(COLLECTING)
        await village.day_file(COLLECTING)
        await village.day(NEXT)
        assert (await village.cash("a", f"{NEXT}T10:00", "C-1"))["state"] == "TAKEN"
        await village.close_day(NEXT)
        await village.day_file(NEXT)
        await village.sign()
        await village.declare()
        assert [voucher["fen"] for voucher in await village.vouchers()] == [MEDICAL_FEN]
        await village.assert_sound()


async def test_a_bulk_request_that_comes_again_is_answered_with_its_outcomes() -> None:
    """Mojaloop #2796: the same file under the same key is the same job, and its outcomes are told as often as asked;
    under another key every row is found to be done."""
    async with scene(Payer("a")) as village:
        await village.day(COLLECTING)
        row = await order(village, "B-1") | {"captured": True}
        clients = village.system.clients
        content = msgspec.json.encode(row)
        jobs = []
        for _ in range(2):
            reply = await clients.upload(
                "channel-wechat", "collection", "/payments:import", content, "file-1"
            )
            await village.system.drain()
            jobs.append(reply.body["import_id"])
        assert jobs[0] == jobs[1]
        first, again = [
            await clients.get("channel-wechat", "collection", f"/imports/{jobs[0]}/outcomes")
            for _ in range(2)
        ]
        assert first == again
        assert len(first["items"]) == 1
        await village.upload("channel-wechat", "collection", "/payments:import", [row])
        lines = await village.items("collection", "/payments", campaign=CAMPAIGN)
        assert [each["standing"] for each in lines] == ["EFFECTIVE"]


async def test_the_third_call_with_one_key_is_answered_as_the_first() -> None:
    """Apache Fineract PR 6231: not only the second one is a repeat."""
    async with scene(Payer("a")) as village:
        await village.day(COLLECTING)
        body = await order(village, "W-1")
        calls = [
            await village.ask("channel-wechat", "collection", "/payments", body, "one-key") for _ in range(4)
        ]
        assert [(each.status, each.replayed) for each in calls] == [(201, False)] + [(201, True)] * 3
        assert [each.body for each in calls] == [calls[0].body] * 4
        assert len(village.logged("collection", "PaymentReceived")) == 1


async def test_a_refund_told_many_times_is_applied_once() -> None:
    """Blnk #152: the payout's word under new keys, the approval and every message again: one refund, paid once."""
    async with scene(Payer("a")) as village:
        await village.roster()
        await village.day(COLLECTING)
        assert (await village.cash("a", f"{DAY}T10:00", "C-1"))["state"] == "TAKEN"
        assert (await village.online("a", f"{DAY}T18:20", "W-1", asked=False))["state"] == "TAKEN"
        await village.close_day(COLLECTING)
        await village.day_file(COLLECTING)
        await village.refunds(COLLECTING)
        (refund,) = await village.items("collection", "/refunds", campaign=CAMPAIGN)
        told = {"amount_fen": refund["fen"], "paid_on": DAY, "bank_ref": "again"}
        for number in range(3):
            await village.refunds(COLLECTING)
            path = f"/refunds/{refund['refund_no']}:paid"
            reply = await village.ask("treasury", "collection", path, told, f"told-{number}")
            assert reply.status < 500
        for service in village.system.services:
            await village.resend(service)
        assert len(await village.published("collection", "refund_paid")) == 1
        assert ("medical", "WECHAT", "REFUNDED", 1, MEDICAL_FEN) in await village.positions()
        await village.assert_sound()


async def test_nobody_on_a_list_is_paid_for_before_the_list_is_verified() -> None:
    """OpenSPP #538: a line is no entitlement while its list is only handed in, whatever is asked of it."""
    async with scene(Payer("a")) as village:
        number = village._numbers["a"]
        body = {
            "list_id": "L-1", "department": "CIVIL_AFFAIRS", "category": "MINIMUM_LIVING", "insurance": "medical",
            "campaign": CAMPAIGN, "stamped_total": 1, "lines": [{"line_no": 1, "name": "示例", "number": number}],
        }  # fmt: skip
        await village.post("civil-affairs", "subsidy", "/lists", body)
        assert await village.items("subsidy", "/subsidy-entitlements", campaign=CAMPAIGN) == []
        verified = {"stamp": "章-01", "count": 1}
        await village.post("civil-affairs", "subsidy", "/lists/L-1:verify", verified)
        assert len(await village.items("subsidy", "/subsidy-entitlements", campaign=CAMPAIGN)) == 1
