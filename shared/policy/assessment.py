"""The question and the answer of an assessment (应缴核定)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from shared.kernel.errors import Refusal
from shared.kernel.identity import Sex
from shared.kernel.money import ZERO, Fen
from shared.policy.pack import PackRef
from shared.policy.terms import Insurance, Payer, Reading


class Outcome(StrEnum):
    """due: the person owes money; nothing_due: others pay all of it; refused: no assessment."""

    DUE = "due"
    NOTHING_DUE = "nothing_due"
    REFUSED = "refused"


class Hukou(StrEnum):
    """户籍 inside or outside the pack's region."""

    IN = "in"
    OUT = "out"


class Aid(msgspec.Struct, frozen=True):
    """Pledged aid (集体或个人资助) that takes over part of the person's share."""

    payer: Payer
    fen: Fen


class AssessmentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a person when asking.

    paid_at: the day on which the payer pays (D-51). channel: code, term or alias; None while it is
    not chosen (rosters), which then counts as an agent or a list for ages and opens no channel check.
    categories and listed: codes, Chinese terms or aliases; ``listed`` names departments whose list the
    person is on. params: overrides by name or alias. extended_to: end of an extended window.
    """

    insurance: Insurance
    birth: dt.date
    paid_at: dt.date
    channel: str | None = None
    categories: tuple[str, ...] = ()
    tier_yuan: int | None = None
    sex: Sex | None = None
    spouse_birth: dt.date | None = None
    family_planning: str | None = None
    hukou: Hukou = Hukou.IN
    permit: bool = False
    student: bool = False
    employee_insured: bool = False
    paid_elsewhere: bool = False
    listed: tuple[str, ...] = ()
    params: Mapping[str, int | bool | str] = {}
    aid: tuple[Aid, ...] = ()
    by_agent: bool = False
    extended_to: dt.date | None = None


class Leg(msgspec.Struct, frozen=True):
    """One payer's part of the standard; at most one leg per payer."""

    payer: Payer
    fen: Fen
    rule: str
    clause: str


class AssessmentWarning(msgspec.Struct, frozen=True):
    """Something to tell the payer or the clerk; it changes no amount. Chinese first."""

    code: str
    message: str


class Explanation(msgspec.Struct, frozen=True):
    """One rule that took part, with what it was given."""

    rule: str
    clause: str
    inputs: dict[str, Any]
    reading: Reading
    discrepancy: str = ""


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. Amounts in fen; Σ legs = standard_fen unless refused (I-12)."""

    outcome: Outcome
    pack: PackRef
    standard_fen: Fen = ZERO
    personal_fen: Fen = ZERO
    legs: tuple[Leg, ...] = ()
    matching_subsidy_fen: Fen = ZERO
    family_planning_fen: Fen = ZERO
    late: bool = False
    entitled_from: dt.date | None = None
    entitled_to: dt.date | None = None
    warnings: tuple[AssessmentWarning, ...] = ()
    refusal: Refusal | None = None
    explanation: tuple[Explanation, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The JSON shape of ``liangxian assess --json`` and ``POST /assessments:quote``."""
        answer: dict[str, Any] = msgspec.to_builtins(self)
        if self.refusal is not None:
            answer["refusal"] = {
                "code": self.refusal.code,
                "rule": self.refusal.rule,
                "clause": self.refusal.clause,
                "message": self.refusal.message,
            }
        return answer
