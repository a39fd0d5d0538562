"""``python -m services.collection``: one process, one event loop, one writer."""

from __future__ import annotations

from services.collection.settings import CollectionSettings
from shared.web.serving import serve


def main() -> None:
    """Serve until told to stop. Never more than one worker: the log has one writer a process."""
    serve("services.collection.app:create_app", CollectionSettings())


if __name__ == "__main__":
    main()
