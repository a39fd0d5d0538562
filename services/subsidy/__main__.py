"""``python -m services.subsidy``: one process, one event loop, one writer."""

from __future__ import annotations

import uvicorn

from shared.web.settings import ServiceSettings


def main() -> None:
    """Serve until told to stop. Never more than one worker: the log has one writer a process."""
    settings = ServiceSettings()
    uvicorn.run(
        "services.subsidy.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=20,
    )


if __name__ == "__main__":
    main()
