"""Words and building blocks of a policy pack: closed sets, cited values, spans of days."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

import msgspec

from shared.kernel.insurance import Insurance as Insurance  # noqa: PLC0414 - re-exported
from shared.kernel.insurance import Payer as Payer  # noqa: PLC0414 - re-exported


class Reading(StrEnum):
    """How a value stands to the text: printed in it, or read into it."""

    PRINTED = "printed"
    INFERRED = "inferred"
    EXTERNAL = "external"
    CARRIED_OVER = "carried_over"


class ChannelKind(StrEnum):
    """How a payer meets a channel: through a village agent, online, or at a counter."""

    AGENT = "AGENT"
    ONLINE = "ONLINE"
    COUNTER = "COUNTER"


class PhaseKind(StrEnum):
    """阶段: preparation, collection, treasury entry, data entry (2018), notice."""

    PREPARATION = "PREPARATION"
    COLLECTION = "COLLECTION"
    TREASURY = "TREASURY"
    DATA_ENTRY = "DATA_ENTRY"
    NOTICE = "NOTICE"


class NoticeKind(StrEnum):
    """公示 kinds. PRIOR_YEAR is DZ-2018's publication of last year's payments."""

    ROSTER = "ROSTER"
    PRE_DECLARATION = "PRE_DECLARATION"
    POST_TREASURY = "POST_TREASURY"
    YEAR_END = "YEAR_END"
    PRIOR_YEAR = "PRIOR_YEAR"


class HouseholdMode(StrEnum):
    """虚拟户 mode. UNSPECIFIED refuses until an operator decides it in the pack (D-42)."""

    FULL = "FULL"
    FALLBACK = "FALLBACK"
    NONE = "NONE"
    UNSPECIFIED = "UNSPECIFIED"


class AgeMode(StrEnum):
    """Reference date of an age: 31 December before the insured year, or the payment date."""

    YEAR_END_BEFORE = "YEAR_END_BEFORE"
    PAYMENT_DATE = "PAYMENT_DATE"


class LateAmount(StrEnum):
    """逾期缴费 amount: personal part and fiscal subsidy, personal part only, or a parameter."""

    FULL_COST = "FULL_COST"
    PERSONAL_PART = "PERSONAL_PART"
    PARAMETER = "PARAMETER"


class ParameterKind(StrEnum):
    """Unit or type of a parameter's value."""

    YUAN = "yuan"
    DAYS = "days"
    MONTHS = "months"
    YEARS = "years"
    CHOICE = "choice"
    FLAG = "flag"
    DATE = "date"
    CATEGORIES = "categories"


class Cited(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value with where it comes from."""

    clause: str
    reading: Reading = Reading.PRINTED
    discrepancy: str = ""


class Named(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something people call by a code, its Chinese term or an alias."""

    code: str
    term: str
    aliases: tuple[str, ...] = ()


class Span(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Calendar days, both ends included."""

    start: dt.date = msgspec.field(name="from")
    end: dt.date = msgspec.field(name="to")

    def holds(self, day: dt.date) -> bool:
        """True when ``day`` lies inside."""
        return self.start <= day <= self.end

    @property
    def days(self) -> int:
        """Length in days."""
        return (self.end - self.start).days + 1


class Flag(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A yes or no of the plan."""

    value: bool


class Number(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole number: given, or named as a parameter that must give it."""

    value: int | None = None
    parameter: str = ""


class Choice(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A word from a closed set."""

    value: str
