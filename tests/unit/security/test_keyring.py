"""The key file: 0600 or refused, of the expected shape or refused, never quoted (architecture §5, keys)."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from shared.security.keyring import KeyFileError, Keyring, key_of


def content(**changes: Any) -> dict[str, Any]:
    def key(letter: str) -> str:
        return base64.b64encode(letter.encode() * 32).decode()

    return {
        "services": {
            "registration": {"key_encryption": key("a"), "blind_index": {"kid": "i1", "key": key("b")}}
        },
        "pairs": {"registration->collection": {"kid": "p1", "key": key("c")}},
        "issuer": {"kid": "k1", "jwk": {"kty": "OKP"}},
        **changes,
    }


def written(path: Path, document: Any, mode: int = 0o600) -> Path:
    path.write_text(json.dumps(document))
    path.chmod(mode)
    return path


def test_a_private_file_is_read(tmp_path: Path) -> None:
    ring = Keyring.load(written(tmp_path / "keys.json", content()))
    assert key_of(ring.blind_index["registration"], "i1") == b"b" * 32
    assert key_of(ring.pairs["registration", "collection"], "p1") == b"c" * 32
    assert key_of(ring.pairs["registration", "collection"], "p2") is None
    assert ring.key_encryption["registration"][0].key == b"a" * 32
    assert ring.issuer_kid == "k1"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o666])
def test_a_file_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(KeyFileError, match="0600"):
        Keyring.load(written(tmp_path / "keys.json", content(), mode))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError):
        Keyring.load(tmp_path / "keys.json")


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        content(
            services={"registration": {"key_encryption": "AAAA", "blind_index": {"kid": "i", "key": "AAAA"}}}
        ),
        content(
            services={"registration": {"key_encryption": "secret!", "blind_index": {"kid": "i", "key": ""}}}
        ),
        content(pairs={"registration": {"kid": "p", "key": base64.b64encode(b"c" * 32).decode()}}),
    ],
)
def test_a_wrong_shape_is_refused_without_quoting_it(document: Any) -> None:
    with pytest.raises(KeyFileError) as fault:
        Keyring.parse(json.dumps(document).encode())
    assert "secret" not in str(fault.value)
    assert fault.value.__cause__ is None


def test_keys_do_not_show_themselves() -> None:
    ring = Keyring.parse(json.dumps(content()).encode())
    assert "aaaa" not in repr(ring)
    assert "aaaa" not in repr(ring.key_encryption["registration"][0])


def test_retired_keys_stay_readable() -> None:
    old = base64.b64encode(b"o" * 32).decode()
    document = content()
    document["services"]["registration"]["retired"] = [old]
    document["pairs"]["registration->collection"]["retired"] = [{"kid": "p0", "key": old}]
    ring = Keyring.parse(json.dumps(document).encode())
    assert [named.key for named in ring.key_encryption["registration"]] == [b"a" * 32, b"o" * 32]
    assert key_of(ring.pairs["registration", "collection"], "p0") == b"o" * 32
