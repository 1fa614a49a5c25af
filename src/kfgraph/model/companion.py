"""What kfgraph knew when it recorded: the content of ``TRACE.kfgraph.json``.

The file stands beside the trace, is looked for and never required. Capture writes it, ``load``
reads it; the schema lives here so that neither room imports the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

FORMAT = 1


@dataclass(frozen=True)
class ModuleFunction:
    """One function of a module's ELF: ``offset`` and ``size`` in bytes, inside ``section``."""

    name: str
    section: str
    offset: int
    size: int


@dataclass(frozen=True)
class ModuleImage:
    """One module the command was seen to load."""

    name: str
    path: str
    build_id: str
    vermagic: str
    functions: tuple[ModuleFunction, ...]


@dataclass(frozen=True)
class ReturnProbe:
    """One return probe: tracefs event ``group:event`` on ``function`` (``module`` "" = core kernel)."""

    group: str
    event: str
    function: str
    module: str
    n_missed: int = 0


@dataclass(frozen=True)
class Companion:
    """What capture knows and the trace does not say. Every field has an empty default."""

    kfgraph_version: str = ""
    argv: tuple[str, ...] = ()
    """The traced command."""
    trace_cmd: tuple[str, ...] = ()
    """The recorder's command line."""
    options: Mapping[str, Any] = field(default_factory=dict)
    kernel: str = ""
    pids: tuple[int, ...] = ()
    """The processes that were traced on purpose: the command first, its children after it.
    Empty when everything was (no pid filter)."""
    follow: bool = False
    """Children were followed; the trace may name more of them (``sched_process_fork``)."""
    exit_status: int | None = None
    """The command's: 0..255, 128+n for a signal; None if it was not waited for."""
    partial: str = ""
    """Why the recording is not complete; "" if it is."""
    probes: tuple[ReturnProbe, ...] = ()
    modules: tuple[ModuleImage, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left out and why, one sentence each (probes skipped, options not offered)."""

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; ``from_dict`` reads it back."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Companion:
        """Read what ``to_dict`` wrote. Unknown keys are ignored.

        Raises:
            ValueError: not a companion file, or of a format that this version does not know.
        """
        try:
            if data["format"] != FORMAT:
                raise ValueError(f"companion format {data['format']!r} is not {FORMAT}")
            modules = tuple(
                ModuleImage(
                    name=str(m["name"]),
                    path=str(m["path"]),
                    build_id=str(m["build_id"]),
                    vermagic=str(m["vermagic"]),
                    functions=tuple(
                        ModuleFunction(str(f["name"]), str(f["section"]), int(f["offset"]), int(f["size"]))
                        for f in m["functions"]
                    ),
                )
                for m in data.get("modules", ())
            )
            probes = tuple(
                ReturnProbe(str(p["group"]), str(p["event"]), str(p["function"]), str(p["module"]), int(p["n_missed"]))
                for p in data.get("probes", ())
            )
            status = data.get("exit_status")
            return cls(
                kfgraph_version=str(data.get("kfgraph_version", "")),
                argv=tuple(map(str, data.get("argv", ()))),
                trace_cmd=tuple(map(str, data.get("trace_cmd", ()))),
                options=dict(data.get("options", {})),
                kernel=str(data.get("kernel", "")),
                pids=tuple(map(int, data.get("pids", ()))),
                follow=bool(data.get("follow", False)),
                exit_status=None if status is None else int(status),
                partial=str(data.get("partial", "")),
                probes=probes,
                modules=modules,
                notes=tuple(map(str, data.get("notes", ()))),
            )
        except (KeyError, TypeError, AttributeError) as problem:
            raise ValueError(f"not a companion file: {problem!r}") from problem
