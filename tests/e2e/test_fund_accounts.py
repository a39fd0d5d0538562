"""DZ-2018's own flow, no tax bureau: from registration to booked, every refusal on the way (000:L133-186)."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from deploy.rehearsal.clients import SERVICES, Reply
from tests.e2e.composition import System, composed

PACK = "DZ-2018"
CAMPAIGN = "370406101-2018"
VILLAGE = "370406101201"
OTHER = "370406101202"
AGENT = f"A-{VILLAGE}-1"
YEAR = 2018
MEDICAL, HALF, PENSION, LOWEST = 18_000, 9_000, 30_000, 10_000
DAY = dt.date(2017, 11, 8)
NUMBERS = {
    "family": "370406198001010025",
    "single": "370406197505052232",
    "poor": "370406196003030047",
    "elder": "37040619550202005X",
}
TIER = {"family": 300}


class Town:
    """Speaks for every organisation of the 2018 flow."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.persons: dict[str, str] = {}
        self.asked = 0
        self.serial = 0

    async def ask(self, who: str, service: str, path: str, body: Any, key: str = "") -> Reply:
        """A request that may be refused; what it causes comes to rest."""
        self.asked += 1
        reply = await self.system.clients.ask(who, service, path, body, key or f"town-{self.asked}")
        await self.system.drain()
        return reply

    async def post(self, who: str, service: str, path: str, body: Any) -> Any:
        """A request that must succeed."""
        reply = await self.ask(who, service, path, body)
        assert reply.status < 400, f"{path}: {reply.status} {reply.body}"
        return reply.body

    async def refused(self, who: str, service: str, path: str, body: Any) -> tuple[str, str]:
        """Code and rule of a request that must be refused."""
        reply = await self.ask(who, service, path, body)
        assert reply.status >= 400, f"{path}: {reply.body}"
        return reply.code, reply.rule

    async def get(self, service: str, path: str, who: str = "auditor", **query: str | int) -> Any:
        """A read."""
        return await self.system.clients.get(who, service, path, **query)

    async def text(self, service: str, path: str, **query: str | int) -> str:
        """A form as a file, by somebody who sees no names."""
        if service == "collection":
            query = {"campaign": CAMPAIGN, **query}
        return str(await self.get(service, path, **query))

    async def upload(self, who: str, service: str, path: str, rows: Sequence[Mapping[str, Any]]) -> Any:
        """Hand in a file; its status once it is worked off."""
        self.asked += 1
        content = b"\n".join(msgspec.json.encode(row) for row in rows)
        reply = await self.system.clients.upload(who, service, path, content, f"town-{self.asked}")
        await self.system.drain()
        return await self.system.clients.get(who, service, f"/imports/{reply.body['import_id']}")

    async def day(self, day: dt.date) -> None:
        """BeginDay everywhere."""
        for service in SERVICES:
            await self.system.clients.post("ops", service, "/ops/begin-day", {"date": day.isoformat()})
        await self.system.drain()

    async def cash(self, day: dt.date, *lines: tuple[str, str, int]) -> Reply:
        """The agent takes cash with a receipt: (person, insurance, fen)."""
        self.serial += 1
        body = {
            "order_no": f"O-{self.serial}",
            "channel": "CASH_AGENT",
            "agent": AGENT,
            "paid_at": f"{day}T10:00:00+08:00",
            "receipt": {"book_no": "B-1", "serial_no": f"{self.serial:06d}"},
            "lines": [
                {"person_id": self.persons[who], "year": YEAR, "insurance": insurance, "amount_fen": fen}
                for who, insurance, fen in lines
            ],
        }
        return await self.ask("village-agent", "collection", "/payments", body)

    async def summary(self, day: dt.date, *totals: tuple[str, int, int]) -> None:
        """代办员日汇总."""
        body = {
            "campaign": CAMPAIGN,
            "date": day.isoformat(),
            "totals": [{"insurance": i, "count": count, "amount_fen": fen} for i, count, fen in totals],
        }
        await self.post("village-agent", "collection", f"/agents/{AGENT}/summaries", body)

    async def deposit(self, on: dt.date, *slips: tuple[str, str, str, int, dt.date]) -> Any:
        """The bank's file: (slip, insurance, account, fen, day the money was taken)."""
        self.asked += 1
        body = {
            "file_no": f"F-{self.asked}",
            "bank": "BANK-1",
            "campaign": CAMPAIGN,
            "lines": [
                {
                    "slip_no": slip,
                    "agent_id": AGENT,
                    "date": taken.isoformat(),
                    "insurance": insurance,
                    "amount_fen": fen,
                    "deposited_on": on.isoformat(),
                    "account_ref": account,
                }
                for slip, insurance, account, fen, taken in slips
            ],
        }
        return await self.post("bank", "collection", "/deposits:import", body)

    def sign_body(self, *totals: tuple[str, int, int], receipts: int) -> dict[str, Any]:
        """What the village brings to the station."""
        return {
            "actor": "station-02",
            "slips": ["S-1", "S-2"],
            "receipts": receipts,
            "totals": [{"insurance": i, "count": count, "amount_fen": fen} for i, count, fen in totals],
        }

    async def document(self, insurance: str, source: str = "VILLAGE") -> dict[str, Any]:
        """The only document of an insurance and source."""
        page = await self.get("collection", "/payment-documents", campaign=CAMPAIGN, source=source)
        (found,) = [row for row in page["items"] if row["insurance"] == insurance]
        return dict(found)

    async def stages(self) -> dict[tuple[str, str], int]:
        """Fen by (insurance, stage)."""
        rows = (await self.get("collection", "/money/positions", campaign=CAMPAIGN))["rows"]
        found: dict[tuple[str, str], int] = {}
        for row in rows:
            key = (row["insurance"], row["state"])
            found[key] = found.get(key, 0) + row["fen"]
        return found


@asynccontextmanager
async def town() -> AsyncIterator[Town]:
    """Campaign, fund accounts, agent, four people, two lists; everybody is assessed."""
    async with composed(today=dt.date(2017, 10, 9)) as system:
        made = Town(system)
        await made.day(dt.date(2017, 10, 20))
        await _open(made)
        await _people(made)
        yield made


async def _open(made: Town) -> None:
    post = made.post
    await post("hr", "collection", "/packs", {"pack_id": PACK, "maker": "hr-01"})
    publish = {"campaign": CAMPAIGN, "approver": "hr-02"}
    await post("hr", "collection", f"/packs/{PACK}:publish", publish)
    await post("hr", "collection", "/campaigns", {"campaign": CAMPAIGN, "pack_id": PACK})
    for insurance in ("medical", "pension"):
        for kind in ("INCOME", "FISCAL"):
            account = {
                "campaign": CAMPAIGN,
                "insurance": insurance,
                "kind": kind,
                "account_ref": f"{kind}-{insurance}",
                "bank": "BANK-1",
            }
            await post("hr", "collection", "/fund-accounts", account)
    agent = {
        "agent_id": AGENT,
        "campaign": CAMPAIGN,
        "village": VILLAGE,
        "unit": "U-1",
        "channels": ["CASH_AGENT"],
    }
    await post("town-agency", "collection", "/agents", agent)


async def _people(made: Town) -> None:
    for name, number in NUMBERS.items():
        person = {"name": "示例", "number": number, "division": VILLAGE, "hukou_division": "370406101"}
        registered = await made.post("town-agency", "registration", "/people", person)
        made.persons[name] = registered["person_id"]
        for insurance in ("medical", "pension"):
            if insurance == "medical" or name in ("family", "poor"):
                enrolment = {"person_id": made.persons[name], "insurance": insurance, "year": YEAR}
                await made.post("town-agency", "registration", "/enrolments", enrolment)
    for name, tier in TIER.items():
        body = {"person_id": made.persons[name], "year": YEAR, "campaign": CAMPAIGN, "tier_yuan": tier}
        await made.post("village-agent", "collection", "/tiers", body)
    for client, department, category, insurance, who in (
        ("civil-affairs", "CIVIL_AFFAIRS", "MINIMUM_LIVING", "medical", "poor"),
        ("civil-affairs", "CIVIL_AFFAIRS", "MINIMUM_LIVING", "pension", "poor"),
        ("health", "AGEING", "ELDERLY_60_69", "medical", "elder"),
    ):
        name = f"L-{department}-{insurance}-{who}"
        lines = [{"line_no": 1, "name": "示例", "number": NUMBERS[who]}]
        body = {
            "list_id": name,
            "department": department,
            "category": category,
            "insurance": insurance,
            "campaign": CAMPAIGN,
            "stamped_total": 1,
            "lines": lines,
        }
        await made.post(client, "subsidy", "/lists", body)
        await made.post(client, "subsidy", f"/lists/{name}:verify", {"stamp": "章-01", "count": 1})


async def collected(made: Town) -> None:
    """Two households pay cash on one day; the agent deposits separately on the same day."""
    await made.day(DAY)
    assert (
        await made.cash(DAY, ("family", "medical", MEDICAL), ("family", "pension", PENSION))
    ).status == 201
    assert (await made.cash(DAY, ("elder", "medical", HALF))).status == 201
    await made.summary(DAY, ("medical", 2, MEDICAL + HALF), ("pension", 1, PENSION))


async def signed(made: Town) -> None:
    """The village's money is in the accounts and its reconciliation signed."""
    await collected(made)
    await made.deposit(
        DAY,
        ("S-1", "medical", "INCOME-medical", MEDICAL + HALF, DAY),
        ("S-2", "pension", "INCOME-pension", PENSION, DAY),
    )
    body = made.sign_body(("medical", 2, MEDICAL + HALF), ("pension", 1, PENSION), receipts=2)
    await made.post("town-agency", "collection", f"/village-accounts/{CAMPAIGN}/{VILLAGE}:sign", body)


async def entered(made: Town) -> None:
    """The station enters the village's documents."""
    await made.day(dt.date(2017, 12, 11))
    rows = []
    for insurance in ("medical", "pension"):
        number = (await made.document(insurance))["document_no"]
        page = await made.get("collection", f"/payment-documents/{number}/lines", who="town-agency")
        paid = await made.get("collection", "/payments", campaign=CAMPAIGN, limit=100)
        owners = {row["line_id"]: row["person_id"] for row in paid["items"]}
        assert all(owners[row["line_id"]] == row["person_id"] for row in page["items"]), (
            "each names its payment"
        )
        rows += [
            {"person_id": row["person_id"], "insurance": insurance, "year": YEAR, "payer": row["payer"]}
            for row in page["items"]
        ]
    status = await made.upload("town-agency", "registration", "/entries:import", rows)
    assert (status["accepted"], status["refused"]) == (3, 0)


async def through(made: Town, document_no: str, count: int, fen: int) -> None:
    """Summary, fiscal receipt, pooled, confirmed."""
    path = f"/payment-documents/{document_no}"
    filed = {"actor": "station-02", "count": count, "amount_fen": fen}
    await made.post("town-agency", "collection", f"{path}:file-summary", filed)
    receipt = {"receipt_no": f"FR-{document_no}"}
    await made.post("town-agency", "collection", f"{path}:issue-receipt", receipt)
    moved = {"bank_ref": f"T-{document_no}", "amount_fen": fen, "date": "2017-12-20"}
    await made.post("bank", "collection", f"{path}:transferred", moved)
    await made.post("hr", "collection", f"{path}:confirmed", {"actor": "agency-01"})


async def test_from_registration_to_booked_without_a_tax_bureau() -> None:
    """Deposited apart on the same day, signed, entered, pooled, confirmed, booked; shown for 5 days."""
    async with town() as made:
        await signed(made)
        assert await made.stages() == {
            ("medical", "RECONCILED"): MEDICAL + HALF,
            ("pension", "RECONCILED"): PENSION,
        }
        await entered(made)
        assert set(await made.stages()) == {("medical", "ENTERED"), ("pension", "ENTERED")}
        for insurance, count, fen in (("medical", 2, MEDICAL + HALF), ("pension", 1, PENSION)):
            await through(made, (await made.document(insurance))["document_no"], count, fen)
        assert await made.stages() == {
            ("medical", "BOOKED"): MEDICAL + HALF,
            ("pension", "BOOKED"): PENSION,
        }
        account = await made.get("registration", f"/people/{made.persons['family']}/account")
        assert sorted(entry["fen"] for entry in account["entries"]) == [3_000, PENSION]
        covered = await made.get("registration", f"/people/{made.persons['family']}/entitlements")
        assert [row["from_date"] for row in covered["medical"]] == ["2018-01-01"]
        notices = await made.get("notification", "/notices", village=VILLAGE, kind="POST_TREASURY")
        assert [(row["days"], row["state"]) for row in notices["items"]] == [(5, "OPEN")]
        await made.day(dt.date(2017, 12, 18))
        notices = await made.get("notification", "/notices", village=VILLAGE, kind="POST_TREASURY")
        assert [row["state"] for row in notices["items"]] == ["CLOSED"]
        money = await made.get("collection", "/money/unaccounted", campaign=CAMPAIGN)
        assert (money["unaccounted_fen"], money["difference_fen"]) == (0, 0)
        assert money["checked"] > 0
        differences = await made.get("collection", "/reconciliations/differences", campaign=CAMPAIGN)
        assert differences["items"] == []
        vouchers = await made.get("collection", "/vouchers", campaign=CAMPAIGN)
        assert vouchers["items"] == []


async def test_nothing_is_entered_before_it_is_paid_arrived_and_reconciled() -> None:
    """先缴费后录入 (000:L270-276): NOT_PAID, NOT_ARRIVED, NOT_RECONCILED; after the signature it is entered."""
    async with town() as made:

        async def enter(who: str, insurance: str = "medical") -> tuple[str, str]:
            body = {"person_id": made.persons[who], "insurance": insurance, "year": YEAR}
            return await made.refused("town-agency", "registration", "/entries", body)

        assert await enter("single") == ("NOT_PAID", "I-15")
        await collected(made)
        assert await enter("family") == ("NOT_ARRIVED", "I-15")
        await made.deposit(DAY, ("S-1", "medical", "INCOME-medical", MEDICAL + HALF, DAY))
        assert await enter("family") == ("NOT_RECONCILED", "I-20")
        assert await enter("family", "pension") == ("NOT_ARRIVED", "I-15")
        await made.deposit(DAY, ("S-2", "pension", "INCOME-pension", PENSION, DAY))
        body = made.sign_body(("medical", 2, MEDICAL + HALF), ("pension", 1, PENSION), receipts=2)
        await made.post("town-agency", "collection", f"/village-accounts/{CAMPAIGN}/{VILLAGE}:sign", body)
        given = {"person_id": made.persons["family"], "insurance": "medical", "year": YEAR}
        assert (await made.ask("town-agency", "registration", "/entries", given)).status == 201
        assert (await made.ask("town-agency", "registration", "/entries", given)).status == 200
        number = (await made.document("medical"))["document_no"]
        path = f"/payment-documents/{number}:file-summary"
        whole = {"actor": "station-02", "count": 2, "amount_fen": MEDICAL + HALF}
        assert await made.refused("town-agency", "collection", path, whole) == (
            "TOTALS_MISMATCH",
            "ENTERED_DIFFERS",
        )
        part = {"actor": "station-02", "count": 1, "amount_fen": MEDICAL}
        assert await made.refused("town-agency", "collection", path, part) == (
            "INVALID_STATE",
            "NOT_ALL_ENTERED",
        )


async def test_mixed_and_late_deposits_are_flagged_and_do_not_count() -> None:
    """分别存入、当天存入 (000:L151-155): pension money in the medical account is flagged; a day later is overdue."""
    async with town() as made:
        await collected(made)
        await made.deposit(
            DAY,
            ("S-1", "medical", "INCOME-medical", MEDICAL + HALF, DAY),
            ("S-2", "pension", "INCOME-medical", PENSION, DAY),
        )
        log = [row.type for row in made.system.services["collection"].parts.log.rows]
        assert log.count("MixedDepositFlagged") == 1
        assert "PersonalAccountDepositFlagged" not in log
        assert await made.stages() == {
            ("medical", "FUND_ACCOUNT"): MEDICAL + HALF,
            ("pension", "RECEIVED"): PENSION,
        }
        path = f"/village-accounts/{CAMPAIGN}/{VILLAGE}:sign"
        body = made.sign_body(("medical", 2, MEDICAL + HALF), receipts=2)
        assert await made.refused("town-agency", "collection", path, body) == (
            "INVALID_STATE",
            "CASH_IN_HAND",
        )
        tomorrow = DAY + dt.timedelta(days=1)
        await made.day(tomorrow)
        await made.deposit(tomorrow, ("S-3", "pension", "INCOME-pension", PENSION, DAY))
        overdue = await made.get("collection", "/settlements", campaign=CAMPAIGN, state="OVERDUE")
        assert [(row["insurance"], row["overdue_days"]) for row in overdue["items"]] == [("pension", 1)]
        assert await made.stages() == {
            ("medical", "FUND_ACCOUNT"): MEDICAL + HALF,
            ("pension", "FUND_ACCOUNT"): PENSION,
        }


async def test_the_station_signs_only_what_vouchers_stubs_and_money_agree_on() -> None:
    """对账签字 (000:L155-159): totals and stubs must be those of the money; nothing arrived, nothing to sign."""
    async with town() as made:
        path = f"/village-accounts/{CAMPAIGN}/{VILLAGE}:sign"
        empty = made.sign_body(("medical", 1, MEDICAL), receipts=1)
        assert await made.refused("town-agency", "collection", path, empty) == (
            "INVALID_STATE",
            "NOTHING_ARRIVED",
        )
        await collected(made)
        await made.deposit(
            DAY,
            ("S-1", "medical", "INCOME-medical", MEDICAL + HALF, DAY),
            ("S-2", "pension", "INCOME-pension", PENSION, DAY),
        )
        wrong = made.sign_body(("medical", 2, MEDICAL), ("pension", 1, PENSION), receipts=2)
        assert await made.refused("town-agency", "collection", path, wrong) == (
            "TOTALS_MISMATCH",
            "VOUCHERS_DIFFER",
        )
        stubs = made.sign_body(("medical", 2, MEDICAL + HALF), ("pension", 1, PENSION), receipts=3)
        assert await made.refused("town-agency", "collection", path, stubs) == (
            "TOTALS_MISMATCH",
            "STUBS_DIFFER",
        )


async def test_steps_keep_their_order_and_the_station_does_not_confirm_itself() -> None:
    """汇总、财政往来收据、转入财政专户、确认 (000:L161-182): strictly in order; maker is not checker."""
    async with town() as made:
        await signed(made)
        await entered(made)
        number = (await made.document("medical"))["document_no"]
        path = f"/payment-documents/{number}"
        confirmed = {"actor": "agency-01"}
        state = await made.refused("hr", "collection", f"{path}:confirmed", confirmed)
        assert state == ("DOCUMENT_STATE", "IS_DRAWN")
        receipt = {"receipt_no": "FR-1"}
        state = await made.refused("town-agency", "collection", f"{path}:issue-receipt", receipt)
        assert state == ("DOCUMENT_STATE", "IS_DRAWN")
        filed = {"actor": "station-02", "count": 2, "amount_fen": MEDICAL + HALF}
        await made.post("town-agency", "collection", f"{path}:file-summary", filed)
        await made.post("town-agency", "collection", f"{path}:file-summary", filed)
        await made.post("town-agency", "collection", f"{path}:issue-receipt", receipt)
        short = {"bank_ref": "T-1", "amount_fen": MEDICAL, "date": "2017-12-20"}
        state = await made.refused("bank", "collection", f"{path}:transferred", short)
        assert state == ("AMOUNT_MISMATCH", "I-24")
        moved = short | {"amount_fen": MEDICAL + HALF}
        await made.post("bank", "collection", f"{path}:transferred", moved)
        own = await made.refused("town-agency", "collection", f"{path}:confirmed", {"actor": "station-03"})
        assert own == ("SAME_ORGANISATION", "CONFIRMED_BY_ANOTHER")
        await made.post("hr", "collection", f"{path}:confirmed", confirmed)
        await made.post("hr", "collection", f"{path}:confirmed", confirmed)
        log = [row.type for row in made.system.services["collection"].parts.log.rows]
        assert log.count("PaymentDocumentsConfirmed") == 1
        assert log.count("CollectionSummaryFiled") == 1


async def test_a_refund_waits_until_the_document_of_its_money_is_confirmed() -> None:
    """I-23, I-28: money under way in a document is not paid back; once confirmed, it is, once."""
    async with town() as made:
        await signed(made)
        await entered(made)
        document = await made.document("medical")
        mine = {"campaign": CAMPAIGN, "person_id": made.persons["family"]}
        page = await made.get("collection", "/payments", who="town-agency", **mine)
        (line,) = [row for row in page["items"] if row["insurance"] == "medical"]
        death = {
            "person_id": made.persons["family"],
            "date": "2017-12-05",
            "source": "POLICE",
            "batch_month": "2017-12",
        }
        await made.post("police", "registration", "/deaths", death)
        asked = {
            "payment_line_id": line["line_id"],
            "reason": "DIED_BEFORE_PERIOD",
            "applicant": "heir",
        }
        number = (await made.post("town-agency", "collection", "/refunds", asked))["refund_no"]
        await made.post("finance", "subsidy", f"/refund-approvals/{number}:approve", {"actor": "finance-07"})
        paid = {"amount_fen": MEDICAL, "paid_on": "2017-12-21", "bank_ref": "R-1"}
        early = await made.refused("treasury", "collection", f"/refunds/{number}:paid", paid)
        assert early == ("INVALID_STATE", "MONEY_IN_FLIGHT")
        await through(made, document["document_no"], 2, MEDICAL + HALF)
        settled = await made.post("treasury", "collection", f"/refunds/{number}:paid", paid)
        assert settled["status"] == "SETTLED"
        stages = await made.stages()
        assert (stages["medical", "BOOKED"], stages["medical", "REFUNDED"]) == (HALF, MEDICAL)
        money = await made.get("collection", "/money/unaccounted", campaign=CAMPAIGN)
        assert (money["unaccounted_fen"], money["difference_fen"]) == (0, 0)


async def test_government_legs_take_the_same_way() -> None:
    """政府代缴: a document per payment, entered by the list, pooled only when finance's money has come (I-27)."""
    async with town() as made:
        await signed(made)
        await entered(made)
        for department, client, fen in (
            ("CIVIL_AFFAIRS", "civil-affairs", MEDICAL + LOWEST),
            ("AGEING", "health", HALF),
        ):
            fund = {"department": department, "campaign": CAMPAIGN}
            await made.post(client, "subsidy", "/funds:apply", fund)
            path = f"/funds/{department}/{CAMPAIGN}"
            await made.post("finance", "subsidy", f"{path}:appropriate", {"fen": fen})
            await made.post(client, "subsidy", f"{path}:transfer", {"fen": fen})
            for insurance in ("medical", "pension") if department == "CIVIL_AFFAIRS" else ("medical",):
                await made.post(client, "subsidy", "/government-payments", {**fund, "insurance": insurance})
        page = await made.get("collection", "/payment-documents", campaign=CAMPAIGN, source="GOVERNMENT")
        drawn = {row["document_no"]: row for row in page["items"]}
        assert sorted(row["fen"] for row in drawn.values()) == [HALF, LOWEST, MEDICAL]
        assert (await made.get("collection", "/vouchers", campaign=CAMPAIGN))["items"] == []
        rows = []
        for number, row in drawn.items():
            page = await made.get("collection", f"/payment-documents/{number}/lines", who="town-agency")
            assert {line["line_id"] for line in page["items"]} == {""}, (
                "the government's money has no payment"
            )
            rows += [
                {
                    "person_id": line["person_id"],
                    "insurance": row["insurance"],
                    "year": YEAR,
                    "payer": line["payer"],
                }
                for line in page["items"]
            ]
        status = await made.upload("town-agency", "registration", "/entries:import", rows)
        assert (status["accepted"], status["refused"]) == (3, 0)
        for number, row in drawn.items():
            path = f"/payment-documents/{number}"
            filed = {"actor": "station-02", "count": row["count"], "amount_fen": row["fen"]}
            await made.post("town-agency", "collection", f"{path}:file-summary", filed)
            receipt = {"receipt_no": f"FR-{number}"}
            await made.post("town-agency", "collection", f"{path}:issue-receipt", receipt)
            moved = {"bank_ref": f"T-{number}", "amount_fen": row["fen"], "date": "2017-12-20"}
            state = await made.refused("bank", "collection", f"{path}:transferred", moved)
            assert state == ("INVALID_STATE", "NOT_ARRIVED")
            arrived = {"bank_ref": f"G-{number}", "amount_fen": row["fen"], "date": "2017-12-19"}
            await made.post("bank", "collection", f"{path}:deposited", arrived)
            await made.post("bank", "collection", f"{path}:transferred", moved)
            await made.post("hr", "collection", f"{path}:confirmed", {"actor": "agency-01"})
        stages = await made.stages()
        assert stages["medical", "BOOKED"] == HALF + MEDICAL
        assert stages["pension", "BOOKED"] == LOWEST
        account = await made.get("registration", f"/people/{made.persons['poor']}/account")
        assert sorted(entry["fen"] for entry in account["entries"]) == [3_000, LOWEST]


async def test_forms_statistics_and_what_the_village_shows() -> None:
    """Three forms, last year's payments shown, the weekly table of 收、录、钱 (000:L149-151, L166-170, L274-278)."""
    async with town() as made:
        history = {
            "year": YEAR - 1,
            "village": VILLAGE,
            "source": "2017年个人缴费明细（合成）",
            "lines": [
                {"person_id": made.persons[who], "insurance": "medical", "paid_fen": 15_000}
                for who in ("family", "single")
            ],
        }
        await made.post("hr", "collection", "/history", history)
        totals = await made.get(
            "collection", "/forms/payment-detail/totals", campaign=CAMPAIGN, village=VILLAGE
        )
        assert (totals["persons"], totals["fen"]) == (2, 30_000)
        shown = {"campaign": CAMPAIGN, "village": VILLAGE, "persons": 2, "fen": 30_000}
        await made.post("village-committee", "notification", "/prior-year-payments", shown)
        listed = {"campaign": CAMPAIGN, "village": VILLAGE, "list_id": "L-CIVIL_AFFAIRS", "persons": 1}
        await made.post("village-committee", "notification", "/subsidy-lists-shown", listed)
        page = await made.get("notification", "/publications", campaign=CAMPAIGN)
        assert sorted((row["kind"], row["persons"]) for row in page["items"]) == [
            ("PRIOR_YEAR", 2),
            ("SUBSIDY_LIST", 1),
        ]
        detail = await made.text("collection", "/forms/payment-detail.csv", village=VILLAGE)
        assert f"{made.persons['single']},,居民医疗保险,150.00,180.00," in detail
        await signed(made)
        await made.day(dt.date(2017, 11, 14))
        week = await made.get("collection", "/statistics/weekly", campaign=CAMPAIGN, date="2017-11-14")
        (medical,) = [row for row in week["rows"] if row["insurance"] == "medical"]
        assert (medical["received_fen"], medical["entered_fen"], medical["money_fen"], medical["equal"]) == (
            MEDICAL + HALF,
            0,
            MEDICAL + HALF,
            False,
        )
        await entered(made)
        await made.day(dt.date(2017, 12, 12))
        week = await made.get("collection", "/statistics/weekly", campaign=CAMPAIGN, date="2017-12-12")
        assert [(row["insurance"], row["received_count"], row["equal"]) for row in week["rows"]] == [
            ("medical", 2, True),
            ("pension", 1, True),
        ]
        summary = await made.text("collection", "/forms/payment-summary.csv")
        assert summary.count("村居代收") == 2
        form = await made.text("registration", "/forms/registration.csv", village=VILLAGE, year=YEAR)
        assert form.count("medical-2018-") == 4
        assert form.count("居民养老保险") == 2
