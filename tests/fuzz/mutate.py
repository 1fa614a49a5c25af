"""One random change after another to inputs of every reader: bytes, records, lines, numbers, splices."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Input:
    """A file, and the companion beside it if there is one."""

    data: bytes
    companion: bytes | None = None

    @property
    def is_text(self) -> bool:
        """Made of lines."""
        return not self.data.startswith(b"\x17\x08\x44")


@dataclass(frozen=True)
class Part:
    """One of the corpus. ``pages``: where the trace data of a trace.dat stands, if it is not compressed."""

    name: str
    whole: Input
    pages: tuple[int, int] = (0, 0)


_NUMBER = re.compile(rb"\d+")
_ODD = (
    b"0", b"1", b"-1", b"255", b"256", b"32767", b"32768", b"65535", b"2147483647", b"2147483648", b"4294967295",
    b"9000000000", b"999999999999999999", b"9223372036854775807", b"9223372036854775808", b"18446744073709551615",
    b"1e308", b"nan", b"Infinity", b"0x", b"",
)  # fmt: skip
_TOKENS = (
    b" ", b"\t", b";", b"{", b"}", b"(", b")", b"|", b"/* ", b" */", b"=>", b"<-", b"[", b"]", b":", b"-", b"\r", b"\0",
    b"\x1b[31m", b"\xff", b"\xe2\x80\xae", b" us ", b"+ ", b"! ", b"$ ", b"CPU:0 [LOST 12 EVENTS]\n", b"ret=", b"()",
    b" 0) ", b"<idle>-0", b"<...>-5", b"[000]", b"CPU:1 [1159 EVENTS DROPPED]\n", b"# tracer: nop\n", b"cpus=2\n",
    b"funcgraph_exit: ", b"funcgraph_entry: ", b"d.h1.", b"==========> |\n",
    b"------------------------------------------\n",
)  # fmt: skip


def made(rng: random.Random, parts: list[Part]) -> Input:
    """One input: one of ``parts``, changed once or several times."""
    part = rng.choice(parts)
    given = part.whole
    if given.companion is not None and rng.random() < 0.6:
        return Input(given.data, _bytes(rng, given.companion) if rng.random() < 0.3 else _line(rng, given.companion))
    data = given.data
    if given.is_text:
        if rng.random() < 0.1:
            data = _spliced(rng, data, rng.choice(parts).whole.data)
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5, 8, 20))):
            data = _line(rng, data) if rng.random() < 0.9 else _bytes(rng, data)
    else:
        for _ in range(rng.choice((1, 1, 2, 3, 5, 8))):
            data = _binary(rng, data, part.pages)
    return Input(data, given.companion)


def _bytes(rng: random.Random, data: bytes) -> bytes:
    """Bytes flipped, cut out, doubled, put in, or the end cut off."""
    if not data:
        return b"\n"
    at = rng.randrange(len(data))
    size = rng.choice((1, 1, 2, 4, 8, 16, 100))
    what = rng.randrange(6)
    if what == 0:
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    if what == 1:
        return data[:at] + rng.randbytes(size) + data[at + size :]
    if what == 2:
        return data[:at] + data[at + size :]
    if what == 3:
        return data[:at] + data[at : at + size] + data[at:]
    if what == 4:
        return data[:at]
    other = rng.randrange(len(data))
    return data[:at] + data[other : other + size] + data[at + size :]


def _spliced(rng: random.Random, one: bytes, other: bytes) -> bytes:
    """The beginning of one and the end of another, or two in turn."""
    a, b = one.split(b"\n"), other.split(b"\n")
    if rng.random() < 0.5:
        return b"\n".join(a[: rng.randrange(len(a) + 1)] + b[rng.randrange(len(b) + 1) :])
    mixed = []
    while a and b:
        mixed.append(a.pop(0) if rng.random() < 0.5 else b.pop(0))
    return b"\n".join(mixed)


def _line(rng: random.Random, data: bytes) -> bytes:
    """A change that knows of lines, numbers, times and tokens."""
    lines = data.split(b"\n")
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    return b"\n".join(_LINES[rng.randrange(len(_LINES))](rng, lines, min(at, other), max(at, other)))


def _swap(_rng: random.Random, lines: list[bytes], at: int, other: int) -> list[bytes]:
    lines[at], lines[other] = lines[other], lines[at]
    return lines


def _swap_near(_rng: random.Random, lines: list[bytes], at: int, _other: int) -> list[bytes]:
    return _swap(_rng, lines, at, min(at + 1, len(lines) - 1))


def _drop(_rng: random.Random, lines: list[bytes], at: int, _other: int) -> list[bytes]:
    del lines[at]
    return lines


def _drop_many(_rng: random.Random, lines: list[bytes], at: int, other: int) -> list[bytes]:
    del lines[at : min(other, at + 20)]
    return lines


def _double(_rng: random.Random, lines: list[bytes], at: int, other: int) -> list[bytes]:
    lines.insert(other, lines[at])
    return lines


def _move(_rng: random.Random, lines: list[bytes], at: int, other: int) -> list[bytes]:
    lines.insert(other, lines.pop(at))
    return lines


def _repeat(rng: random.Random, lines: list[bytes], at: int, _other: int) -> list[bytes]:
    lines[at:at] = [lines[at]] * rng.choice((2, 3, 10, 300))
    return lines


def _reverse(rng: random.Random, lines: list[bytes], at: int, other: int) -> list[bytes]:
    end = min(other, at + rng.choice((2, 3, 10)))
    lines[at:end] = lines[at:end][::-1]
    return lines


def _digit(rng: random.Random, lines: list[bytes], at: int, _other: int) -> list[bytes]:
    found = list(_NUMBER.finditer(lines[at]))
    if found:
        one = rng.choice(found)
        place = rng.randrange(one.start(), one.end())
        lines[at] = lines[at][:place] + b"%d" % rng.randrange(10) + lines[at][place + 1 :]
    return lines


def _number(rng: random.Random, lines: list[bytes], at: int, _other: int) -> list[bytes]:
    found = list(_NUMBER.finditer(lines[at]))
    if found:
        one = rng.choice(found)
        if rng.random() < 0.5:
            new = rng.choice(_ODD)
        else:
            change = rng.choice((-100000, -1000, -10, -1, 1, 10, 1000, 100000))
            new = b"%0*d" % (len(one[0]), max(0, int(one[0][:30]) + change))
        lines[at] = lines[at][: one.start()] + new + lines[at][one.end() :]
    return lines


def _tail_of_another(rng: random.Random, lines: list[bytes], at: int, other: int) -> list[bytes]:
    """The first columns of one line before the last columns of another."""
    place = rng.randrange(len(lines[at]) + 1)
    lines[at] = lines[at][:place] + lines[other][place:]
    return lines


def _indent(rng: random.Random, lines: list[bytes], at: int, other: int) -> list[bytes]:
    """Deeper or less deep, one line or several."""
    deeper = rng.random() < 0.5
    many = b" " * rng.choice((2, 2, 2, 4, 1, 70000 if rng.random() < 0.01 else 40))
    for i in range(at, min(other + 1, at + rng.choice((1, 1, 1, 4)), len(lines))):
        bar, sign, rest = lines[i].rpartition(b"|")
        if sign:
            lines[i] = bar + sign + (many + rest if deeper else rest.removeprefix(many))
    return lines


def _token(rng: random.Random, lines: list[bytes], at: int, _other: int) -> list[bytes]:
    place = rng.randrange(len(lines[at]) + 1)
    end = place + rng.choice((0, 0, 1, 4))
    lines[at] = lines[at][:place] + rng.choice(_TOKENS) + lines[at][end:]
    return lines


def _whole_token(rng: random.Random, lines: list[bytes], at: int, _other: int) -> list[bytes]:
    lines.insert(at, rng.choice(_TOKENS).rstrip(b"\n"))
    return lines


def _cut_line(rng: random.Random, lines: list[bytes], at: int, _other: int) -> list[bytes]:
    lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
    return lines


def _cut(_rng: random.Random, lines: list[bytes], at: int, other: int) -> list[bytes]:
    return lines[at:] if _rng.random() < 0.5 else lines[: other + 1]


_LINES: tuple[Callable[[random.Random, list[bytes], int, int], list[bytes]], ...] = (
    _swap, _swap_near, _swap_near, _drop, _drop, _drop_many, _double, _move, _repeat, _reverse, _digit, _digit, _digit,
    _number, _number, _tail_of_another, _indent, _indent, _token, _whole_token, _cut_line, _cut,
)  # fmt: skip
_WORDS = (0, 1, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)


def _binary(rng: random.Random, data: bytes, pages: tuple[int, int]) -> bytes:
    """A change to a trace.dat: mostly to the words of its pages, else anywhere."""
    first, end = pages
    if end > len(data) or end - first < 16 or rng.random() < 0.2:
        return _bytes(rng, data)
    at = first + rng.randrange((end - first) // 4) * 4
    other = first + rng.randrange((end - first) // 4) * 4
    size = rng.choice((4, 8, 28, 32, 36, 44, 48))
    what = rng.randrange(6)
    if what == 0:
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    if what == 1:
        return data[:at] + struct.pack("<Q", rng.choice(_WORDS)) + data[at + 8 :]
    if what == 2:
        # A small change to a number: times, durations, depths.
        old = int.from_bytes(data[at : at + 8], "little")
        new = old + rng.choice((-(1 << 32), -100000, -1000, -1, 1, 1000, 100000, 1 << 32)) & 0xFFFFFFFFFFFFFFFF
        return data[:at] + struct.pack("<Q", new) + data[at + 8 :]
    if what == 3:
        return data[:at] + data[other : other + size] + data[at + size :]
    if what == 4 and abs(at - other) >= size:
        # Two records change places.
        a, b = min(at, other), max(at, other)
        return data[:a] + data[b : b + size] + data[a + size : b] + data[a : a + size] + data[b + size :]
    # Left out: what follows moves up, and the page stays as long as it was.
    return data[:at] + data[at + size : end] + bytes(min(size, end - at)) + data[end:]
