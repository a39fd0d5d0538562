"""The key file: complete, private, and never made twice."""

from __future__ import annotations

import base64
import json
import stat
import threading
from pathlib import Path

import pytest

from deploy.local.keys import SERVICES, ensure_keys, main, new_keys
from shared.security.keyring import Keyring


def test_the_services_can_load_it(tmp_path: Path) -> None:
    """architecture §5: per service two keys, per ordered pair one, and the issuer's."""
    keyring = Keyring.load(ensure_keys(tmp_path / "keys.json"))
    assert set(keyring.key_encryption) == set(keyring.blind_index) == set(SERVICES)
    assert len(keyring.pairs) == 12
    assert keyring.issuer_jwk is not None


def test_it_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = ensure_keys(tmp_path / "keys.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(PermissionError, match="chmod 600"):
        ensure_keys(path)


def test_it_is_kept_since_data_was_encrypted_with_it(tmp_path: Path) -> None:
    path = ensure_keys(tmp_path / "keys.json")
    before = path.read_bytes()
    main([str(path)])
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["keys.json"]


def test_two_makers_at_once_end_with_one_file(tmp_path: Path) -> None:
    seen: list[bytes] = []
    start = threading.Barrier(8)

    def make() -> None:
        start.wait()
        seen.append(ensure_keys(tmp_path / "keys.json").read_bytes())

    threads = [threading.Thread(target=make) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1


def test_no_key_is_used_twice() -> None:
    keys = new_keys()
    found = [each["key_encryption"] for each in keys["services"].values()]
    found += [each["blind_index"]["key"] for each in keys["services"].values()]
    found += [each["key"] for each in keys["pairs"].values()]
    assert len(set(found)) == 20
    assert all(len(base64.b64decode(each)) == 32 for each in found)
    assert json.dumps(new_keys()) != json.dumps(keys)
