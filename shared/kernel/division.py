"""Administrative divisions (行政区划): 6 digits county, 3 town, 3 village; and campaign ids."""

from __future__ import annotations

import re

_CODE = re.compile(r"\d{6}(\d{3}(\d{3})?)?\Z", re.ASCII)
_CAMPAIGN = re.compile(r"(\d{6}(?:\d{3})?)-(\d{4})\Z", re.ASCII)


def is_division(code: str) -> bool:
    """True for a county (6), town (9) or village (12 digits) code."""
    return _CODE.match(code) is not None


def county(code: str) -> str:
    """First 6 digits: the shard key of a log."""
    return code[:6]


def town(code: str) -> str:
    """First 9 digits (镇、街道)."""
    return code[:9]


def within(code: str, scope: str) -> bool:
    """True when ``code`` is ``scope`` or lies inside it; the empty scope holds everything.

    County and prefecture codes are padded with zeros in the national list (370400): the
    prefecture scope ``3704`` is written without them.
    """
    return code.startswith(scope)


def campaign_id(division: str, year: int) -> str:
    """Campaign of a division for an insured year, e.g. ``370406-2020``."""
    return f"{division}-{year:04d}"


def parse_campaign(campaign: str) -> tuple[str, int]:
    """Division and insured year of a campaign id. Raises ValueError when it is none."""
    match = _CAMPAIGN.match(campaign)
    if match is None:
        raise ValueError("not a campaign id")
    return match[1], int(match[2])
