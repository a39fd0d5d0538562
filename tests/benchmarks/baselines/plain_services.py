"""Baselines without a database: FastAPI with a pydantic body, and a bare ASGI reply."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from tests.benchmarks.baselines.orm_service import OrderBody

REPLY = b'{"payment_id":"0","status":"RECEIVED"}'


def fastapi_app() -> FastAPI:
    """A route with a pydantic body and nothing behind it."""
    app = FastAPI()

    @app.get("/readyz")
    async def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.post("/payments", status_code=201)
    async def record(body: OrderBody) -> dict[str, str]:
        return {"payment_id": body.order_no, "status": "RECEIVED"}

    return app


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body, answers 201."""
    if scope["type"] != "http":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    status = 200 if scope["method"] == "GET" else 201
    length = str(len(REPLY)).encode()
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": REPLY})
