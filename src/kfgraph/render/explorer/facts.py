"""What is known about one row of the explorer: the lines of its side panel."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
from rich.text import Text

from kfgraph.analyze.callsites import CallSites
from kfgraph.analyze.lookup import Standing, Standings
from kfgraph.analyze.open_rows import Beside, Group
from kfgraph.analyze.retval import returned_type, value_text, values_of
from kfgraph.analyze.sourcelinks import SourceLinks
from kfgraph.analyze.wakers import Wakers, woken_text
from kfgraph.kernel.returns import error_name
from kfgraph.model.calls import CONTEXTS, UNKNOWN_CONTEXT, Flag
from kfgraph.model.spelling import spelt_out
from kfgraph.model.tree import INTERRUPT_MARK, NodeKind, TreeTable
from kfgraph.model.units import average_ns, format_ns, format_share, plural
from kfgraph.render.details import detail_text
from kfgraph.render.explorer.window import Window
from kfgraph.render.linked import link_style
from kfgraph.render.rowmodel import FLAG_MARKS

FLAG_WORDS = {flag: words for flag, _, words in FLAG_MARKS} | {
    Flag.INTERRUPT: "an interrupt, or a part of one: it hit the call above it, which did not call it",
    Flag.MIGRATED: "it ended on another CPU than it began on",
    Flag.NAME_UNRESOLVED: "no symbol is known for its address",
    Flag.OFF_CPU_UNKNOWN: "for how long it was off the CPU is not known",
    Flag.SELF_UNKNOWN: "its self time is not known: a callee's duration, or the time it was off the CPU, is missing",
    Flag.START_UNKNOWN: "when it began is not known",
}
"""Every flag that says something of a call, in words: those with a mark, and those without."""
_MOST_CALLERS = 12
_MOST_SLEEPS = 3


class Fact(NamedTuple):
    """One line: a name and what it is; without a name it goes on, or is a title."""

    name: str
    text: str
    style: str = ""
    link: str = ""


class Facts:
    """Makes the facts of any row of ``window``; ``links`` lead to the sources."""

    def __init__(self, window: Window, links: SourceLinks | None = None) -> None:
        self.window, self._links = window, links
        self.trace = window.call_tree.trace
        self._standings = Standings(window.tree)
        self._sites = CallSites(self.trace) if links is None else links.sites

    @cached_property
    def _wakers(self) -> Wakers | None:
        return Wakers.of(self.trace)

    def of(self, item: int) -> list[Fact]:
        """Those of one item."""
        made = self.window.rows.made(item)
        if isinstance(made, Group):
            return list(self._sum(made.sums, made.index, f"{len(made.members):,} of one caller"))
        if isinstance(made, Beside):
            return [Fact("", "".join(detail_text(self.window.details[made.detail])), "bold")]
        tree = self.window.tree
        if int(tree.at("kind", item)) == NodeKind.TASK:
            return list(self._task(item))
        if int(tree.at("kind", item)) == NodeKind.INTERRUPT:
            return list(self._interrupt(item))
        if int(tree.row[item]) < 0:
            return list(self._sum(tree, item, f"{int(tree.at('count', item)):,} with this path"))
        return list(self._call(item))

    def lines(self, item: int, width: int) -> list[Text]:
        """The same as lines of ``width`` columns; what is longer goes on in the next."""
        lines = []
        for fact in self.of(item):
            indent = 10 if fact.name else 0
            room = max(width - indent, 8)
            text = spelt_out(fact.text)
            first = True
            while first or text:
                part = text[:room]
                if len(text) > room and " " in part[room // 2 :]:
                    part = part[: part.rindex(" ") + 1]
                line = Text(f"{fact.name:<{indent}}" if first else " " * indent, "dim", no_wrap=True)
                lines.append(line.append(part.rstrip(), link_style(fact.style or "not dim", fact.link)))
                text, first = text[len(part) :], False
        return lines

    def _call(self, node: int) -> Iterator[Fact]:
        tree, trace, calls = self.window.tree, self.trace, self.trace.calls
        row = int(tree.row[node])
        yield Fact("", tree.labels[tree.label[node]], "bold")
        yield Fact("task", trace.tasks[int(calls.lane[row])].label)
        cpu, exit_cpu = int(calls.cpu[row]), int(calls.exit_cpu[row])
        if cpu >= 0:
            yield Fact("CPU", f"{cpu}, ended on {exit_cpu}" if exit_cpu not in (-1, cpu) else str(cpu))
        context = int(calls.context[row])
        yield Fact("context", "not told" if context == UNKNOWN_CONTEXT else CONTEXTS[context])
        start, first = int(calls.start_ns[row]), trace.meta.first_ns
        yield Fact("start", f"{(start - first) / 1e9:.9f} s" if start >= 0 <= first else "?")
        total, floor = int(tree.total_ns[node]), int(tree.floor_ns[node])
        yield Fact("total", format_ns(total) if total >= 0 else f"≥ {format_ns(floor)}" if floor else "?")
        yield Fact("self", format_ns(int(tree.self_ns[node])))
        yield from self._off_cpu(tree, node)
        wakers = self._wakers
        for begin, end, waker in (wakers.sleeps(row) if wakers else [])[:_MOST_SLEEPS]:
            by = woken_text(trace, waker)
            yield Fact("", f"  slept {format_ns(end - begin)}{', ' if by else ''}{by}")
        if total != int(calls.duration_ns[row]):
            yield Fact("recorded", f"{format_ns(int(calls.duration_ns[row]))}, with what was taken out")
        n_below = int(tree.end[node]) - node - 1
        yield Fact("below", plural(n_below, "call"))
        args = calls.args.text(row) if calls.args is not None else None
        if args:
            yield Fact("args", args)
        yield from self._returned(node, row)
        yield from self._call_site(row)
        flags = int(tree.flags[node])
        for flag, words in FLAG_WORDS.items():
            if flags & flag:
                yield Fact("note", words, "red")
        yield Fact("", "")
        yield from self._standing(self._standings.of(node))
        yield Fact("", "")
        yield from self._callers(node)
        yield from self._source(tree.labels[tree.label[node]])

    def _call_site(self, row: int) -> Iterator[Fact]:
        """Where its caller called it, with a link to that line; or what is known of that."""
        calls, site = self.trace.calls, self._sites.of(row)
        if site is None:
            if calls.caller is not None and calls.caller[row]:
                yield Fact("called in", self.trace.symbols.labels[int(calls.caller[row])])
        elif site.jumped:
            yield Fact("called at", f"?: its caller jumped to it, so that it returns to {site.place}")
        else:
            yield Fact("called at", site.place, "", self._links.of_site(site) if self._links is not None else "")

    def _source(self, label: str) -> Iterator[Fact]:
        """Where the function stands, as text and as a link."""
        url = self._links.of(label) if self._links is not None else ""
        if self._links is not None and url:
            yield Fact("", "")
            yield Fact("source", self._links.place(label) or url, "", url)

    def _off_cpu(self, tree: TreeTable, node: int) -> Iterator[Fact]:
        """The part of a total in which the task was off the CPU, or interrupts ran, and how much of that is the calls'
        own."""
        for kind in ("asleep", "preempted", "irq"):
            ns, own = int(tree.at(f"total_{kind}_ns", node)), int(tree.at(f"{kind}_ns", node))
            if ns:
                itself = "" if own == ns else f", {format_ns(own)} itself" if own else ", in its callees"
                yield Fact(kind, format_ns(ns) + itself)

    def _returned(self, node: int, row: int) -> Iterator[Fact]:
        tree, trace = self.window.tree, self.trace
        error = int(tree.at("error", node))
        if error:
            sure = bool(tree.at("error_sure", node))
            name = error_name(error, sure=sure, arch=trace.meta.arch)
            where = ", by the event of its exit" if tree.at("error_event", node) else ""
            doubt = "" if sure else ", which looks like an error"
            yield Fact("returned", f"{error} {name}".rstrip() + where + doubt, "bold red" if sure else "red")
            return
        values, has = values_of(trace.calls, trace.symbols, np.array([row]))
        if has[0]:
            told = returned_type(trace.symbols, int(trace.calls.func[row]))
            kind = f" ({told.c_type})" if told is not None and told.c_type else ""
            yield Fact("returned", value_text(int(values[0]), told) + kind)

    def _standing(self, standing: Standing) -> Iterator[Fact]:
        among = standing.among
        yield Fact("", f"{plural(int(among.n_calls[0]), 'call')} of this function here", "underline")
        n = int(among.n_finished[0])
        if not n:
            yield Fact("times", "?")
            return
        if standing.rank:
            at = "the slowest" if standing.rank == 1 else f"number {standing.rank:,}, the slowest first"
            yield Fact("this one", at if n > 1 else "the only one")
        if n > 1:
            for name, of_all in (
                ("median", among.p50_ns), ("p95", among.p95_ns), ("p99", among.p99_ns), ("max", among.max_ns),
                ("all", among.self_ns),
            ):  # fmt: skip
                yield Fact(name, format_ns(int(of_all[0])))

    def _callers(self, node: int) -> Iterator[Fact]:
        way = self.path(node)[:-1]
        if not way:
            return
        yield Fact("", "called by", "underline")
        for name in reversed(way[-_MOST_CALLERS:]):
            yield Fact("", f"  {name}")
        if len(way) > _MOST_CALLERS:
            yield Fact("", f"  … {len(way) - _MOST_CALLERS} more")

    def path(self, item: int) -> list[str]:
        """The labels from the root down to a row."""
        made, tree = self.window.rows.made(item), self.window.tree
        node = self.window.rows.node(item)
        way = [] if isinstance(made, Beside) else [tree.labels[tree.label[node]]]
        at = node if isinstance(made, Beside) else int(tree.parent[node])
        while at >= 0:
            way.append(tree.labels[tree.label[at]])
            at = int(tree.parent[at])
        return way[::-1]

    def _sum(self, tree: TreeTable, node: int, calls: str) -> Iterator[Fact]:
        yield Fact("", tree.labels[tree.label[node]], "bold")
        count, unfinished = int(tree.at("count", node)), int(tree.at("n_unfinished", node))
        yield Fact("calls", calls)
        total = int(tree.total_ns[node])
        yield Fact("total", format_ns(total))
        yield Fact("self", format_ns(int(tree.self_ns[node])))
        yield from self._off_cpu(tree, node)
        if count > unfinished and total >= 0:
            yield Fact("average", format_ns(average_ns(total, count - unfinished)))
        yield Fact("least", format_ns(int(tree.at("min_ns", node))))
        yield Fact("most", format_ns(int(tree.at("max_ns", node))))
        if unfinished:
            yield Fact("note", f"{plural(unfinished, 'call')} without a known end", "red")
        error = int(tree.at("error", node))
        if error:
            sure = bool(tree.at("error_sure", node))
            name = error_name(error, sure=sure, arch=self.trace.meta.arch)
            n = int(tree.at("n_errors", node))
            differ = ", others another error" if tree.at("errors_differ", node) else ""
            yield Fact("failed", f"{n:,}: {error} {name}".rstrip() + differ, "bold red" if sure else "red")
        flags = int(tree.flags[node])
        for flag, words in FLAG_WORDS.items():
            if flags & flag:
                yield Fact("note", f"of some: {words}", "red")
        yield from self._source(tree.labels[tree.label[node]])

    def _interrupt(self, node: int) -> Iterator[Fact]:
        tree = self.window.tree
        yield Fact("", INTERRUPT_MARK + tree.labels[tree.label[node]], "bold")
        n, total = int(tree.at("n_interrupts", node)), int(tree.total_ns[node])
        yield Fact("times", f"{n:,}")
        yield Fact("total", format_ns(total) if total >= 0 else f"≥ {format_ns(int(tree.floor_ns[node]))}")
        if n > 1 and total >= 0:
            yield Fact("average", format_ns(average_ns(total, n)))
        yield from self._off_cpu(tree, node)
        yield Fact("below", plural(int(tree.n_calls(np.array([node]))[0]), "call"))
        yield Fact("note", "it hit the call above it, which did not call it", "red")
        yield Fact("", "")
        yield from self._callers(node)

    def _task(self, node: int) -> Iterator[Fact]:
        tree = self.window.tree
        yield Fact("", tree.labels[tree.label[node]], "bold")
        yield Fact("task", plural(int(tree.n_calls(np.array([node]))[0]), "call"))
        total = int(tree.total_ns[node])
        yield Fact("total", format_ns(total) if total >= 0 else f"≥ {format_ns(int(tree.floor_ns[node]))}")
        whole = int(tree.floor_ns[tree.roots].sum())
        if whole > 0:
            yield Fact("share", f"{format_share(int(tree.floor_ns[node]) / whole)} of all tasks")
