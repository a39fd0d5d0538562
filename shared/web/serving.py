"""Serving an app: one process, one event loop, one writer. Never ``--workers``."""

from __future__ import annotations

import uvicorn

from shared.web.settings import ServiceSettings

GRACEFUL_SECONDS = 20


def serve(factory: str, settings: ServiceSettings) -> None:
    """Serve until told to stop. factory: ``services.collection.app:create_app``."""
    uvicorn.run(
        factory,
        factory=True,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
