"""Fund accounts decided: given what happened, when a command comes, then events or a refusal (000:L133-186)."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from services.collection.fund_accounts import documents as doc
from services.collection.fund_accounts import domain as d
from services.collection.fund_accounts import events as f
from services.collection.obligations.facts import CampaignFact
from shared.kernel.clock import SHANGHAI
from shared.kernel.errors import Refusal
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance
from shared.policy import load_pack

CAMPAIGN = "370406101-2018"
VILLAGE = "370406101201"
DAY = dt.date(2017, 12, 20)
MEDICAL, PENSION = Insurance.MEDICAL, Insurance.PENSION


def campaign(pack_id: str = "DZ-2018") -> CampaignFact:
    pack = load_pack(pack_id)
    span = pack.window("medical")
    return CampaignFact(CAMPAIGN, "370406101", 2018, pack, span.start, span.end)


def line(person: str, fen: int, line_no: int = 0, line_id: str | None = None) -> f.DocumentLine:
    paid_at = dt.datetime(2017, 11, 8, 10, tzinfo=SHANGHAI)
    own = f"CASH_AGENT-{person}/1" if line_id is None else line_id
    return f.DocumentLine(line_no, own, person, VILLAGE, "person", fen, fen, paid_at)


def arrived(person: str, fen: int, insurance: Insurance = MEDICAL, **changes: object) -> d.ArrivedLine:
    return replace(d.ArrivedLine(insurance, line(person, fen), True, f"B:{person}"), **changes)  # type: ignore[arg-type]


def sign(*totals: tuple[Insurance, int, int], receipts: int, number: int = 1) -> d.SignVillage:
    told = tuple(f.InsuranceTotal(*total) for total in totals)
    return d.SignVillage(
        CAMPAIGN, VILLAGE, number, 2018, "station-02", "town-agency", ("S-1",), "", "", receipts, told
    )


def folded(*events: Event) -> doc.Document:
    state = doc.Document()
    for event in events:
        state = doc.evolve(state, event)
    return state


def drawn(source: str = d.VILLAGE, *lines: f.DocumentLine) -> doc.Document:
    draft = d.Draft("PD-1", CAMPAIGN, VILLAGE, MEDICAL, 2018, source, "1", "town-agency")
    return folded(*d.draw(draft, lines or (line("p1", 18000), line("p2", 9000))))


def after(state: doc.Document, decision: list[Event] | Refusal) -> doc.Document:
    assert isinstance(decision, list)
    for event in decision:
        state = doc.evolve(state, event)
    return state


BOTH = frozenset({("p1", "person"), ("p2", "person")})


def summarised() -> doc.Document:
    state = drawn()
    return after(state, doc.file_summary(state, summary(2, 27000), BOTH))


def summary(count: int, fen: int, reason: str = "") -> doc.FileSummary:
    return doc.FileSummary("PD-1", "town-agency", "station-02", count, fen, reason)


def test_a_plan_that_pays_into_the_treasury_has_no_fund_accounts() -> None:
    """Pack-driven: ST-2020's flow has no deposit into a fund account."""
    states = {insurance: d.Accounts() for insurance in Insurance}
    refused = d.open_account(states, campaign("ST-2020"), MEDICAL, d.INCOME, "A", "BANK")
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.rule) == ("STEP_NOT_IN_PLAN", "FUND_ACCOUNTS")


def test_one_account_never_holds_both_insurances() -> None:
    """分别存入 (000:L151-155): an account opened for one insurance is refused for the other."""
    states = {MEDICAL: d.Accounts({d.INCOME: "A"}), PENSION: d.Accounts()}
    refused = d.open_account(states, campaign(), PENSION, d.INCOME, "A", "BANK")
    assert isinstance(refused, Refusal)
    assert refused.code == "ACCOUNT_SHARED"
    opened = d.open_account(states, campaign(), PENSION, d.INCOME, "B", "BANK")
    assert isinstance(opened, list)
    assert [type(event).__name__ for event in opened] == ["FundAccountOpened"]


def test_an_account_of_a_kind_is_opened_once() -> None:
    """The same again says nothing new; another reference of the kind is refused."""
    states = {MEDICAL: d.Accounts({d.INCOME: "A"}), PENSION: d.Accounts()}
    assert d.open_account(states, campaign(), MEDICAL, d.INCOME, "A", "BANK") == []
    refused = d.open_account(states, campaign(), MEDICAL, d.INCOME, "C", "BANK")
    assert isinstance(refused, Refusal)
    assert refused.rule == "ONE_ACCOUNT_PER_KIND"


def test_a_part_arrives_once() -> None:
    """存入基金收入账户: a recorded deposit is not recorded again."""
    legs = (f.FundLine("l1", "p1", VILLAGE, "person", 18000),)
    arrival = d.Arrival("FD-1", CAMPAIGN, VILLAGE, "A-1", d.AGENT, MEDICAL, 2018, DAY, legs)
    [event] = d.record_arrival(False, arrival, "INCOME-medical")
    assert isinstance(event, f.FundAccountDeposited)
    assert (event.count, event.fen, event.account_ref) == (1, 18000, "INCOME-medical")
    assert d.record_arrival(True, arrival, "INCOME-medical") == []


def test_a_signature_draws_a_document_per_insurance_and_leaves_money_to_return_out() -> None:
    """对账签字: totals are all that was deposited; what is to be given back stands in no document."""
    books = d.VillageBooks(
        (
            arrived("p1", 18000),
            arrived("p1", 30000, PENSION),
            arrived("p2", 18000, effective=False, receipt="B:p3"),
        )
    )
    signed = d.sign_village(
        d.VillageAccount(), sign((MEDICAL, 2, 36000), (PENSION, 1, 30000), receipts=2), books
    )
    assert isinstance(signed, d.Signed)
    assert isinstance(signed.village, f.VillageReconciliationSigned)
    assert signed.village.to_return == ("CASH_AGENT-p2/1",)
    assert {
        insurance: [type(event).__name__ for event in events]
        for insurance, events in signed.documents.items()
    } == {
        MEDICAL: ["PaymentDocumentLines", "PaymentDocumentDrawn"],
        PENSION: ["PaymentDocumentLines", "PaymentDocumentDrawn"],
    }
    state = d.evolve_village(d.VillageAccount(), signed.village)
    assert (state.signatures, len(state.documents[1])) == (1, 2)


@pytest.mark.parametrize(
    ("books", "command", "rule"),
    [
        (d.VillageBooks((), 100), sign((MEDICAL, 1, 18000), receipts=1), "CASH_IN_HAND"),
        (d.VillageBooks((), 0, 1), sign((MEDICAL, 1, 18000), receipts=1), "DISCREPANCY_OPEN"),
        (d.VillageBooks(), sign((MEDICAL, 1, 18000), receipts=1), "NOTHING_ARRIVED"),
        (d.VillageBooks((arrived("p1", 18000),)), sign((MEDICAL, 1, 17999), receipts=1), "VOUCHERS_DIFFER"),
        (d.VillageBooks((arrived("p1", 18000),)), sign((MEDICAL, 1, 18000), receipts=2), "STUBS_DIFFER"),
        (
            d.VillageBooks((arrived("p1", 18000),)),
            sign((MEDICAL, 1, 18000), receipts=1, number=2),
            "SIGNED_MEANWHILE",
        ),
    ],
)
def test_what_does_not_agree_is_not_signed(books: d.VillageBooks, command: d.SignVillage, rule: str) -> None:
    """钱表相符 (000:L155-159, I-20): cash in hand, differences, vouchers, stubs, a signature in between."""
    refused = d.sign_village(d.VillageAccount(), command, books)
    assert isinstance(refused, Refusal)
    assert refused.rule == rule


def test_documents_of_a_signature_know_one_another() -> None:
    """The village may publish when all documents of its signature are confirmed."""
    numbers = [d.village_document_no(CAMPAIGN, VILLAGE, insurance, 2) for insurance in Insurance]
    assert set(d.sibling_documents(numbers[0])) == set(numbers)
    assert d.sibling_documents("PD-HR_WEBSITE-370406101-2018-medical-1") == ()
    assert d.sibling_documents("PD-GOV-GP-1-medical-p1") == ()


def test_the_summary_is_what_was_entered() -> None:
    """收、录、钱一一对应 (I-20): other figures are refused; a repeat says nothing new."""
    state = drawn()
    refused = doc.file_summary(state, summary(2, 26999), BOTH)
    assert isinstance(refused, Refusal)
    assert refused.rule == "ENTERED_DIFFERS"
    filed = doc.file_summary(state, summary(2, 27000), BOTH)
    state = after(state, filed)
    assert doc.file_summary(state, summary(2, 27000), BOTH) == []
    other = doc.file_summary(state, summary(1, 18000), BOTH)
    assert isinstance(other, Refusal)
    assert other.rule == "SUMMARISED_ALREADY"


def test_nothing_entered_nothing_summed() -> None:
    """先缴费后录入 (000:L270-276)."""
    refused = doc.file_summary(drawn(), summary(2, 27000), frozenset())
    assert isinstance(refused, Refusal)
    assert refused.rule == "NOTHING_ENTERED"


def test_what_is_not_entered_is_named_with_a_reason_and_not_confirmed() -> None:
    """未录入视为未参保 (000:L272-274): the line stays out of the transfer and of the confirmation."""
    state = drawn()
    one = frozenset({("p1", "person")})
    refused = doc.file_summary(state, summary(1, 18000), one)
    assert isinstance(refused, Refusal)
    assert refused.rule == "NOT_ALL_ENTERED"
    filed = doc.file_summary(state, summary(1, 18000, "注销登记 / cancelled"), one)
    state = after(state, filed)
    assert state.left_out == {2}
    state = after(state, doc.issue_receipt(state, "PD-1", "FR-1"))
    state = after(state, doc.transfer(state, "PD-1", "FISCAL-medical", "T-1", 18000, DAY))
    confirmed = doc.confirm(state, "PD-1", "hr", "agency-01", DAY)
    assert isinstance(confirmed, list)
    [lines] = [event for event in confirmed if isinstance(event, f.PaymentDocumentLinesConfirmed)]
    assert [(each.line_no, each.person_id) for each in lines.lines] == [(1, "p1")]
    assert (lines.total_count, lines.total_fen, lines.return_no) == (1, 18000, "R-PD-1")


def test_steps_keep_their_order() -> None:
    """000:L161-182: no receipt before the entry, no transfer before the receipt, no confirmation before it."""
    state = drawn()
    for decision in (
        doc.issue_receipt(state, "PD-1", "FR-1"),
        doc.transfer(state, "PD-1", "FISCAL-medical", "T-1", 27000, DAY),
        doc.confirm(state, "PD-1", "hr", "agency-01", DAY),
    ):
        assert isinstance(decision, Refusal)
        assert decision.rule == "IS_DRAWN"
    unknown = doc.issue_receipt(doc.Document(), "PD-9", "FR-1")
    assert isinstance(unknown, Refusal)
    assert unknown.rule == "DOCUMENT_UNKNOWN"


def test_exactly_what_was_entered_is_pooled_into_a_known_account() -> None:
    """转入基金财政专户 (000:L174-176, I-24)."""
    state = summarised()
    state = after(state, doc.issue_receipt(state, "PD-1", "FR-1"))
    short = doc.transfer(state, "PD-1", "FISCAL-medical", "T-1", 26999, DAY)
    assert isinstance(short, Refusal)
    assert short.code == "AMOUNT_MISMATCH"
    unknown = doc.transfer(state, "PD-1", "", "T-1", 27000, DAY)
    assert isinstance(unknown, Refusal)
    assert unknown.rule == "FISCAL_ACCOUNT_UNKNOWN"
    state = after(state, doc.transfer(state, "PD-1", "FISCAL-medical", "T-1", 27000, DAY))
    assert state.status == doc.TRANSFERRED


def test_the_agency_confirms_not_the_station() -> None:
    """复核、确认 (000:L176-182): maker and checker are two organisations; a repeat says nothing new."""
    state = summarised()
    state = after(state, doc.issue_receipt(state, "PD-1", "FR-1"))
    state = after(state, doc.transfer(state, "PD-1", "FISCAL-medical", "T-1", 27000, DAY))
    own = doc.confirm(state, "PD-1", "town-agency", "station-03", DAY)
    assert isinstance(own, Refusal)
    assert own.code == "SAME_ORGANISATION"
    state = after(state, doc.confirm(state, "PD-1", "hr", "agency-01", DAY))
    assert state.status == doc.CONFIRMED
    assert doc.confirm(state, "PD-1", "hr", "agency-01", DAY) == []


def test_finance_pays_its_own_documents_whole_and_first() -> None:
    """I-27: a government document is pooled only when its money came; nobody else's takes finance's money."""
    state = drawn(d.GOVERNMENT, line("p1", 18000, line_id=""), line("p2", 9000, line_id=""))
    wrong = doc.receive_government_money(state, "PD-1", "INCOME-medical", "G-1", 26000, DAY)
    assert isinstance(wrong, Refusal)
    assert wrong.code == "AMOUNT_MISMATCH"
    foreign = doc.receive_government_money(drawn(), "PD-1", "INCOME-medical", "G-1", 27000, DAY)
    assert isinstance(foreign, Refusal)
    assert foreign.rule == "NOT_GOVERNMENT"
    state = after(state, doc.file_summary(state, summary(2, 27000), BOTH))
    state = after(state, doc.issue_receipt(state, "PD-1", "FR-1"))
    early = doc.transfer(state, "PD-1", "FISCAL-medical", "T-1", 27000, DAY)
    assert isinstance(early, Refusal)
    assert early.rule == "NOT_ARRIVED"
    state = after(state, doc.receive_government_money(state, "PD-1", "INCOME-medical", "G-1", 27000, DAY))
    assert doc.receive_government_money(state, "PD-1", "INCOME-medical", "G-1", 27000, DAY) == []
    state = after(state, doc.transfer(state, "PD-1", "FISCAL-medical", "T-1", 27000, DAY))
    assert state.status == doc.TRANSFERRED


def test_registration_acknowledges_a_confirmed_document_once() -> None:
    """I-24: an answer to another flow's return, or a second one, changes nothing."""
    assert doc.acknowledge(drawn(), "PD-1", "R-PD-1", (2, 27000), ()) == []
    state = summarised()
    state = after(state, doc.issue_receipt(state, "PD-1", "FR-1"))
    state = after(state, doc.transfer(state, "PD-1", "FISCAL-medical", "T-1", 27000, DAY))
    state = after(state, doc.confirm(state, "PD-1", "hr", "agency-01", DAY))
    [noted] = doc.acknowledge(state, "PD-1", "R-PD-1", (2, 27000), ())
    assert isinstance(noted, f.BookingAcknowledged)
    assert doc.acknowledge(doc.evolve(state, noted), "PD-1", "R-PD-1", (2, 27000), ()) == []
