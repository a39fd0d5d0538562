"""Where reconciliations live."""

from __future__ import annotations

import datetime as dt

from services.collection.reconciliation.domain import Reconciliation, evolve
from shared.eventstore.streams import Category, Stream
from shared.kernel.division import parse_campaign

RECONCILIATION = Category("reconciliation", Reconciliation(), evolve)


def day_stream(campaign: str, date: dt.date) -> Stream[Reconciliation]:
    """``reconciliation:{campaign}:{date}``."""
    return RECONCILIATION.stream(campaign, date.isoformat(), era=parse_campaign(campaign)[1])


def month_stream(campaign: str, month: str) -> Stream[Reconciliation]:
    """``reconciliation:{campaign}:{YYYY-MM}``: the month's four-party reconciliation."""
    return RECONCILIATION.stream(campaign, month, era=parse_campaign(campaign)[1])
