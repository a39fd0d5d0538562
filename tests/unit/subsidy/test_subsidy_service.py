"""The service through its doors: lists of any size, corrections, deaths, money and who may see it."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest

from services.subsidy.app import SERVICE
from services.subsidy.eligibility.events import SubsidyEntitlementResolved
from services.subsidy.funding.events import GovernmentLegReturned
from shared.contracts.collection import CampaignOpenedV1, GovernmentLegRefusedV1
from shared.contracts.message import Message
from shared.contracts.registration import (
    DeathReportCorrectedV1,
    DeathReportedV1,
    SubsidyBeneficiaryImportedV1,
    SubsidyImportFailedV1,
)
from shared.eventstore.commands import BlindAppend, Page
from shared.eventstore.streams import Metadata
from shared.kernel.identity import check_character
from shared.kernel.insurance import Insurance
from shared.policy import load_pack
from shared.security.vault import PersonalIdentity
from shared.testing.service import MemoryService, memory_service

CAMPAIGN, VILLAGE = "370406-2020", "370406101201"
SCOPES = [
    "subsidy:lists:read",
    "subsidy:lists:write",
    "subsidy:eligibility:read",
    "subsidy:funding:read",
    "subsidy:funding:write",
]


def number_of(serial: int) -> str:
    """A well-formed synthetic number of somebody born in 1970 or later."""
    birth = dt.date(1970, 1, 1) + dt.timedelta(days=serial // 900)
    first = f"370406{birth:%Y%m%d}{serial % 900 + 1:03d}"
    return first + check_character(first)


class Office:
    """A department's clerk, and collection's and registration's messages."""

    def __init__(self, service: MemoryService, client: httpx.AsyncClient) -> None:
        self.service = service
        self.client = client
        self._keys = 0

    async def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        self._keys += 1
        return await self.client.post(path, json=body, headers={"Idempotency-Key": f"k{self._keys}"})

    async def get(self, path: str) -> Any:
        await self.service.settle()
        answer = await self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def known(self, count: int) -> None:
        """People p1 to p{count}, as registration told of them."""
        vault = self.service.ports.vault
        rows = [vault.seal_row(f"p{n}", PersonalIdentity("示例", number_of(n))) for n in range(1, count + 1)]
        async with self.service.parts.database.begin() as connection:
            await connection.upsert(vault.table, rows)

    async def submit(self, list_id: str, serials: Sequence[int], **more: Any) -> httpx.Response:
        body = {
            "list_id": list_id,
            "department": "CIVIL_AFFAIRS",
            "category": "MINIMUM_LIVING",
            "insurance": "medical",
            "campaign": CAMPAIGN,
            "stamped_total": len(serials),
            "lines": [
                {"line_no": number, "name": "示例", "number": number_of(serial)}
                for number, serial in enumerate(serials, 1)
            ],
            **more,
        }
        return await self.post("/lists", body)

    async def verify(self, list_id: str, count: int) -> None:
        await self.service.settle()
        answer = await self.post(f"/lists/{list_id}:verify", {"stamp": "民政-01", "count": count})
        assert answer.status_code == 200, answer.text

    async def receive(self, *messages: Message) -> None:
        store, types = self.service.parts.store, self.service.parts.types
        blind = []
        for message in messages:
            name, _, data = types.encode(message)
            stream = f"received:{message.topic.service}:{message.topic.name}:{message.key()}"
            told = Metadata("c", self.service.parts.runtime.new_id())
            blind.append(BlindAppend(stream, name, data, told, self.service.parts.clock.now()))
        await store.execute_page(Page((), None, blind))
        await self.service.settle()

    async def imported(self, list_id: str, *numbers: int) -> None:
        await self.receive(*(imported(list_id, number) for number in numbers))

    async def events(self, *kinds: type[Any]) -> list[Any]:
        parts = self.service.parts
        return [row.event for row in await parts.log.read(0, 10_000, parts.types.names(kinds))]


def imported(list_id: str, number: int) -> SubsidyBeneficiaryImportedV1:
    return SubsidyBeneficiaryImportedV1(
        person_id=f"p{number}",
        list_id=list_id,
        line_no=number,
        category="MINIMUM_LIVING",
        insurance=Insurance.MEDICAL,
        year=2020,
        birth=dt.date(1970, 1, 1),
        division=VILLAGE,
    )


def failed(list_id: str, number: int) -> SubsidyImportFailedV1:
    return SubsidyImportFailedV1(
        person_id=f"p{number}",
        list_id=list_id,
        line_no=number,
        category="MINIMUM_LIVING",
        insurance=Insurance.MEDICAL,
        year=2020,
        error="NOT_ENROLLED",
    )


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    async with (
        memory_service(SERVICE, today=dt.date(2019, 10, 8)) as service,
        service.client(SCOPES) as client,
    ):
        yield Office(service, client)


async def test_every_line_is_imported_or_failed_and_a_failed_one_comes_back_corrected(office: Office) -> None:
    """I-10: imported + failed = lines; the correction is imported under the line's own number, once."""
    await office.known(4)
    assert (await office.submit("L1", [1, 2, 99])).json()["unmatched"] == 1
    await office.verify("L1", 3)
    shown = await office.get("/lists/L1")
    assert (shown["lines"], shown["complete"]) == ({"FAILED": 1, "SUBMITTED": 2}, False)
    await office.receive(imported("L1", 1), failed("L1", 2))
    shown = await office.get("/lists/L1")
    assert (shown["lines"], shown["complete"], shown["corrected"]) == ({"FAILED": 2, "IMPORTED": 1}, True, 0)

    lines = [{"line_no": 3, "name": "示例", "number": number_of(3)}]
    again = await office.submit("L2", [3], resubmits="L1", lines=lines)
    assert again.status_code == 201, again.text
    await office.verify("L2", 1)
    await office.imported("L2", 3)
    assert (await office.get("/lists/L2"))["lines"] == {"IMPORTED": 1}
    assert (await office.get("/lists/L1"))["corrected"] == 1
    failures = (await office.get("/lists/L1/failures"))["items"]
    assert [(row["line_no"], row["corrected_in"]) for row in failures] == [(2, ""), (3, "L2")]
    twice = await office.submit("L3", [3], resubmits="L1", lines=lines)
    assert (twice.status_code, twice.json()["code"]) == (422, "LINE_NOT_FAILED")


async def test_a_list_of_twenty_thousand_lines_is_taken_in_one_call(office: Office) -> None:
    """A county's list: every line looked up and recorded in parts of at most 500."""
    await office.known(20_000)
    answer = await office.submit("BIG", range(1, 20_001))
    assert answer.status_code == 201, answer.text
    assert (answer.json()["lines"], answer.json()["unmatched"]) == (20_000, 0)
    page = await office.get("/lists/BIG")
    assert page["lines"] == {"SUBMITTED": 20_000}


async def test_a_claim_that_came_under_a_wrong_death_is_resolved_when_it_is_withdrawn(office: Office) -> None:
    """Scenario 4d through the messages: the correction finds the claim nothing was resolved of."""
    await office.known(1)
    await office.submit("L1", [1])
    await office.verify("L1", 1)
    died = {"person_id": "p1", "source": "POLICE"}
    await office.receive(DeathReportedV1(**died, date=dt.date(2019, 10, 1), batch_month="2019-10"))
    await office.imported("L1", 1)
    assert await office.events(SubsidyEntitlementResolved) == []
    assert (await office.get(f"/subsidy-entitlements?campaign={CAMPAIGN}"))["items"] == []
    await office.receive(DeathReportCorrectedV1(**died, date=None))
    [resolved] = await office.events(SubsidyEntitlementResolved)
    assert (resolved.version, resolved.government_fen) == (1, 26_000)


async def test_a_line_that_got_no_voucher_frees_its_money_and_goes_into_the_next_payment(
    office: Office,
) -> None:
    """I-27: submitted less refused is what is vouchered; what was vouchered already is not submitted again."""
    await office.known(2)
    await office.submit("L1", [1, 2])
    await office.verify("L1", 2)
    await office.imported("L1", 1, 2)
    fund = {"department": "CIVIL_AFFAIRS", "campaign": CAMPAIGN}
    await office.service.settle()
    assert (await office.post("/funds:apply", fund)).status_code == 201
    for step in ("appropriate", "transfer"):
        moved = await office.post(f"/funds/CIVIL_AFFAIRS/{CAMPAIGN}:{step}", {"fen": 52_000})
        assert moved.status_code == 201, moved.text
    payment = fund | {"insurance": "medical"}
    first = await office.post("/government-payments", payment)
    assert (first.json()["count"], first.json()["fen"]) == (2, 52_000)

    await office.receive(refused("p1", "LEG_DIFFERS"), refused("p2", "ALREADY_VOUCHERED"))
    returned = await office.events(GovernmentLegReturned)
    assert [(leg.person_id, leg.reopened) for leg in returned] == [("p1", True), ("p2", False)]
    [shown] = (await office.get("/funds"))["items"]
    assert shown["submitted_fen"] == 0
    second = await office.post("/government-payments", payment)
    assert (second.status_code, second.json()["count"], second.json()["fen"]) == (201, 1, 26_000)
    await office.service.settle()
    third = await office.post("/government-payments", payment)
    assert third.json()["code"] == "NOTHING_TO_SUBMIT"


def refused(person_id: str, reason: str) -> GovernmentLegRefusedV1:
    return GovernmentLegRefusedV1(
        voucher_no="V",
        person_id=person_id,
        department="CIVIL_AFFAIRS",
        payment_no=f"GP-{CAMPAIGN}-CIVIL_AFFAIRS-medical-1",
        campaign=CAMPAIGN,
        insurance=Insurance.MEDICAL,
        year=2020,
        payer="finance",
        fen=26_000,
        reason=reason,
    )


async def test_another_pack_than_the_open_campaigns_takes_no_list(office: Office) -> None:
    """A service whose pack differs from the campaign's refuses (architecture §5)."""
    pack = load_pack("ST-2020")
    window = pack.window("medical")
    await office.receive(
        CampaignOpenedV1(
            campaign=CAMPAIGN,
            division="370406",
            year=2020,
            pack_id=pack.id,
            pack_version=pack.version,
            pack_digest="other",
            window_from=window.start,
            window_to=window.end,
        )
    )
    refused_list = await office.submit("L1", [1])
    assert (refused_list.status_code, refused_list.json()["code"]) == (409, "PACK_MISMATCH")


async def test_lists_and_funds_are_shown_to_their_divisions_only(office: Office) -> None:
    """Architecture §6: a caller of another district sees nothing of this one."""
    await office.known(1)
    await office.submit("L1", [1])
    await office.verify("L1", 1)
    await office.imported("L1", 1)
    await office.post("/funds:apply", {"department": "CIVIL_AFFAIRS", "campaign": CAMPAIGN})
    assert len((await office.get("/funds"))["items"]) == len((await office.get("/lists"))["items"]) == 1
    async with office.service.client(SCOPES, divisions=["370404"]) as client:
        stranger = Office(office.service, client)
        assert (await stranger.get("/funds"))["items"] == (await stranger.get("/lists"))["items"] == []
        for path in ("/lists/L1", "/lists/L1/failures"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (403, "DIVISION_FORBIDDEN")
