"""Microseconds a fixed piece of ordinary work takes this interpreter; run by interpreter.sh with each one found.

Builds of one version differ by a third and more (with or without profile-guided optimisation), and most of a
campaign's time is the interpreter's. Exits 1 where this Python cannot carry the project: older than 3.11, or unable to
make a virtual environment (Debian keeps that in python3-venv).
"""

from __future__ import annotations

import importlib.util
import sys
import time


class Line:
    __slots__ = ("fen", "payer")

    def __init__(self, payer: str, fen: int) -> None:
        self.payer = payer
        self.fen = fen


def add_up(lines: int) -> int:
    """What services do all day: make objects, look them up, join text, call."""
    paid: dict[str, int] = {}
    for number in range(lines):
        line = Line(f"payer-{number % 97}", number)
        paid[line.payer] = paid.get(line.payer, 0) + line.fen
    return sum(paid.values())


def microseconds(rounds: int = 7) -> int:
    """The best of a few rounds: what disturbs a round only makes it longer."""
    best = 0
    for _ in range(rounds):
        began = time.perf_counter_ns()
        add_up(20_000)
        spent = (time.perf_counter_ns() - began) // 1000
        best = min(best, spent) if best else spent
    return best


if __name__ == "__main__":
    if sys.version_info < (3, 11) or not all(map(importlib.util.find_spec, ("venv", "ensurepip"))):
        sys.exit(1)
    sys.stdout.write(f"{microseconds()}\n")
