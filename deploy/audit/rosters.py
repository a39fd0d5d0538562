"""Invariants of households, rosters, notices and declarations: I-07 to I-09, I-21."""

from __future__ import annotations

import datetime as dt
from array import array
from collections import defaultdict
from dataclasses import dataclass, field

from deploy.audit.evidence import Row, day_of
from deploy.audit.hearing import Campaigns, Check, hears
from deploy.audit.lines import CASH, Lines, Stage
from deploy.audit.obligations import Obligations, number_of, obligation_of, year_of
from deploy.audit.settlements import source_of
from deploy.audit.tally import Invariant, Scope
from shared.policy import Pack

INSURANCES = ("medical", "pension")
HOUSEHOLD_TYPES = ("VirtualHouseholdRegistered", "CollectionScopeAssigned")
"""All that may stand in a virtual household's stream."""


class I07(Check):
    """A virtual household holds no money: its stream has registrations and scopes only."""

    id = "I-07"

    @hears("collection", *HOUSEHOLD_TYPES)
    def _household(self, row: Row) -> None:
        self.tally.see("fen" not in row.data, row)

    def strangers(self, event_ids: tuple[str, ...]) -> None:
        """Events of other types in such streams."""
        for event_id in event_ids:
            self.tally.see(False, event_id)


RosterKey = tuple[str, int, int]
"""Roster id, version, supplement."""


@dataclass(slots=True)
class _Version:
    """Lines of a roster's version as they come, and what its header says of them."""

    count: int = 0
    standard_fen: int = 0
    personal_fen: int = 0
    seen: set[int] = field(default_factory=set)
    twice: bool = False
    stated: tuple[int, int, int] | None = None
    event_id: str = ""


class I08(Check):
    """Totals of a roster version = sum of its lines; nobody twice; nobody known dead.

    What is final carries the amounts that were assessed by then: each line's version of the assessment is
    there with the line's amount, and the newest says the same.
    """

    id = "I-08"

    def __init__(self, scope: Scope, campaigns: Campaigns, obligations: Obligations) -> None:
        super().__init__(scope, campaigns)
        self._obligations = obligations
        self._versions: dict[RosterKey, _Version] = defaultdict(_Version)
        self._died: dict[str, str] = {}
        self._owed: dict[str, tuple[int, array[int], array[int]]] = {}

    @hears("collection", "liangxian.registration.death_reported.v1")
    def _die(self, row: Row) -> None:
        """Day collection learned of a death."""
        self._died.setdefault(row.data["person_id"], row.day)

    @hears("collection", "liangxian.registration.death_report_corrected.v1")
    def _live(self, row: Row) -> None:
        if row.data["date"] is None:
            self._died.pop(row.data["person_id"], None)

    @hears("collection", "RosterLines")
    def _lines(self, row: Row) -> None:
        data = row.data
        version = self._versions[data["roster_id"], data["version"], data["supplement"]]
        numbers, owed = self._newest(row)
        year, day = year_of(data["roster_id"]), number_of(row.day)
        for line in data["lines"]:
            number = self._obligations.number(obligation_of(year, line[1], line[0]))
            self._obligations.listed[number] = max(day, self._obligations.listed[number])
            version.twice = version.twice or number in version.seen
            version.seen.add(number)
            version.count += 1
            version.standard_fen += line[2]
            version.personal_fen += line[3]
            numbers.append(number)
            owed.append(line[3])
        self._forget_names(version)

    def _newest(self, row: Row) -> tuple[array[int], array[int]]:
        """What the newest version of a main roster lists: obligations and fen."""
        roster, number = row.data["roster_id"], row.data["version"]
        if row.data["supplement"]:
            return array("i"), array("q")
        if roster not in self._owed or self._owed[roster][0] < number:
            self._owed[roster] = (number, array("i"), array("q"))
        return self._owed[roster][1:]

    @hears("collection", "CollectionRosterFormed", "RosterAmended", "SupplementaryRosterFormed")
    def _formed(self, row: Row) -> None:
        data = row.data
        version = self._versions[data["roster_id"], data["version"], data.get("supplement", 0)]
        version.stated = (data["count"], data["standard_fen"], data["personal_fen"])
        version.event_id = str(row.event_id) if self.tally.judges(row) else ""
        self._forget_names(version)

    @staticmethod
    def _forget_names(version: _Version) -> None:
        """Once all lines are there nobody can come twice without spoiling the sums."""
        if version.stated is not None and version.count >= version.stated[0]:
            version.seen = set()

    @hears("collection", "RosterFinalized")
    def _finalised(self, row: Row) -> None:
        """Old amounts on what is final are a difference."""
        version, numbers, owed = self._owed.get(row.data["roster_id"], (0, array("i"), array("q")))
        current = all(
            self._obligations.current(number) == fen for number, fen in zip(numbers, owed, strict=True)
        )
        self.tally.see(version == row.data["version"] and current, row)

    def close(self) -> None:
        for version in self._versions.values():
            if not version.event_id:
                continue
            sums = (version.count, version.standard_fen, version.personal_fen)
            self.tally.see(sums == version.stated and not version.twice, version.event_id)
        years = self.campaigns.years()
        for person, day in self._died.items():
            for number in self._obligations.of_person(person, INSURANCES, years):
                if self._obligations.listed[number] > number_of(day):
                    self.tally.violate(person)


class I09(Check):
    """Notices run their days and close with every objection resolved; agents collect only afterwards."""

    id = "I-09"

    def __init__(self, scope: Scope, campaigns: Campaigns) -> None:
        super().__init__(scope, campaigns)
        self._started: dict[str, Row] = {}
        self._open: dict[str, set[str]] = defaultdict(set)
        self._closings: list[tuple[str, str, bool, str]] = []
        self._closed: dict[tuple[str, str], str] = {}

    @hears("notification", "RosterNoticeStarted", "PaymentNoticeStarted")
    def _start(self, row: Row) -> None:
        self._started[row.data["notice_id"]] = row

    @hears("notification", "RosterObjectionRaised", "PaymentObjectionRaised")
    def _object(self, row: Row) -> None:
        self._open[row.data["notice_id"]].add(row.data["objection_id"])

    @hears("notification", "ObjectionResolutionReceived")
    def _resolve(self, row: Row) -> None:
        self._open[row.data["notice_id"]].discard(row.data["objection_id"])

    @hears("notification", "RosterNoticeClosed", "PaymentNoticeClosed")
    def _close(self, row: Row) -> None:
        data = row.data
        closed_on = day_of(data["closed_on"])
        if row.type == "RosterNoticeClosed":
            self._closed.setdefault((data["campaign"], data["village"]), closed_on)
        if self.tally.judges(row):
            resolved = not self._open[data["notice_id"]]
            self._closings.append((data["notice_id"], closed_on, resolved, str(row.event_id)))

    @hears("collection", "PaymentReceived")
    def _collect(self, row: Row) -> None:
        data = row.data
        if data["channel"] != CASH:
            return
        pack = self.campaigns.packs.get(data["campaign"])
        if pack is None or pack.notice_days("ROSTER") is not None:
            after = self._closed.get((data["campaign"], data["village"]))
            self.tally.see(after is not None and day_of(data["paid_at"]) >= after, row)

    def close(self) -> None:
        for notice_id, closed_on, resolved, event_id in self._closings:
            start = self._started.get(notice_id)
            self.tally.see(start is not None and self._ran(start, closed_on) and resolved, event_id)

    def _ran(self, start: Row, closed_on: str) -> bool:
        """True when a notice ran the days it announced, and these are at least the pack's."""
        data = start.data
        first, last = (dt.date.fromisoformat(day_of(data[name])) for name in ("from_date", "to_date"))
        pack = self.campaigns.packs.get(data["campaign"])
        wanted = pack.notice_days(data.get("kind", "ROSTER")) if pack is not None else None
        ran = (last - first).days + 1 == data["days"] >= (wanted or 1)
        return ran and closed_on > last.isoformat()

    def result(self) -> Invariant:
        packs = self.campaigns.packs.values()
        return self.tally.result("D-37" if packs and not any(map(_has_roster_notice, packs)) else "")


def _has_roster_notice(pack: Pack) -> bool:
    return pack.notice_days("ROSTER") is not None


class I21(Check):
    """Declared lines are settled, on the final roster or a supplement, each declared once; totals agree."""

    id = "I-21"

    def __init__(self, scope: Scope, campaigns: Campaigns, lines: Lines, obligations: Obligations) -> None:
        super().__init__(scope, campaigns)
        self._lines = lines
        self._obligations = obligations
        self._sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        self._standing: dict[str, str] = {}
        self._again: list[tuple[str, str, str]] = []
        self._returned: set[str] = set()
        self._differing: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        self._headers: list[tuple[str, list[int], bool, str]] = []

    @hears("collection", "DeclarationLines")
    def _declare(self, row: Row) -> None:
        number, insurance = row.data["declaration_no"], row.data["insurance"]
        sums = self._sums[number]
        for line in row.data["lines"]:
            sums[0] += 1
            sums[1] += line[4]
            self.tally.see(self._settled(line[0]) and self._listed(insurance, line[1]), row)
            if line[0] in self._standing and self.tally.judges(row):
                self._again.append((self._standing[line[0]], number, str(row.event_id)))
            self._standing[line[0]] = number

    def _settled(self, line_id: str) -> bool:
        """Settled by now: ``Lines`` heard it first."""
        number = self._lines.number(line_id)
        return number is not None and bool(self._lines.stages[number] & Stage.SETTLED)

    def _listed(self, insurance: str, person_id: str) -> bool:
        """On a roster, of whichever year."""
        numbers = self._obligations.of_person(person_id, (insurance,), self.campaigns.years())
        return any(self._obligations.listed[number] for number in numbers)

    @hears("collection", "DeclarationReturned")
    def _return(self, row: Row) -> None:
        """Its lines may be declared again."""
        self._returned.add(row.data["declaration_no"])
        left = [line for line, number in self._standing.items() if number == row.data["declaration_no"]]
        for line in left:
            del self._standing[line]

    @hears("collection", "DailySettlementDiscrepancyDetected")
    def _differ(self, row: Row) -> None:
        self._differing[row.data["village"]].add(source_of(row))

    @hears("collection", "DailySettlementDiscrepancyResolved")
    def _agree(self, row: Row) -> None:
        self._differing[row.data["village"]].discard(source_of(row))

    @hears("collection", "VirtualHouseholdDeclarationSubmitted")
    def _submit(self, row: Row) -> None:
        if self.tally.judges(row):
            data = row.data
            agreed = not self._differing.get(data["village"])
            stated = [data["count"], data["fen"]]
            self._headers.append((data["declaration_no"], stated, agreed, str(row.event_id)))

    def close(self) -> None:
        for first, second, event_id in self._again:
            if first not in self._returned and second not in self._returned:
                self.tally.see(False, event_id)
        for number, stated, agreed, event_id in self._headers:
            self.tally.see(agreed and self._sums[number] == stated, event_id)
