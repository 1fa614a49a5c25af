"""A trace as one HTML page that needs nothing else: the parts of it, put together."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.event_rows import nodes_of
from kfgraph.analyze.forest import Int32
from kfgraph.analyze.info import info
from kfgraph.analyze.limited import LEFT_OUT, SINGLE, Limited, Limiter, under_one
from kfgraph.analyze.notice_counts import problems_in
from kfgraph.analyze.sourcelinks import SourceLinks
from kfgraph.analyze.top import Top
from kfgraph.analyze.waiting_functions import functions_off_cpu
from kfgraph.analyze.why import Why
from kfgraph.errors import Notice, notice
from kfgraph.kernel.errnos import errno_name
from kfgraph.model.spelling import spelt_out
from kfgraph.model.tree import NodeKind
from kfgraph.model.units import format_size
from kfgraph.render.details import loss_text
from kfgraph.render.html import answer
from kfgraph.render.html.addresses import addresses
from kfgraph.render.html.markup import document, text
from kfgraph.render.html.nodes import add_nodes, nodes_of_rows
from kfgraph.render.html.pack import Pack
from kfgraph.render.html.sites import add_sites
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
_ROUGHLY = 0.4
"""The first one tried is."""
_LISTED = (10_000, 3_000, 1_000, 300, 100, 30)
"""So many functions, losses and tasks are listed where a page without single calls is too large."""
_LETTERS = 40
_ROOM = 0.7
"""So much of the room may be taken by what is listed."""


@dataclass(frozen=True)
class Report:
    """What a page shows: the tree of single calls, the functions, and why it failed; ``links`` to the sources.

    ``chosen`` are the options that chose the calls; the answer is of the whole trace.
    """

    call_tree: CallTree
    top: Top
    why: Why
    links: SourceLinks | None = None
    chosen: Sequence[str] = ()

    @cached_property
    def facts(self) -> list[tuple[str, str, str]]:
        """What ``kfgraph info`` says of the trace."""
        return list(InfoView(info(self.call_tree.trace), verbose=True, answer=self.why).facts())


class Page(NamedTuple):
    """A page, and what of the tree is in it; of what else it does not list all: how many it does, of how many."""

    text: str
    limited: Limited
    listed: dict[str, tuple[int, int]]

    def notices(self, max_bytes: int, *, trace: str) -> Iterator[Notice]:
        """What is not in the page as single calls, or not at all, since it was to have ``max_bytes`` at most; ``trace``
        as it is typed."""
        limited, size = self.limited, format_size(max_bytes)
        if limited.n_summed:
            yield notice("page-summed", limited.n_summed, size=size)
        if limited.n_left_out:
            yield notice("page-left-out", limited.n_left_out)
        if n_failed := limited.n_failed_left_out:
            yield notice("page-failed-left-out", n_failed, trace=trace)
        for what, (n, of) in self.listed.items():
            yield notice("page-not-listed", of - n, what=what, size=size)
        if len(self.text.encode()) > max_bytes:
            yield notice("page-large", size=size)


def page(report: Report) -> str:
    """The page of ``report``, with all calls."""
    return page_within(report, None).text


def page_within(report: Report, max_bytes: int | None) -> Page:
    """The page of ``report`` with so many bytes at most (None: however many): the tree is made smaller until it fits.

    What failed stays while it takes no more than half of the tree; what the error came through stays. Of very many
    functions, losses or tasks not all are listed.
    """
    most = len(report.call_tree.tree) if max_bytes is None else max_bytes // _BYTES_OF_A_CALL
    found = _Fitting(report, None).page(most, max_bytes)
    if max_bytes is None or len(found.text.encode()) <= max_bytes:
        return found
    least = _Fitting(report, _LISTED[-1])
    found = least.smallest()
    n_least = len(found.text.encode())
    if n_least > max_bytes:
        return found
    for listed in _LISTED[:-1]:
        fitting = _Fitting(report, listed)
        if len(fitting.smallest().text.encode()) <= n_least + (max_bytes - n_least) * _ROOM:
            return fitting.page(most, max_bytes)
    return least.page(most, max_bytes)


class _Fitting:
    """Makes pages of different sizes of one ``report``, with so many functions, losses and tasks ``listed``."""

    def __init__(self, report: Report, listed: int | None) -> None:
        self._listed = listed
        self._report, self._node_of = report, np.zeros(0, np.int32)
        self._limiter: Limiter | None = None

    def _start(self, most: int) -> Limiter:
        report = self._report
        shown, chain = report.call_tree, report.why.chain
        many = self._listed is not None and len(shown.tree.roots) > self._listed
        if most < len(shown.tree) and (many or not shown.by_task):
            shown = replace(shown, tree=under_one(shown.tree, "tasks" if shown.by_task else "matches"))
            self._report = replace(report, call_tree=shown)
        self._node_of = node_of = nodes_of_rows(shown)
        on_way = np.array([step.row for step in chain if 0 <= step.row < len(node_of)], np.int32)
        return Limiter(shown.tree, node_of[on_way][node_of[on_way] >= 0])

    def _made(self, most: int) -> tuple[Page, int]:
        """(the page with so many nodes, how much of it are the columns)."""
        limiter = self._limiter = self._limiter or self._start(most)
        limited = limiter.limited(most)
        text, n_data = _written(self._report, limited, self._node_of, self._listed)
        return Page(text, limited, _listed(self._report, self._listed)), n_data

    def smallest(self) -> Page:
        """The page with no more calls than it must have."""
        return self._made(0)[0]

    def page(self, most: int, max_bytes: int | None) -> Page:
        """The page with as many nodes as fit into ``max_bytes``; ``most`` is a guess."""
        best, low, high = None, 0, most
        for n_tries in itertools.count(1):
            page, n_data = self._made(most)
            too_many = 0 if max_bytes is None else len(page.text.encode()) - max_bytes
            if max_bytes is None or too_many <= 0:
                best, low = page, most
                slack = (_ROUGHLY if n_tries == 1 else _SLACK) * (max_bytes or 0)
                limited = page.limited
                # More than the most that stay single, and nothing left out, is the whole tree only.
                is_most = limited.n_single in (None, SINGLE[0]) and not limited.n_left_out
                if is_most or -too_many <= slack:
                    return best
                if n_tries == 1:
                    high = len(self._report.call_tree.tree)
            elif not most:
                return best or page
            else:
                high = min(most, len(page.limited.tree))
            if best and (n_tries >= _TRIES or high - low < 2):
                return best
            guess = max(1 - too_many / n_data, 0.1) * _CAUTION
            part = (1 + low / high) / 2
            if n_tries >= _TRIES:
                most = 0
            else:
                most = min(int((most if best else high) * guess), high) if n_tries == 1 else int(high * part)
        raise AssertionError


def _listed(report: Report, listed: int | None) -> dict[str, tuple[int, int]]:
    """Of what a page does not list all: how many it lists, of how many."""
    n = {"functions": report.top.n_names, "places where records were lost": len(report.call_tree.trace.losses)}
    return {} if listed is None else {what: (listed, of) for what, of in n.items() if of > listed}


def _written(report: Report, limited: Limited, node_of: Int32, listed: int | None = None) -> tuple[str, int]:
    """(the page, how much of it are the columns); ``listed``: so many functions and losses at most."""
    whole, trace = report.call_tree, report.call_tree.trace
    shown = replace(whole, tree=limited.tree)
    now = np.append(limited.node_of, np.int32(-1))[node_of]
    pack = Pack({})
    add_nodes(pack, shown)
    add_sites(pack, shown, report.links)
    labels = pack.head["names"]
    if limited.n_left_out:
        pack.head["rests"] = [i for i, label in enumerate(labels) if limited.tree.labels[label] is LEFT_OUT]
    pack.head.update(_head(report, shown, labels, now, listed))
    pack.head["losses"] = _losses(whole, limited, pack.head["origin_ns"], listed)
    pack.head["since_first_ns"] = pack.head["origin_ns"] - max(trace.meta.first_ns, 0)
    problems = problems_in(whole.selection)
    body = [
        answer.header(trace, report.top, report.chosen), answer.answer(report.why, report.top, now),
        answer.estimated(whole, report.top) + answer.missing(problems)
        + answer.smaller(limited, trace, listed=_listed(report, listed)),
        '<div class="status" id="status" role="status" aria-live="polite"></div>', _tabs(), "<main>",
        *(_panel(name, report, listed, hidden=i > 0) for i, (name, _) in enumerate(TABS)), "</main>",
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


def _panel(name: str, report: Report, listed: int | None, *, hidden: bool) -> str:
    inside = _about(report, listed) if name == "about" else ""
    is_hidden = " hidden" if hidden else ""
    return f'<div role="tabpanel" id="panel-{name}" aria-labelledby="tab-{name}"{is_hidden}>{inside}</div>'


def _about(report: Report, listed: int | None) -> str:
    lines = [f"<dt>{text(title)}</dt><dd>{text(said)}</dd>" for title, said, _ in _facts(report, listed)]
    return f'<div class="about"><dl>{"".join(lines)}</dl></div>'


def _facts(report: Report, listed: int | None) -> list[tuple[str, str, str]]:
    facts = report.facts
    if listed is None:
        return facts
    most = listed * _LETTERS
    cut = [(title, said if len(said) <= most else f"{said[:most]}…", style) for title, said, style in facts[:listed]]
    if cut != facts:
        cut.append(("all of it", f"kfgraph info {report.call_tree.trace.meta.as_typed} --verbose", ""))
    return cut


def _head(report: Report, shown: CallTree, labels: Sequence[int], node_of: Int32, listed: int | None) -> dict[str, Any]:
    """What the page's program must know beside the columns."""
    tree, trace = shown.tree, shown.trace
    n_functions, waits = len(trace.symbols), functions_off_cpu(trace)
    estimated = shown.selection.tracer is not None
    chain = [int(node_of[step.row]) for step in report.why.chain if 0 <= step.row < len(node_of)]
    born = report.why.birth
    codes = np.unique(tree.error).tolist() if tree.has("error") else []
    return {
        "names": [spelt_out(tree.labels[label]) for label in labels],
        "asleep": [i for i, label in enumerate(labels) if label < n_functions and waits[label]],
        "failed": report.why.has_failed,
        "born": int(node_of[born.step.row]) if born is not None and born.step.row >= 0 else -1,
        "open": chain[-1] if chain else -1,
        "errors": {-code: errno_name(-code, arch=trace.meta.arch) for code in codes if code},
        "show": f"kfgraph show {trace.meta.as_typed}{' --compensate' if estimated else ''}",
        "estimated": estimated,
        "self_ns": report.top.self_ns,
        "links": addresses(report.links, [tree.labels[label] if label < n_functions else "" for label in labels]),
        "functions": _functions(report.top, listed),
    }


def _functions(top: Top, listed: int | None) -> dict[str, list[Any]]:
    numbers = {name: column[:listed].tolist() for name, column in top.values().items()}
    waits = [kind == "waiting" for kind in top.kinds[:listed]]
    irq = [i >= top.n_work and kind == "interrupt" for i, kind in enumerate(top.kinds[:listed])]
    return {"name": [spelt_out(label) for label in top.labels[:listed]], "waits": waits, "irq": irq, **numbers}


def _losses(tree: CallTree, limited: Limited, origin_ns: int, listed: int | None) -> list[dict[str, Any]]:
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
    found = [
        {"node": at, "before": before, "at": when - origin_ns, "text": loss_text([n], [ns], [cpu])}
        for at, before, when, n, ns, cpu in zip(
            *(of.tolist() for of in (node, first, losses.time_ns, losses.n_lost, losses.lasted_ns, losses.cpu)),
            strict=True,
        )
        if at >= 0
    ]
    return found[:listed]
