"""Authentication for every route alike (认证): a pure ASGI middleware, and scopes as a dependency.

``add_route`` and thin ASGI routes skip FastAPI's dependencies, so who is calling is settled before any
router runs; a route without a token answers 401 whether it exists or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi.openapi.models import OAuth2 as OAuth2Model
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.security.base import SecurityBase
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.kernel.errors import ProblemError, Refusal
from shared.security.principal import Principal
from shared.security.tokens import InvalidTokenError, TokenVerifier
from shared.web.context import correlation_of
from shared.web.problems import problem_response

OPEN_PATHS = frozenset(
    {"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/.well-known/jwks.json"}
)
OPEN_POSTS = frozenset({"/oauth/token"})
SCHEME = "oauth2"


def is_open(method: str, path: str) -> bool:
    """True for the few routes that need no token."""
    return (method in ("GET", "HEAD") and path in OPEN_PATHS) or (method == "POST" and path in OPEN_POSTS)


class Authentication:
    """Puts the verified ``Principal`` into the request's scope or answers 401."""

    def __init__(self, app: ASGIApp, verifier: TokenVerifier) -> None:
        self._app = app
        self._verifier = verifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or is_open(scope.get("method", ""), scope.get("path", "")):
            await self._app(scope, receive, send)
            return
        try:
            scope["liangxian.principal"] = self._verifier.verify(_bearer(scope))
        except InvalidTokenError as fault:
            if scope["type"] != "http":
                await send({"type": "websocket.close", "code": 1008})
                return
            refusal = Refusal("UNAUTHENTICATED", rule=fault.rule)
            await problem_response(refusal, correlation_of(scope))(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _bearer(scope: Mapping[str, Any]) -> str:
    header = Headers(scope=dict(scope)).get("authorization", "")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise InvalidTokenError("TOKEN_MISSING")
    return token.strip()


def principal_of(scope: Mapping[str, Any]) -> Principal:
    """The caller the middleware found. Raises ProblemError 401 where it did not run."""
    principal = scope.get("liangxian.principal")
    if not isinstance(principal, Principal):
        raise ProblemError(Refusal("UNAUTHENTICATED", rule="TOKEN_MISSING"))
    return principal


def require_scope(principal: Principal, scope: str) -> Principal:
    """The principal when its token carries the scope, else 403 INSUFFICIENT_SCOPE."""
    if not principal.allows(scope):
        raise ProblemError(Refusal("INSUFFICIENT_SCOPE", rule=scope))
    return principal


def caller(request: HTTPConnection, scope: str, *alternatives: str) -> Principal:
    """Who calls a Starlette or thin route; 403 INSUFFICIENT_SCOPE unless the token carries a scope named."""
    principal = principal_of(request.scope)
    if any(principal.allows(other) for other in alternatives):
        return principal
    return require_scope(principal, scope)


def require_division(principal: Principal, division: str, field: str = "division") -> None:
    """403 DIVISION_FORBIDDEN unless ``division`` lies in the caller's divisions."""
    if not principal.covers(division):
        raise ProblemError(Refusal("DIVISION_FORBIDDEN", field=field))


class Authorised(SecurityBase):
    """``principal: Annotated[Principal, Depends(authorised("payments:write"))]`` in a FastAPI route.

    A coroutine, as FastAPI sends plain functions to a thread. Starlette and thin routes call ``caller``.
    """

    def __init__(self, scope: str, *alternatives: str) -> None:
        self.scope = scope
        self.alternatives = alternatives
        self.scheme_name = SCHEME
        self.model = OAuth2Model(
            flows=OAuthFlows(
                clientCredentials=OAuthFlowClientCredentials(tokenUrl="/oauth/token", scopes={})
            ),
            description="OAuth2 客户端凭证 / client credentials",
        )

    async def __call__(self, request: HTTPConnection) -> Principal:
        return caller(request, self.scope, *self.alternatives)


def authorised(scope: str, *alternatives: str) -> Authorised:
    """A dependency that answers the caller or 403; any one of the scopes will do. See ``Authorised``."""
    return Authorised(scope, *alternatives)
