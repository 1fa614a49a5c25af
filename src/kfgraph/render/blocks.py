"""Columns of numbers as fixed-width text, a whole array at a time: a million rows cost a second, not a minute.

A column is made as a matrix of code points, one row of the matrix per row of the table; matrices side
by side are the left part of the lines.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Block = npt.NDArray[np.uint32]

UNKNOWN, BLANK = -1, -2
"""Values that print as ``?`` and as nothing."""

SCALE = ((1_000_000_000, "$"), (100_000_000, "@"), (10_000_000, "*"), (1_000_000, "#"), (100_000, "!"), (10_000, "+"))
"""The marks of trace-cmd and the kernel: longer than so many ns (Documentation/trace/ftrace.rst)."""

_SPACE, _ZERO, _POINT = (np.uint32(ord(c)) for c in " 0.")
_UNITS = (("us", 1_000), ("ms", 1_000_000), ("s ", 1_000_000_000))


def joined(blocks: Sequence[Block]) -> list[str]:
    """The blocks side by side, one string a row."""
    matrix = np.ascontiguousarray(np.concatenate(blocks, axis=1))
    return matrix.view(f"<U{matrix.shape[1]}").ravel().tolist() if len(matrix) else []


def text_block(text: str, n: int) -> Block:
    """``text`` on each of ``n`` rows."""
    return np.tile(np.array([ord(c) for c in text], np.uint32), (n, 1))


def _of_strings(strings: Sequence[str], index: npt.NDArray[np.intp], width: int) -> Block:
    table = np.array([[ord(c) for c in text.rjust(width)] for text in strings], np.uint32).reshape(-1, width)
    return table[index]


def _digits(values: Int64, width: int, least: int = 1) -> Block:
    """Right-aligned digits of values >= 0, padded with spaces but for the last ``least``."""
    out = np.empty((len(values), width), np.uint32)
    rest = values
    for place in range(width - 1, -1, -1):
        further = rest // 10
        digit = (rest - further * 10).astype(np.uint32) + _ZERO
        out[:, place] = digit if place >= width - least else np.where(rest > 0, digit, _SPACE)
        rest = further
    return out


def _masked(block: Block, values: Int64, at: int) -> Block:
    """``?`` in column ``at`` where a value is UNKNOWN, nothing where it is BLANK."""
    none = values < 0
    if none.any():
        block[none] = _SPACE
        block[values == UNKNOWN, at] = ord("?")
    return block


def time_width(ns: Int64, digits: int) -> int:
    """How wide ``time_block`` is for these."""
    seconds = round(int(ns.max(initial=0)) / 1_000_000_000, digits)
    return max(3, len(str(int(seconds)))) + 1 + digits + 3


def time_block(ns: Int64, digits: int, width: int) -> Block:
    """``815.386 us``: the unit by size, ``digits`` decimals in every unit, so that the points align."""
    whole = np.zeros(len(ns), np.int64)
    unit = np.zeros(len(ns), np.intp)
    open_ = np.ones(len(ns), np.bool_)
    for index, (_, size) in enumerate(_UNITS):
        step = size // 10**digits
        rounded = (np.maximum(ns, 0) + step // 2) // step
        fits = open_ & ((rounded < 1_000 * 10**digits) | (index == len(_UNITS) - 1))
        whole = np.where(fits, rounded, whole)
        unit[fits] = index
        open_ &= ~fits
    ahead = width - 4 - digits
    number = _digits(whole, ahead + digits, digits + 1)
    point = np.full((len(ns), 1), _POINT, np.uint32)
    space = np.full((len(ns), 1), _SPACE, np.uint32)
    units = _of_strings([name for name, _ in _UNITS], unit, 2)
    block = np.concatenate((number[:, :ahead], point, number[:, ahead:], space, units), axis=1)
    return _masked(block, ns, width - 4)


def second_width(ns: Int64) -> int:
    """How wide ``second_block`` is for these."""
    return max(2, len(str(int(ns.max(initial=0)) // 1_000_000_000))) + 7


def second_block(ns: Int64, width: int) -> Block:
    """``  12.345678``: seconds to the microsecond."""
    number = _digits((np.maximum(ns, 0) + 500) // 1_000, width - 1, 7)
    point = np.full((len(ns), 1), _POINT, np.uint32)
    return _masked(np.concatenate((number[:, :-6], point, number[:, -6:]), axis=1), ns, width - 8)


def share_block(share: npt.NDArray[np.float64]) -> Block:
    """`` 12.3%``, `` <0.1%`` for what would round to nothing; nothing where negative. 6 columns.

    A call can take more than its root: time inside the tracer is in no caller's. Above 999.9 % it is `` >999%``.
    """
    tenths = np.rint(np.maximum(share, 0) * 1_000).astype(np.int64)
    number = _digits(tenths, 4, 2)
    point = np.full((len(share), 1), _POINT, np.uint32)
    percent = np.full((len(share), 1), ord("%"), np.uint32)
    block = np.concatenate((number[:, :3], point, number[:, 3:], percent), axis=1)
    block[tenths > 9_999] = [ord(c) for c in " >999%"]
    block[(share > 0) & (tenths == 0)] = [ord(c) for c in " <0.1%"]
    block[share < 0] = _SPACE
    return block


def count_width(counts: Int64) -> int:
    """How wide ``count_block`` is for these."""
    return max(5, len(f"{int(counts.max(initial=0)):,}"))


def count_block(counts: Int64, width: int) -> Block:
    """``1,234``; nothing for BLANK."""
    values, index = np.unique(counts, return_inverse=True)
    return _of_strings(["" if v == BLANK else f"{v:,}" for v in values.tolist()], index.reshape(-1), width)


def scale_block(ns: Int64) -> Block:
    """The mark of each time on SCALE."""
    marks = np.array([_SPACE, *(ord(mark) for _, mark in reversed(SCALE))], np.uint32)
    return marks[scale_of(ns)].reshape(-1, 1)


def scale_of(ns: Int64) -> npt.NDArray[np.intp]:
    """How many steps of SCALE each time exceeds, 0 to 6."""
    return np.searchsorted(np.array([limit for limit, _ in reversed(SCALE)]), ns, side="left")


def mark_block(which: npt.NDArray[np.bool_], mark: str) -> Block:
    """``mark`` on the rows of ``which``, a space on the others."""
    return np.where(which, np.uint32(ord(mark)), _SPACE).astype(np.uint32).reshape(-1, 1)
