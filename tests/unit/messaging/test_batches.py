"""How the embedded broker packs what was published at once."""

from __future__ import annotations

import pytest

from shared.messaging import batches
from shared.messaging.batches import pack, unpack
from shared.messaging.broker import Outgoing, Partition

HEADERS = (("content-type", b"application/json"),)


def _record(number: int, part: int = 0, value: bytes = b"v") -> Outgoing:
    return Outgoing("t", f"k{number}", part, HEADERS, value)


def test_a_batch_gives_back_what_was_packed() -> None:
    """Given records with headers and without, when packed and unpacked, then nothing of them is changed."""
    plain = Outgoing("t", "鍵", 0, (), b"\x00\xff")
    (packed,) = pack([_record(1), plain])
    assert (packed.partition, packed.held) == (Partition("t", 0), 2)
    first, second = unpack(packed.records, 7, 1.5)
    assert (first.offset, first.key, first.value, first.headers, first.timestamp) == (
        7,
        "k1",
        b"v",
        HEADERS,
        1.5,
    )
    assert (second.offset, second.key, second.value, second.headers) == (8, "鍵", b"\x00\xff", ())


def test_each_partition_has_its_own_batches_in_its_order() -> None:
    """Given records of two partitions, mixed, then each partition's lie in one batch in their order."""
    packed = list(pack([_record(1, 1), _record(2, 0), _record(3, 1)]))
    assert [(each.partition.part, each.held) for each in packed] == [(0, 1), (1, 2)]
    assert [record.key for record in unpack(packed[1].records, 0, 0.0)] == ["k1", "k3"]


def test_a_batch_has_a_limit_and_a_record_may_be_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a limit of 10 bytes, then no batch exceeds it but that of a record that does so alone."""
    monkeypatch.setattr(batches, "BATCH_BYTES", 10)
    packed = list(
        pack([_record(n, value=value) for n, value in enumerate([b"123", b"123", b"1", b"1" * 50, b"1"])])
    )
    assert [each.held for each in packed] == [2, 1, 1, 1]


def test_what_resembles_each_other_takes_little_room() -> None:
    """Given a page of like messages, then the batch is less than a third of them."""
    value = b'{"specversion":"1.0","type":"liangxian.collection.payment_received.v1","subject":"%d"}'
    (packed,) = pack([_record(n, value=value % n) for n in range(1000)])
    assert len(packed.records) < 1000 * len(value) / 3
