"""The outside world's own books (外部账): one SQLite file, filled only by calls and files that reached it.

Channels' orders, agents' cash boxes and receipt stubs, the bank's slips and debits, the treasury's entries,
finance's account, refunds paid. Amounts are fen, days ISO text. Every write is one transaction that may be
repeated: a process killed at any moment and asked again keeps the same books. The mass of a day is written
and read as sets; nothing of it is held in memory.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.rehearsal.script import CASH

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
  id INTEGER PRIMARY KEY, channel TEXT NOT NULL, order_no TEXT NOT NULL, campaign TEXT NOT NULL,
  agent TEXT NOT NULL, paid_at TEXT NOT NULL, paid_on TEXT NOT NULL, asked INTEGER NOT NULL,
  book_no TEXT NOT NULL, serial_no TEXT NOT NULL, state TEXT NOT NULL, code TEXT NOT NULL,
  repeated TEXT NOT NULL, UNIQUE (channel, order_no));
CREATE INDEX IF NOT EXISTS orders_of_day ON orders (campaign, paid_on, channel);
CREATE INDEX IF NOT EXISTS orders_of_agent ON orders (agent) WHERE agent <> '';
CREATE TABLE IF NOT EXISTS takings (
  order_id INTEGER NOT NULL, n INTEGER NOT NULL, person_id TEXT NOT NULL, village TEXT NOT NULL,
  insurance TEXT NOT NULL, year INTEGER NOT NULL, fen INTEGER NOT NULL,
  refunded_fen INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (order_id, n)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS planned (
  campaign TEXT NOT NULL, village TEXT NOT NULL, orders INTEGER NOT NULL, PRIMARY KEY (campaign, village));
CREATE TABLE IF NOT EXISTS agents (
  agent TEXT NOT NULL, campaign TEXT NOT NULL, village TEXT NOT NULL, account_ref TEXT NOT NULL,
  receipts TEXT NOT NULL, PRIMARY KEY (agent, campaign));
CREATE TABLE IF NOT EXISTS slips (
  slip_no TEXT PRIMARY KEY, bank TEXT NOT NULL, campaign TEXT NOT NULL, agent TEXT NOT NULL,
  village TEXT NOT NULL, date TEXT NOT NULL, insurance TEXT NOT NULL, fen INTEGER NOT NULL,
  deposited_on TEXT NOT NULL, account_ref TEXT NOT NULL, kind TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS slips_of_day ON slips (campaign, deposited_on);
CREATE TABLE IF NOT EXISTS accounts (
  campaign TEXT NOT NULL, source TEXT NOT NULL, fen INTEGER NOT NULL, PRIMARY KEY (campaign, source));
CREATE TABLE IF NOT EXISTS debits (
  voucher_no TEXT NOT NULL, cycle INTEGER NOT NULL, campaign TEXT NOT NULL, village TEXT NOT NULL,
  insurance TEXT NOT NULL, source TEXT NOT NULL, count INTEGER NOT NULL, fen INTEGER NOT NULL,
  debited_on TEXT NOT NULL, bank_ref TEXT NOT NULL, batch TEXT NOT NULL, told INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (voucher_no, cycle));
CREATE INDEX IF NOT EXISTS debits_of_day ON debits (campaign, debited_on);
CREATE TABLE IF NOT EXISTS entries (
  voucher_no TEXT NOT NULL, cycle INTEGER NOT NULL, campaign TEXT NOT NULL, village TEXT NOT NULL,
  insurance TEXT NOT NULL, source TEXT NOT NULL, count INTEGER NOT NULL, fen INTEGER NOT NULL,
  date TEXT NOT NULL, result TEXT NOT NULL, reason TEXT NOT NULL, told INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (voucher_no, cycle));
CREATE INDEX IF NOT EXISTS entries_of_day ON entries (campaign, date);
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
CREATE TABLE IF NOT EXISTS refusals (
  campaign TEXT NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL, code TEXT NOT NULL,
  PRIMARY KEY (campaign, what, subject));
"""

PLANNED, TAKEN, REFUSED, ASKING = "PLANNED", "TAKEN", "REFUSED", "ASKING"
DECLARATION, CHANNEL, GOVERNMENT = "DECLARATION", "CHANNEL", "GOVERNMENT"


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

    state: PLANNED, ASKING until the answer came, then TAKEN or REFUSED; asked: False when the channel took the
    money first. repeated: what a repetition gave, empty when there was none.
    """

    id: int
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
    repeated: str

    @property
    def payment_id(self) -> str:
        """As the services derive it."""
        return f"{self.channel}-{self.order_no}" if self.state == TAKEN else ""


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

    def each(self, query: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> Iterator[sqlite3.Row]:
        """Rows of a SELECT, one at a time."""
        yield from self._db.execute(query, values)

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
        """Note an order before anybody is asked; an agent's order gets the next form of his second book."""
        with self.transaction():
            book_no = f"B-{agent}-S" if agent and self.writes_receipts(agent, campaign, channel) else ""
            serial = self._next_form(book_no) if book_no else ""
            row = {
                "channel": channel, "order_no": order_no, "campaign": campaign, "agent": agent,
                "paid_at": paid_at, "paid_on": paid_at[:10], "asked": int(asked), "book_no": book_no,
                "serial_no": serial, "state": ASKING if asked else TAKEN, "code": "", "repeated": "",
            }  # fmt: skip
            if self.insert("orders", row):
                order_id = self.number("SELECT last_insert_rowid()")
                self._db.executemany(
                    "INSERT INTO takings VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
                    [
                        (order_id, number, line.person_id, line.village, line.insurance, line.year, line.fen)
                        for number, line in enumerate(lines, 1)
                    ],
                )
                if not asked:
                    self._move(campaign, CHANNEL, sum(line.fen for line in lines))
        order = self.order(channel, order_no)
        assert order is not None
        return order

    def _next_form(self, book_no: str) -> str:
        used = self.number("SELECT COUNT(*) FROM orders WHERE book_no = ? AND state <> ?", (book_no, REFUSED))
        return f"{used + 1:06d}"

    def writes_receipts(self, agent: str, campaign: str, channel: str) -> bool:
        """True when an agent writes a receipt for money taken by a channel."""
        found = self.rows("SELECT receipts FROM agents WHERE agent = ? AND campaign = ?", (agent, campaign))
        return bool(found) and channel in found[0]["receipts"].split()

    def plan_orders(
        self, campaign: str, village: str, orders: Iterable[tuple[Mapping[str, str], Sequence[Line]]]
    ) -> int:
        """The mass of a village: orders that will be placed on their days, once. Agents' forms are numbered.

        An order: channel, order_no, agent, paid_at. Answers how many there are.
        """
        forms: dict[str, int] = {}
        with self.transaction() as db:
            known = self.rows(
                "SELECT orders FROM planned WHERE campaign = ? AND village = ?", (campaign, village)
            )
            if known:
                return int(known[0]["orders"])
            next_id = self.number("SELECT COALESCE(MAX(id), 0) FROM orders") + 1
            heads: list[tuple[Any, ...]] = []
            lines: list[tuple[Any, ...]] = []
            for order, owed in orders:
                agent, book_no, serial = order["agent"], "", ""
                if agent and self.writes_receipts(agent, campaign, order["channel"]):
                    book_no = f"B-{agent}"
                    forms[book_no] = forms.get(book_no, 0) + 1
                    serial = f"{forms[book_no]:06d}"
                paid_at = order["paid_at"]
                heads.append(
                    (next_id, order["channel"], order["order_no"], campaign, agent, paid_at, paid_at[:10], 1,
                     book_no, serial, PLANNED, "", "")
                )  # fmt: skip
                lines += [
                    (next_id, n, each.person_id, each.village, each.insurance, each.year, each.fen, 0)
                    for n, each in enumerate(owed, 1)
                ]
                next_id += 1
            db.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", heads)
            db.executemany("INSERT INTO takings VALUES (?, ?, ?, ?, ?, ?, ?, ?)", lines)
            db.execute("INSERT INTO planned VALUES (?, ?, ?)", (campaign, village, len(heads)))
        return len(heads)

    def planned_on(self, campaign: str, day: str) -> dict[str, list[dict[str, Any]]]:
        """Orders planned for a day by channel, each as the services want it, with its ``id``."""
        found: dict[str, list[dict[str, Any]]] = {}
        order: dict[str, Any] = {}
        last = 0
        for row in self.each(
            "SELECT o.id, o.channel, o.order_no, o.agent, o.paid_at, o.book_no, o.serial_no, t.person_id,"
            " t.year, t.insurance, t.fen FROM orders o JOIN takings t ON t.order_id = o.id"
            " WHERE o.campaign = ? AND o.paid_on = ? AND o.state = ? ORDER BY o.channel, o.id, t.n",
            (campaign, day, PLANNED),
        ):
            if row[0] != last:
                last = row[0]
                order = {"id": row[0], "order_no": row[2], "channel": row[1], "paid_at": row[4], "lines": []}
                order["captured"] = False
                if row[3]:
                    order["agent"] = row[3]
                if row[5]:
                    order["receipt"] = {"book_no": row[5], "serial_no": row[6]}
                found.setdefault(row[1], []).append(order)
            order["lines"].append(
                {"person_id": row[7], "year": row[8], "insurance": row[9], "amount_fen": row[10]}
            )
        return found

    def take_planned(
        self, campaign: str, orders: Sequence[Mapping[str, Any]], refused: Mapping[int, str]
    ) -> None:
        """What the services answered a file of orders: money taken, or refused (index -> code)."""
        taken = [(TAKEN, "", order["id"]) for index, order in enumerate(orders) if index not in refused]
        left = [(REFUSED, code, orders[index]["id"]) for index, code in refused.items()]
        with self.transaction() as db:
            db.executemany("UPDATE orders SET state = ?, code = ? WHERE id = ?", taken + left)
            if orders and orders[0]["channel"] != CASH:
                fen = sum(
                    line["amount_fen"]
                    for index, order in enumerate(orders)
                    if index not in refused
                    for line in order["lines"]
                )
                self._move(campaign, CHANNEL, fen)

    def close_order(self, order: Order, state: str, code: str, repeated: str = "") -> Order:
        """The answer: money taken, or none taken."""
        with self.transaction() as db:
            cursor = db.execute(
                "UPDATE orders SET state = ?, code = ?, repeated = ?"
                " WHERE channel = ? AND order_no = ? AND state = ?",
                (state, code, repeated, order.channel, order.order_no, ASKING),
            )
            if cursor.rowcount == 1 and state == TAKEN and order.channel != CASH:
                fen = self.number("SELECT SUM(fen) FROM takings WHERE order_id = ?", (order.id,))
                self._move(order.campaign, CHANNEL, fen)
        closed = self.order(order.channel, order.order_no)
        assert closed is not None
        return closed

    def lines(self, channel: str, order_no: str) -> list[dict[str, Any]]:
        """Lines of an order."""
        return self.rows(
            "SELECT t.* FROM takings t JOIN orders o ON o.id = t.order_id WHERE o.channel = ?"
            " AND o.order_no = ? ORDER BY t.n",
            (channel, order_no),
        )

    def channels_on(self, campaign: str, day: str) -> list[str]:
        """Channels that took money on a day and settle it themselves."""
        return [
            row["channel"]
            for row in self.rows(
                "SELECT DISTINCT channel FROM orders WHERE campaign = ? AND paid_on = ? AND state = ?"
                " AND channel <> ? ORDER BY channel",
                (campaign, day, TAKEN, CASH),
            )
        ]

    def taken_on(self, channel: str, campaign: str, day: str) -> list[dict[str, Any]]:
        """Lines of money a channel took on a day."""
        return self.rows(
            "SELECT o.order_no, t.person_id, t.insurance, t.year, t.fen AS amount_fen, o.paid_at"
            " FROM orders o JOIN takings t ON t.order_id = o.id WHERE o.campaign = ? AND o.paid_on = ?"
            " AND o.channel = ? AND o.state = ? ORDER BY o.order_no, t.n",
            (campaign, day, channel, TAKEN),
        )

    def boxes(self, campaign: str, day: str) -> dict[str, list[dict[str, Any]]]:
        """Agent -> what he took in cash on a day, per insurance: count, fen, first and last form."""
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.rows(
            "SELECT o.agent, t.insurance, COUNT(*) AS count, SUM(t.fen) AS fen,"
            " MIN(o.book_no || '/' || o.serial_no) AS first, MAX(o.book_no || '/' || o.serial_no) AS last"
            " FROM orders o JOIN takings t ON t.order_id = o.id WHERE o.campaign = ? AND o.paid_on = ?"
            " AND o.channel = ? AND o.state = ? GROUP BY o.agent, t.insurance ORDER BY o.agent, t.insurance",
            (campaign, day, CASH, TAKEN),
        ):
            found.setdefault(row["agent"], []).append(row)
        return found

    # -- refunds --------------------------------------------------------------------------------------

    def pay_refund(self, row: Mapping[str, Any]) -> bool:
        """Money goes back to the payer, once; its line is found by ``{channel}-{order_no}/{n}``."""
        payment, _, number = str(row["line_id"]).rpartition("/")
        channel, _, order_no = payment.partition("-")
        with self.transaction() as db:
            if not self.insert("refunds", row):
                return False
            db.execute(
                "UPDATE takings SET refunded_fen = refunded_fen + ? WHERE n = ? AND order_id ="
                " (SELECT id FROM orders WHERE channel = ? AND order_no = ?)",
                (row["fen"], int(number) if number.isdigit() else 0, channel, order_no),
            )
            db.execute("UPDATE payouts SET told = 1 WHERE refund_no = ?", (row["refund_no"],))
        return True

    # -- accounts -------------------------------------------------------------------------------------

    def balance(self, source: str, campaign: str) -> int:
        """Money on the account a source's vouchers are debited from, fen.

        DECLARATION: the towns' unit accounts. CHANNEL: the channels' clearing accounts. GOVERNMENT: the fund
        account finance pays into. A debit the treasury sent back is on the account again.
        """
        return self.number(
            "SELECT COALESCE(SUM(fen), 0) FROM accounts WHERE campaign = ? AND source = ?", (campaign, source)
        )

    def _move(self, campaign: str, source: str, fen: int) -> None:
        self._db.execute(
            "INSERT INTO accounts VALUES (?, ?, ?) ON CONFLICT (campaign, source)"
            " DO UPDATE SET fen = fen + excluded.fen",
            (campaign, source, fen),
        )

    def put_slip(self, slip: Mapping[str, Any]) -> bool:
        """A slip at the bank's counter; a returned excess leaves the account."""
        with self.transaction():
            new = self.insert("slips", slip)
            if new:
                sign = -1 if slip["kind"] == "RETURN" else 1
                self._move(slip["campaign"], DECLARATION, sign * slip["fen"])
        return new

    def put_appropriation(self, row: Mapping[str, Any]) -> bool:
        """Finance's money arrives on the fund account."""
        with self.transaction():
            new = self.insert("appropriations", row)
            if new:
                self._move(row["campaign"], GOVERNMENT, row["fen"])
        return new

    def put_debits(self, campaign: str, debits: Sequence[Mapping[str, Any]]) -> int:
        """Debit vouchers from their accounts, in order, while the money lasts; answers how many were short."""
        short = 0
        with self.transaction():
            left = {source: self.balance(source, campaign) for source in (DECLARATION, CHANNEL, GOVERNMENT)}
            for debit in debits:
                source = debit["source"]
                known = self.number(
                    "SELECT COUNT(*) FROM debits WHERE voucher_no = ? AND cycle = ?",
                    (debit["voucher_no"], debit["cycle"]),
                )
                if known:
                    continue
                if left.get(source, 0) < debit["fen"]:
                    short += 1
                    continue
                left[source] -= debit["fen"]
                self.insert("debits", debit)
                self._move(campaign, source, -debit["fen"])
        return short

    def put_entries(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """The treasury's entries; what it sends back is on its account again."""
        with self.transaction():
            for entry in entries:
                if self.insert("entries", entry) and entry["result"] == "REJECTED":
                    self._move(entry["campaign"], entry["source"], entry["fen"])

    def mark_told(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """What was told the services; table: debits or entries."""
        with self.transaction() as db:
            db.executemany(
                f"UPDATE {table} SET told = 1 WHERE voucher_no = ? AND cycle = ?",
                [(row["voucher_no"], row["cycle"]) for row in rows],
            )

    # -- what the outside knows -----------------------------------------------------------------------

    def papers(self, campaign: str, village: str) -> dict[str, Any]:
        """What a village hands in with its declaration: first and last form, slips."""
        forms = self.rows(
            "SELECT MIN(book_no || '/' || serial_no) AS first, MAX(book_no || '/' || serial_no) AS last"
            " FROM orders WHERE +campaign = ? AND state = ? AND book_no <> '' AND agent <> '' AND agent IN"
            " (SELECT agent FROM agents WHERE campaign = ? AND village = ?)",
            (campaign, TAKEN, campaign, village),
        )[0]
        slips = self.rows(
            "SELECT slip_no FROM slips WHERE campaign = ? AND village = ? ORDER BY slip_no LIMIT 500",
            (campaign, village),
        )
        return {
            "receipts_from": forms["first"] or "",
            "receipts_to": forms["last"] or "",
            "deposit_slips": [slip["slip_no"] for slip in slips],
        }

    def refused(self, campaign: str, what: str) -> bool:
        """True when the services have refused a file's row of this kind."""
        query = "SELECT COUNT(*) FROM refusals WHERE campaign = ? AND what = ?"
        return self.number(query, (campaign, what)) > 0

    def oddities(self, campaign: str) -> dict[str, Any]:
        """Orders that were refused, asked about twice or taken unasked; what the services refused of files."""
        return {
            "orders": self.rows(
                "SELECT channel, order_no, state, code, asked, repeated FROM orders WHERE campaign = ?"
                " AND (state = ? OR repeated <> '' OR asked = 0) ORDER BY channel, order_no",
                (campaign, REFUSED),
            ),
            "refusals": self.rows(
                "SELECT what, subject, code FROM refusals WHERE campaign = ? ORDER BY what, subject",
                (campaign,),
            ),
        }

    def statement(self, campaign: str) -> dict[str, Any]:
        """The body of ``GET /books``: everything the outside knows of a campaign, nothing of ours.

        orders: only those that were refused or asked about twice; receipts: books with their forms' sums.
        """
        return {
            "campaign": campaign,
            "rows": self._part(campaign, "rows"),
            "receipts": self.rows(
                "SELECT o.book_no, o.agent, MIN(o.serial_no) AS first, MAX(o.serial_no) AS last,"
                " COUNT(DISTINCT o.id) AS count, SUM(t.fen) AS fen FROM orders o"
                " JOIN takings t ON t.order_id = o.id WHERE o.campaign = ? AND o.state = ?"
                " AND o.book_no <> '' GROUP BY o.book_no, o.agent ORDER BY o.book_no",
                (campaign, TAKEN),
            ),
            **self.oddities(campaign),
            "deposits": self._part(campaign, "deposits"),
            "debits": self.rows(
                "SELECT voucher_no, cycle, village, insurance, source, count, fen, debited_on AS date"
                " FROM debits WHERE campaign = ? ORDER BY voucher_no, cycle",
                (campaign,),
            ),
            "treasury": self._part(campaign, "treasury"),
            "treasury_returned": self._part(campaign, "treasury_returned"),
            "refunds": self._part(campaign, "refunds"),
            "appropriations": self.rows(
                "SELECT department, date, fen FROM appropriations WHERE campaign = ? ORDER BY department, date",
                (campaign,),
            ),
            "balances": {
                source: self.balance(source, campaign) for source in (DECLARATION, CHANNEL, GOVERNMENT)
            },
        }

    def _part(self, campaign: str, part: str) -> list[dict[str, Any]]:
        return self.rows(PARTS[part], _names(campaign))

    def page(self, campaign: str, part: str, after: int, limit: int) -> dict[str, Any]:
        """A page of a large part of the statement, from line ``after`` on. Raises KeyError for another part.

        The part is written down when its first page is asked for, so that the pages are one statement.
        """
        query = PARTS[part]
        if after == 0:
            self._db.execute(f"DROP TABLE IF EXISTS temp.told_{part}")
            self._db.execute(f"CREATE TEMP TABLE told_{part} AS {query}", _names(campaign))
        items = self.rows(
            f"SELECT * FROM temp.told_{part} WHERE rowid > ? ORDER BY rowid LIMIT ?", (after, limit)
        )
        return {"items": items, "next": after + limit if len(items) == limit else None}


TAKINGS = (
    "SELECT t.village, t.insurance, o.paid_on AS date, o.channel, COUNT(*) AS count,"
    " SUM(t.fen) AS fen, SUM(t.refunded_fen) AS refunded_fen,"
    " CASE o.channel WHEN :cash THEN 'CASH' ELSE 'CHANNEL' END AS kind"
    " FROM orders o JOIN takings t ON t.order_id = o.id"
    " WHERE o.campaign = :campaign AND o.state = :taken"
    " GROUP BY t.village, t.insurance, o.paid_on, o.channel"
)
PAID_BY_GOVERNMENT = (
    "SELECT village, insurance, MIN(debited_on) AS date, 'GOVERNMENT' AS channel,"
    " MAX(count) AS count, MAX(fen) AS fen, 0 AS refunded_fen, 'GOVERNMENT' AS kind FROM debits"
    " WHERE campaign = :campaign AND source = 'GOVERNMENT' GROUP BY voucher_no, village, insurance"
)
_ENTRIES = (
    "SELECT voucher_no, cycle, village, insurance, source, count, fen, date, reason FROM entries"
    " WHERE campaign = :campaign AND result = '{}' ORDER BY voucher_no, cycle"
)
PARTS: Mapping[str, str] = {
    "rows": f"SELECT * FROM ({TAKINGS} UNION ALL {PAID_BY_GOVERNMENT})"
    " ORDER BY kind = 'GOVERNMENT', village, insurance, date, channel",
    "deposits": "SELECT slip_no, bank, agent, village, date, insurance, fen, deposited_on, kind FROM slips"
    " WHERE campaign = :campaign ORDER BY slip_no",
    "treasury": _ENTRIES.format("CONFIRMED"),
    "treasury_returned": _ENTRIES.format("REJECTED"),
    "refunds": "SELECT refund_no, line_id, insurance, fen, paid_on AS date FROM refunds"
    " WHERE campaign = :campaign ORDER BY refund_no",
}
"""The parts of the statement that grow with the people; rows: sums per village, insurance, day and channel."""


def _names(campaign: str) -> dict[str, str]:
    return {"campaign": campaign, "taken": TAKEN, "cash": CASH}


def canonical(value: Any) -> str:
    """JSON with sorted keys, to compare answers."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
