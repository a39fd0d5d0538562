"""Deciding an entry: nothing that is not paid, not arrived or not reconciled (先缴费后录入). Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import msgspec

from services.registration.data_entry import events as e
from services.registration.facts import Insured
from shared.kernel.bounds import InsuredYear
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.insurance import GOVERNMENT, Insurance

ON_LIST = "ON_LIST"
CLAUSE = "000:L270-276"


class EnterLeg(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Command: enter one payer leg of a person. operator: STATION, or VILLAGE where it uses the system itself."""

    person_id: str
    insurance: Insurance
    year: InsuredYear
    payer: str = "person"
    operator: str = "STATION"


@dataclass(frozen=True, slots=True)
class EntryLine:
    """What collection told of a leg: the deposit of its money, and the document it stands in; "" = not yet."""

    campaign: str
    village: str
    fen: int
    deposit_no: str
    document_no: str


@dataclass(frozen=True, slots=True)
class Entered:
    """State: (year, payer) of the legs that are entered."""

    legs: frozenset[tuple[int, str]] = field(default_factory=frozenset)


def evolve(state: Entered, event: Event) -> Entered:
    """Fold one event; the enrolment's own leave it unchanged."""
    if isinstance(event, e.EnrolmentEntered):
        return Entered(state.legs | {(event.year, event.payer)})
    return state


def enter_leg(
    state: Entered,
    command: EnterLeg,
    enrolment: Insured | None,
    line: EntryLine | None,
    paid: bool,
    gov_paid_effective: str,
    today: dt.date,
) -> Decision:
    """录入一笔. paid: collection said the person paid, whether or not the money arrived."""
    if enrolment is None or not enrolment.live:
        return Refusal("NOT_ENROLLED", rule="I-15", field="person_id", message="未参保登记 / not enrolled")
    if (command.year, command.payer) in state.legs:
        return []
    government = command.payer in GOVERNMENT
    by_list = government and gov_paid_effective == ON_LIST
    if line is None or not (line.deposit_no or (by_list and line.document_no)):
        if line is not None or paid:
            return Refusal(
                "NOT_ARRIVED", rule="I-15", clause=CLAUSE, field="person_id",
                message="资金未到账，不予录入 / the money has not arrived: not entered, not insured",
            )  # fmt: skip
        return Refusal(
            "NOT_PAID", rule="I-15", clause=CLAUSE, field="person_id",
            message="未缴费，不予录入 / not paid: not entered, not insured",
        )  # fmt: skip
    if not line.document_no:
        return Refusal(
            "NOT_RECONCILED", rule="I-20", clause="000:L155-166", field="person_id",
            message="村居尚未对账签字 / the village's reconciliation is not signed",
        )  # fmt: skip
    return [
        e.EnrolmentEntered(
            person_id=command.person_id,
            insurance=command.insurance,
            year=command.year,
            payer=command.payer,
            campaign=line.campaign,
            village=line.village,
            document_no=line.document_no,
            deposit_no=line.deposit_no,
            fen=line.fen,
            operator=command.operator,
            entered_on=today,
        )
    ]
