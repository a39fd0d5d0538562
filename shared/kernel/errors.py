"""Refusals and problems: one stable code each, the field and the rule, never the value."""

from __future__ import annotations

from dataclasses import dataclass

OVERLOADED = "OVERLOADED"
"""Code of what is turned away because too much is waiting."""

NOT_READY = "NOT_READY"
"""Code of what is turned away because the database is away."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An expected "no" of a decision. Returned, not raised: nothing was written.

    code: stable, e.g. ``ALREADY_PAID``; integrators branch on it.
    rule: which rule inside the code, e.g. ``FISCAL_SUBSIDY_UNKNOWN`` or ``I-17``.
    clause: document and clause or D-nn the rule rests on, e.g. ``002:L69``.
    field: the command's field at fault, dotted, e.g. ``lines.0.amount_fen``.
    message: for people, Chinese first, English second; holds no personal data.
    """

    code: str
    rule: str = ""
    clause: str = ""
    field: str = ""
    message: str = ""


class ProblemError(Exception):
    """A refusal on its way out through an edge (HTTP, command line). See shared.web.problems."""

    def __init__(self, refusal: Refusal, status: int | None = None, retry_after: int | None = None) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal
        self.status = status
        self.retry_after = retry_after


class OverloadedError(Exception):
    """The writer's bounded queue is full: answer 503 and Retry-After (seconds)."""

    def __init__(self, retry_after: int = 1) -> None:
        super().__init__(OVERLOADED)
        self.retry_after = retry_after
