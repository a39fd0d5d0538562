"""The money audit of a run (资金核对): the channels' own record against the payments the target shows.

Every order answered 201 is there exactly once, with exactly its lines; nothing that was refused is there; plus
and minus never cancel, each cell of village, insurance, day and channel stands for itself.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from deploy.load.orders import Kind, Sent
from deploy.load.watching import samples
from deploy.rehearsal.clients import Services

READER = "auditor"
PAGE = 5000
SHOWN = 20
UNACCOUNTED = "liangxian_unaccounted_fen"
CHECKED = "liangxian_unaccounted_checked_timestamp_seconds"

Placed = Mapping[str, list[Mapping[str, Any]]]
"""Lines the target shows, by order number."""


@dataclass(frozen=True, slots=True)
class MoneyAudit:
    """accepted_fen: what channels were told is taken; shown_fen: what the target shows of it.

    own_unaccounted_fen: Σ over cells |accepted − shown|; target_unaccounted_fen: the target's own reckoning, None
    when it gave none. missing: accepted, not shown; repeated: shown more than once; phantom: refused, yet shown;
    differing: other lines or amounts; unknown: never answered, however often asked.
    """

    orders: int
    accepted: int
    accepted_fen: int
    shown_fen: int
    own_unaccounted_fen: int
    target_unaccounted_fen: int | None
    missing: int
    repeated: int
    phantom: int
    differing: int
    unknown: int
    examples: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Every fen is where both sides say it is."""
        wrong = self.missing + self.repeated + self.phantom + self.differing + self.unknown
        return not wrong and self.own_unaccounted_fen == 0 and self.target_unaccounted_fen == 0


async def audit(
    services: Services,
    http: httpx.AsyncClient,
    campaign: str,
    days: Iterable[dt.date],
    run: str,
    sent: Iterable[Sent],
    unknown: int,
) -> MoneyAudit:
    """Read what the target shows of the run, and compare."""
    placed: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for day in days:
        pages = services.pages(
            READER, "collection", "/payments", page=PAGE, campaign=campaign, paid_on=day.isoformat()
        )
        async for line in pages:
            if line["order_no"].startswith(f"{run}-"):
                placed[line["order_no"]].append(line)
    target = await target_unaccounted(services, http, campaign)
    return compare(sent, placed, target, unknown)


def compare(sent: Iterable[Sent], placed: Placed, target: int | None, unknown: int = 0) -> MoneyAudit:
    """The channels' record against the lines shown."""
    orders: dict[str, Sent] = {}
    accepted: set[str] = set()
    for each in sent:
        first = each.of or each
        orders.setdefault(first.order_no, first)
        if each.accepted:
            accepted.add(first.order_no)
    faults: dict[str, list[str]] = defaultdict(list)
    cells: Counter[tuple[str, str, str, str]] = Counter()
    for number, order in orders.items():
        lines = placed.get(number, [])
        if (
            number in accepted or order.kind is Kind.LATE
        ):  # a late callback's money is final: it is never refused
            fault = _fault(order, lines)
            for due in order.lines:
                cells[order.village, due.insurance, order.paid_at[:10], order.channel] += due.fen
        else:
            fault = "phantom" if lines else ""
        if fault:
            faults[fault].append(number)
    for number in placed.keys() - orders.keys():
        faults["phantom"].append(number)
    for lines in placed.values():
        for line in lines:
            cells[line["village"], line["insurance"], line["paid_on"], line["channel"]] -= line["fen"]
    taken = [orders[number] for number in accepted]
    return MoneyAudit(
        orders=len(orders),
        accepted=len(accepted),
        accepted_fen=sum(order.fen for order in taken),
        shown_fen=sum(line["fen"] for lines in placed.values() for line in lines),
        own_unaccounted_fen=sum(map(abs, cells.values())),
        target_unaccounted_fen=target,
        missing=len(faults["missing"]),
        repeated=len(faults["repeated"]),
        phantom=len(faults["phantom"]),
        differing=len(faults["differing"]),
        unknown=unknown,
        examples=tuple(f"{fault} {number}" for fault in sorted(faults) for number in faults[fault][:SHOWN]),
    )


def _fault(order: Sent, lines: list[Mapping[str, Any]]) -> str:
    wanted = Counter((due.person_id, due.insurance, due.year, due.fen) for due in order.lines)
    shown = Counter((line["person_id"], line["insurance"], line["year"], line["fen"]) for line in lines)
    if shown == wanted:
        return ""
    if not shown:
        return "missing"
    if all(shown[line] >= count for line, count in wanted.items()) and set(shown) == set(wanted):
        return "repeated"
    return "differing"


async def target_unaccounted(services: Services, http: httpx.AsyncClient, campaign: str) -> int | None:
    """Σ of the target's gauge for the campaign; None when it was never reckoned."""
    response = await http.get(f"{services.address('collection')}/metrics")
    response.raise_for_status()
    found = [
        (name, labels, value)
        for name, labels, value in samples(response.text)
        if name in (UNACCOUNTED, CHECKED)
    ]
    if not any(name == CHECKED and value > 0 for name, _, value in found):
        return None
    gauges = [
        value for name, labels, value in found if name == UNACCOUNTED and labels["campaign"] == campaign
    ]
    return sum(round(abs(value)) for value in gauges) if gauges else None
