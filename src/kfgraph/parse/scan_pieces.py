# cython: boundscheck=True, wraparound=False, initializedcheck=False, language_level=3, auto_pickle=False
"""The pieces that the lines of all texts are made of: numbers, registers, times, return values, latency letters.

Cython's pure-Python mode: uncompiled, the same file is the slow, obvious twin.
"""

from __future__ import annotations

try:
    import cython
except ImportError:
    from kfgraph.parse import _cython_shim as cython

# Literals, so that the compiled loop works on C integers; a test holds them to records.
_UNKNOWN_CONTEXT = cython.declare(cython.int, 255)
_MAX_DIGITS = cython.declare(cython.int, 18)


class Pieces:
    """A text, and what stands at a position of it: each method returns the position behind it, or -1."""

    def __init__(self) -> None:
        self.data = self.view = b"\n"
        self.value, self.time, self.time_is_ticks = 0, -1, False

    def spaces(self, i: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Behind the blanks. A line break, which always follows, ends every such loop."""
        while self.view[i] == ord(" "):
            i += 1
        return i

    def number(self, i: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Decimal digits -> value."""
        begin: cython.Py_ssize_t = i
        value: cython.longlong = 0
        while ord("0") <= self.view[i] <= ord("9"):
            if i - begin >= _MAX_DIGITS:
                return -1
            value = value * 10 + (self.view[i] - ord("0"))
            i += 1
        self.value = value
        return i if i > begin else -1

    def register(self, i: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """``-19``, ``0x1f`` or, without prefix, hex: 64 bits as a signed value."""
        c: cython.int
        digit: cython.int
        n: cython.int = 0
        value: cython.ulonglong = 0
        if self.view[i] == ord("-"):
            i = self.number(i + 1)
            self.value = -self.value
            return i
        if self.view[i] == ord("0") and self.view[i + 1] == ord("x"):
            i += 2
        while True:
            c = self.view[i]
            if ord("0") <= c <= ord("9"):
                digit = c - ord("0")
            elif ord("a") <= c <= ord("f"):
                digit = c - ord("a") + 10
            else:
                break
            if n >= 16:
                return -1
            value = (value << 4) | digit
            n += 1
            i += 1
        # Two steps, so that no step leaves 64 bits: the lower 63, less 2**63 where the top bit is set.
        self.value = value & 0x7FFFFFFFFFFFFFFF
        if value >> 63:
            self.value = self.value - 0x7FFFFFFFFFFFFFFF - 1
        return i if n else -1

    def timestamp(self, i: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """``12.345678`` (ns into ``time``), or ticks without a point (``time_is_ticks``)."""
        whole: cython.longlong
        decimals: cython.int = 0
        i = self.number(i)
        if i < 0:
            return -1
        whole = self.value
        self.time_is_ticks = self.view[i] != ord(".")
        if not self.time_is_ticks:
            if whole > 9_000_000_000:
                return -1
            i += 1
            while ord("0") <= self.view[i] <= ord("9"):
                if decimals < 9:
                    whole = whole * 10 + (self.view[i] - ord("0"))
                    decimals += 1
                i += 1
            while decimals < 9:
                whole *= 10
                decimals += 1
        self.time = whole
        return i

    def returned(self, i: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """A return value as text prints it: hex with its prefix, decimal, or of a bool -> ``value``. Some say that it
        is cut to its type: ``0x7(trunc)``."""
        if self.holds(i, b"true"):
            self.value = 1
            return i + 4
        if self.holds(i, b"false"):
            self.value = 0
            return i + 5
        if self.view[i] == ord("-") or (self.view[i] == ord("0") and self.view[i + 1] == ord("x")):
            i = self.register(i)
        else:
            i = self.number(i)
        if i >= 0 and self.holds(self.spaces(i), b"(trunc)"):
            i = self.spaces(i) + 7
        return i

    def closing(self, i: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Where the bracket that was opened before ``i`` is closed, or -1."""
        level: cython.int = 1
        while i < end:
            if self.view[i] == ord("("):
                level += 1
            elif self.view[i] == ord(")"):
                level -= 1
                if not level:
                    return i
            i += 1
        return -1

    def context_of(self, c: cython.int) -> cython.int:
        """The hardirq/softirq column of a latency field -> context."""
        if c == ord("z") or c == ord("Z"):
            return 3
        if c == ord("h") or c == ord("H"):
            return 2
        if c == ord("s"):
            return 1
        return 0 if c == ord(".") else _UNKNOWN_CONTEXT

    def has_letters(self, i: cython.Py_ssize_t) -> cython.bint:
        """Whether they begin as latency letters do: irqs-off, and hardirq/softirq behind one letter or two."""
        c: cython.int = self.view[i]
        if not (c == ord(".") or c == ord("d") or c == ord("D") or c == ord("b") or c == ord("B") or c == ord("X")):
            return False
        c = self.context_of(self.view[i + 2])
        return c != _UNKNOWN_CONTEXT or self.context_of(self.view[i + 3]) != _UNKNOWN_CONTEXT

    def holds(self, i: cython.Py_ssize_t, word: bytes) -> cython.bint:
        """Whether ``word`` stands at ``i``; it has no line break, so it ends where the line does."""
        k: cython.Py_ssize_t
        for k in range(len(word)):  # noqa: SIM110 - a generator would not compile to a C loop
            if self.view[i + k] != word[k]:
                return False
        return True
