"""Agents' days and channels' day files through their routes (I-20, I-22; scenarios 5 and 6)."""

from __future__ import annotations

from typing import Any

from services.collection.payments import events as p
from services.collection.settlement import events as s
from tests.unit.collection.money_service import (
    AGENT,
    CAMPAIGN,
    VILLAGE,
    MoneyService,
    begin_day,
    cash,
    day_file,
    deposit,
    opened,
    payment,
    settled_village,
    states,
    summary,
)


def correction(slip_no: str, fen: int) -> dict[str, Any]:
    """What was short is deposited (补缴) for 2019-11-02."""
    return {
        "campaign": CAMPAIGN,
        "agent_id": AGENT,
        "date": "2019-11-02",
        "insurance": "medical",
        "resolution": {"kind": "CORRECTIVE_DEPOSIT", "slip_no": slip_no, "amount_fen": fen},
    }


async def test_receipts_summary_and_deposit_agree() -> None:
    """I-20: sum of receipts = summary = deposit, then the day is confirmed with its lines."""
    money = await settled_village("p1", "p2")
    [confirmed] = await money.events(s.DailySettlementConfirmed)
    assert (confirmed.source, confirmed.count, confirmed.fen) == (AGENT, 2, 52000)
    [lines] = await money.events(s.SettlementLinesConfirmed)
    assert lines.lines == ("CASH_AGENT-C-p1/1", "CASH_AGENT-C-p2/1")
    assert await states(money) == {"SETTLED": 52000}
    [day] = (await money.get("/settlements", campaign=CAMPAIGN, village=VILLAGE))["items"]
    assert (day["summary_fen"], day["outside_fen"], day["confirmed_fen"]) == (52000, 52000, 52000)


async def test_the_order_in_which_they_arrive_does_not_matter() -> None:
    """The bank's file may come before the agent's summary."""
    money = await opened("p1")
    await money.post("/payments", cash("C1", "p1"))
    await money.post("/deposits:import", deposit(26000))
    assert not await money.events(s.DailySettlementConfirmed)
    await money.post(f"/agents/{AGENT}/summaries", summary(1, 26000))
    assert len(await money.events(s.DailySettlementConfirmed)) == 1


async def test_repeated_summaries_and_files_change_nothing() -> None:
    """Same file again is idempotent; a slip counts once; a file number has one content."""
    money = await settled_village("p1")
    head = await money.service.parts.log.head()
    assert (await money.post("/deposits:import", deposit(26000))).status_code == 200
    assert (await money.post(f"/agents/{AGENT}/summaries", summary(1, 26000))).status_code == 200
    other = await money.post("/deposits:import", deposit(1))
    assert (other.status_code, other.json()["code"]) == (409, "FILE_NO_TAKEN")
    assert await money.service.parts.log.head() == head
    body = deposit(26000) | {"file_no": "F-2"}
    again = await money.post("/deposits:import", body)
    assert again.json()["refused"] == [{"slip_no": "S1", "fen": 26000, "reason": "SLIP_TAKEN"}]
    assert len(await money.events(s.DailySettlementDeposited)) == 1


async def test_less_than_was_taken_is_a_discrepancy_until_it_is_deposited() -> None:
    """Scenario 6: less than the receipts; a corrective deposit resolves it."""
    money = await opened("p1", "p2")
    await money.post("/payments", cash("C1", "p1", "p2"))
    await money.post(f"/agents/{AGENT}/summaries", summary(2, 52000))
    await money.post("/deposits:import", deposit(50000))
    [found] = await money.events(s.DailySettlementDiscrepancyDetected)
    assert (found.reason, found.diff_fen) == ("SHORT", -2000)
    told = await money.get("/money/unaccounted", campaign=CAMPAIGN)
    assert (told["unaccounted_fen"], told["difference_fen"], told["checked"]) == (0, 2000, 1)
    assert (await money.post("/settlements", correction("S9", 2001))).status_code == 422
    assert (await money.post("/settlements", correction("S9", 2000))).status_code == 201
    [resolved] = await money.events(s.DailySettlementDiscrepancyResolved)
    assert resolved.resolution == "CORRECTIVE_DEPOSIT"
    assert await states(money) == {"SETTLED": 52000}
    assert (await money.post("/settlements", correction("S9", 2000))).json()["code"] == "INVALID_STATE"
    told = await money.get("/money/unaccounted", campaign=CAMPAIGN)
    assert (told["unaccounted_fen"], told["difference_fen"]) == (0, 0)


async def test_more_than_was_taken_is_a_discrepancy_until_returned() -> None:
    """Scenario 6: more than the receipts looks like advance funding (垫资)."""
    money = await opened("p1")
    await money.post("/payments", cash("C1", "p1"))
    await money.post(f"/agents/{AGENT}/summaries", summary(1, 26000))
    await money.post("/deposits:import", deposit(26001))
    [found] = await money.events(s.DailySettlementDiscrepancyDetected)
    assert (found.reason, found.diff_fen) == ("OVER", 1)
    returned = {
        "campaign": CAMPAIGN,
        "agent_id": AGENT,
        "date": "2019-11-02",
        "insurance": "medical",
        "resolution": {"kind": "RETURNED_EXCESS", "slip_no": "R1", "amount_fen": 1},
    }
    assert (await money.post("/settlements", returned)).status_code == 201
    assert await states(money) == {"SETTLED": 26000}


async def test_a_wrong_summary_is_put_right_by_a_new_one() -> None:
    """The agent's own sum differs from his receipts although the bank agrees."""
    money = await opened("p1")
    await money.post("/payments", cash("C1", "p1"))
    await money.post(f"/agents/{AGENT}/summaries", summary(2, 26000))
    await money.post("/deposits:import", deposit(26000))
    [found] = await money.events(s.DailySettlementDiscrepancyDetected)
    assert found.reason == "SUMMARY"
    await money.post(f"/agents/{AGENT}/summaries", summary(1, 26000))
    assert len(await money.events(s.DailySettlementConfirmed)) == 1


async def test_cash_deposited_the_next_day_is_overdue_once() -> None:
    """Scenario 6, I-22: by the day it was taken; flagged once per agent, day and insurance."""
    money = await opened("p1")
    await money.post("/payments", cash("C1", "p1"))
    await begin_day(money, "2019-11-03")
    [overdue] = await money.events(s.SettlementOverdue)
    assert (overdue.source, overdue.days, overdue.fen) == (AGENT, 1, 26000)
    assert await overdue_gauge(money) == [1.0]
    await money.post(f"/agents/{AGENT}/summaries", summary(1, 26000))
    await money.post("/deposits:import", deposit(26000, on="2019-11-03"))
    await begin_day(money, "2019-11-04")
    assert len(await money.events(s.SettlementOverdue)) == 1
    assert len(await money.events(s.DailySettlementConfirmed)) == 1
    assert await overdue_gauge(money) == [0.0]


async def test_cash_recorded_late_and_put_right_by_a_correction_is_overdue() -> None:
    """I-22: the correction settles the day at once, and no later day looks at it again."""
    money = await opened("p1")
    await begin_day(money, "2019-11-03")
    await money.post("/payments", cash("C1", "p1"))
    await money.post(f"/agents/{AGENT}/summaries", summary(1, 26000))
    await money.post("/deposits:import", deposit(25000))
    assert not await money.events(s.SettlementOverdue)
    assert (await money.post("/settlements", correction("C9", 1000))).status_code == 201
    [overdue] = await money.events(s.SettlementOverdue)
    assert (overdue.source, overdue.days, overdue.fen) == (AGENT, 1, 1000)
    await begin_day(money, "2019-11-04")
    await begin_day(money, "2019-11-05")
    assert len(await money.events(s.SettlementOverdue)) == 1
    assert len(await money.events(s.DailySettlementConfirmed)) == 1


async def test_cash_found_after_its_day_was_settled_is_overdue() -> None:
    """I-22: a settled day is looked at again when more was taken on it than was confirmed."""
    money = await opened("p1", "p2")
    await money.post("/payments", cash("C1", "p1"))
    await money.post(f"/agents/{AGENT}/summaries", summary(1, 26000))
    await money.post("/deposits:import", deposit(26000))
    await begin_day(money, "2019-11-03")
    await begin_day(money, "2019-11-04")
    assert not await money.events(s.SettlementOverdue)
    await money.post("/payments", cash("C2", "p2"))
    await begin_day(money, "2019-11-05")
    [overdue] = await money.events(s.SettlementOverdue)
    assert (overdue.source, overdue.days, overdue.fen) == (AGENT, 3, 26000)


async def overdue_gauge(money: MoneyService) -> list[float]:
    """``liangxian_overdue_remittances`` as scraped, of the insurances whose cash has a day."""
    async with money.service.anonymous() as client:
        lines = (await client.get("/metrics")).text.splitlines()
    return [float(line.split()[-1]) for line in lines if line.startswith("liangxian_overdue_remittances{")]


async def test_cash_deposited_in_time_is_never_overdue() -> None:
    """I-22: same day is in time."""
    money = await settled_village("p1")
    await begin_day(money, "2019-11-03")
    assert not await money.events(s.SettlementOverdue)


async def test_another_account_does_not_count_and_is_flagged() -> None:
    """I-18: only the designated unit account."""
    money = await opened("p1")
    await money.post("/payments", cash("C1", "p1"))
    await money.post(f"/agents/{AGENT}/summaries", summary(1, 26000))
    await money.post("/deposits:import", deposit(26000, account_ref="somebody"))
    assert len(await money.events(s.PersonalAccountDepositFlagged)) == 1
    assert not await money.events(s.DailySettlementConfirmed)
    await money.post("/deposits:import", deposit(26000, slip="S2", account_ref="acct-unit-1"))
    assert len(await money.events(s.DailySettlementConfirmed)) == 1


async def test_a_deposit_of_an_unknown_agent_is_listed() -> None:
    """A bank's line is shown, never dropped."""
    money = await opened("p1")
    response = await money.post("/deposits:import", deposit(26000, agent_id="nobody"))
    assert response.json()["refused"][0]["reason"] == "AGENT_UNKNOWN"
    [file] = await money.events(s.DepositFileReceived)
    assert (file.fen, file.matched_fen, len(file.unmatched)) == (26000, 0, 1)


async def test_a_file_nobody_fits_is_listed_whole() -> None:
    """However many lines fit no agent: parts of at most 500, none dropped."""
    money = await opened("p1")
    file = deposit(1, agent_id="nobody")
    file["lines"] = [file["lines"][0] | {"slip_no": f"S{n}"} for n in range(1100)]
    response = await money.post("/deposits:import", file)
    assert response.status_code == 201, response.text
    [header] = await money.events(s.DepositFileReceived)
    more = await money.events(s.UnmatchedDepositsListed)
    listed = [*header.unmatched, *(line for part in more for line in part.unmatched)]
    assert [line.slip_no for line in listed] == [f"S{n}" for n in range(1100)]
    assert (header.count, header.matched_fen) == (1100, 0)


async def test_cash_recorded_after_the_confirmation_is_confirmed_with_its_own_deposit() -> None:
    """A second batch of the day holds the new lines only."""
    money = await settled_village("p1")
    await money.assess("p2")
    await money.post("/payments", cash("C2", "p2"))
    await money.post(f"/agents/{AGENT}/summaries", summary(2, 52000))
    await money.post("/deposits:import", deposit(26000, slip="S2"))
    batches = [(each.batch, each.count) for each in await money.events(s.DailySettlementConfirmed)]
    assert batches == [(1, 1), (2, 1)]


async def test_a_day_file_settles_known_orders_and_records_unknown_ones() -> None:
    """Final money of the file is recorded, matched or set aside; the file again changes nothing."""
    money = await opened("p1", "p2", "p3")
    await money.post("/payments", payment("O1", "p1"))
    file = day_file("D1", ("O1", "p1", 26000), ("O2", "p2", 26000), ("O3", "nobody", 26000))
    response = await money.post("/channels/WECHAT/day-files", file)
    assert response.status_code == 201, response.text
    assert response.json()["standings"] == {"EFFECTIVE": 2, "UNIDENTIFIED": 1}
    head = await money.service.parts.log.head()
    assert (await money.post("/channels/WECHAT/day-files", file)).status_code == 201
    assert await money.service.parts.log.head() == head
    told = await money.get("/money/unaccounted", campaign=CAMPAIGN)
    assert (told["unaccounted_fen"], told["difference_fen"], told["checked"]) == (0, 0, 1)
    found = await states(money)
    assert found == {"VOUCHERED": 52000, "UNIDENTIFIED": 26000}
    other = await money.post("/channels/WECHAT/day-files", day_file("D1", ("O1", "p1", 26000)))
    assert (other.status_code, other.json()["code"]) == (409, "FILE_NO_TAKEN")


async def test_days_of_another_division_are_not_shown() -> None:
    """Scopes hold per division: an agent reads his own county's days."""
    money = await opened("p1")
    await money.post("/payments", cash("C1", "p1"))
    await money.post("/deposits:import", deposit(26000))
    shown = []
    for divisions in (("370402",), ("370406",)):
        async with money.service.client(["collection:settlement:read"], divisions) as client:
            shown.append(len((await client.get("/settlements")).json()["items"]))
    assert shown == [0, 1]


async def test_an_order_number_used_for_other_payments_sets_each_of_them_aside() -> None:
    """The money of every file is final (I-17): one number, two other amounts, nothing written over."""
    money = await opened("p1", "p2", "p3")
    await money.post("/payments", payment("O1", "p1"))
    for number, person, fen in (("D1", "p2", 100), ("D2", "p3", 200)):
        file = day_file(number, ("O1", person, fen))
        assert (await money.post("/channels/WECHAT/day-files", file)).status_code == 201
    found = await money.events(p.UnidentifiedMoneyRecorded)
    assert [(each.line_id, each.fen) for each in found] == [("WECHAT-O1/s1", 100), ("WECHAT-O1/s2", 200)]
    assert (await states(money))["UNIDENTIFIED"] == 300


async def test_a_day_file_with_wrong_totals_is_refused() -> None:
    """The file's own totals are checked before anything is recorded."""
    money = await opened("p1")
    file = day_file("D1", ("O1", "p1", 26000)) | {"total_fen": 26001}
    response = await money.post("/channels/WECHAT/day-files", file)
    assert (response.status_code, response.json()["code"]) == (422, "TOTALS_MISMATCH")
    assert await states(money) == {}


async def test_an_amount_that_differs_shows_as_exactly_its_fen() -> None:
    """A line of +1 fen is a known difference, never unaccounted."""
    money = await opened("p1")
    await money.post("/payments", payment("O1", "p1"))
    await money.post("/channels/WECHAT/day-files", day_file("D1", ("O1", "p1", 26001)))
    [found] = await money.events(s.DailySettlementDiscrepancyDetected)
    assert (found.reason, found.diff_fen, found.kind) == ("AMOUNT", 1, "CHANNEL")
    told = await money.get("/money/unaccounted", campaign=CAMPAIGN)
    assert (told["unaccounted_fen"], told["difference_fen"]) == (0, 1)


async def test_a_line_missing_in_the_file_is_a_discrepancy_until_a_later_file_has_it() -> None:
    """Recorded but not in the channel's book."""
    money = await opened("p1", "p2")
    await money.post("/payments", payment("O1", "p1"))
    await money.post("/payments", payment("O2", "p2"))
    await money.post("/channels/WECHAT/day-files", day_file("D1", ("O1", "p1", 26000)))
    [found] = await money.events(s.DailySettlementDiscrepancyDetected)
    assert (found.reason, found.diff_fen) == ("MISSING_IN_FILE", -26000)
    told = await money.get("/money/unaccounted", campaign=CAMPAIGN)
    assert (told["unaccounted_fen"], told["difference_fen"]) == (0, 26000)
    await money.post("/channels/WECHAT/day-files", day_file("D2", ("O2", "p2", 26000)))
    assert len(await money.events(s.DailySettlementDiscrepancyResolved)) == 1
    told = await money.get("/money/unaccounted", campaign=CAMPAIGN)
    assert (told["unaccounted_fen"], told["difference_fen"]) == (0, 0)
    assert await states(money) == {"VOUCHERED": 52000}


async def test_a_file_whose_order_holds_another_payment_sets_the_money_aside() -> None:
    """An order number names one payment; what the file adds to it is unidentified, not lost."""
    money = await opened("p1", "p2")
    await money.post("/payments", payment("O1", "p1"))
    file = day_file("D1", ("O1", "p2", 26000))
    response = await money.post("/channels/WECHAT/day-files", file)
    assert response.json()["standings"] == {"UNIDENTIFIED": 1}
    [aside] = await money.events(p.UnidentifiedMoneyRecorded)
    assert aside.reason == "ORDER_MISMATCH"
    found = await states(money)
    assert found["UNIDENTIFIED"] == 26000


async def test_a_file_that_pays_for_somebody_twice_gives_a_duplicate() -> None:
    """Scenario 5: the second success is a duplicate with a refund due (I-17)."""
    money = await opened("p1")
    await money.post("/payments", cash("C1", "p1"))
    response = await money.post("/channels/WECHAT/day-files", day_file("D1", ("O1", "p1", 26000)))
    assert response.json()["standings"] == {"DUPLICATE": 1}
    assert await states(money) == {"RECEIVED": 26000, "REFUND_DUE": 26000}
