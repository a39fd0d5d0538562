"""Money in integer fen (分). One yuan (元) is 100 fen. No floats, ever."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NewType

Fen = NewType("Fen", int)
"""An amount in fen. Negative only where a difference is meant."""

ZERO = Fen(0)


def yuan(amount: int) -> Fen:
    """Whole yuan as fen; plans and packs print yuan, the wire carries fen.

    Raises TypeError for anything but an int: 0.1 + 0.2 must never reach money.
    """
    if type(amount) is not int:
        raise TypeError("yuan takes an int")
    return Fen(amount * 100)


def total(amounts: Iterable[Fen]) -> Fen:
    """Sum of amounts; ZERO for none."""
    return Fen(sum(amounts))


def format_yuan(amount: Fen) -> str:
    """``12345`` fen as ``123.45``, for people; machines read fen."""
    sign = "-" if amount < 0 else ""
    whole, rest = divmod(abs(amount), 100)
    return f"{sign}{whole:,}.{rest:02d}"
