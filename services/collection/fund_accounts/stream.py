"""Where fund accounts, deposits, payment documents, villages' accounts and weekly statistics live."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from services.collection.fund_accounts.documents import CONFIRMED, Document, evolve
from services.collection.fund_accounts.domain import (
    Accounts,
    VillageAccount,
    evolve_accounts,
    evolve_village,
)
from services.collection.fund_accounts.events import WeeklyStatisticsCompiled
from shared.eventstore.streams import Category, Stream
from shared.kernel.division import parse_campaign
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance

ACCOUNTS = Category("fund-account", Accounts(), evolve_accounts)
DOCUMENTS = Category("payment-document", Document(), evolve)
VILLAGES = Category("village-account", VillageAccount(), evolve_village)


def _known(state: bool, event: Event) -> bool:
    return True


DEPOSITS = Category("fund-deposit", False, _known)


@dataclass(frozen=True, slots=True)
class Movement:
    """A document's money in the treasury's words, for refunds: on its way until the agency confirmed."""

    document: Document

    @property
    def status(self) -> str:
        """ "", ISSUED while the money moves, IN_TREASURY once it is confirmed."""
        return movement_of(self.document.status)


def movement_of(status: str) -> str:
    """A document's status as refunds ask for it."""
    return "IN_TREASURY" if status == CONFIRMED else "ISSUED" if status else ""


def _moved(state: Movement, event: Event) -> Movement:
    return Movement(evolve(state.document, event))


MOVEMENTS = Category("payment-document", Movement(Document()), _moved)


def _rows(state: tuple[object, ...], event: Event) -> tuple[object, ...]:
    return (*state, *event.rows) if isinstance(event, WeeklyStatisticsCompiled) else state


STATISTICS: Category[tuple[object, ...]] = Category("statistics", (), _rows)


def accounts_stream(campaign: str, insurance: Insurance) -> Stream[Accounts]:
    """``fund-account:{campaign}:{insurance}``, in the era of the campaign's year."""
    return ACCOUNTS.stream(campaign, insurance.value, era=parse_campaign(campaign)[1])


def deposit_stream(campaign: str, deposit_no: str) -> Stream[bool]:
    """``fund-deposit:{deposit_no}``; its state says whether it is recorded."""
    return DEPOSITS.stream(deposit_no, era=parse_campaign(campaign)[1])


def document_stream(document_no: str) -> Stream[Document]:
    """``payment-document:{no}``: a document, so perennial; its number holds the campaign."""
    return DOCUMENTS.stream(document_no)


def movement_stream(document_no: str) -> Stream[Movement]:
    """The same stream as ``document_stream``, read as refunds read a voucher."""
    return MOVEMENTS.stream(document_no)


def village_stream(campaign: str, village: str) -> Stream[VillageAccount]:
    """``village-account:{campaign}:{village}``."""
    return VILLAGES.stream(campaign, village, era=parse_campaign(campaign)[1])


def statistics_stream(campaign: str, date: dt.date) -> Stream[tuple[object, ...]]:
    """``statistics:{campaign}:{date}``: the week's rows."""
    return STATISTICS.stream(campaign, date.isoformat(), era=parse_campaign(campaign)[1])
