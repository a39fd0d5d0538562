"""Routes of people. Numbers travel in bodies only, never in a path or query."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from services.registration.bodies import Body, Division, Number, PersonId, Village, Year
from services.registration.people.domain import Correction, EmployeeInsurance, OutOfAreaCover, Particulars
from services.registration.people.handlers import People
from services.registration.people.imports import PeopleImports
from services.registration.people.queries import PeopleQueries
from shared.kernel.errors import ProblemError, Refusal
from shared.kernel.identity import Sex
from shared.kernel.insurance import Insurance
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.fields import Day
from shared.web.idempotency import idempotency_key, required_key
from shared.web.operations import accept_upload
from shared.web.requests import metadata
from shared.web.responses import answer, json_response
from shared.web.service import Ports

Reader = Annotated[Principal, Depends(authorised("registration:people:read"))]
Writer = Annotated[Principal, Depends(authorised("registration:people:write"))]
IDENTITY_SCOPE = "registration:identity:read"


class PersonBody(Body):
    """人员登记 / register a person. birth and sex may be left out when the number says them."""

    name: str = Field(min_length=1, max_length=60, examples=["王示例"])
    number: Number = ""
    birth: Day | None = Field(None, examples=["1990-01-01"])
    sex: Sex | None = Field(None, examples=["F"])
    division: Village
    hukou_division: Division
    residence_permit: bool = Field(False, description="居住证 / residence permit")
    student: bool = Field(False, description="在校学生 / enrolled student")
    household: str = Field("", max_length=40, description="户号 / household number")
    phone: str = Field("", max_length=20)
    birth_certificate: str = Field("", max_length=40, description="出生医学证明 / birth certificate number")


class CorrectionBody(Body):
    """人员信息变更 / correct particulars; fields left out stay."""

    name: str | None = Field(None, min_length=1, max_length=60)
    number: Number | None = None
    birth: Day | None = None
    sex: Sex | None = None
    division: Village | None = None
    hukou_division: Division | None = None
    residence_permit: bool | None = None
    student: bool | None = None
    household: str | None = Field(None, max_length=40)
    phone: str | None = Field(None, max_length=20)


class MergeBody(Body):
    """人员合并 / this person is the survivor."""

    survivor_id: PersonId


class SearchBody(Body):
    """按号码查人 / find by number."""

    number: Annotated[str, Field(min_length=15, max_length=18, examples=["370406199001011234"])]


class EmployeeInsuranceBody(Body):
    """职工保险参保 / a spell of employee insurance; to_date left out while it lasts."""

    person_id: PersonId
    insurance: Insurance
    from_date: Day = Field(examples=["2019-03-01"])
    to_date: Day | None = None


class OutOfAreaBody(Body):
    """统筹区外参保 / paid for the year in another pooling area."""

    person_id: PersonId
    insurance: Insurance = Insurance.MEDICAL
    region: Division
    year: Year


def router(people: People, queries: PeopleQueries, ports: Ports, uploads: PeopleImports) -> APIRouter:
    """Routes under ``/people`` and the reports about a person's other cover."""
    routes = APIRouter(tags=["people 人员"])
    _register_routes(routes, people, ports, uploads)
    _read_routes(routes, people, queries)
    _change_routes(routes, people, queries)
    _report_routes(routes, people, ports, uploads)
    return routes


def _register_routes(routes: APIRouter, people: People, ports: Ports, uploads: PeopleImports) -> None:
    @routes.post("/people", status_code=201, summary="人员登记 / Register a person")
    async def register(request: Request, caller: Writer, body: PersonBody) -> Response:
        require_division(caller, body.division)
        key = required_key(request, caller, "register_person", body)
        given = msgspec.convert(body.model_dump(), Particulars)
        return answer(await people.register(given, metadata(request, caller), key))

    @routes.post("/people:import", status_code=202, summary="批量登记 / Register people from a file")
    async def import_people(request: Request, caller: Writer) -> Response:
        return await accept_upload(request, caller, ports, uploads.people)


def _read_routes(routes: APIRouter, people: People, queries: PeopleQueries) -> None:
    @routes.post("/people:search", summary="按号码查人 / Find a person by number")
    async def search(caller: Reader, body: SearchBody) -> Response:
        person_id = await people.find(body.number)
        if person_id is None:
            raise ProblemError(Refusal("NOT_FOUND", field="number"))
        found = await queries.person(person_id)
        return json_response(
            {"person_id": (found["merged_into"] or person_id) if found is not None else person_id}
        )

    @routes.get("/people/{person_id}", summary="人员信息 / A person; names only with the identity scope")
    async def read(person_id: str, caller: Reader) -> Response:
        found = await queries.person(person_id)
        if found is None:
            raise ProblemError(Refusal("NOT_FOUND"))
        require_division(caller, found["division"], "person_id")
        if caller.allows(IDENTITY_SCOPE):
            identity = await queries.identity(person_id)
            found["identity"] = identity and msgspec.to_builtins(identity)
        return json_response(found)


def _change_routes(routes: APIRouter, people: People, queries: PeopleQueries) -> None:
    async def check_division(caller: Principal, person_id: str) -> None:
        division = await queries.division(person_id)
        if division is not None:
            require_division(caller, division, "person_id")

    @routes.post("/people/{person_id}:correct", summary="人员信息变更 / Correct a person's particulars")
    async def correct(request: Request, caller: Writer, person_id: str, body: CorrectionBody) -> Response:
        await check_division(caller, person_id)
        given = msgspec.convert(body.model_dump(exclude_none=True), Correction)
        parsed = [person_id, body.model_dump(mode="json")]
        key = idempotency_key(request, caller, "correct_person", parsed, required=False)
        return answer(await people.correct(person_id, given, metadata(request, caller), key))

    @routes.post("/people/{person_id}:merge", summary="人员合并 / Declare two ids one person")
    async def merge(request: Request, caller: Writer, person_id: str, body: MergeBody) -> Response:
        await check_division(caller, person_id)
        key = idempotency_key(request, caller, "merge_person", [person_id, body.survivor_id], required=False)
        return answer(await people.merge(person_id, body.survivor_id, metadata(request, caller), key))


def _report_routes(routes: APIRouter, people: People, ports: Ports, uploads: PeopleImports) -> None:
    @routes.post("/employee-insurance", status_code=201, summary="职工保险参保信息 / Report employee cover")
    async def employee(request: Request, caller: Writer, body: EmployeeInsuranceBody) -> Response:
        key = required_key(request, caller, "report_employee_insurance", body)
        given = msgspec.convert(body.model_dump(), EmployeeInsurance)
        told = metadata(request, caller)
        return answer(await people.report(people.employee_insurance_command(given, told, key, caller.covers)))

    @routes.post(
        "/employee-insurance:import", status_code=202, summary="职工保险名单 / Employee cover from a file"
    )
    async def import_employees(request: Request, caller: Writer) -> Response:
        return await accept_upload(request, caller, ports, uploads.employees)

    @routes.post("/out-of-area-cover", status_code=201, summary="统筹区外参保 / Report cover elsewhere")
    async def elsewhere(request: Request, caller: Writer, body: OutOfAreaBody) -> Response:
        key = required_key(request, caller, "report_out_of_area_cover", body)
        given = msgspec.convert(body.model_dump(), OutOfAreaCover)
        told = metadata(request, caller)
        return answer(await people.report(people.out_of_area_command(given, told, key, caller.covers)))

    @routes.post(
        "/out-of-area-cover:import", status_code=202, summary="统筹区外参保名单 / Cover elsewhere from a file"
    )
    async def import_elsewhere(request: Request, caller: Writer) -> Response:
        return await accept_upload(request, caller, ports, uploads.elsewhere)
