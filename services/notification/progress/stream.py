"""Where bulletins live."""

from __future__ import annotations

import datetime as dt

from services.notification.progress.domain import evolve
from shared.eventstore.streams import Category, Stream
from shared.kernel.division import parse_campaign
from shared.kernel.insurance import Insurance

BULLETIN: Category[bool] = Category("process:progress-bulletin", False, evolve)


def bulletin(campaign: str, division: str, insurance: Insurance, day: dt.date) -> Stream[bool]:
    """``process:progress-bulletin:{campaign}:{division}:{insurance}:{day}``."""
    era = parse_campaign(campaign)[1]
    return BULLETIN.stream(campaign, division, insurance.value, day.isoformat(), era=era)
