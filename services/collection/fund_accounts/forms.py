"""The town's forms as files: 个人缴费明细表 per village, 个人缴费汇总表 per campaign. CSV for Excel."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Any

import sqlalchemy as sa

from services.collection.fund_accounts.projection import payment_document
from services.collection.obligations.projection import OBLIGATION
from shared.eventstore.database import Connection, Database, Row
from shared.kernel.division import parse_campaign
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


def detail_statement(campaign: str, village: str, after: tuple[str, str]) -> sa.Select[Any]:
    """Last year's and this year's obligation of a person and insurance side by side, keyset paged."""
    year = parse_campaign(campaign)[1]
    now = OBLIGATION.alias("now")
    then = OBLIGATION.alias("then")
    same = sa.and_(
        then.c.person_id == now.c.person_id, then.c.insurance == now.c.insurance, then.c.year == year - 1
    )
    return (
        sa.select(
            now.c.person_id,
            now.c.insurance,
            now.c.personal_fen,
            now.c.paid_at,
            then.c.paid_fen.label("then_fen"),
            then.c.paid_at.label("then_at"),
        )
        .select_from(now.outerjoin(then, same))
        .where(
            now.c.campaign == campaign,
            now.c.village == village,
            sa.tuple_(now.c.person_id, now.c.insurance) > sa.tuple_(*(sa.literal(part) for part in after)),
        )
        .order_by(now.c.person_id, now.c.insurance)
        .limit(PAGE)
    )


async def prior_year_totals(connection: Connection, campaign: str, village: str) -> tuple[int, int]:
    """Number and fen of last year's effective payments of a village."""
    c = OBLIGATION.c
    rows = await connection.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(c.paid_fen), 0)).where(
            c.year == parse_campaign(campaign)[1] - 1, c.village == village, c.paid_standing == "EFFECTIVE"
        )
    )
    return int(rows[0][0]), int(rows[0][1])


async def payment_detail_csv(
    database: Database, vault: Vault, campaign: str, village: str, *, with_names: bool
) -> AsyncIterator[bytes]:
    """个人缴费明细表 of a village. The name column is empty unless ``with_names``."""
    yield b"\xef\xbb\xbf" + _rows([DETAIL])
    after = ("", "")
    while True:
        async with database.read() as connection:
            rows = await connection.execute(detail_statement(campaign, village, after))
            names: dict[str, str] = {}
            if with_names and rows:
                known = await vault.identities(connection, sorted({row.person_id for row in rows}))
                names = {person_id: identity.name for person_id, identity in known.items()}
        if rows:
            yield _rows([_detail(row, names.get(row.person_id, "")) for row in rows])
        if len(rows) < PAGE:
            return
        after = (rows[-1].person_id, rows[-1].insurance)


def _detail(row: Row, name: str) -> tuple[str, ...]:
    return (
        row.person_id,
        name,
        INSURANCES[row.insurance],
        "" if row.then_fen is None else format_yuan(Fen(row.then_fen)),
        "" if row.then_at is None else row.then_at.date().isoformat(),
        format_yuan(Fen(row.personal_fen)),
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
