"""Personal data at rest and on its way: sealed rows, blind indexes, fields for one receiver.

At rest: one data key per person, AES-256-GCM, wrapped by the service's key-encryption key; erasing a
person destroys the data key, so the log still replays and verifies. Between services: one AES-256-GCM key
per ordered pair, associated data ``person_id + receiver``, so that a field cannot be moved to another
person or service. A number is found only by ``blind_index``.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.contracts.message import Message, Sealed
from shared.kernel.clock import Runtime
from shared.security.keyring import KeyFileError, Keyring, NamedKey, key_of
from shared.security.private_table import PRIVATE

ERASED = "erased"
NONCE_BYTES = 12
_LOOKUP_SIZE = 1000

Row = dict[str, Any]


class PersonalIdentity(msgspec.Struct, frozen=True):
    """姓名、公民身份号码、电话. Never an event field; repr hides all of it."""

    name: str
    number: str = ""
    phone: str = ""

    def __repr__(self) -> str:
        return "PersonalIdentity(***)"


class VaultError(Exception):
    """Something sealed does not open: unknown key id, wrong person or receiver, or tampered bytes."""


class RowReader(Protocol):
    """The part of an event store connection the vault reads with."""

    async def execute(self, statement: sa.Executable, /) -> Sequence[Any]:
        """All rows."""
        ...


class Vault:
    """Sealing and opening for one service.

    Implements the messaging ports: ``seal`` (on the way out of a log) and ``unseal`` (on the way in).
    """

    table = PRIVATE

    def __init__(
        self, keyring: Keyring, service: str, runtime: Runtime, *, finds_by_number: bool = False
    ) -> None:
        if not keyring.key_encryption.get(service) or not keyring.blind_index.get(service):
            raise KeyFileError(f"the key file has no keys for {service}")
        self._keyring = keyring
        self._service = service
        self._runtime = runtime
        self._wrapping = keyring.key_encryption[service]
        self._index = keyring.blind_index[service]
        self._ciphers: dict[bytes, AESGCM] = {}
        self._finds = finds_by_number

    # -- numbers --------------------

    def blind_index(self, number: str) -> str:
        """``kid:hex`` of HMAC-SHA256 over the number, under the newest index key."""
        return _blind(self._index[0], number)

    def blind_indexes(self, number: str) -> tuple[str, ...]:
        """The number under every key still held, newest first: lookups during a re-keying."""
        return tuple(_blind(key, number) for key in self._index)

    async def find_people(self, connection: RowReader, numbers: Sequence[str]) -> dict[str, str]:
        """Person id per known number, under every index key still held; only where rows are indexed
        (``finds_by_number``). An erased person is not found."""
        wanted = {index: number for number in numbers if number for index in self.blind_indexes(number)}
        found: dict[str, str] = {}
        indexes = sorted(wanted)
        for start in range(0, len(indexes), _LOOKUP_SIZE):
            some = indexes[start : start + _LOOKUP_SIZE]
            rows = await connection.execute(
                sa.select(PRIVATE.c.blind_index, PRIVATE.c.person_id)
                .where(PRIVATE.c.blind_index.in_(some))
                .order_by(PRIVATE.c.person_id)
            )
            for row in rows:
                found.setdefault(wanted[row.blind_index], row.person_id)
        return found

    # -- at rest --------------------

    def seal_row(self, person_id: str, identity: PersonalIdentity) -> Row:
        """The row of ``PRIVATE`` for a person, under a fresh data key."""
        data_key = self._runtime.random_bytes(32)
        wrapping = self._wrapping[0]
        wrap_nonce, nonce = self._nonce(), self._nonce()
        person = person_id.encode()
        return {
            "person_id": person_id,
            "kid": wrapping.kid,
            "wrapped_key": wrap_nonce + self._cipher(wrapping.key).encrypt(wrap_nonce, data_key, person),
            "nonce": nonce,
            "ciphertext": AESGCM(data_key).encrypt(nonce, msgspec.json.encode(identity), person),
            "blind_index": self.blind_index(identity.number) if self._finds and identity.number else None,
        }

    def erase(self, person_id: str) -> Row:
        """The row that replaces a person's: the data key, its ciphertext and the index are gone for good."""
        nothing = {"wrapped_key": b"", "nonce": b"", "ciphertext": b"", "blind_index": None}
        return {"person_id": person_id, "kid": ERASED, **nothing}

    def open_rows(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, PersonalIdentity]:
        """Identities of rows of ``PRIVATE``; erased persons are left out. Raises VaultError."""
        return {row["person_id"]: self._open(row) for row in rows if row["kid"] != ERASED}

    async def identities(
        self, connection: RowReader, person_ids: Sequence[str]
    ) -> dict[str, PersonalIdentity]:
        """Identities of the persons this service knows; unknown and erased ones are absent."""
        wanted = sorted(set(person_ids))
        found: dict[str, PersonalIdentity] = {}
        for start in range(0, len(wanted), _LOOKUP_SIZE):
            some = wanted[start : start + _LOOKUP_SIZE]
            rows = await connection.execute(sa.select(PRIVATE).where(PRIVATE.c.person_id.in_(some)))
            found |= self.open_rows([row._mapping for row in rows])
        return found

    # -- between services --------------------

    def seal_for(self, receiver: str, person_id: str, identity: PersonalIdentity) -> Sealed:
        """The identity as an encrypted field only ``receiver`` opens."""
        pair = self._pair(self._service, receiver)[0]
        nonce = self._nonce()
        sealed = self._cipher(pair.key).encrypt(
            nonce, msgspec.json.encode(identity), _associated(person_id, receiver)
        )
        return Sealed(pair.kid, base64.b64encode(nonce).decode(), base64.b64encode(sealed).decode())

    def open_sealed(self, sender: str, person_id: str, sealed: Sealed) -> PersonalIdentity:
        """The identity a sender sealed for this service. Raises VaultError."""
        key = key_of(self._pair(sender, self._service), sealed.kid)
        if key is None:
            raise VaultError("unknown key id")
        try:
            clear = self._cipher(key).decrypt(
                base64.b64decode(sealed.nonce),
                base64.b64decode(sealed.ciphertext),
                _associated(person_id, self._service),
            )
            return msgspec.json.decode(clear, type=PersonalIdentity)
        except (InvalidTag, ValueError, msgspec.MsgspecError):
            raise VaultError("the sealed field does not open") from None

    async def seal(
        self, connection: RowReader, wanted: Mapping[str, Sequence[str]]
    ) -> dict[str, dict[str, Sealed]]:
        """Sealed identities of a page of messages, per receiver of the persons wanted for it; persons without a
        row (or erased) are absent. Each is read and opened once."""
        everybody = [person for persons in wanted.values() for person in persons]
        identities = await self.identities(connection, everybody)
        return {
            receiver: {
                person: self.seal_for(receiver, person, identities[person])
                for person in persons
                if person in identities
            }
            for receiver, persons in wanted.items()
        }

    def unseal(self, sender: str, message: Message) -> list[Row]:
        """Rows for this service's ``PRIVATE`` from the field sealed for it; none when there is none."""
        sealed: Mapping[str, Sealed] = getattr(message, "sealed", {})
        if self._service not in sealed:
            return []
        person_id = str(getattr(message, "person_id"))  # noqa: B009
        identity = self.open_sealed(sender, person_id, sealed[self._service])
        return [self.seal_row(person_id, identity)]

    # -- staged bytes --------------------

    def seal_bytes(self, content: bytes, context: str) -> bytes:
        """Nonce and ciphertext of bytes that lie in the database for a while (uploads).

        ``context`` is bound to them: what was sealed for one place does not open in another.
        """
        nonce = self._nonce()
        return nonce + self._cipher(self._wrapping[0].key).encrypt(
            nonce, content, b"bytes:" + context.encode()
        )

    def open_bytes(self, sealed: bytes, context: str) -> bytes:
        """What ``seal_bytes`` sealed, under any key still held. Raises VaultError."""
        nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        for named in self._wrapping:
            try:
                return self._cipher(named.key).decrypt(nonce, rest, b"bytes:" + context.encode())
            except InvalidTag:
                continue
        raise VaultError("the sealed bytes do not open")

    # -- inside --------------------

    def _open(self, row: Mapping[str, Any]) -> PersonalIdentity:
        wrapping = key_of(self._wrapping, row["kid"])
        if wrapping is None:
            raise VaultError("unknown key id")
        person, wrapped = row["person_id"].encode(), bytes(row["wrapped_key"])
        try:
            data_key = self._cipher(wrapping).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], person)
            clear = AESGCM(data_key).decrypt(bytes(row["nonce"]), bytes(row["ciphertext"]), person)
            return msgspec.json.decode(clear, type=PersonalIdentity)
        except (InvalidTag, msgspec.MsgspecError):
            raise VaultError("the row does not open") from None

    def _pair(self, sender: str, receiver: str) -> tuple[NamedKey, ...]:
        keys = self._keyring.pairs.get((sender, receiver))
        if not keys:
            raise VaultError(f"no key for {sender}->{receiver}")
        return keys

    def _nonce(self) -> bytes:
        return self._runtime.random_bytes(NONCE_BYTES)

    def _cipher(self, key: bytes) -> AESGCM:
        cipher = self._ciphers.get(key)
        if cipher is None:
            cipher = self._ciphers[key] = AESGCM(key)
        return cipher


def _blind(named: NamedKey, number: str) -> str:
    return f"{named.kid}:{hmac.digest(named.key, number.encode(), 'sha256').hex()}"


def _associated(person_id: str, receiver: str) -> bytes:
    return f"{person_id}+{receiver}".encode()


# -- masks for people (掩码) --------------------------------------------------------------------------


def mask_name(name: str) -> str:
    """``王小明`` as ``王*明``, ``王明`` as ``王*``: what a public notice (公示) may show."""
    if len(name) <= 1:
        return "*" * len(name)
    if len(name) == 2:
        return name[0] + "*"
    return name[0] + "*" * (len(name) - 2) + name[-1]


def mask_number(number: str) -> str:
    """The first 6 and last 4 characters of an identity number; nothing of anything shorter than 15."""
    if len(number) < 15:
        return "*" * len(number)
    return number[:6] + "*" * (len(number) - 10) + number[-4:]


def mask_phone(phone: str) -> str:
    """The first 3 and last 4 digits of an 11-digit mobile number; nothing of anything else."""
    if len(phone) != 11:
        return "*" * len(phone)
    return phone[:3] + "****" + phone[-4:]
