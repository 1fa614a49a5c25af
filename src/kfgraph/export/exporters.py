"""EXPORTERS: every format that is written, in one list."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from kfgraph.errors import Notice, UsageError, notice

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from kfgraph.analyze.filters import Filters
    from kfgraph.model.trace import Trace

CALLS, STACKS = "calls", "stacks"


@dataclass(frozen=True)
class Exporter:
    """One format.

    ``suffixes`` are the ends of names that mean it, the first the usual one. ``text``: it can be shown on a terminal,
    else it is bytes. ``takes`` says what it is written from: CALLS, each of them (a
    :class:`kfgraph.analyze.select.Selection`), or STACKS, those of one stack as one (a
    :class:`kfgraph.analyze.weights.Weighted`). ``where`` is ``module:function``: it writes what it takes to a text or
    a binary stream, and returns what it left out or altered. ``opens``: what reads it. ``tells_sites``: it has a column
    for file and line of each call, and takes ``sites``.
    """

    name: str
    suffixes: tuple[str, ...]
    text: bool
    takes: str
    where: str
    opens: str
    prunes: bool = False
    tells_sites: bool = False

    @property
    def suffix(self) -> str:
        """The usual end of a file's name."""
        return self.suffixes[0]

    @property
    def write(self) -> Callable[..., tuple[Notice, ...]]:
        """(what it takes, stream) -> notices."""
        module, name = self.where.split(":")
        found: Callable[..., tuple[Notice, ...]] = getattr(importlib.import_module(f"kfgraph.export.{module}"), name)
        return found


EXPORTERS = (
    Exporter("folded", (".folded", ".stacks"), True, STACKS, "folded:write_folded", "flamegraph.pl, inferno"),
    Exporter("chrome", (".json", ".chrome.json"), True, CALLS, "chrome:write_chrome", "Perfetto, chrome://tracing"),
    Exporter("speedscope", (".speedscope.json",), True, CALLS, "speedscope:write_speedscope", "speedscope"),
    Exporter("perfetto", (".pftrace", ".perfetto-trace"), False, CALLS, "perfetto:write_perfetto", "Perfetto"),
    Exporter("firefox", (".firefox.json",), True, STACKS, "firefox:write_firefox", "the Firefox Profiler"),
    Exporter("callgrind", (".callgrind", ".callgrind.out"), True, STACKS, "callgrind:write_callgrind", "KCachegrind"),
    Exporter("pprof", (".pprof", ".pb"), False, STACKS, "pprof:write_pprof", "pprof"),
    Exporter("dot", (".dot", ".gv"), True, STACKS, "graphs:write_dot", "Graphviz", prunes=True),
    Exporter("mermaid", (".mmd", ".mermaid"), True, STACKS, "graphs:write_mermaid", "Mermaid", prunes=True),
    Exporter(
        "parquet", (".parquet",), False, CALLS, "parquet:write_parquet", "DuckDB, pandas, Spark", tells_sites=True
    ),
    Exporter(
        "csv", (".csv",), True, CALLS, "callrows:write_rows", "spreadsheets, pandas, DuckDB", tells_sites=True
    ),
    Exporter("report", (".report.txt", ".report"), True, CALLS, "kernel_texts:write_report", "as trace-cmd report"),
    Exporter("ftrace", (".ftrace.txt", ".ftrace"), True, CALLS, "kernel_texts:write_ftrace", "as the tracefs file"),
    Exporter("json", (".jsonl", ".ndjson"), True, CALLS, "jsonl:write_lines", "jq: an object a call", tells_sites=True),
)  # fmt: skip
NAMES = tuple(exporter.name for exporter in EXPORTERS)
AS_RECORDED = frozenset(("chrome", "speedscope", "perfetto", "report", "ftrace"))
"""They place calls by their recorded times, and have no others."""


def exporter_of(name: str | None, path: str | None) -> Exporter:
    """The format called ``name``; without one that of which the name of the file ends so (``.gz`` aside).

    Raises:
        UsageError: there is none.
    """
    if name is not None:
        for exporter in EXPORTERS:
            if exporter.name == name:
                return exporter
        raise UsageError(f"no format {name!r}", f"--format is one of {', '.join(NAMES)}")
    hint = f"--format is one of {', '.join(NAMES)}"
    if path is None:
        raise UsageError("no format: give --format, or a file name with a known suffix", hint)
    ends = [(suffix, exporter) for exporter in EXPORTERS for suffix in exporter.suffixes]
    lower = path.lower()
    for end in (lower, lower.removesuffix(".gz")):
        found = [pair for pair in ends if end.endswith(pair[0])]
        if found:
            return max(found, key=lambda pair: len(pair[0]))[1]
    if lower.endswith(".html"):
        hint = "kfgraph html -o FILE writes a report with a flame graph"
    raise UsageError(f"{path}: the suffix is not that of a format", hint)


def export(
    trace: Trace,
    format: str,
    stream: IO[bytes],
    *,
    min_ns: int | None = None,
    min_share: float | None = None,
    redact: bool = False,
    compensate: bool = False,
    debug_info: Sequence[str | Path] = (),
    **filters: Unpack[Filters],
) -> tuple[Notice, ...]:
    """Write the selected calls of ``trace`` to a binary stream in a format; what was left out or altered.

    ``redact``: without the names of tasks, files, the host and the command, and without arguments and texts of events
    (:mod:`kfgraph.analyze.redact`). Formats that prune leave out what took less than ``min_ns``, or than the share
    ``min_share`` of all (0.005). ``compensate``: totals and self times less what tracing took, by an estimate; formats
    that place calls by their recorded times have none. ``debug_info``: files of a vmlinux or modules, for file and line
    of each call, where its return address was recorded; not in what is redacted.

    Raises:
        NoMatchError, UsageError: as :func:`kfgraph.analyze.select.select`; UsageError: there is no such format.
        InputError: debug info is not there, or is another kernel's.
        MachineError: a package that the format needs is not installed.
    """
    exporter = exporter_of(format, None)
    if compensate and exporter.name in AS_RECORDED:
        takes = ", ".join(name for name in NAMES if name not in AS_RECORDED)
        raise UsageError(
            f"--compensate: {exporter.name} places calls by their recorded times", f"formats that take it: {takes}"
        )
    if debug_info and not exporter.tells_sites:
        takes = ", ".join(one.name for one in EXPORTERS if one.tells_sites)
        raise UsageError(f"--debuginfo: {exporter.name} has no column for the lines of calls", f"formats with: {takes}")
    what: Any
    if exporter.takes == STACKS:
        from kfgraph.analyze.weights import weighted

        what, left_out = weighted(trace, compensate=compensate, **filters)
        if redact:
            from kfgraph.analyze.redact import redacted, relabelled

            what = replace(what, tree=relabelled(what.tree, redacted(trace)), about="")
    else:
        from kfgraph.analyze.select import select

        what = select(trace, compensate=compensate, **filters)
        left_out = what.notices
        if redact:
            from kfgraph.analyze.redact import redacted_selection

            what = redacted_selection(what)
    asked = exporter.prunes and (min_ns is not None or min_share is not None)
    more: dict[str, Any] = {"least": (min_ns, min_share)} if asked else {}
    if debug_info and not redact:
        from kfgraph.analyze.callsites import CallSites

        more["sites"] = CallSites.told(trace, debug_info)
        left_out = (*left_out, *([] if CallSites.recorded(trace.calls) else [notice("no-call-sites")]))
    if not exporter.text:
        return (*left_out, *exporter.write(what, stream, **more))
    out = io.TextIOWrapper(cast(BinaryIO, stream), "utf-8", newline="", write_through=False)
    notices = exporter.write(what, out, **more)
    out.flush()
    out.detach()
    return (*left_out, *notices)
