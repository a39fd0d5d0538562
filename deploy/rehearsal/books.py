"""The outside world's own books (外部账): one SQLite file, filled only by calls and files that reached it.

Channels' orders, agents' cash boxes and receipt stubs, the bank's slips and debits, the treasury's entries,
finance's account, refunds paid. Amounts are fen, days ISO text. Every write is one transaction that may be
repeated: a process killed at any moment and asked again keeps the same books.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CASH = "CASH_AGENT"
"""The one channel whose money lies in an agent's box until it is deposited."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
  channel TEXT NOT NULL, order_no TEXT NOT NULL, campaign TEXT NOT NULL, agent TEXT NOT NULL,
  paid_at TEXT NOT NULL, paid_on TEXT NOT NULL, asked INTEGER NOT NULL, book_no TEXT NOT NULL,
  serial_no TEXT NOT NULL, state TEXT NOT NULL, code TEXT NOT NULL, payment_id TEXT NOT NULL,
  repeated TEXT NOT NULL, PRIMARY KEY (channel, order_no));
CREATE TABLE IF NOT EXISTS takings (
  channel TEXT NOT NULL, order_no TEXT NOT NULL, n INTEGER NOT NULL, person_id TEXT NOT NULL,
  village TEXT NOT NULL, insurance TEXT NOT NULL, year INTEGER NOT NULL, fen INTEGER NOT NULL,
  refunded_fen INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (channel, order_no, n));
CREATE TABLE IF NOT EXISTS slips (
  slip_no TEXT PRIMARY KEY, bank TEXT NOT NULL, campaign TEXT NOT NULL, agent TEXT NOT NULL,
  village TEXT NOT NULL, date TEXT NOT NULL, insurance TEXT NOT NULL, fen INTEGER NOT NULL,
  deposited_on TEXT NOT NULL, account_ref TEXT NOT NULL, kind TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS debits (
  voucher_no TEXT NOT NULL, cycle INTEGER NOT NULL, campaign TEXT NOT NULL, village TEXT NOT NULL,
  insurance TEXT NOT NULL, source TEXT NOT NULL, count INTEGER NOT NULL, fen INTEGER NOT NULL,
  debited_on TEXT NOT NULL, bank_ref TEXT NOT NULL, batch TEXT NOT NULL, told INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (voucher_no, cycle));
CREATE TABLE IF NOT EXISTS entries (
  voucher_no TEXT NOT NULL, cycle INTEGER NOT NULL, campaign TEXT NOT NULL, village TEXT NOT NULL,
  insurance TEXT NOT NULL, source TEXT NOT NULL, count INTEGER NOT NULL, fen INTEGER NOT NULL,
  date TEXT NOT NULL, result TEXT NOT NULL, reason TEXT NOT NULL, told INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (voucher_no, cycle));
CREATE TABLE IF NOT EXISTS refunds (
  refund_no TEXT PRIMARY KEY, line_id TEXT NOT NULL, campaign TEXT NOT NULL, insurance TEXT NOT NULL,
  fen INTEGER NOT NULL, paid_on TEXT NOT NULL, bank_ref TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS payouts (
  refund_no TEXT PRIMARY KEY, line_id TEXT NOT NULL, campaign TEXT NOT NULL, insurance TEXT NOT NULL,
  fen INTEGER NOT NULL, told INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS appropriations (
  department TEXT NOT NULL, campaign TEXT NOT NULL, date TEXT NOT NULL, fen INTEGER NOT NULL,
  PRIMARY KEY (department, campaign, date));
CREATE TABLE IF NOT EXISTS deaths (
  person_id TEXT PRIMARY KEY, died_on TEXT NOT NULL, told_on TEXT NOT NULL);
"""

TAKEN, REFUSED, ASKING = "TAKEN", "REFUSED", "ASKING"


@dataclass(frozen=True, slots=True)
class Line:
    """One person, insured year and insurance of an order; the village the payer gave."""

    person_id: str
    village: str
    insurance: str
    year: int
    fen: int


@dataclass(frozen=True, slots=True)
class Order:
    """An order as its channel or agent keeps it.

    state: ASKING until the answer came, then TAKEN or REFUSED; asked: False when the channel took the money
    first. repeated: what a repetition after a lost answer gave, empty when there was none.
    """

    channel: str
    order_no: str
    campaign: str
    agent: str
    paid_at: str
    asked: bool
    book_no: str
    serial_no: str
    state: str
    code: str
    payment_id: str
    repeated: str


class Books:
    """The file. ``connect`` opens or makes it; all methods are short and synchronous."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    @classmethod
    def connect(cls, path: Path | None) -> Books:
        """Open the file (None: in memory). WAL: what was written before a kill -9 is there after it."""
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path if path is not None else ":memory:", isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(SCHEMA)
        return cls(connection)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def rows(self, query: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows of a SELECT as dicts."""
        return [dict(row) for row in self._db.execute(query, values)]

    def number(self, query: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> int:
        """One number."""
        return int(self._db.execute(query, values).fetchone()[0] or 0)

    def insert(self, table: str, row: Mapping[str, Any]) -> bool:
        """Insert unless its key is there; True when it was not."""
        names = ", ".join(row)
        marks = ", ".join(f":{name}" for name in row)
        cursor = self._db.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", dict(row))
        return cursor.rowcount == 1

    # -- orders ---------------------------------------------------------------------------------------

    def order(self, channel: str, order_no: str) -> Order | None:
        """An order by its number."""
        found = self.rows("SELECT * FROM orders WHERE channel = ? AND order_no = ?", (channel, order_no))
        if not found:
            return None
        row = found[0]
        del row["paid_on"]
        return Order(**{**row, "asked": bool(row["asked"])})

    def open_order(
        self,
        channel: str,
        order_no: str,
        campaign: str,
        paid_at: str,
        lines: Sequence[Line],
        *,
        agent: str = "",
        asked: bool = True,
    ) -> Order:
        """Note an order before anybody is asked; an agent's order gets the next form of his receipt book."""
        with self.transaction():
            book_no = f"B-{agent}" if agent else ""
            serial = self._next_form(book_no) if agent else ""
            row = {
                "channel": channel, "order_no": order_no, "campaign": campaign, "agent": agent,
                "paid_at": paid_at, "paid_on": paid_at[:10], "asked": int(asked), "book_no": book_no,
                "serial_no": serial, "state": ASKING if asked else TAKEN, "code": "", "payment_id": "",
                "repeated": "",
            }  # fmt: skip
            if self.insert("orders", row):
                self._insert_lines(channel, order_no, lines)
        order = self.order(channel, order_no)
        assert order is not None
        return order

    def _next_form(self, book_no: str) -> str:
        used = self.number("SELECT COUNT(*) FROM orders WHERE book_no = ? AND state <> ?", (book_no, REFUSED))
        return f"{used + 1:06d}"

    def _insert_lines(self, channel: str, order_no: str, lines: Iterable[Line]) -> None:
        for number, line in enumerate(lines, 1):
            self.insert(
                "takings",
                {
                    "channel": channel, "order_no": order_no, "n": number, "person_id": line.person_id,
                    "village": line.village, "insurance": line.insurance, "year": line.year, "fen": line.fen,
                },
            )  # fmt: skip

    def close_order(self, order: Order, state: str, code: str, payment_id: str, repeated: str = "") -> Order:
        """The answer: money taken, or none taken."""
        with self.transaction() as db:
            db.execute(
                "UPDATE orders SET state = ?, code = ?, payment_id = ?, repeated = ?"
                " WHERE channel = ? AND order_no = ? AND state = ?",
                (state, code, payment_id, repeated, order.channel, order.order_no, ASKING),
            )
        closed = self.order(order.channel, order.order_no)
        assert closed is not None
        return closed

    def lines(self, channel: str, order_no: str) -> list[dict[str, Any]]:
        """Lines of an order."""
        return self.rows(
            "SELECT * FROM takings WHERE channel = ? AND order_no = ? ORDER BY n", (channel, order_no)
        )

    def taken_on(self, channel: str, campaign: str, day: str) -> list[dict[str, Any]]:
        """Lines of money a channel took on a day."""
        return self.rows(
            "SELECT t.*, o.paid_at FROM takings t JOIN orders o USING (channel, order_no) WHERE o.state = ?"
            " AND o.channel = ? AND o.campaign = ? AND o.paid_on = ? ORDER BY t.order_no, t.n",
            (TAKEN, channel, campaign, day),
        )

    def box(self, agent: str, campaign: str, day: str) -> list[dict[str, Any]]:
        """What an agent took on a day: count and fen per insurance."""
        return self.rows(
            "SELECT t.insurance, COUNT(*) AS count, SUM(t.fen) AS fen FROM takings t"
            " JOIN orders o USING (channel, order_no) WHERE o.state = ? AND o.agent = ? AND o.campaign = ?"
            " AND o.paid_on = ? GROUP BY t.insurance ORDER BY t.insurance",
            (TAKEN, agent, campaign, day),
        )

    def stubs(self, agent: str, campaign: str, day: str) -> tuple[str, str]:
        """First and last receipt form an agent wrote on a day."""
        found = self.rows(
            "SELECT MIN(serial_no) AS first, MAX(serial_no) AS last FROM orders WHERE state = ? AND agent = ?"
            " AND campaign = ? AND paid_on = ?",
            (TAKEN, agent, campaign, day),
        )[0]
        return found["first"] or "", found["last"] or ""

    # -- refunds --------------------------------------------------------------------------------------

    def pay_refund(self, row: Mapping[str, Any]) -> bool:
        """Money goes back to the payer, once; its line is found by ``{channel}-{order_no}/{n}``."""
        with self.transaction() as db:
            if not self.insert("refunds", row):
                return False
            db.execute(
                "UPDATE takings SET refunded_fen = refunded_fen + :fen"
                " WHERE channel || '-' || order_no || '/' || n = :line_id",
                {"fen": row["fen"], "line_id": row["line_id"]},
            )
            db.execute("UPDATE payouts SET told = 1 WHERE refund_no = ?", (row["refund_no"],))
        return True

    # -- balances -------------------------------------------------------------------------------------

    def balance(self, source: str, campaign: str) -> int:
        """Money on the account a source's vouchers are debited from, fen.

        DECLARATION: the town's unit account. CHANNEL: the channels' clearing accounts. GOVERNMENT: the fund
        account finance pays into. A debit the treasury sent back is on the account again.
        """
        if source == "DECLARATION":
            came = self.number(
                "SELECT SUM(CASE kind WHEN 'RETURN' THEN -fen ELSE fen END) FROM slips WHERE campaign = ?",
                (campaign,),
            )
        elif source == "CHANNEL":
            came = self.number(
                "SELECT SUM(t.fen) FROM takings t JOIN orders o USING (channel, order_no)"
                " WHERE o.state = ? AND o.channel <> ? AND o.campaign = ?",
                (TAKEN, CASH, campaign),
            )
        else:
            came = self.number("SELECT SUM(fen) FROM appropriations WHERE campaign = ?", (campaign,))
        left = self.number(
            "SELECT SUM(d.fen) FROM debits d LEFT JOIN entries e USING (voucher_no, cycle)"
            " WHERE d.campaign = ? AND d.source = ? AND COALESCE(e.result, '') <> 'REJECTED'",
            (campaign, source),
        )
        return came - left

    # -- what the outside knows -----------------------------------------------------------------------

    def statement(self, campaign: str) -> dict[str, Any]:
        """The body of ``GET /books``: everything the outside knows of a campaign, nothing of ours."""
        return {
            "campaign": campaign,
            "rows": self._money_rows(campaign),
            "receipts": self.rows(
                "SELECT book_no, serial_no, agent, paid_on AS date, channel, order_no,"
                " (SELECT SUM(fen) FROM takings t WHERE t.channel = o.channel AND t.order_no = o.order_no)"
                " AS fen FROM orders o WHERE campaign = ? AND state = ? AND book_no <> ''"
                " ORDER BY book_no, serial_no",
                (campaign, TAKEN),
            ),
            "orders": self.rows(
                "SELECT channel, order_no, state, code, asked, repeated FROM orders WHERE campaign = ?"
                " ORDER BY channel, order_no",
                (campaign,),
            ),
            "deposits": self.rows(
                "SELECT slip_no, bank, agent, village, date, insurance, fen, deposited_on, kind FROM slips"
                " WHERE campaign = ? ORDER BY slip_no",
                (campaign,),
            ),
            "debits": self.rows(
                "SELECT voucher_no, cycle, village, insurance, source, count, fen, debited_on AS date"
                " FROM debits WHERE campaign = ? ORDER BY voucher_no, cycle",
                (campaign,),
            ),
            "treasury": self._entries(campaign, "CONFIRMED"),
            "treasury_returned": self._entries(campaign, "REJECTED"),
            "refunds": self.rows(
                "SELECT refund_no, line_id, insurance, fen, paid_on AS date FROM refunds WHERE campaign = ?"
                " ORDER BY refund_no",
                (campaign,),
            ),
            "appropriations": self.rows(
                "SELECT department, date, fen FROM appropriations WHERE campaign = ? ORDER BY department, date",
                (campaign,),
            ),
            "balances": {
                source: self.balance(source, campaign) for source in ("DECLARATION", "CHANNEL", "GOVERNMENT")
            },
        }

    def _entries(self, campaign: str, result: str) -> list[dict[str, Any]]:
        return self.rows(
            "SELECT voucher_no, cycle, village, insurance, source, count, fen, date, reason FROM entries"
            " WHERE campaign = ? AND result = ? ORDER BY voucher_no, cycle",
            (campaign, result),
        )

    def _money_rows(self, campaign: str) -> list[dict[str, Any]]:
        """Sums per village, insurance, day and channel. kind: CASH, CHANNEL or GOVERNMENT."""
        taken = self.rows(
            "SELECT t.village, t.insurance, o.paid_on AS date, t.channel, COUNT(*) AS count,"
            " SUM(t.fen) AS fen, SUM(t.refunded_fen) AS refunded_fen,"
            " CASE t.channel WHEN :cash THEN 'CASH' ELSE 'CHANNEL' END AS kind"
            " FROM takings t JOIN orders o USING (channel, order_no)"
            " WHERE o.campaign = :campaign AND o.state = :taken"
            " GROUP BY t.village, t.insurance, o.paid_on, t.channel"
            " ORDER BY t.village, t.insurance, o.paid_on, t.channel",
            {"cash": CASH, "campaign": campaign, "taken": TAKEN},
        )
        paid = self.rows(
            "SELECT village, insurance, MIN(debited_on) AS date, 'GOVERNMENT' AS channel,"
            " MAX(count) AS count, MAX(fen) AS fen, 0 AS refunded_fen, 'GOVERNMENT' AS kind FROM debits"
            " WHERE campaign = ? AND source = 'GOVERNMENT' GROUP BY voucher_no, village, insurance"
            " ORDER BY village, insurance, date",
            (campaign,),
        )
        return taken + paid


def canonical(value: Any) -> str:
    """JSON with sorted keys, to compare answers."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
