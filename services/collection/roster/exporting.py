"""The roster as a file (清册导出): CSV for Excel, names only for who may see them."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator

from services.collection.roster.projection import LINE
from services.collection.roster.queries import lines_statement
from shared.eventstore.database import Database
from shared.kernel.money import Fen, format_yuan
from shared.security.vault import Vault
from shared.web.paging import MAX_LIMIT, encode_cursor, keyset

HEADING = ("人员编号", "姓名", "险种", "缴费标准（元）", "个人应缴（元）", "类别", "版本")
_INSURANCES = {"medical": "居民医疗保险", "pension": "居民养老保险"}


async def roster_csv(
    database: Database, vault: Vault, roster_id: str, version: int | None, *, with_names: bool
) -> AsyncIterator[bytes]:
    """The file in pieces of at most 1,000 lines. The name column is empty unless ``with_names``."""
    yield b"\xef\xbb\xbf" + _rows([HEADING])
    columns = [LINE.c.person_id, LINE.c.insurance]
    after = ""
    while True:
        statement = keyset(lines_statement(roster_id, version), columns, after, MAX_LIMIT)
        async with database.read() as connection:
            rows = await connection.execute(statement)
            page = rows[:MAX_LIMIT]
            names = {}
            if with_names and page:
                known = await vault.identities(connection, sorted({row.person_id for row in page}))
                names = {person_id: identity.name for person_id, identity in known.items()}
        if page:
            yield _rows(
                [
                    (
                        row.person_id,
                        names.get(row.person_id, ""),
                        _INSURANCES[row.insurance],
                        format_yuan(Fen(row.standard_fen)),
                        format_yuan(Fen(row.personal_fen)),
                        row.category,
                        str(row.version),
                    )
                    for row in page
                ]
            )
        if len(rows) <= MAX_LIMIT:
            return
        after = encode_cursor((page[-1].person_id, page[-1].insurance))


def _rows(rows: list[tuple[str, ...]]) -> bytes:
    """CSV text; a cell that Excel would run as a formula is quoted."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows([[_safe(cell) for cell in row] for row in rows])
    return text.getvalue().encode()


def _safe(cell: str) -> str:
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@") else cell
