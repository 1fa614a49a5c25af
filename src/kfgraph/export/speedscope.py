"""Speedscope's file format: an evented profile per task, in nanoseconds (its file-format-spec.ts)."""

from __future__ import annotations

from typing import TextIO

from kfgraph import __version__
from kfgraph.analyze.select import Selection
from kfgraph.errors import Notice
from kfgraph.export.tracks import events, layout, within
from kfgraph.model.spelling import json_text, spelt_out

_SCHEMA = "https:" "//www.speedscope.app/file-format-schema.json"  # fmt: skip


def write_speedscope(selection: Selection, out: TextIO) -> tuple[Notice, ...]:
    """Every call opens and closes a frame; an interrupt stands in the call that it hit."""
    laid, trace = layout(selection, interrupts_apart=False), selection.trace
    func, base = trace.calls.func, laid.base_ns
    about = {"$schema": _SCHEMA, "name": spelt_out(trace.meta.path), "exporter": f"kfgraph {__version__}"}
    out.write(json_text(about)[:-1] + ',"activeProfileIndex":0,"shared":{"frames":[')
    frames = ({"name": spelt_out(label)} for label in trace.symbols.labels)
    out.write(",\n".join(json_text(frame) for frame in frames))
    out.write(']},"profiles":[')
    for number, (track, slices) in enumerate(laid.by_track()):
        parent, level = within(slices, laid.above, laid.level)
        start = laid.start_ns[slices] - base
        end = start + laid.duration_ns[slices]
        out.write(
            ("\n" if number == 0 else ",\n") + f'{{"type":"evented","name":{json_text(spelt_out(track.label))},'
            f'"unit":"nanoseconds","startValue":{int(start[0])},"endValue":{int(end.max())},"events":['
        )
        codes = func[laid.rows_of(slices)]
        separator = "\n"
        for node, begins in events(parent, level, size=1 << 14):
            at = start[node]
            at[~begins] = end[node[~begins]]
            columns = zip(begins.tolist(), codes[node].tolist(), at.tolist(), strict=True)
            lines = [
                f'{{"type":"{"O" if opens else "C"}","frame":{frame},"at":{time}}}' for opens, frame, time in columns
            ]
            out.write(separator + ",\n".join(lines))
            separator = ",\n"
        out.write("]}")
    out.write("\n]}\n")
    return laid.notices
