"""Positions, unaccounted money and reconciliations through their routes (I-20, I-24, I-29)."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from services.collection.reconciliation import events as r
from services.collection.reconciliation.queries import book_rows, stages
from services.collection.reconciliation.tables import money_line, outside_book
from shared.contracts.registration import (
    BookkeepingEntriesPostedV1,
    CollectionInfoAcknowledgedV1,
    DeathReportedV1,
    PostedLine,
)
from shared.kernel.insurance import Insurance
from tests.unit.collection.money_service import (
    CAMPAIGN,
    VILLAGE,
    MoneyService,
    begin_day,
    cash,
    day_file,
    declaration_body,
    opened,
    payment,
    settled_village,
    states,
    to_treasury,
)

DECLARATION = f"D-{VILLAGE}-{CAMPAIGN}-1"
VOUCHER = f"V-{DECLARATION}-medical"


async def returned(*persons: str) -> MoneyService:
    money = await settled_village(*persons)
    await money.post("/declarations", declaration_body())
    await money.post(f"/declarations/{DECLARATION}:verify", {"actor": "tax-03"})
    await to_treasury(money, VOUCHER, 26000 * len(persons))
    return money


async def book(money: MoneyService, *persons: str, fen: int = 26000) -> None:
    await money.receive(
        BookkeepingEntriesPostedV1(
            return_no=f"R-{VOUCHER}",
            voucher_no=VOUCHER,
            campaign=CAMPAIGN,
            insurance=Insurance.MEDICAL,
            year=2020,
            booked_on=dt.date(2019, 12, 1),
            lines=tuple(PostedLine(person, VILLAGE, "person", fen) for person in persons),
        )
    )


async def acknowledge(money: MoneyService, lines: int, fen: int) -> None:
    await money.receive(
        CollectionInfoAcknowledgedV1(
            voucher_no=VOUCHER, return_no=f"R-{VOUCHER}", booked_lines=lines, booked_fen=fen
        )
    )


async def test_a_village_is_matched_three_ways_once_all_is_booked() -> None:
    """收、录、钱一一对应: collected = entered = money; totals equal; said once (I-20, I-29)."""
    money = await returned("p1", "p2")
    await begin_day(money, "2019-12-02")
    [totals] = await money.events(r.TotalsReconciled)
    assert (totals.in_transit_fen, totals.equal) == (52000, True)
    await book(money, "p1", "p2")
    await acknowledge(money, 2, 52000)
    assert await states(money) == {"BOOKED": 52000}
    await begin_day(money, "2019-12-03")
    await begin_day(money, "2019-12-04")
    [match] = await money.events(r.ThreeWayMatchVerified)
    assert (match.village, match.money_count, match.money_fen) == (VILLAGE, 2, 52000)
    totals = (await money.events(r.TotalsReconciled))[-1]
    assert totals.parties == {"tax": (2, 52000), "treasury": (2, 52000), "registration": (2, 52000)}
    assert (totals.in_transit_fen, totals.equal) == (0, True)
    assert len(await money.events(r.TotalsReconciled)) == 2


async def test_a_skipped_booking_shows_as_exactly_its_fen_until_it_is_booked() -> None:
    """A planted loss: one of two lines was acknowledged but not booked (I-24)."""
    money = await returned("p1", "p2")
    await book(money, "p1")
    await acknowledge(money, 1, 26000)
    await begin_day(money, "2019-12-02")
    [found] = await money.events(r.ReconciliationDifferenceFound)
    assert (found.kind, found.fen, found.owner) == ("AMOUNT", -26000, "registration")
    assert not (await money.events(r.TotalsReconciled))[-1].equal
    items = (await money.get("/reconciliations/differences", campaign=CAMPAIGN))["items"]
    assert [item["fen"] for item in items] == [-26000]
    await book(money, "p2")
    await begin_day(money, "2019-12-03")
    assert len(await money.events(r.ReconciliationDifferenceResolved)) == 1
    assert not (await money.get("/reconciliations/differences", campaign=CAMPAIGN))["items"]


async def test_a_return_nobody_answers_becomes_a_difference() -> None:
    """In transit is aged: after three days it is MISSING_RETURN."""
    money = await returned("p1")
    for day in range(2, 6):
        await begin_day(money, f"2019-12-{day:02d}")
    [found] = await money.events(r.ReconciliationDifferenceFound)
    assert (found.kind, found.fen) == ("MISSING_RETURN", 26000)
    await book(money, "p1")
    await acknowledge(money, 1, 26000)
    await begin_day(money, "2019-12-06")
    assert len(await money.events(r.ReconciliationDifferenceResolved)) == 1


async def test_unidentified_money_is_a_difference_of_its_day() -> None:
    """UNIDENTIFIED: no silent drop."""
    money = await opened("p1")
    await money.post("/payments", payment("O1", "nobody", captured=True))
    await begin_day(money, "2019-11-03")
    [found] = await money.events(r.ReconciliationDifferenceFound)
    assert (found.kind, found.fen, found.date) == ("UNIDENTIFIED", 26000, dt.date(2019, 11, 2))


async def test_a_day_is_reconciled_on_request() -> None:
    """POST /reconciliations; nothing new to say says nothing."""
    money = await returned("p1")
    body = {"campaign": CAMPAIGN, "date": "2019-12-01"}
    first = await money.post("/reconciliations", body)
    assert first.json()["found"] == ["TotalsReconciled", "DetailsReconciled"]
    assert (await money.post("/reconciliations", body)).json()["found"] == []


async def test_a_month_is_reconciled_with_the_treasury_and_finance() -> None:
    """Month-end, four parties, to the fen (I-29)."""
    money = await returned("p1")
    await book(money, "p1")
    body = {
        "party": "TREASURY",
        "campaign": CAMPAIGN,
        "month": "2019-12",
        "rows": [{"insurance": "medical", "count": 1, "fen": 25999}],
    }
    first = await money.post("/statements", body)
    assert [each["fen"] for each in first.json()["differences"]] == [-1]
    body["rows"] = [{"insurance": "medical", "count": 1, "fen": 26000}]
    again = await money.post("/statements", body)
    assert again.json()["differences"] == []
    assert len(await money.events(r.ReconciliationDifferenceResolved)) == 1
    await money.post("/statements", body | {"party": "FINANCE"})
    totals = [t for t in await money.events(r.TotalsReconciled) if t.insurance is Insurance.MEDICAL][-1]
    assert totals.equal
    assert set(totals.parties) == {
        "tax",
        "treasury",
        "registration",
        "treasury-statement",
        "finance-statement",
    }


async def test_a_lost_payment_shows_as_exactly_its_fen() -> None:
    """A planted loss: a line vanishes from our books; plus and minus never cancel."""
    money = await opened("p1", "p2", "p3")
    await money.post("/payments", payment("O1", "p1"))
    await money.post("/channels/WECHAT/day-files", day_file("D1", ("O1", "p1", 26000), ("O2", "p2", 26000)))
    await money.post("/channels/ALIPAY/day-files", day_file("A1", ("A1", "p3", 26000), channel="ALIPAY"))
    told = await money.get("/money/unaccounted", campaign=CAMPAIGN)
    assert (told["unaccounted_fen"], told["checked"]) == (0, 2)
    c = money_line.c
    async with money.service.parts.database.begin() as connection:
        await connection.execute(sa.delete(money_line).where(c.line_id == "WECHAT-O2/1"))
        await connection.execute(sa.update(money_line).where(c.line_id == "ALIPAY-A1/1").values(fen=26001))
    told = await money.get("/money/unaccounted", campaign=CAMPAIGN)
    assert told["unaccounted_fen"] == 26000 + 1
    assert {row["unaccounted_fen"] for row in told["rows"]} == {26000, 1}


async def test_cash_in_hand_is_a_state_and_no_loss() -> None:
    """Cash taken after the day's deposit is still with the agent: RECEIVED."""
    money = await settled_village("p1")
    await money.assess("p2")
    await money.post("/payments", cash("C2", "p2"))
    assert await states(money) == {"SETTLED": 26000, "RECEIVED": 26000}
    assert (await money.get("/money/unaccounted", campaign=CAMPAIGN))["unaccounted_fen"] == 0


async def test_the_gauges_show_the_same_fen() -> None:
    """_money_fen, _unaccounted_fen and the time of the check, before /metrics is rendered."""
    money = await settled_village("p1")
    async with money.service.anonymous() as client:
        text = (await client.get("/metrics")).text
    labels = f'campaign="{CAMPAIGN}",insurance="medical",service="collection"'
    assert f"liangxian_unaccounted_fen{{{labels}}} 0.0" in text
    assert f'liangxian_money_fen{{{labels},stage="settled"}} 26000.0' in text
    assert "liangxian_unaccounted_checked_timestamp_seconds" in text


async def test_a_campaign_at_a_glance_counts_people_once_and_money_by_line() -> None:
    """Per village and insurance, and people whatever they owe; sums are those of the lines (money words)."""
    money = await returned("p1", "p2")
    await money.post("/payments", payment("O9", "nobody", captured=True))
    await book(money, "p1")
    items = (await money.get(f"/campaigns/{CAMPAIGN}/villages"))["items"]
    rows = {(item["village"], item["insurance"]): item for item in items}
    medical = rows[(VILLAGE, "medical")]
    expected = {"persons": 2, "paid_persons": 2, "exempt_persons": 0, "paid_fen": 52000, "deposited_fen": 52000,
                "declared_fen": 52000, "in_treasury_fen": 52000, "returned_fen": 52000, "booked_fen": 26000,
                "refunded_fen": 0, "refund_due_fen": 0}  # fmt: skip
    assert {name: medical[name] for name in expected} == expected
    assert (rows[(VILLAGE, "ALL")]["persons"], rows[(VILLAGE, "ALL")]["paid_persons"]) == (2, 2)
    assert rows[(VILLAGE, "ALL")]["paid_fen"] == 0
    assert sum(row["unidentified_fen"] for row in items) == 26000
    days = (await money.get(f"/campaigns/{CAMPAIGN}/days"))["items"]
    assert sum(day["fen"] for day in days) == 78000
    assert {day["channel"] for day in days} == {"CASH_AGENT", "WECHAT"}
    assert sum(day["count"] for day in days) == 3


async def test_the_sums_kept_are_those_of_the_lines() -> None:
    """Gauges read sums that follow every move of a line; whatever happened, they equal the lines'."""
    money = await returned("p1", "p2", "p3")
    await book(money, "p1", "p2")
    await money.assess("q1", "q2", "q3")
    await money.post("/payments", payment("O1", "q1"))
    await money.post("/payments", payment("O1b", "q1", captured=True))
    await money.post("/payments", payment("O2", "q2"))
    file = day_file("D1", ("O1", "q1", 26000), ("O1b", "q1", 26000), ("O9", "nobody", 26000))
    await money.post("/channels/WECHAT/day-files", file)
    body = {"line_id": "WECHAT-O9/1", "person_id": "q3", "year": 2020, "insurance": "medical"}
    await money.post("/suspense/WECHAT/O9:identify", body)
    died = DeathReportedV1(person_id="q1", date=dt.date(2019, 10, 30), source="POLICE", batch_month="2019-11")
    await money.receive(died)
    async with money.service.parts.database.read() as connection:
        kept = {
            key: {s: fen for s, fen in sums.items() if fen}
            for key, sums in (await stages(connection)).items()
        }
        by_lines = await book_rows(connection, CAMPAIGN)
        by_sums = await book_rows(connection, CAMPAIGN, kept_sums=True)
    now = {state.lower(): fen for state, fen in (await states(money)).items()}
    assert kept == {(CAMPAIGN, "medical"): now}
    assert set(now) == {"booked", "returned", "received", "refund_due", "settled"}
    assert by_lines == by_sums


async def test_money_is_shown_and_reconciled_in_the_callers_divisions_only() -> None:
    """Scopes hold per division: a village sees its own lines, books and reconciliations need the campaign."""
    money = await opened("p1")
    await money.post("/channels/WECHAT/day-files", day_file("D1", ("O1", "p1", 26000), ("O2", "nobody", 1)))
    seen = []
    for divisions in (("370402",), (VILLAGE,), ("3704",)):
        async with money.service.client(["collection:reconciliation:read"], divisions) as client:
            rows = (await client.get("/money/positions", params={"campaign": CAMPAIGN})).json()["rows"]
            books = (await client.get("/money/unaccounted")).json()["checked"]
            asked = [
                (await client.get(path, params={"campaign": CAMPAIGN})).status_code
                for path in ("/money/unaccounted", "/reconciliations/differences")
            ]
        seen.append((sum(row["fen"] for row in rows), books, asked))
    assert seen == [(0, 0, [403, 403]), (26000, 0, [403, 403]), (26001, 1, [200, 200])]
    statement = {"party": "FINANCE", "campaign": CAMPAIGN, "month": "2019-12", "rows": []}
    day = {"campaign": CAMPAIGN, "date": "2019-11-02"}
    for path, body in (("/statements", statement), ("/reconciliations", day)):
        for division, status in (("370402", 403), (VILLAGE, 403), ("370406", 201)):
            assert (await money.post(path, body, divisions=[division])).status_code == status


async def test_money_settled_with_nobody_outside_is_unaccounted() -> None:
    """A day our lines place beyond the taker, of which no bank or channel told anything."""
    money = await opened("p1")
    await money.post("/channels/WECHAT/day-files", day_file("D1", ("O1", "p1", 26000)))
    async with money.service.parts.database.begin() as connection:
        await connection.execute(sa.delete(outside_book))
    told = await money.get("/money/unaccounted", campaign=CAMPAIGN)
    assert (told["unaccounted_fen"], told["checked"]) == (26000, 1)
    async with money.service.parts.database.read() as connection:
        [kept] = await book_rows(connection, kept_sums=True)
    assert kept.unaccounted_fen == 26000
