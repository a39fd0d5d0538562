"""The money's whole way on a real PostgreSQL; afterwards every read model equals its replay (I-20..I-30)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import httpx
import pytest

from services.collection.app import SERVICE
from services.collection.settings import CollectionSettings
from shared.contracts.notification import PaymentNoticeClosedV1
from shared.contracts.registration import (
    BookkeepingEntriesPostedV1,
    CollectionInfoAcknowledgedV1,
    DeathReportedV1,
    PostedLine,
    RefundVerifiedV1,
)
from shared.contracts.subsidy import RefundApprovedV1
from shared.eventstore.rebuild import rebuild
from shared.kernel.insurance import Insurance
from shared.testing.service import memory_service
from shared.web.assemble import production_app
from tests.integration.collection.conftest import CAMPAIGN, ROSTER, VILLAGE, registration
from tests.integration.collection.test_happy_path import cash
from tests.integration.collection.test_on_postgres import Site
from tests.integration.collection.test_on_postgres import settings as settings  # noqa: PLC0414 - the fixture
from tests.integration.collection.test_roster_flow import notice_closed

pytestmark = pytest.mark.postgres

PERSONS = ("p1", "p2", "p3", "p4")
MONEY = "/money/positions?campaign=" + CAMPAIGN


async def prepare(site: Site) -> None:
    """A final roster of four persons, an agent, a closed notice before declaration."""
    await site.sign_in("tax")
    await site.sign_in("town")
    await site.post("/ops/begin-day", {"date": "2019-10-26"})
    await site.post("/packs", {"pack_id": "ST-2020", "maker": "tax-01"}, 201)
    await site.post("/packs/ST-2020:publish", {"campaign": CAMPAIGN, "approver": "tax-02"})
    await site.post("/campaigns", {"campaign": CAMPAIGN, "pack_id": "ST-2020"}, 201)
    await site.receive(*(registration(person, Insurance.MEDICAL) for person in PERSONS))
    household = {
        "virtual_household_id": "VH-1",
        "campaign": CAMPAIGN,
        "unit_id": "U-1",
        "name": "店子镇养老医保管理所",
        "villages": [VILLAGE],
    }
    await site.post("/virtual-households", household, 201)
    await site.post(
        "/virtual-households/VH-1:assign-scope", {"insurances": ["medical"], "divisions": [VILLAGE[:9]]}
    )
    agent = {
        "agent_id": "A-1",
        "campaign": CAMPAIGN,
        "village": VILLAGE,
        "virtual_household_id": "VH-1",
        "unit": "U-1",
        "designated_account_ref": "ACC-1",
        "channels": ["CASH_AGENT"],
    }
    await site.post("/agents", agent, 201)
    await site.post("/rosters", {"campaign": CAMPAIGN, "village": VILLAGE}, 201)
    await site.post(f"/rosters/{ROSTER}:review", {"role": "TAX_BRANCH", "actor": "t1"})
    await site.post(f"/rosters/{ROSTER}:review", {"role": "TOWN_AGENCY", "actor": "a1"}, client_id="town")
    await site.post(f"/rosters/{ROSTER}:publish", {})
    await site.receive(notice_closed())
    await site.post(f"/rosters/{ROSTER}:finalise", {})
    await site.post("/ops/begin-day", {"date": "2019-11-02"})


async def collect(site: Site) -> None:
    """Two pay cash, two by WeChat of whom one is known from the day file only; one is unknown."""
    await site.post("/payments", cash(1, [("p1", "medical", 26000)]), 201)
    await site.post("/payments", cash(2, [("p2", "medical", 26000)]), 201)
    order = {
        "order_no": "O3",
        "channel": "WECHAT",
        "paid_at": "2019-11-02T10:15:00+08:00",
        "lines": [{"person_id": "p3", "year": 2020, "insurance": "medical", "amount_fen": 26000}],
    }
    await site.post("/payments", order, 201)
    await site.post("/payments", order, 200)
    totals = [{"insurance": "medical", "count": 2, "amount_fen": 52000}]
    day = {"campaign": CAMPAIGN, "date": "2019-11-02"}
    await site.post("/agents/A-1/summaries", day | {"totals": totals}, 201)
    for slip, fen in (("S1", 50000), ("S2", 2000)):
        line = {
            "slip_no": slip,
            "agent_id": "A-1",
            "date": "2019-11-02",
            "insurance": "medical",
            "amount_fen": fen,
            "deposited_on": "2019-11-02",
            "account_ref": "ACC-1",
        }
        await site.post("/deposits:import", {"file_no": slip, "bank": "B", "lines": [line]}, 201)
    filed = [
        {
            "order_no": number,
            "person_id": person,
            "insurance": "medical",
            "year": 2020,
            "amount_fen": 26000,
            "paid_at": "2019-11-02T10:15:00+08:00",
        }
        for number, person in (("O3", "p3"), ("O4", "p4"), ("O5", "stranger"), ("O6", "p1"))
    ]
    file = day | {"file_no": "D1", "lines": filed, "total_count": 4, "total_fen": 104000}
    answer = await site.post("/channels/WECHAT/day-files", file, 201)
    assert answer["standings"] == {"EFFECTIVE": 2, "UNIDENTIFIED": 1, "DUPLICATE": 1}


async def through_treasury(site: Site, voucher: dict[str, Any]) -> None:
    number, fen = voucher["voucher_no"], voucher["fen"]
    debit = {
        "method": "POS",
        "bank_ref": number[-20:],
        "amount_fen": fen,
        "at": "2019-11-26T09:00:00+08:00",
    }
    await site.post(f"/vouchers/{number}:debited", debit)
    await site.post(f"/vouchers/{number}:remitted", {"batch": "1", "at": "2019-11-26T10:00:00+08:00"})
    await site.post(f"/vouchers/{number}:in-treasury", {"treasury_date": "2019-11-26", "amount_fen": fen})


async def book(site: Site, voucher: dict[str, Any], persons: tuple[str, ...]) -> None:
    number = voucher["voucher_no"]
    await site.receive(
        BookkeepingEntriesPostedV1(
            return_no=f"R-{number}",
            voucher_no=number,
            campaign=CAMPAIGN,
            insurance=Insurance.MEDICAL,
            year=2020,
            booked_on=dt.date(2019, 11, 26),
            lines=tuple(PostedLine(person, VILLAGE, "person", 26000) for person in persons),
        ),
        CollectionInfoAcknowledgedV1(
            voucher_no=number,
            return_no=f"R-{number}",
            booked_lines=len(persons),
            booked_fen=26000 * len(persons),
        ),
    )


async def by_state(site: Site) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in (await site.eventually(MONEY, lambda _: True))["rows"]:
        assert type(row["fen"]) is int
        found[row["state"]] = found.get(row["state"], 0) + row["fen"]
    return found


async def test_money_goes_from_hand_to_book_and_every_read_model_replays(
    settings: CollectionSettings,
) -> None:
    """Scenarios 1, 4, 5 and 12 on the production adapters, to the fen."""
    app = production_app(SERVICE, settings)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://collection") as client,
    ):
        site = Site(app, client)
        await prepare(site)
        await collect(site)
        assert await by_state(site) == {
            "SETTLED": 52000,
            "VOUCHERED": 52000,
            "UNIDENTIFIED": 26000,
            "REFUND_DUE": 26000,
        }
        await site.post(f"/rosters/{ROSTER}:sign", {"actor": "village"})
        await site.receive(
            PaymentNoticeClosedV1(
                village=VILLAGE,
                campaign=CAMPAIGN,
                notice_id=f"N-PRE-{ROSTER}",
                kind="PRE_DECLARATION",
                closed_on=dt.date(2019, 11, 25),
            )
        )
        body = {"virtual_household_id": "VH-1", "campaign": CAMPAIGN, "village": VILLAGE, "via": "ETAX"}
        declared = await site.post("/declarations", body | {"total_fen": 52000}, 201)
        await site.post(f"/declarations/{declared['declaration_no']}:verify", {"actor": "t3"})
        vouchers = await site.eventually("/vouchers?state=ISSUED", lambda page: len(page["items"]) == 2)
        for voucher in vouchers["items"]:
            await through_treasury(site, voucher)
            persons = ("p1", "p2") if voucher["source"] == "DECLARATION" else ("p3", "p4")
            await book(site, voucher, persons)
        refund = "F-WECHAT-O6-1"
        await site.receive(RefundVerifiedV1(person_id="p1", refund_no=refund, payment_id="x", rule="OK"))
        await site.receive(RefundApprovedV1(person_id="p1", refund_no=refund, fen=26000))
        paid = {"amount_fen": 26000, "paid_on": "2019-11-27", "bank_ref": "R1"}
        await site.post(f"/refunds/{refund}:paid", paid)
        await site.receive(
            DeathReportedV1(person_id="p4", date=dt.date(2019, 11, 1), source="POLICE", batch_month="2019-11")
        )
        assert await by_state(site) == {
            "BOOKED": 78000,
            "UNIDENTIFIED": 26000,
            "REFUND_DUE": 26000,
            "REFUNDED": 26000,
        }
        await site.post("/ops/begin-day", {"date": "2019-11-27"})
        told = await site.eventually(f"/money/unaccounted?campaign={CAMPAIGN}", lambda _: True)
        assert (told["unaccounted_fen"], told["difference_fen"], told["checked"]) == (0, 0, 2)
        open_ = await site.eventually(f"/reconciliations/differences?campaign={CAMPAIGN}", lambda _: True)
        assert [item["kind"] for item in open_["items"]] == ["UNIDENTIFIED"]
        statement = {"party": "TREASURY", "campaign": CAMPAIGN, "month": "2019-11"}
        rows = [{"insurance": "medical", "count": 4, "fen": 104000}]
        answer = await site.post("/statements", statement | {"rows": rows}, 201)
        assert answer["differences"] == []
        for path in ("/settlements", "/declarations", "/refunds", "/payments", "/receipts/B1"):
            assert (await site.eventually(f"{path}?limit=1", lambda _: True))["items"]
        assert "liangxian_money_fen" in (await client.get("/metrics")).text
        ports = app.state.ports
        for projection in memory_service(SERVICE).description.projections:
            report = await rebuild(ports.log, ports.database, projection)
            assert report.equal, report
