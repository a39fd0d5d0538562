"""The events one line of an order can become. Pure."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from services.collection.obligations import events as e
from services.collection.obligations.domain import Assessment, PaidLine
from services.collection.obligations.facts import AgentFact
from services.collection.payments.orders import Order, OrderLine
from shared.kernel.events import Event


class LineRecorder(msgspec.Struct, frozen=True):
    """Makes the events of one line."""

    order: Order
    line: OrderLine
    line_id: str
    assessment: Assessment

    @property
    def _serial(self) -> str:
        receipt = self.order.receipt
        return f"{receipt.book_no}:{receipt.serial_no}" if receipt is not None else ""

    def received(self, agent: AgentFact | None, late: bool, out_of_window: bool) -> Event:
        """Spelled out: nearly every line becomes this one, and a dict in between costs as much as the event."""
        order, line, due = self.order, self.line, self.assessment
        return e.PaymentReceived(
            payment_id=order.payment_id,
            line_id=self.line_id,
            order_no=order.order_no,
            channel=order.channel,
            person_id=line.person_id,
            insurance=line.insurance,
            year=line.year,
            campaign=due.campaign,
            village=due.village,
            fen=line.fen,
            paid_at=order.paid_at,
            agent_id=order.agent_id,
            receipt_serial=self._serial,
            assessment_id=due.assessment_id,
            assessment_version=due.version,
            virtual_household_id=agent.virtual_household_id if agent is not None else "",
            late=late,
            out_of_window=out_of_window,
            standard_fen=due.standard_fen,
            tier_yuan=due.tier_yuan,
            special_assessment_no=due.special_assessment_no,
        )

    def _taken(self) -> dict[str, Any]:
        order, line, due = self.order, self.line, self.assessment
        return {
            "payment_id": order.payment_id,
            "line_id": self.line_id,
            "order_no": order.order_no,
            "channel": order.channel,
            "person_id": line.person_id,
            "insurance": line.insurance,
            "year": line.year,
            "campaign": due.campaign,
            "village": due.village,
            "fen": line.fen,
            "paid_at": order.paid_at,
            "agent_id": order.agent_id,
            "receipt_serial": self._serial,
        }

    def duplicate(self, effective: PaidLine) -> Event:
        return e.DuplicatePaymentDetected(
            **self._taken(),
            effective_line_id=effective.line_id,
        )

    def after_death(self, died_on: dt.date) -> Event:
        return e.PostDeathPaymentDetected(
            **self._taken(),
            died_on=died_on,
            was_effective=False,
        )

    def misfit(self, kind: str) -> Event:
        return e.MisfitPaymentDetected(
            kind=kind,
            **self._taken(),
        )
