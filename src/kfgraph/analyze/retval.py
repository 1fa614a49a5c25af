"""What a recorded return value says."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import Bool, Int16, Int32, Int64, by_level
from kfgraph.kernel.returns import Fails, fails, is_sure, known
from kfgraph.model.arrays import distinct
from kfgraph.model.calls import UNKNOWN_CONTEXT, CallTable, Flag
from kfgraph.model.symbols import Returned, SymbolTable

MAX_ERRNO = 4095
DECIMAL = 1 << 24
"""From here on numbers are written in hex."""
_HALF = 1 << 32


class Errors(NamedTuple):
    """The errors that calls returned, one element for each.

    ``codes`` are -1 to -4095, 0 for none or no value: what a return value would be as an error number.
    ``sure`` says where it is one by what is known of the function: by its type, or because it returned the
    error that its caller returned for sure. What is not sure may be a number, or junk of a function that returns
    nothing.
    """

    codes: Int16
    sure: Bool


def errors_of(calls: CallTable, symbols: SymbolTable) -> Errors:
    """The errors that ``calls`` returned.

    Where ``symbols`` tell what a function returns, its type decides: what cannot fail has no error, an int
    is the lower half of the register. Elsewhere the kernel's own rule does (trace_functions_graph.c): a
    value whose upper half is empty and whose bit 31 is set is a negative int. Some well-known functions are
    told by their names (:mod:`kfgraph.kernel.returns`).

    A call that returned its caller's error is as sure as that, where its type can hold one. Where its type is not
    known, only the first function below the caller that returned this error is: those that run after it often
    leave it in the register. An interrupt is no callee: what it returned goes to nobody.
    """
    codes, sure = np.zeros(len(calls), np.int16), np.zeros(len(calls), np.bool_)
    if calls.retval is None:
        return Errors(codes, sure)
    # Whatever the type, an error shows in the lower half.
    rows = np.flatnonzero(_errors(_lower(calls.retval)) != 0).astype(np.int32)
    rows = rows[calls.has(Flag.HAS_RETVAL)[rows]]
    func = calls.func[rows]
    how = np.zeros(len(rows), np.int8)
    order = np.argsort(func, kind="stable")
    for those in np.split(order, np.flatnonzero(np.diff(func[order])) + 1) if len(rows) else ():
        code = int(func[those[0]])
        way = fails(symbols.names[code], symbols.modules[code], symbols.returned(code))
        if way is Fails.NEVER:
            continue
        how[those] = way
        found = _errors(decoded(returned_type(symbols, code), calls.retval[rows[those]]))
        codes[rows[those]] = found
        certain = [error for error in distinct(found[found != 0]).tolist() if is_sure(error, way)]
        sure[rows[those]] = np.isin(found, certain)
    failed = codes[rows] != 0
    _hand_down(calls, codes, sure, rows[failed], how[failed])
    return Errors(codes, sure)


def _hand_down(calls: CallTable, codes: Int16, sure: Bool, rows: Int32, how: npt.NDArray[np.int8]) -> None:
    """From callers that failed for sure to the callees that returned the same; writes into ``sure``."""
    parent = calls.parent[rows]
    same = (parent >= 0) & (codes[rows] == codes[np.maximum(parent, 0)])
    # An interrupt was not called by what it hit, nor is it what ran first there.
    same &= (calls.flags[rows] & np.uint32(Flag.INTERRUPT | Flag.IN_TRACER)) == 0
    context, around = calls.context[rows], calls.context[parent]
    same &= (context == around) | (context == UNKNOWN_CONTEXT) | (around == UNKNOWN_CONTEXT)
    rows, parent, how = rows[same], parent[same], how[same]
    if not len(rows):
        return
    _, first, of = np.unique(parent, return_index=True, return_inverse=True)
    trusted = (how > Fails.MAYBE) | (calls.func[rows] == calls.func[rows[first]][of])
    for group in by_level(rows[trusted], calls.level):
        sure[group] |= sure[calls.parent[group]]


def values_of(calls: CallTable, symbols: SymbolTable, rows: npt.NDArray[Any]) -> tuple[Int64, Bool]:
    """(value, whether there is one) of what the calls ``rows`` returned.

    The value is the number that the function's C type makes of the register, an error always its negative number
    (-2, not 4294967294); where the type is not known it is the register as a signed number. A function that
    returns nothing has no value, whatever its register held.
    """
    if calls.retval is None:
        return np.zeros(len(rows), np.int64), np.zeros(len(rows), np.bool_)
    has, values, func = calls.has(Flag.HAS_RETVAL)[rows], calls.retval[rows], calls.func[rows]
    order = np.argsort(func, kind="stable")
    for those in np.split(order, np.flatnonzero(np.diff(func[order])) + 1) if len(rows) else ():
        returned = returned_type(symbols, int(func[those[0]]))
        values[those] = decoded(returned, values[those])
        if returned is not None and returned.kind == "void":
            has[those] = False
    return values, has


def value_text(value: int, returned: Returned | None) -> str:
    """A value of :func:`values_of` as text: ``true``, ``NULL``, ``-2``; large numbers and addresses in hex."""
    kind = "unknown" if returned is None else returned.kind
    if kind == "bool":
        return "true" if value else "false"
    if kind == "pointer" and not value:
        return "NULL"
    return str(value) if abs(value) < DECIMAL else hex(value & (1 << 64) - 1)


def returned_type(symbols: SymbolTable, code: int) -> Returned | None:
    """What a function returns, by the trace or else by its name."""
    told = symbols.returned(code)
    return told if told is not None else known(symbols.names[code], symbols.modules[code])


def decoded(returned: Returned | None, value: Int64) -> Int64:
    """Registers as the number that they are by ``returned``; of a type that is not known by the kernel's rule."""
    if returned is None:
        number = np.where((value >= _HALF >> 1) & (value < _HALF), value - _HALF, value)
        return np.where(_errors(number) != 0, number, value)
    n_bits = returned.n_bits
    if not 0 < n_bits < 64:
        return value
    number = value & ((1 << n_bits) - 1)
    # An error of a 32-bit kernel's pointer or unsigned long is a negative number in C, too (PTR_ERR).
    negative = number >= 1 << (n_bits - 1)
    if not returned.signed:
        negative &= returned.can_fail & (_errors(number - (1 << n_bits)) != 0)
    return np.where(negative, number - (1 << n_bits), number)


def _lower(value: Int64) -> Int64:
    return value.astype(np.int32).astype(np.int64)


def _errors(value: Int64) -> Int16:
    return np.where((value < 0) & (value >= -MAX_ERRNO), value, 0).astype(np.int16)
