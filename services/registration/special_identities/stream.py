"""Where special identities live: beside the enrolment they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from services.registration.special_identities.domain import Marks, evolve
from services.registration.special_identities.events import SubsidyImportFailed
from shared.eventstore.streams import RECENT, Category, Stream
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance

MARKS = Category("enrolment", Marks(), evolve)


@lru_cache(maxsize=RECENT)
def marks(insurance: Insurance, person_id: str) -> Stream[Marks]:
    """``enrolment:{insurance}:{person}``."""
    return MARKS.stream(insurance.value, person_id)


@dataclass(frozen=True, slots=True)
class FailedLine:
    """State of ``process:subsidy-import:{list}:{line}``."""

    error: str = ""


def _evolve_line(state: FailedLine, event: Event) -> FailedLine:
    return FailedLine(event.error) if isinstance(event, SubsidyImportFailed) else state


LINE = Category("process", FailedLine(), _evolve_line)


def failed_line(list_id: str, line_no: int) -> Stream[FailedLine]:
    """``process:subsidy-import:{list}:{line}``."""
    return LINE.stream("subsidy-import", list_id, line_no)
