"""Bulk imports (architecture §6): 202, a job to poll, outcomes per row, a failures file; resumable; sealed."""

from __future__ import annotations

import asyncio
import dataclasses
import io
from collections.abc import Coroutine, Sequence
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
import xlsxwriter

from shared.eventstore.commands import Command, Outcome, Page, StaleCheckpointError
from shared.eventstore.database import Connection
from shared.kernel.errors import OverloadedError, Refusal
from shared.testing.http import MARKED_NUMBER, assert_no_personal_data
from shared.testing.service import MemoryService
from shared.web.import_rows import ImportContext
from shared.web.import_work import IDLE_SECONDS, LEAVE_SECONDS, UNDER_WAY, _Slice, _Turns
from shared.web.imports import LARGE_BYTES, SLICE
from shared.web.tables import IMPORT_CHUNKS, IMPORT_ROWS, IMPORTS
from shared.web.uploads import RawRow, UploadFormat
from tests.unit.web.conftest import NOTE_IMPORT, WRITE, NoteRow, row_command

NDJSON = {"Content-Type": "application/x-ndjson", "Idempotency-Key": "file-1"}
SCOPES = [WRITE, "imports:read"]


def lines(*rows: str) -> bytes:
    return "\n".join(rows).encode()


async def posted(service: MemoryService, body: bytes, headers: dict[str, str], **options: Any) -> Any:
    async with service.client(SCOPES, **options) as client:
        return await client.post("/notes:import", content=body, headers=headers)


async def finished(service: MemoryService, location: str) -> tuple[dict[str, Any], list[str]]:
    await service.settle()
    async with service.client(SCOPES) as client:
        status = (await client.get(location)).json()
        failures = (await client.get(status["failures"])).text.splitlines()
    assert failures[0] == "row_number,code,rule,field,reason"
    return status, [line.rpartition(',"')[0] for line in failures[1:]]


async def test_a_file_becomes_a_job_and_each_row_an_outcome(service: MemoryService) -> None:
    """Good rows are accepted beside bad ones; the failures file holds number, code, rule and field."""
    body = lines(
        '{"text": "a"}',
        "",
        '{"text": "refused"}',
        '{"text": 1}',
        "nonsense",
        '{"text": "b", "division": "999"}',
        '{"text": "a"}',
        '{"text": "c", "times": "2"}',
    )
    accepted = await posted(service, body, NDJSON, divisions=["370406"])
    assert accepted.status_code == 202
    assert accepted.headers["Location"] == f"/imports/{accepted.json()['import_id']}"
    status, failures = await finished(service, accepted.headers["Location"])
    assert (status["state"], status["rows"], status["accepted"], status["refused"]) == ("DONE", 7, 1, 6)
    assert status["log_position"] == 1
    assert failures == [
        "2,TIER_NOT_ALLOWED,TIER,text",
        "3,ROW_INVALID,NOT_A_TEXT,text",
        "4,ROW_INVALID,NOT_A_JSON_OBJECT,",
        "5,DIVISION_FORBIDDEN,,division",
        "6,ALREADY_EXISTS,NOTE,text",
        "7,ROW_INVALID,NOT_A_NUMBER,times",
    ]


async def test_staged_rows_are_sealed_and_gone_when_done(service: MemoryService) -> None:
    """Uploads hold personal data: not in clear while they wait, not at all afterwards."""
    accepted = await posted(service, lines(f'{{"text": "{MARKED_NUMBER}", "x": 1}}'), NDJSON)
    async with service.parts.database.read() as connection:
        (chunk,) = await connection.execute(sa.select(IMPORT_CHUNKS))
        assert_no_personal_data(bytes(chunk.sealed))
    await finished(service, accepted.headers["Location"])
    async with service.parts.database.read() as connection:
        assert not await connection.execute(sa.select(IMPORT_CHUNKS))
        rows = await connection.execute(sa.select(IMPORT_ROWS))
        assert_no_personal_data(str(rows), str(await connection.execute(sa.select(IMPORTS))))


async def test_the_same_file_under_the_same_key_is_the_same_job(service: MemoryService) -> None:
    first = await posted(service, lines('{"text": "a"}'), NDJSON)
    again = await posted(service, lines('{"text": "a"}'), NDJSON)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (202, "true")
    assert again.json() == first.json()


async def test_two_at_once_make_one_job(service: MemoryService) -> None:
    answers = await asyncio.gather(*(posted(service, lines('{"text": "a"}'), NDJSON) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["import_id"] for answer in answers}) == 1


async def test_another_file_under_the_key_is_refused(service: MemoryService) -> None:
    """409 while the key's import still runs, 422 when it is done."""
    first = await posted(service, lines('{"text": "a"}'), NDJSON)
    running = await posted(service, lines('{"text": "b"}'), NDJSON)
    assert (running.status_code, running.json()["code"]) == (409, "IDEMPOTENCY_KEY_IN_USE")
    await finished(service, first.headers["Location"])
    done = await posted(service, lines('{"text": "b"}'), NDJSON)
    assert (done.status_code, done.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_a_crash_amid_a_slice_leaves_nothing_of_it_and_repeats_nothing(
    service: MemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands, outcomes and the slice's going are one transaction: what was cut off comes again as it was."""
    rows = SLICE * 2 + 7
    accepted = await posted(service, lines(*(f'{{"text": "n{n}"}}' for n in range(rows))), NDJSON)
    imports = service.ports.imports
    record, crashes = imports._record, [False, True]

    async def crash_once(*arguments: Any) -> None:
        await record(*arguments)
        if crashes and crashes.pop(0):
            raise OverloadedError

    monkeypatch.setattr(imports, "_record", crash_once)
    await imports.run_once()
    with pytest.raises(OverloadedError):
        await imports.run_once()
    assert await service.parts.log.head() == SLICE
    status, failures = await finished(service, accepted.headers["Location"])
    assert (status["state"], status["accepted"], failures) == ("DONE", rows, [])
    assert status["log_position"] == await service.parts.log.head() == rows


async def test_rows_leave_no_keys_behind(service: MemoryService) -> None:
    """A slice commits once with its outcomes: a key per row would say the same again, for ever."""
    accepted = await posted(service, lines('{"text": "a"}', '{"text": "b"}'), NDJSON)
    await finished(service, accepted.headers["Location"])
    async with service.parts.database.read() as connection:
        (job,) = await connection.execute(sa.select(IMPORTS))
    row = f"{job.import_id}:1"
    history = await service.parts.log.load(
        [], [(organisation, "import_notes", row) for organisation in (job.organisation, "")]
    )
    assert (await service.parts.log.head(), history.outcomes) == (2, {})


async def opened(service: MemoryService, job: Any, chunk: Any) -> Coroutine[Any, Any, int]:
    """A slice in a process's hands, its commands made and not yet executed."""
    imports = service.ports.imports
    content = imports._vault.open_bytes(bytes(chunk.sealed), f"import:{job.import_id}:{chunk.chunk}")
    rows = msgspec.json.decode(content, type=list[RawRow])
    return await imports._judge(_Turns(job), _Slice(chunk.chunk, chunk.sealed), rows)


async def test_a_slice_set_apart_meanwhile_is_not_done_again(service: MemoryService) -> None:
    """Another process holds the whole slice while its halves are done: half of it has the number of the whole."""
    rows = ['{"text": "broken"}', *(f'{{"text": "n{number}"}}' for number in range(2, 9))]
    accepted = await posted(service, lines(*rows), NDJSON)
    async with service.parts.database.read() as connection:
        (job,) = await connection.execute(sa.select(IMPORTS))
        (chunk,) = await connection.execute(sa.select(IMPORT_CHUNKS))
    late = await opened(service, job, chunk)
    await service.ports.imports.run_once()  # set apart
    again = await opened(service, job, chunk)
    assert await late == 1
    status, failures = await finished(service, accepted.headers["Location"])
    assert await again == 1
    assert (status["accepted"], status["refused"], failures) == (7, 1, ["1,ROW_FAILED,,"])
    assert await service.parts.log.head() == 7


async def test_rows_have_their_turn_in_the_order_of_the_file(service: MemoryService) -> None:
    """A slice waits for those before it, also for the halves of one that was set apart."""
    texts = [f"n{number}" for number in range(1, 2 * SLICE + 1)]
    texts[11] = "broken"
    accepted = await posted(service, lines(*(f'{{"text": "{text}"}}' for text in texts)), NDJSON)
    async with service.parts.database.read() as connection:
        (job,) = await connection.execute(sa.select(IMPORTS))
        _, second = await connection.execute(sa.select(IMPORT_CHUNKS).order_by(IMPORT_CHUNKS.c.chunk))
    assert await (await opened(service, job, second)) == 1
    assert await service.parts.log.head() == 0
    await finished(service, accepted.headers["Location"])
    told = [each.event.text for each in await service.parts.log.read(0, 3 * SLICE)]
    assert told == [text for text in texts if text != "broken"]


async def test_outcomes_of_a_slice_that_was_set_apart_are_paged_whole(service: MemoryService) -> None:
    """Many parts of few rows: a page still ends where its limit says, and the last one with the file."""
    texts = [f"n{number}" for number in range(1, 3 * SLICE + 1)]
    texts[2] = texts[400] = "broken"
    accepted = await posted(service, lines(*(f'{{"text": "{text}"}}' for text in texts)), NDJSON)
    await finished(service, accepted.headers["Location"])
    told, after = [], 0
    async with service.client(SCOPES) as client:
        while after is not None:
            url = f"{accepted.headers['Location']}/outcomes?after={after}&limit=700"
            page = (await client.get(url)).json()
            told += [item["row"] for item in page["items"]]
            after = page["next"]
    assert told == list(range(1, 3 * SLICE + 1))


async def test_a_row_that_breaks_the_preparation_has_failed_alone(service: MemoryService) -> None:
    """A kind's ``prepare`` raises over one row: the others are done, the job does not stand still."""
    service.ports.imports._kinds["notes"] = dataclasses.replace(NOTE_IMPORT, prepare=picky_prepare)
    accepted = await posted(service, lines('{"text": "a"}', '{"text": "odd"}', '{"text": "b"}'), NDJSON)
    status, failures = await finished(service, accepted.headers["Location"])
    assert (status["state"], status["accepted"], failures) == ("DONE", 2, ["2,ROW_FAILED,,"])


async def picky_prepare(rows: Sequence[NoteRow], _: Connection) -> None:
    if any(row.text == "odd" for row in rows):
        raise OverflowError


async def test_a_slice_another_process_has_done_is_passed_over(service: MemoryService) -> None:
    """Both have opened it; who takes it off the job commits, the other writes nothing."""
    accepted = await posted(service, lines('{"text": "a"}', '{"text": "b"}'), NDJSON)
    async with service.parts.database.read() as connection:
        (job,) = await connection.execute(sa.select(IMPORTS))
        (chunk,) = await connection.execute(sa.select(IMPORT_CHUNKS))
    mine, other = [await opened(service, job, chunk) for _ in range(2)]
    assert (await mine, await other) == (2, 1)
    status, _ = await finished(service, accepted.headers["Location"])
    assert (status["state"], status["rows"], status["accepted"]) == ("DONE", 2, 2)
    assert await service.parts.log.head() == 2


async def test_bad_rows_of_a_slice_are_found_and_the_others_done_once(service: MemoryService) -> None:
    """The slice is set apart in halves until each bad row stands alone; every row has its one outcome."""
    rows = [f'{{"text": "n{number}"}}' for number in range(1, 41)]
    for number in (7, 8, 33):
        rows[number - 1] = '{"text": "broken"}'
    accepted = await posted(service, lines(*rows), NDJSON)
    status, failures = await finished(service, accepted.headers["Location"])
    assert (status["state"], status["accepted"], status["refused"]) == ("DONE", 37, 3)
    assert failures == [f"{number},ROW_FAILED,," for number in (7, 8, 33)]
    events = await service.parts.log.read(0, 50)
    assert sorted(event.event.text for event in events) == sorted(
        f"n{number}" for number in range(1, 41) if number not in (7, 8, 33)
    )
    async with service.client(SCOPES) as client:
        told = (await client.get(accepted.headers["Location"] + "/outcomes")).json()["items"]
    assert [item["row"] for item in told] == list(range(1, 41))


async def test_a_row_that_breaks_does_not_take_its_neighbours_along(service: MemoryService) -> None:
    accepted = await posted(service, lines('{"text": "a"}', '{"text": "broken"}', '{"text": "b"}'), NDJSON)
    status, failures = await finished(service, accepted.headers["Location"])
    assert (status["accepted"], failures) == (2, ["2,ROW_FAILED,,"])


async def test_a_row_without_a_command_does_not_take_its_neighbours_along(service: MemoryService) -> None:
    """A kind's ``to_command`` raises for one row: that row failed, the job is done."""
    service.ports.imports._kinds["notes"] = dataclasses.replace(NOTE_IMPORT, to_command=breaking_command)
    accepted = await posted(service, lines('{"text": "a"}', '{"text": "odd"}', '{"text": "b"}'), NDJSON)
    status, failures = await finished(service, accepted.headers["Location"])
    assert (status["state"], status["accepted"], failures) == ("DONE", 2, ["2,ROW_FAILED,,"])


def breaking_command(row: NoteRow, context: ImportContext) -> Command | Refusal:
    if row.text == "odd":
        raise KeyError(row.text)
    return row_command(row, context)


async def test_a_job_that_cannot_go_on_does_not_hold_up_the_next(service: MemoryService) -> None:
    """A kind's ``prepare`` finds no room whenever it runs: its job stays RUNNING, other organisations' go on."""
    kind = dataclasses.replace(NOTE_IMPORT, prepare=failing_prepare)
    service.ports.imports._kinds["notes"] = kind
    stuck = await posted(service, lines('{"text": "stuck"}'), NDJSON)
    after = await posted(service, lines('{"text": "b"}'), NDJSON | {"Idempotency-Key": "file-2"})
    with pytest.raises(OverloadedError):
        await service.ports.imports.run_once()
    async with service.client(SCOPES) as client:
        states = [(await client.get(one.headers["Location"])).json()["state"] for one in (stuck, after)]
    assert states == ["RUNNING", "DONE"]
    service.ports.imports._kinds["notes"] = NOTE_IMPORT
    status, _ = await finished(service, stuck.headers["Location"])
    assert (status["state"], status["accepted"]) == ("DONE", 1)


async def failing_prepare(rows: Sequence[NoteRow], _: Connection) -> None:
    if rows[0].text == "stuck":
        raise OverloadedError


async def test_a_job_is_its_organisations_own(service: MemoryService) -> None:
    accepted = await posted(service, lines('{"text": "a"}'), NDJSON)
    location = accepted.headers["Location"]
    async with service.client(SCOPES, organisation="other") as client:
        for path in (location, f"{location}/failures.csv"):
            assert (await client.get(path)).status_code == 404


async def test_an_empty_file_is_done_at_once(service: MemoryService) -> None:
    accepted = await posted(service, b"", NDJSON)
    status, _ = await finished(service, accepted.headers["Location"])
    assert (status["state"], status["rows"]) == ("DONE", 0)


CSV = {"Content-Type": "text/csv; charset=gbk", "Idempotency-Key": "csv-1"}
TABLE = (
    '内容,区划,备注,次数\r\n王,370406,"多,余",2\r\n,,,\r\n李,,,x\r\n3.70406E+17,,,\r\n=1+1,,,\r\n张,,,,,,\r\n'
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk"])
async def test_csv_is_read_in_the_encodings_towns_send(service: MemoryService, encoding: str) -> None:
    """BOM, GBK, Chinese headings, columns nobody asked for; numbers Excel has ruined are found."""
    accepted = await posted(service, TABLE.encode(encoding), CSV)
    status, failures = await finished(service, accepted.headers["Location"])
    assert status["accepted"] == 1
    assert failures == [
        "2,ROW_INVALID,NOT_A_NUMBER,times",
        "3,ROW_INVALID,ID_STORED_AS_NUMBER,text",
        "4,ROW_INVALID,FORMULA_NOT_ALLOWED,text",
        "5,ROW_INVALID,TOO_MANY_CELLS,",
    ]
    assert (await service.parts.log.read(0, 10))[0].event.text == "王"


@pytest.mark.parametrize("large", [LARGE_BYTES, 0])
async def test_xlsx_is_read_and_ruined_numbers_are_found(
    service: MemoryService, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    """A number cell of 1e15 or more has lost its last digits: ID_STORED_AS_NUMBER. Large files are unpacked
    beside the loop."""
    monkeypatch.setattr("shared.web.imports.LARGE_BYTES", large)
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as workbook:
        sheet = workbook.add_worksheet()
        for number, row in enumerate(
            [("内容", "次数"), ("王", 2), (370406199001019997, 1), ("", ""), ("李", 3)]
        ):
            sheet.write_row(number, 0, row)
    headers = {"Content-Type": UploadFormat.XLSX.value, "Idempotency-Key": "x"}
    accepted = await posted(service, file.getvalue(), headers)
    status, failures = await finished(service, accepted.headers["Location"])
    assert (status["accepted"], failures) == (2, ["2,ROW_INVALID,ID_STORED_AS_NUMBER,text"])
    refused = await posted(service, b"no zip", headers | {"Idempotency-Key": "y"})
    assert (refused.json()["code"], refused.json()["rule"]) == ("BODY_MALFORMED", "XLSX_MALFORMED")


@pytest.mark.parametrize(
    ("body", "media", "code", "rule"),
    [
        (b"a", "application/pdf", "MEDIA_TYPE_UNSUPPORTED", None),
        (b"", "text/csv", "BODY_MALFORMED", "HEADING_MISSING"),
        (b"foo,bar\n1,2\n", "text/csv", "BODY_MALFORMED", "HEADING_MISSING"),
        (b"text,text\n1,2\n", "text/csv", "BODY_MALFORMED", "HEADING_REPEATED"),
        (b"\xff\xff", "text/csv", "BODY_MALFORMED", "ENCODING_UNKNOWN"),
        (b"no zip", UploadFormat.XLSX.value, "BODY_MALFORMED", "XLSX_MALFORMED"),
    ],
)
async def test_what_is_no_such_file_is_refused_whole(
    service: MemoryService, body: bytes, media: str, code: str, rule: str | None
) -> None:
    refused = await posted(service, body, {"Content-Type": media, "Idempotency-Key": "k"})
    assert (refused.json()["code"], refused.json().get("rule")) == (code, rule)


async def test_a_file_over_the_limit_is_refused(service: MemoryService) -> None:
    limit = service.ports.settings.import_limit_bytes
    headers = NDJSON | {"Content-Length": str(limit + 1)}
    refused = await posted(service, b"", headers)
    assert (refused.status_code, refused.json()["code"]) == (413, "BODY_TOO_LARGE")


async def test_an_upload_needs_its_key(service: MemoryService) -> None:
    refused = await posted(service, b"", {"Content-Type": "text/csv"})
    assert refused.json()["code"] == "IDEMPOTENCY_KEY_MISSING"


async def test_lag_counts_running_imports(service: MemoryService) -> None:
    """A rehearsal must not begin the next day while a file is being worked off."""
    accepted = await posted(service, lines('{"text": "a"}'), NDJSON)
    async with service.client(["ops"]) as client:
        lag = (await client.get("/ops/lag")).json()
        assert (lag["imports_running"], lag["drained"]) == (1, False)
        await finished(service, accepted.headers["Location"])
        lag = (await client.get("/ops/lag")).json()
        assert (lag["imports_running"], lag["drained"]) == (0, True)


def test_two_kinds_of_one_name_are_a_mistake(service: MemoryService) -> None:
    with pytest.raises(ValueError, match="notes"):
        service.ports.imports.register(NOTE_IMPORT)


async def test_every_row_has_an_outcome_with_the_id_it_was_answered(service: MemoryService) -> None:
    """``/imports/{id}/outcomes``: a page at a time, refused rows with code, rule and field; the next page is
    asked for while the import runs or rows are left."""
    service.ports.imports._kinds["notes"] = dataclasses.replace(NOTE_IMPORT, answers="text")
    rows = [f'{{"text": "n{number}"}}' for number in range(1, SLICE + 3)]
    rows[1] = '{"text": "refused"}'
    accepted = await posted(service, lines(*rows), NDJSON)
    location = accepted.headers["Location"] + "/outcomes"
    async with service.client(SCOPES) as client:
        running = (await client.get(location)).json()
        assert running == {"items": [], "next": 0}
        await service.settle()
        first = (await client.get(location, params={"limit": 3})).json()
        assert first["next"] == 3
        assert [item["row"] for item in first["items"]] == [1, 2, 3]
        assert first["items"][0] == {
            "row": 1, "outcome": "accepted", "id": "n1", "code": "", "rule": "", "field": ""
        }  # fmt: skip
        assert first["items"][1] == {
            "row": 2, "outcome": "refused", "id": "", "code": "TIER_NOT_ALLOWED", "rule": "TIER", "field": "text"
        }  # fmt: skip
        rest = (await client.get(location, params={"after": 3})).json()
        assert [item["row"] for item in rest["items"]] == list(range(4, SLICE + 3))
        assert (rest["items"][-1]["id"], rest["next"]) == (f"n{SLICE + 2}", None)
    async with service.client(SCOPES, organisation="somebody-else") as client:
        assert (await client.get(location)).status_code == 404


async def test_a_job_that_is_alone_goes_on_and_keeps_its_order(
    service: MemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More slices than are under way at once, one of them set apart: each row once, in the order of the file."""
    monkeypatch.setattr("shared.web.imports.SLICE", 4)
    texts = [f"n{number}" for number in range(4 * 9)]
    texts[6] = texts[21] = "broken"
    worker = service.ports.runtime.start(service.ports.imports.run(), "imports")
    try:
        async with asyncio.timeout(20), service.client(SCOPES) as client:
            accepted = await posted(service, lines(*(f'{{"text": "{text}"}}' for text in texts)), NDJSON)
            while (status := (await client.get(accepted.headers["Location"])).json())["state"] != "DONE":
                await service.ports.runtime.sleep(0)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    assert (status["accepted"], status["refused"]) == (len(texts) - 2, 2)
    told = [each.event.text for each in await service.parts.log.read(0, 2 * len(texts))]
    assert told == [text for text in texts if text != "broken"]


async def test_jobs_take_turns_and_none_waits_for_the_commit_of_another(
    service: MemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slices of several jobs are in hand at once; each row is done once, in the order of its file."""
    monkeypatch.setattr("shared.web.imports.SLICE", 4)
    files = {letter: [f"{letter}{number}" for number in range(4 * 9)] for letter in "abc"}
    files["b"][6] = files["b"][21] = "broken"
    work, mixed = service.ports.imports, 0
    pending: list[str | None] = []
    execute = work._store.execute_page

    async def watched(page: Page) -> list[Outcome]:
        nonlocal mixed
        mine = page.commands[0].metadata.correlation
        pending.append(mine)
        mixed += len(set(pending)) > 1
        assert len(pending) <= UNDER_WAY
        try:
            return await execute(page)
        finally:
            pending.remove(mine)

    monkeypatch.setattr(work._store, "execute_page", watched)
    places = []
    for letter, texts in files.items():
        body = lines(*(f'{{"text": "{text}"}}' for text in texts))
        places.append(await posted(service, body, NDJSON | {"Idempotency-Key": f"file-{letter}"}))
    worker = service.ports.runtime.start(work.run(), "imports")
    try:
        async with asyncio.timeout(20), service.client(SCOPES) as client:
            for accepted in places:
                while (await client.get(accepted.headers["Location"])).json()["state"] != "DONE":
                    await service.ports.runtime.sleep(0)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    told = [each.event.text for each in await service.parts.log.read(0, 200)]
    for letter, texts in files.items():
        assert [text for text in told if text[0] == letter] == [text for text in texts if text != "broken"]
    assert mixed >= len(files)


async def test_a_file_another_process_is_at_is_left_to_it(
    service: MemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is second at every slice stops deciding them, and looks again later: the other may have died."""
    work, tried, execute = service.ports.imports, 0, service.ports.imports._store.execute_page

    async def second(_page: Page) -> list[Outcome]:
        nonlocal tried
        tried += 1
        raise StaleCheckpointError

    async def round_ends() -> None:
        work._accepted.set()
        while work._accepted.is_set() or work.busy:
            await service.ports.runtime.sleep(0)

    monkeypatch.setattr(work._store, "execute_page", second)
    accepted = await posted(service, lines('{"text": "a"}', '{"text": "b"}'), NDJSON)
    worker = service.ports.runtime.start(work.run(), "imports")
    try:
        async with asyncio.timeout(20), service.client(SCOPES) as client:
            for _ in range(3):
                await round_ends()
            assert tried == 1
            monkeypatch.setattr(work._store, "execute_page", execute)
            await service.ports.runtime.sleep(LEAVE_SECONDS)
            await round_ends()
            assert (await client.get(accepted.headers["Location"])).json()["accepted"] == 2
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


async def test_an_upload_wakes_the_worker(service: MemoryService) -> None:
    """The worker does not sleep out its second: several slices of the job are under way at once."""
    worker = service.ports.runtime.start(service.ports.imports.run(), "imports")
    try:
        async with asyncio.timeout(20), service.client(SCOPES) as client:
            await asyncio.sleep(0)
            body = lines(*(f'{{"text": "n{number}"}}' for number in range(SLICE * 3)))
            accepted = await posted(service, body, NDJSON)
            started = asyncio.get_running_loop().time()
            while (await client.get(accepted.headers["Location"])).json()["state"] != "DONE":
                await service.ports.runtime.sleep(0)
        assert asyncio.get_running_loop().time() - started < 10 * IDLE_SECONDS
        events = await service.parts.log.read(0, SLICE * 3 + 1)
        assert [event.event.text for event in events] == [f"n{number}" for number in range(SLICE * 3)]
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


async def test_more_rows_than_an_import_takes_are_refused_whole(
    service: MemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of a file that is too long is staged."""
    monkeypatch.setattr("shared.web.imports.MAX_ROWS", 3)
    answer = await posted(service, lines(*(f'{{"text": "n{number}"}}' for number in range(4))), NDJSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")
    async with service.parts.database.read() as connection:
        assert not await connection.execute(sa.select(IMPORTS))
        assert not await connection.execute(sa.select(IMPORT_CHUNKS))


async def test_a_caller_may_wait_for_the_job(service: MemoryService) -> None:
    """``?wait=``: answered when the job is done, at the latest when the time is over."""
    accepted = await posted(service, lines('{"text": "a"}'), NDJSON)
    location, runtime = accepted.headers["Location"], service.ports.runtime
    async with service.client(SCOPES) as client:
        before = runtime.monotonic()
        late = (await client.get(location, params={"wait": 2})).json()
        assert (late["state"], runtime.monotonic() - before >= 2) == ("RUNNING", True)
        asked = asyncio.ensure_future(client.get(location, params={"wait": 60}))
        while not asked.done():
            await service.ports.imports.run_once()
            await asyncio.sleep(0)  # a round that finds nothing does not let others run by itself
        assert (await asked).json()["state"] == "DONE"
        assert runtime.monotonic() - before < 60
