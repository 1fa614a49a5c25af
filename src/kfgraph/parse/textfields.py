"""Fields of events that a text shows: ``name=value``, and some lines of trace-cmd and of the kernel that are laid out
otherwise. Every text of an event is parsed once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kfgraph.model.fields import Column

# A value may hold blanks (a comm): it ends where the next name begins. Some stand in brackets, [action=TIMER].
_NAME = re.compile(r"(?:\A|(?<=[\s,]))([\[(]?)([A-Za-z_]\w{0,63})=")
_NUMBER = re.compile(r"-?\d{1,20}|0x[0-9a-fA-F]{1,16}")
_TEXT = re.compile(r"(?:.*_)?(?:comm|name|filename)")

# Names of tasks may hold anything: what stands behind them tells where they end. They are of 15 bytes.
_COMM, _INT, _STATE = r".{0,64}", r"-?\d{1,10}", r"\S{1,32}"


def _field(name: str, what: str) -> str:
    return f"(?P<{name}>{what})"


def _task(prefix: str) -> str:
    """As trace-cmd writes a task: ``bash:123 [120]``."""
    comm, pid, prio = (_field(f"{prefix}{name}", _COMM if name == "comm" else _INT) for name in ("comm", "pid", "prio"))
    return rf"{comm}:{pid} \[{prio}\]"


def _named(*fields: tuple[str, str]) -> str:
    """As the kernel writes fields: ``pid=123 prio=120``."""
    return " ".join(f"{name}={_field(name, what)}" for name, what in fields)


_SUCCESS, _TARGET = f"(?: success={_field('success', _INT)})?", _field("target_cpu", _INT)
_WAKEUPS = (
    f"{_task('')}{_SUCCESS} CPU:{_TARGET}",
    f"{_named(('comm', _COMM), ('pid', _INT), ('prio', _INT))}{_SUCCESS} target_cpu={_TARGET}",
)
_LAYOUTS = {
    # trace-cmd's own, and the kernel's.
    "sched_switch": (
        f"{_task('prev_')} {_field('prev_state', _STATE)} ==> {_task('next_')}",
        _named(("prev_comm", _COMM), ("prev_pid", _INT), ("prev_prio", _INT), ("prev_state", _STATE))
        + " ==> "
        + _named(("next_comm", _COMM), ("next_pid", _INT), ("next_prio", _INT)),
    ),
    "sched_wakeup": _WAKEUPS,
    "sched_wakeup_new": _WAKEUPS,
    "sched_waking": _WAKEUPS,
    "sched_process_fork": (
        _named(("comm", _COMM), ("pid", _INT), ("child_comm", _COMM), ("child_pid", _INT)),
        _named(("parent_comm", _COMM), ("parent_pid", _INT), ("child_comm", _COMM), ("child_pid", _INT)),
    ),
    "sys_enter": (f"NR {_field('id', '-?[0-9]{1,19}')} \\({_field('args', '.*')}\\)",),
    "sys_exit": (f"NR {_field('id', '-?[0-9]{1,19}')} = {_field('ret', '-?[0-9]{1,19}')}",),
}
_RETURNED = (r"(?:\S{1,64} -> )?(?P<ret>0x[0-9a-f]{1,16})",)


def fields_of(event: str, text: str) -> Iterator[tuple[str, str]]:
    """(name, value as written) of every field that ``text`` shows; a name may come twice."""
    for layout in _LAYOUTS.get(event, _RETURNED if event.startswith("sys_exit_") else ()):
        found = re.fullmatch(layout, text.strip(), re.DOTALL)
        if found is not None:
            for name, value in found.groupdict().items():
                if value is not None:
                    yield name, _signed(value) if name == "ret" else value
            return
    begins = list(_NAME.finditer(text))
    for i, begin in enumerate(begins):
        is_last = i + 1 == len(begins)
        value = text[begin.end() : len(text) if is_last else begins[i + 1].start()].rstrip()
        if not is_last:
            value = value.removesuffix("==>").rstrip().removesuffix(",")
        yield begin[2], value[:-1] if begin[1] and value.endswith((")", "]")) else value


def _signed(value: str) -> str:
    """A long that is written as 16 hexadecimal digits."""
    return str(int(value, 16) - (1 << 64)) if re.fullmatch(r"0x[89a-f][0-9a-f]{15}", value) else value


class TextFields:
    """What makes columns of the marks of a text: see :class:`kfgraph.model.fields.FieldSource`."""

    def __init__(self, events: Sequence[str], code: npt.NDArray[np.int32], texts: Sequence[str]) -> None:
        """``texts[i]`` is of the event ``events[code[i]]``."""
        self._events = events
        self._code = code
        self._texts = texts
        self._parsed: dict[int, dict[str, dict[int, str | None]]] = {}

    def names(self, code: int) -> tuple[str, ...]:
        """Those that any text of the event shows, in the order in which they first come."""
        return tuple(self._of(code))

    def columns(self, code: int, rows: npt.NDArray[np.int32], names: Sequence[str]) -> list[Column | None]:
        """The columns of these fields."""
        parsed = self._of(code)
        return [_column(name, parsed[name], rows) if name in parsed else None for name in names]

    def _of(self, code: int) -> dict[str, dict[int, str | None]]:
        """Field -> mark -> value as written, None where the text shows two."""
        if code not in self._parsed:
            found: dict[str, dict[int, str | None]] = {}
            for mark in np.flatnonzero(self._code == code).tolist():
                for name, value in fields_of(self._events[code], self._texts[mark]):
                    values = found.setdefault(name, {})
                    values[mark] = None if mark in values else value
            self._parsed[code] = found
        return self._parsed[code]


def _column(name: str, values: dict[int, str | None], rows: npt.NDArray[np.int32]) -> Column:
    written = [values.get(row) for row in rows.tolist()]
    known = np.array([value is not None for value in written], np.bool_)
    # A task may be called 1234, and is no number for that.
    numbers = None if _TEXT.fullmatch(name) else _numbers(written)
    return ([value or "" for value in written] if numbers is None else numbers), known


def _numbers(written: Sequence[str | None]) -> Any:
    """An int64 or uint64 array, 0 for None; None if one is no number, or no such array holds all."""
    found: list[int] = []
    for value in written:
        if value is not None and not _NUMBER.fullmatch(value):
            return None
        found.append(0 if value is None else int(value, 16 if value.startswith("0x") else 10))
    low, high = min(found, default=0), max(found, default=0)
    if low >= -(1 << 63) and high < 1 << 63:
        return np.array(found, np.int64)
    return np.array(found, np.uint64) if low >= 0 and high < 1 << 64 else None
