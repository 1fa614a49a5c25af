"""Chrome's trace event format, which Perfetto, chrome://tracing and Speedscope open: JSON, a complete event a call.

Times are in microseconds with three decimals, counted from the start of the trace: so a double holds each nanosecond.
Format: "Trace Event Format" (Chromium's document of that name).
"""

from __future__ import annotations

from typing import TextIO

from kfgraph.analyze.select import Selection
from kfgraph.errors import Notice
from kfgraph.export.instants import instants
from kfgraph.export.tracks import Layout, Track, chunks, layout
from kfgraph.export.values import details_of
from kfgraph.model.calls import CONTEXTS
from kfgraph.model.spelling import json_text, spelt_out

_TASKS, _INTERRUPTS = 1, 2
"""The two processes under which tracks stand."""


def write_chrome(selection: Selection, out: TextIO) -> tuple[Notice, ...]:
    """A track per task, interrupts on tracks of their CPUs; other events are instants."""
    laid, trace = layout(selection), selection.trace
    calls, base = trace.calls, laid.base_ns
    head = {"clock": trace.meta.clock, "start_ns": base, "kernel": trace.meta.kernel}
    out.write(f'{{"displayTimeUnit":"ns","otherData":{json_text(head)},"traceEvents":[\n')
    places = [_place(track, number) for number, track in enumerate(laid.tracks)]
    out.write(",\n".join(_names(laid)))
    names = [json_text(spelt_out(label)) for label in trace.symbols.labels]
    categories = [json_text(name) for name in CONTEXTS] + ['"unknown"'] * (256 - len(CONTEXTS))
    details = details_of(trace)
    for part in chunks(len(laid), 1 << 14):
        rows = laid.rows_of(part)
        told = details(rows)
        more = [f',"args":{json_text(one)}' if one else "" for one in told] if told is not None else [""] * len(rows)
        since = laid.start_ns[part] - base
        lasting = laid.duration_ns[part]
        columns = zip(
            calls.func[rows].tolist(), calls.context[rows].tolist(), laid.track[part].tolist(),
            (since // 1000).tolist(), (since % 1000).tolist(), (lasting // 1000).tolist(), (lasting % 1000).tolist(),
            more, strict=True,
        )  # fmt: skip
        out.write(
            "".join(
                [
                    f',\n{{"ph":"X","name":{names[func]},"cat":{categories[context]},{places[track]},'
                    f'"ts":{us}.{ns:03d},"dur":{d_us}.{d_ns:03d}{also}}}'
                    for func, context, track, us, ns, d_us, d_ns, also in columns
                ]
            )
        )
    for one in instants(selection):
        us, ns = divmod(one.time_ns - base, 1000)
        where = f'"s":"t",{places[one.lane]}' if one.lane >= 0 else f'"s":"g","pid":{_TASKS},"tid":0'
        about = json_text({"text": one.text, "cpu": one.cpu})
        out.write(f',\n{{"ph":"i","name":{json_text(one.name)},{where},"ts":{us}.{ns:03d},"args":{about}}}')
    out.write("\n]}\n")
    return laid.notices


def _place(track: Track, number: int) -> str:
    if track.task is not None and track.task.pid > 0 and track.task.nth <= 1 and not track.place:
        return f'"pid":{_TASKS},"tid":{track.task.pid}'
    # Idle tasks share pid 0, and another task may get a pid later; a viewer's thread is known by its number. Linux has
    # no pid beyond 2**22.
    return f'"pid":{_TASKS if track.task is not None else _INTERRUPTS},"tid":{(1 << 22) + 1 + number}'


def _names(laid: Layout) -> list[str]:
    said = [
        f'{{"ph":"M","name":"process_name","pid":{pid},"tid":0,"args":{{"name":"{name}"}}}}'
        for pid, name in ((_TASKS, "tasks"), (_INTERRUPTS, "interrupts"))
    ]
    for number, track in enumerate(laid.tracks):
        place, name = _place(track, number), json_text(spelt_out(track.label))
        said.append(f'{{"ph":"M","name":"thread_name",{place},"args":{{"name":{name}}}}}')
        said.append(f'{{"ph":"M","name":"thread_sort_index",{place},"args":{{"sort_index":{number}}}}}')
    return said
