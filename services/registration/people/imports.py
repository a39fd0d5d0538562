"""Files of people and of what others tell about them; headings may be Chinese (批量登记)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from services.registration.people.domain import EmployeeInsurance, OutOfAreaCover, Particulars, unknown_person
from services.registration.people.handlers import Covers, People
from shared.eventstore.commands import Command, IdempotencyKey
from shared.eventstore.database import Connection
from shared.eventstore.streams import Metadata
from shared.kernel.errors import Refusal
from shared.web.imports import ImportContext, ImportKind

R = TypeVar("R", EmployeeInsurance, OutOfAreaCover)
Build = Callable[[R, Metadata, IdempotencyKey | None, Covers], Command]

PERSON_COLUMNS = {
    "人员编号": "person_id",
    "公民身份号码": "number",
    "身份证号": "number",
    "险种": "insurance",
}


@dataclass(frozen=True, slots=True)
class PeopleImports:
    """The kinds of file this capability takes."""

    people: ImportKind[Particulars]
    employees: ImportKind[EmployeeInsurance]
    elsewhere: ImportKind[OutOfAreaCover]

    def kinds(self) -> tuple[ImportKind[Any], ...]:
        """All of them, to be registered."""
        return self.people, self.employees, self.elsewhere


def people_imports(people: People) -> PeopleImports:
    """The kinds, made of the handlers' commands."""
    return PeopleImports(
        _people(people),
        _told(
            people,
            "employee-insurance",
            EmployeeInsurance,
            people.employee_insurance_command,
            {"参保起始": "from_date", "参保终止": "to_date"},
        ),
        _told(
            people,
            "out-of-area-cover",
            OutOfAreaCover,
            people.out_of_area_command,
            {"统筹区": "region", "年度": "year"},
        ),
    )


def _people(people: People) -> ImportKind[Particulars]:
    """Rows are the bodies of POST /people; headings may be Chinese."""

    def to_command(row: Particulars, context: ImportContext) -> Command | Refusal:
        if not context.covers(row.division):
            return Refusal("DIVISION_FORBIDDEN", field="division")
        return people.register_command(row, context.metadata, context.key)

    return ImportKind(
        "people",
        Particulars,
        to_command,
        {
            "姓名": "name",
            "公民身份号码": "number",
            "身份证号": "number",
            "出生日期": "birth",
            "性别": "sex",
            "村居代码": "division",
            "户籍地代码": "hukou_division",
            "居住证": "residence_permit",
            "在校学生": "student",
            "户号": "household",
            "电话": "phone",
            "出生医学证明": "birth_certificate",
        },
        answers="person_id",
    )


def _told(
    people: People, name: str, row_type: type[R], build: Build[R], columns: dict[str, str]
) -> ImportKind[R]:
    """Rows about people that are registered: by id, or by number, found a slice at a time."""

    async def prepare(rows: Sequence[R], connection: Connection) -> dict[str, str]:
        return await people.find_many(connection, [row.number for row in rows if row.number])

    def to_command(row: R, context: ImportContext) -> Command | Refusal:
        person_id = row.person_id or context.prepared.get(row.number, "")
        if not person_id:
            return unknown_person()
        found = row if row.person_id else msgspec.structs.replace(row, person_id=person_id)
        return build(found, context.metadata, context.key, context.covers)

    return ImportKind(name, row_type, to_command, PERSON_COLUMNS | columns, prepare, answers="person_id")
