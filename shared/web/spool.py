"""An upload on its way in (上传暂存): encrypted on disk, digested as it arrives, read as often as wanted.

A file of a million people is neither held in memory nor ever on disk in clear: it is encrypted under a key that
only this process knows, and gone with it.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Protocol, Self

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

KEY_BYTES, NONCE_BYTES = 32, 16
KEPT_BYTES = 1 << 20
"""What stays in memory; more goes to the disk."""

BLOCK_BYTES = 1 << 16


class TooLargeError(Exception):
    """More came than is taken."""


class Content(Protocol):
    """A file that can be read several times, block by block."""

    def blocks(self) -> Iterator[bytes]:
        """From the beginning."""
        ...


class Held:
    """Content that is in memory anyway."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def blocks(self) -> Iterator[bytes]:
        """See Content."""
        for start in range(0, len(self._body), BLOCK_BYTES):
            yield self._body[start : start + BLOCK_BYTES]


class Spool:
    """Content that is written once. secret: ``KEY_BYTES + NONCE_BYTES`` random bytes, used for nothing else."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = Cipher(algorithms.AES(secret[:KEY_BYTES]), modes.CTR(secret[KEY_BYTES:]))
        self._writing: CipherContext = self._cipher.encryptor()
        self._file = tempfile.SpooledTemporaryFile(max_size=KEPT_BYTES)  # noqa: SIM115 - closed by __exit__
        self._hash = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    async def fill(self, arriving: AsyncIterator[bytes], limit_bytes: int) -> None:
        """Take all that arrives. Raises TooLargeError as soon as it is more than the limit."""
        async for block in arriving:
            self.size += len(block)
            if self.size > limit_bytes:
                raise TooLargeError
            self._hash.update(block)
            self._file.write(self._writing.update(block))

    @property
    def digest(self) -> bytes:
        """SHA-256 of what came."""
        return self._hash.digest()

    def blocks(self) -> Iterator[bytes]:
        """See Content; one reader at a time."""
        reading = self._cipher.decryptor()
        self._file.seek(0)
        while block := self._file.read(BLOCK_BYTES):
            yield reading.update(block)


def whole(content: Content) -> bytes:
    """All of it in memory, for formats that cannot be read from front to back."""
    return b"".join(content.blocks())
