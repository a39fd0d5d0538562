"""参保登记表 of a village as a file: CSV for Excel, names only for who may see them."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from shared.eventstore.database import Connection, Database, Row
from shared.security.vault import Vault

PAGE = 1000
HEADING = ("登记号", "人员编号", "姓名", "出生日期", "性别", "户籍所在地", "户号", "险种", "参保途径", "起止")
INSURANCES = {"medical": "居民医疗保险", "pension": "居民养老保险"}
SEXES = {"F": "女", "M": "男"}

EnrolledRows = Callable[[Connection, str, int, tuple[str, str], int], Awaitable[Sequence[Row]]]
"""Live enrolments of a village and year with the person's particulars, after (person, insurance)."""


async def registration_csv(
    database: Database, vault: Vault, enrolled: EnrolledRows, village: str, year: int, *, with_names: bool
) -> AsyncIterator[bytes]:
    """The form in pieces of at most 1,000 rows. The name column is empty unless ``with_names``."""
    yield b"\xef\xbb\xbf" + _rows([HEADING])
    after = ("", "")
    while True:
        async with database.read() as connection:
            rows = await enrolled(connection, village, year, after, PAGE)
            names: dict[str, str] = {}
            if with_names and rows:
                known = await vault.identities(connection, sorted({row.person_id for row in rows}))
                names = {person_id: identity.name for person_id, identity in known.items()}
        if rows:
            yield _rows([_row(row, names.get(row.person_id, "")) for row in rows])
        if len(rows) < PAGE:
            return
        after = (rows[-1].person_id, rows[-1].insurance)


def _row(row: Row, name: str) -> tuple[str, ...]:
    return (
        row.record_no,
        row.person_id,
        name,
        row.birth.isoformat(),
        SEXES.get(row.sex, row.sex),
        row.hukou_division,
        row.household,
        INSURANCES[row.insurance],
        row.route,
        f"{row.period_from}~{row.period_to}",
    )


def _rows(rows: Sequence[tuple[str, ...]]) -> bytes:
    """CSV text; a cell that Excel would run as a formula is quoted."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows(
        [[f"'{cell}" if cell[:1] in ("=", "+", "-", "@") else cell for cell in row] for row in rows]
    )
    return text.getvalue().encode()
