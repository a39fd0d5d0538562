"""The town's forms as files: 个人缴费明细表 per village, 个人缴费汇总表 per campaign. CSV for Excel."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa

from services.collection.fund_accounts.projection import payment_document
from services.collection.obligations.projection import OBLIGATION
from shared.eventstore.database import Connection, Database, Row
from shared.kernel.division import parse_campaign
from shared.kernel.insurance import Insurance
from shared.kernel.money import Fen, format_yuan
from shared.security.vault import Vault

PAGE = 1000
INSURANCES = {"medical": "居民医疗保险", "pension": "居民养老保险"}
DETAIL = (
    "人员编号",
    "姓名",
    "险种",
    "上年度缴费（元）",
    "上年度缴费日期",
    "本年度应缴（元）",
    "本年度缴费日期",
)
SUMMARY = (
    "单据号", "村居", "险种", "来源", "缴费人次", "缴费金额（元）", "录入人次", "录入金额（元）",
    "汇总金额（元）", "资金到账", "状态",
)  # fmt: skip
SOURCES = {"VILLAGE": "村居代收", "CHANNEL": "自助缴费", "GOVERNMENT": "财政代缴"}


class PriorPayment(Protocol):
    """What somebody had paid for the year before, fen by everybody."""

    @property
    def person_id(self) -> str: ...

    @property
    def insurance(self) -> Insurance: ...

    @property
    def fen(self) -> int: ...


PriorYear = Callable[[Connection, str, int], Awaitable[Sequence[PriorPayment]]]
"""(village, year) -> who had paid, from files and bookings."""


def detail_statement(campaign: str, village: str, after: tuple[str, str]) -> sa.Select[Any]:
    """This year's obligations of a village, keyset paged."""
    c = OBLIGATION.c
    return (
        sa.select(c.person_id, c.insurance, c.personal_fen, c.paid_at)
        .where(
            c.campaign == campaign,
            c.village == village,
            sa.tuple_(c.person_id, c.insurance) > sa.tuple_(*(sa.literal(part) for part in after)),
        )
        .order_by(c.person_id, c.insurance)
        .limit(PAGE)
    )


async def payment_detail_csv(
    database: Database, vault: Vault, prior_year: PriorYear, place: tuple[str, str], *, with_names: bool
) -> AsyncIterator[bytes]:
    """个人缴费明细表 of a village: last year's payments, then this year's. place: campaign and village.

    The name column is empty unless ``with_names``; who only paid last year stands at the end.
    """
    campaign, village = place
    yield b"\xef\xbb\xbf" + _rows([DETAIL])
    async with database.read() as connection:
        told = await prior_year(connection, village, parse_campaign(campaign)[1] - 1)
    before = {(paid.person_id, paid.insurance.value): paid.fen for paid in told}
    after = ("", "")
    while True:
        async with database.read() as connection:
            rows = await connection.execute(detail_statement(campaign, village, after))
            names = await _names(connection, vault, [row.person_id for row in rows], with_names)
        if rows:
            yield _rows(
                [_detail(row, names, before.pop((row.person_id, row.insurance), None)) for row in rows]
            )
        if len(rows) < PAGE:
            break
        after = (rows[-1].person_id, rows[-1].insurance)
    if before:
        async with database.read() as connection:
            names = await _names(connection, vault, [person for person, _ in before], with_names)
        yield _rows(
            [
                (person, names.get(person, ""), INSURANCES[insurance], _yuan(fen), "", "")
                for (person, insurance), fen in sorted(before.items())
            ]
        )


async def _names(
    connection: Connection, vault: Vault, persons: Sequence[str], with_names: bool
) -> dict[str, str]:
    if not with_names or not persons:
        return {}
    known = await vault.identities(connection, sorted(set(persons)))
    return {person_id: identity.name for person_id, identity in known.items()}


def _yuan(fen: int | None) -> str:
    return "" if fen is None else format_yuan(Fen(fen))


def _detail(row: Row, names: Mapping[str, str], before: int | None) -> tuple[str, ...]:
    return (
        row.person_id,
        names.get(row.person_id, ""),
        INSURANCES[row.insurance],
        _yuan(before),
        _yuan(row.personal_fen),
        "" if row.paid_at is None else row.paid_at.date().isoformat(),
    )


async def payment_summary_csv(
    database: Database, campaign: str, allowed: sa.ColumnElement[bool]
) -> AsyncIterator[bytes]:
    """个人缴费汇总表: a row per payment document."""
    yield b"\xef\xbb\xbf" + _rows([SUMMARY])
    c = payment_document.c
    async with database.read() as connection:
        rows = await connection.execute(
            sa.select(payment_document)
            .where(c.campaign == campaign, allowed)
            .order_by(c.village, c.insurance, c.document_no)
        )
    if rows:
        yield _rows([_summary(row) for row in rows])


def _summary(row: Row) -> tuple[str, ...]:
    return (
        row.document_no,
        row.village,
        INSURANCES[row.insurance],
        SOURCES[row.source],
        str(row.count),
        format_yuan(Fen(row.fen)),
        str(row.entered_count),
        format_yuan(Fen(row.entered_fen)),
        format_yuan(Fen(row.summary_fen)),
        "是" if row.arrived else "否",
        row.state,
    )


def _rows(rows: Sequence[tuple[str, ...]]) -> bytes:
    """CSV text; a cell that Excel would run as a formula is quoted."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows(
        [[f"'{cell}" if cell[:1] in ("=", "+", "-", "@") else cell for cell in row] for row in rows]
    )
    return text.getvalue().encode()
