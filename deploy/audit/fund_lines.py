"""Lines of a campaign that pays into fund accounts (基金账户) instead of the treasury, on their own way.

Which way a campaign goes is told by its pack. Payment documents take the place of vouchers, the fiscal account
of the treasury, the district's confirmation of the return.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.audit.evidence import Row
from deploy.audit.hearing import Listener, hears
from deploy.audit.lines import (
    EFFECTIVE,
    GOVERNMENT,
    NOBODYS,
    NOT_YET,
    RECEIVED_TYPES,
    UNIDENTIFIED,
    Lines,
    Stage,
)


@dataclass(slots=True)
class _Document:
    """A payment document: its lines by their number there, and by whose leg they are; how far it got."""

    village: str = ""
    lines: array[int] = field(default_factory=lambda: array("i"))
    legs: dict[str, int] = field(default_factory=dict)
    left_out: frozenset[int] = frozenset()
    stages: int = 0


class FundLines(Listener):
    """Brings to the lines what happens to them outside the treasury's way."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._documents: dict[str, _Document] = {}

    @hears("collection", *RECEIVED_TYPES, UNIDENTIFIED)
    def _receive(self, row: Row) -> None:
        """``Lines`` heard it first."""
        pack = self._lines.campaigns.packs.get(row.data.get("campaign", ""))
        if pack is not None and pack.pays_into_fund_accounts:
            self._lines.mark((row.data["line_id"],), Stage.FUND)

    def _document(self, row: Row) -> _Document:
        return self._documents.setdefault(row.data["document_no"], _Document())

    @hears("collection", "PaymentDocumentLines")
    def _draw(self, row: Row) -> None:
        document = self._document(row)
        for line in row.data["lines"]:
            line_no, line_id, person, _, payer = line[:5]
            number = self._lines.number(line_id) if line_id else self._leg(row, line)
            document.lines.extend([-1] * (line_no - len(document.lines)))
            if number is not None:
                document.lines[line_no - 1] = number
                document.legs[f"{person} {payer}"] = number
                self._lines.stages[number] |= Stage.RECONCILED

    def _leg(self, row: Row, line: Sequence[Any]) -> int:
        leg = f"{row.data['document_no']}#{line[0]}"
        number = self._lines.add(leg, line[5], NOT_YET, EFFECTIVE, NOBODYS)
        self._lines.stages[number] |= Stage.FUND
        return number

    @hears("collection", "PaymentDocumentDrawn")
    def _drawn(self, row: Row) -> None:
        self._document(row).village = row.data["village"]

    @hears("collection", "FundAccountDeposited")
    def _arrive(self, row: Row) -> None:
        """A government document's money is in the books from its day on."""
        data = row.data
        if not data["document_no"]:
            self._lines.mark((line[0] for line in data["lines"]), Stage.FUND_ACCOUNT)
            return
        document = self._document(row)
        cell = self._lines.cells.number(document.village, data["insurance"], data["date"], GOVERNMENT)
        for line in data["lines"]:
            number = document.legs.get(f"{line[1]} {line[3]}")
            if number is not None and self._lines.fen[number] == line[4]:
                self._lines.stages[number] |= Stage.FUND_ACCOUNT
                self._lines.cell[number] = cell

    @hears("registration", "EnrolmentEntered")
    def _enter(self, row: Row) -> None:
        document = self._documents.get(row.data["document_no"])
        leg = f"{row.data['person_id']} {row.data['payer']}"
        number = document.legs.get(leg) if document is not None else None
        if number is not None and self._lines.fen[number] == row.data["fen"]:
            self._lines.stages[number] |= Stage.ENTERED

    @hears("collection", "CollectionSummaryFiled")
    def _file(self, row: Row) -> None:
        self._document(row).left_out = frozenset(row.data["left_out"])

    @hears("collection", "FiscalAccountTransferred")
    def _pool(self, row: Row) -> None:
        self._document(row).stages |= Stage.FISCAL_ACCOUNT

    @hears("collection", "PaymentDocumentsConfirmed")
    def _confirm(self, row: Row) -> None:
        self._document(row).stages |= Stage.CONFIRMED

    @hears("collection", "PaymentDocumentLinesConfirmed")
    def _tell(self, row: Row) -> None:
        """Registration books by these lines."""
        known = self._document(row).lines
        for line in row.data["lines"]:
            line_no, line_id = line[:2]
            number = self._lines.number(line_id) if line_id else None
            if not line_id and line_no <= len(known) and known[line_no - 1] >= 0:
                number = known[line_no - 1]
            if number is not None:
                self._lines.stages[number] |= Stage.RETURNED
                self._lines.return_line(row.data["return_no"], line_no, number)

    def close(self) -> None:
        """What was pooled and confirmed is what the summary did not leave out."""
        for document in self._documents.values():
            for line_no, number in enumerate(document.lines, 1):
                if number >= 0 and line_no not in document.left_out:
                    self._lines.stages[number] |= document.stages
