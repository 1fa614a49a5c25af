"""``kfgraph flame``: a flame graph."""

from __future__ import annotations

from typing import Annotated, Literal

from kfgraph.cli import notes, options, progressbar
from kfgraph.cli.declared import Option
from kfgraph.cli.linking import links, links_on_terminal
from kfgraph.cli.no_effect import Idle, without_effect
from kfgraph.cli.outfile import writing

EXAMPLES = """Examples:

kfgraph flame examples/insmod-fail19.dat

kfgraph flame examples/insmod-fail19.dat --root load_module -o load_module.svg

kfgraph flame examples/cat-enoent.dat --reverse --by self --no-irq -o callers.svg

kfgraph flame examples/insmod-foo-fail19.dat --by errors --icicle
"""
IDLE = (Idle("by", ("compensate",), values=("calls", "errors")), *options.NO_LINKS)


def run(
    filters: options.AnyCalls,
    trace: options.TraceArgument = options.DEFAULT_TRACE,
    output: Annotated[
        str | None,
        Option(("-o", "--output"), "Write an SVG file (-: to stdout). Default: draw on the terminal.", metavar="FILE"),
    ] = None,
    by: Annotated[
        Literal["time", "oncpu", "asleep", "preempted", "self", "calls", "errors"] | None,
        Option(
            ("--by",),
            "The width of a frame: time, the part of it on the CPU, asleep or preempted, known self time, calls, or "
            "calls that returned an error. Default: oncpu if the trace has sched_switch, else time.",
        ),
    ] = None,
    icicle: Annotated[bool, Option(("--icicle",), "Callers at the top, callees below.")] = False,
    reverse: Annotated[
        bool, Option(("--reverse",), "Functions with the time at the root, their callers on top.")
    ] = False,
    join_recursion: Annotated[
        bool, Option(("--join-recursion",), "One frame for a function that calls itself directly.")
    ] = False,
    compensate: options.Compensate = False,
    title: Annotated[str | None, Option(("--title",), "The title of the SVG file.", metavar="TEXT")] = None,
    linking: options.HowLinked = options.AS_KNOWN,
    reading: options.HowRead = options.AS_DETECTED,
) -> None:
    """Draw a flame graph: on the terminal, or as an interactive SVG file."""
    idle = without_effect(run, locals())
    from kfgraph.errors import notice

    if title is not None and output is None:
        idle.append(notice("no-effect", options="--title", verb="does", beside="a graph on the terminal"))
    loaded = options.open_trace(trace, reading)
    from kfgraph.analyze.flame import flame

    with progressbar.shown("drawing the flame graph", quiet=reading.quiet):
        graph = flame(loaded, by=by, callers=reverse, join_recursion=join_recursion, compensate=compensate, **filters)
    left_out = {"flame-callers": graph.n_cut}
    if output is None:
        from kfgraph.render.console import stdout_console
        from kfgraph.render.flame.lines import FlameView

        stdout_console().print(FlameView(graph, icicle, links_on_terminal(loaded, linking)))
    else:
        from kfgraph.render.flame.svg import drawing, svg

        drawn = drawing(graph, title=title or "", icicle=icicle, links=links(loaded, linking))
        left_out["flame-pruned"] = drawn.n_left_out
        with writing(output) as stream:
            stream.write(svg(drawn).encode())
    notes.tell([*idle, *graph.notices, *(notice(code, n) for code, n in left_out.items() if n)])
    if reading.strict:
        notes.refuse_problems(loaded)
