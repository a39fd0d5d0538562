"""Events of streams ``declaration:{no}`` and ``voucher:{no}``."""

from __future__ import annotations

import datetime as dt

import msgspec

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class VoucherLine(msgspec.Struct, frozen=True, array_like=True):
    """One payer leg of one person on a declaration, voucher or return; fen.

    line_id: the payment line, "" for a government leg.
    """

    line_id: str
    person_id: str
    village: str
    payer: str
    fen: int
    standard_fen: int
    paid_at: dt.datetime
    tier_yuan: int | None = None
    special_assessment_no: str = ""


class VillageSum(msgspec.Struct, frozen=True, array_like=True):
    """Lines and fen of one village in a voucher; a channel's or government's voucher holds many villages."""

    village: str
    count: int
    fen: int


class DeclarationLines(Event, frozen=True, kw_only=True):
    """虚拟户申报明细, before its header: at most 500 lines and 64 KiB."""

    declaration_no: str
    insurance: Insurance
    part: int
    lines: tuple[VoucherLine, ...]


class VirtualHouseholdDeclarationSubmitted(Event, frozen=True, kw_only=True):
    """虚拟户申报 (I-21). via: HALL or ETAX. digest: of the roster the agent attached."""

    declaration_no: str
    campaign: str
    village: str
    virtual_household_id: str
    via: str
    roster_id: str
    roster_version: int
    roster_digest: str
    receipts_from: str
    receipts_to: str
    slips: tuple[str, ...]
    count: int
    fen: int


class DeclarationVerified(Event, frozen=True, kw_only=True):
    """申报核对无误."""

    declaration_no: str
    campaign: str
    village: str
    actor: str
    count: int
    fen: int


class DeclarationReturned(Event, frozen=True, kw_only=True):
    """申报退回: its lines may be declared again."""

    declaration_no: str
    campaign: str
    village: str
    actor: str
    differences: str


class RosterImportedToTaxSystem(Event, frozen=True, kw_only=True):
    """电子清册导入金三: rows = lines of the declaration."""

    declaration_no: str
    file_digest: str
    rows: int


class VoucherLines(Event, frozen=True, kw_only=True):
    """开票明细, before its header. Numbers are positions of the lines in the voucher, from 1."""

    voucher_no: str
    part: int
    lines: tuple[VoucherLine, ...]


class TaxVoucherIssued(Event, frozen=True, kw_only=True):
    """开票. source: DECLARATION, CHANNEL or GOVERNMENT; origin: the declaration, channel day or payment.

    village: of a declaration; "" for a channel's day or a government payment, whose lines name theirs.
    """

    voucher_no: str
    campaign: str
    village: str
    insurance: Insurance
    year: int
    source: str
    origin: str
    count: int
    fen: int


class GovernmentLineRefused(Event, frozen=True, kw_only=True):
    """政府代缴行不予开票: reason NOT_ASSESSED, LEG_DIFFERS or ALREADY_VOUCHERED; told back, never dropped (I-27)."""

    payment_no: str
    department: str
    voucher_no: str
    campaign: str
    village: str
    person_id: str
    insurance: Insurance
    year: int
    payer: str
    fen: int
    reason: str


class FundsDebited(Event, frozen=True, kw_only=True):
    """扣款: amount = voucher. method as the pack names it."""

    voucher_no: str
    method: str
    bank_ref: str
    fen: int
    at: dt.datetime


class FundsRemitted(Event, frozen=True, kw_only=True):
    """上解."""

    voucher_no: str
    batch: str
    at: dt.datetime


class TreasuryEntryConfirmed(Event, frozen=True, kw_only=True):
    """入库（国库）(I-23). villages: what of it belongs to which village; sums to count and fen."""

    voucher_no: str
    campaign: str
    village: str
    insurance: Insurance
    year: int
    source: str
    treasury_date: dt.date
    count: int
    fen: int
    villages: tuple[VillageSum, ...] = ()


class TreasuryEntryRejected(Event, frozen=True, kw_only=True):
    """入库退回: nothing is returned and nobody becomes entitled (scenario 10)."""

    voucher_no: str
    campaign: str
    village: str
    insurance: Insurance
    treasury_date: dt.date
    reason: str


class TaxVoucherReissued(Event, frozen=True, kw_only=True):
    """重新开票 after a rejected entry: the voucher is debited anew."""

    voucher_no: str
    cycle: int


class TaxReceiptIssued(Event, frozen=True, kw_only=True):
    """税收票据开具: only after entry."""

    voucher_no: str
    campaign: str
    village: str
    receipt_no: str


class CollectionInfoReturned(Event, frozen=True, kw_only=True):
    """征缴信息回传: part ``part`` of ``parts``; first_line_no: number of its first line in the voucher."""

    voucher_no: str
    return_no: str
    campaign: str
    insurance: Insurance
    year: int
    treasury_date: dt.date
    part: int
    parts: int
    total_count: int
    total_fen: int
    first_line_no: int
    lines: tuple[VoucherLine, ...]


class CollectionInfoAcknowledged(Event, frozen=True, kw_only=True):
    """回传确认 as registration told (I-24). refused: line numbers and error codes."""

    voucher_no: str
    return_no: str
    booked_lines: int
    booked_fen: int
    refused: tuple[tuple[int, str], ...]
