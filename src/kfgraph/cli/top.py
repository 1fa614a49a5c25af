"""``kfgraph top``: where the time went, by function."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

from kfgraph.analyze.filters import as_typed
from kfgraph.cli import notes, options, progressbar
from kfgraph.cli.declared import Option
from kfgraph.cli.linking import links_on_terminal
from kfgraph.cli.no_effect import Idle, without_effect
from kfgraph.errors import UsageError

if TYPE_CHECKING:
    from kfgraph.analyze.callers import Of

EXAMPLES = """Examples:

kfgraph top examples/insmod-fail19.dat

kfgraph top examples/insmod-dummy.report.txt.xz --root do_init_module --by total

kfgraph top examples/cat-enoent.dat --group module

kfgraph top examples/cat-enoent.dat --limit 3 --callers

kfgraph top examples/insmod-fail19.dat --csv > functions.csv
"""
ROWS = 20
PATHS = 5
IDLE = (Idle("csv", ("paths", *options.LINKED)), Idle("json_", options.LINKED), *options.NO_LINKS)


def run(
    filters: options.AnyCalls,
    trace: options.TraceArgument = options.DEFAULT_TRACE,
    by: Annotated[
        Literal["self", "total", "calls", "errors", "avg", "max", "oncpu", "asleep", "preempted", "irq"],
        Option(("--by",), "The column to sort by; oncpu, asleep, preempted need sched_switch."),
    ] = "self",
    group: Annotated[
        Literal["function", "module"], Option(("--group",), "One row per function, or per module.")
    ] = "function",
    limit: Annotated[
        int | None,
        Option(
            ("--limit",), f"Rows to show; 0: all. Default: {ROWS}, all with --json and --csv.", metavar="N", least=0
        ),
    ] = None,
    paths: Annotated[
        int | None, Option(("--paths",), f"Hot paths to show. Default: {PATHS}.", metavar="N", least=0)
    ] = None,
    callers: Annotated[
        list[str] | None,
        Option(
            ("--callers",),
            "Who calls FUNC, with shares, upside down to the roots; without FUNC, each function shown. Repeatable.",
            metavar="FUNC", alone="*",
        ),
    ] = None,
    own_cost: Annotated[
        bool, Option(("--own-cost",), "A last row of what kfgraph itself took: setting return probes.")
    ] = False,
    compensate: options.Compensate = False,
    json_: options.Json = False,
    csv: Annotated[bool, Option(("--csv",), "The table as comma-separated values.")] = False,
    linking: options.HowLinked = options.AS_KNOWN,
    reading: options.HowRead = options.AS_DETECTED,
) -> None:
    """Show which functions took the time: calls, self and total time, percentiles, hot paths."""
    idle = without_effect(run, locals())
    if json_ and csv:
        raise UsageError("--json and --csv are two outputs", "give one of them")
    if callers and group == "module":
        raise UsageError("--callers is of functions, not of modules", "leave --group module out")
    loaded = options.open_trace(trace, reading)
    from kfgraph.analyze.top import top

    n_shown = ROWS if limit is None else limit or None
    with progressbar.shown("summing up", quiet=reading.quiet):
        result = top(
            loaded, by=by, group=group, limit=limit or None, n_paths=PATHS if paths is None else paths,
            own_cost=own_cost, compensate=compensate, **filters,
        )  # fmt: skip
        of: Of = "self" if by == "self" and not (json_ or csv) else "total"
        trees = result.callers(callers, n_shown=n_shown, of=of) if callers else None
    if json_ or csv:
        from kfgraph.export.toptable import write_top

        write_top(result, trees, sys.stdout, form="json" if json_ else "csv")
    else:
        from kfgraph.render.console import stdout_console
        from kfgraph.render.top import TopView

        view = TopView(result, n_shown, links_on_terminal(loaded, linking))
        if trees is None:
            stdout_console().print(view)
        else:
            from kfgraph.render.callertrees import print_callers

            asked_for = "*" not in (callers or ())
            typed = [*as_typed(filters), *(["--compensate"] if compensate else [])]
            print_callers(trees, view, of=of, typed=typed, before_table=asked_for)
    from kfgraph.analyze.notice_counts import problems_in

    about, strict = [*idle, *result.selection.notices], reading.strict
    notes.conclude(loaded, about, lambda: problems_in(result.selection), strict=strict)
