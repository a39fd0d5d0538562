"""Facts others report to registration, and tasks clerks close: cover elsewhere, a cancelled hukou, a finding."""

from __future__ import annotations

from services.registration.enrolment.events import RegistrationInfoRejected
from services.registration.people.events import OutOfAreaCoverageReported
from services.registration.tasks.events import TaskClosed
from services.registration.vital.events import HukouCancelled, HukouChanged
from shared.contracts.collection import RegistrationInfoRejectedV1
from shared.kernel.insurance import Insurance
from shared.testing.service import MemoryService
from tests.unit.registration.scenery import Desk, events_of, receive


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
