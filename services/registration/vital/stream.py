"""Where vital facts live."""

from __future__ import annotations

from functools import lru_cache

from services.registration.vital.domain import DeathBatch, Life, evolve, evolve_batch
from shared.eventstore.streams import RECENT, Category, Stream

LIFE = Category("person", Life(), evolve)
BATCH = Category("process", DeathBatch(), evolve_batch)


@lru_cache(maxsize=RECENT)
def life(person_id: str) -> Stream[Life]:
    """``person:{id}``: the same stream the identity lives in."""
    return LIFE.stream(person_id)


def batch(source: str, month: str) -> Stream[DeathBatch]:
    """``process:death-batch:{source}:{month}``."""
    return BATCH.stream("death-batch", source, month)
