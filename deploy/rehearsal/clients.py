"""Speaking to the four services as the organisations of the outside world do: tokens, keys, patience.

A service that is being restarted is waited for; a refusal (4xx) is an answer, not a failure.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import stamina
import yaml

stamina.instrumentation.set_on_retry_hooks(())
"""Its own hooks would write to stdout, which belongs to whoever calls."""

SERVICES = ("registration", "collection", "subsidy", "notification")
PATIENCE_SECONDS = 180.0
AGAIN = frozenset({408, 429, 500, 502, 503, 504})
"""Answers after which the same request is sent again, with the same key."""
AGAIN_CODES = frozenset({"IDEMPOTENCY_KEY_IN_USE", "CONCURRENT_CHANGE"})


class UnexpectedAnswerError(Exception):
    """A service answered what the rehearsal has no use for; carries route, status and problem code only."""

    def __init__(self, method: str, path: str, status: int, code: str) -> None:
        super().__init__(f"{method} {path}: {status} {code}")
        self.status = status
        self.code = code


class _NotYetError(Exception):
    """No answer, or one that asks for patience."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status, JSON body (None when there is none), and the headers a caller may need."""

    status: int
    body: Any
    replayed: bool
    position: int

    @property
    def code(self) -> str:
        """The problem's code of a refusal, else empty."""
        return str(self.body.get("code", "")) if self.status >= 400 and isinstance(self.body, dict) else ""

    @property
    def rule(self) -> str:
        """The problem's rule of a refusal, else empty."""
        return str(self.body.get("rule", "")) if self.status >= 400 and isinstance(self.body, dict) else ""


def secrets_of(organisations: Path) -> dict[str, str]:
    """Client secrets by client id, from the development organisations file."""
    document = yaml.safe_load(organisations.read_text(encoding="utf-8"))
    return {client["client_id"]: client["client_secret"] for client in document["clients"]}


class Services:
    """The four services at their addresses, called as any of the development organisations."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        secrets: Mapping[str, str],
        http: httpx.AsyncClient,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._patience = patience_seconds
        self._addresses = dict(addresses)
        self._secrets = dict(secrets)
        self._http = http
        self._tokens: dict[tuple[str, str], str] = {}

    @classmethod
    def on(
        cls,
        port_base: int,
        organisations: Path,
        http: httpx.AsyncClient,
        host: str = "127.0.0.1",
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> Services:
        """The services of one machine: registration on the base port, the others behind it."""
        addresses = {name: f"http://{host}:{port_base + offset}" for offset, name in enumerate(SERVICES)}
        return cls(addresses, secrets_of(organisations), http, patience_seconds)

    def address(self, service: str) -> str:
        """Base address of a service."""
        return self._addresses[service]

    async def get(self, organisation: str, service: str, path: str, **query: str | int) -> Any:
        """The JSON of a GET that must succeed."""
        reply = await self.call(organisation, service, "GET", path, query=query)
        return self._good("GET", path, reply).body

    async def pages(
        self, organisation: str, service: str, path: str, *, page: int = 1000, **query: str | int
    ) -> AsyncIterator[dict[str, Any]]:
        """Every item of a paginated GET, so many at a time."""
        after = ""
        while True:
            found = await self.get(organisation, service, path, **{**query, "after": after, "limit": page})
            for item in found["items"]:
                yield item
            after = found["next"] or ""
            if not after:
                return

    async def post(self, organisation: str, service: str, path: str, body: Any, key: str = "") -> Reply:
        """A POST that must succeed (2xx). Raises UnexpectedAnswerError."""
        return self._good("POST", path, await self.ask(organisation, service, path, body, key))

    async def ask(self, organisation: str, service: str, path: str, body: Any, key: str = "") -> Reply:
        """A POST that may be refused."""
        headers = {"Idempotency-Key": key} if key else {}
        return await self.call(organisation, service, "POST", path, json=body, headers=headers)

    async def upload(
        self,
        organisation: str,
        service: str,
        path: str,
        content: bytes,
        key: str,
        kind: str = "application/x-ndjson",
    ) -> Reply:
        """A file handed in (202 and a job to poll)."""
        headers = {"Idempotency-Key": key, "Content-Type": kind}
        return self._good(
            "POST",
            path,
            await self.call(organisation, service, "POST", path, content=content, headers=headers),
        )

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
        last = 0
        try:
            async for attempt in stamina.retry_context(
                on=_NotYetError, attempts=None, timeout=self._patience, wait_initial=0.05, wait_max=2.0
            ):
                with attempt:
                    last = 0
                    try:
                        token = await self._token(organisation, service)
                        response = await self._http.request(
                            method,
                            self._addresses[service] + path,
                            params=dict(query) if query else None,
                            json=json,
                            content=content,
                            headers={**(headers or {}), "Authorization": f"Bearer {token}"},
                        )
                    except (httpx.TransportError, httpx.InvalidURL) as fault:
                        raise _NotYetError(type(fault).__name__) from None
                    last = response.status_code
                    if last == 401:
                        self._tokens.pop((organisation, service), None)
                        raise _NotYetError("401")
                    if last in AGAIN or (last == 409 and _code(response) in AGAIN_CODES):
                        raise _NotYetError(str(last))
                    return _reply(response)
        except _NotYetError:  # patience ended
            pass
        raise UnexpectedAnswerError(method, path, last, "NO_ANSWER")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def grant(self, organisation: str, service: str, scope: str = "") -> dict[str, Any]:
        """A token as the development issuer answers it. Raises KeyError for an unknown organisation."""
        response = await self._http.post(
            self._addresses[service] + "/oauth/token",
            data={"grant_type": "client_credentials", "scope": scope},
            auth=(organisation, self._secrets[organisation]),
        )
        if response.status_code != 200:
            raise _NotYetError(f"token {response.status_code}")
        granted: dict[str, Any] = response.json()
        return granted

    async def _token(self, organisation: str, service: str) -> str:
        known = self._tokens.get((organisation, service))
        if known is None:
            known = str((await self.grant(organisation, service))["access_token"])
            self._tokens[organisation, service] = known
        return known

    @staticmethod
    def _good(method: str, path: str, reply: Reply) -> Reply:
        if reply.status >= 400:
            raise UnexpectedAnswerError(method, path, reply.status, reply.code)
        return reply


def _code(response: httpx.Response) -> str:
    try:
        return str(response.json().get("code", ""))
    except ValueError:
        return ""


def _reply(response: httpx.Response) -> Reply:
    body: Any = None
    if response.content and "json" in response.headers.get("content-type", ""):
        body = msgspec.json.decode(response.content)
    position = response.headers.get("Log-Position", "0")
    return Reply(
        response.status_code,
        body if body is not None else response.text,
        response.headers.get("Idempotency-Replayed") == "true",
        int(position) if position.isdigit() else 0,
    )
