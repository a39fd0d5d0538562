"""Payments, wired."""

from __future__ import annotations

from dataclasses import dataclass

from services.collection.payments.api import payments_import, router, thin_payment
from services.collection.payments.consumer import DeathsNoted
from services.collection.payments.handlers import PaymentFacts, Payments
from services.collection.payments.projection import PaymentLines
from services.collection.payments.queries import CampaignYears
from shared.web.capability import Capability
from shared.web.service import Ports, ThinRoute


@dataclass(frozen=True, slots=True)
class PaymentsWired:
    """The capability, its thin route, and the handlers that settlement records a day file's orders with."""

    capability: Capability
    thin: ThinRoute
    payments: Payments


def wire(ports: Ports, facts: PaymentFacts) -> PaymentsWired:
    """Payments over the service's ports and its siblings' facts."""
    campaigns = CampaignYears(ports.database)
    payments = Payments(ports.store, facts, campaigns)
    kind = payments_import(ports.store, facts, campaigns)
    ports.imports.register(kind)
    return PaymentsWired(
        Capability(
            projections=[PaymentLines()],
            reactions=[DeathsNoted()],
            routers=[router(payments, ports, kind)],
        ),
        thin_payment(payments),
        payments,
    )
