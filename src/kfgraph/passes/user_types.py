"""What functions return and what their arguments are called, by the types in files that the user names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kfgraph.errors import Notice, notice
from kfgraph.kernel.argument_text import Describer
from kfgraph.kernel.argument_text import Known as KnownTypes
from kfgraph.kernel.btf import Btf, Prototype
from kfgraph.kernel.types import returned_of
from kfgraph.kernel.typesfile import TypesFile, read_types
from kfgraph.model.args import RawArgs
from kfgraph.model.arrays import distinct
from kfgraph.model.symbols import Prototypes, Returned, SymbolTable
from kfgraph.model.trace import Trace
from kfgraph.passes.given import Given

LEAST_SHARE = 0.93
"""A kernel's own types hold 96 % and more of the core kernel's functions in its traces; another version's less than
88 % (measured on 6.1, 6.12, 6.18 and 7.2, each with the types of the others)."""
_ENOUGH = 40
_BIG_ENDIAN = ("s390", "ppc64", "mips", "sparc", "parisc", "m68k")
_SHORT = ("i386", "i486", "i586", "i686", "arm", "armv6l", "armv7l", "ppc", "mips", "m68k")


def apply(trace: Trace, given: Given) -> Trace:
    """The trace with the types of ``given.btf``; what the trace itself or its companion tells comes first.

    A file of another kernel becomes a Notice, and so does one that does not tell of which kernel it is.

    Raises:
        InputError: a file is not there, or holds no types.
    """
    notices: list[Notice] = []
    used: list[TypesFile] = []
    base: Btf | None = None
    for path in given.btf:
        file = read_types(path, base=base)
        base = file.btf if base is None and not file.module else base
        n_known, n_asked = _coverage(file, trace)
        why = _foreign(file, trace, n_known, n_asked)
        if why:
            notices.append(notice("types-refused", file=file.name, why=why))
            continue
        used.append(file)
        if not (file.release and trace.meta.kernel):
            notices.append(notice("types-unproved", file=file.name, n_known=n_known, n_asked=n_asked))
    out = replace(trace, notices=(*trace.notices, *notices))
    if not used:
        return out
    long_size = next((file.btf.long_size for file in used if file.btf.long_size), 8)
    types = _FileTypes(tuple(used), trace.symbols, long_size)
    symbols = replace(trace.symbols, prototypes=_Also(trace.symbols.prototypes, types))
    args = trace.calls.args
    calls = trace.calls
    if isinstance(args, RawArgs) and isinstance(args.describe, Describer):
        calls = calls.with_columns(args=replace(args, describe=Describer(_First(args.describe.known, types))))
    return replace(out, symbols=symbols, calls=calls)


def _coverage(file: TypesFile, trace: Trace) -> tuple[int, int]:
    """(how many of the functions that the trace names the file knows, of how many): those of the core kernel, or of
    the module, that the compiler did not clone."""
    symbols = trace.symbols
    names = {
        symbols.names[code]
        for code in distinct(trace.calls.func).tolist()
        if symbols.resolved[code] and symbols.modules[code] == file.module and "." not in symbols.names[code]
    }
    return sum(file.btf.prototype(name) is not None for name in names), len(names)


def _foreign(file: TypesFile, trace: Trace, n_known: int, n_asked: int) -> str:
    """Why the file is not of the kernel that was traced; "" where it may be."""
    kernel, arch = trace.meta.kernel, trace.meta.arch
    if file.release and kernel and file.release != kernel:
        return f"it is of {file.release}, the trace is of {kernel}"
    if arch and file.btf.big_endian != (arch.startswith(_BIG_ENDIAN) and not arch.endswith(("le", "el"))):
        return f"its byte order is not that of {arch}"
    if arch and file.btf.long_size and (file.btf.long_size == 4) != (arch in _SHORT):
        return f"its long has {8 * file.btf.long_size} bits, the trace is of {arch}"
    if not file.release and n_asked >= _ENOUGH and n_known < LEAST_SHARE * n_asked:
        return f"it knows {n_known:,} of {n_asked:,} functions of the trace: it is of another kernel"
    return ""


@dataclass(frozen=True, eq=False)
class _FileTypes:
    files: tuple[TypesFile, ...]
    symbols: SymbolTable
    long_size: int

    def prototype(self, func: int) -> Prototype | None:
        """By function code; None where no file of its module tells."""
        if not self.symbols.resolved[func]:
            return None
        name, module = self.symbols.names[func], self.symbols.modules[func]
        told = (file.btf.prototype(name) for file in self.files if file.module == module)
        return next((one for one in told if one is not None), None)

    def returned(self, code: int) -> Returned | None:
        """What a function returns, by its code."""
        prototype = self.prototype(code)
        return None if prototype is None else returned_of(prototype, long_size=self.long_size)

    def gfp_bits(self) -> Mapping[int, str]:
        """See :class:`kfgraph.kernel.argument_text.Known`."""
        return next((file.btf.gfp_bits for file in self.files if not file.module), {})


@dataclass(frozen=True, eq=False)
class _Also:
    first: Prototypes | None
    types: _FileTypes

    def returned(self, code: int) -> Returned | None:
        told = self.first.returned(code) if self.first is not None else None
        return told if told is not None else self.types.returned(code)


@dataclass(frozen=True, eq=False)
class _First:
    first: KnownTypes
    types: _FileTypes

    @property
    def long_size(self) -> int:
        return self.first.long_size

    def prototype(self, func: int) -> Prototype | None:
        told = self.first.prototype(func)
        return told if told is not None else self.types.prototype(func)

    def gfp_bits(self) -> Mapping[int, str]:
        return self.first.gfp_bits() or self.types.gfp_bits()
