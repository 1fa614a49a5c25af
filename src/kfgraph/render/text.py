"""Results as the text that the command line prints into a file."""

from __future__ import annotations

from typing import Any

from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.top import Top
from kfgraph.analyze.visibility import ROWS, FoldOptions
from kfgraph.render.console import WIDTH_OF_A_FILE
from kfgraph.render.listingviews import Listing, view_of
from kfgraph.render.tree import tree_view

Result = CallTree | Top | Listing
"""What can be shown."""


def to_text(
    result: Result,
    *,
    width: int | None = None,
    max_rows: int | None = ROWS,
    depth: int | None = None,
    min_ns: int | None = None,
) -> str:
    """What ``kfgraph show``, ``top``, ``errors`` or ``syscalls`` prints of ``result``, without colours; every line ends
    with a newline.

    Args:
        result: what :func:`kfgraph.call_tree`, :func:`kfgraph.top`, or :meth:`Trace.errors`, :meth:`Trace.syscalls` or
            :meth:`CallTable.where` of a trace returned.
        width: columns that a line may have; None: a line of a tree is never cut, a table has 160.
        max_rows: of a tree the slowest calls that fit into so many rows, of a table its first rows. None: all.
        depth: of a tree only so many levels below the roots.
        min_ns: of a tree only calls of at least so many ns.
    """
    if isinstance(result, CallTree):
        options = unasked(result, max_rows=max_rows, depth=depth, min_ns=min_ns)
        return "".join(tree_view(result, options, width=width).plain())
    lines = view_of(result, max_rows).lines(width or WIDTH_OF_A_FILE)
    return "".join(f"{line.plain.rstrip()}\n" for line in lines)


def to_rich(result: Result, *, max_rows: int | None = ROWS) -> Any:
    """The same for a rich console: in its colours and its width. ``rich.print(result)`` prints it."""
    if isinstance(result, CallTree):
        return tree_view(result, unasked(result, max_rows=max_rows))
    return view_of(result, max_rows)


def unasked(
    tree: CallTree, *, max_rows: int | None, depth: int | None = None, min_ns: int | None = None
) -> FoldOptions:
    """How a tree is folded of which nothing else was asked: of several matches one is open."""
    several = not (tree.by_task or tree.merged) and 1 < len(tree.nth) == len(tree.matches)
    open_roots = "one" if several and max_rows else "all"
    return FoldOptions(max_rows=max_rows, depth=depth, min_ns=min_ns, open_roots=open_roots)
