"""Deaths and households through the HTTP edge."""

from __future__ import annotations

import datetime as dt
import re

from services.registration.vital import events as ve
from shared.contracts.registration import DeathReportCorrectedV1, DeathReportedV1
from shared.testing.service import MemoryService
from tests.unit.registration.scenery import Desk, events_of, number_of, published, recorded_of


def death(date: str = "2019-10-01", source: str = "CIVIL_AFFAIRS", **more: str) -> dict[str, str]:
    """Body of a report."""
    return {"date": date, "source": source, "batch_month": "2019-10", **more}


class TestDeaths:
    async def test_a_death_is_reported_by_number_and_published(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """死亡信息通报 (000:L227): by number, since civil affairs knows no person id."""
        person_id = await desk.person(dt.date(1950, 2, 2), 2)
        answer = await desk.post("/deaths", death(number=number_of(dt.date(1950, 2, 2), 2)))
        assert answer.status_code == 201, answer.text
        assert answer.json() == {"died_on": "2019-10-01", "disputed": False}
        [recorded] = await recorded_of(service, ve.DeathReported)
        [message] = published(service, recorded)
        assert isinstance(message, DeathReportedV1)
        assert (message.person_id, message.date) == (person_id, dt.date(2019, 10, 1))

    async def test_the_same_fact_again_records_nothing(self, desk: Desk, service: MemoryService) -> None:
        """Repeated batches are harmless."""
        person_id = await desk.person()
        await desk.post("/deaths", death(person_id=person_id))
        again = await desk.post("/deaths", death(person_id=person_id))
        assert again.status_code == 200
        assert len(await events_of(service, ve.DeathReported)) == 1

    async def test_sources_that_disagree_open_a_dispute_and_the_earlier_date_counts(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """Scenario 4e: police and civil affairs disagree on the date."""
        person_id = await desk.person()
        await desk.post("/deaths", death("2019-10-05", person_id=person_id))
        second = await desk.post("/deaths", death("2019-10-01", "POLICE", person_id=person_id))
        assert second.json() == {"died_on": "2019-10-01", "disputed": True}
        [disputed] = await events_of(service, ve.DeathDateDisputed)
        assert (disputed.source, disputed.other_source) == ("POLICE", "CIVIL_AFFAIRS")

        agreed = await desk.post(
            f"/deaths/{person_id}:correct", {"date": "2019-10-01", "source": "CIVIL_AFFAIRS"}
        )
        assert agreed.json() == {"died_on": "2019-10-01", "disputed": False}

    async def test_a_withdrawn_report_brings_the_person_back(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """Scenario 4d: a wrong report withdrawn; published as a correction without a date."""
        person_id = await desk.person()
        await desk.post("/deaths", death(person_id=person_id))
        back = await desk.post(f"/deaths/{person_id}:correct", {"source": "CIVIL_AFFAIRS"})
        assert back.json() == {"died_on": None, "disputed": False}
        [recorded] = await recorded_of(service, ve.DeathReportCorrected)
        [message] = published(service, recorded)
        assert isinstance(message, DeathReportCorrectedV1)
        assert message.date is None
        assert (await desk.get(f"/deaths/{person_id}"))["items"] == []

    async def test_a_source_changes_its_own_date_by_correction_only(self, desk: Desk) -> None:
        """A typing error must not be a second death."""
        person_id = await desk.person()
        await desk.post("/deaths", death(person_id=person_id))
        other = await desk.post("/deaths", death("2019-10-02", person_id=person_id))
        assert (other.status_code, other.json()["rule"]) == (409, "DEATH_DATE_KNOWN")

    async def test_what_cannot_be_is_refused(self, desk: Desk) -> None:
        """Future dates, deaths before birth, unknown people, corrections of nothing."""
        person_id = await desk.person()
        assert (await desk.post("/deaths", death("2019-12-01", person_id=person_id))).status_code == 422
        assert (await desk.post("/deaths", death("1970-01-01", person_id=person_id))).status_code == 422
        assert (await desk.post("/deaths", death(person_id="nobody"))).status_code == 404
        nothing = await desk.post(f"/deaths/{person_id}:correct", {"source": "POLICE"})
        assert (nothing.status_code, nothing.json()["rule"]) == (404, "DEATH_NOT_REPORTED")

    async def test_the_dead_are_not_enrolled(self, desk: Desk) -> None:
        """I-08: no dead person on a roster, so none is registered."""
        person_id = await desk.person()
        await desk.post("/deaths", death(person_id=person_id))
        body = {"person_id": person_id, "insurance": "medical", "year": 2020}
        rejected = await desk.post("/enrolments", body)
        assert rejected.json()["rule"] == "PERSON_DECEASED"

    async def test_a_months_list_is_imported_by_number(self, desk: Desk) -> None:
        """A list of deaths; unknown numbers fail alone."""
        await desk.person(dt.date(1950, 2, 2), 2)
        number = number_of(dt.date(1950, 2, 2), 2)
        lines = [
            f"{number},2019-10-01,POLICE,2019-10",
            f"{number_of(dt.date(1951, 1, 1))},2019-10-01,POLICE,2019-10",
        ]
        text = "\n".join(["公民身份号码,死亡日期,来源,通报月份", *lines])
        headers = {"Idempotency-Key": "deaths-1", "Content-Type": "text/csv"}
        answer = await desk.client.post("/deaths:import", content=text.encode("gb18030"), headers=headers)
        job = await desk.get(f"/imports/{answer.json()['import_id']}")
        assert (job["accepted"], job["refused"]) == (1, 1)


async def overdue_months(service: MemoryService) -> dict[str, float]:
    """``liangxian_overdue_death_reports`` by source, as scraped."""
    async with service.anonymous() as client:
        text = (await client.get("/metrics")).text
    found = re.findall(r'^liangxian_overdue_death_reports\{.*source="(\w+)"\} (\S+)$', text, re.MULTILINE)
    return {source: float(value) for source, value in found}


class TestOverdueReports:
    async def test_a_source_that_did_not_report_by_the_5th_is_overdue_on_the_6th(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """001:L154, 000:L227: deaths of a month are due on the 5th of the next, inclusive."""
        batch = {"source": "POLICE", "month": "2019-10", "count": 0}
        assert (await desk.post("/death-batches", batch)).status_code == 201
        await service.begin_day(dt.date(2019, 11, 5))
        assert not await events_of(service, ve.DeathReportOverdue)
        await service.begin_day(dt.date(2019, 11, 6))
        [overdue] = await events_of(service, ve.DeathReportOverdue)
        assert (overdue.source, overdue.month) == ("CIVIL_AFFAIRS", "2019-10")

    async def test_an_overdue_source_is_a_gauge_until_it_reports(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """001:L154: the task and the gauge of a missing file go when the file comes, be it late."""
        await desk.post("/death-batches", {"source": "POLICE", "month": "2019-10", "count": 0})
        assert await overdue_months(service) == {"CIVIL_AFFAIRS": 0.0, "POLICE": 0.0}
        await service.begin_day(dt.date(2019, 11, 6))
        await service.settle()
        assert await overdue_months(service) == {"CIVIL_AFFAIRS": 1.0, "POLICE": 0.0}
        await desk.post("/death-batches", {"source": "CIVIL_AFFAIRS", "month": "2019-10", "count": 0})
        await service.settle()
        assert await overdue_months(service) == {"CIVIL_AFFAIRS": 0.0, "POLICE": 0.0}

    async def test_a_single_report_shows_that_the_source_reports(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """Somebody reported for the month: not overdue."""
        person_id = await desk.person()
        await desk.post("/deaths", death(person_id=person_id))
        await desk.post("/death-batches", {"source": "POLICE", "month": "2019-10", "count": 0})
        await service.settle()
        await service.begin_day(dt.date(2019, 11, 6))
        assert not await events_of(service, ve.DeathReportOverdue)
