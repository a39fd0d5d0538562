"""Numbers instead of names: obligations and what was assessed on them, cells of the books."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from deploy.audit.evidence import Row
from deploy.audit.hearing import Listener, hears

PERSON = "person"


def obligation_of(year: int | str, insurance: str, person_id: str) -> str:
    """The stream of an obligation."""
    return f"obligation:{year}:{insurance}:{person_id}"


def number_of(day: str) -> int:
    """An ISO day as a number that compares alike."""
    return int(day.replace("-", ""))


def year_of(campaign: str) -> str:
    """The insured year in a campaign's id, or in a roster's, which begins with it."""
    return campaign.partition(".")[0].rpartition("-")[2]


class Obligations(Listener):
    """Every obligation by a small number; what the person owes by version (fen), and when a roster listed it last.

    listed: the day as a number, 20191020; 0 for never.
    """

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.listed = array("i")
        self._version = array("i")
        self._fen = array("q")
        self._older: dict[tuple[int, int], int] = {}

    def number(self, stream: str) -> int:
        """The number of an obligation, given on first sight."""
        found = self.numbers.get(stream)
        if found is None:
            found = self.numbers[stream] = len(self._fen)
            self._version.append(0)
            self._fen.append(0)
            self.listed.append(0)
        return found

    def current(self, number: int) -> int | None:
        """What the person owes by the newest assessment; None when there is none."""
        return self._fen[number] if self._version[number] else None

    def assessed(self, number: int, version: int) -> int | None:
        """What the person owed by a version of the assessment; None when there is no such."""
        if self._version[number] == version:
            return self._fen[number] if version else None
        return self._older.get((number, version))

    def of_person(self, person_id: str, insurances: Iterable[str], years: Iterable[int]) -> list[int]:
        """The numbers of a person's obligations, of those that were seen."""
        streams = (obligation_of(year, each, person_id) for each in insurances for year in years)
        return [self.numbers[stream] for stream in streams if stream in self.numbers]

    @hears("collection", "ContributionAssessed", "ContributionReassessed")
    def _assessed(self, row: Row) -> None:
        number = self.number(row.stream)
        if self._version[number]:
            self._older[number, self._version[number]] = self._fen[number]
        self._version[number] = row.data["version"]
        self._fen[number] = sum(leg["fen"] for leg in row.data["legs"] if leg["payer"] == PERSON)


_BITS = 20
_MASK = (1 << _BITS) - 1


class Cells:
    """(village, insurance, day, channel) by a small number."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._keys: list[int] = []
        self._words: dict[str, int] = {}
        self._texts: list[str] = []

    def __len__(self) -> int:
        return len(self._keys)

    def number(self, village: str, insurance: str, day: str, channel: str) -> int:
        """The number of a cell, given on first sight. Raises OverflowError after a million different words."""
        key = 0
        for text in (village, insurance, day, channel):
            word = self._words.get(text)
            if word is None:
                word = self._words[text] = len(self._texts)
                self._texts.append(text)
                if word > _MASK:
                    raise OverflowError("too many villages, days and channels")
            key = key << _BITS | word
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self._keys)
            self._keys.append(key)
        return found

    def channel(self, number: int) -> str:
        """The channel of a cell."""
        return self._texts[self._keys[number] & _MASK]

    def day(self, number: int) -> str:
        """The day of a cell."""
        return self._texts[self._keys[number] >> _BITS & _MASK]

    def shown(self, number: int) -> str:
        """A cell in words."""
        key = self._keys[number]
        return " ".join(self._texts[key >> shift & _MASK] for shift in (3 * _BITS, 2 * _BITS, _BITS, 0))
