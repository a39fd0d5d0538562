"""The events one line of an order can become. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from services.collection.obligations import events as e
from services.collection.obligations.domain import Assessment, PaidLine
from services.collection.obligations.facts import AgentFact
from services.collection.payments.orders import Order, OrderLine
from shared.kernel.events import Event


@dataclass(frozen=True, slots=True)
class LineRecorder:
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
            assessment_id=due.assessment_id,
            assessment_version=due.version,
            paid_at=order.paid_at,
            agent_id=order.agent_id,
            virtual_household_id=agent.virtual_household_id if agent is not None else "",
            receipt_serial=self._serial,
            late=late,
            out_of_window=out_of_window,
            standard_fen=due.standard_fen,
            tier_yuan=due.tier_yuan,
            special_assessment_no=due.special_assessment_no,
        )

    def duplicate(self, effective: PaidLine) -> Event:
        order, line = self.order, self.line
        return e.DuplicatePaymentDetected(
            payment_id=order.payment_id,
            line_id=self.line_id,
            order_no=order.order_no,
            channel=order.channel,
            person_id=line.person_id,
            insurance=line.insurance,
            year=line.year,
            campaign=self.assessment.campaign,
            village=self.assessment.village,
            fen=line.fen,
            paid_at=order.paid_at,
            effective_line_id=effective.line_id,
            agent_id=order.agent_id,
            receipt_serial=self._serial,
        )

    def after_death(self, died_on: dt.date) -> Event:
        order, line = self.order, self.line
        return e.PostDeathPaymentDetected(
            payment_id=order.payment_id,
            line_id=self.line_id,
            order_no=order.order_no,
            channel=order.channel,
            person_id=line.person_id,
            insurance=line.insurance,
            year=line.year,
            campaign=self.assessment.campaign,
            village=self.assessment.village,
            fen=line.fen,
            paid_at=order.paid_at,
            died_on=died_on,
            was_effective=False,
            agent_id=order.agent_id,
            receipt_serial=self._serial,
        )

    def misfit(self, kind: str) -> Event:
        order, line = self.order, self.line
        return e.MisfitPaymentDetected(
            kind=kind,
            payment_id=order.payment_id,
            line_id=self.line_id,
            order_no=order.order_no,
            channel=order.channel,
            person_id=line.person_id,
            insurance=line.insurance,
            year=line.year,
            campaign=self.assessment.campaign,
            village=self.assessment.village,
            fen=line.fen,
            paid_at=order.paid_at,
            agent_id=order.agent_id,
            receipt_serial=self._serial,
        )
