"""Lanes: the owners of call stacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

IDLE = "<idle>"
"""What tracers call the idle tasks, of which each CPU has one."""


def history_of(names: Sequence[str]) -> str:
    """``sh → ``: former names, as they stand before a label."""
    return "".join(f"{comm} → " for comm in names)


@dataclass(frozen=True)
class Task:
    """The owner of one lane.

    An idle task (pid 0) is called ``<idle>``, whatever a trace calls it. ``pid`` is -1 where the text does not tell
    (then the lane is a CPU's). ``cpu`` is set for the lanes that belong to a CPU (idle tasks, unknown pids) and -1
    otherwise. ``comm`` is "" where it is unknown (``<...>``); ``formerly`` are the names that the task had before, each
    until an exec, or the task itself, gave it another one, as far as the trace tells.

    ``nth`` is 0, or counts from 1 the tasks that had this pid one after another; the pid was this one's from
    ``since_ns`` on (-1: since before the trace, or not known).
    """

    pid: int
    comm: str = ""
    cpu: int = -1
    formerly: tuple[str, ...] = ()
    nth: int = 0
    since_ns: int = -1

    @property
    def history(self) -> str:
        """``sh → ``: what stands before the label where the task had other names; "" where it had none."""
        return history_of(self.formerly)

    @property
    def label(self) -> str:
        """``comm-pid`` as tracers print it, with ``#2`` behind it if it is the second task with that pid; an idle task
        with its CPU; ``?``: neither task nor CPU is told."""
        if self.pid < 0:
            return f"cpu {self.cpu}" if self.cpu >= 0 else "?"
        if self.pid == 0:
            return f"{self.comm or '<idle>'}/{self.cpu}" if self.cpu >= 0 else self.comm or "<idle>"
        return f"{self.comm or '<...>'}-{self.pid}{f'#{self.nth}' if self.nth else ''}"


def task_of(pid: int, comm: str, cpu: int, *, formerly: tuple[str, ...] = ()) -> Task:
    """The task that a trace calls ``comm``: "" and ``<...>`` are unknown, pid 0 is idle (``swapper/0`` elsewhere)."""
    if pid <= 0:
        return Task(pid, IDLE if pid == 0 else "" if comm == "<...>" else comm, cpu)
    return Task(pid, "" if comm == "<...>" else comm, cpu, formerly)


@dataclass(frozen=True)
class TaskTable:
    """Lane number -> :class:`Task`, in the order of each lane's first record."""

    tasks: tuple[Task, ...]

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, lane: int) -> Task:
        return self.tasks[lane]

    def lanes_of(self, *, pid: int | None = None, comm: str | None = None) -> list[int]:
        """The lanes with this pid and this comm (None: any), in order."""
        return [
            lane
            for lane, task in enumerate(self.tasks)
            if (pid is None or task.pid == pid) and (comm is None or task.comm == comm)
        ]

    @property
    def nth(self) -> tuple[int, ...]:
        """``nth`` of each task; () where each has a pid of its own."""
        return tuple(task.nth for task in self.tasks) if any(task.nth for task in self.tasks) else ()

    def lane_of(self, pid: int, time_ns: int) -> int:
        """The lane of the task that had this pid at this time; -1: none, or nothing tells which of several."""
        lanes = self.lanes_of(pid=pid)
        if any(self.tasks[lane].since_ns < 0 for lane in lanes[1:]):
            return -1
        had = [lane for lane in lanes if self.tasks[lane].since_ns <= time_ns]
        return had[-1] if had else -1
