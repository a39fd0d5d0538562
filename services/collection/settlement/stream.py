"""Where settlements live."""

from __future__ import annotations

import datetime as dt

from services.collection.settlement.domain import Day, evolve
from services.collection.settlement.events import DepositFileReceived
from shared.eventstore.streams import Category, Stream
from shared.kernel.division import parse_campaign
from shared.kernel.events import Event

SETTLEMENT = Category("settlement", Day(), evolve)


def settlement_stream(campaign: str, owner: str, date: dt.date) -> Stream[Day]:
    """``settlement:{campaign}:{village or channel}:{date}``, in the era of the campaign's year."""
    return SETTLEMENT.stream(campaign, owner, date.isoformat(), era=parse_campaign(campaign)[1])


def _digest_of(state: str, event: Event) -> str:
    return event.digest if isinstance(event, DepositFileReceived) else state


DEPOSIT_FILE = Category("process", "", _digest_of)


def deposit_file_stream(bank: str, file_no: str) -> Stream[str]:
    """``process:deposit-file:{bank}:{file_no}``; its state is the file's digest."""
    return DEPOSIT_FILE.stream("deposit-file", bank, file_no)
