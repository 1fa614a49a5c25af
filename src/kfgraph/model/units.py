"""Nanoseconds, shares and sizes as text, and text back to nanoseconds."""

from __future__ import annotations

import re
from typing import Any, TypeVar

UNKNOWN_NS = -1
_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
MOST_SECONDS = 1_000_000_000
"""More than any trace lasts (31 years); times of more would not fit their columns."""
_MOST_WHOLE = 1 << 62
_MOST_BYTES = 1 << 50
Whole = TypeVar("Whole", bound=Any)
"""A whole number, or an array of them."""


def format_ns(ns: int, *, digits: int = 3) -> str:
    """``1.234 ms``: the largest unit with at least 1 in front of the point; ``?`` for -1.

    ``digits`` decimals for us, ms and s, half of the last one rounded up; whole nanoseconds have none.
    """
    if ns < 0:
        return "?"
    if ns < 1_000:
        return f"{ns} ns"
    steps, size, unit = 10**digits, 1_000_000_000, "s"
    for smaller, its_size in (("ms", 1_000_000), ("us", 1_000)):
        if _rounded(ns * steps, its_size) < 1_000 * steps:
            size, unit = its_size, smaller
    # Whole numbers: a column of times rounds so, too.
    whole, rest = divmod(_rounded(ns * steps, size), steps)
    return f"{whole}.{rest:0{digits}d} {unit}" if digits else f"{whole} {unit}"


def _rounded(number: int, size: int) -> int:
    return (int(number) + size // 2) // size


def average_ns(total_ns: Whole, n: Whole) -> Whole:
    """The average of ``n`` > 0 times, half a nanosecond rounded up: the one way of every screen and export."""
    average: Whole = (total_ns + n // 2) // n
    return average


def parse_ns(text: str, *, default_unit: str = "") -> int:
    """``100us``, ``1.5 ms``, ``2s`` -> ns.

    Raises:
        ValueError: no number, an unknown unit, no unit and no ``default_unit``, or more than MOST_SECONDS.
    """
    match = re.fullmatch(r"\s*([0-9]{1,18}(?:\.[0-9]*)?|\.[0-9]+)\s*(ns|us|µs|μs|ms|s|)\s*", text)
    if match is None:
        raise ValueError(f"{text!r} is not a time such as 100us, 1.5ms or 2s")
    unit = match[2] or default_unit
    if not unit:
        raise ValueError(f"{text!r} has no unit (ns, us, ms, s)")
    ns = round(float(match[1]) * _UNITS[unit])
    if ns > MOST_SECONDS * _UNITS["s"]:
        raise ValueError(f"{text!r} is too long a time")
    return ns


def parse_whole(text: str, *, least: int | None = None, most: int | None = None) -> int:
    """A whole number as a user writes it: ASCII digits, a sign.

    Raises:
        ValueError: it is none, or not within ``least`` and ``most``; what does not fit 63 bits never is.
    """
    if not re.fullmatch(r"\s*[+-]?[0-9]+\s*", text):
        raise ValueError(f"{text!r} is not a whole number")
    # So many digits are too many for int() itself.
    value = int(text) if len(text) < 100 else _MOST_WHOLE + 1
    _within(text, value, least, _MOST_WHOLE if most is None else most)
    return value


def parse_seconds(text: str, *, least: float = 0, most: float | None = None) -> float:
    """A time in seconds as a user writes it: ``1.5``, ``2e-6``, or with a unit ``1.5ms``.

    Raises:
        ValueError: it is none, or not within ``least`` and ``most`` or MOST_SECONDS.
    """
    number = re.fullmatch(r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*", text)
    if number is None:
        try:
            value = parse_ns(text) / _UNITS["s"]
        except ValueError:
            raise ValueError(f"{text!r} is not a number of seconds") from None
    else:
        value = float(number[1])
    _within(text, value, least, MOST_SECONDS if most is None else most)
    return value


def _within(text: str, value: float, least: float | None, most: float) -> None:
    shown = text if len(text) < 40 else f"{text[:36]}..."
    if least is not None and value < least:
        raise ValueError(f"{shown} is less than {least}")
    if value > most or value < -_MOST_WHOLE:
        raise ValueError(f"{shown} is too large" if value > most else f"{shown} is too small")


def format_share(share: float) -> str:
    """0..1 -> ``12.3%``, ``<0.1%`` for what would round to nothing; ``?`` for a negative or undefined share."""
    if 0 < share < 0.0005:
        return "<0.1%"
    return f"{100 * share:.1f}%" if share >= 0 else "?"


def size_in(text: str, *, unit: str = " ") -> int | None:
    """``8M``, ``512K``, ``1.5G``, and ``65536`` of a ``unit`` ("K": KiB, " ": bytes) -> bytes; None: it is no size."""
    match = re.fullmatch(r"\s*(\d{1,18}(?:\.\d+)?)\s*(?:([KMG])(?:I?B)?)?\s*", text, re.IGNORECASE | re.ASCII)
    return int(float(match[1]) * (1 << 10 * " KMG".index((match[2] or unit).upper()))) if match else None


def parse_size(text: str) -> int:
    """``8M``, ``512K``, ``1.5G``, ``65536`` -> bytes.

    Raises:
        ValueError: no size, or more than any file has.
    """
    size = size_in(text)
    if size is None:
        raise ValueError(f"{text!r} is not a size such as 512K, 8M or 1G")
    if size > _MOST_BYTES:
        raise ValueError(f"{text!r} is more than any file has")
    return size


def format_size(n_bytes: int) -> str:
    """Bytes -> ``512 B``, ``1.4 KiB``, ``23.0 MiB``; ``?`` for what no file and no memory has."""
    if not 0 <= n_bytes <= _MOST_BYTES:
        return "?"
    size = float(n_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{int(size)} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def format_bytes(n_bytes: int) -> str:
    """``1 byte``, ``1,234 bytes``; a number that a damaged file says is no size is not shown as one."""
    return plural(n_bytes, "byte") if 0 <= n_bytes <= _MOST_BYTES else "an impossible number of bytes"


def format_count(n: int) -> str:
    """1234567 -> ``1,234,567``."""
    return f"{n:,}"


def plural(n: int, noun: str) -> str:
    """``1 call``, ``2 calls``, ``1,234 losses``."""
    if n == 1:
        return f"1 {noun}"
    return f"{n:,} {noun}{'es' if noun.endswith(('s', 'x', 'ch', 'sh')) else 's'}"
