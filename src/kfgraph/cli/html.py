"""``kfgraph html``: one page to send."""

from __future__ import annotations

import sys
from typing import Annotated

from kfgraph.cli import notes, options, progressbar
from kfgraph.cli.declared import Option
from kfgraph.cli.no_effect import without_effect
from kfgraph.cli.outfile import writing
from kfgraph.errors import UsageError
from kfgraph.model import steps

EXAMPLES = """Examples:

kfgraph html examples/insmod-foo-fail19.dat -o failed.html

kfgraph html examples/cat-enoent.dat --root do_sys_openat2 > open.html
"""
IDLE = options.IDLE


def run(
    filters: options.AnyCalls,
    trace: options.TraceArgument = options.DEFAULT_TRACE,
    output: Annotated[
        str | None, Option(("-o", "--output"), "Where the page goes (default: stdout).", metavar="FILE")
    ] = None,
    redact: options.Redact = False,
    reading: options.HowRead = options.AS_DETECTED,
) -> None:
    """Write one HTML page with the whole trace: the answer, the call tree, the functions."""
    idle = without_effect(run, locals())
    if output in (None, "-") and sys.stdout.isatty():
        raise UsageError("the output is an HTML page, which a terminal cannot show", "-o out.html")
    with writing(output) as stream:
        loaded = options.open_trace(trace, reading)
        from kfgraph.analyze.calltree import call_tree
        from kfgraph.analyze.notice_counts import problems_in
        from kfgraph.analyze.top import top
        from kfgraph.analyze.why import why
        from kfgraph.render.html.page import Report, page

        with progressbar.shown("making the page", quiet=reading.quiet):
            steps.begin(total=4)
            tree = call_tree(loaded, **filters)
            steps.advance(1)
            functions, shown, told = top(loaded, n_paths=0, **filters), loaded, tree.selection.notices
            steps.advance(1)
            if redact:
                from kfgraph.analyze.redact import redacted_tree

                tree = redacted_tree(tree)
                shown = tree.trace
            answer = why(shown)
            steps.advance(1)
            made = page(Report(tree, functions, answer)).encode()
        stream.write(made)
    notes.tell([*idle, *told], () if reading.strict else problems_in(tree.selection))
    if reading.strict:
        notes.refuse_problems(loaded)
