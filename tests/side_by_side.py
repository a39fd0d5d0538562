"""The whole suite as two pytest processes side by side: ``make test-halves``, on a machine of two cores.

Much of the suite waits for processes of its own. Each half has servers, databases and ports of its own, prints what it
said when both are done, and ends with pytest's closing line; whichever fails fails the whole.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent
LOGS = TESTS.parent / "out/tests"
FIRST = ("arch", "contract", "unit", "integration", "containers", "simulation")
"""Folders of the first half; the second has all others, so that no folder is forgotten."""


def halves(folders: list[str]) -> tuple[list[str], list[str]]:
    """Which half a folder is in."""
    return [each for each in folders if each in FIRST], [each for each in folders if each not in FIRST]


def folders() -> list[str]:
    """Folders with tests."""
    return sorted({found.relative_to(TESTS).parts[0] for found in TESTS.rglob("test_*.py")})


def main(options: list[str]) -> int:
    """Run both; answers the worse exit code."""
    LOGS.mkdir(parents=True, exist_ok=True)
    running = []
    for number, half in enumerate(halves(folders()), 1):
        log = LOGS / f"half-{number}.log"
        command = [sys.executable, "-m", "pytest", *(str(TESTS / each) for each in half), *options]
        with log.open("wb") as out:
            running.append((log, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)))
    codes = [process.wait() for _, process in running]
    for log, _ in running:
        print(log.read_text(encoding="utf-8", errors="replace"), flush=True)
    return max(map(abs, codes))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
