"""Addresses -> function names, from the kallsyms that the file holds.

A name is given only where it can be right: the nearest symbol at or below an address must be text
(t, T, w, W), and the address must lie inside the run of text that the symbol belongs to. trace-cmd
takes any symbol, so functions of a module that is gone print as another module's ``__this_module``.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kfgraph.tracefile.source import whole

_NEWLINE, _SPACE, _DOLLAR = 10, 32, 36
_NIBBLE = np.full(256, 255, np.uint8)
for _at, _digit in enumerate("0123456789abcdef"):
    _NIBBLE[ord(_digit)] = _NIBBLE[ord(_digit.upper())] = _at
_TEXT = np.zeros(256, np.bool_)
_TEXT[[ord(kind) for kind in "tTwW"]] = True
_IGNORED = np.zeros(256, np.bool_)
# Absolute symbols are no places: x86-64 lists offsets of per-CPU variables as such.
_IGNORED[[ord("a"), ord("A")]] = True
_PAGE = np.uint64(0xFFF)
_MOST_ALIASES = 256
_MAX_LINE = 1024
MOST_LINES = 400_000
"""A kernel has a hundred or two thousand symbols. To read a line takes 200 bytes."""
_ADDRESS = re.compile("0x([0-9a-fA-F]{1,16})", re.ASCII)


class Symbol(NamedTuple):
    """A function: its name, its module ("" for the core kernel), where it begins."""

    name: str
    module: str
    start: int


class Kallsyms:
    """The symbols of one kallsyms text. Parsing goes over whole columns; names are cut out when asked for."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        data = np.frombuffer(text, np.uint8)
        ends = np.flatnonzero(data == _NEWLINE)
        if len(text) and text[-1] != _NEWLINE:
            ends = np.append(ends, len(text))
        starts = np.empty_like(ends)
        starts[:1] = 0
        starts[1:] = ends[:-1] + 1
        # The width of an address is the kernel's: 16 digits, or 8.
        width = len(text.partition(b" ")[0])
        self.n_damaged = 0
        if not 1 <= width <= 16 or not len(ends):
            self.n_damaged = int((ends > starts).sum())
            starts = ends = starts[:0]
        fits = ends - starts > width + 3
        self.n_damaged += int((~fits & (ends > starts)).sum())
        starts, ends = starts[fits], ends[fits]
        address, bad = _hex_numbers(data, starts, width)
        bad |= (data[starts + width] != _SPACE) | (data[starts + width + 2] != _SPACE)
        kind = data[starts + width + 1]
        self.n_damaged += int(bad.sum())
        good = ~bad & ~_IGNORED[kind] & (data[starts + width + 3] != _DOLLAR)
        # All zero: kallsyms were hidden from the one who recorded (kptr_restrict).
        self.hidden = bool(len(address)) and not address.any()
        # trace-cmd keeps symbols of one address in reverse order; to choose the same alias, so do we.
        kept = np.flatnonzero(good)[::-1]
        kept = kept[np.argsort(address[kept], kind="stable")]
        self.address = address[kept]
        self._is_text = _TEXT[kind[kept]]
        self._start = starts[kept] + width + 3
        self._end = ends[kept]

    def __len__(self) -> int:
        return len(self.address)

    def resolve(self, addresses: npt.NDArray[np.uint64]) -> list[Symbol | None]:
        """The function that each address lies in, None where none can be told for sure."""
        if not len(self) or self.hidden:
            return [None] * len(addresses)
        above = np.searchsorted(self.address, addresses, side="right")
        first = np.searchsorted(self.address, self.address[np.maximum(above - 1, 0)], side="left")
        found: list[Symbol | None] = []
        for address, lo, hi in zip(addresses.tolist(), first.tolist(), above.tolist(), strict=True):
            found.append(self._choose(address, lo, hi) if hi else None)
        return found

    def _choose(self, address: int, lo: int, hi: int) -> Symbol | None:
        """Among the symbols ``lo:hi``, all at the nearest address at or below."""
        if hi - lo > 1:
            at = self._search(address)
            if not lo <= at < hi or not self._is_text[at]:
                at = next((i for i in range(hi - 1, max(lo, hi - _MOST_ALIASES) - 1, -1) if self._is_text[i]), -1)
        else:
            at = lo if self._is_text[lo] else -1
        if at < 0:
            return None
        symbol = self._symbol(at)
        # The last function before data, another module, or nothing: its end is not known, its page is.
        if (address ^ symbol.start) <= int(_PAGE):
            return symbol
        ends_at_next = hi < len(self) and self._is_text[hi] and self._symbol(hi).module == symbol.module
        return symbol if ends_at_next and not _is_scattered(symbol.module) else None

    def _search(self, address: int) -> int:
        """The alias that trace-cmd takes: where its binary search over all symbols stops."""
        lo, hi = 0, len(self)
        while lo < hi:
            middle = (lo + hi) // 2
            here = int(self.address[middle])
            following = int(self.address[middle + 1]) if middle + 1 < len(self) else 0
            if here == address or here < address < following:
                return middle
            if address < here:
                hi = middle
            else:
                lo = middle + 1
        return -1

    def _symbol(self, at: int) -> Symbol:
        start = int(self._start[at])
        line = self._text[start : min(int(self._end[at]), start + _MAX_LINE)]
        name, _, rest = line.partition(b"\t")
        module = rest.strip()[1:-1] if rest.strip().startswith(b"[") else b""
        return Symbol(
            name.strip().decode("utf-8", "replace"), module.decode("utf-8", "replace"), int(self.address[at])
        )


def _is_scattered(module: str) -> bool:
    """Whether this is no module, but code made at run time, here and there: BPF programs, trampolines, probes."""
    return module == "bpf" or module.startswith("__builtin__")


def _hex_numbers(
    data: npt.NDArray[np.uint8], starts: npt.NDArray[np.intp], width: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """(the numbers, which are none) of the ``width`` digits, at most 16, that stand at each of ``starts``."""
    digits = np.zeros((len(starts), 16), np.uint8)
    if len(starts):
        # Every place as the beginning of a number, without a copy: one look-up a number, not one a digit.
        anywhere = np.ndarray((len(data) - width + 1,), f"V{width}", data, strides=(1,))
        digits[:, 16 - width :] = _NIBBLE.take(anywhere[starts].view(np.uint8).reshape(-1, width))
    no_digit: npt.NDArray[np.bool_] = np.any(digits.view(np.uint64) & np.uint64(0xF0F0F0F0F0F0F0F0), axis=1)
    pairs = digits.view("<u2")
    both = (pairs << np.uint16(4) | pairs >> np.uint16(8)).astype(np.uint8)
    return both.view(">u8").ravel().astype(np.uint64), no_digit


def loaded_modules(text: str) -> list[tuple[int, int, str]]:
    """(start, end, name) of every line of /proc/modules: ``name size uses users state address``."""
    modules = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 6 and (size := whole(words[1])) >= 0 and (start := _ADDRESS.fullmatch(words[5])):
            modules.append((int(start[1], 16), int(start[1], 16) + size, words[0]))
    return sorted(module for module in modules if module[0])


def module_at(modules: Sequence[tuple[int, int, str]], address: int) -> tuple[int, int, str]:
    """The (start, end, name) of the module that an address lies in, (0, 0, "") if in none.

    ``modules`` are sorted and do not overlap.
    """
    at = bisect_right(modules, address, key=lambda module: module[0]) - 1
    return modules[at] if at >= 0 and address < modules[at][1] else (0, 0, "")
