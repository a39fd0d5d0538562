"""``unaccounted_fen``: planted losses show as exactly their fen, differences in plus and minus never cancel."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from deploy.audit.evidence import BankDeposit, Books, Evidence, RefundPaid, Row, Takings, TreasuryEntry
from deploy.audit.money import audit_money
from shared.kernel.clock import SHANGHAI

VILLAGE = "370406101201"
DAY = dt.date(2019, 11, 2)
PAID = dt.datetime(2019, 11, 2, 10, 15, tzinfo=SHANGHAI).isoformat()
VOUCHER = "V-D-1-medical"
RETURN = f"R-{VOUCHER}"


class Story:
    """One cash payment of 26,000 fen from the agent's hand to the booking, and one by WeChat just received."""

    def __init__(self) -> None:
        self.collection: list[Row] = []
        self.registration: list[Row] = []
        self.books = Books(
            (
                Takings(VILLAGE, "medical", DAY, "CASH_AGENT", 1, 26_000),
                Takings(VILLAGE, "medical", DAY, "WECHAT", 1, 26_000),
            ),
            (BankDeposit("S1", 26_000),),
            (TreasuryEntry(VOUCHER, 26_000),),
        )
        self._collect("PaymentReceived", **self._payment("C/1", "CASH_AGENT"))
        self._collect("ReceiptIssued", payment_id="C", fen=26_000)
        self._collect("PaymentReceived", **self._payment("W/1", "WECHAT"))
        self._collect("DailySettlementDeposited", slip_no="S1", fen=26_000)
        self._collect("SettlementLinesConfirmed", lines=["C/1"])
        line = ["C/1", "p1", VILLAGE, "person", 26_000, 26_000, PAID, None, ""]
        self._collect("DeclarationLines", declaration_no="D-1", lines=[line])
        self._collect("VoucherLines", voucher_no=VOUCHER, part=1, lines=[line])
        self._collect("TaxVoucherIssued", voucher_no=VOUCHER, insurance="medical", fen=26_000)
        self._collect("FundsDebited", voucher_no=VOUCHER, at=PAID)
        self._collect("FundsRemitted", voucher_no=VOUCHER)
        self._collect("TreasuryEntryConfirmed", voucher_no=VOUCHER, fen=26_000)
        self._collect(
            "CollectionInfoReturned", voucher_no=VOUCHER, return_no=RETURN, first_line_no=1, lines=[line]
        )
        self._append(
            self.registration,
            "BookkeepingPosted",
            return_no=RETURN,
            line_no=1,
            fen=26_000,
            voucher_no=VOUCHER,
        )

    @staticmethod
    def _payment(line_id: str, channel: str) -> dict[str, Any]:
        return {
            "line_id": line_id,
            "village": VILLAGE,
            "insurance": "medical",
            "paid_at": PAID,
            "channel": channel,
            "fen": 26_000,
        }

    def _collect(self, kind: str, **data: Any) -> None:
        self._append(self.collection, kind, **data)

    @staticmethod
    def _append(log: list[Row], kind: str, **data: Any) -> None:
        at = dt.datetime.fromisoformat(PAID)
        log.append(Row(len(log) + 1, f"e{len(log) + 1}", 2020, f"s{len(log)}", 1, kind, data, at))

    def pay_back(self, line_id: str) -> None:
        """The outside pays 26,000 fen back for a line."""
        rows, deposits, treasury = self.books.rows, self.books.deposits, self.books.treasury
        self.books = Books(rows, deposits, treasury, (RefundPaid(line_id, 26_000),))

    def evidence(self) -> Evidence:
        logs: dict[str, Sequence[Row]] = {
            "collection": self.collection,
            "registration": self.registration,
            "subsidy": [],
            "notification": [],
        }
        return Evidence(logs, self.books, {})

    def drop(self, kind: str, nth: int = 0) -> None:
        for log in (self.collection, self.registration):
            found = [row for row in log if row.type == kind]
            if found:
                log.remove(found[nth])


def test_a_sound_story_leaves_nothing_unaccounted() -> None:
    money = audit_money(Story().evidence())
    assert (money.unaccounted_fen, money.difference_fen) == (0, 0)
    assert money.states == {"BOOKED": 26_000, "RECEIVED": 26_000}
    assert money.records_compared == 6


@pytest.mark.parametrize(
    "kind",
    [
        "PaymentReceived",
        "ReceiptIssued",
        "SettlementLinesConfirmed",
        "DeclarationLines",
        "TaxVoucherIssued",
        "FundsDebited",
        "FundsRemitted",
        "CollectionInfoReturned",
        "BookkeepingPosted",
    ],
)
def test_any_deleted_event_of_the_chain_shows_as_its_fen(kind: str) -> None:
    story = Story()
    story.drop(kind)
    assert audit_money(story.evidence()).unaccounted_fen == 26_000


def test_a_lost_treasury_entry_shows_in_the_chain_and_in_the_treasurys_book() -> None:
    story = Story()
    story.drop("TreasuryEntryConfirmed")
    money = audit_money(story.evidence())
    assert {each.book for each in money.differences} == {"TAKEN", "TREASURY"}


@pytest.mark.parametrize(
    ("plant", "fen"),
    [
        (lambda b: Books(b.rows, (BankDeposit("S1", 26_001),), b.treasury), 1),
        (lambda b: Books(b.rows[:1], b.deposits, b.treasury), 26_000),
        (lambda b: Books(b.rows, b.deposits, (TreasuryEntry(VOUCHER, 25_999),)), 1),
        (lambda b: Books(b.rows, b.deposits, ()), 26_000),
    ],
)
def test_a_changed_line_of_the_outside_shows_as_its_fen(plant: Callable[[Books], Books], fen: int) -> None:
    """A bank line + 1 fen, a lost order, a treasury line - 1 fen, a lost entry."""
    story = Story()
    story.books = plant(story.books)
    assert audit_money(story.evidence()).unaccounted_fen == fen


def test_plus_and_minus_do_not_cancel() -> None:
    story = Story()
    cash, wechat = story.books.rows
    more = Takings(VILLAGE, "medical", DAY, "CASH_AGENT", 1, cash.fen + 5)
    less = Takings(VILLAGE, "medical", DAY, "WECHAT", 1, wechat.fen - 5)
    story.books = Books((more, less), story.books.deposits, story.books.treasury)
    assert audit_money(story.evidence()).unaccounted_fen == 10


def test_a_refund_the_outside_paid_and_nobody_recorded_shows() -> None:
    story = Story()
    story.pay_back("W/1")
    assert audit_money(story.evidence()).unaccounted_fen == 26_000
    story._collect("PaymentRefunded", line_id="W/1", fen=26_000)
    money = audit_money(story.evidence())
    assert money.unaccounted_fen == 0
    assert money.states["REFUNDED"] == 26_000


def test_an_open_difference_is_shown_beside_and_never_inside() -> None:
    story = Story()
    cell = {"village": VILLAGE, "source": "a1", "date": "2019-11-02", "insurance": "medical"}
    story._collect("DailySettlementDiscrepancyDetected", diff_fen=-700, **cell)
    assert audit_money(story.evidence()).difference_fen == 700
    story._collect("DailySettlementDiscrepancyResolved", **cell)
    assert audit_money(story.evidence()).difference_fen == 0


def test_money_in_a_named_mismatch_is_placed() -> None:
    """I-24: booked or in a named mismatch."""
    story = Story()
    story.drop("BookkeepingPosted")
    story._append(story.registration, "BookkeepingMismatchDetected", return_no=RETURN, line_no=1)
    money = audit_money(story.evidence())
    assert money.unaccounted_fen == 0
    assert money.states["MISMATCHED"] == 26_000


def test_a_duplicate_waits_for_its_refund_by_name() -> None:
    story = Story()
    story._collect("DuplicatePaymentDetected", **Story._payment("W/2", "WECHAT"))
    rows = (story.books.rows[0], Takings(VILLAGE, "medical", DAY, "WECHAT", 2, 52_000))
    story.books = Books(rows, story.books.deposits, story.books.treasury)
    money = audit_money(story.evidence())
    assert money.unaccounted_fen == 0
    assert money.states["REFUND_DUE"] == 26_000


def test_a_refund_does_not_hide_a_hole_in_the_chain() -> None:
    """A line that was booked and refunded must have been returned in between."""
    story = Story()
    story.pay_back("C/1")
    story._collect("PaymentRefunded", line_id="C/1", fen=26_000)
    story._append(story.registration, "BookkeepingReversed", payment_line_id="C/1", fen=26_000)
    assert audit_money(story.evidence()).unaccounted_fen == 0
    story.drop("CollectionInfoReturned")
    assert audit_money(story.evidence()).unaccounted_fen == 26_000


def test_a_lost_payment_is_missed_once_also_when_it_was_paid_back() -> None:
    """architecture §5, a deleted event: exactly its fen, the refund has a record of its own."""
    story = Story()
    story.pay_back("W/1")
    story._collect("PaymentRefunded", line_id="W/1", fen=26_000)
    lost = next(row for row in story.collection if row.data.get("line_id") == "W/1")
    story.collection.remove(lost)
    assert audit_money(story.evidence()).unaccounted_fen == 26_000


def test_a_payment_recorded_back_twice_shows() -> None:
    story = Story()
    story.pay_back("W/1")
    for _ in range(2):
        story._collect("PaymentRefunded", line_id="W/1", fen=26_000)
    assert audit_money(story.evidence()).unaccounted_fen == 26_000


def test_money_paid_back_and_still_booked_shows() -> None:
    """I-28: what was booked is taken out of the books with the refund, or it was paid twice."""
    story = Story()
    story.pay_back("C/1")
    story._collect("PaymentRefunded", line_id="C/1", fen=26_000)
    money = audit_money(story.evidence())
    assert money.unaccounted_fen == 26_000
    assert money.broken == ("C/1",)


def test_a_slip_or_an_entry_recorded_twice_shows() -> None:
    """I-20, I-24: the same number twice is money twice; the last record does not hide the first."""
    for kind, number in (("DailySettlementDeposited", "slip_no"), ("TreasuryEntryConfirmed", "voucher_no")):
        story = Story()
        story._collect(kind, fen=26_000, **{number: "S1" if number == "slip_no" else VOUCHER})
        assert audit_money(story.evidence()).unaccounted_fen == 26_000
    story = Story()
    rows, deposits, treasury = story.books.rows, story.books.deposits, story.books.treasury
    story.books = Books(rows, deposits, treasury * 2)
    assert audit_money(story.evidence()).unaccounted_fen == 26_000


def test_the_last_finding_on_a_line_is_where_it_stands() -> None:
    """Scenario 4: a death found, withdrawn and found again leaves a line that is to be refunded."""
    story = Story()
    story._collect("PostDeathPaymentDetected", **Story._payment("W/1", "WECHAT"))
    story._collect("PostDeathFindingWithdrawn", line_id="W/1")
    assert audit_money(story.evidence()).states["RECEIVED"] == 26_000
    story._collect("PostDeathPaymentDetected", **Story._payment("W/1", "WECHAT"))
    money = audit_money(story.evidence())
    assert money.unaccounted_fen == 0
    assert money.states["REFUND_DUE"] == 26_000


@pytest.mark.parametrize("slip_no", ["", "S1"])
def test_a_correction_the_bank_does_not_know_shows(slip_no: str) -> None:
    """I-20: a shortfall is made good by money at the bank, not by a word or by a slip that was used."""
    story = Story()
    story._collect("SettlementCorrected", slip_no=slip_no, resolution="CORRECTIVE_DEPOSIT", fen=700)
    assert audit_money(story.evidence()).unaccounted_fen == 700


def test_a_correction_with_its_own_slip_at_the_bank_is_sound() -> None:
    story = Story()
    story._collect("SettlementCorrected", slip_no="S2", resolution="CORRECTIVE_DEPOSIT", fen=700)
    deposits = (*story.books.deposits, BankDeposit("S2", 700))
    story.books = Books(story.books.rows, deposits, story.books.treasury)
    assert audit_money(story.evidence()).unaccounted_fen == 0


def test_deposits_nobody_was_found_for_are_seen_in_every_part_of_the_list() -> None:
    """The file's further parts count as its first does."""
    story = Story()
    deposits = (*story.books.deposits, BankDeposit("S8", 8), BankDeposit("S9", 9))
    story.books = Books(story.books.rows, deposits, story.books.treasury)
    story._collect("DepositFileReceived", unmatched=[["S8", 8, "AGENT_UNKNOWN"]])
    assert audit_money(story.evidence()).unaccounted_fen == 9
    story._collect("UnmatchedDepositsListed", unmatched=[["S9", 9, "AGENT_UNKNOWN"]])
    assert audit_money(story.evidence()).unaccounted_fen == 0
