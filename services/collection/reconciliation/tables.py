"""Tables of the money's whereabouts. A line is written once a stage, a voucher's stages once for all its lines."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()
CASH = "CASH_AGENT"
VOUCHERED = "VOUCHERED"


def _partial(name: str, condition: sa.ColumnElement[bool], *columns: sa.Column[Any]) -> sa.Index:
    """An index of the rows that fulfil a condition: the others cost nothing when they are changed."""
    return sa.Index(name, *columns, postgresql_where=condition, sqlite_where=condition)


money_line = sa.Table(
    "money_line",
    metadata,
    sa.Column("line_id", sa.Text, primary_key=True),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("village", sa.Text, nullable=False),
    sa.Column("insurance", sa.Text, nullable=False),
    sa.Column("date", sa.Date, nullable=True),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column(
        "book", sa.Text, nullable=False
    ),  # whose book outside holds it: the agent of cash, else the channel
    sa.Column("person_id", sa.Text, nullable=False),
    sa.Column("payer", sa.Text, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),  # VOUCHERED: ask the voucher how far it is
    sa.Column("standing", sa.Text, nullable=False),
    sa.Column("voucher_no", sa.Text, nullable=False),
    sa.Column("declaration_no", sa.Text, nullable=False),
    postgresql_with={"fillfactor": "70"},
)
_l = money_line.c
# Written out in the statements too: a plan for any value uses such an index only where they say so.
ON_VOUCHER = _l.voucher_no != sa.literal_column("''")
ON_DECLARATION = _l.declaration_no != sa.literal_column("''")
UNIDENTIFIED = _l.standing == sa.literal_column("'UNIDENTIFIED'")
_partial("money_line_by_voucher", ON_VOUCHER, _l.voucher_no, _l.person_id)
_partial("money_line_by_declaration", ON_DECLARATION, _l.declaration_no)
_partial("money_line_unidentified", UNIDENTIFIED, _l.campaign, _l.date)

money_voucher = sa.Table(
    "money_voucher",
    metadata,
    sa.Column("voucher_no", sa.Text, primary_key=True),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("insurance", sa.Text, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    # effective lines whose stage is the voucher's
    sa.Column("count", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("fen", sa.BigInteger, nullable=False, server_default="0"),
)

money_sum = sa.Table(
    "money_sum",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
)

money_book = sa.Table(
    "money_book",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("book", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("date", sa.Date, primary_key=True),
    sa.Column("placed_fen", sa.BigInteger, nullable=False),
    sa.Column("hand_fen", sa.BigInteger, nullable=False),  # of it, with the taker still
)

money_village = sa.Table(
    "money_village",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("village", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("collected_count", sa.BigInteger, nullable=False),
    sa.Column("collected_fen", sa.BigInteger, nullable=False),
    sa.Column("entered_count", sa.BigInteger, nullable=False),
    sa.Column("entered_fen", sa.BigInteger, nullable=False),
)

outside_book = sa.Table(
    "outside_book",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("book", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("date", sa.Date, primary_key=True),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
    sa.Column("open_diff_fen", sa.BigInteger, nullable=False),
    sa.Column("told", sa.Integer, nullable=False),
)

voucher_book = sa.Table(
    "voucher_book",
    metadata,
    sa.Column("voucher_no", sa.Text, primary_key=True),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("insurance", sa.Text, nullable=False),
    sa.Column("treasury_date", sa.Date, nullable=True),
    sa.Column("entered_count", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("entered_fen", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("returned_count", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("returned_fen", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("booked_count", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("booked_fen", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("acknowledged", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("voucher_book_by_day", "campaign", "treasury_date"),
)

reconciliation_day = sa.Table(
    "reconciliation_day",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("date", sa.Date, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("equal", sa.Boolean, nullable=False),
    sa.Column("in_transit_fen", sa.BigInteger, nullable=False),
)

open_difference = sa.Table(
    "open_difference",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("date", sa.Date, primary_key=True),
    sa.Column("difference_id", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
)

three_way = sa.Table(
    "three_way",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("village", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
)

LINES = money_line.outerjoin(money_voucher, money_voucher.c.voucher_no == money_line.c.voucher_no)
"""Lines with their vouchers: to select from where ``LINE_STAGE`` is asked for."""

LINE_STAGE: sa.ColumnElement[str] = sa.case(
    (money_line.c.stage == VOUCHERED, sa.func.coalesce(money_voucher.c.stage, VOUCHERED)),
    else_=money_line.c.stage,
)
"""How far a line's money has come, effective or not."""

STATE: sa.ColumnElement[str] = sa.case(
    (money_line.c.standing == "EFFECTIVE", LINE_STAGE), else_=money_line.c.standing
)
"""The one named state of a line's money."""


def government_line_id(year: int, insurance: str, person_id: str, payer: str) -> str:
    """Id of a government leg's row."""
    return f"gov:{year}:{insurance}:{person_id}:{payer}"
