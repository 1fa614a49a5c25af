"""What kfgraph knew when it recorded: the content of ``TRACE.kfgraph.json``.

The file stands beside the trace, is looked for and never required. Capture writes it, ``load``
reads it; the schema lives here so that neither room imports the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from kfgraph.model.returned import Returned

FORMAT = 1


@dataclass(frozen=True)
class ModuleFunction:
    """One function of a module's ELF: ``offset`` and ``size`` in bytes, inside ``section``."""

    name: str
    section: str
    offset: int
    size: int
    returns: Returned | None = None
    """What the function returns, where its file tells (BTF)."""
    untraced: tuple[str, ...] = ()
    """Functions of the kernel that it calls, that can fail, and that the kernel cannot trace."""


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
    returns: Returned | None = None
    """What the function returns, where the kernel that recorded told (BTF)."""


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
    types: Mapping[str, Returned] = field(default_factory=dict)
    """What functions of the kernel without a probe return that the modules call, where the kernel told (BTF)."""
    notes: tuple[str, ...] = ()
    """What was left out and why, one sentence each (probes skipped, options not offered)."""

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; ``from_dict`` reads it back."""
        data = asdict(self)
        for typed in (*data["probes"], *(f for module in data["modules"] for f in module["functions"])):
            if typed["returns"] is None:
                del typed["returns"]
            if not typed.get("untraced", True):
                del typed["untraced"]
        if not self.types:
            del data["types"]
        return {"format": FORMAT, **data}

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
                    name=_text(m["name"]),
                    path=_text(m["path"]),
                    build_id=_text(m["build_id"]),
                    vermagic=_text(m["vermagic"]),
                    functions=tuple(_function(f) for f in _list(m["functions"])),
                )
                for m in _list(data.get("modules", []))
            )
            probes = tuple(
                ReturnProbe(
                    group=_text(p["group"]),
                    event=_text(p["event"]),
                    function=_text(p["function"]),
                    module=_text(p["module"]),
                    n_missed=_whole(p["n_missed"]),
                    returns=_returned(p.get("returns")),
                )
                for p in _list(data.get("probes", []))
            )
            status = data.get("exit_status")
            return cls(
                kfgraph_version=_text(data.get("kfgraph_version", "")),
                argv=tuple(map(_text, _list(data.get("argv", [])))),
                trace_cmd=tuple(map(_text, _list(data.get("trace_cmd", [])))),
                options=_object(data.get("options", {})),
                kernel=_text(data.get("kernel", "")),
                pids=tuple(map(_whole, _list(data.get("pids", [])))),
                follow=_truth(data.get("follow", False)),
                exit_status=None if status is None else _whole(status),
                partial=_text(data.get("partial", "")),
                probes=probes,
                modules=modules,
                types={_text(name): _typed(told) for name, told in _object(data.get("types", {})).items()},
                notes=tuple(map(_text, _list(data.get("notes", [])))),
            )
        except (KeyError, TypeError, AttributeError) as problem:
            raise ValueError(f"not a companion file: {problem!r}") from problem


def _function(f: Any) -> ModuleFunction:
    place = _text(f["section"]), _whole(f["offset"]), _whole(f["size"])
    untraced = tuple(map(_text, _list(f.get("untraced", []))))
    return ModuleFunction(_text(f["name"]), *place, _returned(f.get("returns")), untraced)


def _returned(value: Any) -> Returned | None:
    return None if value is None else _typed(value)


def _typed(value: Any) -> Returned:
    told = _object(value)
    c_type, n_bits, kind = _text(told["c_type"]), _whole(told["n_bits"]), _text(told["kind"])
    return Returned(c_type, n_bits, _truth(told["can_fail"]), kind, _truth(told["signed"]))


def _list(value: Any) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{value!r:.40} where a list should be")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r:.40} where an object should be")
    return dict(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} where a text should be")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r:.40} where true or false should be")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise TypeError(f"{value!r:.40} where a whole number should be")
    return value
