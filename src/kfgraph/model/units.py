"""Nanoseconds, shares and sizes as text, and text back to nanoseconds."""

from __future__ import annotations

import re

UNKNOWN_NS = -1
_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


def format_ns(ns: int, *, digits: int = 3) -> str:
    """``1.234 ms``: the largest unit with at least 1 in front of the point; ``?`` for -1.

    ``digits`` decimals for us, ms and s; whole nanoseconds have none.
    """
    if ns < 0:
        return "?"
    if ns < 1_000:
        return f"{ns} ns"
    for unit, size in (("us", 1_000), ("ms", 1_000_000)):
        if round(ns / size, digits) < 1_000:
            return f"{ns / size:.{digits}f} {unit}"
    return f"{ns / 1_000_000_000:.{digits}f} s"


def parse_ns(text: str, *, default_unit: str = "") -> int:
    """``100us``, ``1.5 ms``, ``2s`` -> ns.

    Raises:
        ValueError: no number, an unknown unit, or no unit and no ``default_unit``.
    """
    match = re.fullmatch(r"\s*(\d{1,18}(?:\.\d*)?|\.\d+)\s*(ns|us|µs|ms|s|)\s*", text)
    if match is None:
        raise ValueError(f"{text!r} is not a time such as 100us, 1.5ms or 2s")
    unit = match[2] or default_unit
    if not unit:
        raise ValueError(f"{text!r} has no unit (ns, us, ms, s)")
    return round(float(match[1]) * _UNITS[unit])


def format_share(share: float) -> str:
    """0..1 -> ``12.3%``; ``?`` for a negative or undefined share."""
    return f"{100 * share:.1f}%" if share >= 0 else "?"


def format_size(n_bytes: int) -> str:
    """Bytes -> ``512 B``, ``1.4 KiB``, ``23.0 MiB``."""
    size = float(n_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{int(size)} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def format_count(n: int) -> str:
    """1234567 -> ``1,234,567``."""
    return f"{n:,}"


def plural(n: int, noun: str) -> str:
    """``1 call``, ``2 calls``, ``1,234 losses``."""
    if n == 1:
        return f"1 {noun}"
    return f"{n:,} {noun}{'es' if noun.endswith(('s', 'x', 'ch', 'sh')) else 's'}"
