"""Results as HTML for a notebook: static, without script; rows of a tree close and open by themselves."""

from __future__ import annotations

import html
from collections.abc import Iterator

from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.visibility import ROWS
from kfgraph.model.spelling import spelt_out
from kfgraph.render.listingviews import Listing
from kfgraph.render.text import to_text, unasked
from kfgraph.render.tree import TreeView, tree_view

_STYLE = "font-family:monospace;white-space:pre;margin:0;overflow-x:auto;line-height:1.3"


def to_html(result: CallTree | Listing, *, max_rows: int | None = ROWS) -> str:
    """The rows that ``kfgraph show``, ``errors`` or ``syscalls`` prints of ``result``. Of a tree, each row with rows
    below it is a ``<details>`` element."""
    if not isinstance(result, CallTree):
        lines = to_text(result, max_rows=max_rows).splitlines()
        return f'<div style="{_STYLE}">{"".join(f"<div>{_text(line)}</div>" for line in lines)}</div>'
    view = tree_view(result, unasked(result, max_rows=max_rows))
    return f'<div style="{_STYLE}">{"".join(_parts(view))}</div>'


def _parts(view: TreeView) -> Iterator[str]:
    model, folded = view.model, view.folded
    for line in [*view.title(), model.head]:
        yield f"<div>{_text(line)}</div>"
    levels = folded.level.tolist()
    lines = zip(model.numbers(0, len(levels)), model.texts(0, len(levels)), strict=True)
    open_levels: list[int] = []
    for at, (numbers, name) in enumerate(lines):
        while open_levels and open_levels[-1] >= levels[at]:
            open_levels.pop()
            yield "</details>"
        words = _text(numbers + name.rstrip("\n"))
        if at + 1 < len(levels) and levels[at + 1] > levels[at]:
            open_levels.append(levels[at])
            yield f'<details open><summary style="list-style:none;cursor:pointer">{words}</summary>'
        else:
            yield f"<div>{words}</div>"
    yield "</details>" * len(open_levels)
    for line in [*view.legend(), *view.summary()]:
        yield f"<div>{_text(line)}</div>"


def _text(line: str) -> str:
    return html.escape(spelt_out(line))
