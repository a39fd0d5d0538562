"""``python -m deploy.rehearsal``: the outside world as one process.

Environment: LIANGXIAN_HOST, LIANGXIAN_PORT, LIANGXIAN_PORT_BASE, LIANGXIAN_DATA (its own folder),
LIANGXIAN_ORGANISATIONS; LIANGXIAN_REHEARSAL must be 1.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI
from httpx_aiohttp import AiohttpTransport

from deploy.rehearsal.books import Books
from deploy.rehearsal.clients import Services
from deploy.rehearsal.outside import World
from deploy.rehearsal.world import create_world, lifespan_of


def app_from_environment() -> FastAPI:
    """The world over its own file and the services of this machine."""
    books = Books.connect(Path(os.environ["LIANGXIAN_DATA"]) / "world.sqlite")
    http = httpx.AsyncClient(timeout=600, transport=AiohttpTransport())
    host = os.environ.get("LIANGXIAN_HOST", "127.0.0.1")
    organisations = Path(os.environ["LIANGXIAN_ORGANISATIONS"])
    services = Services.on(int(os.environ.get("LIANGXIAN_PORT_BASE", "8101")), organisations, http, host)
    return create_world(World(books, services), lifespan_of(books, services))


def main() -> int:
    """Serve until told to stop."""
    if os.environ.get("LIANGXIAN_REHEARSAL") != "1":
        print("仅演练环境可用 / only in a rehearsal: set LIANGXIAN_REHEARSAL=1", file=sys.stderr)
        return 2
    uvicorn.run(
        app_from_environment(),
        host=os.environ.get("LIANGXIAN_HOST", "127.0.0.1"),
        port=int(os.environ.get("LIANGXIAN_PORT", "8110")),
        log_level="warning",
        access_log=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
