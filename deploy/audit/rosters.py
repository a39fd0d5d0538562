"""Invariants of households, rosters, notices and receipts: I-07 to I-09, I-18 to I-22."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import Any

from deploy.audit.evidence import Evidence, Row, day_of
from deploy.audit.money import CASH, RECEIVED_TYPES
from deploy.audit.tally import Invariant, Tally

PARTIES = ("collected", "entered", "money")
"""收、录、钱."""


def check_i07(evidence: Evidence) -> Invariant:
    """A virtual household holds no money: its stream has registrations and scopes only."""
    tally = Tally("I-07", evidence)
    for row in evidence.logs["collection"]:
        if row.stream.startswith("virtual-household:"):
            plain = row.type in ("VirtualHouseholdRegistered", "CollectionScopeAssigned")
            tally.see(plain and "fen" not in row.data, row)
    return tally.result()


def check_i08(evidence: Evidence) -> Invariant:
    """Totals of a roster version = sum of its lines; nobody twice; nobody known dead."""
    tally = Tally("I-08", evidence)
    died = _deaths(evidence)
    lines: dict[tuple[str, int, int], list[tuple[Row, Any]]] = defaultdict(list)
    for row in evidence.collection("RosterLines"):
        for line in row.data["lines"]:
            lines[row.data["roster_id"], row.data["version"], row.data["supplement"]].append((row, line))
    for row in evidence.collection("CollectionRosterFormed", "RosterAmended", "SupplementaryRosterFormed"):
        data = row.data
        found = lines[data["roster_id"], data["version"], data.get("supplement", 0)]
        keys = {(line[0], line[1]) for _, line in found}
        alive = all(died.get(line[0]) is None or died[line[0]] >= line_row.day for line_row, line in found)
        sums = (len(found), sum(line[2] for _, line in found), sum(line[3] for _, line in found))
        expected = (data["count"], data["standard_fen"], data["personal_fen"])
        tally.see(sums == expected and len(keys) == len(found) and alive, row)
    return tally.result()


def _deaths(evidence: Evidence) -> dict[str, Any]:
    """Day collection learned of a death that still counts."""
    learned: dict[str, Any] = {}
    for row in evidence.logs["collection"]:
        if row.type == "liangxian.registration.death_reported.v1":
            learned.setdefault(row.data["person_id"], row.day)
        elif row.type == "liangxian.registration.death_report_corrected.v1" and row.data["date"] is None:
            learned.pop(row.data["person_id"], None)
    return learned


def check_i09(evidence: Evidence) -> Invariant:
    """Notices run their days and close with every objection resolved; agents collect only afterwards."""
    tally = Tally("I-09", evidence)
    started: dict[str, Row] = {}
    open_objections: dict[str, set[str]] = defaultdict(set)
    for row in evidence.logs["notification"]:
        data = row.data
        match row.type:
            case "RosterNoticeStarted" | "PaymentNoticeStarted":
                started[data["notice_id"]] = row
            case "RosterObjectionRaised" | "PaymentObjectionRaised":
                open_objections[data["notice_id"]].add(data["objection_id"])
            case "ObjectionResolutionReceived":
                open_objections[data["notice_id"]].discard(data["objection_id"])
            case "RosterNoticeClosed" | "PaymentNoticeClosed":
                start = started.get(data["notice_id"])
                ran = start is not None and _ran(evidence, start, day_of(data["closed_on"]))
                tally.see(ran and not open_objections[data["notice_id"]], row)
    closed = {
        (row.data["campaign"], row.data["village"]): day_of(row.data["closed_on"])
        for row in reversed(list(evidence.notification("RosterNoticeClosed")))
    }
    packs = evidence.campaign_packs()
    lacking = [pack for pack in packs.values() if pack.notice_days("ROSTER") is None]
    for row in evidence.collection("PaymentReceived"):
        noticed = packs.get(row.data["campaign"]) not in lacking
        if row.data["channel"] == CASH and noticed:
            after = closed.get((row.data["campaign"], row.data["village"]))
            tally.see(after is not None and day_of(row.data["paid_at"]) >= after, row)
    return tally.result("D-37" if lacking and len(lacking) == len(packs) else "")


def _ran(evidence: Evidence, start: Row, closed_on: dt.date) -> bool:
    """True when a notice ran the days it announced, and these are at least the pack's."""
    data = start.data
    first, last = day_of(data["from_date"]), day_of(data["to_date"])
    pack = evidence.campaign_packs().get(data["campaign"])
    wanted = pack.notice_days(data.get("kind", "ROSTER")) if pack is not None else None
    return (last - first).days + 1 == data["days"] >= (wanted or 1) and closed_on > last


def check_i18(evidence: Evidence) -> Invariant:
    """Agents have a designated account; a deposit elsewhere is flagged."""
    tally = Tally("I-18", evidence)
    flagged = {row.data["slip_no"] for row in evidence.collection("PersonalAccountDepositFlagged")}
    for row in evidence.collection("AgentAuthorized"):
        tally.see(bool(row.data["designated_account"]), row)
    for row in evidence.collection("DailySettlementDeposited"):
        tally.see(row.data["designated"] or row.data["slip_no"] in flagged, row)
    return tally.result()


def check_i19(evidence: Evidence) -> Invariant:
    """Each cash order has exactly one receipt of its total; a serial is used once."""
    tally = Tally("I-19", evidence)
    lines = {
        row.data["line_id"]: (row.data["payment_id"], row.data["fen"])
        for row in evidence.collection(*RECEIVED_TYPES, "UnidentifiedMoneyRecorded")
        if row.data["channel"] == CASH
    }
    cash: dict[str, int] = defaultdict(int)
    for payment, fen in lines.values():
        cash[payment] += fen
    serials: set[tuple[str, str]] = set()
    receipts: dict[str, list[int]] = defaultdict(list)
    for row in evidence.collection("ReceiptIssued"):
        serial = (row.data["book_no"], row.data["serial_no"])
        tally.see(serial not in serials, row)
        serials.add(serial)
        receipts[row.data["payment_id"]].append(row.data["fen"])
    reused = {row.data["payment_id"] for row in evidence.collection("ReceiptReuseDetected")}
    for payment, fen in cash.items():
        tally.see(receipts[payment] == [fen] or payment in reused, payment)
    return tally.result()


def check_i20(evidence: Evidence) -> Invariant:
    """Confirmed days: lines = confirmation; cash = receipts = designated deposits. Three-way matches are equal."""
    tally = Tally("I-20", evidence)
    amounts = {
        row.data["line_id"]: row.data["fen"]
        for row in evidence.collection(*RECEIVED_TYPES, "UnidentifiedMoneyRecorded")
    }
    lines: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for row in evidence.collection("SettlementLinesConfirmed"):
        lines[_batch(row)] += row.data["lines"]
    for row in evidence.collection("DailySettlementConfirmed"):
        found = lines[_batch(row)]
        fen = sum(amounts.get(line_id, 0) for line_id in found)
        tally.see((len(found), fen) == (row.data["count"], row.data["fen"]), row)
    _compare_cash(evidence, tally)
    for row in evidence.collection("ThreeWayMatchVerified"):
        counts = {row.data[f"{party}_count"] for party in PARTIES}
        sums = {row.data[f"{party}_fen"] for party in PARTIES}
        tally.see(len(counts) == len(sums) == 1, row)
    return tally.result()


def _batch(row: Row) -> tuple[str, ...]:
    names = ("campaign", "village", "source", "date", "insurance", "batch")
    return tuple(str(row.data[name]) for name in names)


def _compare_cash(evidence: Evidence, tally: Tally) -> None:
    """Per agent, day and insurance: designated deposits, corrected, = what was confirmed."""
    deposited: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for row in evidence.collection("DailySettlementDeposited"):
        if row.data["designated"]:
            deposited[_source(row)] += row.data["fen"]
    for row in evidence.collection("SettlementCorrected"):
        sign = -1 if row.data["resolution"] == "RETURNED_EXCESS" else 1
        deposited[_source(row)] += sign * row.data["fen"]
    confirmed: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for row in evidence.collection("DailySettlementConfirmed"):
        if row.data["kind"] == "AGENT":
            confirmed[_source(row)] += row.data["fen"]
    for key, fen in confirmed.items():
        tally.see(deposited[key] == fen, " ".join(key))


def _source(row: Row) -> tuple[str, str, str, str]:
    data = row.data
    return data["village"], data["source"], data["date"], data["insurance"]


def check_i21(evidence: Evidence) -> Invariant:
    """Declared lines are settled, on the final roster or a supplement, each declared once; totals agree."""
    tally = Tally("I-21", evidence)
    settled: dict[str, int] = {}
    for row in evidence.collection("SettlementLinesConfirmed"):
        for line_id in row.data["lines"]:
            settled.setdefault(line_id, row.position)
    listed = {(line[0], line[1]) for row in evidence.collection("RosterLines") for line in row.data["lines"]}
    returned = {row.data["declaration_no"] for row in evidence.collection("DeclarationReturned")}
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    declared: set[str] = set()
    for row in evidence.collection("DeclarationLines"):
        number = row.data["declaration_no"]
        for line in row.data["lines"]:
            sums[number][0] += 1
            sums[number][1] += line[4]
            holds = settled.get(line[0], row.position) < row.position
            holds = holds and (line[1], row.data["insurance"]) in listed
            if number not in returned:
                holds = holds and line[0] not in declared
                declared.add(line[0])
            tally.see(holds, row)
    differing: set[tuple[str, str, str, str]] = set()
    for row in evidence.collection(
        "DailySettlementDiscrepancyDetected",
        "DailySettlementDiscrepancyResolved",
        "VirtualHouseholdDeclarationSubmitted",
    ):
        match row.type:
            case "DailySettlementDiscrepancyDetected":
                differing.add(_source(row))
            case "DailySettlementDiscrepancyResolved":
                differing.discard(_source(row))
            case _:
                totals = sums[row.data["declaration_no"]] == [row.data["count"], row.data["fen"]]
                tally.see(totals and row.data["village"] not in {each[0] for each in differing}, row)
    return tally.result()


def check_i22(evidence: Evidence) -> Invariant:
    """Late deposits were flagged overdue; deposits that differ were flagged, and supervised."""
    tally = Tally("I-22", evidence)
    overdue = {_source(row) for row in evidence.collection("SettlementOverdue")}
    for row in evidence.collection("DailySettlementDeposited"):
        late = day_of(row.data["deposited_on"]) > day_of(row.data["date"])
        tally.see(not late or _source(row) in overdue, row)
    flags = list(evidence.notification("FundRetentionFlagged", "AdvanceFundingFlagged", "ShortfallFlagged"))
    seen = {
        (row.data["village"], row.data["subject"], row.data["date"], row.data["insurance"]) for row in flags
    }
    for row in evidence.collection("SettlementOverdue"):
        tally.see(_source(row) in seen, row)
    for row in evidence.collection("DailySettlementDiscrepancyDetected"):
        if row.data["diff_fen"] and row.data["kind"] == "AGENT":
            tally.see(_source(row) in seen, row)
    return tally.result()
