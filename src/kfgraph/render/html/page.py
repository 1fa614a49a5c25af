"""A trace as one HTML page that needs nothing else: the parts of it, put together."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os.path import commonprefix
from typing import Any, NamedTuple

import numpy as np

from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.event_rows import nodes_of
from kfgraph.analyze.forest import Int32
from kfgraph.analyze.info import info
from kfgraph.analyze.limited import LEFT_OUT, Limited, Limiter, under_one
from kfgraph.analyze.notice_counts import problems_in
from kfgraph.analyze.sourcelinks import SourceLinks
from kfgraph.analyze.top import Top
from kfgraph.analyze.waiting_functions import functions_off_cpu
from kfgraph.analyze.why import Why
from kfgraph.kernel.errnos import errno_name
from kfgraph.model.spelling import spelt_out
from kfgraph.model.tree import NodeKind
from kfgraph.render.details import loss_text
from kfgraph.render.html import answer
from kfgraph.render.html.markup import document, text
from kfgraph.render.html.nodes import add_nodes, nodes_of_rows
from kfgraph.render.html.pack import Pack
from kfgraph.render.info import InfoView

TABS = (
    ("tree", "Call tree"), ("functions", "Functions"), ("flame", "Flame graph"), ("timeline", "Timeline"),
    ("about", "About this trace"),
)  # fmt: skip

_BYTES_OF_A_CALL = 5
"""Somewhat more than a call takes in a page, as it is written there."""
_TRIES = 6
_CAUTION = 0.9
_SLACK = 0.1
"""A page that is so much smaller than it may be is good enough."""


@dataclass(frozen=True)
class Report:
    """What a page shows: the tree of single calls, the functions, and why it failed; ``links`` to the sources."""

    call_tree: CallTree
    top: Top
    why: Why
    links: SourceLinks | None = None


class Page(NamedTuple):
    """A page, and what of the tree is in it."""

    text: str
    limited: Limited


def page(report: Report) -> str:
    """The page of ``report``, with all calls."""
    return page_within(report, None).text


def page_within(report: Report, max_bytes: int | None) -> Page:
    """The page of ``report`` with so many bytes at most (None: however many): the tree is made smaller until it fits.

    What failed, and what leads to it, stays: with very much of it the page is larger.
    """
    shown, chain = report.call_tree, report.why.chain
    most = len(shown.tree) if max_bytes is None else max_bytes // _BYTES_OF_A_CALL
    if not shown.by_task and most < len(shown.tree):
        shown = replace(shown, tree=under_one(shown.tree, "matches"))
        report = replace(report, call_tree=shown)
    node_of = nodes_of_rows(shown)
    on_way = np.array([step.row for step in chain if 0 <= step.row < len(node_of)], np.int32)
    limiter = Limiter(shown.tree, node_of[on_way][node_of[on_way] >= 0])
    best, low, high = None, 0, most
    for n_tries in itertools.count(1):
        limited = limiter.limited(most)
        text, n_data = _written(report, limited, node_of)
        too_many = 0 if max_bytes is None else len(text.encode()) - max_bytes
        if too_many <= 0:
            best, low = Page(text, limited), most
            if max_bytes is None or n_tries == 1 or -too_many <= max_bytes * _SLACK:
                return best
        elif not most:
            return best or Page(text, limited)
        else:
            high = min(most, len(limited.tree))
        if best and (n_tries >= _TRIES or high - low < 2):
            return best
        part = max(1 - too_many / n_data, 0.1) * _CAUTION if n_tries == 1 else (1 + low / high) / 2
        most = int(high * part) if n_tries < _TRIES else 0
    raise AssertionError


def _written(report: Report, limited: Limited, node_of: Int32) -> tuple[str, int]:
    """(the page, how much of it are the columns)."""
    whole, trace = report.call_tree, report.call_tree.trace
    shown = replace(whole, tree=limited.tree)
    now = np.append(limited.node_of, np.int32(-1))[node_of]
    pack = Pack({})
    add_nodes(pack, shown)
    labels = pack.head["names"]
    if limited.n_left_out:
        pack.head["rests"] = [i for i, label in enumerate(labels) if limited.tree.labels[label] is LEFT_OUT]
    pack.head.update(_head(report, shown, labels, pack.head["interrupts"], now))
    pack.head["losses"] = _losses(whole, limited, pack.head["origin_ns"])
    pack.head["since_first_ns"] = pack.head["origin_ns"] - max(trace.meta.first_ns, 0)
    problems = problems_in(whole.selection)
    body = [
        answer.header(trace, report.top), answer.answer(report.why, report.top, now),
        answer.missing(problems) + answer.smaller(limited, trace),
        '<div class="status" id="status" role="status" aria-live="polite"></div>', _tabs(), "<main>",
        *(_panel(name, report, hidden=i > 0) for i, (name, _) in enumerate(TABS)), "</main>",
        '<noscript><p class="problem">The tree needs JavaScript, which this page brings along.</p></noscript>',
    ]  # fmt: skip
    data = pack.base64()
    return document(title=f"{answer.title_of(trace)} – kfgraph", body="\n".join(body), data=data), len(data)


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


def _head(
    report: Report, shown: CallTree, labels: Sequence[int], irqs: Sequence[int], node_of: Int32
) -> dict[str, Any]:
    """What the page's program must know beside the columns."""
    tree, trace = shown.tree, shown.trace
    n_functions, waits = len(trace.symbols), functions_off_cpu(trace)
    chain = [int(node_of[step.row]) for step in report.why.chain if 0 <= step.row < len(node_of)]
    born = report.why.birth
    of_no_function = {i for i, one in enumerate(labels) if one >= n_functions and tree.labels[one] is not LEFT_OUT}
    codes = np.unique(tree.error).tolist() if tree.has("error") else []
    return {
        "names": [spelt_out(tree.labels[label]) for label in labels],
        "tasks": sorted(of_no_function - set(irqs)),
        "asleep": [i for i, label in enumerate(labels) if label < n_functions and waits[label]],
        "failed": report.why.has_failed,
        "born": int(node_of[born.step.row]) if born is not None and born.step.row >= 0 else -1,
        "open": chain[-1] if chain else -1,
        "errors": {-code: errno_name(-code, arch=trace.meta.arch) for code in codes if code},
        "show": f"kfgraph show {trace.meta.as_typed}",
        "self_ns": report.top.self_ns,
        "links": _links(report.links, [tree.labels[label] if label < n_functions else "" for label in labels]),
        "functions": _functions(report.top),
    }


def _links(links: SourceLinks | None, labels: Sequence[str]) -> list[Any]:
    """[what all addresses begin with, the rest of each function's address (0: it has none; 1: it is its name)]."""
    if links is None:
        return []
    links.look_for(label for label in labels if label)
    urls = [links.of(label) if label else "" for label in labels]
    begin = commonprefix([url for url in urls if url])  # noqa: RUF071 (by letters, not by folders)
    rest = [url[len(begin) :] if url else None for url in urls]
    named = zip(rest, labels, strict=True)
    return [begin, [0 if more is None else 1 if more == spelt_out(label) else more for more, label in named]]


def _functions(top: Top) -> dict[str, list[Any]]:
    numbers = {name: column.tolist() for name, column in top.values().items()}
    waits = [kind == "waiting" for kind in top.kinds]
    irq = [i >= top.n_work and kind == "interrupt" for i, kind in enumerate(top.kinds)]
    return {"name": [spelt_out(label) for label in top.labels], "waits": waits, "irq": irq, **numbers}


def _losses(tree: CallTree, limited: Limited, origin_ns: int) -> list[dict[str, Any]]:
    """Where records were lost: in which node, before which of those in it (-1: behind all), when, what is said."""
    losses = tree.trace.losses
    if not len(losses):
        return []
    node, first = nodes_of(tree, losses.parent, losses.row, losses.lane)
    node = np.append(limited.node_of, np.int32(-1))[node]
    first = np.where(first >= 0, limited.next_kept(first), -1)
    parent, n = np.append(limited.tree.parent, np.int32(-1)), len(limited.tree)
    is_irq = np.append(limited.tree.at("kind", slice(None)) == NodeKind.INTERRUPT, False)
    # Before the first part of an interrupt: before all of it.
    while (inside := (first >= 0) & (first < n) & is_irq[parent[first]] & (parent[first] != node)).any():
        first[inside] = parent[first[inside]]
    return [
        {"node": at, "before": before, "at": when - origin_ns, "text": loss_text([n], [ns], [cpu])}
        for at, before, when, n, ns, cpu in zip(
            *(of.tolist() for of in (node, first, losses.time_ns, losses.n_lost, losses.lasted_ns, losses.cpu)),
            strict=True,
        )
        if at >= 0
    ]
