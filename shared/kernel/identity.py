"""The resident identity number (公民身份号码), GB 11643: 17 digits and a check character.

No list of places is consulted: county codes come and go, and a list refuses people
who were born before their county had its code.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"


class Sex(StrEnum):
    """性别."""

    FEMALE = "F"
    MALE = "M"


def check_character(first17: str) -> str:
    """ISO 7064 MOD 11-2 check character of 17 digits."""
    return _CHECKS[sum(w * int(d) for w, d in zip(_WEIGHTS, first17, strict=True)) % 11]


def identity_fault(number: str, today: dt.date) -> str | None:
    """Why ``number`` is not a resident identity number, or None when it is one (I-03).

    Answers a rule name: ID_LENGTH, ID_DIGITS, ID_BIRTH_DATE, ID_CHECK_CHARACTER.
    """
    if len(number) != 18:
        return "ID_LENGTH"
    if not (number[:17].isascii() and number[:17].isdigit()) or number[17] not in "0123456789X":
        return "ID_DIGITS"
    try:
        birth = dt.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return "ID_BIRTH_DATE"
    if not dt.date(1850, 1, 1) <= birth <= today:
        return "ID_BIRTH_DATE"
    if check_character(number[:17]) != number[17]:
        return "ID_CHECK_CHARACTER"
    return None


def birth_of(number: str) -> dt.date:
    """Birth date inside a valid number."""
    return dt.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))


def sex_of(number: str) -> Sex:
    """Sex inside a valid number: 17th digit odd is male."""
    return Sex.MALE if int(number[16]) % 2 else Sex.FEMALE


def full_years(birth: dt.date, on: dt.date) -> int:
    """Age in full years (周岁) on a date; someone born on 29 February turns on 1 March."""
    return on.year - birth.year - ((on.month, on.day) < (birth.month, birth.day))
