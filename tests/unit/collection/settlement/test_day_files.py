"""A channel's day over many villages: one settlement, whatever is sent twice, late or put right (I-20)."""

from __future__ import annotations

import asyncio
import datetime as dt

import httpx
import msgspec

from services.collection.settlement import events as s
from services.collection.treasury import events as t
from tests.unit.collection.money_service import (
    CAMPAIGN,
    OTHER_VILLAGE,
    VILLAGE,
    MoneyService,
    assessed,
    day_file,
    opened,
    payment,
    states,
    to_treasury,
)

FILES = "/channels/WECHAT/day-files"


async def two_villages() -> MoneyService:
    """p1 and p2 of one village, p3 of another, each paid by WeChat on the same day."""
    money = await opened("p1", "p2")
    await money.given(assessed("p3", village=OTHER_VILLAGE))
    for number, person in enumerate(("p1", "p2", "p3"), 1):
        await money.post("/payments", payment(f"O{number}", person))
    return money


async def unaccounted(money: MoneyService) -> tuple[int, int]:
    told = await money.get("/money/unaccounted", campaign=CAMPAIGN)
    return told["unaccounted_fen"], told["difference_fen"]


async def test_a_day_is_settled_once_for_all_villages() -> None:
    """One confirmation and one voucher per insurance; villages are told by the lines and at the entry."""
    money = await two_villages()
    file = day_file("D1", ("O1", "p1", 26000), ("O2", "p2", 26000), ("O3", "p3", 26000))
    assert (await money.post(FILES, file)).status_code == 201
    [confirmed] = await money.events(s.DailySettlementConfirmed)
    assert (confirmed.village, confirmed.count, confirmed.fen) == ("", 3, 78000)
    await to_treasury(money, f"V-{CAMPAIGN}-WECHAT-20191102-medical", 78000)
    [entered] = await money.events(t.TreasuryEntryConfirmed)
    assert entered.villages == (t.VillageSum(VILLAGE, 2, 52000), t.VillageSum(OTHER_VILLAGE, 1, 26000))
    rows = (await money.get("/money/positions", campaign=CAMPAIGN))["rows"]
    assert [(row["village"], row["fen"]) for row in rows] == [(VILLAGE, 52000), (OTHER_VILLAGE, 26000)]
    assert await unaccounted(money) == (0, 0)


async def test_known_orders_are_matched_without_writing_anything_of_them() -> None:
    """A file of recorded orders adds the settlement's own events only."""
    money = await two_villages()
    before = await money.service.parts.log.head()
    await money.post(FILES, day_file("D1", ("O1", "p1", 26000), ("O2", "p2", 26000), ("O3", "p3", 26000)))
    page = await money.service.parts.log.read(before, 100)
    assert {recorded.stream.partition(":")[0] for recorded in page} == {"settlement", "voucher"}


async def test_a_file_sent_again_or_twice_at_once_is_answered_alike() -> None:
    """One key, one answer, also when both requests are on their way together; another file needs another key."""
    money = await two_villages()
    file = day_file("D1", ("O1", "p1", 26000), ("O2", "p2", 26000), ("O3", "p3", 26000))
    async with asyncio.TaskGroup() as both:
        sent = [both.create_task(money.post(FILES, file, key="once")) for _ in range(2)]
    first, second = (task.result() for task in sent)
    again = await money.post(FILES, file, key="once")
    assert first.json()["settled"] == 3
    assert first.json() == second.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    await money.given(assessed("p4"))
    head = await money.service.parts.log.head()
    for number in ("D1", "D2"):
        reused = await money.post(FILES, day_file(number, ("O4", "p4", 26000)), key="once")
        assert reused.json()["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert await money.service.parts.log.head() == head
    assert len(await money.events(s.DailySettlementConfirmed)) == 1


async def test_the_same_day_under_another_number_is_the_same_file() -> None:
    """A channel that answers twice tells nothing new."""
    money = await two_villages()
    lines = (("O1", "p1", 26000), ("O2", "p2", 26000), ("O3", "p3", 26000))
    await money.post(FILES, day_file("D1", *lines))
    head = await money.service.parts.log.head()
    assert (await money.post(FILES, day_file("D2", *lines))).status_code == 201
    assert await money.service.parts.log.head() == head
    assert await unaccounted(money) == (0, 0)


async def test_a_day_restated_with_one_more_line_adds_that_line_only() -> None:
    """What a file says again is not the channel's money twice."""
    money = await two_villages()
    lines = (("O1", "p1", 26000), ("O2", "p2", 26000))
    await money.post(FILES, day_file("D1", *lines))
    assert await unaccounted(money) == (0, 26000)
    await money.post(FILES, day_file("D2", *lines, ("O3", "p3", 26000)))
    assert await unaccounted(money) == (0, 0)
    assert [(each.batch, each.count) for each in await money.events(s.DailySettlementConfirmed)] == [
        (1, 2),
        (2, 1),
    ]
    assert await states(money) == {"VOUCHERED": 78000}


async def test_an_amount_put_right_in_a_later_file_is_right() -> None:
    """A wrong amount is a known difference of exactly its fen until the channel puts it right."""
    money = await two_villages()
    rest = (("O2", "p2", 26000), ("O3", "p3", 26000))
    await money.post(FILES, day_file("D1", ("O1", "p1", 26001), *rest))
    assert await unaccounted(money) == (0, 1)
    await money.post(FILES, day_file("D2", ("O1", "p1", 26000)))
    assert await unaccounted(money) == (0, 0)
    await money.post(FILES, day_file("D3", ("O2", "p2", 25999)))
    assert await unaccounted(money) == (0, 1)
    assert await states(money) == {"VOUCHERED": 78000}


async def test_a_line_another_day_settled_is_not_settled_again() -> None:
    """A file that comes late, after its money was filed under the next day: nothing moves twice."""
    money = await two_villages()
    late = day_file("N1", ("O1", "p1", 26000), date="2019-11-03")
    await money.post(FILES, late)
    response = await money.post(FILES, day_file("D1", ("O2", "p2", 26000), ("O3", "p3", 26000)))
    assert response.status_code == 201, response.text
    lines = [line for each in await money.events(s.SettlementLinesConfirmed) for line in each.lines]
    assert sorted(lines) == ["WECHAT-O1/1", "WECHAT-O2/1", "WECHAT-O3/1"]
    assert await unaccounted(money) == (0, 0)


async def test_a_file_that_differs_from_end_to_end_is_refused() -> None:
    """Over 500 other amounts is a wrong file, not 500 findings; it may be sent again."""
    from services.collection.settlement.dayfile import (
        DayFile,
        FiledLine,
        Recorded,
        receive_day_file,
    )
    from services.collection.settlement.domain import Day
    from shared.kernel.errors import Refusal
    from shared.kernel.insurance import Insurance

    lines = tuple(FiledLine(f"W-{n}/1", Insurance.MEDICAL, 1, 2, "EFFECTIVE") for n in range(501))
    when = dt.date(2019, 11, 2)
    refused = receive_day_file(Day(), DayFile(CAMPAIGN, "W", when, "1", "d", lines), Recorded(()))
    assert isinstance(refused, Refusal)
    assert refused.code == "FILE_DIFFERS"
    told = receive_day_file(Day(), DayFile(CAMPAIGN, "W", when, "1", "d", lines[:500]), Recorded(()))
    assert isinstance(told, list)


async def test_a_channel_s_days_are_shown_to_whoever_has_the_whole_campaign() -> None:
    """A day of many villages is not one village's to see."""
    money = await two_villages()
    await money.post(FILES, day_file("D1", ("O1", "p1", 26000)))
    shown = []
    for divisions in (("370402",), (VILLAGE,), ("3704",)):
        async with money.service.client(["collection:settlement:read"], divisions) as client:
            shown.append(len((await client.get("/settlements")).json()["items"]))
    assert shown == [0, 0, 1]


async def test_a_day_file_of_another_county_is_forbidden() -> None:
    """Division rules hold for files as for single payments."""
    money = await two_villages()
    response = await money.post(FILES, day_file("D1", ("O1", "p1", 26000)), divisions=["370402"])
    assert (response.status_code, response.json()["code"]) == (403, "DIVISION_FORBIDDEN")


async def test_a_channel_s_voucher_is_shown_and_moved_by_whoever_has_the_whole_campaign() -> None:
    """The bank of the prefecture sees it, another county's does not, nor does one village."""
    money = await two_villages()
    await money.post(FILES, day_file("D1", ("O1", "p1", 26000)))
    number = f"V-{CAMPAIGN}-WECHAT-20191102-medical"
    seen = []
    for divisions in (("370402",), (VILLAGE,), ("3704",)):
        async with money.service.client(["collection:treasury:read"], divisions) as client:
            listed = (await client.get("/vouchers")).json()["items"]
            seen.append((len(listed), (await client.get(f"/vouchers/{number}")).status_code))
    assert seen == [(0, 403), (0, 403), (1, 200)]
    step = {"method": "POS", "bank_ref": "B", "amount_fen": 26000, "at": "2019-11-03T09:00:00+08:00"}
    for divisions, status in ((["370402"], 403), (["3704"], 200)):
        moved = await money.post(f"/vouchers/{number}:debited", step, divisions=divisions)
        assert moved.status_code == status


def ndjson(*lines: tuple[str, str, int], count: int | None = None, fen: int | None = None) -> bytes:
    """A large day file: a line each, totals last."""
    rows: list[dict[str, object]] = list(day_file("D1", *lines)["lines"])
    totals = {"total_count": len(lines) if count is None else count}
    rows.append(totals | {"total_fen": sum(each[2] for each in lines) if fen is None else fen})
    return b"\n".join(map(msgspec.json.encode, rows))


async def uploaded(money: MoneyService, body: bytes, divisions: tuple[str, ...] = ("",)) -> httpx.Response:
    async with money.service.client(["collection:settlement:write"], divisions) as client:
        response = await client.post(
            f"{FILES}:import?file_no=D1&date=2019-11-02&campaign={CAMPAIGN}",
            content=body,
            headers={"Idempotency-Key": "k1", "Content-Type": "application/x-ndjson"},
        )
    await money.service.settle()
    return response


async def test_a_large_day_file_is_one_settlement_too() -> None:
    """NDJSON with a trailer of totals: the same as the JSON file of the same lines."""
    money = await two_villages()
    body = ndjson(("O1", "p1", 26000), ("O2", "p2", 26000), ("O3", "p3", 26000))
    first = await uploaded(money, b"\xef\xbb\xbf" + body)
    assert (first.status_code, first.json()["settled"]) == (201, 3)
    head = await money.service.parts.log.head()
    same = day_file("D1", ("O1", "p1", 26000), ("O2", "p2", 26000), ("O3", "p3", 26000))
    assert (await money.post(FILES, same)).status_code == 201
    assert await money.service.parts.log.head() == head


async def test_a_large_day_file_is_taken_whole_or_not_at_all() -> None:
    """A faulty row is named by number and field, never by value; wrong totals refuse the file."""
    money = await two_villages()
    good = ndjson(("O1", "p1", 26000), ("O2", "p2", 26000))
    cases = [
        (good.replace(b"26000", b"-1", 1), "VALIDATION_FAILED", "1.amount_fen"),
        (good.replace(b'"order_no":"O2"', b'"order_no":"O 2"'), "VALIDATION_FAILED", "2.order_no"),
        (
            good.replace(b"2019-11-02T10:15:00+08:00", b"0001-01-01T00:00:00Z", 1),
            "VALIDATION_FAILED",
            "1.paid_at",
        ),
        (b"[]\n" + good, "VALIDATION_FAILED", "1"),
        (good.rpartition(b"\n")[0], "VALIDATION_FAILED", "2"),
        (b"{\n" + good, "BODY_MALFORMED", "1"),
        (b"", "BODY_MALFORMED", ""),
        (ndjson(("O1", "p1", 26000), count=2), "TOTALS_MISMATCH", "total_fen"),
        (ndjson(("O1", "p1", 26000), fen=26001), "TOTALS_MISMATCH", "total_fen"),
    ]
    for body, code, where in cases:
        problem = (await uploaded(money, body)).json()
        assert (problem["code"], problem.get("field", "")) == (code, where)
    assert (await uploaded(money, good, ("370402",))).status_code == 403
    assert not await money.events(s.ChannelDayFileReceived)
