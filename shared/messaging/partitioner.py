"""The one partitioner of every broker adapter: Kafka's murmur2, positive, modulo the partitions.

Python's ``hash`` is salted per process, so two relays would disagree; murmur2 is what the clients of other
languages compute for the same key.
"""

from __future__ import annotations

import struct
from functools import lru_cache

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """MurmurHash2 of ``data`` as Kafka's Java client computes it, as an unsigned 32-bit number."""
    length = len(data)
    whole = length // 4
    h = _SEED ^ length
    for k in struct.unpack_from(f"<{whole}I", data):
        k = k * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    rest = data[whole * 4 :]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


@lru_cache(maxsize=1 << 16)
def partition_of(key: str, partitions: int) -> int:
    """The partition of a key: 0 ≤ partition < partitions."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
