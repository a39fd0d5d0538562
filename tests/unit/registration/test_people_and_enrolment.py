"""People and enrolments through the HTTP edge, the store in memory."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import sqlalchemy as sa

from services.registration.enrolment import events as ee
from services.registration.enrolment.projection import ENROLMENT
from services.registration.people import events as pe
from services.registration.people.domain import Correction, Particulars
from services.registration.people.handlers import People
from shared.contracts.collection import RegistrationInfoAcceptedV1, RegistrationLinkedV1
from shared.contracts.registration import RegistrationInfoTransmittedV1
from shared.eventstore.streams import Metadata
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance
from shared.security.keyring import NamedKey
from shared.security.vault import Vault
from shared.testing.keys import memory_keyring
from shared.testing.service import MemoryService
from tests.unit.registration.scenery import (
    VILLAGE,
    Desk,
    campaign_opened,
    events_of,
    number_of,
    published,
    receive,
    recorded_of,
)


class TestPeople:
    async def test_registering_answers_an_id_and_keeps_personal_data_out_of_the_log(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """I-03; personal data never in events (architecture §5)."""
        number = number_of(dt.date(1980, 5, 1), 2)
        person_id = await desk.person()

        [event] = await events_of(service, pe.PersonRegistered)

        assert (event.person_id, event.birth, event.sex) == (person_id, dt.date(1980, 5, 1), "F")
        assert number not in repr(event)
        found = await desk.post("/people:search", {"number": number})
        assert found.json() == {"person_id": person_id}
        shown = await desk.get(f"/people/{person_id}")
        assert shown["identity"]["number"] == number

    async def test_the_same_key_replays_and_another_is_taken(self, desk: Desk) -> None:
        """One person per number (I-03), however often it is sent."""
        body = {
            "name": "示例",
            "number": number_of(dt.date(1980, 5, 1)),
            "division": VILLAGE,
            "hukou_division": VILLAGE,
        }
        first = await desk.post("/people", body, key="one")
        again = await desk.post("/people", body, key="one")
        other = await desk.post("/people", body, key="two")

        assert first.json() == again.json()
        assert again.headers["Idempotency-Replayed"] == "true"
        assert (other.status_code, other.json()["code"]) == (409, "IDENTITY_TAKEN")
        assert body["number"] not in other.text

    async def test_a_number_at_fault_is_refused_by_rule_without_its_value(self, desk: Desk) -> None:
        """I-03, GB 11643: length, date, check character; problems never carry the value."""
        good = number_of(dt.date(1980, 5, 1))
        wrong_check = good[:17] + ("1" if good[17] != "1" else "2")
        cases = {
            good[:15]: "ID_LENGTH",
            good[:16] + "A" + good[17]: "ID_DIGITS",
            "370406198013011234": "ID_BIRTH_DATE",
            wrong_check: "ID_CHECK_CHARACTER",
        }
        for number, code in cases.items():
            body = {"name": "示例", "number": number, "division": VILLAGE, "hukou_division": VILLAGE}
            refused = await desk.post("/people", body)
            assert (refused.status_code, refused.json()["code"]) == (422, code)
            assert number not in refused.text

    async def test_birth_and_sex_must_agree_with_the_number(self, desk: Desk) -> None:
        """I-03: the birth date inside the number is the birth date."""
        body = {
            "name": "示例",
            "number": number_of(dt.date(1980, 5, 1), 2),
            "birth": "1980-05-02",
            "division": VILLAGE,
            "hukou_division": VILLAGE,
        }
        assert (await desk.post("/people", body)).json()["code"] == "ID_BIRTH_MISMATCH"
        sex = {**body, "birth": "1980-05-01", "sex": "M"}
        assert (await desk.post("/people", sex)).json()["code"] == "ID_SEX_MISMATCH"

    async def test_a_newborn_registers_by_birth_certificate_and_gets_a_number_later(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """A newborn may lack a number; the id stays when it comes (newborns)."""
        body = {
            "name": "新生",
            "birth": "2019-10-01",
            "sex": "M",
            "birth_certificate": "Q370000001",
            "division": VILLAGE,
            "hukou_division": VILLAGE,
        }
        nothing = await desk.post("/people", {**body, "birth_certificate": ""})
        assert nothing.json()["code"] == "IDENTITY_REQUIRED"
        person_id = (await desk.post("/people", body)).json()["person_id"]
        twice = await desk.post("/people", body)
        assert twice.json()["code"] == "IDENTITY_TAKEN"

        number = number_of(dt.date(2019, 10, 1), 1)
        corrected = await desk.post(f"/people/{person_id}:correct", {"number": number})

        assert corrected.status_code == 200, corrected.text
        [changed] = await events_of(service, pe.PersonIdentityChanged)
        assert changed.changed == ("number",)
        assert changed.identified
        assert (await desk.post("/people:search", {"number": number})).json()["person_id"] == person_id

    async def test_a_corrected_number_is_found_and_an_erased_person_is_not(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """The blind index lies beside the sealed row and changes with it; erasing destroys it (architecture §5)."""
        birth = dt.date(1980, 5, 1)
        old, new = number_of(birth, 2), number_of(birth, 4)
        person_id = await desk.person(birth, 2)
        assert (await desk.post(f"/people/{person_id}:correct", {"number": new})).status_code == 200
        assert (await desk.post("/people:search", {"number": new})).json() == {"person_id": person_id}
        assert (await desk.post("/people:search", {"number": old})).status_code == 404

        vault = service.ports.vault
        async with service.parts.database.begin() as connection:
            await connection.upsert(vault.table, [vault.erase(person_id)])
        assert (await desk.post("/people:search", {"number": new})).status_code == 404

    async def test_a_number_registered_before_the_index_key_was_rotated_is_taken_after_it(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """I-03 through a rotation: the number is claimed under every index key still held (architecture §5)."""
        birth = dt.date(1980, 5, 1)
        known = await desk.person(birth, 2)
        neighbour = await desk.person(birth, 4)
        ports, ring = service.ports, memory_keyring()
        keys = (NamedKey("index-new", b"m" * 32), *ring.blind_index["registration"])
        rotated = replace(ring, blind_index={**ring.blind_index, "registration": keys})
        vault = Vault(rotated, "registration", ports.runtime, finds_by_number=True)
        people = People(ports.store, ports.database, ports.clock, ports.runtime, vault)

        async def register(serial: int) -> str | None:
            given = Particulars(
                name="示例", number=number_of(birth, serial), division=VILLAGE, hukou_division=VILLAGE
            )
            outcome = await ports.store.execute(people.register_command(given, Metadata("rotation")))
            return outcome.code if isinstance(outcome, Refusal) else None

        assert await register(2) == "IDENTITY_TAKEN"
        assert await register(6) is None
        assert await register(6) == "IDENTITY_TAKEN"
        assert await people.find(number_of(birth, 2)) == known
        taken = await people.correct(
            neighbour, Correction(number=number_of(birth, 2)), Metadata("rotation"), None
        )
        assert isinstance(taken, Refusal)
        same = await people.correct(known, Correction(number=number_of(birth, 2)), Metadata("rotation"), None)
        assert not isinstance(same, Refusal)
        assert await people.find(number_of(birth, 2)) == known

    async def test_two_ids_of_one_person_are_merged_and_found_as_the_survivor(self, desk: Desk) -> None:
        """PersonIdentityMerged never rewrites history; the search answers the survivor."""
        number = number_of(dt.date(1980, 5, 1), 4)
        survivor = await desk.person(serial=2)
        other = await desk.person(serial=4)
        merged = await desk.post(f"/people/{other}:merge", {"survivor_id": survivor})

        assert merged.status_code == 200
        assert (await desk.get(f"/people/{other}"))["merged_into"] == survivor
        assert (await desk.post("/people:search", {"number": number})).json()["person_id"] == survivor
        enrol = {"person_id": other, "insurance": "medical", "year": 2020}
        assert (await desk.post("/enrolments", enrol)).json()["rule"] == "PERSON_MERGED"

    async def test_a_file_of_people_is_worked_off_row_by_row(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """Bulk registration: good rows are registered, bad ones named by number, code and field only."""
        good = number_of(dt.date(1975, 3, 3), 2)
        rows = [
            f'{{"name":"甲","number":"{good}","division":"{VILLAGE}","hukou_division":"{VILLAGE}"}}',
            f'{{"name":"乙","number":"123","division":"{VILLAGE}","hukou_division":"{VILLAGE}"}}',
            f'{{"name":"丙","number":"{good}","division":"{VILLAGE}","hukou_division":"{VILLAGE}"}}',
        ]
        headers = {"Idempotency-Key": "file-1", "Content-Type": "application/x-ndjson"}
        answer = await desk.client.post("/people:import", content="\n".join(rows), headers=headers)
        assert answer.status_code == 202, answer.text

        job = await desk.get(f"/imports/{answer.json()['import_id']}")
        assert (job["accepted"], job["refused"]) == (1, 2)
        failures = (await desk.client.get(f"/imports/{job['import_id']}/failures.csv")).text
        assert "2,ID_LENGTH" in failures
        assert "3,IDENTITY_TAKEN" in failures
        assert good not in failures

    async def test_a_caller_of_another_division_is_turned_away(self, service: MemoryService) -> None:
        """DIVISION_FORBIDDEN: a token speaks for its divisions only."""
        async with service.client(["registration:people:write"], divisions=["370404"]) as client:
            body = {
                "name": "示例",
                "number": number_of(dt.date(1980, 5, 1)),
                "division": VILLAGE,
                "hukou_division": VILLAGE,
            }
            refused = await client.post("/people", json=body, headers={"Idempotency-Key": "k"})
        assert (refused.status_code, refused.json()["code"]) == (403, "DIVISION_FORBIDDEN")


class TestEnrolment:
    async def test_registering_is_followed_by_its_transmission(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """Step 1: EnrolmentRegistered, then RegistrationInfoTransmitted with everything collection needs."""
        person_id = await desk.person()
        await desk.enrolled(person_id)

        [transmitted] = await recorded_of(service, ee.RegistrationInfoTransmitted)
        [message] = published(service, transmitted)

        assert isinstance(message, RegistrationInfoTransmittedV1)
        assert (message.record_no, message.record_version) == (f"medical-2020-{person_id}", 1)
        assert (message.status, message.route, message.division) == ("ACTIVE", "HUKOU", VILLAGE)
        assert (message.period_from, message.period_to) == (dt.date(2020, 1, 1), dt.date(2020, 12, 31))
        assert transmitted.metadata.campaign == "370406-2020"

    async def test_one_enrolment_per_insurance_and_year(self, desk: Desk) -> None:
        """Exactly one live record per enrolment (RegistrationInfoTransmitted)."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        body = {"person_id": person_id, "insurance": "medical", "year": 2020}
        again = await desk.post("/enrolments", body)
        assert (again.status_code, again.json()["code"]) == (409, "ALREADY_ENROLLED")

    async def test_who_may_not_be_insured_is_rejected_with_rule_and_the_rejection_kept(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """I-04, I-05, D-44: age, student, employee cover, hukou; EnrolmentRejected is an event."""
        elsewhere = {"hukou_division": "370404100"}
        child = await desk.person(dt.date(2010, 1, 1), 2)
        old = await desk.person(dt.date(1955, 1, 1), 2)
        student = await desk.person(dt.date(2001, 1, 1), 2, student=True)
        outsider = await desk.person(dt.date(1985, 1, 1), 2, **elsewhere)
        employee = await desk.person(dt.date(1986, 1, 1), 2)
        spell = {"person_id": employee, "insurance": "medical", "from_date": "2019-01-01"}
        assert (await desk.post("/employee-insurance", spell)).status_code == 201
        cases = [
            (child, "pension", "AGE_UNDER_16"),
            (old, "pension", "AGE_OVER_MAX"),
            (student, "pension", "STUDENT"),
            (outsider, "medical", "HUKOU"),
            (employee, "medical", "EMPLOYEE_INSURED"),
        ]
        for person_id, insurance, rule in cases:
            body = {"person_id": person_id, "insurance": insurance, "year": 2020}
            answer = await desk.post("/enrolments", body)
            assert answer.status_code == 201, answer.text
            assert (answer.json()["status"], answer.json()["rule"]) == ("REJECTED", rule)

        assert [event.rule for event in await events_of(service, ee.EnrolmentRejected)] == [
            rule for *_, rule in cases
        ]
        assert not await events_of(service, ee.RegistrationInfoTransmitted)

    async def test_a_permit_holder_from_outside_is_insured_by_permit(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """002:L45: permit holders from outside the district; employee pension does not bar medical (D-34)."""
        person_id = await desk.person(hukou_division="370404100", residence_permit=True)
        spell = {"person_id": person_id, "insurance": "pension", "from_date": "2019-01-01"}
        await desk.post("/employee-insurance", spell)
        await desk.enrolled(person_id)
        [event] = await events_of(service, ee.EnrolmentRegistered)
        assert event.route == "PERMIT"

    async def test_a_year_without_a_pack_is_refused(self, desk: Desk) -> None:
        """Unspecified is a refusal, never a default."""
        person_id = await desk.person()
        body = {"person_id": person_id, "insurance": "medical", "year": 2035}
        refused = await desk.post("/enrolments", body)
        assert refused.json()["code"] == "POLICY_UNSPECIFIED"

    async def test_a_campaign_with_another_pack_stops_registration(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """A service whose pack differs from the open campaign's refuses (architecture §5)."""
        person_id = await desk.person()
        await receive(service, campaign_opened(pack_digest="other"))
        body = {"person_id": person_id, "insurance": "medical", "year": 2020}
        refused = await desk.post("/enrolments", body)
        assert (refused.status_code, refused.json()["code"]) == (409, "PACK_MISMATCH")

    async def test_cancelling_transmits_a_cancelled_version_and_opens_the_way_to_enrol_again(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """注销登记: a later version replaces an earlier one of the same record."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        cancelled = await desk.post(f"/enrolments/medical-2020-{person_id}:cancel", {"reason": "MOVED_AWAY"})
        assert cancelled.status_code == 200
        await service.settle()
        await desk.enrolled(person_id)

        sent = await events_of(service, ee.RegistrationInfoTransmitted)
        assert [(event.record_version, event.status) for event in sent] == [
            (1, "ACTIVE"),
            (2, "CANCELLED"),
            (3, "ACTIVE"),
        ]

    async def test_moving_the_household_sends_the_next_version(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """户籍变更 → 变更登记 → a new version with the new place."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        move = {"person_id": person_id, "date": "2019-10-10", "hukou_division": "370406102"}
        assert (await desk.post("/hukou-changes", move)).status_code == 201
        await service.settle()

        sent = await events_of(service, ee.RegistrationInfoTransmitted)
        assert [(event.record_version, event.hukou_division) for event in sent] == [
            (1, VILLAGE),
            (2, "370406102"),
        ]

    async def test_collections_answers_move_the_enrolment(self, desk: Desk, service: MemoryService) -> None:
        """REGISTERED → TRANSMITTED → ACCEPTED → LINKED; a return for a stale version changes nothing."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        number = f"medical-2020-{person_id}"
        common = {"person_id": person_id, "record_no": number, "insurance": Insurance.MEDICAL, "year": 2020}
        accepted = RegistrationInfoAcceptedV1(record_version=1, **common)
        linked = RegistrationLinkedV1(campaign="370406-2020", village=VILLAGE, taxpayer_no="T1", **common)
        await receive(service, accepted)
        assert (await desk.get("/enrolments", person_id=person_id))["items"][0]["status"] == "ACCEPTED"
        await receive(service, linked, linked)
        assert (await desk.get("/enrolments", person_id=person_id))["items"][0]["status"] == "LINKED"
        own = {type(event) for event in await events_of(service, *ee.EVENTS)}
        assert own == {ee.EnrolmentRegistered, ee.RegistrationInfoTransmitted}, (
            "no copies of what we received"
        )

        summary = await desk.get("/enrolments/summary", year=2020, division="370406")
        assert summary["items"] == [{"insurance": "medical", "status": "LINKED", "count": 1}]

    async def test_answers_come_to_the_same_however_many_are_read_together(
        self, desk: Desk, service: MemoryService
    ) -> None:
        """Version 1 was linked, version 2 accepted after it: the later is kept, read together or one by one."""
        versions = set()
        for together in (True, False):
            person_id = await desk.person(serial=2 if together else 4)
            await desk.enrolled(person_id)
            number = f"medical-2020-{person_id}"
            common = {
                "person_id": person_id,
                "record_no": number,
                "insurance": Insurance.MEDICAL,
                "year": 2020,
            }
            linked = RegistrationLinkedV1(
                campaign="370406-2020", village=VILLAGE, taxpayer_no="T1", record_version=1, **common
            )
            accepted = RegistrationInfoAcceptedV1(record_version=2, **common)
            for messages in [(linked, accepted)] if together else [(linked,), (accepted,)]:
                await receive(service, *messages)
            async with service.parts.database.read() as connection:
                rows = await connection.execute(
                    sa.select(ENROLMENT.c.accepted_version).where(ENROLMENT.c.person_id == person_id)
                )
            versions.add(rows[0].accepted_version)
        assert versions == {2}

    async def test_employee_cover_learned_later_is_a_task(self, desk: Desk, service: MemoryService) -> None:
        """I-05 as a stream rule: overlap found after the enrolment."""
        person_id = await desk.person()
        await desk.enrolled(person_id)
        spell = {"person_id": person_id, "insurance": "medical", "from_date": "2020-03-01"}
        await desk.post("/employee-insurance", spell)
        await service.settle()
        [conflict] = await events_of(service, ee.CoverageConflictFound)
        assert (conflict.person_id, conflict.year) == (person_id, 2020)

    async def test_a_collecting_unit_is_sent_once_per_state(self, desk: Desk, service: MemoryService) -> None:
        """委托代收单位信息传递 (002:L262)."""
        body = {"unit_id": "U-1", "name": "示例村村民委员会", "village": VILLAGE}
        assert (await desk.post("/collecting-units", body)).status_code == 201
        assert (await desk.post("/collecting-units", body)).status_code == 200
        assert len(await events_of(service, ee.CollectingUnitInfoTransmitted)) == 1
