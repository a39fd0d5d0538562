"""A payment document's steps (缴费单据): summary, fiscal receipt, transfer, confirmation. Pure.

Strictly in this order; what a step said before is recognised as a repeat, anything else is refused.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from services.collection.fund_accounts import events as f
from services.collection.fund_accounts.domain import GOVERNMENT
from services.collection.parts import in_parts
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.insurance import Insurance

DRAWN, SUMMARISED, RECEIPTED, TRANSFERRED, CONFIRMED = (
    "DRAWN", "SUMMARISED", "RECEIPTED", "TRANSFERRED", "CONFIRMED"
)  # fmt: skip
LEFT_OUT_AT_MOST = 500

Leg = tuple[str, str]
"""Person and payer: what is entered of a document."""


@dataclass(frozen=True, slots=True)
class Document:
    """State of ``payment-document:{no}``. status: "" or one of the above.

    money_ref: bank reference of a government payment that arrived; done: what each step said.
    """

    status: str = ""
    campaign: str = ""
    village: str = ""
    insurance: Insurance = Insurance.MEDICAL
    year: int = 0
    source: str = ""
    origin: str = ""
    station: str = ""
    fen: int = 0
    entered_fen: int = 0
    left_out: frozenset[int] = frozenset()
    lines: tuple[f.DocumentLine, ...] = ()
    money_ref: str = ""
    done: tuple[tuple[str, tuple[str, ...]], ...] = ()
    acknowledged: bool = False

    @property
    def entered(self) -> tuple[f.DocumentLine, ...]:
        """Lines the summary stands for."""
        return tuple(line for line in self.lines if line.line_no not in self.left_out)

    def having(self, status: str, *said: str) -> Document:
        """The document one step on."""
        return replace(self, status=status, done=(*self.done, (status, said)))


def evolve(state: Document, event: Event) -> Document:
    """Fold one event."""
    match event:
        case f.PaymentDocumentLines():
            return replace(state, lines=state.lines + event.lines)
        case f.PaymentDocumentDrawn():
            return replace(
                state,
                status=DRAWN,
                campaign=event.campaign,
                village=event.village,
                insurance=event.insurance,
                year=event.year,
                source=event.source,
                origin=event.origin,
                station=event.station,
                fen=event.fen,
            )
        case f.FundAccountDeposited():
            return replace(state, money_ref=event.bank_ref)
        case f.CollectionSummaryFiled():
            left = frozenset(event.left_out)
            said = (str(event.count), str(event.fen))
            return replace(
                state.having(SUMMARISED, *said),
                left_out=left,
                entered_fen=event.fen,
                station=state.station or event.station,
            )
        case f.FiscalReceiptIssued():
            return state.having(RECEIPTED, event.receipt_no)
        case f.FiscalAccountTransferred():
            return state.having(TRANSFERRED, event.bank_ref, event.transferred_on.isoformat())
        case f.PaymentDocumentsConfirmed():
            return state.having(CONFIRMED)
        case f.BookingAcknowledged():
            return replace(state, acknowledged=True)
        case _:
            return state


def _step(state: Document, step: str, after: str, said: tuple[str, ...]) -> Decision | None:
    """None when the step may be taken; nothing to do for a repeat; else the refusal."""
    if not state.status:
        return Refusal("NOT_FOUND", rule="DOCUMENT_UNKNOWN", field="document_no")
    known = dict(state.done).get(step)
    if known is not None:
        return [] if known == said else Refusal("DOCUMENT_STATE", rule=f"{step}_ALREADY")
    if state.status != after:
        return Refusal(
            "DOCUMENT_STATE", rule=f"IS_{state.status}", clause="000:L161-182",
            message="单据环节顺序不符 / the document is not at this step",
        )  # fmt: skip
    return None


def receive_government_money(
    state: Document, document_no: str, account_ref: str, bank_ref: str, fen: int, date: dt.date
) -> Decision:
    """财政代缴资金到账: finance's money for a document of government legs lies in the fund income account."""
    if not state.status:
        return Refusal("NOT_FOUND", rule="DOCUMENT_UNKNOWN", field="document_no")
    if state.source != GOVERNMENT:
        return Refusal("DOCUMENT_STATE", rule="NOT_GOVERNMENT", field="document_no")
    if fen != state.fen:
        return Refusal("AMOUNT_MISMATCH", rule="I-27", clause="I-27", field="amount_fen")
    if state.money_ref:
        return [] if state.money_ref == bank_ref else Refusal("DOCUMENT_STATE", rule="DEPOSITED_ALREADY")
    return [
        f.FundAccountDeposited(
            deposit_no=f"FD-{document_no}",
            campaign=state.campaign,
            village=state.village,
            source=state.origin,
            kind=GOVERNMENT,
            account_ref=account_ref,
            insurance=state.insurance,
            year=state.year,
            date=date,
            count=len(state.lines),
            fen=fen,
            lines=tuple(
                f.FundLine("", line.person_id, line.village, line.payer, line.fen) for line in state.lines
            ),
            document_no=document_no,
            bank_ref=bank_ref,
        )
    ]


@dataclass(frozen=True, slots=True)
class FileSummary:
    """Command: file the summary form. count, fen: what the station says it entered."""

    document_no: str
    station: str
    actor: str
    count: int
    fen: int
    reason: str = ""


def file_summary(state: Document, command: FileSummary, entered: AbstractSet[Leg]) -> Decision:
    """个人缴费汇总表: entered = stated; a line that was not entered is named with a reason, and is not insured."""
    known = _step(state, SUMMARISED, DRAWN, (str(command.count), str(command.fen)))
    if known is not None:
        return known
    mine = [line for line in state.lines if (line.person_id, line.payer) in entered]
    if not mine:
        return Refusal("INVALID_STATE", rule="NOTHING_ENTERED", clause="000:L270-276", field="document_no")
    if (command.count, command.fen) != (len(mine), sum(line.fen for line in mine)):
        return Refusal(
            "TOTALS_MISMATCH", rule="ENTERED_DIFFERS", clause="I-20", field="fen",
            message="汇总表与系统录入不符 / the form differs from what was entered",
        )  # fmt: skip
    left = tuple(line.line_no for line in state.lines if (line.person_id, line.payer) not in entered)
    if left and (not command.reason or len(left) > LEFT_OUT_AT_MOST):
        return Refusal(
            "INVALID_STATE", rule="NOT_ALL_ENTERED", clause="000:L272-276", field="reason",
            message="尚有缴费未录入，须注明原因 / some lines are not entered: give the reason",
        )  # fmt: skip
    return [
        f.CollectionSummaryFiled(
            document_no=command.document_no,
            campaign=state.campaign,
            village=state.village,
            insurance=state.insurance,
            station=command.station,
            actor=command.actor,
            count=command.count,
            fen=command.fen,
            left_out=left,
            reason=command.reason if left else "",
        )
    ]


def issue_receipt(state: Document, document_no: str, receipt_no: str) -> Decision:
    """财政往来收据: after the entry and its summary."""
    known = _step(state, RECEIPTED, SUMMARISED, (receipt_no,))
    if known is not None:
        return known
    return [
        f.FiscalReceiptIssued(
            document_no=document_no,
            campaign=state.campaign,
            village=state.village,
            receipt_no=receipt_no,
            fen=state.entered_fen,
        )
    ]


def transfer(
    state: Document, document_no: str, account_ref: str, bank_ref: str, fen: int, date: dt.date
) -> Decision:
    """转入基金财政专户: exactly what was entered, and only money that is there."""
    known = _step(state, TRANSFERRED, RECEIPTED, (bank_ref, date.isoformat()))
    if known is not None:
        return known
    if state.source == GOVERNMENT and not state.money_ref:
        return Refusal("INVALID_STATE", rule="NOT_ARRIVED", clause="I-15", field="document_no")
    if not account_ref:
        return Refusal("INVALID_STATE", rule="FISCAL_ACCOUNT_UNKNOWN", clause="000:L174-176")
    if fen != state.entered_fen:
        return Refusal("AMOUNT_MISMATCH", rule="I-24", clause="I-24", field="amount_fen")
    return [
        f.FiscalAccountTransferred(
            document_no=document_no,
            campaign=state.campaign,
            village=state.village,
            insurance=state.insurance,
            account_ref=account_ref,
            bank_ref=bank_ref,
            fen=fen,
            transferred_on=date,
        )
    ]


def confirm(state: Document, document_no: str, agency: str, actor: str, today: dt.date) -> Decision:
    """确认缴费单据: by another organisation than the one that drew or filed it (maker ≠ checker)."""
    known = _step(state, CONFIRMED, TRANSFERRED, ())
    if known is not None:
        return known
    if agency == state.station:
        return Refusal(
            "SAME_ORGANISATION", rule="CONFIRMED_BY_ANOTHER", clause="000:L176-182", field="actor",
            message="须由区经办机构确认 / the district agency confirms, not the station",
        )  # fmt: skip
    parts = in_parts(state.entered)
    found: list[Event] = [
        f.PaymentDocumentLinesConfirmed(
            document_no=document_no,
            return_no=f"R-{document_no}",
            campaign=state.campaign,
            insurance=state.insurance,
            year=state.year,
            confirmed_on=today,
            part=number,
            parts=len(parts),
            total_count=len(state.entered),
            total_fen=state.entered_fen,
            lines=part,
        )
        for number, part in enumerate(parts, 1)
    ]
    found.append(
        f.PaymentDocumentsConfirmed(
            document_no=document_no,
            campaign=state.campaign,
            village=state.village,
            insurance=state.insurance,
            year=state.year,
            source=state.source,
            agency=agency,
            actor=actor,
            confirmed_on=today,
            count=len(state.entered),
            fen=state.entered_fen,
        )
    )
    return found


def acknowledge(
    state: Document,
    document_no: str,
    return_no: str,
    booked: tuple[int, int],
    refused: tuple[tuple[int, str], ...],
) -> list[Event]:
    """记账确认: one per document; another flow's return is none of ours."""
    if state.status != CONFIRMED or state.acknowledged:
        return []
    return [
        f.BookingAcknowledged(
            document_no=document_no,
            return_no=return_no,
            booked_lines=booked[0],
            booked_fen=booked[1],
            refused=refused,
        )
    ]
