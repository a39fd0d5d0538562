"""The two insurances (两险) and who pays a part of a contribution."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Insurance(StrEnum):
    """险种."""

    MEDICAL = "medical"
    PENSION = "pension"


class Payer(StrEnum):
    """Who a payer leg (缴费分担) falls on. DEPARTMENT and FINANCE are government legs (代缴)."""

    PERSON = "person"
    VILLAGE = "village"
    SPONSOR = "sponsor"
    DEPARTMENT = "department"
    FINANCE = "finance"


GOVERNMENT = frozenset({Payer.DEPARTMENT, Payer.FINANCE})


class Leg(msgspec.Struct, frozen=True):
    """One payer's part of a contribution, in fen; all legs sum to the personal standard (I-12)."""

    payer: Payer
    fen: int
