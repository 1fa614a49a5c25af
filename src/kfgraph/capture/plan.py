"""What to record, as pure data, and the ``trace-cmd record`` line that does it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from kfgraph.model.spelling import shell_line

FORK_EVENT, EXEC_EVENT = "sched:sched_process_fork", "sched:sched_process_exec"

_KIB_IN = {"": 1, "K": 1, "M": 1024, "G": 1024**2}
_MIB = 1024
_BUFFER_LEAST_KB, _BUFFER_MOST_KB, _BUFFERS_MOST_KB = 4 * _MIB, 64 * _MIB, 2048 * _MIB
_ONLY_BUFFER_MOST_KB = 256 * _MIB


@dataclass(frozen=True)
class CapturePlan:
    """One recording. ``buffer_kb`` is per CPU; ``min_duration_us`` 0 is no threshold.

    ``drain_percent`` is how full a buffer is when it begins to be written to the file (0: as the kernel has it).
    ``most_buffer_kb`` is what the memory could spare for a CPU (0: not known).
    """

    buffer_kb: int
    most_buffer_kb: int = 0
    follow: bool = False
    roots: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    max_depth: int = 0
    min_duration_us: int = 0
    drain_percent: int = 0
    events: tuple[str, ...] = ()
    clock: str = ""
    options: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    def argv(self, *, recorder: str, pids: tuple[int | str, ...], output: str) -> list[str]:
        """The recorder's command line for these pids.

        The exec event is always recorded (it ends what is flagged PRE_EXEC); the fork event with
        ``follow``, so that a reader knows the children.
        """
        line = [recorder, "record", "-p", "function_graph", "-o", output, "-b", str(self.buffer_kb)]
        line += ["-P", ",".join(map(str, pids))]
        if self.follow:
            line.append("-c")
        for event in self.all_events:
            line += ["-e", event]
        for option in self.options:
            line += ["-O", option]
        for flag, names in (("-g", self.roots), ("-n", self.excludes), ("-l", self.only)):
            for name in names:
                line += [flag, name]
        if self.max_depth:
            line += ["--max-graph-depth", str(self.max_depth)]
        if self.clock:
            line += ["-C", self.clock]
        return [*line, *self.extra]

    @property
    def all_events(self) -> tuple[str, ...]:
        """The events that are recorded, those that kfgraph itself needs first."""
        return (*((FORK_EVENT,) if self.follow else ()), EXEC_EVENT, *self.events)

    def with_probes(self, group: str, *, notrace: tuple[str, ...]) -> CapturePlan:
        """The same with the events of probes, and without what the probes themselves run."""
        return replace(self, events=(*self.events, group), excludes=(*self.excludes, *notrace))

    @property
    def settings(self) -> Mapping[str, str]:
        """tracefs files that trace-cmd has no option for, written before it starts."""
        values = {"tracing_thresh": self.min_duration_us, "buffer_percent": self.drain_percent}
        return {name: str(value) for name, value in values.items() if value}

    @property
    def instances(self) -> tuple[str, ...]:
        """The tracing instances that the recorder makes, because an extra option of trace-cmd says so."""
        words = iter(self.extra)
        named = [word[2:] or next(words, "") for word in words if word.startswith("-B")]
        return tuple(filter(None, named))

    def shell_lines(
        self,
        *,
        recorder: str,
        pids: tuple[int | str, ...],
        output: str,
        tracefs: str,
        set_aside: Mapping[str, str] | None = None,
    ) -> list[str]:
        """What ``--dry-run`` prints: the same as a person would type it. ``set_aside`` is written first."""
        settings = [*(set_aside or {}).items(), *self.settings.items()]
        writes = [" ".join(filter(None, ("echo", value, ">", f"{tracefs}/{name}"))) for name, value in settings]
        return [*writes, shell_line(self.argv(recorder=recorder, pids=pids, output=output))]


def parse_size_kb(text: str) -> int:
    """``64M``, ``512K``, ``1G``, ``8192`` (KiB) -> KiB.

    Raises:
        ValueError: no size, or less than 4 KiB.
    """
    match = re.fullmatch(r"\s*(\d{1,18}(?:\.\d+)?)\s*(?:([KMG])(?:I?B)?)?\s*", text, re.IGNORECASE)
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 512K, 64M or 1G")
    size = int(float(match[1]) * _KIB_IN[(match[2] or "").upper()])
    if size < 4:
        raise ValueError(f"{text!r} is less than one page (4K)")
    return size


def default_buffer_kb(*, available_kb: int, n_cpus: int) -> int:
    """Per-CPU size for this machine: an eighth of the available memory in all, 4 to 64 MiB a CPU, 2 GiB in all.

    A single CPU gets up to 256 MiB: nothing empties the buffer there while the command keeps the CPU.
    trace-cmd's own default (1.4 MiB) loses most of a single insmod.
    """
    fair = min(available_kb // 8, _BUFFERS_MOST_KB) // n_cpus
    return max(_BUFFER_LEAST_KB, min(fair, _BUFFER_MOST_KB if n_cpus > 1 else _ONLY_BUFFER_MOST_KB))


def most_buffer_kb(*, available_kb: int, n_cpus: int) -> int:
    """The most for each CPU: three quarters of the available memory in all."""
    return available_kb * 3 // 4 // n_cpus
