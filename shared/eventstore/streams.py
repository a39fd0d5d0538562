"""Streams and their categories: where events live and how a state is folded from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

S = TypeVar("S")

RECENT = 4096
"""Streams a service remembers having named: a decision asks for the same few several times over."""


@dataclass(frozen=True, slots=True)
class Category(Generic[S]):
    """A kind of stream, e.g. ``obligation``: its initial state and how an event changes it.

    ``evolve`` never refuses: what is in the log happened. Unknown events must leave the state as it is.
    """

    name: str
    initial: S
    evolve: Callable[[S, Any], S]

    def stream(self, *parts: str | int, era: int = 0) -> Stream[S]:
        """``obligation`` of (2020, "medical", "p1") is ``obligation:2020:medical:p1``.

        era: the campaign year of yearly streams, 0 for perennial ones (unique key and partitioning).
        """
        return Stream(self, ":".join((self.name, *map(str, parts))), era)


@dataclass(slots=True, unsafe_hash=True)
class Stream(Generic[S]):
    """One stream: equal ids in equal eras are the same stream. Not to be changed (see ``Metadata``)."""

    category: Category[S] = field(compare=False)
    id: str
    era: int = 0


@dataclass(slots=True)
class Metadata:
    """Who and why, stored beside every event; never personal data. Not to be changed: readers share it. (It is
    not declared frozen because one is made per event, and Python makes frozen ones three times slower.)

    correlation: one id for the whole chain across services; causation: the event or request that led here.
    """

    correlation: str
    causation: str = ""
    actor: str = ""
    organisation: str = ""
    campaign: str = ""
    pack: str = ""
    pack_digest: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
