"""Processes by their pids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kfgraph.errors import CaptureError


@dataclass(frozen=True)
class Process:
    """A process by pid and start time (clock ticks since boot), so that a reused pid is not taken for it."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has this pid now; start -1 if there is none."""
        try:
            # The comm in field 2 may hold spaces and parentheses.
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return cls(pid, -1)
        return cls(pid, -1 if fields[0] in (b"Z", b"X") else int(fields[19]))

    @property
    def alive(self) -> bool:
        """Is it still this process?"""
        return self.start >= 0 and Process.of(self.pid) == self


def living(pids: Sequence[int]) -> Iterator[int]:
    """Those of them that have not ended, each looked at when it is asked for: there may be thousands of threads."""
    return (pid for pid in pids if Process.of(pid).start >= 0)


def tasks_of(pids: Sequence[int]) -> tuple[int, ...]:
    """The threads of these processes: the tracer's filter goes by thread.

    Raises:
        CaptureError: there is no such process.
    """
    found: list[int] = []
    for pid in pids:
        threads = sorted(int(t.name) for t in Path(f"/proc/{pid}/task").glob("[0-9]*"))
        if not threads:
            raise CaptureError(f"-p {pid}: no such process")
        found += threads
    return tuple(dict.fromkeys(found))
