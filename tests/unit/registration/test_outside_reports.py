"""Facts others report to registration, and tasks clerks close: cover elsewhere, a cancelled hukou, a finding."""

from __future__ import annotations

import datetime as dt

from services.registration.enrolment.events import RegistrationInfoRejected
from services.registration.people import events as pe
from services.registration.people.events import OutOfAreaCoverageReported
from services.registration.tasks.events import TaskClosed
from services.registration.vital.events import HukouCancelled, HukouChanged
from shared.contracts.collection import RegistrationInfoRejectedV1
from shared.kernel.insurance import Insurance
from shared.testing.service import MemoryService
from tests.unit.registration.scenery import Desk, events_of, number_of, receive


async def test_cover_elsewhere_is_recorded_once(desk: Desk, service: MemoryService) -> None:
    """统筹区外参保 (004:L81): the same fact again records nothing."""
    person = await desk.person()
    body = {"person_id": person, "insurance": "medical", "region": "370400", "year": 2020}
    answers = [(await desk.post("/out-of-area-cover", body)).status_code for _ in range(2)]
    assert answers == [201, 200]
    told = OutOfAreaCoverageReported(person_id=person, insurance="medical", region="370400", year=2020)
    assert await events_of(service, OutOfAreaCoverageReported) == [told]


async def test_a_hukou_is_moved_or_cancelled(desk: Desk, service: MemoryService) -> None:
    """户籍变更、销户: without a division it was cancelled; that takes nobody's life."""
    person = await desk.person()
    moved = {"person_id": person, "hukou_division": "370402001001", "date": "2019-10-10"}
    assert (await desk.post("/hukou-changes", moved)).status_code == 201
    cancelled = {"person_id": person, "date": "2019-10-12"}
    assert (await desk.post("/hukou-changes", cancelled)).status_code == 201
    found = await events_of(service, HukouChanged, HukouCancelled)
    assert [type(event) for event in found] == [HukouChanged, HukouCancelled]
    assert (await desk.get(f"/people/{person}"))["person_id"] == person


async def test_a_task_is_closed_with_a_finding_once(desk: Desk, service: MemoryService) -> None:
    """Two sources disagree on a death (scenario 4e): the task stays until a clerk says what was found."""
    person = await desk.person()
    for source, date in (("POLICE", "2019-10-01"), ("CIVIL_AFFAIRS", "2019-10-03")):
        body = {"person_id": person, "date": date, "source": source, "batch_month": "2019-10"}
        assert (await desk.post("/deaths", body)).status_code == 201
    (task,) = (await desk.get("/tasks", kind="DEATH_DATE_DISPUTED"))["items"]
    path = f"/tasks/{task['task_id']}:close"
    assert (await desk.post(path, {"finding": "POLICE_DATE_COUNTS"})).status_code == 201
    await service.settle()
    assert (await desk.post(path, {"finding": "ANOTHER_FINDING"})).status_code == 409
    assert (await desk.get("/tasks", kind="DEATH_DATE_DISPUTED"))["items"] == []
    assert [event.finding for event in await events_of(service, TaskClosed)] == ["POLICE_DATE_COUNTS"]


async def test_a_returned_registration_is_kept_and_becomes_a_task(desk: Desk, service: MemoryService) -> None:
    """退回: collection did not take the version; a clerk looks into it."""
    person = await desk.person()
    await desk.enrolled(person)
    rejected = RegistrationInfoRejectedV1(
        person_id=person,
        record_no=f"medical-2020-{person}",
        record_version=1,
        insurance=Insurance.MEDICAL,
        year=2020,
        error="PERIOD_INVALID",
    )
    await receive(service, rejected)
    assert (await desk.get("/enrolments", person_id=person))["items"][0]["status"] == "RETURNED"
    (kept,) = await events_of(service, RegistrationInfoRejected)
    assert kept.error == "PERIOD_INVALID"
    assert len((await desk.get("/tasks", kind="REGISTRATION_RETURNED"))["items"]) == 1


class TestFiles:
    """The bulk twins of single reports: rows by person id or by number, each with its own answer."""

    async def test_employee_cover_from_a_file_is_found_by_number_and_answered_row_by_row(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """I-05: one spell by id, one by number, one of nobody; outcomes name the person."""
        birth = dt.date(1980, 5, 1)
        first, second = await desk.person(birth, 2), await desk.person(birth, 4)
        rows = [
            {"person_id": first, "insurance": "medical", "from_date": "2019-01-01"},
            {"number": number_of(birth, 4), "insurance": "pension", "from_date": "2019-02-01"},
            {"number": number_of(birth, 6), "insurance": "medical", "from_date": "2019-03-01"},
            {"person_id": first, "insurance": "medical", "from_date": "2019-03-01", "to_date": "2019-02-01"},
        ]
        items = await desk.imported("/employee-insurance:import", rows)
        assert [(item["outcome"], item["id"], item["rule"]) for item in items] == [
            ("accepted", first, ""),
            ("accepted", second, ""),
            ("refused", "", "PERSON_UNKNOWN"),
            ("refused", "", "PERIOD"),
        ]
        told = await events_of(service, pe.EmployeeInsuranceReported)
        assert [(event.person_id, event.insurance) for event in told] == [
            (first, "medical"),
            (second, "pension"),
        ]

    async def test_a_file_reaches_only_the_callers_divisions(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """DIVISION_FORBIDDEN per row, decided where the person's village is known."""
        person_id = await desk.person()
        async with service.client(
            ["registration:people:write", "registration:imports:read"], divisions=["370404"]
        ) as client:
            stranger = Desk(service, client)
            row = {"person_id": person_id, "region": "370404", "year": 2020}
            [item] = await stranger.imported("/out-of-area-cover:import", [row])
        assert (item["outcome"], item["code"]) == ("refused", "DIVISION_FORBIDDEN")

    async def test_late_payments_are_assessed_from_a_file(self, desk: Desk) -> None:
        """Special assessments in bulk: what cannot be assessed is refused by its rule (D-21)."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        rows = [
            {
                "person_id": person_id,
                "insurance": "medical",
                "year": 2020,
                "kind": "LATE",
                "paid_at": "2020-02-10",
            }
        ]
        [item] = await desk.imported("/special-assessments:import", rows)
        assert (item["outcome"], item["rule"]) == ("refused", "FISCAL_SUBSIDY_UNKNOWN")
