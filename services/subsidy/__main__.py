"""``python -m services.subsidy``: one process, one event loop, one writer."""

from __future__ import annotations

from shared.web.serving import serve
from shared.web.settings import ServiceSettings


def main() -> None:
    """Serve until told to stop. Never more than one worker: the log has one writer a process."""
    serve("services.subsidy.app:create_app", ServiceSettings())


if __name__ == "__main__":
    main()
