"""Persons, campaigns and states the unit tests of collection start from."""

from __future__ import annotations

import datetime as dt
from typing import Any

from services.collection.obligations import events as e
from services.collection.obligations.domain import Obligation, evolve
from services.collection.obligations.facts import CampaignFact, EnrolmentLink, TaxpayerFact
from shared.kernel.clock import SHANGHAI
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance
from shared.policy import Pack, load_pack

CAMPAIGN = "370406-2020"
VILLAGE = "370406101201"
TODAY = dt.date(2019, 11, 1)


def campaign(pack: Pack | None = None, **changes: Any) -> CampaignFact:
    """Campaign 370406-2020, open, with ST-2020."""
    fields: dict[str, Any] = {
        "campaign": CAMPAIGN,
        "division": "370406",
        "year": 2020,
        "pack": pack or load_pack("ST-2020"),
        "window_from": dt.date(2019, 10, 1),
        "window_to": dt.date(2019, 12, 20),
    }
    return CampaignFact(**fields | changes)


def person(birth: dt.date = dt.date(1975, 5, 1), **changes: Any) -> TaxpayerFact:
    """p1, linked for both insurances of 2020."""
    links = tuple(
        EnrolmentLink(insurance, 2020, CAMPAIGN, VILLAGE, f"{insurance.value}-2020-p1")
        for insurance in Insurance
    )
    fields: dict[str, Any] = {
        "person_id": "p1",
        "taxpayer_no": "Tp1",
        "birth": birth,
        "sex": "F",
        "hukou_division": VILLAGE,
        "residence_permit": False,
        "student": False,
        "village": VILLAGE,
        "links": links,
    }
    return TaxpayerFact(**fields | changes)


def given(*events: Event) -> Obligation:
    """The state after events."""
    state = Obligation()
    for event in events:
        state = evolve(state, event)
    return state


def received(fen: int = 26000, insurance: Insurance = Insurance.MEDICAL) -> e.PaymentReceived:
    """p1 paid."""
    return e.PaymentReceived(
        payment_id="WECHAT-1",
        line_id="WECHAT-1/1",
        order_no="1",
        channel="WECHAT",
        person_id="p1",
        insurance=insurance,
        year=2020,
        campaign=CAMPAIGN,
        village=VILLAGE,
        fen=fen,
        assessment_id=f"2020-{insurance.value}-p1-1",
        assessment_version=1,
        paid_at=dt.datetime(2019, 11, 2, 9, tzinfo=SHANGHAI),
    )
