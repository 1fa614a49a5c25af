"""One ``kfgraph trace`` as pure data, carried out here or taken into a guest as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from kfgraph.capture import prepare, run
from kfgraph.capture.child import Command, User
from kfgraph.capture.loads import find_loads
from kfgraph.capture.prepare import Wishes
from kfgraph.capture.probes import plan_probes, read_blacklist, read_loaded
from kfgraph.capture.recorder import Look, look_at_magic
from kfgraph.capture.run import Recording, Request, Tell, Watcher, unheard
from kfgraph.capture.stats import CpuStats
from kfgraph.capture.tracefs import Tracefs
from kfgraph.model.companion import Companion


@dataclass(frozen=True)
class Job:
    """What to record and where to, before this kernel was asked what it can do. ``said`` is what the user typed."""

    wishes: Wishes
    command: Command | None = None
    pids: tuple[int, ...] = ()
    output: str = "trace.dat"
    force: bool = False
    duration_s: float | None = None
    said: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; ``from_dict`` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Job:
        """Read what ``to_dict`` wrote, also after a way through JSON (which has no tuples)."""
        command = data["command"] and _tuples(data["command"])
        if command and command["user"]:
            command["user"] = User(**command["user"])
        return cls(
            **{
                **_tuples(data),
                "wishes": Wishes(**_tuples(data["wishes"])),
                "command": command and Command(**command),
            }
        )


def perform(
    job: Job,
    *,
    fs: Tracefs,
    watcher: Watcher | None = None,
    look: Look = look_at_magic,
    tell: Tell = unheard,
) -> Recording:
    """Record it with this kernel; ``look`` judges what the recorder wrote, ``tell`` takes sentences for the user.

    Raises:
        CaptureError, MachineError: as :func:`kfgraph.capture.run.record`; a wish that this kernel cannot grant.
    """
    prepare.check_permission(fs)
    return run.record(make_request(job, fs=fs), fs=fs, watcher=watcher, look=look, tell=tell)


def make_request(job: Job, *, fs: Tracefs) -> Request:
    """What the job means on this kernel, with this machine's modules.

    Raises:
        CaptureError: a wish that this kernel cannot grant; a file that is no module.
    """
    wishes = job.wishes
    loads = find_loads(job.command, named=wishes.modules)
    coming = {module.image.name: {f.name for f in module.image.functions} for module in loads.modules}
    loaded = read_loaded()
    plan, notes = prepare.make_plan(fs, wishes, coming=coming)
    probes = plan_probes(
        fs,
        loads.asked,
        needed=loads.needed,
        globs=wishes.returns,
        blacklist=read_blacklist(),
        loaded=loaded,
        wanted=not wishes.no_returns,
    )
    return Request(
        plan=plan,
        command=job.command,
        pids=job.pids,
        output=job.output,
        force=job.force,
        duration_s=job.duration_s,
        options=job.said,
        notes=(*notes, *loads.unread),
        probes=probes,
        modules=tuple(module.image for module in loads.modules),
        warnings=(*loads.unread, *prepare.doubts(wishes, coming=coming, loaded=loaded)),
    )


def recording_to_dict(recording: Recording) -> dict[str, Any]:
    """A JSON-ready dictionary without the path, which means nothing outside."""
    data = {name: value for name, value in vars(recording).items() if name != "path"}
    return {**data, "stats": [asdict(s) for s in recording.stats], "companion": recording.companion.to_dict()}


def recording_from_dict(data: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a Recording but its path. Raises KeyError, TypeError or ValueError on anything else."""
    return {
        **_tuples(data),
        "stats": tuple(CpuStats(**s) for s in data["stats"]),
        "companion": Companion.from_dict(data["companion"]),
    }


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
