"""The whole suite as two pytest processes side by side: ``make test``, for a machine of two cores.

Much of the suite waits for processes of its own. Each half has servers, databases and ports of its own. What
they said is printed when both are done, or the run is broken off, which it is when it takes too long: what a failed
test leaves behind may wait for ever where its fixtures end. The last line adds their closing lines up. Whichever half
fails, fails the whole. While they run, ``out/tests/half-*.log`` tells how far they are.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

TESTS = Path(__file__).parent
LOGS = TESTS.parent / "out/tests"
FIRST = ("arch", "contract", "unit", "integration", "containers", "simulation")
"""Folders of the first half; the second has all others, so that no folder is forgotten."""

LIMIT_SECONDS = 70 * 60
"""For both; nearly three times what they take."""

STOP_SECONDS = 30
"""For what is broken off to clear up after itself."""

TOO_LONG = 124
"""The exit code of a run that was broken off for its time, as ``timeout`` has it."""

CLOSING = re.compile(r"^=* ?(?P<counts>\d+ \w+(?:, \d+ \w+)*) in (?P<seconds>[\d.]+)s\b.*$")
"""Pytest's closing line: ``== 374 passed, 2 skipped in 1531.20s (0:25:31) ==``, bare when quiet."""
NO_TEST_RAN = 5
"""Pytest's exit code when a selection left nothing (``-k``), which half of a suite may well do."""


def halves(folders: list[str]) -> tuple[list[str], list[str]]:
    """Which half a folder is in."""
    return [each for each in folders if each in FIRST], [each for each in folders if each not in FIRST]


def folders() -> list[str]:
    """Folders with tests."""
    return sorted({found.relative_to(TESTS).parts[0] for found in TESTS.rglob("test_*.py")})


def closing(logs: Iterable[str]) -> str:
    """One closing line for several: counts added up, the longest time. Empty when one has none: it broke off."""
    counts: Counter[str] = Counter()
    seconds = 0.0
    for log in logs:
        found = [match for line in log.splitlines() if (match := CLOSING.match(line))]
        if not found:
            return ""
        for each in found[-1]["counts"].split(", "):
            number, what = each.split(" ")
            counts[what] += int(number)
        seconds = max(seconds, float(found[-1]["seconds"]))
    told = ", ".join(f"{number} {what}" for what, number in sorted(counts.items()))
    return f"===== {told} in {seconds:.2f}s ====="


def worse(codes: Iterable[int]) -> int:
    """The exit code of the whole: a half without tests fails it only if the other has none either."""
    told = {abs(code) for code in codes}
    failed = told - {0, NO_TEST_RAN}
    return max(failed) if failed else min(told)


def ended(running: Iterable[subprocess.Popen[bytes]], seconds: float) -> list[int]:
    """Wait for all; ``TOO_LONG`` for each that has not ended when the time has passed."""
    codes, deadline = [], time.monotonic() + seconds
    for process in running:
        try:
            codes.append(process.wait(max(0.0, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            codes.append(TOO_LONG)
    return codes


def _broken_off(number: int, _: object) -> None:
    sys.exit(128 + number)


def main(options: list[str]) -> int:
    """Run both; answers the worse exit code."""
    LOGS.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, _broken_off)
    running: list[tuple[Path, subprocess.Popen[bytes]]] = []
    try:
        for number, half in enumerate(halves(folders()), 1):
            log = LOGS / f"half-{number}.log"
            command = [sys.executable, "-m", "pytest", *(str(TESTS / each) for each in half), *options]
            with log.open("wb") as out:
                running.append((log, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)))
        codes = ended([process for _, process in running], LIMIT_SECONDS)
    finally:
        for log, process in running:
            process.terminate()
            if ended([process], STOP_SECONDS) == [TOO_LONG]:
                process.kill()
                process.wait()
            print(log.read_text(encoding="utf-8", errors="replace"), flush=True)
    print(closing(log.read_text(encoding="utf-8", errors="replace") for log, _ in running))
    return worse(codes)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
