"""A campaign of any size as four logs made row by row: everything holds, nothing of it is in memory."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

from deploy.audit.evidence import Books, Row, Takings, TreasuryEntry
from deploy.audit.survey import Survey, survey_rows
from deploy.audit.verify import Examination
from shared.kernel.clock import SHANGHAI
from shared.policy import load_packs
from shared.policy.registry import PackRegistry
from tests.unit.audit.village import CAMPAIGN, PACK

PACKS = PackRegistry(load_packs().values())
FEN = 26_000
PART = 500
VILLAGE_PEOPLE = 1500
PAID_ON = "2019-11-02"
PAID = f"{PAID_ON}T10:15:00+08:00"
AT = dt.datetime(2019, 11, 2, 10, 15, tzinfo=SHANGHAI)
VOUCHER = "V-WECHAT"
RETURN = f"R-{VOUCHER}"
FILLED = 4
"""Rows of types nobody asked for, per person: received copies and the like."""


class Volume:
    """So many people who each pay 260 yuan by WeChat and are booked and covered."""

    def __init__(self, people: int) -> None:
        self.people = people
        self._position = 0
        self._versions: dict[str, int] = {}

    def person(self, number: int) -> str:
        """A person id."""
        return f"{number:032x}"

    def village(self, number: int) -> str:
        """The person's village."""
        return f"370406{101_000 + number // VILLAGE_PEOPLE:06d}"

    def _row(self, stream: str, kind: str, data: dict[str, Any], version: int = 1, era: int = 2020) -> Row:
        self._position += 1
        return Row(self._position, f"e{self._position}", era, stream, version, kind, data, AT)

    def _fill(self, number: int) -> Iterator[Row]:
        """What a service has of others, one stream a person."""
        for version in range(1, FILLED + 1):
            yield self._row(f"received:people:{number}", "liangxian.other.fact.v1", {}, version)

    def registration(self) -> Iterator[Row]:
        """People, enrolments, bookings, cover."""
        self._position = 0
        for number in range(self.people):
            person = self.person(number)
            yield self._row(
                f"person:{person}", "PersonRegistered",
                {"person_id": person, "birth": f"19{50 + number % 50}-05-01", "student": False},
            )  # fmt: skip
            yield self._row(
                f"enrolment:medical:{person}", "EnrolmentRegistered",
                {
                    "person_id": person, "insurance": "medical", "record_no": f"medical-2020-{person}",
                    "route": "HUKOU", "period_from": "2020-01-01", "period_to": "2020-12-31",
                },
            )  # fmt: skip
            yield from self._fill(number)
        for number in range(self.people):
            person = self.person(number)
            yield self._row(
                f"cover:2020:{person}", "BookkeepingPosted",
                {
                    "person_id": person, "return_no": RETURN, "line_no": number + 1, "voucher_no": VOUCHER,
                    "insurance": "medical", "year": 2020, "fen": FEN, "booked_on": "2019-12-04",
                    "tier_yuan": None,
                },
            )  # fmt: skip
            yield self._row(
                f"cover:2020:{person}", "MedicalEntitlementGranted",
                {"person_id": person, "year": 2020, "from_date": "2020-01-01", "to_date": "2020-12-31"}, 2,
            )  # fmt: skip

    def collection(self) -> Iterator[Row]:
        """Assessed, listed, paid, settled, vouchered, in the treasury, returned."""
        self._position = 0
        yield self._row(f"pack:{PACK.id}", "PolicyPackPublished", {"pack_id": PACK.id, "digest": PACK.digest})
        opened = {"campaign": CAMPAIGN, "pack_id": PACK.id, "year": 2020}
        yield self._row(f"campaign:{CAMPAIGN}", "CampaignOpened", opened)
        for number in range(self.people):
            yield self._assessed(number)
            yield from self._fill(number)
        for first in range(0, self.people, VILLAGE_PEOPLE):
            yield from self._roster(range(first, min(first + VILLAGE_PEOPLE, self.people)))
        for number in range(self.people):
            yield self._paid(number)
        yield from self._settled()
        yield from self._vouchered()

    def _obligation(self, number: int) -> str:
        return f"obligation:2020:medical:{self.person(number)}"

    def _assessed(self, number: int) -> Row:
        data = {
            "version": 1, "person_id": self.person(number), "insurance": "medical", "year": 2020,
            "campaign": CAMPAIGN, "village": self.village(number), "birth": "1970-05-01", "standard_fen": FEN,
            "tier_yuan": None, "category": "", "legs": [{"payer": "person", "fen": FEN}],
        }  # fmt: skip
        return self._row(self._obligation(number), "ContributionAssessed", data)

    def _roster(self, people: Sequence[int]) -> Iterator[Row]:
        roster = f"{CAMPAIGN}.{self.village(people[0])}"
        stream = f"roster:{CAMPAIGN}:{self.village(people[0])}"
        fen = FEN * len(people)
        header = {
            "roster_id": roster, "version": 1, "count": len(people), "standard_fen": fen, "personal_fen": fen,
        }  # fmt: skip
        yield self._row(stream, "CollectionRosterFormed", header)
        for part, first in enumerate(range(0, len(people), PART), 1):
            lines = [
                [self.person(number), "medical", FEN, FEN, "", 1] for number in people[first : first + PART]
            ]
            data = {"roster_id": roster, "version": 1, "supplement": 0, "part": part, "lines": lines}
            yield self._row(stream, "RosterLines", data, part + 1)
        yield self._row(stream, "RosterFinalized", header, 2 + -(-len(people) // PART))

    def _paid(self, number: int) -> Row:
        data = {
            "payment_id": f"WECHAT-{number}", "line_id": f"WECHAT-{number}/1", "channel": "WECHAT",
            "person_id": self.person(number), "insurance": "medical", "year": 2020, "campaign": CAMPAIGN,
            "village": self.village(number), "fen": FEN, "assessment_version": 1, "paid_at": PAID,
        }  # fmt: skip
        return self._row(self._obligation(number), "PaymentReceived", data, 2)

    def _parts(self) -> Iterator[range]:
        for first in range(0, self.people, PART):
            yield range(first, min(first + PART, self.people))

    def _settled(self) -> Iterator[Row]:
        stream = f"settlement:{CAMPAIGN}:WECHAT:{PAID_ON}"
        batch = {
            "campaign": CAMPAIGN, "village": "", "source": "WECHAT", "kind": "CHANNEL", "date": PAID_ON,
            "insurance": "medical", "batch": 1,
        }  # fmt: skip
        version = 0
        for version, people in enumerate(self._parts(), 1):
            lines = [f"WECHAT-{number}/1" for number in people]
            yield self._row(stream, "SettlementLinesConfirmed", {**batch, "lines": lines}, version)
        total = {**batch, "count": self.people, "fen": FEN * self.people}
        yield self._row(stream, "DailySettlementConfirmed", total, version + 1)

    def _line(self, number: int) -> list[Any]:
        line_id, person, village = f"WECHAT-{number}/1", self.person(number), self.village(number)
        return [line_id, person, village, "person", FEN, FEN, PAID, None, ""]

    def _vouchered(self) -> Iterator[Row]:
        stream, version = f"voucher:{VOUCHER}", 0
        fen = FEN * self.people
        for version, people in enumerate(self._parts(), 1):
            lines = [self._line(number) for number in people]
            yield self._row(
                stream, "VoucherLines", {"voucher_no": VOUCHER, "part": version, "lines": lines}, version
            )
        steps = {
            "TaxVoucherIssued": {"village": "", "insurance": "medical", "count": self.people, "fen": fen},
            "FundsDebited": {"fen": fen, "at": "2019-12-02T17:30:00+08:00"},
            "FundsRemitted": {},
            "TreasuryEntryConfirmed": {
                "campaign": CAMPAIGN, "insurance": "medical", "treasury_date": "2019-12-03",
                "count": self.people, "fen": fen,
            },
        }  # fmt: skip
        for kind, data in steps.items():
            version += 1
            yield self._row(stream, kind, {"voucher_no": VOUCHER, **data}, version)
        for people in self._parts():
            version += 1
            lines = [self._line(number) for number in people]
            data = {
                "voucher_no": VOUCHER,
                "return_no": RETURN,
                "first_line_no": people[0] + 1,
                "lines": lines,
            }
            yield self._row(stream, "CollectionInfoReturned", data, version)

    def log(self, service: str) -> Iterator[Row]:
        """A service's log; those of subsidy and notification are empty here."""
        if service == "registration":
            return self.registration()
        return self.collection() if service == "collection" else iter(())

    def survey(self, service: str) -> Survey:
        """The log as a whole."""
        return survey_rows(self.log(service))

    def books(self) -> Iterator[Books]:
        """The outside's books, a village at a time."""
        day = dt.date.fromisoformat(PAID_ON)
        yield Books(treasury=(TreasuryEntry(VOUCHER, FEN * self.people),))
        for first in range(0, self.people, VILLAGE_PEOPLE):
            count = min(VILLAGE_PEOPLE, self.people - first)
            yield Books((Takings(self.village(first), "medical", day, "WECHAT", count, FEN * count),))

    def examine(self, examination: Examination) -> int:
        """Let an examination hear everything; answers how many rows there were."""
        rows = 0
        for service in ("notification", "subsidy", "collection", "registration"):
            survey = self.survey(service)
            examination.survey(service, survey)
            examination.hear(service, self.log(service))
            rows += survey.rows
        for page in self.books():
            examination.compare_with(page)
        return rows
