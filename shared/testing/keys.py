"""A key ring of fixed keys, the same for every service: unit tests and simulation only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from shared.security.keyring import Keyring, NamedKey

SERVICES = ("registration", "collection", "subsidy", "notification")


def memory_keyring(services: Iterable[str] = SERVICES) -> Keyring:
    """Keys derived from names, so that pairs match between services made apart."""
    names = tuple(services)
    return Keyring(
        key_encryption={name: (_named("kek", name),) for name in names},
        blind_index={name: (_named("index", name),) for name in names},
        pairs={(a, b): (_named("pair", f"{a}->{b}"),) for a in names for b in names if a != b},
        issuer_kid="test",
        issuer_jwk=_issuer_jwk(),
    )


def _named(purpose: str, name: str) -> NamedKey:
    return NamedKey(f"{purpose}-{name}", hashlib.sha256(f"test {purpose} {name}".encode()).digest())


def _issuer_jwk() -> dict[str, str]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from joserfc.util import to_str, urlsafe_b64encode

    private = hashlib.sha256(b"test issuer").digest()
    public = Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "d": to_str(urlsafe_b64encode(private)),
        "x": to_str(urlsafe_b64encode(public)),
    }
