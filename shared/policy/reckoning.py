"""The working sheet of one assessment: parameters in force, explanation, warnings. Pure."""

from __future__ import annotations

import calendar
import datetime as dt
from typing import Any

from shared.kernel.errors import Refusal
from shared.kernel.money import ZERO, Fen
from shared.policy.assessment import (
    Assessment,
    AssessmentRequest,
    AssessmentWarning,
    Explanation,
    Leg,
    Outcome,
)
from shared.policy.messages import REFUSALS, WARNINGS
from shared.policy.model import Channel, Parameter
from shared.policy.pack import Pack
from shared.policy.parameters import parse_value
from shared.policy.terms import ChannelKind, Cited, Payer, Reading


class RefusedError(Exception):
    """Carries a refusal out of the rules to :func:`shared.policy.assess`; never leaves it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


def refuse(code: str, rule: str, clause: str, field: str = "", **values: object) -> RefusedError:
    """A refusal to raise; its text is found by rule, then by code (:mod:`shared.policy.messages`)."""
    text = REFUSALS.get(rule) or REFUSALS.get(code) or REFUSALS["UNSPECIFIED"]
    return RefusedError(Refusal(code, rule, clause, field, text.format_map(values)))


def add_months(day: dt.date, months: int) -> dt.date:
    """The same day of a later month, clamped to its last day (2023-01-31 + 3 = 2023-04-30)."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return dt.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


class Reckoning:
    """Facts of one request resolved against one pack."""

    __slots__ = (
        "channel",
        "departments",
        "explanation",
        "identities",
        "kind",
        "overrides",
        "pack",
        "request",
        "warnings",
    )

    def __init__(self, pack: Pack, request: AssessmentRequest) -> None:
        self.pack = pack
        self.request = request
        self.warnings: list[AssessmentWarning] = []
        self.explanation: list[Explanation] = []
        self.overrides = self._overrides() if request.params else {}
        self.identities: set[str] = set()
        self.departments: set[str] = set()
        self.channel: Channel | None = None
        self.kind: ChannelKind | None = None
        if request.categories or request.listed:
            self._resolve_names()

    # -- input ------------------------------------------------------------------------------

    def _overrides(self) -> dict[str, tuple[int | bool | str, str]]:
        values: dict[str, tuple[int | bool | str, str]] = {}
        for name, given in self.request.params.items():
            parameter = self.pack.parameter(name)
            if parameter is None:
                raise refuse("INVALID_REQUEST", "PARAMETER_UNKNOWN", "", "params")
            value, source = given, ""
            if isinstance(given, str):
                value, _, source = given.partition("@")
            try:
                values[parameter.name] = parse_value(parameter, value), source.strip()
            except ValueError:
                raise refuse(
                    "INVALID_REQUEST",
                    "PARAMETER_INVALID",
                    parameter.clause,
                    f"params.{parameter.name}",
                    name=parameter.name,
                ) from None
        return values

    def _resolve_names(self) -> None:
        for name in self.request.categories:
            self._add_category(name, "categories")
        for name in self.request.listed:
            department = self.pack.department(name)
            if department is None:
                self._add_category(name, "listed", listed=True)
            else:
                self.departments.add(department.code)

    def _add_category(self, name: str, field: str, listed: bool = False) -> None:
        category = self.pack.category(name)
        if category is None:
            raise refuse("INVALID_REQUEST", "CATEGORY_UNKNOWN", "", field)
        self.identities |= self.pack.identities(category.code)
        if (listed or category.list_only) and category.submitter:
            self.departments.add(category.submitter)

    # -- parameters -------------------------------------------------------------------------

    def parameter(self, name: str) -> Parameter:
        """The pack's parameter; a pack that names one it lacks is faulty (check_pack)."""
        found = self.pack.parameter(name)
        if found is None:
            raise refuse("POLICY_UNSPECIFIED", "PARAMETER_MISSING", "", name=name)
        return found

    def value(self, name: str) -> int | bool | str | None:
        """Value in force, None while unspecified; an override is explained with its source."""
        override = self.overrides.get(name)
        if override is not None:
            value, source = override
            if not source:
                self.warn("PARAMETER_WITHOUT_SOURCE", name=name)
            self.explanation.append(
                Explanation(f"PARAMETER_{name.upper()}", f"EXT:{source}", {name: value}, Reading.EXTERNAL)
            )
            return value
        return self.parameter(name).value

    def required(self, name: str) -> int | bool | str:
        """Value in force. Refuses POLICY_UNSPECIFIED with the parameter's rule while unspecified."""
        value = self.value(name)
        if value is None:
            found = self.parameter(name)
            raise refuse(
                "POLICY_UNSPECIFIED", found.rule or name.upper(), found.clause, f"params.{name}", name=name
            )
        if name not in self.overrides:
            found = self.parameter(name)
            self.explain(f"PARAMETER_{name.upper()}", found, {name: value})
        return value

    def required_quietly(self, name: str) -> int | bool | str:
        """As :meth:`required`, without a line of explanation for a value as shipped."""
        if name not in self.overrides:
            value = self.parameter(name).value
            if value is not None:
                return value
        return self.required(name)

    def whole(self, name: str) -> int:
        """A required whole number."""
        return int(self.required(name))

    def flag(self, name: str) -> bool:
        """A yes or no; a pack without the parameter says no."""
        if name not in self.overrides and self.pack.parameter(name) is None:
            return False
        return self.value(name) is True

    # -- output -----------------------------------------------------------------------------

    def explain(self, rule: str, cited: Cited, inputs: dict[str, Any]) -> None:
        """Note a rule that took part, citing a value of the pack."""
        self.explanation.append(Explanation(rule, cited.clause, inputs, cited.reading, cited.discrepancy))

    def warn(self, code: str, **values: object) -> None:
        """Add a warning once."""
        if all(warning.code != code for warning in self.warnings):
            self.warnings.append(AssessmentWarning(code, WARNINGS[code].format_map(values)))

    def refused(self, refusal: Refusal) -> Assessment:
        """The refused answer, with what was found out until then."""
        return Assessment(
            outcome=Outcome.REFUSED,
            pack=self.pack.ref,
            warnings=tuple(self.warnings),
            refusal=refusal,
            explanation=tuple(self.explanation),
        )

    def answer(
        self,
        legs: tuple[Leg, ...],
        *,
        matching: Fen = ZERO,
        family_planning: Fen = ZERO,
        late: bool = False,
        entitled: tuple[dt.date, dt.date] | None = None,
    ) -> Assessment:
        """The answer from its legs; legs of nothing are left out."""
        kept = tuple(leg for leg in legs if leg.fen)
        personal = Fen(sum(leg.fen for leg in kept if leg.payer is Payer.PERSON))
        return Assessment(
            outcome=Outcome.DUE if personal else Outcome.NOTHING_DUE,
            pack=self.pack.ref,
            standard_fen=Fen(sum(leg.fen for leg in kept)),
            personal_fen=personal,
            legs=kept,
            matching_subsidy_fen=matching,
            family_planning_fen=family_planning,
            late=late,
            entitled_from=None if entitled is None else entitled[0],
            entitled_to=None if entitled is None else entitled[1],
            warnings=tuple(self.warnings),
            explanation=tuple(self.explanation),
        )
