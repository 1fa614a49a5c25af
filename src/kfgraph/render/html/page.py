"""A trace as one HTML page that needs nothing else: the parts of it, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.event_rows import nodes_of
from kfgraph.analyze.forest import Int32
from kfgraph.analyze.info import info
from kfgraph.analyze.notice_counts import problems_in
from kfgraph.analyze.top import Top
from kfgraph.analyze.waiting_functions import functions_off_cpu
from kfgraph.analyze.why import Why
from kfgraph.kernel.errnos import errno_name
from kfgraph.model.spelling import spelt_out
from kfgraph.render.details import loss_text
from kfgraph.render.html import answer
from kfgraph.render.html.markup import document, text
from kfgraph.render.html.nodes import add_nodes
from kfgraph.render.html.pack import Pack
from kfgraph.render.info import InfoView

TABS = (
    ("tree", "Call tree"), ("functions", "Functions"), ("flame", "Flame graph"), ("timeline", "Timeline"),
    ("about", "About this trace"),
)  # fmt: skip


@dataclass(frozen=True)
class Report:
    """What a page shows: the tree of single calls, the functions, and why it failed."""

    call_tree: CallTree
    top: Top
    why: Why


def page(report: Report) -> str:
    """The page of ``report``."""
    tree, trace = report.call_tree, report.call_tree.trace
    pack = Pack({})
    node_of = add_nodes(pack, tree)
    pack.head.update(_head(report, pack.head["names"], node_of, pack.head["origin_ns"]))
    pack.head["since_first_ns"] = pack.head["origin_ns"] - max(trace.meta.first_ns, 0)
    problems = problems_in(tree.selection)
    body = [
        answer.header(trace, report.top), answer.answer(report.why, report.top, node_of), answer.missing(problems),
        '<div class="status" id="status" role="status" aria-live="polite"></div>', _tabs(), "<main>",
        *(_panel(name, report, hidden=i > 0) for i, (name, _) in enumerate(TABS)), "</main>",
        '<noscript><p class="problem">The tree needs JavaScript, which this page brings along.</p></noscript>',
    ]  # fmt: skip
    return document(title=f"{answer.title_of(trace)} – kfgraph", body="\n".join(body), data=pack.base64())


def _tabs() -> str:
    buttons = [
        f'<button type="button" role="tab" id="tab-{name}" data-tab="{name}" aria-controls="panel-{name}" '
        f'aria-selected="{"false" if i else "true"}"{" tabindex=-1" if i else ""}>{title}</button>'
        for i, (name, title) in enumerate(TABS)
    ]
    return f'<div class="tabs" role="tablist" aria-label="Views">{"".join(buttons)}</div>'


def _panel(name: str, report: Report, *, hidden: bool) -> str:
    inside = _about(report) if name == "about" else ""
    is_hidden = " hidden" if hidden else ""
    return f'<div role="tabpanel" id="panel-{name}" aria-labelledby="tab-{name}"{is_hidden}>{inside}</div>'


def _about(report: Report) -> str:
    facts = InfoView(info(report.call_tree.trace), verbose=True).facts()
    lines = [f"<dt>{text(title)}</dt><dd>{text(said)}</dd>" for title, said, _ in facts]
    return f'<div class="about"><dl>{"".join(lines)}</dl></div>'


def _head(report: Report, labels: Sequence[int], node_of: Int32, origin_ns: int) -> dict[str, Any]:
    """What the page's program must know beside the columns."""
    tree, trace = report.call_tree.tree, report.call_tree.trace
    n_functions, waits = len(trace.symbols), functions_off_cpu(trace)
    chain = [int(node_of[step.row]) for step in report.why.chain if 0 <= step.row < len(node_of)]
    born = report.why.birth
    codes = np.unique(tree.error).tolist() if tree.has("error") else []
    return {
        "names": [spelt_out(tree.labels[label]) for label in labels],
        "tasks": [i for i, label in enumerate(labels) if label >= n_functions],
        "asleep": [i for i, label in enumerate(labels) if label < n_functions and waits[label]],
        "losses": _losses(report.call_tree, origin_ns),
        "failed": report.why.has_failed,
        "born": int(node_of[born.step.row]) if born is not None and born.step.row >= 0 else -1,
        "open": chain[-1] if chain else -1,
        "errors": {-code: errno_name(-code, arch=trace.meta.arch) for code in codes if code},
        "show": f"kfgraph show {trace.meta.as_typed}",
        "self_ns": report.top.self_ns,
        "functions": _functions(report.top),
    }


def _functions(top: Top) -> dict[str, list[Any]]:
    numbers = {name: column.tolist() for name, column in top.values().items()}
    waits = [kind == "waiting" for kind in top.kinds]
    return {"name": [spelt_out(label) for label in top.labels], "waits": waits, **numbers}


def _losses(tree: CallTree, origin_ns: int) -> list[dict[str, Any]]:
    """Where records were lost: in which node, before which of those in it (-1: behind all), when, what is said."""
    losses = tree.trace.losses
    if not len(losses):
        return []
    node, first = nodes_of(tree, losses.parent, losses.row, losses.lane)
    return [
        {"node": at, "before": before, "at": when - origin_ns, "text": loss_text([n], [ns], [cpu])}
        for at, before, when, n, ns, cpu in zip(
            *(of.tolist() for of in (node, first, losses.time_ns, losses.n_lost, losses.lasted_ns, losses.cpu)),
            strict=True,
        )
        if at >= 0
    ]
