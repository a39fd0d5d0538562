"""Government's legs on payment documents (政府代缴): each once for ever, what does not fit by name (I-17, I-27)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from services.collection.fund_accounts import events as f
from services.collection.fund_accounts.handlers import government_command
from services.collection.obligations import events as e
from services.collection.obligations.domain import Obligation, evolve
from services.collection.obligations.stream import obligation
from shared.contracts.subsidy import GovernmentLine, GovernmentPaymentSubmittedV1
from shared.eventstore.commands import Accepted, IdempotencyKey
from shared.eventstore.streams import Metadata, Stream
from shared.kernel.clock import SHANGHAI
from shared.kernel.insurance import Insurance, Leg, Payer

CAMPAIGN, VILLAGE = "370406101-2018", "370406101201"
AT = dt.datetime(2017, 12, 8, tzinfo=SHANGHAI)
KEY = IdempotencyKey("", "draw_government_document", "k", b"")


class Given:
    """States of streams, as a batch would have loaded them."""

    def __init__(self, states: Mapping[str, Obligation], versions: Mapping[str, int]) -> None:
        self._states = states
        self._versions = versions

    def state(self, stream: Stream[Any]) -> Any:
        return self._states.get(stream.id, stream.category.initial)

    def version(self, stream: Stream[Any]) -> int:
        return self._versions.get(stream.id, 0)

    def fact(self, source: Any, key: Any) -> Any:
        raise AssertionError("a government document asks nobody")


def owed(person: str, government_fen: int) -> tuple[str, Obligation]:
    """An assessed obligation of which finance carries a part."""
    assessed = e.ContributionAssessed(
        assessment_id=f"2018-medical-{person}-1",
        version=1,
        person_id=person,
        insurance=Insurance.MEDICAL,
        year=2018,
        campaign=CAMPAIGN,
        village=VILLAGE,
        birth=dt.date(1955, 2, 2),
        standard_fen=18_000,
        legs=(Leg(Payer.PERSON, 18_000 - government_fen), Leg(Payer.FINANCE, government_fen)),
        pack_id="DZ-2018",
        pack_version=1,
        pack_digest="",
    )
    return obligation(2018, Insurance.MEDICAL, person).id, evolve(Obligation(), assessed)


def submitted(*lines: tuple[str, int]) -> GovernmentPaymentSubmittedV1:
    return GovernmentPaymentSubmittedV1(
        department="AGEING",
        payment_no="GP-1",
        campaign=CAMPAIGN,
        insurance=Insurance.MEDICAL,
        year=2018,
        part=1,
        parts=1,
        total_count=len(lines),
        total_fen=sum(fen for _, fen in lines),
        lines=tuple(
            GovernmentLine(person_id=person, village=VILLAGE, payer="finance", fen=fen)
            for person, fen in lines
        ),
    )


def decide(given: Given, message: GovernmentPaymentSubmittedV1) -> Accepted:
    answer = government_command(message, AT, Metadata("c"), KEY).decide(given)
    assert isinstance(answer, Accepted)
    return answer


def test_a_part_becomes_one_document_and_notes_its_legs() -> None:
    """One document per part; each leg is noted on its obligation; the part again writes nothing."""
    given = Given(dict([owed("p1", 9_000), owed("p2", 18_000)]), {})
    answer = decide(given, submitted(("p1", 9_000), ("p2", 18_000)))
    *legs, document = answer.appends
    assert [type(event).__name__ for append in legs for event in append.events] == [
        "GovernmentLegVouchered",
        "GovernmentLegVouchered",
    ]
    lines, drawn = document.events
    assert isinstance(lines, f.PaymentDocumentLines)
    assert isinstance(drawn, f.PaymentDocumentDrawn)
    assert (drawn.document_no, drawn.source, drawn.count, drawn.fen) == (
        "PD-GOV-GP-1-medical-p1",
        "GOVERNMENT",
        2,
        27_000,
    )
    again = Given({}, {document.stream.id: 2})
    assert decide(again, submitted(("p1", 9_000))).appends == ()


def test_a_leg_that_does_not_fit_is_left_out_by_name() -> None:
    """NOT_ASSESSED, LEG_DIFFERS, ALREADY_VOUCHERED: shown, never dropped, and no empty document is drawn."""
    name, state = owed("p2", 9_000)
    vouchered = e.GovernmentLegVouchered(
        person_id="p2",
        insurance=Insurance.MEDICAL,
        year=2018,
        campaign=CAMPAIGN,
        village=VILLAGE,
        payer="finance",
        fen=9_000,
        voucher_no="PD-GOV-GP-0-medical-p1",
    )
    given = Given(dict([owed("p1", 9_000), (name, evolve(state, vouchered))]), {})
    answer = decide(given, submitted(("p1", 18_000), ("p2", 9_000), ("p3", 9_000)))
    [document] = answer.appends
    assert [(type(event).__name__, event.reason) for event in document.events] == [  # type: ignore[attr-defined]
        ("GovernmentLineLeftOut", "LEG_DIFFERS"),
        ("GovernmentLineLeftOut", "ALREADY_VOUCHERED"),
        ("GovernmentLineLeftOut", "NOT_ASSESSED"),
    ]
