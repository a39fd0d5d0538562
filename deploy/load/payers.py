"""Who pays (缴费人): the target's own obligations, grouped as families pay, one village hotter than the others."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from deploy.rehearsal.clients import Services
from shared.policy import Pack

READER = "channel-wechat"
PAGE = 5000
FAMILY_SHARE = 0.3
"""Share of orders that pay for several people."""
FAMILY_MOST = 4
HOT_SHARE = 0.2
"""Share of arrivals that come from the hot village while it has payers left."""


@dataclass(frozen=True, slots=True)
class Due:
    """What somebody owes himself: person, insurance, insured year, fen."""

    person_id: str
    insurance: str
    year: int
    fen: int


Bill = tuple[Due, ...]
"""Everything one person owes."""


@dataclass(frozen=True, slots=True)
class Household:
    """Bills that are paid by one order, of one village."""

    village: str
    bills: tuple[Bill, ...]

    @property
    def lines(self) -> tuple[Due, ...]:
        """All of them as lines of an order."""
        return tuple(due for bill in self.bills for due in bill)


async def read_bills(services: Services, campaign: str, pack: Pack, day: dt.date) -> dict[str, list[Bill]]:
    """Village -> unpaid bills whose window is open on the day, as ``GET /obligations`` tells them."""
    open_now = {name for name in ("medical", "pension") if _open(pack, name, day)}
    found: dict[str, dict[str, list[Due]]] = defaultdict(lambda: defaultdict(list))
    async for row in services.pages(READER, "collection", "/obligations", page=PAGE, campaign=campaign):
        if row["insurance"] not in open_now or row["paid_standing"] or row["refused"]:
            continue
        if row["personal_fen"] > 0:
            due = Due(row["person_id"], row["insurance"], row["year"], row["personal_fen"])
            found[row["village"]][row["person_id"]].append(due)
    return {village: [tuple(dues) for dues in people.values()] for village, people in found.items()}


def _open(pack: Pack, insurance: str, day: dt.date) -> bool:
    span = pack.window(insurance)
    return span.start <= day <= span.end


class Payers:
    """Households in the order in which they come to pay; a seed gives the same ones."""

    def __init__(self, bills: dict[str, list[Bill]], seed: int) -> None:
        self._random = random.Random(f"payers:{seed}")
        self._bills = {village: list(people) for village, people in sorted(bills.items()) if people}
        for people in self._bills.values():
            self._random.shuffle(people)
        self.people = sum(map(len, self._bills.values()))
        self.hot = max(self._bills, key=lambda village: len(self._bills[village]), default="")
        self._calm: list[str] = [village for village in self._bills if village != self.hot]

    @property
    def left(self) -> int:
        """People who have not come yet."""
        return sum(map(len, self._bills.values()))

    def orders_at_least(self) -> int:
        """So many orders there are at least, whatever the families."""
        most = 1 + FAMILY_SHARE * (FAMILY_MOST + 2) / 2
        return int(self.left / most)

    def next(self) -> Household | None:
        """Who comes next; None when everybody has."""
        village = self._village()
        if village is None:
            return None
        people = self._bills[village]
        count = self._random.randint(2, FAMILY_MOST) if self._random.random() < FAMILY_SHARE else 1
        taken = tuple(people.pop() for _ in range(min(count, len(people))))
        if not people:
            del self._bills[village]
            if village in self._calm:
                self._calm.remove(village)
        return Household(village, taken)

    def _village(self) -> str | None:
        if not self._bills:
            return None
        hot = self.hot in self._bills
        if hot and (not self._calm or self._random.random() < HOT_SHARE):
            return self.hot
        return self._random.choice(self._calm)


def poisson(rate: float, seconds: float, source: random.Random) -> Iterator[float]:
    """Moments of arrivals in [0, seconds), independent of one another."""
    at = source.expovariate(rate)
    while at < seconds:
        yield at
        at += source.expovariate(rate)
