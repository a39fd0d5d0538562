"""Bearer tokens (访问令牌): verified once, remembered for at most 60 seconds.

A signature costs as much as half a payment, so verified tokens are cached until min(exp, 60 s) in a bounded
table. Keys of a foreign issuer are fetched in the background and never on the path of a request.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from shared.kernel.clock import Runtime
from shared.security.principal import Principal

AUDIENCE = "liangxian"
ALGORITHMS = ("Ed25519", "ES256", "PS256", "RS256")
CACHE_SECONDS = 60.0
CACHE_SIZE = 4096
LEEWAY_SECONDS = 5.0
MAX_TOKEN_BYTES = 8192


class InvalidTokenError(Exception):
    """Why a token is refused, as a rule name; the token itself is never quoted."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class KeySource(Protocol):
    """Where the verifying keys come from."""

    def keys(self) -> KeySet | None:
        """The keys at hand, or None while none were fetched yet. Does no I/O."""
        ...


class OwnKeys:
    """Keys of the issuer in our own key file."""

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys

    def keys(self) -> KeySet | None:
        return self._keys


class RemoteKeys:
    """Keys of an OIDC issuer, refreshed in the background; an unreachable issuer leaves the last ones.

    issuer: its URL; the key address is read from ``/.well-known/openid-configuration``.
    """

    def __init__(
        self, issuer: str, client: httpx.AsyncClient, runtime: Runtime, every_seconds: float = 300.0
    ) -> None:
        self._issuer = issuer.rstrip("/")
        self._client = client
        self._runtime = runtime
        self._every = every_seconds
        self._keys: KeySet | None = None

    def keys(self) -> KeySet | None:
        return self._keys

    async def refresh(self) -> bool:
        """Fetch once; False when the issuer did not answer usable keys."""
        try:
            found = await self._client.get(f"{self._issuer}/.well-known/openid-configuration", timeout=5.0)
            address = str(found.raise_for_status().json()["jwks_uri"])
            document = (await self._client.get(address, timeout=5.0)).raise_for_status().json()
            self._keys = KeySet.import_key_set(document)
        except (httpx.HTTPError, JoseError, ValueError, KeyError, TypeError):
            return False
        return True

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def run(self) -> None:
        """Refresh for ever: at once, then each period; every 2 s while there are no keys yet."""
        while True:
            await self.refresh()
            await self._runtime.sleep(self._every if self._keys is not None else 2.0)


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    until: float


class TokenVerifier:
    """Token to principal. One per app; it holds the cache."""

    def __init__(
        self,
        source: KeySource,
        runtime: Runtime,
        *,
        issuer: str = "",
        audience: str = AUDIENCE,
        cache_size: int = CACHE_SIZE,
    ) -> None:
        """``issuer``: the ``iss`` every token must carry; empty accepts any issuer holding our keys."""
        self._source = source
        self._runtime = runtime
        self._issuer = issuer
        self._audience = audience
        self._cache_size = cache_size
        self._cache: OrderedDict[bytes, _Known] = OrderedDict()
        self.verified = 0
        """Signatures checked so far (cache misses)."""

    @property
    def ready(self) -> bool:
        """True when there are keys to verify with."""
        return self._source.keys() is not None

    def verify(self, token: str) -> Principal:
        """The caller. Raises InvalidTokenError with TOKEN_MALFORMED, TOKEN_SIGNATURE, TOKEN_EXPIRED,
        TOKEN_AUDIENCE, TOKEN_ISSUER, TOKEN_CLAIMS or KEYS_UNAVAILABLE."""
        now = self._runtime.timestamp()
        fingerprint = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        known = self._cache.get(fingerprint)
        if known is not None:
            if now < known.until:
                return known.principal
            del self._cache[fingerprint]
        claims = self._claims(token)
        principal = self._principal(claims, now)
        self._remember(fingerprint, _Known(principal, min(_expiry(claims), now + CACHE_SECONDS)))
        return principal

    def _claims(self, token: str) -> Mapping[str, Any]:
        keys = self._source.keys()
        if keys is None:
            raise InvalidTokenError("KEYS_UNAVAILABLE")
        if len(token) > MAX_TOKEN_BYTES or token.count(".") != 2:
            raise InvalidTokenError("TOKEN_MALFORMED")
        self.verified += 1
        try:
            return jwt.decode(token, keys, algorithms=ALGORITHMS).claims
        except (JoseError, ValueError, TypeError):
            raise InvalidTokenError("TOKEN_SIGNATURE") from None

    def _principal(self, claims: Mapping[str, Any], now: float) -> Principal:
        if _expiry(claims) <= now:
            raise InvalidTokenError("TOKEN_EXPIRED")
        starts = claims.get("nbf")
        if isinstance(starts, int | float) and starts > now + LEEWAY_SECONDS:
            raise InvalidTokenError("TOKEN_NOT_YET_VALID")
        audience = claims.get("aud")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise InvalidTokenError("TOKEN_AUDIENCE")
        if self._issuer and claims.get("iss") != self._issuer:
            raise InvalidTokenError("TOKEN_ISSUER")
        organisation = claims.get("organisation")
        client = claims.get("client_id") or claims.get("sub")
        scopes = claims.get("scope", "")
        divisions = claims.get("divisions", [])
        if not (isinstance(organisation, str) and organisation and isinstance(client, str) and client):
            raise InvalidTokenError("TOKEN_CLAIMS")
        if not isinstance(scopes, str) or not _is_texts(divisions):
            raise InvalidTokenError("TOKEN_CLAIMS")
        return Principal(organisation, client, frozenset(scopes.split()), tuple(divisions))

    def _remember(self, fingerprint: bytes, known: _Known) -> None:
        self._cache[fingerprint] = known
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)


def _expiry(claims: Mapping[str, Any]) -> float:
    expiry = claims.get("exp")
    if isinstance(expiry, bool) or not isinstance(expiry, int | float):
        raise InvalidTokenError("TOKEN_CLAIMS")
    return float(expiry)


def _is_texts(value: Any) -> bool:
    return (
        isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(v, str) for v in value)
    )
