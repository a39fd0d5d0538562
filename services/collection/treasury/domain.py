"""Deciding declarations and vouchers (I-21, I-23, I-24). Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.collection.obligations.facts import RosterStatusFact
from services.collection.parts import in_parts
from services.collection.treasury import events as t
from shared.kernel.errors import Refusal
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance

DECLARATION = "DECLARATION"
CHANNEL = "CHANNEL"
GOVERNMENT = "GOVERNMENT"


@dataclass(frozen=True, slots=True)
class DeclaredLine:
    """A line that may be declared, with its insurance; on_roster: final roster or a supplement of it."""

    insurance: Insurance
    line: t.VoucherLine
    on_roster: bool = True


@dataclass(frozen=True, slots=True)
class Declaration:
    """State of ``declaration:{no}``. status: "", SUBMITTED, VERIFIED or RETURNED."""

    status: str = ""
    campaign: str = ""
    village: str = ""
    count: int = 0
    fen: int = 0
    lines: tuple[DeclaredLine, ...] = ()


def evolve_declaration(state: Declaration, event: Event) -> Declaration:
    """Fold one event."""
    match event:
        case t.DeclarationLines():
            more = tuple(DeclaredLine(event.insurance, line) for line in event.lines)
            return replace(state, lines=state.lines + more)
        case t.VirtualHouseholdDeclarationSubmitted():
            return replace(
                state,
                status="SUBMITTED",
                campaign=event.campaign,
                village=event.village,
                count=event.count,
                fen=event.fen,
            )
        case t.DeclarationVerified():
            return replace(state, status="VERIFIED")
        case t.DeclarationReturned():
            return replace(state, status="RETURNED")
        case _:
            return state


@dataclass(frozen=True, slots=True)
class Declare:
    """Command: declare what a village's agents took, deposited and settled."""

    declaration_no: str
    campaign: str
    village: str
    virtual_household_id: str
    via: str
    roster_digest: str
    receipts_from: str
    receipts_to: str
    slips: tuple[str, ...]
    total_count: int | None = None
    total_fen: int | None = None


def submit_declaration(
    state: Declaration,
    command: Declare,
    roster: RosterStatusFact | None,
    needs_notice: bool,
    open_discrepancies: int,
    candidates: Sequence[DeclaredLine],
) -> list[Event] | Refusal:
    """虚拟户申报: final roster, closed notice, no open difference, settled lines not declared before (I-21)."""
    if state.status:
        return Refusal("INVALID_STATE", rule="DECLARATION_EXISTS", field="village")
    if roster is None or not roster.final:
        return Refusal("INVALID_STATE", rule="ROSTER_NOT_FINAL", clause="I-21", field="village")
    if needs_notice and not roster.pre_declaration_closed:
        return Refusal("INVALID_STATE", rule="PRE_DECLARATION_NOTICE_OPEN", clause="D-10", field="village")
    if open_discrepancies:
        return Refusal("INVALID_STATE", rule="DISCREPANCY_OPEN", clause="I-21", field="village")
    lines = [each for each in candidates if each.on_roster]
    if not lines:
        return Refusal("INVALID_STATE", rule="NOTHING_TO_DECLARE", clause="I-21", field="village")
    count, fen = len(lines), sum(each.line.fen for each in lines)
    if command.total_count not in (None, count) or command.total_fen not in (None, fen):
        return Refusal("TOTALS_MISMATCH", rule="I-21", field="total_fen")
    found: list[Event] = []
    for insurance in Insurance:
        parts = in_parts(each.line for each in lines if each.insurance is insurance)
        found += [
            t.DeclarationLines(
                declaration_no=command.declaration_no, insurance=insurance, part=number, lines=part
            )
            for number, part in enumerate(parts, 1)
        ]
    found.append(
        t.VirtualHouseholdDeclarationSubmitted(
            declaration_no=command.declaration_no,
            campaign=command.campaign,
            village=command.village,
            virtual_household_id=command.virtual_household_id,
            via=command.via,
            roster_id=roster.roster_id,
            roster_version=roster.version,
            roster_digest=command.roster_digest,
            receipts_from=command.receipts_from,
            receipts_to=command.receipts_to,
            slips=command.slips,
            count=count,
            fen=fen,
        )
    )
    return found


def verify_declaration(
    state: Declaration, declaration_no: str, actor: str, accepted: bool, differences: str, digest: str
) -> list[Event] | Refusal:
    """核对: verified, with the electronic roster imported, or sent back. digest: of the declared lines."""
    if not state.status:
        return Refusal("NOT_FOUND", rule="DECLARATION_UNKNOWN", field="declaration_no")
    wanted = "VERIFIED" if accepted else "RETURNED"
    if state.status == wanted:
        return []
    if state.status != "SUBMITTED":
        return Refusal("INVALID_STATE", rule=f"DECLARATION_{state.status}", field="declaration_no")
    if not accepted:
        return [
            t.DeclarationReturned(
                declaration_no=declaration_no,
                campaign=state.campaign,
                village=state.village,
                actor=actor,
                differences=differences,
            )
        ]
    return [
        t.DeclarationVerified(
            declaration_no=declaration_no,
            campaign=state.campaign,
            village=state.village,
            actor=actor,
            count=state.count,
            fen=state.fen,
        ),
        t.RosterImportedToTaxSystem(declaration_no=declaration_no, file_digest=digest, rows=len(state.lines)),
    ]


@dataclass(frozen=True, slots=True)
class Voucher:
    """State of ``voucher:{no}``. status: "", ISSUED, DEBITED, REMITTED, IN_TREASURY or REJECTED.

    done: what each step of the present cycle said, so that a repeat can be told from a contradiction.
    spent: bank references of earlier cycles, whose debits came to nothing.
    """

    status: str = ""
    campaign: str = ""
    village: str = ""
    insurance: Insurance = Insurance.MEDICAL
    year: int = 0
    source: str = ""
    fen: int = 0
    lines: tuple[t.VoucherLine, ...] = ()
    done: tuple[tuple[str, tuple[str, ...]], ...] = ()
    cycle: int = 1
    spent: frozenset[str] = frozenset()
    acknowledged: bool = False

    def said(self, step: str) -> tuple[str, ...] | None:
        """What the step said in this cycle, or None."""
        return dict(self.done).get(step)

    @property
    def division(self) -> str:
        """Whose it is: the village's, or the campaign's when it holds lines of many villages."""
        return self.village or self.campaign.partition("-")[0]

    def having(self, status: str, *said: str) -> Voucher:
        """The voucher one step on."""
        return replace(self, status=status, done=(*self.done, (status, said)))


def evolve_voucher(state: Voucher, event: Event) -> Voucher:
    """Fold one event."""
    match event:
        case t.VoucherLines():
            return replace(state, lines=state.lines + event.lines)
        case t.TaxVoucherIssued():
            return replace(
                state,
                status="ISSUED",
                campaign=event.campaign,
                village=event.village,
                insurance=event.insurance,
                year=event.year,
                source=event.source,
                fen=event.fen,
            )
        case t.FundsDebited():
            return state.having("DEBITED", event.method, event.bank_ref)
        case t.FundsRemitted():
            return state.having("REMITTED", event.batch)
        case t.TreasuryEntryConfirmed():
            return state.having("IN_TREASURY", event.treasury_date.isoformat())
        case t.TreasuryEntryRejected():
            return state.having("REJECTED", event.treasury_date.isoformat(), event.reason)
        case t.TaxVoucherReissued():
            debited = state.said("DEBITED") or ()
            spent = state.spent | set(debited[1:])
            return replace(state, status="ISSUED", done=(), cycle=event.cycle, spent=spent)
        case t.CollectionInfoAcknowledged():
            return replace(state, acknowledged=True)
        case _:
            return state


@dataclass(frozen=True, slots=True)
class Issue:
    """Command: issue a voucher. origin: declaration number, channel day or government payment."""

    voucher_no: str
    campaign: str
    village: str
    insurance: Insurance
    year: int
    source: str
    origin: str
    lines: tuple[t.VoucherLine, ...]


def issue_voucher(state: Voucher, command: Issue) -> list[Event] | Refusal:
    """开票: once, and never an empty one."""
    if state.status:
        return []
    if not command.lines:
        return Refusal("INVALID_STATE", rule="EMPTY_VOUCHER")
    parts = in_parts(command.lines)
    return [
        *(
            t.VoucherLines(voucher_no=command.voucher_no, part=number, lines=part)
            for number, part in enumerate(parts, 1)
        ),
        t.TaxVoucherIssued(
            voucher_no=command.voucher_no,
            campaign=command.campaign,
            village=command.village,
            insurance=command.insurance,
            year=command.year,
            source=command.source,
            origin=command.origin,
            count=len(command.lines),
            fen=sum(line.fen for line in command.lines),
        ),
    ]


def _step(
    state: Voucher, step: str, after: str, said: tuple[str, ...], fen: int | None
) -> list[Event] | Refusal | None:
    """None when the step may be taken; nothing to do for a repeat; else the refusal (I-23)."""
    if not state.status:
        return Refusal("NOT_FOUND", rule="VOUCHER_UNKNOWN", field="voucher_no")
    if fen is not None and fen != state.fen:
        return Refusal("AMOUNT_MISMATCH", rule="I-23", clause="I-23", field="amount_fen")
    known = state.said(step)
    if known is not None:
        return [] if known == said else Refusal("VOUCHER_STATE", rule=f"{step}_ALREADY", clause="I-23")
    if state.status != after:
        return Refusal("VOUCHER_STATE", rule=f"IS_{state.status}", clause="I-23")
    return None


def debit(
    state: Voucher, voucher_no: str, method: str, bank_ref: str, fen: int, at: dt.datetime
) -> list[Event] | Refusal:
    """扣款."""
    known = _step(state, "DEBITED", "ISSUED", (method, bank_ref), fen)
    if known is not None:
        return known
    if bank_ref in state.spent:
        return Refusal("VOUCHER_STATE", rule="DEBIT_OF_EARLIER_CYCLE", clause="I-23", field="bank_ref")
    return [t.FundsDebited(voucher_no=voucher_no, method=method, bank_ref=bank_ref, fen=fen, at=at)]


def remit(
    state: Voucher, voucher_no: str, batch: str, at: dt.datetime, fen: int | None = None
) -> list[Event] | Refusal:
    """上解. fen: compared where the sender tells it."""
    known = _step(state, "REMITTED", "DEBITED", (batch,), fen)
    return known if known is not None else [t.FundsRemitted(voucher_no=voucher_no, batch=batch, at=at)]


def confirm_entry(state: Voucher, voucher_no: str, treasury_date: dt.date, fen: int) -> list[Event] | Refusal:
    """入库: with it the tax receipt and the return, so each voucher is returned exactly once (I-23, I-24)."""
    known = _step(state, "IN_TREASURY", "REMITTED", (treasury_date.isoformat(),), fen)
    if known is not None:
        return known
    return [
        t.TreasuryEntryConfirmed(
            voucher_no=voucher_no,
            campaign=state.campaign,
            village=state.village,
            insurance=state.insurance,
            year=state.year,
            source=state.source,
            treasury_date=treasury_date,
            count=len(state.lines),
            fen=fen,
            villages=village_sums(state.lines),
        ),
        t.TaxReceiptIssued(
            voucher_no=voucher_no,
            campaign=state.campaign,
            village=state.village,
            receipt_no=f"T-{voucher_no}",
        ),
        *_return(state, voucher_no, treasury_date),
    ]


def village_sums(lines: Sequence[t.VoucherLine]) -> tuple[t.VillageSum, ...]:
    """Count and fen per village, in the order of the villages."""
    sums: dict[str, tuple[int, int]] = {}
    for line in lines:
        count, fen = sums.get(line.village, (0, 0))
        sums[line.village] = (count + 1, fen + line.fen)
    return tuple(t.VillageSum(village, *total) for village, total in sorted(sums.items()))


NAMED_BYTES = 160
"""A returned line is published with its fields' names and its number."""


def _return(state: Voucher, voucher_no: str, treasury_date: dt.date) -> list[Event]:
    parts = in_parts(state.lines, NAMED_BYTES)
    found: list[Event] = []
    first = 1
    for number, part in enumerate(parts, 1):
        found.append(
            t.CollectionInfoReturned(
                voucher_no=voucher_no,
                return_no=f"R-{voucher_no}",
                campaign=state.campaign,
                insurance=state.insurance,
                year=state.year,
                treasury_date=treasury_date,
                part=number,
                parts=len(parts),
                total_count=len(state.lines),
                total_fen=state.fen,
                first_line_no=first,
                lines=part,
            )
        )
        first += len(part)
    return found


def reject_entry(
    state: Voucher, voucher_no: str, treasury_date: dt.date, fen: int, reason: str
) -> list[Event] | Refusal:
    """入库退回: no return (scenario 10)."""
    known = _step(state, "REJECTED", "REMITTED", (treasury_date.isoformat(), reason), fen)
    if known is not None:
        return known
    return [
        t.TreasuryEntryRejected(
            voucher_no=voucher_no,
            campaign=state.campaign,
            village=state.village,
            insurance=state.insurance,
            treasury_date=treasury_date,
            reason=reason,
        )
    ]


def reissue(state: Voucher, voucher_no: str) -> list[Event] | Refusal:
    """重新开票 after a rejected entry."""
    if state.status == "ISSUED" and state.cycle > 1:
        return []
    if state.status != "REJECTED":
        return Refusal("VOUCHER_STATE", rule=f"IS_{state.status or 'UNKNOWN'}", clause="I-23")
    return [t.TaxVoucherReissued(voucher_no=voucher_no, cycle=state.cycle + 1)]


def acknowledge(
    state: Voucher,
    voucher_no: str,
    return_no: str,
    booked: tuple[int, int],
    refused: tuple[tuple[int, str], ...],
) -> list[Event]:
    """回传确认: one per return document."""
    if state.acknowledged or state.status != "IN_TREASURY":
        return []
    return [
        t.CollectionInfoAcknowledged(
            voucher_no=voucher_no,
            return_no=return_no,
            booked_lines=booked[0],
            booked_fen=booked[1],
            refused=refused,
        )
    ]
