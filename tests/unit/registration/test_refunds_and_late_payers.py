"""Refund verification, special assessments and imported special identities."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from services.registration.accounts import events as ae
from services.registration.app import SERVICE
from services.registration.enrolment import events as ee
from services.registration.entitlements import events as te
from services.registration.refund_verification import events as re
from services.registration.settings import RegistrationSettings
from services.registration.special_assessment import events as se
from services.registration.special_identities import events as ie
from shared.contracts.collection import (
    PolicyPackPublishedV1,
    RefundPaidV1,
    RefundVerificationRequestedV1,
)
from shared.contracts.registration import RefundVerifiedV1
from shared.contracts.subsidy import SubsidyLineSubmittedV1
from shared.eventstore.rebuild import rebuild
from shared.kernel.insurance import Insurance
from shared.policy import load_pack, revise
from shared.testing.http import (
    MARKED_NAME,
    MARKED_NUMBER,
    MARKED_PHONE,
    assert_every_route_needs_a_token,
    assert_no_personal_data,
    assert_openapi_is_complete,
)
from shared.testing.service import MemoryService, memory_service
from tests.unit.registration.scenery import (
    SCOPES,
    VILLAGE,
    Desk,
    campaign_opened,
    events_of,
    memory,
    noon,
    published,
    receive,
    recorded_of,
)
from tests.unit.registration.test_booking import line, returned


def request(person_id: str, reason: str, paid_on: dt.date = dt.date(2019, 11, 5), **more: Any) -> Any:
    """Collection's question."""
    values: dict[str, Any] = {
        "person_id": person_id,
        "refund_no": "F-1",
        "payment_line_id": "WECHAT-1/1",
        "campaign": "370406-2020",
        "insurance": Insurance.MEDICAL,
        "year": 2020,
        "fen": 26000,
        "reason": reason,
        "paid_at": noon(paid_on),
        "effective_payment_remains": False,
        **more,
    }
    return RefundVerificationRequestedV1(**values)


async def died(desk: Desk, person_id: str, date: str) -> None:
    """Civil affairs reports a death."""
    body = {"person_id": person_id, "date": date, "source": "CIVIL_AFFAIRS", "batch_month": date[:7]}
    assert (await desk.post("/deaths", body)).status_code == 201
    await desk.service.settle()


class TestRefundVerification:
    async def test_a_duplicate_is_verified_and_ends_nothing(self, desk: Desk, service: MemoryService) -> None:
        """Scenario 5: the effective payment stays, so does the enrolment (I-28)."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        question = request(person_id, "DUPLICATE", effective_payment_remains=True)
        await receive(service, question)
        [recorded] = await recorded_of(service, re.RefundVerified)
        assert not recorded.event.terminates_enrolment
        [message] = published(service, recorded)
        assert isinstance(message, RefundVerifiedV1)
        assert (message.payment_id, message.rule) == ("WECHAT-1", "DUPLICATE")

    async def test_a_refund_opened_again_is_answered_again(self, desk: Desk, service: MemoryService) -> None:
        """Cancelled or refused and opened anew under its number (I-28): each question has its answer."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        paid = dt.date(2019, 10, 11)
        await receive(service, request(person_id, "PAID_AFTER_DEATH", paid))
        await died(desk, person_id, "2019-10-10")
        await receive(service, request(person_id, "PAID_AFTER_DEATH", paid, round=2))
        [rejected] = await recorded_of(service, re.RefundVerificationRejected)
        [verified] = await recorded_of(service, re.RefundVerified)
        told = [*published(service, rejected), *published(service, verified)]
        assert [(each.refund_no, each.round) for each in told] == [("F-1", 1), ("F-1", 2)]  # type: ignore[attr-defined]

    async def test_died_before_the_period_is_verified_for_medical_only(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """Scenario 4a: medical goes back, a pension payment stays in the account (inheritable)."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        await service.begin_day(dt.date(2019, 10, 20))
        await died(desk, person_id, "2019-10-18")
        paid = dt.date(2019, 10, 10)
        await receive(service, request(person_id, "DIED_BEFORE_PERIOD", paid))
        pension = {"refund_no": "F-2", "insurance": Insurance.PENSION}
        await receive(service, request(person_id, "DIED_BEFORE_PERIOD", paid, **pension))

        [verified] = await events_of(service, re.RefundVerified)
        assert verified.terminates_enrolment
        [rejected] = await events_of(service, re.RefundVerificationRejected)
        assert (rejected.refund_no, rejected.rule) == ("F-2", "PENSION_INHERITABLE")

    async def test_paid_after_death_is_verified_whenever_learned(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """Scenario 4c; a payment on the day of death was made alive (I-16: paid_at ≤ death date)."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        await died(desk, person_id, "2019-10-10")
        after = request(person_id, "PAID_AFTER_DEATH", dt.date(2019, 10, 11))
        same_day = request(person_id, "PAID_AFTER_DEATH", dt.date(2019, 10, 10), refund_no="F-2")
        await receive(service, after, same_day)
        assert [one.refund_no for one in await events_of(service, re.RefundVerified)] == ["F-1"]
        [rejected] = await events_of(service, re.RefundVerificationRejected)
        assert (rejected.refund_no, rejected.rule) == ("F-2", "NOT_PAID_AFTER_DEATH")

    @pytest.mark.parametrize(
        ("reason", "rule"),
        [
            ("DUPLICATE", "NOT_DUPLICATE"),
            ("DIED_BEFORE_PERIOD", "NOT_DECEASED"),
            ("PAID_AFTER_DEATH", "NOT_PAID_AFTER_DEATH"),
            ("CHANGED_MY_MIND", "REASON_NOT_REFUNDABLE"),
        ],
    )
    async def test_without_a_ground_the_refund_is_rejected(
        self, desk: Desk, service: MemoryService, reason: str, rule: str
    ) -> None:
        """Only listed reasons, and only when they hold (I-28, I-31)."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        await receive(service, request(person_id, reason))
        [rejected] = await events_of(service, re.RefundVerificationRejected)
        assert rejected.rule == rule

    async def test_after_the_period_began_death_refunds_nothing(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """Scenario 4b: paid, died after the start of the cover: none."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        await receive(service, returned(line(person_id)))
        await service.begin_day(dt.date(2020, 2, 1))
        await died(desk, person_id, "2020-01-20")
        await receive(service, request(person_id, "DIED_BEFORE_PERIOD"))
        [rejected] = await events_of(service, re.RefundVerificationRejected)
        assert rejected.rule == "ENTITLEMENT_BEGUN"

    async def test_a_paid_refund_ends_enrolment_booking_and_cover_together(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """EnrolmentTerminatedForRefund, BookkeepingReversed, cover withdrawn, CANCELLED transmitted (I-28)."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        await receive(service, returned(line(person_id)))
        refund = {
            "person_id": person_id,
            "refund_no": "F-1",
            "payment_line_id": "WECHAT-1/1",
            "campaign": "370406-2020",
            "village": VILLAGE,
            "insurance": Insurance.MEDICAL,
            "year": 2020,
            "fen": 26000,
            "paid_on": dt.date(2019, 12, 20),
        }
        kept = {**refund, "refund_no": "F-0", "payment_line_id": "ALIPAY-9/1"}
        await receive(service, RefundPaidV1(effective_payment_remains=True, **kept))
        assert not await events_of(service, ee.EnrolmentTerminatedForRefund, ae.BookkeepingReversed)

        await receive(service, RefundPaidV1(effective_payment_remains=False, **refund))
        assert len(await events_of(service, ee.EnrolmentTerminatedForRefund)) == 1
        assert len(await events_of(service, ae.BookkeepingReversed)) == 1
        [withdrawn] = await events_of(service, te.MedicalEntitlementWithdrawn)
        assert withdrawn.reason == "NOT_PAID"
        sent = await events_of(service, ee.RegistrationInfoTransmitted)
        assert sent[-1].status == "CANCELLED"
        totals = await desk.get("/bookings", campaign="370406-2020")
        assert sum(row["fen"] for row in totals["items"]) == 0


class TestSpecialAssessment:
    async def _late(self, desk: Desk, person_id: str, paid_at: str, year: int = 2020) -> Any:
        body = {"person_id": person_id, "year": year, "kind": "LATE", "paid_at": paid_at}
        return await desk.post("/special-assessments", body)

    async def test_an_unknown_fiscal_subsidy_refuses(self, desk: Desk) -> None:
        """D-21: ST-2020 prints no fiscal subsidy."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        refused = await self._late(desk, person_id, "2020-02-10")
        assert (refused.status_code, refused.json()["code"]) == (422, "POLICY_UNSPECIFIED")
        assert refused.json()["rule"] == "FISCAL_SUBSIDY_UNKNOWN"

    async def test_a_revised_pack_in_force_sets_what_was_unknown(self, tmp_path: Path) -> None:
        """Scenario 14, D-21: once a revision with the fiscal subsidy is published, the late amount is known."""
        revised = revise(
            load_pack("ST-2020"), {"medical_fiscal_subsidy_yuan": 520}, "EXT:鲁医保发〔2019〕1号"
        )
        path = tmp_path / "ST-2020-v2.yaml"
        path.write_text(yaml.safe_dump(msgspec.to_builtins(revised.document)), encoding="utf-8")
        settings = RegistrationSettings(packs=tmp_path, rehearsal=True)
        definition = memory_service(SERVICE, today=dt.date(2019, 10, 15), settings=settings)
        async with definition as service, service.client(SCOPES, organisation="medical") as client:
            desk = Desk(service, client)
            person_id = await desk.person()
            await receive(service, campaign_opened())
            await desk.enrolled(person_id)
            assert (await self._late(desk, person_id, "2020-02-10")).status_code == 422
            published_pack = PolicyPackPublishedV1(
                campaign="370406-2020", pack_id="ST-2020", version=revised.version, digest=revised.digest
            )
            await receive(service, published_pack)

            answer = await self._late(desk, person_id, "2020-02-10")
            assert answer.status_code == 201, answer.text
            [assessed] = await events_of(service, se.SpecialPaymentAssessed)
            assert (assessed.personal_fen, assessed.fiscal_fen) == (78000, 52000)
            assert assessed.entitled_from == dt.date(2020, 3, 11)

    async def test_who_is_not_late_needs_no_special_assessment(self, desk: Desk) -> None:
        """Inside the window the ordinary assessment stands."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        assert (await self._late(desk, person_id, "2019-12-20")).json()["rule"] == "NOT_LATE"

    async def test_refusals_name_what_is_missing(self, desk: Desk) -> None:
        """Not enrolled, unknown, another kind, the pension."""
        person_id = await desk.person()
        assert (await self._late(desk, person_id, "2020-02-10")).json()["rule"] == "NOT_ENROLLED"
        assert (await self._late(desk, "nobody", "2020-02-10")).status_code == 404
        await desk.enrolled(person_id, "pension")
        body = {"person_id": person_id, "year": 2020, "paid_at": "2020-02-10"}
        other = await desk.post("/special-assessments", {**body, "kind": "GIFT"})
        assert other.json()["code"] == "KIND_NOT_SUPPORTED"
        pension = await desk.post("/special-assessments", {**body, "insurance": "pension"})
        assert pension.json()["rule"] == "NO_LATE_RULE"

    async def test_yicheng_late_pays_the_personal_part_and_waits_three_months(self) -> None:
        """Scenario 8, YC-2023: paid 2023-01-31 → covered from 2023-04-30, until 31 December."""
        village = "370404001201"
        async with (
            memory(dt.date(2022, 12, 1)) as service,
            service.client(SCOPES, organisation="medical") as client,
        ):
            desk = Desk(service, client)
            person_id = await desk.person(division=village, hukou_division=village)
            await desk.enrolled(person_id, year=2023)
            answer = await self._late(desk, person_id, "2023-01-31", 2023)
            assert answer.status_code == 201, answer.text
            again = await self._late(desk, person_id, "2023-01-31", 2023)
            assert again.status_code == 200

            [assessed] = await events_of(service, se.SpecialPaymentAssessed)
            assert (assessed.personal_fen, assessed.fiscal_fen) == (35000, 0)
            assert assessed.entitled_from == dt.date(2023, 4, 30)
            assert assessed.valid_to == dt.date(2023, 3, 2)
            late_line = line(
                person_id,
                35000,
                standard_fen=35000,
                village=village,
                paid_at=noon(dt.date(2023, 1, 31)),
                special_assessment_no=assessed.assessment_no,
            )
            more = {"campaign": "370404-2023", "year": 2023}
            await receive(service, returned(late_line, **more))
            [granted] = await events_of(service, te.MedicalEntitlementGranted)
            assert (granted.from_date, granted.to_date) == (
                dt.date(2023, 4, 30),
                dt.date(2023, 12, 31),
            )
            assert granted.rule == "LATE_WAIT"

    async def test_a_wait_beyond_the_year_buys_nothing(self) -> None:
        """D-50: refuse a wait that ends after 31 December."""
        village = "370404001201"
        async with (
            memory(dt.date(2022, 12, 1)) as service,
            service.client(SCOPES, organisation="medical") as client,
        ):
            desk = Desk(service, client)
            person_id = await desk.person(division=village, hukou_division=village)
            await desk.enrolled(person_id, year=2023)
            refused = await self._late(desk, person_id, "2023-11-15", 2023)
            assert refused.json()["rule"] == "WAIT_BEYOND_YEAR"


class TestSpecialIdentities:
    def _line(self, person_id: str, number: int = 1, **more: Any) -> SubsidyLineSubmittedV1:
        values: dict[str, Any] = {
            "person_id": person_id,
            "list_id": "L-1",
            "line_no": number,
            "department": "disabled-persons-federation",
            "category": "SEVERELY_DISABLED",
            "insurance": Insurance.MEDICAL,
            "year": 2020,
            "campaign": "370406-2020",
            "valid_from": dt.date(2019, 10, 1),
            **more,
        }
        return SubsidyLineSubmittedV1(**values)

    async def test_every_line_is_imported_or_fails_by_name(self, desk: Desk, service: MemoryService) -> None:
        """imported + failed = lines; identities carry source and validity (I-06, I-10)."""
        good = await desk.person(serial=2)
        await desk.enrolled(good)
        absent = await desk.person(serial=4)
        dead = await desk.person(serial=6)
        await desk.enrolled(dead)
        await died(desk, dead, "2019-10-10")
        elsewhere = await desk.person(serial=8, division="370404001201")
        lines = [
            self._line(good, 1),
            self._line(absent, 2),
            self._line(dead, 3),
            self._line(elsewhere, 4),
            self._line("nobody", 5),
            self._line(good, 6),
        ]
        await receive(service, *lines)
        await receive(service, lines[0], lines[1])

        [imported] = await events_of(service, ie.SubsidyBeneficiaryImported)
        assert (imported.person_id, imported.line_no, imported.division) == (good, 1, VILLAGE)
        [marked] = await events_of(service, ie.SpecialIdentityMarked)
        assert (marked.source_department, marked.valid_to) == (
            "disabled-persons-federation",
            dt.date(2020, 12, 31),
        )
        failed = await events_of(service, ie.SubsidyImportFailed)
        assert [(one.line_no, one.error) for one in failed] == [
            (2, "NOT_ENROLLED"),
            (3, "DEAD"),
            (4, "OTHER_REGION"),
            (5, "NOT_ENROLLED"),
            (6, "DUPLICATE"),
        ]

    async def test_two_departments_may_claim_one_person(self, desk: Desk, service: MemoryService) -> None:
        """D-27: 残联 and 民政 both list the severely disabled; subsidy resolves the overlap."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        other = self._line(person_id, 1, list_id="L-2", department="civil-affairs")
        await receive(service, self._line(person_id, 1), other)
        assert len(await events_of(service, ie.SubsidyBeneficiaryImported)) == 2

    async def test_an_identity_is_removed_by_its_department_and_may_come_back(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """I-06: re-evaluated, not overwritten."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        await receive(service, self._line(person_id, 1))
        body = {
            "person_id": person_id,
            "insurance": "medical",
            "year": 2020,
            "category": "SEVERELY_DISABLED",
            "source_department": "disabled-persons-federation",
            "from_date": "2019-10-14",
        }
        assert (await desk.post("/special-identities:remove", body)).status_code == 201
        assert (await desk.post("/special-identities:remove", body)).status_code == 404
        await receive(service, self._line(person_id, 2))
        assert len(await events_of(service, ie.SpecialIdentityMarked)) == 2


class TestEdge:
    async def test_every_route_needs_a_token_and_is_described(self, service: MemoryService) -> None:
        """architecture §6: 401 everywhere but on the open list; OpenAPI is whole."""
        assert await assert_every_route_needs_a_token(service.app) > 25
        assert_openapi_is_complete(service.app)

    async def test_marked_numbers_leak_down_no_error_path(
        self, desk: Desk, service: MemoryService, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Problems carry field and rule, never the value; nothing personal in log, events or metrics."""
        person = {
            "name": MARKED_NAME,
            "number": MARKED_NUMBER,
            "phone": MARKED_PHONE,
            "division": VILLAGE,
            "hukou_division": VILLAGE,
        }
        answers = [
            await desk.post("/people", person),
            await desk.post("/people", {**person, "sex": MARKED_NUMBER}),
            await desk.post("/people", {**person, MARKED_NUMBER: 1}),
            await desk.post("/people", {**person, "division": MARKED_NUMBER}),
            await desk.post("/people:search", {"number": MARKED_NUMBER[:17] + "0"}),
            await desk.post("/deaths", {"number": MARKED_NUMBER, "date": MARKED_NUMBER}),
            await desk.post(
                "/enrolments", {"person_id": MARKED_NUMBER, "insurance": "medical", "year": 2020}
            ),
        ]
        await service.settle()
        metrics = await service.anonymous().get("/metrics")
        rows = await service.parts.log.read(0, 1000)
        texts = [answer.text for answer in answers]
        assert_no_personal_data(metrics.text, caplog.text, *texts, *(repr(row) for row in rows))

    async def test_read_models_equal_their_replay(self, desk: Desk, service: MemoryService) -> None:
        """Scenario 12, I-30: every read model rebuilds from the log to what it is."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        await receive(service, returned(line(person_id), line("nobody", number=2)))
        await died(desk, person_id, "2019-10-12")
        for projection in service.description.projections:
            report = await rebuild(service.parts.log, service.parts.database, projection)
            assert report.equal, report
