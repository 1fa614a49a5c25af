"""Names for the functions of modules that were gone when the trace was read: from their files.

Those that the user gives, and those that kfgraph saw the command load, where the same build still lies in its place.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from kfgraph.errors import InputError, Notice, notice
from kfgraph.kernel.fitting import Fit, fit
from kfgraph.kernel.module import SUFFIXES, Module, files_in_place, read_module
from kfgraph.model.arrays import distinct
from kfgraph.model.calls import CallTable, Flag
from kfgraph.model.symbols import UNKNOWN, SymbolTable
from kfgraph.model.trace import Trace
from kfgraph.passes.given import Given
from kfgraph.passes.return_types import types_of, with_types

_CALLS_INITS = "do_one_initcall"
_LOADS = ("parse_args", "parse_one")
"""The loader's functions that call a module's, to set its parameters."""


def apply(trace: Trace, given: Given) -> Trace:
    """The trace with the names that the module files given prove; a directory stands for all modules below it.

    A file that does not fit, and one of another kernel, becomes a Notice.

    Raises:
        InputError: a file is not there, or is no kernel module.
    """
    notices: list[Notice] = []
    modules: list[Module] = []
    for file in given.modules:
        path = Path(file)
        if path.is_dir():
            modules += _below(path, trace)
            continue
        module = read_module(path)
        why = _foreign(module, trace)
        if why:
            notices.append(notice("module-refused", file=path.name, why=why))
        else:
            modules.append(module)
    asked = {module.image.name for module in modules}
    modules += _in_their_places(trace, asked)
    calls, symbols = trace.calls, trace.symbols
    codes = distinct(calls.func)
    unknown = {int(symbols.addresses[c]): int(c) for c in codes if c != UNKNOWN and not symbols.resolved[c]}
    inits, callers = _called_by(trace, unknown, _CALLS_INITS), _callers(trace, unknown)
    own = _called_by(trace, unknown, *_LOADS)
    found = fit(modules, list(unknown), inits=inits, callers=callers, by_loader=own) if unknown else []
    fitted = {one.region.module for one in found}
    for module in modules:
        if module.image.name in asked - fitted and not _named_already(trace, module) and len(modules) < 100:
            notices.append(notice("module-not-found", file=Path(module.image.path).name))
    if not found:
        return replace(trace, notices=(*trace.notices, *notices))
    named = _named(trace, found)
    symbols = with_types(named.symbols, types_of(tuple(module.image for module in modules)))
    return replace(named, symbols=symbols, notices=(*trace.notices, *notices))


def _below(folder: Path, trace: Trace) -> Iterator[Module]:
    for path in sorted(folder.rglob("*.ko*")):
        if path.name.endswith(SUFFIXES):
            try:
                module = read_module(path)
            except InputError:
                continue
            if not _foreign(module, trace):
                yield module


def _in_their_places(trace: Trace, asked: Collection[str]) -> Iterator[Module]:
    """The modules that the command loaded, less those ``asked`` for, from where it loaded them. Only the same build."""
    images = trace.companion.modules if trace.companion is not None else ()
    for image, path in files_in_place(image for image in images if image.name not in asked):
        try:
            module = read_module(path)
        except InputError:
            continue
        if module.image.build_id == image.build_id and not _foreign(module, trace):
            yield module


def _foreign(module: Module, trace: Trace) -> str:
    """Why the file is not of the kernel that was traced; "" where it may be."""
    release = module.image.vermagic.split(" ")[0]
    if trace.meta.kernel and release != trace.meta.kernel:
        return f"it is built for {release}, the trace is of {trace.meta.kernel}"
    recorded = trace.companion.modules if trace.companion is not None else ()
    for image in recorded:
        ids = {image.build_id, module.image.build_id} - {""}
        if image.name == module.image.name and len(ids) > 1:
            return "it is another build than the one that was traced"
    return ""


def _named_already(trace: Trace, module: Module) -> bool:
    return module.image.name in trace.symbols.modules


def _called_by(trace: Trace, unknown: dict[int, int], *names: str) -> list[int]:
    """The unknown addresses that one of these functions called."""
    calls, symbols = trace.calls, trace.symbols
    caller = symbols.codes_where(name.partition(".")[0] in names for name in symbols.names)
    below = np.flatnonzero(np.isin(calls.func, list(unknown.values())) & (calls.parent >= 0))
    called = below[np.isin(calls.func[calls.parent[below]], caller)]
    return [int(symbols.addresses[code]) for code in distinct(calls.func[called])]


def _callers(trace: Trace, unknown: dict[int, int]) -> dict[int, frozenset[int]]:
    """By which unknown addresses each unknown address was called, at any depth."""
    calls, symbols = trace.calls, trace.symbols
    is_unknown = np.zeros(len(symbols), np.bool_)
    is_unknown[list(unknown.values())] = True
    found: dict[int, set[int]] = {}
    seen: dict[int, int] = {}
    for row in np.flatnonzero(is_unknown[calls.func]).tolist():
        code = int(calls.func[row])
        seen[code] = seen.get(code, 0) + 1
        if seen[code] > 64:
            continue
        above, up = set(), int(calls.parent[row])
        while up >= 0:
            if is_unknown[calls.func[up]]:
                above.add(int(symbols.addresses[calls.func[up]]))
            up = int(calls.parent[up])
        found.setdefault(int(symbols.addresses[code]), set()).update(above)
    return {address: frozenset(above) for address, above in found.items()}


def _named(trace: Trace, fits: Iterable[Fit]) -> Trace:
    symbols = trace.symbols
    found: dict[int, tuple[str, str]] = {}
    offsets: dict[int, int] = {}
    for one in fits:
        places = sorted(one.region.sites)
        for address in symbols.addresses[~symbols.resolved].tolist():
            place = address - one.base
            # A return address is inside a function: the last one that begins before it.
            before = bisect_right(places, place)
            if 0 <= place < one.region.size and before and address not in found:
                site = places[before - 1]
                found[address] = one.region.sites[site], one.region.module
                begin, end = one.region.extents.get(site, (0, 0))
                if begin <= place <= end:
                    offsets[address] = place - begin
    table = symbols.with_names(found)
    flags = trace.calls.flags.copy()
    flags[table.resolved[trace.calls.func]] &= ~np.array(Flag.NAME_UNRESOLVED, flags.dtype)
    calls = _with_callers(trace.calls.with_columns(flags=flags), symbols, table, offsets)
    return replace(trace, symbols=table, calls=calls)


def _with_callers(calls: CallTable, before: SymbolTable, named: SymbolTable, offsets: dict[int, int]) -> CallTable:
    """Each return address in a module had been a caller of its own: now the function that it lies in is."""
    if calls.caller is None:
        return calls
    code_of = {named.labels[code]: code for code in distinct(calls.func).tolist()[::-1]}
    to, offset = np.arange(len(named), dtype=np.int32), np.full(len(named), -1, np.int32)
    for code in np.flatnonzero(named.resolved & ~before.resolved).tolist():
        to[code] = code_of.get(named.labels[code], code)
        offset[code] = offsets.get(int(named.addresses[code]), -1)
    at = offset[calls.caller]
    if calls.caller_offset is not None:
        at = np.where(at >= 0, at, calls.caller_offset)
    return calls.with_columns(caller=to[calls.caller], caller_offset=at if (at >= 0).any() else None)
