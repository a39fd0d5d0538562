"""What ``verify`` itself costs: rows heard per second and bytes kept per person, without databases and replays.

`make bench` prints the line. A district has 440,000 people and about ten million events in four logs.
"""

from __future__ import annotations

import resource
import sys
import time

from deploy.audit.verify import Examination
from tests.unit.audit.volume import PACKS, Volume

PEOPLE = 70_000
FLOOR = 60_000
"""Rows per second, those nobody asks for among them; trials reached 300,000."""
PERSON_BYTES = 2_300
"""440,000 people in a gigabyte."""


def peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def test_a_sub_district_is_heard_in_seconds() -> None:
    """The rows are made while they are heard; making them is measured first and taken off."""
    volume = Volume(PEOPLE)
    began = time.perf_counter()
    made = sum(1 for service in ("collection", "registration") for _ in volume.log(service))
    making = time.perf_counter() - began
    before = peak_bytes()
    examination = Examination(PACKS)
    began = time.perf_counter()
    for service in ("collection", "registration"):
        examination.hear(service, volume.log(service))
    for page in volume.books():
        examination.compare_with(page)
    report = examination.report()
    seconds = time.perf_counter() - began - making
    kept = (peak_bytes() - before) / PEOPLE
    print(f"\n{made:,} rows of {PEOPLE:,} people: {made / seconds:,.0f} rows/s, {kept:,.0f} bytes a person")
    assert report.unaccounted_fen == 0
    assert made / seconds > FLOOR
    assert kept < PERSON_BYTES
