"""Fields of request bodies and queries, with the bounds of ``shared.kernel.bounds`` (请求字段)."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field
from pydantic.config import JsonDict

from shared.kernel.bounds import FIRST_DAY, LAST_DAY, MOST, MOST_FEN, SCHEMA, out_of_calendar

_SCHEMA: JsonDict = {**SCHEMA}


def _in_calendar(moment: dt.datetime) -> dt.datetime:
    if out_of_calendar(moment):
        raise ValueError("out of range")
    return moment


Day = Annotated[dt.date, Field(ge=FIRST_DAY, le=LAST_DAY, json_schema_extra=_SCHEMA)]
"""日期 / a calendar day in Asia/Shanghai, 1900 to 2199."""

Moment = Annotated[AwareDatetime, AfterValidator(_in_calendar), Field(json_schema_extra=_SCHEMA)]
"""时刻 / a moment with its offset, 1900 to 2199."""

Count = Annotated[int, Field(le=MOST)]
"""数量 / how many, or which version or row."""

Fen = Annotated[int, Field(le=MOST_FEN)]
"""金额，分 / money."""
