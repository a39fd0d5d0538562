"""Deciding a reconciliation from what the read models hold at that moment (I-20, I-29). Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.collection.reconciliation import events as r
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance

TAX, REGISTRATION, TREASURY, FINANCE = "tax", "registration", "treasury", "finance"
PATIENCE_DAYS = 3
"""How long a return may stay unanswered before it is a difference."""

Total = tuple[int, int]
"""Count and fen."""


@dataclass(frozen=True, slots=True)
class VoucherBook:
    """A voucher that entered the treasury on the day, and what became of its return; count and fen."""

    voucher_no: str
    insurance: Insurance
    entered: Total
    returned: Total
    booked: Total
    acknowledged: bool


@dataclass(frozen=True, slots=True)
class VillageBook:
    """A village's effective payments, those booked, those in treasury."""

    village: str
    insurance: Insurance
    collected: Total
    entered: Total
    money: Total

    @property
    def matched(self) -> bool:
        """True when all three agree and there is something to agree on."""
        return self.collected == self.entered == self.money and self.collected != (0, 0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a day's reconciliation looks at. suspense: unidentified fen of the day by line and insurance."""

    vouchers: Sequence[VoucherBook] = ()
    villages: Sequence[VillageBook] = ()
    suspense: Sequence[tuple[str, Insurance, int]] = ()


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """State of a day: the last totals per insurance, details, open differences."""

    totals: Mapping[Insurance, r.TotalsReconciled] = field(default_factory=dict)
    details: r.DetailsReconciled | None = None
    open: Mapping[str, r.ReconciliationDifferenceFound] = field(default_factory=dict)
    statements: Mapping[str, r.PartyStatementReceived] = field(default_factory=dict)


def evolve(state: Reconciliation, event: Event) -> Reconciliation:
    """Fold one event."""
    match event:
        case r.TotalsReconciled():
            return replace(state, totals={**state.totals, event.insurance: event})
        case r.DetailsReconciled():
            return replace(state, details=event)
        case r.ReconciliationDifferenceFound():
            return replace(state, open={**state.open, event.difference_id: event})
        case r.ReconciliationDifferenceResolved():
            left = {key: found for key, found in state.open.items() if key != event.difference_id}
            return replace(state, open=left)
        case r.PartyStatementReceived():
            return replace(state, statements={**state.statements, event.party: event})
        case _:
            return state


def reconcile_day(
    state: Reconciliation, campaign: str, date: dt.date, today: dt.date, seen: Snapshot
) -> list[Event]:
    """总额、明细、差异、三方一致 of a day; says only what it did not say before."""
    found: list[Event] = []
    for insurance in Insurance:
        totals = _totals(campaign, date, insurance, seen)
        if totals is not None and state.totals.get(insurance) != totals:
            found.append(totals)
    details = _details(campaign, date, seen)
    if seen.vouchers and state.details != details:
        found.append(details)
    differences = {each.difference_id: each for each in _differences(campaign, date, today, seen)}
    found += _moves(state, differences)
    found += [
        r.ThreeWayMatchVerified(
            campaign=campaign,
            village=book.village,
            insurance=book.insurance,
            collected_count=book.collected[0],
            collected_fen=book.collected[1],
            entered_count=book.entered[0],
            entered_fen=book.entered[1],
            money_count=book.money[0],
            money_fen=book.money[1],
        )
        for book in seen.villages
        if book.matched
    ]
    return found


def _sum(totals: Sequence[Total]) -> Total:
    return sum(count for count, _ in totals), sum(fen for _, fen in totals)


def _totals(campaign: str, date: dt.date, insurance: Insurance, seen: Snapshot) -> r.TotalsReconciled | None:
    mine = [book for book in seen.vouchers if book.insurance is insurance]
    if not mine:
        return None
    parties = {
        TAX: _sum([book.returned for book in mine]),
        TREASURY: _sum([book.entered for book in mine]),
        REGISTRATION: _sum([book.booked for book in mine]),
    }
    transit = sum(book.returned[1] - book.booked[1] for book in mine if not book.acknowledged)
    settled = parties[REGISTRATION][1] + transit
    return r.TotalsReconciled(
        campaign=campaign,
        date=date,
        insurance=insurance,
        parties=parties,
        in_transit_fen=transit,
        equal=parties[TAX] == parties[TREASURY] and parties[TAX][1] == settled,
    )


def _details(campaign: str, date: dt.date, seen: Snapshot) -> r.DetailsReconciled:
    matched = [b for b in seen.vouchers if b.entered == b.returned == b.booked]
    transit = [b for b in seen.vouchers if b not in matched and not b.acknowledged]
    differing = [b for b in seen.vouchers if b not in matched and b.acknowledged]
    return r.DetailsReconciled(
        campaign=campaign,
        date=date,
        matched=len(matched),
        in_transit=len(transit),
        differing=len(differing),
        amount_diff_fen=sum(b.booked[1] - b.returned[1] for b in differing),
    )


def _differences(
    campaign: str, date: dt.date, today: dt.date, seen: Snapshot
) -> list[r.ReconciliationDifferenceFound]:
    found: list[tuple[str, Insurance, str, int, str]] = []
    for book in seen.vouchers:
        if book.entered != book.returned:
            fen = book.returned[1] - book.entered[1]
            found.append((f"return:{book.voucher_no}", book.insurance, "AMOUNT", fen, TAX))
        if book.acknowledged and book.booked != book.returned:
            fen = book.booked[1] - book.returned[1]
            found.append((f"booked:{book.voucher_no}", book.insurance, "AMOUNT", fen, REGISTRATION))
        if not book.acknowledged and (today - date).days > PATIENCE_DAYS:
            fen = book.returned[1] - book.booked[1]
            found.append(
                (f"unanswered:{book.voucher_no}", book.insurance, "MISSING_RETURN", fen, REGISTRATION)
            )
    found += [
        (f"suspense:{line_id}", insurance, "UNIDENTIFIED", fen, TAX)
        for line_id, insurance, fen in seen.suspense
    ]
    return [
        r.ReconciliationDifferenceFound(
            campaign=campaign,
            difference_id=difference_id,
            date=date,
            insurance=insurance,
            kind=kind,
            fen=fen,
            owner=owner,
        )
        for difference_id, insurance, kind, fen, owner in found
    ]


def _moves(state: Reconciliation, differences: Mapping[str, r.ReconciliationDifferenceFound]) -> list[Event]:
    resolved: list[Event] = [
        r.ReconciliationDifferenceResolved(
            campaign=known.campaign,
            difference_id=difference_id,
            date=known.date,
            insurance=known.insurance,
        )
        for difference_id, known in state.open.items()
        if difference_id not in differences
    ]
    return resolved + [each for key, each in differences.items() if state.open.get(key) != each]


def receive_statement(
    state: Reconciliation,
    statement: r.PartyStatementReceived,
    month_end: dt.date,
    ours: Mapping[Insurance, Mapping[str, Total]],
) -> list[Event]:
    """月末四方对账 (I-29): the statement beside tax, treasury and registration, equal to the fen or a difference."""
    found: list[Event] = []
    if state.statements.get(statement.party) != statement:
        found.append(statement)
    told = {row.insurance: (row.count, row.fen) for row in statement.rows}
    statements = {**state.statements, statement.party: statement}
    differences = {
        key: known for key, known in state.open.items() if not key.startswith(f"{statement.party}:")
    }
    for insurance in Insurance:
        parties = dict(ours.get(insurance, {}))
        for party, known in statements.items():
            total = next(((row.count, row.fen) for row in known.rows if row.insurance is insurance), (0, 0))
            parties[f"{party.lower()}-statement"] = total
        totals = r.TotalsReconciled(
            campaign=statement.campaign,
            date=month_end,
            insurance=insurance,
            parties=parties,
            in_transit_fen=0,
            equal=len(set(parties.values())) <= 1,
        )
        if state.totals.get(insurance) != totals:
            found.append(totals)
        mine = ours.get(insurance, {}).get(TREASURY, (0, 0))
        theirs = told.get(insurance, (0, 0))
        if mine != theirs:
            key = f"{statement.party}:{insurance.value}"
            differences[key] = r.ReconciliationDifferenceFound(
                campaign=statement.campaign,
                difference_id=key,
                date=month_end,
                insurance=insurance,
                kind="AMOUNT",
                fen=theirs[1] - mine[1],
                owner=statement.party.lower(),
            )
    return found + _moves(state, differences)
