"""``unaccounted_fen`` where a plan has no treasury (DZ-2018): the same money, on the way into fund accounts."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from deploy.audit.evidence import BankDeposit, Books, Evidence, Row, Takings, TreasuryEntry
from deploy.audit.money import MoneyAudit, audit_money
from deploy.audit.verify import AuditReport, audit
from shared.policy import load_packs

PACKS = load_packs()
CAMPAIGN = "370406-2019"
VILLAGE = "370406101201"
DAY = "2018-11-02"
PAID = f"{DAY}T10:15:00+08:00"
PAY_DAY = "2018-12-05"


class Story:
    """One cash payment of 200 yuan and a government leg of 200, each entered, pooled, confirmed and booked."""

    def __init__(self) -> None:
        self.logs: dict[str, list[Row]] = {
            name: [] for name in ("registration", "collection", "subsidy", "notification")
        }
        self.books = Books(
            (
                Takings(VILLAGE, "medical", dt.date(2018, 11, 2), "CASH_AGENT", 1, 20_000),
                Takings("", "medical", dt.date(2018, 12, 5), "GOVERNMENT", 1, 20_000),
            ),
            (BankDeposit("S1", 20_000),),
            (TreasuryEntry("PD-1", 20_000), TreasuryEntry("PD-G", 20_000)),
        )
        self.collect("CampaignOpened", campaign=CAMPAIGN, pack_id="DZ-2018", year=2019)
        self._pay()
        self._finance()
        self._enter()
        self._confirm()

    def collect(self, kind: str, **data: Any) -> None:
        self._append("collection", kind, **data)

    def _append(self, service: str, kind: str, **data: Any) -> None:
        log = self.logs[service]
        at = dt.datetime.fromisoformat(PAID)
        number = len(log) + 1
        log.append(Row(number, f"{service[:3]}-{number}", 2019, f"process:{number}", 1, kind, data, at))

    def _pay(self) -> None:
        self.collect(
            "PaymentReceived", line_id="C/1", payment_id="C", village=VILLAGE, insurance="medical", paid_at=PAID,
            channel="CASH_AGENT", fen=20_000, campaign=CAMPAIGN, assessment_version=1,
        )  # fmt: skip
        self.collect("ReceiptIssued", payment_id="C", fen=20_000, book_no="B", serial_no="1")
        settled = {
            "campaign": CAMPAIGN,
            "village": VILLAGE,
            "source": "a",
            "date": DAY,
            "insurance": "medical",
        }
        self.collect(
            "DailySettlementDeposited", **settled, slip_no="S1", fen=20_000, designated=True, deposited_on=DAY
        )
        self.collect("SettlementLinesConfirmed", **settled, batch=1, lines=["C/1"])
        self.collect(
            "FundAccountDeposited", document_no="", insurance="medical", year=2019, date=DAY,
            lines=[["C/1", "p1", VILLAGE, "person", 20_000, True]],
        )  # fmt: skip
        line = [1, "C/1", "p1", VILLAGE, "person", 20_000, 20_000, PAID, None, ""]
        self._draw("PD-1", VILLAGE, line)

    def _draw(self, number: str, village: str, line: list[Any]) -> None:
        document = {"document_no": number, "campaign": CAMPAIGN, "insurance": "medical", "year": 2019}
        self.collect("PaymentDocumentLines", **document, lines=[line])
        self.collect("PaymentDocumentDrawn", **document, village=village, count=1, fen=20_000)

    def _finance(self) -> None:
        self._draw("PD-G", "", [1, "", "p2", VILLAGE, "finance", 20_000, 20_000, PAID, None, ""])
        self.collect(
            "FundAccountDeposited", document_no="PD-G", insurance="medical", year=2019, date=PAY_DAY,
            lines=[["", "p2", VILLAGE, "finance", 20_000, True]],
        )  # fmt: skip

    def _enter(self) -> None:
        for number, person, payer in (("PD-1", "p1", "person"), ("PD-G", "p2", "finance")):
            self._append(
                "registration", "EnrolmentEntered", document_no=number, person_id=person, payer=payer,
                insurance="medical", year=2019, campaign=CAMPAIGN, fen=20_000, deposit_no="FD",
                entered_on="2018-12-06",
            )  # fmt: skip

    def _confirm(self) -> None:
        for number, person, payer in (("PD-1", "p1", "person"), ("PD-G", "p2", "finance")):
            line_id = "C/1" if payer == "person" else ""
            line = [1, line_id, person, VILLAGE, payer, 20_000, 20_000, PAID, None, ""]
            document = {"document_no": number, "campaign": CAMPAIGN, "insurance": "medical"}
            self.collect("CollectionSummaryFiled", **document, left_out=[])
            self.collect("FiscalAccountTransferred", **document, fen=20_000)
            self.collect("PaymentDocumentLinesConfirmed", **document, return_no=f"R-{number}", lines=[line])
            self.collect(
                "PaymentDocumentsConfirmed", **document, confirmed_on="2018-12-10", count=1, fen=20_000
            )
            self._append(
                "registration", "BookkeepingPosted", return_no=f"R-{number}", line_no=1, voucher_no=number,
                insurance="medical", year=2019, person_id=person, fen=20_000, booked_on="2018-12-11",
            )  # fmt: skip

    def drop(self, kind: str, nth: int = 0) -> None:
        for log in self.logs.values():
            found = [row for row in log if row.type == kind]
            if found:
                log.remove(found[nth])

    def money(self) -> MoneyAudit:
        return audit_money(Evidence(self.logs, self.books, PACKS))

    def report(self) -> AuditReport:
        return audit(Evidence(self.logs, self.books, PACKS))


def test_money_on_its_way_into_the_fund_accounts_is_placed_and_booked() -> None:
    """000:L133-186: no declaration, voucher or return stands between the agent's hand and the booking."""
    money = Story().money()
    assert (money.unaccounted_fen, money.differences) == (0, ())
    assert money.states == {"BOOKED": 40_000}


@pytest.mark.parametrize(
    ("kind", "nth"),
    [
        *((kind, 0) for kind in ("PaymentReceived", "ReceiptIssued", "SettlementLinesConfirmed")),
        *((kind, nth) for kind in ("FundAccountDeposited", "EnrolmentEntered") for nth in (0, 1)),
        *((kind, nth) for kind in ("PaymentDocumentLines", "BookkeepingPosted") for nth in (0, 1)),
        *(("PaymentDocumentLinesConfirmed", nth) for nth in (0, 1)),
    ],
)
def test_any_deleted_event_of_the_way_shows_as_its_fen(kind: str, nth: int) -> None:
    story = Story()
    story.drop(kind, nth)
    assert story.money().unaccounted_fen == 20_000


def test_a_lost_transfer_shows_in_the_way_and_in_the_fiscal_accounts_book() -> None:
    story = Story()
    story.drop("FiscalAccountTransferred")
    assert {each.book for each in story.money().differences} == {"TAKEN", "TREASURY"}


def test_a_line_the_summary_left_out_waits_where_it_is() -> None:
    """先缴费后录入: what was not entered is not pooled, and is named."""
    story = Story()
    for kind in ("EnrolmentEntered", "PaymentDocumentLinesConfirmed", "BookkeepingPosted"):
        story.drop(kind)
    rows = story.logs["collection"]
    filed = next(row for row in rows if row.type == "CollectionSummaryFiled")
    filed.data = {**filed.data, "left_out": [1]}
    moved = next(row for row in rows if row.type == "FiscalAccountTransferred")
    moved.data = {**moved.data, "fen": 0}
    story.books = Books(story.books.rows, story.books.deposits, story.books.treasury[1:])
    money = story.money()
    assert money.unaccounted_fen == 0
    assert money.states == {"BOOKED": 20_000, "RECONCILED": 20_000}


def test_steps_of_the_tax_bureau_do_not_apply() -> None:
    """000:L133-186: the plan's own flow says which invariants it has nothing for."""
    report = Story().report()
    reasons = {each.id: each.not_applicable for each in report.invariants if not each.checked}
    assert {reasons[number] for number in ("I-07", "I-08", "I-21", "I-23")} == {"DZ-2018 flow, 000:L151-155"}


@pytest.mark.parametrize(
    ("kind", "changes", "invariant"),
    [
        ("EnrolmentEntered", {"entered_on": "2018-11-01"}, "I-15"),
        ("EnrolmentEntered", {"person_id": "p9"}, "I-15"),
        ("PaymentDocumentsConfirmed", {"confirmed_on": "2018-12-12"}, "I-15"),
        ("PaymentDocumentsConfirmed", {"fen": 19_999}, "I-24"),
        ("BookkeepingPosted", {"fen": 19_999}, "I-24"),
    ],
)
def test_what_breaks_the_flows_invariants_is_seen(kind: str, changes: dict[str, Any], invariant: str) -> None:
    """Entered before it was paid, booked before it was confirmed, another sum confirmed or booked."""
    story = Story()
    assert not {each.id for each in story.report().invariants if each.violations} & {"I-15", "I-24"}
    row = next(row for log in story.logs.values() for row in log if row.type == kind)
    row.data = {**row.data, **changes}
    assert invariant in {each.id for each in story.report().invariants if each.violations}
