"""A trace without what tells of a machine and its user: to show others times and functions, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.select import Selection
from kfgraph.errors import NOTICES, Notice
from kfgraph.model.companion import Companion
from kfgraph.model.fields import Column, FieldSource, Int32
from kfgraph.model.lazily import MadeWhenAsked
from kfgraph.model.marks import Marks
from kfgraph.model.tasks import IDLE, Task, TaskTable
from kfgraph.model.trace import Trace
from kfgraph.model.tree import NodeKind, TreeTable

REDACTED = "redacted"


class _Texts(MadeWhenAsked[str]):
    """The texts of events, of which only the results of system calls are told."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._told = [name.startswith("sys_exit") for name in marks.names]

    def __len__(self) -> int:
        return len(self._marks)

    def _made(self, at: int) -> str:
        return self._marks.text[at] if self._told[int(self._marks.name[at])] else REDACTED


class _Numbers(NamedTuple):
    """The fields of events that are single numbers, but for the arguments of system calls."""

    source: FieldSource
    event_names: tuple[str, ...]

    def names(self, code: int) -> tuple[str, ...]:
        return self.source.names(code)

    def columns(self, code: int, rows: Int32, names: Sequence[str]) -> list[Column | None]:
        if self.event_names[code].startswith("sys_enter"):
            return [None] * len(names)
        found = self.source.columns(code, rows, names)
        return [one if one is not None and getattr(one[0], "ndim", 0) == 1 else None for one in found]


def redacted(trace: Trace) -> Trace:
    """``trace`` with the same calls and times, and without the names of the host, of tasks, of files and of the
    command, without arguments, and without the texts of events but for the results of system calls.

    Functions, modules, the kernel's version, pids, CPUs, return values and numbers in events stay. Tasks are
    ``task1``, ``task2``, those of one name alike.
    """
    names: dict[str, str] = {}
    tasks = tuple(replace(task, comm=_comm(task, names), formerly=()) for task in trace.tasks.tasks)
    meta = replace(trace.meta, path="", again="", host="", buffers=(), details={})
    return replace(
        trace,
        calls=trace.calls.with_columns(args=None),
        tasks=TaskTable(tasks),
        marks=_marks(trace.marks),
        meta=meta,
        notices=tuple(map(_notice, trace.notices)),
        companion=None if trace.companion is None else _companion(trace.companion),
    )


def redacted_selection(selection: Selection) -> Selection:
    """The same calls of the redacted trace."""
    return replace(selection, trace=redacted(selection.trace))


def redacted_tree(shown: CallTree) -> CallTree:
    """The same tree of the redacted trace."""
    selection = redacted_selection(shown.selection)
    return replace(shown, trace=selection.trace, selection=selection, tree=relabelled(shown.tree, selection.trace))


def relabelled(tree: TreeTable, trace: Trace) -> TreeTable:
    """``tree`` with the functions and tasks of ``trace`` as its labels; the names of interrupts stay."""
    labels = trace.symbols.labels + tuple(task.label for task in trace.tasks.tasks)
    n = len(tree.labels)
    if tree.has("kind"):
        irqs = tree.label[tree.kind == NodeKind.INTERRUPT]
        n = int(irqs.min(initial=n))
    return tree.with_labels(labels[:n] + tree.labels[n:])


def _comm(task: Task, names: dict[str, str]) -> str:
    if task.comm in ("", IDLE):
        return task.comm
    return names.setdefault(task.comm, f"task{len(names) + 1}")


def _marks(marks: Marks) -> Marks:
    source = None if marks.source is None else _Numbers(marks.source, marks.names)
    return replace(marks, text=_Texts(marks), source=source)


def _notice(found: Notice) -> Notice:
    """A notice whose text holds no word of this trace."""
    kind = NOTICES.get(found.code)
    told = kind is not None and "{" not in kind.many + kind.one
    text, one = (found.text, found.one) if told else (f"problems of the kind {found.code}", "")
    return replace(found, text=text, one=one, hint="", details={})


def _companion(companion: Companion) -> Companion:
    modules = tuple(replace(one, path=f"{one.name}.ko", build_id="", vermagic="") for one in companion.modules)
    return replace(
        companion,
        argv=(REDACTED,) if companion.argv else (),
        trace_cmd=(),
        options={},
        partial=REDACTED if companion.partial else "",
        modules=modules,
        notes=(),
    )
