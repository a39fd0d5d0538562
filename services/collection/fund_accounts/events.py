"""Events of the flow that ends in the agency's fund accounts (基金账户) instead of the treasury.

Streams: ``fund-account:{campaign}:{insurance}``, ``fund-deposit:{deposit_no}``, ``payment-document:{no}``,
``village-account:{campaign}:{village}``, ``statistics:{campaign}:{date}``. All sums are fen.
"""

from __future__ import annotations

import datetime as dt

import msgspec

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class FundAccountOpened(Event, frozen=True, kw_only=True):
    """基金账户开设 at the partner bank. kind: INCOME (基金收入账户) or FISCAL (财政专户); account_ref is no number."""

    account_ref: str
    campaign: str
    insurance: Insurance
    kind: str
    bank: str


class FundLine(msgspec.Struct, frozen=True, array_like=True):
    """A payer leg whose money lies in the fund income account. line_id: "" for a government leg.

    effective: False for money that will be given back (duplicate, after death, nobody's).
    """

    line_id: str
    person_id: str
    village: str
    payer: str
    fen: int
    effective: bool = True


class FundAccountDeposited(Event, frozen=True, kw_only=True):
    """存入基金收入账户: what arrived for these lines, at most 500 (I-15). kind: AGENT, CHANNEL or GOVERNMENT.

    source: the agent, the channel, or the government payment; document_no: set for a government payment.
    """

    deposit_no: str
    campaign: str
    village: str
    source: str
    kind: str
    account_ref: str
    insurance: Insurance
    year: int
    date: dt.date
    count: int
    fen: int
    lines: tuple[FundLine, ...]
    document_no: str = ""
    bank_ref: str = ""


class DocumentLine(msgspec.Struct, frozen=True, array_like=True):
    """One payer leg of one person on a payment document. line_no: its number there; line_id "": government."""

    line_no: int
    line_id: str
    person_id: str
    village: str
    payer: str
    fen: int
    standard_fen: int
    paid_at: dt.datetime
    tier_yuan: int | None = None
    special_assessment_no: str = ""


class PaymentDocumentLines(Event, frozen=True, kw_only=True):
    """缴费单据明细, before its header: at most 500 lines and 64 KiB."""

    document_no: str
    campaign: str
    insurance: Insurance
    year: int
    source: str
    part: int
    parts: int
    lines: tuple[DocumentLine, ...]


class PaymentDocumentDrawn(Event, frozen=True, kw_only=True):
    """缴费单据 drawn for the data entry. source: VILLAGE, CHANNEL or GOVERNMENT.

    origin: the signature, the channel, or the government payment.
    """

    document_no: str
    campaign: str
    village: str
    insurance: Insurance
    year: int
    source: str
    origin: str
    station: str
    count: int
    fen: int


class GovernmentLineLeftOut(Event, frozen=True, kw_only=True):
    """政府代缴行不列入单据: reason NOT_ASSESSED, LEG_DIFFERS or ALREADY_VOUCHERED; shown, never dropped (I-27)."""

    payment_no: str
    document_no: str
    department: str
    campaign: str
    village: str
    person_id: str
    insurance: Insurance
    year: int
    payer: str
    fen: int
    reason: str


class InsuranceTotal(msgspec.Struct, frozen=True, array_like=True):
    """Lines and fen of one insurance."""

    insurance: Insurance
    count: int
    fen: int


class VillageReconciliationSigned(Event, frozen=True, kw_only=True):
    """村居对账签字 at the town's station: bank vouchers = receipt stubs = what arrived (000:L155-159).

    station: the signing organisation; totals: everything deposited, effective or not; to_return: lines that
    lie in the account and belong to nobody's cover, so they stand in no document.
    """

    campaign: str
    village: str
    signature_no: int
    actor: str
    station: str
    slips: tuple[str, ...]
    receipts_from: str
    receipts_to: str
    receipts: int
    totals: tuple[InsuranceTotal, ...]
    documents: tuple[str, ...]
    to_return: tuple[str, ...] = ()


class CollectionSummaryFiled(Event, frozen=True, kw_only=True):
    """个人缴费汇总表: what was entered of a document, filed with the district agency (000:L166-170).

    left_out: numbers of lines that were not entered, with the reason; they are not insured (先缴费后录入).
    """

    document_no: str
    campaign: str
    village: str
    insurance: Insurance
    station: str
    actor: str
    count: int
    fen: int
    left_out: tuple[int, ...] = ()
    reason: str = ""


class FiscalReceiptIssued(Event, frozen=True, kw_only=True):
    """财政往来收据: only after the entry is done (000:L170-172)."""

    document_no: str
    campaign: str
    village: str
    receipt_no: str
    fen: int


class FiscalAccountTransferred(Event, frozen=True, kw_only=True):
    """转入基金财政专户: the district agency pools what was entered (000:L174-176)."""

    document_no: str
    campaign: str
    village: str
    insurance: Insurance
    account_ref: str
    bank_ref: str
    fen: int
    transferred_on: dt.date


class PaymentDocumentLinesConfirmed(Event, frozen=True, kw_only=True):
    """确认的缴费单据明细, before the confirmation: registration books these lines (I-23, I-24)."""

    document_no: str
    return_no: str
    campaign: str
    insurance: Insurance
    year: int
    confirmed_on: dt.date
    part: int
    parts: int
    total_count: int
    total_fen: int
    lines: tuple[DocumentLine, ...]


class PaymentDocumentsConfirmed(Event, frozen=True, kw_only=True):
    """确认缴费单据 by the district agency, another organisation than the station's (000:L176-182)."""

    document_no: str
    campaign: str
    village: str
    insurance: Insurance
    year: int
    source: str
    agency: str
    actor: str
    confirmed_on: dt.date
    count: int
    fen: int


class VillagePaymentsConfirmed(Event, frozen=True, kw_only=True):
    """村居缴费核定完毕: every document of a signature is confirmed; the village may publish (000:L184-186)."""

    campaign: str
    village: str
    signature_no: int
    count: int
    fen: int


class BookingAcknowledged(Event, frozen=True, kw_only=True):
    """记账确认 as registration told (I-24). refused: line numbers and error codes."""

    document_no: str
    return_no: str
    booked_lines: int
    booked_fen: int
    refused: tuple[tuple[int, str], ...]


class StatisticsRow(msgspec.Struct, frozen=True, array_like=True):
    """收、录、钱 of a village and insurance: count and fen each, ordinary and subsidised legs apart."""

    village: str
    insurance: Insurance
    subsidised: bool
    received_count: int
    received_fen: int
    entered_count: int
    entered_fen: int
    money_count: int
    money_fen: int


class WeeklyStatisticsCompiled(Event, frozen=True, kw_only=True):
    """每周统计 of 收、录、钱 (000:L274-278): part ``part`` of ``parts``, at most 500 rows each."""

    campaign: str
    date: dt.date
    part: int
    parts: int
    rows: tuple[StatisticsRow, ...]
