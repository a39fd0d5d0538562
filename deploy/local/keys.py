"""The key file of one installation (LIANGXIAN_KEYS): made once beside the data, mode 0600.

Per service a key-encryption key and a blind-index key, per ordered pair of services a key for
the fields one encrypts for the other, and the development issuer's signing key (Ed25519).
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

SERVICES = ("registration", "collection", "subsidy", "notification")
KEY_BYTES = 32


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")


def _named_key() -> dict[str, str]:
    return {"kid": secrets.token_hex(4), "key": _key()}


def _url_safe(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _issuer() -> dict[str, Any]:
    """A private Ed25519 key as JWK (RFC 8037) with its id."""
    kid = secrets.token_hex(8)
    private = Ed25519PrivateKey.generate()
    secret = private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    jwk = {"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": _url_safe(public), "d": _url_safe(secret)}
    return {"kid": kid, "jwk": jwk}


def new_keys() -> dict[str, Any]:
    """Fresh keys for the four services and the issuer."""
    return {
        "services": {name: {"key_encryption": _key(), "blind_index": _named_key()} for name in SERVICES},
        "pairs": {f"{one}->{other}": _named_key() for one, other in itertools.permutations(SERVICES, 2)},
        "issuer": _issuer(),
    }


def ensure_keys(path: Path) -> Path:
    """Make the key file unless it is there; a file others can read is refused.

    Made under another name and linked into place, so that of two at once one wins whole and
    a key file that data was encrypted with is never replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                json.dump(new_keys(), file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, path)
            except FileExistsError:
                return ensure_keys(path)
        finally:
            draft.unlink()
    if path.stat().st_mode & 0o077:
        raise PermissionError(f"{path} must be readable by its owner alone: chmod 600")
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """``python -m deploy.local.keys FILE``: make the key file unless it is there."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.keys", description=main.__doc__)
    parser.add_argument("file", type=Path)
    ensure_keys(parser.parse_args(arguments).file)


if __name__ == "__main__":
    main()
