"""Returned money: booked or named, credited, covered, acknowledged."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from services.registration.accounts import events as ae
from services.registration.entitlements import events as te
from shared.contracts.collection import (
    CampaignWindowExtendedV1,
    CollectionInfoReturnedV1,
    PaymentReceivedV1,
    RefundPaidV1,
    ReturnedLine,
)
from shared.contracts.registration import CollectionInfoAcknowledgedV1
from shared.contracts.subsidy import SubsidyEntitlementResolvedV1, SubsidyEntitlementRevokedV1
from shared.kernel.insurance import Insurance, Leg, Payer
from shared.testing.service import MemoryService
from tests.unit.registration.scenery import (
    VILLAGE,
    Desk,
    campaign_opened,
    events_of,
    noon,
    published,
    receive,
    recorded_of,
)

ON_TIME = dt.date(2019, 11, 5)
TREASURY = dt.date(2019, 11, 28)


def line(person_id: str, fen: int = 26000, number: int = 1, **more: Any) -> ReturnedLine:
    """A person's own medical leg unless said otherwise."""
    values: dict[str, Any] = {
        "line_no": number,
        "person_id": person_id,
        "village": VILLAGE,
        "payer": "person",
        "fen": fen,
        "standard_fen": 26000,
        "paid_at": noon(ON_TIME),
        "payment_line_id": f"WECHAT-{number}/1",
        **more,
    }
    return ReturnedLine(**values)


def returned(*lines: ReturnedLine, **more: Any) -> CollectionInfoReturnedV1:
    """A return document in one part unless said otherwise."""
    values: dict[str, Any] = {
        "voucher_no": "V-1",
        "return_no": "R-V-1",
        "campaign": "370406-2020",
        "insurance": Insurance.MEDICAL,
        "year": 2020,
        "treasury_date": TREASURY,
        "part": 1,
        "parts": 1,
        "total_count": len(lines),
        "total_fen": sum(one.fen for one in lines),
        "lines": lines,
        **more,
    }
    return CollectionInfoReturnedV1(**values)


def resolved(person_id: str, government: int, version: int = 1) -> SubsidyEntitlementResolvedV1:
    """Subsidy decided who pays which part of 260 yuan."""
    legs = (Leg(Payer.PERSON, 26000 - government), Leg(Payer.FINANCE, government))
    return SubsidyEntitlementResolvedV1(
        person_id=person_id,
        insurance=Insurance.MEDICAL,
        year=2020,
        campaign="370406-2020",
        version=version,
        category="MINIMUM_LIVING",
        department="civil-affairs",
        standard_fen=26000,
        legs=legs,
    )


class TestMedical:
    async def test_a_returned_line_is_booked_covered_and_acknowledged(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """Step 7: BookkeepingPosted, MedicalEntitlementGranted, CollectionInfoAcknowledged (I-24, I-25)."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        await receive(service, returned(line(person_id)))

        [posted] = await events_of(service, ae.BookkeepingPosted)
        assert (posted.fen, posted.payer, posted.paid_on) == (26000, "person", ON_TIME)
        [granted] = await events_of(service, te.MedicalEntitlementGranted)
        assert (granted.from_date, granted.to_date) == (dt.date(2020, 1, 1), dt.date(2020, 12, 31))
        [acknowledged] = await recorded_of(service, ae.CollectionInfoAcknowledged)
        [message] = published(service, acknowledged)
        assert isinstance(message, CollectionInfoAcknowledgedV1)
        assert (message.booked_lines, message.booked_fen, message.refused) == (1, 26000, ())

        totals = await desk.get("/bookings", campaign="370406-2020")
        assert [(row["insurance"], row["lines"], row["fen"]) for row in totals["items"]] == [
            ("medical", 1, 26000)
        ]

    async def test_the_same_return_again_books_nothing(self, desk: Desk, service: MemoryService) -> None:
        """Each voucher once per person line (I-23); a document is acknowledged once."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        await receive(service, returned(line(person_id)))
        await receive(service, returned(line(person_id)))
        assert len(await events_of(service, ae.BookkeepingPosted)) == 1
        assert len(await events_of(service, ae.CollectionInfoAcknowledged)) == 1
        assert not await events_of(service, ae.BookkeepingMismatchDetected)

    async def test_what_does_not_fit_is_named_and_refused_in_the_acknowledgement(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """Every return is booked or in a named mismatch (I-24)."""
        enrolled = await desk.person(serial=2)
        await desk.enrolled(enrolled)
        absent = await desk.person(serial=4)
        doubled = await desk.person(serial=6)
        await desk.enrolled(doubled)
        other = await desk.person(serial=8)
        await desk.enrolled(other)
        document = returned(
            line(enrolled, number=1),
            line("nobody", number=2),
            line(absent, number=3),
            line(doubled, number=4),
            line(doubled, number=5),
            line(other, 30000, number=6),
            line(other, 18000, number=7, standard_fen=18000),
        )
        await receive(service, document)

        found = await events_of(service, ae.BookkeepingMismatchDetected)
        assert [(one.line_no, one.field) for one in found] == [
            (2, "person"),
            (3, "enrolment"),
            (5, "duplicate"),
            (6, "amount"),
            (7, "standard"),
        ]
        [acknowledged] = await events_of(service, ae.CollectionInfoAcknowledged)
        assert (acknowledged.booked_lines, acknowledged.booked_fen) == (2, 52000)
        assert [one.error for one in acknowledged.refused] == [
            "PERSON",
            "ENROLMENT",
            "DUPLICATE",
            "AMOUNT",
            "STANDARD",
        ]
        tasks = await desk.get("/tasks", kind="BOOKKEEPING_MISMATCH")
        assert len(tasks["items"]) == 5

    async def test_a_document_in_parts_is_acknowledged_with_its_last_part(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """CollectionInfoAcknowledged: one per return document, whatever the order of its parts."""
        people = []
        for serial in (2, 4, 6):
            people.append(await desk.person(serial=serial))
            await desk.enrolled(people[-1])
        whole = {"parts": 2, "total_count": 3, "total_fen": 78000}
        first = returned(line(people[0], number=1), line(people[1], number=2), part=1, **whole)
        second = returned(line(people[2], number=3), part=2, **whole)
        await receive(service, second)
        assert not await events_of(service, ae.CollectionInfoAcknowledged)
        await receive(service, first)
        [acknowledged] = await events_of(service, ae.CollectionInfoAcknowledged)
        assert (acknowledged.booked_lines, acknowledged.booked_fen) == (3, 78000)
        assert not await events_of(service, ae.ReturnTotalsDiffered)

    async def test_totals_that_do_not_add_up_are_a_task(self, desk: Desk, service: MemoryService) -> None:
        """Σ returned = Σ treasury entry per voucher (I-24)."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        await receive(service, returned(line(person_id), total_fen=26001))
        [differed] = await events_of(service, ae.ReturnTotalsDiffered)
        assert (differed.stated_fen, differed.fen) == (26001, 26000)

    async def test_government_on_the_list_counts_as_arrived(self, desk: Desk, service: MemoryService) -> None:
        """D-52 ON_LIST: a half-paid person is covered with his own half; a fully paid one by the list alone."""
        half = await desk.person(dt.date(1955, 5, 1), serial=2)
        await desk.enrolled(half)
        full = await desk.person(serial=4)
        await desk.enrolled(full)
        await receive(service, returned(line(half, 13000)))
        assert not await events_of(service, te.MedicalEntitlementGranted)
        await receive(service, resolved(half, 13000), resolved(full, 26000))

        granted = await events_of(service, te.MedicalEntitlementGranted)
        assert {one.person_id for one in granted} == {half, full}
        await receive(service, returned(line(half, 13000, payer="finance"), return_no="R-V-2"))
        assert len(await events_of(service, ae.BookkeepingPosted)) == 2
        assert len(await events_of(service, te.MedicalEntitlementGranted)) == 2

    async def test_a_revoked_subsidy_withdraws_cover_nobody_paid(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """SubsidyEntitlementRevoked: unpaid means not insured (I-15)."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        await receive(service, resolved(person_id, 26000))
        revoked = SubsidyEntitlementRevokedV1(
            person_id=person_id,
            insurance=Insurance.MEDICAL,
            year=2020,
            campaign="370406-2020",
            version=2,
            reason="STATUS_END",
            from_date=dt.date(2019, 12, 1),
        )
        await receive(service, revoked, resolved(person_id, 26000, version=1))
        [withdrawn] = await events_of(service, te.MedicalEntitlementWithdrawn)
        assert withdrawn.reason == "NOT_PAID"
        shown = await desk.get(f"/people/{person_id}/entitlements")
        assert shown["medical"][0]["status"] == "WITHDRAWN"

    async def test_a_payment_shows_as_paid_and_grants_nothing(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """PAID is not IN_TREASURY: no cover without arrival (I-15)."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        payment = PaymentReceivedV1(
            person_id=person_id,
            payment_id="WECHAT-1",
            line_id="WECHAT-1/1",
            order_no="1",
            channel="WECHAT",
            campaign="370406-2020",
            village=VILLAGE,
            insurance=Insurance.MEDICAL,
            year=2020,
            fen=26000,
            paid_at=noon(ON_TIME),
        )
        await receive(service, payment)
        shown = await desk.get(f"/people/{person_id}/entitlements")
        assert shown["medical"] == []
        assert shown["payments"][0]["status"] == "PAID"
        await receive(service, returned(line(person_id)))
        shown = await desk.get(f"/people/{person_id}/entitlements")
        assert shown["medical"][0]["status"] == "GRANTED"
        assert shown["payments"][0]["status"] == "BOOKED"

    async def test_death_before_the_period_takes_cover_away_and_its_withdrawal_gives_it_back(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """Scenario 4a and 4d on the cover; death inside the year ends cover on that day."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        await receive(service, returned(line(person_id)))
        await service.begin_day(dt.date(2019, 12, 10))
        report = {
            "person_id": person_id,
            "date": "2019-12-01",
            "source": "POLICE",
            "batch_month": "2019-12",
        }
        await desk.post("/deaths", report)
        await service.settle()
        [withdrawn] = await events_of(service, te.MedicalEntitlementWithdrawn)
        assert withdrawn.reason == "DIED_BEFORE_PERIOD"
        await desk.post(f"/deaths/{person_id}:correct", {"source": "POLICE"})
        await service.settle()
        assert len(await events_of(service, te.MedicalEntitlementGranted)) == 2

        await service.begin_day(dt.date(2020, 3, 10))
        await desk.post("/deaths", report | {"date": "2020-03-01", "batch_month": "2020-03"})
        await service.settle()
        [changed] = await events_of(service, te.MedicalEntitlementChanged)
        assert (changed.to_date, changed.reason) == (dt.date(2020, 3, 1), "DEATH")

    async def test_a_late_payment_without_the_fiscal_subsidy_leaves_cover_open(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """D-21: unspecified refuses; the fact is kept as a task, not lost.."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        late = dt.date(2019, 12, 28)
        document = returned(line(person_id, paid_at=noon(late)))
        await receive(service, document)
        [open_question] = await events_of(service, te.MedicalEntitlementUndetermined)
        assert open_question.rule == "FISCAL_SUBSIDY_UNKNOWN"
        tasks = await desk.get("/tasks", kind="ENTITLEMENT_UNDETERMINED")
        assert len(tasks["items"]) == 1

    async def test_inside_an_extended_window_nobody_is_late(self, desk: Desk, service: MemoryService) -> None:
        """Scenario 11: CampaignWindowExtended; no late rule inside the new window."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        extended = CampaignWindowExtendedV1(
            campaign="370406-2020",
            old_end=dt.date(2019, 12, 20),
            new_end=dt.date(2020, 1, 15),
            authority="区政府",
        )
        await receive(service, campaign_opened(), extended)
        await receive(service, returned(line(person_id, paid_at=noon(dt.date(2020, 1, 10)))))
        [granted] = await events_of(service, te.MedicalEntitlementGranted)
        assert granted.from_date == dt.date(2020, 1, 1)


class TestPension:
    def _line(self, person_id: str, tier: int, number: int = 1, **more: Any) -> ReturnedLine:
        values: dict[str, Any] = {"standard_fen": tier * 100, "tier_yuan": tier, **more}
        return line(person_id, values.pop("fen", tier * 100), number, **values)

    async def test_the_account_is_credited_with_the_tier_and_its_matching_subsidy(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """Scenario 9, ST-2020: 800 → +60; interest from the first of the next month."""
        person_id = await desk.person()
        await desk.enrolled(person_id, "pension")
        await receive(service, returned(self._line(person_id, 800), insurance=Insurance.PENSION))

        [credited] = await events_of(service, ae.PensionAccountCredited)
        assert (credited.fen, credited.credited_on) == (80000, TREASURY)
        assert credited.interest_from == dt.date(2019, 12, 1)
        [matching] = await events_of(service, ae.GovernmentMatchingCredited)
        assert matching.fen == 6000
        account = await desk.get(f"/people/{person_id}/account")
        assert account["balance_fen"] == 86000
        assert not await events_of(service, te.MedicalEntitlementGranted)

    async def test_a_government_paid_tier_gets_its_matching_subsidy_too(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """D-16: 100 paid by finance, 30 matching."""
        person_id = await desk.person()
        await desk.enrolled(person_id, "pension")
        document = returned(self._line(person_id, 100, payer="finance"), insurance=Insurance.PENSION)
        await receive(service, document)
        [matching] = await events_of(service, ae.GovernmentMatchingCredited)
        assert matching.fen == 3000

    async def test_two_legs_of_one_tier_match_once(self, desk: Desk, service: MemoryService) -> None:
        """Matching once per year, when the tier is complete (I-26)."""
        person_id = await desk.person()
        await desk.enrolled(person_id, "pension")
        document = returned(
            self._line(person_id, 500, 1, fen=30000, payer="village"),
            self._line(person_id, 500, 2, fen=20000),
            insurance=Insurance.PENSION,
        )
        await receive(service, document)
        [matching] = await events_of(service, ae.GovernmentMatchingCredited)
        assert matching.fen == 6000
        assert len(await events_of(service, ae.PensionAccountCredited)) == 2

    @pytest.mark.parametrize(("tier", "standard"), [(700, 70000), (800, 90000), (None, 80000)])
    async def test_a_tier_that_is_none_is_a_mismatch(
        self, desk: Desk, service: MemoryService, tier: int | None, standard: int
    ) -> None:
        """I-13: only tiers of the pack are booked."""
        person_id = await desk.person()
        await desk.enrolled(person_id, "pension")
        wrong = line(person_id, standard, standard_fen=standard, tier_yuan=tier)
        await receive(service, returned(wrong, insurance=Insurance.PENSION))
        [found] = await events_of(service, ae.BookkeepingMismatchDetected)
        assert found.field == "tier"
        assert not await events_of(service, ae.PensionAccountCredited)

    async def test_a_paid_refund_takes_the_credit_back(self, desk: Desk, service: MemoryService) -> None:
        """BookkeepingReversed: credit and matching subsidy leave the account (I-28)."""
        person_id = await desk.person()
        await desk.enrolled(person_id, "pension")
        await receive(service, returned(self._line(person_id, 800), insurance=Insurance.PENSION))
        refund = RefundPaidV1(
            person_id=person_id,
            refund_no="F-1",
            payment_line_id="WECHAT-1/1",
            campaign="370406-2020",
            village=VILLAGE,
            insurance=Insurance.PENSION,
            year=2020,
            fen=80000,
            paid_on=dt.date(2019, 12, 20),
            effective_payment_remains=False,
        )
        await receive(service, refund, refund)
        account = await desk.get(f"/people/{person_id}/account")
        assert account["balance_fen"] == 0
        assert len(await events_of(service, ae.BookkeepingReversed)) == 1
        enrolment = await desk.get("/enrolments", person_id=person_id)
        assert enrolment["items"][0]["status"] == "TERMINATED"
