"""The key file (密钥文件) named by ``LIANGXIAN_KEYS``: made once beside the data, mode 0600 or refused.

Shape: ``services.<name>.key_encryption`` (32 bytes, base64) and ``.blind_index`` {kid, key};
``pairs."<sender>-><receiver>"`` {kid, key}; ``issuer`` {kid, jwk}. Retired keys stay readable under
``retired`` of the service or pair, so that rows and messages of before a rotation still open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec


class KeyFileError(Exception):
    """The key file is missing, readable by others, or not of the expected shape. Never quotes key material."""


@dataclass(frozen=True, slots=True)
class NamedKey:
    """32 bytes and the id that is stored beside what they protect."""

    kid: str
    key: bytes = field(repr=False)


class _Named(msgspec.Struct):
    kid: str
    key: str
    retired: list[_Named] = []


class _Service(msgspec.Struct):
    key_encryption: str
    blind_index: _Named
    retired: list[str] = []


class _Issuer(msgspec.Struct):
    kid: str
    jwk: dict[str, Any]


class _File(msgspec.Struct):
    services: dict[str, _Service]
    pairs: dict[str, _Named] = {}
    issuer: _Issuer | None = None


def _key(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise KeyFileError("a key is not base64") from None
    if len(raw) != 32:
        raise KeyFileError("a key is not 32 bytes long")
    return raw


def _fingerprint(key: bytes) -> str:
    """Id of a key-encryption key: 16 hex digits of a digest, which does not give the key away."""
    return hashlib.sha256(b"liangxian key id\x00" + key).hexdigest()[:16]


@dataclass(frozen=True)
class Keyring:
    """The keys a process holds, decoded.

    key_encryption: per service, newest first; pairs: per (sender, receiver), newest first.
    """

    key_encryption: Mapping[str, tuple[NamedKey, ...]] = field(repr=False)
    blind_index: Mapping[str, tuple[NamedKey, ...]] = field(repr=False)
    pairs: Mapping[tuple[str, str], tuple[NamedKey, ...]] = field(repr=False)
    issuer_kid: str = ""
    issuer_jwk: Mapping[str, Any] | None = field(default=None, repr=False)

    @classmethod
    def load(cls, path: Path) -> Keyring:
        """Read the file. Raises KeyFileError when group or others may read it or its shape is wrong."""
        try:
            mode = path.stat().st_mode
            if stat.S_IMODE(mode) & 0o077:
                raise KeyFileError("the key file must be readable by its owner only (0600)")
            content = path.read_bytes()
        except OSError as fault:
            raise KeyFileError(f"the key file cannot be read: {fault.strerror}") from None
        return cls.parse(content)

    @classmethod
    def parse(cls, content: bytes) -> Keyring:
        """Decode the JSON of a key file."""
        try:
            file = msgspec.json.decode(content, type=_File)
        except msgspec.MsgspecError:
            raise KeyFileError("the key file has not the expected shape") from None
        pairs: dict[tuple[str, str], tuple[NamedKey, ...]] = {}
        for name, named in file.pairs.items():
            sender, arrow, receiver = name.partition("->")
            if not (sender and arrow and receiver):
                raise KeyFileError("a pair is not named sender->receiver")
            pairs[sender, receiver] = _named(named)
        return cls(
            key_encryption={
                name: tuple(
                    NamedKey(_fingerprint(key), key)
                    for key in map(_key, [service.key_encryption, *service.retired])
                )
                for name, service in file.services.items()
            },
            blind_index={name: _named(service.blind_index) for name, service in file.services.items()},
            pairs=pairs,
            issuer_kid=file.issuer.kid if file.issuer else "",
            issuer_jwk=file.issuer.jwk if file.issuer else None,
        )


def _named(named: _Named) -> tuple[NamedKey, ...]:
    return tuple(NamedKey(one.kid, _key(one.key)) for one in (named, *named.retired))


def key_of(keys: tuple[NamedKey, ...], kid: str) -> bytes | None:
    """The key with that id, or None."""
    return next((named.key for named in keys if named.kid == kid), None)
