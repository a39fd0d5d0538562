"""Where bookings, pension accounts and return documents live."""

from __future__ import annotations

from functools import lru_cache

from services.registration.accounts.domain import (
    Account,
    Counted,
    Ledger,
    Return,
    evolve,
    evolve_account,
    evolve_counted,
    evolve_return,
)
from shared.eventstore.streams import RECENT, Category, Stream

LEDGER = Category("cover", Ledger(), evolve)
ACCOUNT = Category("account", Account(), evolve_account)
COUNTED = Category("process", Counted(), evolve_counted)
RETURN = Category("process", Return(), evolve_return)


@lru_cache(maxsize=RECENT)
def ledger(year: int, person_id: str) -> Stream[Ledger]:
    """``cover:{year}:{person}``, in the era of its year."""
    return LEDGER.stream(year, person_id, era=year)


@lru_cache(maxsize=RECENT)
def account(person_id: str) -> Stream[Account]:
    """``account:{person}``, lifelong."""
    return ACCOUNT.stream(person_id)


def return_process(return_no: str) -> Stream[Return]:
    """``process:return:{return_no}``."""
    return RETURN.stream("return", return_no)


def counted(campaign: str) -> Stream[Counted]:
    """``process:fiscal-heads:{campaign}``."""
    return COUNTED.stream("fiscal-heads", campaign)
