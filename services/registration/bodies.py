"""Shapes that bodies of several capabilities share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

PersonId = Annotated[str, Field(min_length=1, max_length=64, examples=["9f2c4e1a7b3d4c5f8e6a0b1c2d3e4f50"])]
Number = Annotated[
    str,
    Field(
        max_length=18, description="公民身份号码 / resident identity number", examples=["370406199001011234"]
    ),
]
Village = Annotated[str, Field(pattern=r"^\d{12}$", examples=["370406101201"])]
Division = Annotated[str, Field(pattern=r"^\d{6}(\d{3}(\d{3})?)?$", examples=["370406"])]
Year = Annotated[int, Field(ge=2000, le=2100, description="参保年度 / insured year", examples=[2020])]


class Body(BaseModel):
    """A request body: unknown fields are refused, so a misspelt one is seen."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
