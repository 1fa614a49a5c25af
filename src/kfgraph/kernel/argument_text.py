"""Recorded argument registers as text: numbers as the kernel prints them, and the words that their types have for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from kfgraph.kernel.btf import Prototype, Type
from kfgraph.kernel.errnos import errno_name
from kfgraph.kernel.syscall_arguments import open_flags

MAX_ERRNO = 4095
_OPENS = re.compile(
    r"(?:do_|__do_|__)?sys_open\w*|do_open(?:at)?2?|(?:do_)?filp_open\w*|file_open\w*|dentry_open\w*|vfs_open|"
    r"alloc_(?:empty_)?file\w*|build_open_how|anon_inode_get\w*|\w*open_by_handle\w*|kernel_file_open|finish_open\w*|\w*atomic_open\w*"
)
_OPEN_FLAGS = frozenset(("open_flag", "open_flags", "o_flags", "oflags"))
_ERRORS = frozenset(("err", "error", "ret", "retval", "rc", "status", "errno", "result"))
_COMPOUND = (
    ("GFP_KERNEL", ("DIRECT_RECLAIM", "KSWAPD_RECLAIM", "IO", "FS")),
    ("GFP_NOFS", ("DIRECT_RECLAIM", "KSWAPD_RECLAIM", "IO")),
    ("GFP_NOIO", ("DIRECT_RECLAIM", "KSWAPD_RECLAIM")),
    ("GFP_ATOMIC", ("HIGH", "KSWAPD_RECLAIM")),
    ("GFP_NOWAIT", ("KSWAPD_RECLAIM",)),
)
"""include/linux/gfp_types.h, the widest first."""


class Known(Protocol):
    """Who knows prototypes, by function code."""

    @property
    def long_size(self) -> int:
        """Bytes of a long of the kernel."""

    def prototype(self, func: int) -> Prototype | None:
        """None where it is not known."""

    def gfp_bits(self) -> Mapping[int, str]:
        """The bits of a gfp_t by name; none where that is not known."""


class Describer:
    """(function code, register values) -> text.

    Values print as the kernel prints them: pointers and unsigned numbers in hex, signed ones and
    enumerations in decimal, cut to the width of their type (the rest of a register is junk).
    """

    def __init__(self, known: Known) -> None:
        self.known = known

    def __call__(self, func: int, values: Sequence[int]) -> str:
        """``name=value, ...``."""
        prototype = self.known.prototype(func)
        if prototype is None:
            return ", ".join(f"0x{value:x}" for value in values)
        left = list(values)
        parts = []
        for name, ctype in prototype.parameters:
            if not left:
                parts.append("...")
                break
            parts.append(f"{name or '?'}={self._value(ctype, left)}")
        return ", ".join(parts)

    def word(self, func: int, place: int, value: int) -> str:
        """What the type of the parameter at ``place`` calls this value; "" where it has no word for it."""
        prototype = self.known.prototype(func)
        if prototype is None or place >= len(prototype.parameters):
            return ""
        ctype = prototype.parameters[place][1]
        return word(value, ctype, gfp=self.known.gfp_bits() if ctype.alias == "gfp_t" else {})

    def _value(self, ctype: Type, left: list[int]) -> str:
        long_size = self.known.long_size
        value = left.pop(0)
        if ctype.kind in ("struct", "union", "array", "unknown"):
            words = [value]
            while len(words) * long_size < ctype.size and left:
                words.append(left.pop(0))
            short = ":..." if len(words) * long_size < ctype.size else ""
            return "{" + ":".join(f"0x{word:x}" for word in words) + short + "}"
        bits = 8 * ctype.size if 0 < ctype.size < long_size else 8 * long_size
        value &= (1 << bits) - 1
        if ctype.signed:
            return str(value - (value >> bits - 1 << bits))
        return f"0x{value:x}"


def word(value: int, ctype: Type, *, gfp: Mapping[int, str]) -> str:
    """What people call this value of a type; "" where there is no word for it.

    ``value`` is as printed: a signed type's may be negative. ``gfp`` are the bits of a gfp_t, where they are known.
    """
    if ctype.kind == "enum":
        return of_values(ctype.names, value)
    if ctype.kind == "bool":
        return "true" if value & 0xFF else "false"
    if ctype.alias == "gfp_t":
        return _gfp(value, gfp)
    if ctype.alias == "umode_t":
        return f"0{value:o}"
    error = (1 << 64) - value
    if ctype.kind == "pointer" and 0 < error <= MAX_ERRNO and errno_name(error):
        return f"ERR_PTR(-{errno_name(error)})"
    return ""


def word_by_name(function: str, parameter: str, value: int, *, arch: str) -> str:
    """The same by the names alone: the flags of functions that open files, numbers of errors."""
    if value >= 0 and (parameter in _OPEN_FLAGS or (parameter == "flags" and _OPENS.fullmatch(function))):
        return open_flags(value, arch=arch)
    if parameter in _ERRORS and -MAX_ERRNO <= value < 0:
        name = errno_name(-value, arch=arch)
        return f"-{name}" if name else ""
    return ""


def of_values(names: Sequence[tuple[int, str]], value: int) -> str:
    """The name of a value of an enumeration; where all its values are bits, the names of those that are set."""
    by_value = dict(reversed(names))
    if value in by_value:
        return by_value[value]
    bits = [number for number in by_value if number > 0]
    if value <= 0 or len(bits) < 2 or any(number & number - 1 for number in bits) or value & ~sum(bits):
        return ""
    return "|".join(by_value[number] for number in sorted(bits) if value & number)


def _gfp(value: int, bits: Mapping[int, str]) -> str:
    known = {name: bit for bit, name in bits.items()}
    if not value or value & ~sum(bits):
        return ""
    words = []
    for name, parts in _COMPOUND:
        mask = sum(known.get(f"__GFP_{part}", 1 << 40) for part in parts)
        if value & mask == mask:
            words, value = [name], value & ~mask
            break
    return "|".join([*words, *(bits[bit] for bit in sorted(bits) if value & bit)])
