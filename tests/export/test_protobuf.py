"""The bytes of protobuf's numbers, as its encoding guide has them."""

from __future__ import annotations

import pytest

from kfgraph.export import protobuf

BYTES = {
    0: b"\x00",
    1: b"\x01",
    127: b"\x7f",
    128: b"\x80\x01",
    150: b"\x96\x01",
    (1 << 32) - 1: b"\xff\xff\xff\xff\x0f",
    (1 << 63) - 1: b"\xff" * 8 + b"\x7f",
    -1: b"\xff" * 9 + b"\x01",
    -2: b"\xfe" + b"\xff" * 8 + b"\x01",
    -(1 << 63): b"\x80" * 9 + b"\x01",
}


@pytest.mark.parametrize("value", BYTES)
def test_a_number_takes_as_few_bytes_as_it_can_and_a_negative_one_ten(value: int) -> None:
    assert protobuf.varint(value) == BYTES[value]


def test_a_field_begins_with_its_number_and_what_it_is() -> None:
    assert protobuf.number(1, 150) == b"\x08\x96\x01"
    assert protobuf.text(2, "testing") == b"\x12\x07testing"
    assert protobuf.message(3, protobuf.number(1, 150)) == b"\x1a\x03\x08\x96\x01"
    assert protobuf.packed(6, [3, 270, 86942]) == b"\x32\x06\x03\x8e\x02\x9e\xa7\x05"
    assert protobuf.number(16, 1) == b"\x80\x01\x01"
