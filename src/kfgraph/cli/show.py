"""``kfgraph show``: the call tree."""

from __future__ import annotations

import sys

from kfgraph.cli import notes, options
from kfgraph.cli import show_options as own
from kfgraph.cli.linking import call_sites, links_on_terminal
from kfgraph.cli.no_effect import Idle, without_effect

EXAMPLES = """Examples:

kfgraph show examples/insmod-dummy.report.txt.xz --root load_module

kfgraph show examples/insmod-fail19.dat --root do_init_module --min 1% --no-irq

kfgraph show examples/cat-enoent.dat --root vfs_open --slowest 3

kfgraph show examples/insmod-fail19.dat --root '*' --calls-to kfree --merge

kfgraph show examples/cat-enoent.dat --callers kfree

kfgraph show examples/insmod-foo-fail19.dat --root foo_probe --with returns,cpu

kfgraph show examples/insmod-fail19.dat --root load_module --json | jq -r .function
"""
IDLE = (*own.IDLE, Idle("json_", ("source", "link")), Idle("no_links", ("source", "link")), *options.IDLE)


def run(
    filters: options.AnyCalls,
    trace: options.TraceArgument = options.DEFAULT_TRACE,
    interactive: own.Interactive = False,
    nth: own.Nth = None,
    slowest: own.Slowest = None,
    merge: own.Merge = False,
    calls: own.Calls = False,
    callers: own.Callers = None,
    all_: own.All = False,
    depth: own.Depth = None,
    min_: own.Min = None,
    max_rows: own.MaxRows = None,
    expand: own.Expand = None,
    collapse: own.Collapse = None,
    open_irq: own.OpenIrq = False,
    hide: own.Hide = None,
    calls_to: own.CallsTo = None,
    errors: own.Errors = False,
    event: own.Events = None,
    start: own.Start = False,
    with_: own.With = None,
    follow_tree: own.FollowTree = False,
    compensate: options.Compensate = False,
    json_: options.Json = False,
    linking: options.HowLinked = options.AS_KNOWN,
    reading: options.HowRead = options.AS_DETECTED,
) -> int:
    """Show the call tree below a function, or of every task, with the time of each call."""
    idle = without_effect(run, locals())
    overview = own.is_overview(locals())
    if interactive:
        from kfgraph.cli.explore import explore

        code = explore(trace, filters, reading, linking)
        notes.tell(idle)
        return code
    least, beside = own.least(min_, all_=all_, max_rows=max_rows), own.beside(with_ or ())
    loaded = options.open_trace(trace, reading)
    from kfgraph.analyze.calltree import call_tree
    from kfgraph.analyze.failed_command import why_it_failed
    from kfgraph.analyze.notice_counts import problems_in
    from kfgraph.render.screen import open_screen
    from kfgraph.render.tree import tree_view

    if callers:
        from kfgraph.analyze.callers import callers as callers_of

        # Single calls, and what they lead to, are not in such a tree.
        merge, nth, slowest, calls_to, errors, event, start, beside = True, None, None, None, False, None, False, ()
    merge, screen = merge or overview, open_screen()
    several = bool(filters.get("root")) and nth is None and slowest is None and not merge
    folding = own.fold_options(
        several=several, overview=overview, screen_rows=screen.rows, all_=all_, depth=depth, least=least,
        max_rows=max_rows, expand=expand or (), collapse=collapse or (), calls_to=calls_to or (), errors=errors,
        open_irq=open_irq,
    )  # fmt: skip
    if callers:
        tree = callers_of(loaded, callers, compensate=compensate, **filters)
    else:
        tree = call_tree(
            loaded, merge=merge, nth=nth, slowest=slowest, hide=() if json_ else hide or (),
            group_interrupts=not json_, compensate=compensate, follow_tree=follow_tree, **filters
        )
        own.check_hidden(tree, () if json_ else hide or ())
    sites = call_sites(loaded, linking, json=json_, merged=merge, beside=beside)
    if json_:
        from kfgraph.export.jsonl import write_calls, write_nodes

        write_nodes(tree, sys.stdout) if merge else write_calls(tree, sys.stdout, sites=sites)
    else:
        view = tree_view(
            tree, folding, events=event or (), width=screen.width, start=start, beside=beside, overview=overview,
            mergeable=not (calls or slowest or nth), links=links_on_terminal(loaded, linking, used=sites is not None),
            sites=sites, above=why_it_failed(loaded) if overview and not filters else (),
        )  # fmt: skip
        screen.show(view)
    about, strict = [*idle, *tree.selection.notices], reading.strict
    notes.conclude(loaded, about, lambda: problems_in(tree.selection, tree.shown_rows), strict=strict)
    return 0
