"""Calls by what they returned and by their arguments: ``--failed``, ``--ret '<0'``, ``--arg 'flags & 0x40'``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from kfgraph.analyze.forest import Bool, Int32
from kfgraph.analyze.retval import MAX_ERRNO, returned_type, values_of
from kfgraph.analyze.tree_errors import error_columns
from kfgraph.errors import UsageError
from kfgraph.kernel.errnos import errno_number
from kfgraph.model.arrays import distinct
from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace

_COMPARED: dict[str, Callable[[int, int], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "==": operator.eq,
    "!=": operator.ne, "&": lambda value, mask: bool(value & mask),
}  # fmt: skip
_NUMBER = r"[+-]?(?:0[xX][0-9a-fA-F]{1,16}|[0-9]{1,19})"
_RETURNED = re.compile(rf"\s*(<=|>=|==|!=|<|>|=|&)?\s*({_NUMBER}|-?[A-Z][A-Z0-9]*)\s*")
_ARGUMENT = re.compile(rf"\s*(\w+)\s*(<=|>=|==|!=|<|>|=|&)\s*({_NUMBER})\s*")


class Compare(NamedTuple):
    """``value OPERATION number``; ``name`` is the argument's ("" for what was returned)."""

    name: str
    operation: str
    number: int

    def holds(self, value: int) -> bool:
        """Whether it does for this value."""
        return _COMPARED[self.operation](value, self.number)


def returned(text: str) -> Compare:
    """``<0``, ``>= 5``, ``!=0``, ``3``, ``EINVAL`` (the error, -22), ``NULL``.

    Raises:
        UsageError: it is none of these.
    """
    found = _RETURNED.fullmatch(text)
    number = None if found is None else _number(found[2])
    if found is None or number is None:
        raise UsageError(f"--ret {text}: expected a comparison or an error", "--ret '<0', --ret EINVAL, --ret 0")
    return Compare("", found[1] or "==", number)


def argument(text: str) -> Compare:
    """``flags & 0x40``, ``len >= 4096``, ``fd=3``.

    Raises:
        UsageError: it is no comparison.
    """
    found = _ARGUMENT.fullmatch(text)
    if found is None:
        raise UsageError(f"--arg {text}: expected NAME, a comparison and a number", "--arg 'flags & 0x40', --arg fd=3")
    return Compare(found[1], found[2], int(found[3], 0))


def _number(word: str) -> int | None:
    if re.fullmatch(_NUMBER, word):
        return int(word, 0) if "x" in word.lower() else int(word)
    if word == "NULL":
        return 0
    number = errno_number(word.removeprefix("-"))
    return -number if number else None


def passing(
    trace: Trace, keep: Bool, *, failed: bool, ret: Sequence[str], arg: Sequence[str]
) -> Bool:
    """Which of the calls ``keep`` failed for sure, returned what one of ``ret`` says, and have an argument as one
    of ``arg`` says; a value that was not recorded passes nothing.

    Raises:
        UsageError: the trace holds no return values, or no arguments.
    """
    calls = trace.calls
    out = keep.copy()
    if failed or ret:
        told = error_columns(trace, slice(None))
        if calls.retval is None and not told:
            hint = "kfgraph trace records them where the kernel can, and --returns FUNC sets return probes"
            raise UsageError("--ret and --failed: this trace holds no return values", hint)
        error = told["error"] if told else np.zeros(len(calls), np.int16)
        if failed:
            out &= told["error_sure"] & (error != 0) if told else False
        if ret:
            out &= _returning(trace, np.flatnonzero(out).astype(np.int32), [returned(text) for text in ret], error)
    if arg:
        if calls.args is None:
            raise UsageError("--arg: this trace holds no arguments", "kfgraph trace records them from Linux 6.15 on")
        wanted = [argument(text) for text in arg]
        rows = np.flatnonzero(out).astype(np.int32)
        out[rows] = _with_arguments(trace, rows, wanted)
    return out


def n_seem_failed(
    trace: Trace, keep: Bool, parent: Int32, *, failed: bool, ret: Sequence[str], arg: Sequence[str]
) -> int:
    """How many of the calls ``keep`` are left out where only those that ``failed`` for sure pass, though they pass
    what else :func:`passing` is given: they returned what looks like an error, which did not come down from a
    ``parent`` that failed (see :func:`kfgraph.analyze.tree_errors.unsure_failures`)."""
    told = error_columns(trace, slice(None)) if failed else {}
    if not told:
        return 0
    error, sure = told["error"], told["error_sure"]
    rows = np.flatnonzero(keep & ~sure & (error < -1))
    above = parent[rows]
    seem = np.zeros(len(keep), np.bool_)
    called = (above >= 0) & ((trace.calls.flags[rows] & np.uint32(Flag.INTERRUPT)) == 0)
    seem[rows] = ~(called & sure[above] & (error[above] == error[rows]))
    return int(passing(trace, seem, failed=False, ret=ret, arg=arg).sum())


def _returning(trace: Trace, rows: Int32, wanted: Sequence[Compare], error: np.ndarray) -> Bool:
    values, known = values_of(trace.calls, trace.symbols, rows)
    # What an event of the system call's exit says is its result.
    said = error[rows] != 0
    values, known = np.where(said & ~known, error[rows], values), known | said
    # Where it is not known to be a number, what is below every error is an address: neither less nor more than one.
    address = (values < -MAX_ERRNO) & ~_numbers(trace)[trace.calls.func[rows]]
    each, which = np.unique(values, return_inverse=True)
    out = np.zeros(len(trace.calls), np.bool_)
    for one in wanted:
        fits = np.array([one.holds(value) for value in each.tolist()], np.bool_)
        here = known & fits[which] if len(fits) else known & False
        out[rows] |= here & ~address if one.operation[0] in "<>" else here
    return out


def _numbers(trace: Trace) -> Bool:
    """Which functions, by code, return a number by what is known of their type."""
    types = (returned_type(trace.symbols, code) for code in range(len(trace.symbols)))
    return np.fromiter((told is not None and told.kind != "pointer" for told in types), np.bool_, len(trace.symbols))


def _with_arguments(trace: Trace, rows: Int32, wanted: Sequence[Compare]) -> Bool:
    calls = trace.calls
    assert calls.args is not None
    out = np.zeros(len(rows), np.bool_)
    func = calls.func[rows]
    for code in distinct(func).tolist():
        mine = np.flatnonzero(func == code)
        # All calls of a function have arguments of the same names.
        first = next(filter(None, map(calls.args.text, rows[mine[:16]].tolist())), "")
        of_it = [one for one in wanted if re.search(rf"\b{one.name}=", first)]
        for at in mine.tolist() if of_it else ():
            text = calls.args.text(int(rows[at])) or ""
            out[at] = any(one.holds(value) for one in of_it for value in _values(text, one.name))
    return out


def _values(text: str, name: str) -> list[int]:
    return [int(found, 0) for found in re.findall(rf"\b{name}=(-?0x[0-9a-f]+|-?[0-9]+)", text)]
