"""What a seed draws: the people, what they do, and what goes wrong. Nothing is drawn while it runs but the order.

Every fault names the place and the how-manyth time it strikes, so that leaving one out leaves the others as they
are: that is what makes a failing history short (``shrinking``).
"""

from __future__ import annotations

import enum
import functools
import itertools
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from shared.kernel.clock import SeededRuntime

T = TypeVar("T")

SERVICES = ("registration", "collection", "subsidy", "notification")

_NUMBERS = struct.Struct(">512H")


class Draws:
    """Chances out of a seed. numbers: all that will be drawn, each below 65,536."""

    def __init__(self, seed: int) -> None:
        source = SeededRuntime(seed)
        blocks = (_NUMBERS.unpack(source.random_bytes(_NUMBERS.size)) for _ in itertools.count())
        self.numbers: Iterator[int] = itertools.chain.from_iterable(blocks)

    def below(self, limit: int) -> int:
        """0 <= number < limit; limits beyond 65,536 are not asked for."""
        return next(self.numbers) % limit

    def one_in(self, times: int) -> bool:
        """True once in so many times."""
        return self.below(times) == 0

    def of(self, choices: Sequence[T]) -> T:
        """One of them."""
        return choices[self.below(len(choices))]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong. kind: see ``KINDS``; at: the how-manyth time (from 1) at ``where``.

    where: a process (``collection/0``), or ``outside`` for requests; extent: milliseconds, or a part in 16.
    """

    kind: str
    where: str
    at: int
    extent: int = 0

    def __str__(self) -> str:
        return f"{self.kind} at {self.where} #{self.at}" + (f" ({self.extent})" if self.extent else "")


@dataclass(frozen=True, slots=True)
class Person:
    """A resident. tier_yuan: enrolled for the pension too; listed: on the list of those on minimum living."""

    name: str
    tier_yuan: int = 0
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Payment:
    """An order of one person. asked False: the money is final before anybody was asked. repeat: see World.pay."""

    order_no: str
    person: str
    channel: str
    asked: bool = True
    repeat: str = ""

    def __str__(self) -> str:
        captured = "" if self.asked else ", captured"
        again = f", answer {self.repeat}" if self.repeat else ""
        return f"{self.person} pays {self.order_no} by {self.channel}{captured}{again}"


@dataclass(frozen=True, slots=True)
class Death:
    """A death the police tell of. early: before the year's payments, so that money taken goes back."""

    person: str
    early: bool

    def __str__(self) -> str:
        return f"{self.person} died {'before the payments' if self.early else 'after the payments'}"


class Stage(enum.IntEnum):
    """Where a history begins: with nothing at all; with a published pack, enrolled people and a final roster
    (花名册); or with a day's payments taken, summed up and deposited."""

    EMPTY = 0
    LISTED = 1
    COLLECTED = 2


@dataclass(frozen=True, slots=True)
class Beginning:
    """A stage of a village whose way there was quiet (``quiet_plan``): many seeds go on from there."""

    stage: Stage
    village: int

    def __str__(self) -> str:
        return f"village {self.village}, {self.stage.name.lower()}"


@dataclass(frozen=True, slots=True)
class Plan:
    """All a seed decides. split: services of three processes, two with routes and one that works; shuffled: the
    order of tasks is drawn, else it is asyncio's own; reject: the treasury sends the first voucher back once.

    begins: None for an empty system; else persons are that village's, and so are, once it has collected, the
    payments and deaths, which are not repeated here.
    """

    seed: int
    persons: tuple[Person, ...]
    payments: tuple[Payment, ...]
    deaths: tuple[Death, ...]
    faults: tuple[Fault, ...]
    split: tuple[str, ...]
    shuffled: bool = True
    reject: bool = False
    begins: Beginning | None = None

    def decisions(self) -> list[tuple[str, object]]:
        """What can be left out, one by one: (field, value)."""
        found: list[tuple[str, object]] = [("faults", fault) for fault in self.faults]
        found += [("deaths", death) for death in self.deaths]
        found += [("payments", payment) for payment in self.payments]
        found += [("split", service) for service in self.split]
        found += [(name, True) for name in ("shuffled", "reject") if getattr(self, name)]
        return found

    def keeping(self, decisions: Sequence[tuple[str, object]]) -> Plan:
        """The same plan with these decisions only."""
        kept = {_mark(name, value) for name, value in decisions}

        def chosen(name: str, values: Sequence[T]) -> tuple[T, ...]:
            return tuple(value for value in values if _mark(name, value) in kept)

        return replace(
            self,
            faults=chosen("faults", self.faults),
            deaths=chosen("deaths", self.deaths),
            payments=chosen("payments", self.payments),
            split=chosen("split", self.split),
            shuffled=_mark("shuffled", True) in kept,
            reject=_mark("reject", True) in kept,
        )

    def lines(self) -> Iterator[str]:
        """The decisions in words."""
        if self.begins is not None:
            yield f"begins: {self.begins}"
        for person in self.persons:
            pension = f", pension tier {person.tier_yuan}" if person.tier_yuan else ""
            yield f"person {person.name}{pension}{', listed' if person.listed else ''}"
        for name, value in self.decisions():
            yield f"{name}: {value}"


def _mark(name: str, value: object) -> str:
    return f"{name} {value!r}"


KINDS: tuple[tuple[str, int, int, int], ...] = (
    # kind, how often of 32, latest time, largest extent
    ("crash", 10, 400, 1500),
    ("lost_answer", 3, 60, 0),
    ("doubled", 2, 60, 0),
    ("unsent", 1, 60, 0),
    ("commit_fails", 3, 60, 0),
    ("commit_unknown", 3, 60, 0),
    ("ack_lost", 2, 24, 16),
    ("repeated", 1, 24, 0),
    ("broker_away", 2, 60, 3000),
    ("delay", 2, 300, 2000),
    ("rebalance", 1, 24, 0),
    ("cut", 2, 24, 16),
)
"""Kinds of faults. crash: the process dies at its n-th await of a port. lost_answer, doubled, unsent: a request of
the outside is answered in vain, sent twice at once, or never arrives. commit_fails: rolled back; commit_unknown:
committed, but the connection broke. ack_lost: only a part of a publish arrived, or all but its acknowledgement.
repeated: records lie in the broker twice. broker_away: unreachable for one process. delay: an await takes long.
rebalance: partitions go and come again. cut: of a poll only a part comes, the rest later."""

OUTSIDE = "outside"
REQUESTS = frozenset({"lost_answer", "doubled", "unsent"})
MOST_FAULTS = 7

_WHEEL = tuple(kind for kind in KINDS for _ in range(kind[1]))


def processes(split: Sequence[str]) -> list[str]:
    """Names of the processes: ``/0`` serves (and works, if it is alone), ``/1`` works, ``/2`` serves too."""
    return [f"{name}/{part}" for name in SERVICES for part in range(3 if name in split else 1)]


QUIET = 1 << 48
"""Seeds of quiet villages come after all others."""

VILLAGES = 12
"""Quiet villages: enough that persons, lists and tiers, payments and deaths differ among them."""

STAGES = (Stage.EMPTY,) * 2 + (Stage.LISTED,) * 4 + (Stage.COLLECTED,) * 2
"""How often a history begins where, of 8."""

_LENGTHS = {Stage.EMPTY: 8, Stage.LISTED: 5, Stage.COLLECTED: 3}
"""How much of the whole campaign is left, in eighths: that far along faults strike."""


def draw_plan(seed: int) -> Plan:
    """The plan of a seed."""
    draws = Draws(seed)
    stage = draws.of(STAGES)
    begins = Beginning(stage, draws.below(VILLAGES)) if stage else None
    persons = quiet_plan(begins.village).persons if begins is not None else _persons(draws)
    payments, deaths = _acts(draws, persons) if stage < Stage.COLLECTED else ((), ())
    split = tuple(name for name in SERVICES if draws.one_in(4))
    faults = [_fault(draws, split, stage) for _ in range(draws.below(MOST_FAULTS + 1))]
    return Plan(
        seed, persons, payments, deaths, tuple(faults), split, reject=draws.one_in(3), begins=begins
    )  # fmt: skip


@functools.cache
def quiet_plan(village: int) -> Plan:
    """A village that histories begin with: nothing goes wrong, and nothing is drawn but who lives there and what
    they do. Its seed is no other plan's."""
    seed = QUIET + village
    draws = Draws(seed)
    persons = _persons(draws)
    payments, deaths = _acts(draws, persons)
    return Plan(seed, persons, payments, deaths, (), (), shuffled=False)


def _persons(draws: Draws) -> tuple[Person, ...]:
    return tuple(_person(draws, name) for name in ("a", "b", "c")[: 2 + draws.below(2)])


def _acts(draws: Draws, persons: Sequence[Person]) -> tuple[tuple[Payment, ...], tuple[Death, ...]]:
    payments = tuple(_payments(draws, persons))
    return payments, (Death(draws.of(persons).name, early=draws.one_in(2)),) if draws.one_in(2) else ()


def _person(draws: Draws, name: str) -> Person:
    tier = 300 if draws.one_in(3) else 0
    return Person(name, tier, listed=draws.one_in(4))


def _payments(draws: Draws, persons: Sequence[Person]) -> Iterator[Payment]:
    for person in persons:
        for number in range(2 if draws.one_in(2) else 1):
            channel = draws.of(("CASH_AGENT", "WECHAT"))
            asked = channel == "CASH_AGENT" or not draws.one_in(3)
            repeat = draws.of(("", "", "lost", "twice")) if asked else ""
            yield Payment(f"{channel[0]}-{person.name}-{number}", person.name, channel, asked, repeat)


def _fault(draws: Draws, split: Sequence[str], stage: Stage) -> Fault:
    kind, _, latest, largest = draws.of(_WHEEL)
    latest = latest * _LENGTHS[stage] // _LENGTHS[Stage.EMPTY]
    where = OUTSIDE if kind in REQUESTS else draws.of(processes(split))
    return Fault(kind, where, 1 + draws.below(latest), 1 + draws.below(largest) if largest else 0)
