"""The development issuer (开发用令牌签发): OAuth2 client credentials against ``organisations.yaml``.

Production sets ``LIANGXIAN_ISSUER_URL`` to an OIDC issuer, and none of this is mounted. The four
services of one machine share one signing key, so a token of one is good at all.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey

from shared.kernel.clock import Runtime
from shared.security.keyring import KeyFileError, Keyring
from shared.security.principal import Principal
from shared.security.tokens import AUDIENCE

ISSUER = "urn:liangxian:issuer:development"
LIFETIME_SECONDS = 900
ALGORITHM = "Ed25519"


class Client(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A client (接入方) of an organisation: what its tokens may do, and where."""

    client_id: str
    client_secret: str
    organisation: str
    scopes: tuple[str, ...]
    divisions: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Client({self.client_id})"


class _Organisations(msgspec.Struct):
    clients: list[Client]


def load_clients(path: Path) -> tuple[Client, ...]:
    """Clients of ``LIANGXIAN_ORGANISATIONS``. Raises ValueError naming the fault, never a secret."""
    try:
        document = msgspec.yaml.decode(path.read_bytes(), type=_Organisations)
    except (OSError, msgspec.MsgspecError):
        raise ValueError("the organisations file cannot be read or has not the expected shape") from None
    ids = [client.client_id for client in document.clients]
    if len(set(ids)) != len(ids):
        raise ValueError("the organisations file names a client twice")
    return tuple(document.clients)


class TokenRefusedError(Exception):
    """An OAuth2 error answer (RFC 6749 §5.2): invalid_client, invalid_scope, unsupported_grant_type."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


@dataclass(frozen=True)
class Issuer:
    """Signs tokens for known clients with the key of the key file."""

    key: OKPKey = field(repr=False)
    kid: str
    clients: Mapping[str, Client] = field(repr=False)
    runtime: Runtime = field(repr=False)

    @classmethod
    def of(cls, keyring: Keyring, clients: Sequence[Client], runtime: Runtime) -> Issuer:
        """From the key file's issuer key. Raises KeyFileError when the file has none."""
        if keyring.issuer_jwk is None:
            raise KeyFileError("the key file has no issuer key")
        jwk: dict[str, Any] = {**keyring.issuer_jwk, "kid": keyring.issuer_kid}
        key = OKPKey.import_key(jwk)
        if not key.is_private:
            raise KeyFileError("the issuer key is not a private key")
        return cls(key, keyring.issuer_kid, {client.client_id: client for client in clients}, runtime)

    def public_keys(self) -> KeySet:
        """The verifying keys."""
        return KeySet([OKPKey.import_key({**self.key.as_dict(private=False), "kid": self.kid})])

    def jwks(self) -> dict[str, Any]:
        """The document of ``/.well-known/jwks.json``."""
        public = {**self.key.as_dict(private=False), "kid": self.kid, "use": "sig", "alg": ALGORITHM}
        return {"keys": [public]}

    def grant(self, client_id: str, client_secret: str, scope: str = "") -> dict[str, Any]:
        """The answer of ``POST /oauth/token``. Raises TokenRefusedError.

        scope: blank-separated; empty grants all scopes the client has.
        """
        client = self.clients.get(client_id)
        expected = client.client_secret if client is not None else "\x00 no such client"
        if not hmac.compare_digest(expected.encode(), client_secret.encode()) or client is None:
            raise TokenRefusedError("invalid_client")
        wanted = tuple(scope.split()) or client.scopes
        if not set(wanted) <= set(client.scopes):
            raise TokenRefusedError("invalid_scope")
        principal = Principal(client.organisation, client_id, frozenset(wanted), client.divisions)
        return {
            "access_token": self.sign(principal),
            "token_type": "Bearer",
            "expires_in": LIFETIME_SECONDS,
            "scope": " ".join(sorted(wanted)),
        }

    def sign(self, principal: Principal, lifetime_seconds: int = LIFETIME_SECONDS) -> str:
        """A token for ``principal``."""
        now = int(self.runtime.timestamp())
        claims = {
            "iss": ISSUER,
            "sub": principal.client_id,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + lifetime_seconds,
            "jti": self.runtime.new_id(),
            "organisation": principal.organisation,
            "scope": " ".join(sorted(principal.scopes)),
            "divisions": list(principal.divisions),
        }
        header = {"alg": ALGORITHM, "kid": self.kid}
        return jwt.encode(header, claims, self.key, algorithms=[ALGORITHM])
