"""``python -m services.registration``: one process, one event loop, one writer."""

from __future__ import annotations

from services.registration.settings import RegistrationSettings
from shared.web.serving import serve


def main() -> None:
    """Serve until told to stop. Never more than one worker: the log has one writer a process."""
    serve("services.registration.app:create_app", RegistrationSettings())


if __name__ == "__main__":
    main()
