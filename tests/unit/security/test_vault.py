"""Sealed personal data (architecture §5): at rest per person, between services per pair, erased by its key."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from shared.contracts import topics
from shared.contracts.message import PersonalMessage, Sealed
from shared.kernel.clock import SeededRuntime
from shared.security.keyring import KeyFileError, Keyring, NamedKey
from shared.security.vault import (
    PersonalIdentity,
    Vault,
    VaultError,
    mask_name,
    mask_number,
    mask_phone,
)
from shared.testing.keys import memory_keyring

WANG = PersonalIdentity("王小明", "11010519491231002X", "13900001111")
PERSON = "0" * 31 + "1"


class ToldV1(PersonalMessage, frozen=True, kw_only=True):
    topic: ClassVar = topics.PEOPLE
    receivers: ClassVar = ("collection",)


class StoredRows:
    """A connection that answers given rows."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self.asked = 0
        self._rows = [type("Row", (), {"_mapping": row})() for row in rows]

    async def execute(self, statement: object) -> Sequence[Any]:
        self.asked += 1
        return self._rows


def vault(service: str = "registration", keyring: Keyring | None = None) -> Vault:
    return Vault(keyring or memory_keyring(), service, SeededRuntime(1))


def test_a_row_opens_to_what_was_sealed_and_shows_nothing() -> None:
    row = vault().seal_row(PERSON, WANG)
    assert vault().open_rows([row]) == {PERSON: WANG}
    assert WANG.number.encode() not in b"".join(v for v in row.values() if isinstance(v, bytes))


def test_equal_identities_do_not_look_equal() -> None:
    box = vault()
    assert box.seal_row(PERSON, WANG)["ciphertext"] != box.seal_row(PERSON, WANG)["ciphertext"]


def test_a_row_does_not_open_under_another_person() -> None:
    row = vault().seal_row(PERSON, WANG) | {"person_id": "2" * 32}
    with pytest.raises(VaultError):
        vault().open_rows([row])


def test_a_tampered_row_does_not_open() -> None:
    row = vault().seal_row(PERSON, WANG)
    row["ciphertext"] = row["ciphertext"][:-1] + bytes([row["ciphertext"][-1] ^ 1])
    with pytest.raises(VaultError):
        vault().open_rows([row])


def test_another_services_key_does_not_open_a_row() -> None:
    row = vault("registration").seal_row(PERSON, WANG)
    with pytest.raises(VaultError):
        vault("collection").open_rows([row])


def test_an_erased_person_is_gone_for_good() -> None:
    """Erasing destroys the data key: nothing of the row can be opened, and reads leave the person out."""
    row = vault().erase(PERSON)
    assert vault().open_rows([row]) == {}
    assert (row["wrapped_key"], row["ciphertext"]) == (b"", b"")


async def test_identities_of_a_page_leave_out_the_unknown_and_erased() -> None:
    box = vault()
    rows = StoredRows([box.seal_row(PERSON, WANG), box.erase("3" * 32)])
    assert await box.identities(rows, [PERSON, "3" * 32, "4" * 32]) == {PERSON: WANG}
    assert rows.asked == 1


def test_only_a_service_that_looks_people_up_keeps_an_index_of_the_number() -> None:
    finding = Vault(memory_keyring(), "subsidy", SeededRuntime(1), finds_by_number=True)
    assert finding.seal_row(PERSON, WANG)["blind_index"] == finding.blind_index(WANG.number)
    assert finding.seal_row(PERSON, PersonalIdentity("王小明"))["blind_index"] is None
    assert finding.erase(PERSON)["blind_index"] is None
    assert vault().seal_row(PERSON, WANG)["blind_index"] is None


async def test_nobody_asked_for_means_no_query() -> None:
    rows = StoredRows([])
    assert await vault().identities(rows, []) == {}
    assert rows.asked == 0


async def test_a_message_carries_the_identity_to_its_receiver_only() -> None:
    """Relay seals, consumer unseals into its own private table; subsidy cannot open collection's field."""
    sender, receiver, other = vault("registration"), vault("collection"), vault("subsidy")
    rows = StoredRows([sender.seal_row(PERSON, WANG)])
    told = await sender.seal(rows, {"collection": [PERSON, "9" * 32], "subsidy": [PERSON]})
    assert {receiver: set(persons) for receiver, persons in told.items()} == {
        "collection": {PERSON},
        "subsidy": {PERSON},
    }
    assert rows.asked == 1, "read once for all receivers"
    sealed = told["collection"]
    message = ToldV1(person_id=PERSON, sealed={"collection": sealed[PERSON]})
    (row,) = receiver.unseal("registration", message)
    assert receiver.open_rows([row]) == {PERSON: WANG}
    assert other.unseal("registration", message) == []
    with pytest.raises(VaultError):
        other.open_sealed("registration", PERSON, sealed[PERSON])


def test_a_sealed_field_cannot_be_moved_to_another_person() -> None:
    sealed = vault().seal_for("collection", PERSON, WANG)
    with pytest.raises(VaultError):
        vault("collection").open_sealed("registration", "2" * 32, sealed)


@pytest.mark.parametrize(
    "sealed",
    [
        Sealed("pair-registration->collection", "", ""),
        Sealed("pair-registration->collection", "%%%", "%%%"),
        Sealed("unknown", base64.b64encode(b"0" * 12).decode(), base64.b64encode(b"1" * 40).decode()),
    ],
)
def test_a_broken_field_is_a_vault_error(sealed: Sealed) -> None:
    with pytest.raises(VaultError):
        vault("collection").open_sealed("registration", PERSON, sealed)


def test_there_is_no_field_for_a_pair_without_a_key() -> None:
    with pytest.raises(VaultError):
        vault().seal_for("registration", PERSON, WANG)


def test_a_service_without_keys_does_not_start() -> None:
    with pytest.raises(KeyFileError):
        vault("unknown")


def test_the_blind_index_differs_between_services_and_is_stable_in_one() -> None:
    """A stolen index of one service cannot be joined with another's."""
    assert vault().blind_index(WANG.number) == vault().blind_index(WANG.number)
    assert vault().blind_index(WANG.number) != vault("subsidy").blind_index(WANG.number)
    kid, _, digest = vault().blind_index(WANG.number).partition(":")
    assert (kid, len(digest)) == ("index-registration", 64)


def rotated() -> Keyring:
    ring = memory_keyring()
    old = ring.key_encryption["registration"][0]
    old_index = ring.blind_index["registration"][0]
    return Keyring(
        {**ring.key_encryption, "registration": (NamedKey("kek-new", b"n" * 32), old)},
        {**ring.blind_index, "registration": (NamedKey("index-new", b"m" * 32), old_index)},
        ring.pairs,
    )


def test_rows_of_before_a_rotation_still_open_and_new_ones_take_the_new_key() -> None:
    row = vault().seal_row(PERSON, WANG)
    box = vault(keyring=rotated())
    assert box.open_rows([row]) == {PERSON: WANG}
    assert box.seal_row(PERSON, WANG)["kid"] == "kek-new"


def test_lookups_during_a_rekeying_try_every_index_key() -> None:
    box = vault(keyring=rotated())
    assert vault().blind_index(WANG.number) in box.blind_indexes(WANG.number)
    assert box.blind_indexes(WANG.number)[0].startswith("index-new:")


def test_staged_bytes_open_in_their_place_only_and_after_a_rotation() -> None:
    sealed = vault().seal_bytes(b"rows", "import:1:0")
    assert b"rows" not in sealed
    assert vault(keyring=rotated()).open_bytes(sealed, "import:1:0") == b"rows"
    with pytest.raises(VaultError):
        vault().open_bytes(sealed, "import:1:1")


def test_identities_do_not_show_themselves() -> None:
    assert WANG.name not in repr(WANG)
    assert WANG.number not in f"{WANG}"


@pytest.mark.parametrize(
    ("name", "shown"), [("王明", "王*"), ("王小明", "王*明"), ("欧阳小明", "欧**明"), ("王", "*"), ("", "")]
)
def test_names_in_notices_are_masked(name: str, shown: str) -> None:
    assert mask_name(name) == shown


def test_numbers_and_phones_in_notices_are_masked() -> None:
    assert mask_number(WANG.number) == "110105********002X"
    assert mask_number("12345") == "*****"
    assert mask_phone(WANG.phone) == "139****1111"
    assert mask_phone("0632-88") == "*******"
