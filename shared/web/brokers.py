"""The broker a process speaks to, by setting."""

from __future__ import annotations

from shared.kernel.clock import Runtime
from shared.messaging.broker import Broker
from shared.web.settings import BrokerKind, ServiceSettings


def open_broker(settings: ServiceSettings, runtime: Runtime) -> Broker:
    """The adapter, not yet started."""
    address = settings.broker_url.get_secret_value()
    if settings.broker is BrokerKind.KAFKA:
        from shared.messaging.kafka import KafkaBroker

        return KafkaBroker(address, runtime)
    from shared.messaging.embedded import EmbeddedBroker

    return EmbeddedBroker(address, runtime)
