"""Options -> a plan -> the ``trace-cmd record`` line that does it: pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from kfgraph.capture.child import Command, User
from kfgraph.capture.probes import ProbePlan
from kfgraph.model.companion import ModuleImage
from kfgraph.model.returned import PROBE_GROUP
from kfgraph.model.spelling import shell_line
from kfgraph.model.units import size_in

FORK_EVENT, EXEC_EVENT = "sched:sched_process_fork", "sched:sched_process_exec"
RAW_SYSCALLS = ("raw_syscalls:sys_enter", "raw_syscalls:sys_exit")

_MOST_KB = 1 << 40
_MIB = 1024
_BUFFER_LEAST_KB, _BUFFER_MOST_KB, _BUFFERS_MOST_KB = 4 * _MIB, 64 * _MIB, 2048 * _MIB
_ONLY_BUFFER_MOST_KB = 256 * _MIB


@dataclass(frozen=True)
class CaptureOptions:
    """What the user asked for, before this kernel was asked what it can do: what to record, of whom, and where to.

    ``args`` and ``retval`` None: where the kernel can. ``syscalls`` None: their numbers and results, where the kernel
    can, and the paths that they name; True: named arguments too; False: none of it. ``buffer_kb`` None:
    ``default_buffer_kb``, and where that is None too, what the memory of this machine allows. ``duration_s`` None:
    no limit.
    """

    follow: bool = False
    roots: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    max_depth: int = 0
    min_duration_us: int = 0
    buffer_kb: int | None = None
    events: tuple[str, ...] = ()
    syscalls: bool | None = None
    sched: bool = False
    clock: str = ""
    args: bool | None = None
    retval: bool | None = None
    irq: bool = True
    extra: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    returns: tuple[str, ...] = ()
    no_returns: bool = False
    command: Command | None = None
    pids: tuple[int, ...] = ()
    output: str = "trace.dat"
    force: bool = False
    duration_s: float | None = None
    default_buffer_kb: int | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What is recorded and how, as far as it is not the default."""
        values = {f.name: (getattr(self, f.name), f.default) for f in fields(self) if f.name not in _OF_WHOM_AND_WHERE}
        return {name: value for name, (value, default) in values.items() if value != default}

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; ``from_dict`` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CaptureOptions:
        """Read what ``to_dict`` wrote, also after a way through JSON, which has no tuples."""
        values = with_tuples(data)
        if values["command"] is not None:
            command = with_tuples(values["command"])
            user = command["user"] and User(**command["user"])
            values["command"] = Command(**{**command, "user": user})
        return cls(**values)


_OF_WHOM_AND_WHERE = {"command", "pids", "output", "force", "duration_s", "default_buffer_kb"}


def with_tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    """The same with its lists as tuples, which JSON does not have."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}


@dataclass(frozen=True)
class CapturePlan:
    """One recording: the options, and what they come to on this kernel.

    ``buffer_kb`` is per CPU, ``most_buffer_kb`` what the memory could spare for a CPU (0: not known).
    ``drain_percent`` is how full a buffer is when it begins to be written to the file (0: as the kernel has it).
    ``trace_options`` are ftrace's. ``probes`` are to be set; once they are (``probes_set``), they are those that the
    kernel took. ``raw_syscalls``: numbers and results of system calls are recorded. ``modules`` are those that the
    command loads. ``notes`` say what is left out and why, for the companion, ``warnings`` what the user is to know.
    """

    options: CaptureOptions
    buffer_kb: int
    most_buffer_kb: int = 0
    drain_percent: int = 0
    trace_options: tuple[str, ...] = ()
    probes: ProbePlan = field(default_factory=ProbePlan)
    probes_set: bool = False
    raw_syscalls: bool = False
    modules: tuple[ModuleImage, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def argv(self, *, recorder: str, pids: tuple[int | str, ...], output: str) -> list[str]:
        """The recorder's command line for these pids."""
        options = self.options
        line = [recorder, "record", "-p", "function_graph", "-o", output, "-b", str(self.buffer_kb)]
        line += ["-P", ",".join(map(str, pids))]
        if options.follow:
            line.append("-c")
        for event in self.events:
            line += ["-e", event]
        for option in self.trace_options:
            line += ["-O", option]
        for flag, names in (("-g", options.roots), ("-n", self.excludes), ("-l", options.only)):
            for name in names:
                line += [flag, name]
        if options.max_depth:
            line += ["--max-graph-depth", str(options.max_depth)]
        if options.clock:
            line += ["-C", options.clock]
        return [*line, *options.extra]

    @property
    def events(self) -> tuple[str, ...]:
        """The events that are recorded, those that kfgraph itself needs first.

        The exec event always (it ends what is flagged PRE_EXEC), the fork event with ``follow``, so that a reader
        knows the children; last those of the probes.
        """
        needed = (FORK_EVENT, EXEC_EVENT) if self.options.follow else (EXEC_EVENT,)
        by_default = RAW_SYSCALLS if self.raw_syscalls else ()
        events = (*needed, *by_default, *asked_events(self.options), *((PROBE_GROUP,) if self.probes_set else ()))
        return tuple(dict.fromkeys(events))

    @property
    def excludes(self) -> tuple[str, ...]:
        """The functions that are not traced: with probes, what these run themselves too."""
        return (*self.options.excludes, *(self.probes.notrace if self.probes_set else ()))

    @property
    def settings(self) -> Mapping[str, str]:
        """tracefs files that trace-cmd has no option for, written before it starts."""
        values = {"tracing_thresh": self.options.min_duration_us, "buffer_percent": self.drain_percent}
        return {name: str(value) for name, value in values.items() if value}

    @property
    def instances(self) -> tuple[str, ...]:
        """The tracing instances that the recorder makes, because an extra option of trace-cmd says so."""
        words = iter(self.options.extra)
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


def asked_events(options: CaptureOptions) -> tuple[str, ...]:
    """The events that the user asked for, by name or by an option that stands for one."""
    named = {
        "syscalls": options.syscalls is True, "sched:sched_switch": options.sched, "sched:sched_waking": options.sched
    }  # fmt: skip
    return tuple(dict.fromkeys([*options.events, *(event for event, wanted in named.items() if wanted)]))


def parse_size_kb(text: str) -> int:
    """``64M``, ``512K``, ``1G``, ``8192`` (KiB) -> KiB.

    Raises:
        ValueError: no size, less than 4 KiB, or more than any machine has.
    """
    n_bytes = size_in(text, unit="K")
    if n_bytes is None:
        raise ValueError(f"{text!r} is not a size such as 512K, 64M or 1G")
    size = n_bytes >> 10
    if size < 4:
        raise ValueError(f"{text!r} is less than one page (4K)")
    if size > _MOST_KB:
        raise ValueError(f"{text!r} is more memory than any machine has")
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
