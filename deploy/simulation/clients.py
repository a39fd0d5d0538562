"""The outside's way to the services: requests straight into their apps, answered, lost or sent again.

Whoever gets no answer asks again with the same key, as ``deploy.rehearsal.clients`` does over sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from deploy.rehearsal.clients import AGAIN, AGAIN_CODES, Reply, Services, UnexpectedAnswerError
from deploy.simulation.fate import Fate
from deploy.simulation.plan import OUTSIDE
from deploy.simulation.services import Process
from shared.kernel.clock import Runtime

Front = Callable[[str], Process | None]
"""The process that serves a service now; None while it is down."""


class AnswersDifferError(Exception):
    """The same request with the same key was answered in two ways."""


BEGIN_DAY = "/ops/begin-day"
"""Needs no key: who asks again is told that the day has begun."""

PATIENCE_SECONDS = 120.0
PAUSES = (0.02, 1.0)


class NoAnswerError(Exception):
    """The connection was refused, or broke."""


class SimulatedServices(Services):
    """See clients.Services. tokens: by client."""

    def __init__(self, front: Front, tokens: Mapping[str, str], fate: Fate, runtime: Runtime) -> None:
        self._front = front
        self._bearers = tokens
        self._fate = fate
        self._runtime = runtime

    async def call(
        self,
        organisation: str,
        service: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request, sent until it is answered. Raises UnexpectedAnswerError when patience ends."""
        body = content if content is not None else b"" if json is None else msgspec.json.encode(json)
        lines = {"content-type": "application/json", **(headers or {})}
        lines["authorization"] = f"Bearer {self._bearers[organisation]}"
        scope = _scope(method, path, urlencode(query or {}), lines, body)
        until, pause, last = self._runtime.monotonic() + PATIENCE_SECONDS, PAUSES[0], 0
        while self._runtime.monotonic() < until:
            try:
                status, answered, content = await self._send(service, scope, body)
            except NoAnswerError:
                last = 0
            else:
                last, reply = status, _reply(status, answered, content)
                if status not in AGAIN and reply.code not in AGAIN_CODES:
                    self._note(organisation, service, method, path, reply)
                    return reply
            await self._runtime.sleep(pause)
            pause = min(PAUSES[1], pause * 2)
        raise UnexpectedAnswerError(method, path, last, "NO_ANSWER")

    def _note(self, organisation: str, service: str, method: str, path: str, reply: Reply) -> None:
        if self._fate.traced and method != "GET":
            said = f" {reply.code}" if reply.code else " replayed" if reply.replayed else ""
            self._fate.note(f"{organisation} -> {service} {path}: {reply.status}{said}")

    async def _send(
        self, service: str, scope: dict[str, Any], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """One try. Raises NoAnswerError."""
        if self._fate.strikes("unsent", OUTSIDE) is not None:
            raise NoAnswerError
        twice = self._fate.strikes("doubled", OUTSIDE) is not None
        lost = self._fate.strikes("lost_answer", OUTSIDE) is not None
        tries = [self._deliver(service, scope, body) for _ in range(2 if twice else 1)]
        done = await asyncio.gather(*tries, return_exceptions=True)
        if any(name == b"idempotency-key" for name, _ in scope["headers"]) and scope["path"] != BEGIN_DAY:
            _compare([one for one in done if not isinstance(one, BaseException)], scope["path"])
        (answer, *_) = [one for one in done if not isinstance(one, BaseException)] or done
        if isinstance(answer, BaseException):
            raise answer
        if lost:
            raise NoAnswerError
        return answer

    async def _deliver(
        self, service: str, scope: dict[str, Any], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        process = self._front(service)
        if process is None:
            raise NoAnswerError
        answer: list[Any] = [0, {}, b""]
        arrived = False

        async def receive() -> dict[str, Any]:
            nonlocal arrived
            if arrived:
                await asyncio.Event().wait()
            arrived = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Mapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer[0] = message["status"]
                answer[1] = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            elif message["type"] == "http.response.body":
                answer[2] += message.get("body", b"")

        task = process.runtime.start(
            process.instance.app({**scope, "headers": scope["headers"]}, receive, send), "request"
        )
        await asyncio.wait([task])
        if process.dead or task.cancelled():
            raise NoAnswerError
        fault = task.exception()
        if fault is not None:
            raise fault
        return answer[0], answer[1], answer[2]


def _compare(answers: Sequence[tuple[int, dict[str, str], bytes]], path: str) -> None:
    """Two requests with one key are one command: both are told the same. Raises AnswersDifferError."""
    final = [(status, content) for status, _, content in answers if status < 400]
    told = [status for status, _, _ in answers if status not in AGAIN]
    if len(set(final)) > 1 or (final and any(status >= 400 and status != 409 for status in told)):
        raise AnswersDifferError(f"{path}: {sorted(status for status, _, _ in answers)}")
    refused = [content for status, _, content in answers if status == 409]
    if final and any(msgspec.json.decode(content)["code"] not in AGAIN_CODES for content in refused):
        raise AnswersDifferError(f"{path}: answered and refused")


def _scope(method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    lines = {name.lower(): value for name, value in headers.items()} | {"content-length": str(len(body))}
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in lines.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }


def _reply(status: int, headers: Mapping[str, str], content: bytes) -> Reply:
    body: Any = None
    if content:
        text = headers.get("content-type", "").partition(";")[0]
        body = msgspec.json.decode(content) if text.endswith("json") else content.decode()
    replayed = headers.get("idempotency-replayed", "") == "true"
    return Reply(status, body, replayed, int(headers.get("log-position", 0)))
