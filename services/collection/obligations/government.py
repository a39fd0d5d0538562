"""政府代缴: the government's legs of obligations, each paid by one document for ever (I-17, I-27)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.collection.obligations import events as e
from services.collection.obligations.stream import obligation
from shared.contracts.subsidy import GovernmentLine, GovernmentPaymentSubmittedV1
from shared.eventstore.commands import Append, Loaded
from shared.eventstore.streams import Stream


@dataclass(frozen=True, slots=True)
class TakenLegs:
    """taken: lines with the assessment they pay, in order; refused: lines and why (NOT_ASSESSED,
    ALREADY_VOUCHERED, LEG_DIFFERS); appends: what the obligations keep of the taken ones."""

    taken: Sequence[tuple[GovernmentLine, Any]]
    refused: Sequence[tuple[GovernmentLine, str]]
    appends: Sequence[Append]


def owed_streams(message: GovernmentPaymentSubmittedV1) -> Mapping[str, Stream[Any]]:
    """The obligation of each person of a payment."""
    return {
        line.person_id: obligation(message.year, message.insurance, line.person_id) for line in message.lines
    }


def take_legs(
    message: GovernmentPaymentSubmittedV1, owed: Mapping[str, Stream[Any]], loaded: Loaded, document: str
) -> TakenLegs:
    """Which legs ``document`` (a voucher or a payment document) pays: those assessed so, and not paid yet."""
    taken: list[tuple[GovernmentLine, Any]] = []
    refused: list[tuple[GovernmentLine, str]] = []
    appends: list[Append] = []
    done: set[tuple[str, str]] = set()
    for line in message.lines:
        state = loaded.state(owed[line.person_id])
        reason = _refused(line, state, done)
        if reason:
            refused.append((line, reason))
            continue
        done.add((line.person_id, line.payer))
        taken.append((line, state.assessment))
        vouchered = e.GovernmentLegVouchered(
            person_id=line.person_id,
            insurance=message.insurance,
            year=message.year,
            campaign=message.campaign,
            village=line.village,
            payer=line.payer,
            fen=line.fen,
            voucher_no=document,
        )
        appends.append(Append(owed[line.person_id], [vouchered]))
    return TakenLegs(taken, refused, appends)


def _refused(line: GovernmentLine, state: Any, done: set[tuple[str, str]]) -> str:
    if state.assessment is None:
        return "NOT_ASSESSED"
    if line.payer in state.vouchered_legs or (line.person_id, line.payer) in done:
        return "ALREADY_VOUCHERED"
    assessed = sum(leg.fen for leg in state.assessment.legs if leg.payer.value == line.payer)
    return "" if assessed == line.fen and line.fen > 0 else "LEG_DIFFERS"
