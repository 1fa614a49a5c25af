"""What a text reader has gathered -> Trace."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kfgraph.errors import InputError, NoMatchError, Notice, notice
from kfgraph.model.args import TextArgs
from kfgraph.model.calls import CallTable, Flag
from kfgraph.model.symbols import SymbolTable
from kfgraph.model.tasks import TaskTable, task_of
from kfgraph.model.trace import Trace, TraceMeta
from kfgraph.model.units import plural
from kfgraph.parse.pairing import Paired
from kfgraph.parse.records import NO_RETVAL
from kfgraph.parse.textfields import TextFields
from kfgraph.parse.texts import Texts, decode

Int32: TypeAlias = npt.NDArray[np.int32]

_ADDRESS = re.compile(r"(?:0x)?([0-9a-f]{6,16})")
_OFFSET = re.compile(rb"[0-9a-f]{1,6}")
_MODULE = re.compile(r"(.*\S) \[([^\]]*)\]", re.DOTALL)
_NO_GRAPH_HINT = (
    "kfgraph reads the function_graph tracer: `kfgraph trace COMMAND`, or `trace-cmd record -p function_graph`"
)


def symbols_of(names: Iterable[bytes]) -> SymbolTable:
    """``f``, ``f [module]`` and addresses (``ffffffffc0b08014``, ``0x...``), code 0 first."""
    plain: list[str] = []
    modules: list[str] = []
    addresses: list[int] = []
    for text in map(decode, names):
        with_module = _MODULE.fullmatch(text)
        name, module = with_module.groups() if with_module else (text, "")
        hex_digits = _ADDRESS.fullmatch(name)
        # No function is called by six hex digits with a number among them.
        address = int(hex_digits[1], 16) if hex_digits and not hex_digits[1].isalpha() else 0
        plain.append(f"0x{address:x}" if address else name)
        modules.append(module)
        addresses.append(address)
    return SymbolTable.build(plain, modules=modules, addresses=np.array(addresses, np.uint64))


def task_table(
    lanes: Iterable[tuple[int, int]], comms: Mapping[int, bytes], former: Mapping[int, Sequence[bytes]]
) -> TaskTable:
    """The tasks of (pid, CPU): ``comms`` are the last names in the text, ``former`` the others."""
    return TaskTable(
        tuple(
            task_of(pid, decode(comms.get(pid, b"")), cpu, formerly=tuple(map(decode, former.get(pid, ()))))
            for pid, cpu in lanes
        )
    )


def assemble(
    paired: Paired, facts: Mapping[str, Any], meta: TraceMeta, notices: Iterable[Notice], *, buffer: str = ""
) -> Trace:
    """The trace. ``facts`` is what ``Scanner.facts`` says; columns that no line filled are left out.

    Raises:
        InputError: not one line was a function_graph record.
        NoMatchError: all were of other buffers than ``buffer``.
    """
    others = sorted(decode(name) for name in facts.get("others", ()))
    if not facts["n_calls"]:
        if others and not facts["events"]:
            known = ", ".join(repr(name) for name in others if name)
            problem = f"{meta.path}: no records of {f'a buffer {buffer!r}' if buffer else 'a main buffer'}"
            raise NoMatchError(problem, f"--buffer-name NAME chooses one of {known}" if known else "leave it out")
        raise InputError(f"{meta.path}: {_instead(facts)}", _NO_GRAPH_HINT)
    if others:
        shown = ", ".join(name or "(main)" for name in others)
        notices = [*notices, notice("other-buffers", len(others), buffers=shown)]
    symbols = symbols_of(facts["names"])
    calls = paired.calls
    flags, retval = calls.flags, calls.retval
    if retval is not None:
        not_told = (retval == NO_RETVAL) | ((flags & np.uint32(Flag.HAS_RETVAL)) == 0)
        flags[not_told] &= ~np.uint32(Flag.HAS_RETVAL)
        retval[not_told] = 0
    flags[~symbols.resolved[calls.func]] |= np.uint32(Flag.NAME_UNRESOLVED)
    caller, offset = _callers(calls, facts) if facts["n_callers"] else (None, None)
    calls = calls.with_columns(
        retval=retval if facts["n_retvals"] else None,
        caller=caller,
        caller_offset=offset,
        args=None
        if paired.arg is None or not facts["arg_ends"]
        else TextArgs(paired.arg, Texts(facts["arg_text"], facts["arg_ends"])),
    )
    tasks = task_table(paired.lanes, facts["comms"], facts["former_comms"])
    events, texts = tuple(map(decode, facts["events"])), Texts(facts["mark_text"], facts["mark_ends"])
    source = TextFields(events, paired.marks.name, texts)
    marks = replace(paired.marks, names=events, text=texts, source=source)
    meta = replace(
        meta,
        clock_unit="ticks" if facts["ticks"] else "ns",
        n_cpus=meta.n_cpus if meta.n_cpus >= 0 else facts["n_cpus"],
        n_records=paired.n_records,
        first_ns=paired.first_time,
        last_ns=paired.last_time,
        details={**meta.details, "n_lines": facts["n_lines"], "n_coarse_durations": facts["n_coarse"]},
    )
    found = (*notices, *_unread(facts), *_timeless(facts["n_timeless"], calls, paired.notices))
    return Trace(calls, symbols, tasks, marks, paired.losses, meta, found)


def _callers(calls: CallTable, facts: Mapping[str, Any]) -> tuple[Int32, Int32 | None]:
    """(``caller``, ``caller_offset``) of the calls, whose column ``caller`` numbers ``sites``."""
    sites = facts["sites"]
    codes = np.array([code for code, _ in sites], np.int32)
    offsets = np.array([int(digits, 16) if _OFFSET.fullmatch(digits) else -1 for _, digits in sites], np.int32)
    return codes[calls.caller], offsets[calls.caller] if (offsets >= 0).any() else None


def _unread(facts: Mapping[str, Any]) -> list[Notice]:
    if not facts["n_unread"]:
        return []
    details = {"first": decode(facts["first_unread"][:200])}
    if not facts["n_likely"]:
        return [notice("unread-line", facts["n_unread"], details=details)]
    # What a call took that is not there is in its caller's own time.
    details |= {"n_like_records": facts["n_likely"], "first_like_a_record": decode(facts["first_likely"][:200])}
    return [notice("unread-line:calls", facts["n_unread"], details=details, like=facts["n_likely"])]


def _timeless(n: int, calls: CallTable, paired: Iterable[Notice]) -> Iterator[Notice]:
    """What pairing says; but a call whose last line gives no duration has its exit."""
    if n:
        yield notice("no-duration" if (calls.duration_ns >= 0).any() else "no-duration:all", n)
    for one in paired:
        if one.code != "exit-missing" or not n:
            yield one
        elif one.n > n:
            yield replace(one, n=one.n - n)


def _instead(facts: Mapping[str, Any]) -> str:
    """What a text without calls holds. What looks like a record and is not understood is shown."""
    events = [decode(event) for event in facts["events"][:3]]
    if "function" in events:
        return "a trace of the function tracer, which has no durations and no depth"
    if events:
        return f"no function_graph records in it, only other events ({', '.join(events)})"
    if facts["n_likely"]:
        n, first = facts["n_likely"], decode(facts["first_likely"][:200]).strip()
        return f"{plural(n, 'line')} like records of function_graph, none of them understood; the first: {first!r}"
    return "no function_graph records in it"
