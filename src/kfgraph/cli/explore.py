"""The explorer on a trace, for ``kfgraph ui`` and ``kfgraph show -i``."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kfgraph.cli import options, progressbar
from kfgraph.cli.linking import links
from kfgraph.errors import MachineError, UsageError

if TYPE_CHECKING:
    from kfgraph.analyze.filters import Filters
    from kfgraph.model.trace import Trace

_LARGE = 8 << 20
_BAR_AFTER_S = 0.3


def explore(path: str, filters: Filters, reading: options.Reading, linking: options.Linking) -> int:
    """The explorer on a trace; its exit code."""
    if importlib.util.find_spec("textual") is None:
        raise MachineError("the explorer needs Textual, which is not installed", "pip install 'kfgraph[ui]'")
    if not os.isatty(1):
        hint = "kfgraph show prints the call tree, into a pipe or a file too"
        raise UsageError("the explorer needs a terminal", hint)
    import_beside(path)
    loaded = options.open_trace(path, reading, after_s=_BAR_AFTER_S)
    from kfgraph.render.explorer.explorer import Explorer
    from kfgraph.render.explorer.terminal import take_keys

    def export(path: str, filters: Filters) -> str:
        return _write(loaded, path, filters)

    shown = links(loaded, linking)
    if shown is not None and (linking.source or linking.debuginfo):
        with progressbar.shown("looking for sources", quiet=reading.quiet):
            shown.look_for(loaded.symbols.labels)
            shown.sites.look_for()
    app = Explorer(loaded, filters, export=export, export_text=_write_lines, links=shown)
    take_keys()
    # What is there stays: the collector need not look through it between two keys.
    gc.freeze()
    code = app.run()
    if app.problem is not None:
        raise app.problem
    return code or 0


def import_beside(path: str) -> None:
    """Begin to import Textual in a thread, if the trace is so large that loading it takes longer than that."""
    from kfgraph.cli import memory
    from kfgraph.model.background import beside

    def run() -> None:
        with contextlib.suppress(Exception):  # who needs it next meets the same
            importlib.import_module("kfgraph.render.explorer.explorer")

    with contextlib.suppress(OSError):
        if (size := os.stat(path).st_size) >= _LARGE:  # noqa: PTH116
            memory.prepare_for_numpy()
            beside(run, n_bytes=size)


def _write(trace: Trace, path: str, filters: Filters) -> str:
    """Write the calls into a file, in the format that its name says; what there is to say."""
    from kfgraph.cli.outfile import writing
    from kfgraph.export.exporters import export, exporter_of

    exporter = exporter_of(None, path)
    with writing(path, binary=not exporter.text) as stream:
        notices = export(trace, exporter.name, stream, **filters)
    left_out = "; ".join(notice.sentence for notice in notices)
    return f"wrote {path}: {exporter.name}, for {exporter.opens}" + (f" ({left_out})" if left_out else "")


def _write_lines(path: str, lines: Iterable[str]) -> None:
    from kfgraph.cli.outfile import writing

    with writing(path, binary=False) as stream:
        for line in lines:
            stream.write(f"{line}\n".encode())
