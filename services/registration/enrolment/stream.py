"""Where enrolments live."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from services.registration.enrolment.domain import Enrolment, evolve
from services.registration.enrolment.events import CollectingUnitInfoTransmitted
from shared.eventstore.streams import RECENT, Category, Stream
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance

ENROLMENT = Category("enrolment", Enrolment(), evolve)


@lru_cache(maxsize=RECENT)
def enrolment(insurance: Insurance, person_id: str) -> Stream[Enrolment]:
    """``enrolment:{insurance}:{person}``, perennial: it holds every year."""
    return ENROLMENT.stream(insurance.value, person_id)


@dataclass(frozen=True, slots=True)
class Unit:
    """State of ``process:collecting-unit:{unit}``: what was transmitted last."""

    name: str = ""
    village: str = ""


def _evolve_unit(state: Unit, event: Event) -> Unit:
    return Unit(event.name, event.village) if isinstance(event, CollectingUnitInfoTransmitted) else state


UNIT = Category("process", Unit(), _evolve_unit)


def collecting_unit(unit_id: str) -> Stream[Unit]:
    """``process:collecting-unit:{unit}``."""
    return UNIT.stream("collecting-unit", unit_id)
