"""Rates of a campaign by the measures its pack names (D-53, I-32). Pure.

45–59 is paid ÷ eligible, the younger band paid ÷ enrolled, 应保尽保 paid ÷ eligible with the list of the
missing, and YC-2023 compares with the year before; both quotients are always shown.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shared.kernel.division import within
from shared.kernel.identity import full_years
from shared.kernel.insurance import Insurance
from shared.policy import AssessmentRequest, Hukou, Pack
from shared.policy import Insurance as PackInsurance
from shared.policy.eligibility import check_eligible
from shared.policy.model import Target
from shared.policy.reckoning import Reckoning, RefusedError

OVER_ENROLLED = "PAID_OVER_ENROLLED"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """All that decides whether somebody may be insured; many people share them."""

    birth: dt.date
    hukou_division: str
    residence_permit: bool
    student: bool
    employee: bool
    elsewhere: bool


@dataclass(frozen=True, slots=True)
class Group:
    """People of one village and insurance in equal circumstances: how many, enrolled or not, paid for or not."""

    village: str
    circumstances: Circumstances
    enrolled: bool
    paid: bool
    persons: int


@dataclass(frozen=True, slots=True)
class Band:
    """Ages a target speaks of; both None for everybody."""

    age_from: int | None = None
    age_to: int | None = None

    @property
    def label(self) -> str:
        """``45-59``, or ``ALL``."""
        return "ALL" if self.age_from is None else f"{self.age_from}-{self.age_to}"

    def holds(self, birth: dt.date, on: dt.date) -> bool:
        """Whether somebody of that birth is in the band on a day."""
        age = full_years(birth, on)
        return (self.age_from is None or age >= self.age_from) and (self.age_to is None or age <= self.age_to)


@dataclass(slots=True)
class Count:
    """People of a village and band."""

    eligible: int = 0
    enrolled: int = 0
    paid: int = 0

    @property
    def paid_over_eligible(self) -> float:
        """0.0 for nobody."""
        return self.paid / self.eligible if self.eligible else 0.0

    @property
    def paid_over_enrolled(self) -> float:
        """0.0 for nobody."""
        return self.paid / self.enrolled if self.enrolled else 0.0

    def rate(self, measure: str) -> float:
        """The quotient a target's measure means."""
        return self.paid_over_enrolled if measure == OVER_ENROLLED else self.paid_over_eligible


@dataclass(slots=True)
class Eligibility:
    """Who may be insured by a pack; judged once per circumstances.

    Ages count on the last day of the window (D-05).
    """

    pack: Pack
    insurance: Insurance
    on: dt.date
    _known: dict[Circumstances, bool] = field(default_factory=dict)

    def of(self, circumstances: Circumstances) -> bool:
        """Whether the pack insures somebody in these circumstances (I-04, I-05)."""
        known = self._known.get(circumstances)
        if known is None:
            known = self._known[circumstances] = self._judge(circumstances)
        return known

    def _judge(self, given: Circumstances) -> bool:
        if given.birth > self.on:
            return False
        inside = within(given.hukou_division, self.pack.region.division)
        request = AssessmentRequest(
            insurance=PackInsurance(self.insurance.value),
            birth=given.birth,
            paid_at=self.on,
            hukou=Hukou.IN if inside else Hukou.OUT,
            permit=given.residence_permit,
            student=given.student,
            employee_insured=given.employee,
            paid_elsewhere=given.elsewhere,
        )
        try:
            check_eligible(Reckoning(self.pack, request))
        except RefusedError:
            return False
        return True


def a_year_before(day: dt.date) -> dt.date:
    """The same day of the year before; 28 February for the 29th."""
    last = 28 if day.month == 2 else day.day
    return dt.date(day.year - 1, day.month, min(day.day, last))


def targets_of(pack: Pack, insurance: Insurance) -> Sequence[Target]:
    """The pack's targets for an insurance."""
    return [target for target in pack.document.targets if target.insurance.value == insurance.value]


def count_groups(
    groups: Iterable[Group], eligibility: Eligibility, bands: Sequence[Band]
) -> dict[tuple[str, Band], Count]:
    """Counts per village and band. Whoever is enrolled counts as enrolled, eligible today or not."""
    found: dict[tuple[str, Band], Count] = {}
    for group in groups:
        eligible = eligibility.of(group.circumstances)
        if not eligible and not group.enrolled:
            continue
        for band in bands:
            if not band.holds(group.circumstances.birth, eligibility.on):
                continue
            count = found.setdefault((group.village, band), Count())
            count.eligible += group.persons if eligible else 0
            count.enrolled += group.persons if group.enrolled else 0
            count.paid += group.persons if group.paid else 0
    return found
