"""Figures of the report (数字): villages, 管区 or towns, totals, days, channels, open matters. Pure.

A village's people are counted once where the service counts people (row ``ALL``), else as the medical insurance
counts them. Totals are sums of the villages, money that belongs to no village included in a row of its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from deploy.rehearsal.population import WHOLE_TABLE, VillageSize
from deploy.rehearsal.summaries import Row
from shared.policy import Pack

TOTALS = (
    "due_fen",
    "paid_fen",
    "subsidised_fen",
    "deposited_fen",
    "declared_fen",
    "in_treasury_fen",
    "returned_fen",
    "booked_fen",
    "refunded_fen",
    "refund_due_fen",
    "unidentified_fen",
)
COUNTS = ("persons", "paid_persons", "exempt_persons")
EVERYTHING = "ALL"
HEADLINES = (EVERYTHING, "medical", "pension")


def village_rows(
    places: Iterable[VillageSize], answered: Iterable[Row], targets: Iterable[Row], scope: str
) -> list[dict[str, Any]]:
    """A row per village of the plan, in its order, then one per division the plan does not know."""
    by_village: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in answered:
        by_village[_division(row)][str(row["insurance"])] = row
    wanted = {(str(row["division"]), str(row["insurance"])): int(row["persons"]) for row in targets}
    rows = []
    for place in places:
        found = by_village.pop(place.division, {})
        row = _village(place.division, place.name, place.area, found, wanted, scope)
        rows.append(row | {"town": place.town})
    for division, found in sorted(by_village.items()):
        row = _village(division, division or "未分村 no village", "", found, wanted, scope)
        rows.append(row | {"town": division[:9]})
    return rows


def _division(row: Row) -> str:
    return str(row.get("village", row.get("division", "")) or "")


def _village(
    division: str,
    name: str,
    area: str,
    found: Mapping[str, Row],
    wanted: Mapping[tuple[str, str], int],
    scope: str,
) -> dict[str, Any]:
    headline = next((found[each] for each in HEADLINES if each in found), {})
    insurances = {each: row for each, row in found.items() if each != EVERYTHING}
    row: dict[str, Any] = {"division": division, "name": name, "area": area}
    row |= {each: int(headline.get(each, 0)) for each in COUNTS}
    row |= {each: sum(int(one.get(each, 0)) for one in insurances.values()) for each in TOTALS}
    row["target_persons"] = wanted.get((division, "medical"), 0)
    row["insurances"] = {
        insurance: {each: int(one.get(each, 0)) for each in (*COUNTS, *TOTALS)}
        | {"target_persons": wanted.get((division, insurance), 0)}
        for insurance, one in sorted(insurances.items())
    }
    return row | rates(row, scope)


def rates(row: Mapping[str, Any], scope: str) -> dict[str, float]:
    """rate: of those who count; target_rate: of the target, where there is one."""
    everybody = scope == WHOLE_TABLE
    reached = int(row["paid_persons"]) + (int(row["exempt_persons"]) if everybody else 0)
    of = int(row["persons"]) - (0 if everybody else int(row["exempt_persons"]))
    target = int(row["target_persons"])
    return {
        "rate": round(reached / of, 6) if of else 0.0,
        "target_rate": round(reached / target, 6) if target else 0.0,
    }


def summed(rows: Sequence[Row]) -> dict[str, int]:
    """Σ of people and money."""
    return {each: sum(int(row[each]) for row in rows) for each in (*COUNTS, "target_persons", *TOTALS)}


def area_rows(rows: Sequence[Row], targets: Iterable[Row], scope: str) -> list[dict[str, Any]]:
    """A row per 管区 (or town), in the order of their first villages.

    A town whose target is set as a whole has that one where the area is the whole town.
    """
    wanted = {str(row["division"]): int(row["persons"]) for row in targets if row["insurance"] == "medical"}
    by_area: dict[str, list[Row]] = defaultdict(list)
    areas: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        by_area[str(row["area"])].append(row)
        areas[str(row["town"])].add(str(row["area"]))
    found = []
    for area, members in by_area.items():
        sums = summed(members)
        towns = {str(row["town"]) for row in members}
        if not sums["target_persons"] and all(len(areas[town]) == 1 for town in towns):
            sums["target_persons"] = sum(wanted.get(town, 0) for town in towns)
        found.append({"area": area or "其他 other", "villages": len(members), **sums, **rates(sums, scope)})
    return found


def insurance_rows(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """Σ per insurance."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        for insurance, one in row["insurances"].items():
            found[insurance].update(one)
    return {insurance: dict(sums) for insurance, sums in sorted(found.items())}


def by_key(days: Iterable[Row], key: Callable[[Row], str]) -> list[dict[str, Any]]:
    """Count and fen per key, keys in order."""
    counts, fen = Counter[str](), Counter[str]()
    for row in days:
        counts[key(row)] += int(row["count"])
        fen[key(row)] += int(row["fen"])
    return [{"key": each, "count": counts[each], "fen": fen[each]} for each in sorted(counts)]


def daily_rows(days: Iterable[Row]) -> list[dict[str, Any]]:
    """Money of payers per day."""
    return [
        {"date": row["key"], "count": row["count"], "fen": row["fen"]}
        for row in by_key(days, lambda row: str(row["date"]))
    ]


def channel_terms(pack: Pack) -> dict[str, str]:
    """Chinese terms of the pack's channels by code; cash is the agents'."""
    return {channel.code: channel.term for channel in pack.document.channels}


def channel_rows(days: Iterable[Row], pack: Pack) -> list[dict[str, Any]]:
    """Money of payers per channel, the largest first; share of the amount."""
    terms = channel_terms(pack)
    rows = by_key(days, lambda row: str(row["channel"]))
    total = sum(row["fen"] for row in rows)
    found = [
        {
            "channel": row["key"],
            "term": terms.get(row["key"], row["key"]),
            "count": row["count"],
            "fen": row["fen"],
            "share": round(row["fen"] / total, 6) if total else 0.0,
        }
        for row in rows
    ]
    return sorted(found, key=lambda row: (-row["fen"], row["channel"]))


# -- what is open, and whose matter it is ---------------------------------------------------------------------

CASES: Mapping[str, str] = {
    "FUND_RETENTION": "滞留资金 money held",
    "ADVANCE_FUNDING": "垫资 advance funding",
    "SHORTFALL": "短款 shortfall",
    "REFUND_PAID_IN_VAIN": "无据退付 refund paid in vain",
}
AGENTS = "代办员所在村居、税务分局 the agent's village, the tax branch"
REFUND_OWNERS: Mapping[str, str] = {
    "REQUESTED": "税务 tax",
    "ACCEPTED": "人社、医保 registration",
    "VERIFICATION_REQUESTED": "人社、医保 registration",
    "VERIFIED": "财政 finance",
    "APPROVED": "税务、国库 tax, treasury",
    "RECOVERY_DUE": "税务 tax: to be recovered",
}
PARTIES: Mapping[str, str] = {
    "registration": "人社、医保 registration",
    "tax": "税务 tax",
    "treasury": "国库 treasury",
    "finance": "财政 finance",
    "channel": "缴费渠道 the channel",
}
CLOSED_REFUNDS = frozenset({"SETTLED", "PAID", "REFUSED", "REJECTED", "CANCELLED", "RECOVERED"})


def open_matters(
    money: Row,
    differences: Iterable[Row],
    settlements: Iterable[Row],
    refunds: Iterable[Row],
    cases: Iterable[Row],
    terms: Mapping[str, str],
) -> list[dict[str, Any]]:
    """What is not settled: what it is, where, how much, and whose turn it is. Empty when all is done.

    terms: Chinese terms of the pack's channels by code.
    """
    found = [
        _matter(
            "账实差异 difference of books",
            _where(row),
            int(row["difference_fen"]) or int(row["unaccounted_fen"]),
            taker(str(row.get("book") or row.get("channel") or ""), terms),
        )
        for row in money["rows"]
    ]
    found += [
        _matter(
            f"对账差异 {row['kind']}",
            _where(row),
            int(row["fen"]),
            PARTIES.get(str(row["owner"]), str(row["owner"])),
        )
        for row in differences
    ]
    found += [
        _matter(
            "日结未平 open settlement",
            _where(row),
            int(row.get("open_diff_fen", row.get("diff_fen", 0)) or 0),
            taker(str(row.get("source") or row.get("agent_id") or ""), terms),
        )
        for row in settlements
    ]
    found += [
        _matter(
            "待退费 refund due",
            str(row["refund_no"]),
            int(row["fen"]),
            REFUND_OWNERS.get(row["state"], str(row["state"])),
        )
        for row in refunds
        if row["state"] not in CLOSED_REFUNDS
    ]
    return found + [
        _matter(
            CASES.get(row["rule"], str(row["rule"])),
            str(row["case_id"]),
            int(row.get("fen", 0) or 0),
            taker(str(row.get("subject", "")), terms),
        )
        for row in cases
        if row["state"] == "OPEN"
    ]


def taker(source: str, terms: Mapping[str, str]) -> str:
    """Who took the money: a channel of the pack answers for itself, an agent with his village."""
    return f"缴费渠道 the channel: {terms[source]}" if source in terms else AGENTS


def _matter(what: str, where: str, fen: int, owner: str) -> dict[str, Any]:
    return {"matter": what, "where": where, "fen": fen, "owner": owner}


def _where(row: Row) -> str:
    names = ("village", "agent_id", "book", "channel", "insurance", "date")
    return " ".join(dict.fromkeys(str(row[name]) for name in names if row.get(name)))


def case_counts(cases: Iterable[Row], terms: Mapping[str, str]) -> list[dict[str, Any]]:
    """Cases per rule and owner, opened and closed."""
    opened, closed = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for row in cases:
        key = (str(row["rule"]), taker(str(row.get("subject", "")), terms))
        opened[key] += 1
        closed[key] += row["state"] == "CLOSED"
    return [
        {
            "rule": rule,
            "term": CASES.get(rule, rule),
            "owner": owner,
            "opened": count,
            "closed": closed[rule, owner],
        }
        for (rule, owner), count in sorted(opened.items())
    ]


# -- what a person costs --------------------------------------------------------------------------------------


RECYCLED = "wal"
"""Disk that does not grow with the people: the write-ahead log is kept at a size of its own."""


def costs(told: Mapping[str, Any], baseline: Mapping[str, Any] | None = None) -> dict[str, float]:
    """CPU milliseconds and disk KiB per person, from report.json's fields; baseline: an empty campaign's
    report.json, whose cost is taken off. The write-ahead log is nobody's."""
    empty = baseline or {}
    people = int(told["persons"]) - int(empty.get("persons", 0))
    if people <= 0:
        return {}
    cpu = sum(told["cpu_seconds"].values()) - sum(empty.get("cpu_seconds", {}).values())
    disk = _grown(told) - _grown(empty)
    return {
        "cpu_ms_per_person": round(cpu * 1000 / people, 3),
        "disk_kib_per_person": round(disk * 1024 / people, 3),
    }


def _grown(told: Mapping[str, Any]) -> float:
    return float(told.get("disk_mib", 0)) - float(told.get("disk_mib_parts", {}).get(RECYCLED, 0))
