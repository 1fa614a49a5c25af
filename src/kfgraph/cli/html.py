"""``kfgraph html``: one page to send."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any

from kfgraph.analyze.filters import as_typed
from kfgraph.cli import notes, options, progressbar
from kfgraph.cli.declared import Option
from kfgraph.cli.linking import links
from kfgraph.cli.no_effect import without_effect
from kfgraph.cli.outfile import writing
from kfgraph.errors import UsageError
from kfgraph.model import steps
from kfgraph.model.units import parse_size

EXAMPLES = """Examples:

kfgraph html examples/insmod-foo-fail19.dat -o failed.html

kfgraph html examples/cat-enoent.dat --root do_sys_openat2 > open.html
"""
IDLE = options.NO_LINKS


def run(
    filters: options.AnyCalls,
    trace: options.TraceArgument = options.DEFAULT_TRACE,
    output: Annotated[
        str | None, Option(("-o", "--output"), "Where the page goes (default: stdout).", metavar="FILE")
    ] = None,
    max_size: Annotated[
        str,
        Option(
            ("--max-size",),
            "About the size of the page at most (default: 8M): beyond it repeated calls become "
            "sums, then the fastest are left out.",
            metavar="SIZE",
        ),
    ] = "8M",
    compensate: options.Compensate = False,
    redact: options.Redact = False,
    linking: options.HowLinked = options.AS_KNOWN,
    reading: options.HowRead = options.AS_DETECTED,
) -> None:
    """Write one HTML page with the whole trace: the answer, the call tree, the functions."""
    idle = without_effect(run, locals())
    max_bytes = _size(max_size)
    if output in (None, "-") and sys.stdout.isatty():
        raise UsageError("the output is an HTML page, which a terminal cannot show", "-o out.html")
    with writing(output) as stream:
        loaded = options.open_trace(trace, reading)
        from kfgraph.analyze.calltree import call_tree
        from kfgraph.analyze.notice_counts import problems_in
        from kfgraph.analyze.top import top
        from kfgraph.analyze.why import why
        from kfgraph.render.html.page import Report, page_within

        with progressbar.shown("making the page", quiet=reading.quiet):
            steps.begin(total=4)
            tree = call_tree(loaded, group_interrupts=True, compensate=compensate, **filters)
            steps.advance(1)
            functions, shown = top(loaded, n_paths=0, compensate=compensate, **filters), loaded
            told = tree.selection.notices
            steps.advance(1)
            if redact:
                from kfgraph.analyze.redact import redacted_tree

                tree = redacted_tree(tree)
                shown = tree.trace
            answer = why(shown)
            steps.advance(1)
            sources, chosen = links(loaded, linking, local=not redact), _chosen(filters, redact=redact)
            made = page_within(Report(tree, functions, answer, sources, chosen), max_bytes)
        stream.write(made.text.encode())
    about, strict = [*idle, *told, *made.notices(max_bytes, trace=loaded.meta.as_typed)], reading.strict
    notes.conclude(loaded, about, lambda: problems_in(tree.selection), strict=strict)


def _chosen(filters: Mapping[str, Any], *, redact: bool) -> list[str]:
    """The options that leave calls out; ``redact``: without what they say."""
    words = {name: as_typed({name: value}) for name, value in filters.items() if name not in ("all_tasks", "pre_exec")}
    return [word for some in words.values() for word in (some[:1] if redact else some)]


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as problem:
        raise UsageError(f"--max-size {problem}", "--max-size 8M") from None
