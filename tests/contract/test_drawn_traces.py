"""What every analysis makes of traces that are drawn, with drawn options: compared with what was recorded.

Real recordings have one thing at a time; here losses, interrupts, sleeps, errors and unfinished calls meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import recorded
from builder.drawn import NAMES, Draw, drawn
from kfgraph import call_tree, callers, info, top, why
from kfgraph.analyze.visibility import FoldOptions
from kfgraph.errors import KfgraphError
from kfgraph.model.calls import CallTable
from kfgraph.model.symbols import SymbolTable
from kfgraph.model.trace import Trace
from kfgraph.model.tree import TreeTable

ROOMS = (
    "blame", "cost_rows", "event_rows", "failing_roots", "flame", "fold", "limited", "lookup", "made", "merged",
    "next_probes", "open_event_rows", "other_tasks", "outcomes", "redact", "shape", "syscalls", "tracercost",
    "tree_errors", "waiting_functions", "wakers", "weights", "works",
)  # fmt: skip
its = SimpleNamespace(**{name: import_module(f"kfgraph.analyze.{name}") for name in ROOMS})
drawn_once, cost_of = cache(drawn), cache(its.tracercost.call_cost)
N_TRACES, SHOWN = 120, 20
"""Of a result so many characters are kept, and a sum of each part."""


def told(value: Any) -> str:
    """All that a result says, on one line; not what it was made of."""
    if isinstance(value, np.ndarray):
        return str(value.tolist()) if value.dtype.kind in "iub" else told(value.tolist())
    if isinstance(value, TreeTable):
        value.check()
        return told([value.labels, {name: getattr(value, name) for name in TreeTable.COLUMNS if value.has(name)}])
    if isinstance(value, Trace | CallTable | SymbolTable) or callable(value):
        return ""
    if is_dataclass(value):
        return told({one.name: getattr(value, one.name) for one in fields(value) if not one.name.startswith("_")})
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{told(key)}: {told(one)}' for key, one in value.items())}}}"
    if isinstance(value, list | tuple | set | frozenset):
        return f"[{', '.join(map(told, sorted(value) if isinstance(value, set | frozenset) else value))}]"
    return f"{value:.9g}" if isinstance(value, float) else str(int(value) if isinstance(value, int) else value)


def filters(draw: Draw, trace: Trace, *names: str) -> dict[str, Any]:
    """Few of these filters, of all where none is named."""
    label, n = draw.one(trace.symbols.labels[1:] or NAMES), len(trace.tasks)
    offers: dict[str, Any] = {
        "root": draw.one((label, label, [label, draw.one(NAMES)], "*e*")), "cpu": draw.below(2),
        "task": trace.tasks[draw.below(n)].comm, "pid": 100 + draw.below(n), "from_s": draw.below(400) / 1e6,
        "to_s": (100 + draw.below(900)) / 1e6, "irq": True, "no_irq": True, "all_tasks": True, "pre_exec": True,
    }  # fmt: skip
    if trace.calls.retval is not None:
        offers |= {"failing": True, "returning": draw.one(("<0", "ENOENT", "0", ["EINVAL", ">3"]))}
    offers |= {"arg": draw.one(("fd=1", "flags & 0x4"))} if trace.calls.args is not None else {}
    if draw.below(3) == 0:
        return {}
    return {name: offers[name] for name in draw.some([name for name in names or offers if name in offers], 2)}


def options(draw: Draw, trace: Trace, most: int, **offers: Any) -> dict[str, Any]:
    """Few of these."""
    if cost_of(trace) is None:
        offers.pop("compensate", None)
    return {name: offers[name] for name in draw.some(list(offers), most)}


def tree_of(draw: Draw, trace: Trace) -> Any:
    hide, chosen = draw.one(("*k*", draw.one(trace.symbols.labels))), filters(draw, trace)
    if "root" in chosen:
        chosen[draw.one(("nth", "slowest", "merge", "group_interrupts"))] = 1 + draw.below(3)
    chosen |= options(draw, trace, 3, merge=True, hide=hide, group_interrupts=True, follow_tree=True, compensate=True)
    return call_tree(trace, **chosen)


def rows_shown(draw: Draw, trace: Trace) -> Any:
    shown, label = tree_of(draw, trace), draw.one(trace.symbols.labels[1:] or NAMES)
    folding = FoldOptions(**{"max_rows": draw.one((6, 12, 24, 48)), **options(
        draw, trace, 3, max_rows=draw.one((None, 4, 8, 20)), limit_asked=True, no_more=True, expand=[label],
        max_roots=draw.one((None, 1, 3)), min_ns=draw.one((0, 500, 5_000)), min_share=draw.one((0.001, 0.01, 0.2)),
        depth=draw.below(5), collapse=[label], calls_to=[label], errors=True, repeats=False, open_roots="one",
        open_irq=True,
    )})  # fmt: skip
    patterns = draw.one(((), ("*",), ("sys_*", "console")))
    folded = its.fold.fold(shown.tree, folding, places=its.event_rows.event_nodes(shown, patterns))
    more = [folded.n_shown, folded.n_hidden, its.event_rows.n_without_place(shown) if shown.by_task else ()]
    folded = its.event_rows.with_losses(folded, shown)
    folded, hidden = its.event_rows.with_events(folded, shown, patterns, limit=draw.one((None, 2, 5)))
    return more, hidden, its.cost_rows.with_own_cost(folded, folding, "its cost")


def found_in(draw: Draw, trace: Trace) -> Any:
    shown = tree_of(draw, trace)
    tree, nodes, limiter = shown.tree, draw.some(range(len(shown.tree)), 4), its.limited.Limiter
    limiter, look, standings = limiter(tree, np.array(sorted(nodes[:2]), np.int32)), its.lookup, its.lookup.Standings
    yield from (limiter.limited(60), limiter.limited(12), its.merged.merged_paths(tree), look.slow(tree))
    yield from (its.tree_errors.failed(tree), its.tree_errors.seems_failed(tree), its.tree_errors.chains(tree))
    yield from (look.failing(tree), its.open_event_rows.rows_beside(shown), [standings(tree).of(one) for one in nodes])
    yield [[look.node_of_call(tree, row) for row in nodes], [look.slowest_of(tree, one) for one in tree.labels[:5]]]


def topped(draw: Draw, trace: Trace) -> Any:
    chosen = options(draw, trace, 2, n_paths=draw.below(4), own_cost=True, compensate=True, group="module")
    by, limit = draw.one(("self", "total", "calls", "avg", "max", "errors")), draw.one((None, 2, 9))
    found = top(trace, by=by, limit=limit, **chosen, **filters(draw, trace))
    return found, found.records, found.n_calls, found.callers([draw.one(trace.symbols.labels[1:])]).tree


def listed(draw: Draw, trace: Trace) -> Any:
    given = filters(draw, trace, "task", "pid", "all_tasks")
    chosen = options(draw, trace, 1, names=draw.one(("open*", "read")), failed=True, slowest=2)
    found = trace.syscalls(**chosen, **given)
    yield from (found.records(), found.sums().records(), its.made.made_tasks(trace), info(trace).to_dict())
    yield from (its.wakers.waits(trace), its.waiting_functions.functions_off_cpu(trace))
    for one in (its.wakers.Wakers.of(trace), its.works.Works.of(trace)):
        yield [one.said(row) for row in range(len(trace.calls))] if one is not None else ""
    yield its.waiting_functions.waiting_functions(trace)
    given = filters(draw, trace, "root", "task", "cpu", "no_irq", "all_tasks")
    yield trace.errors(unsure=draw.below(2) == 0, **given).records()


def explained(draw: Draw, trace: Trace) -> Any:
    error = draw.one((0, 0, 0, 0, 0, 0, -2, -22))
    answer = why(trace, error=error, **filters(draw, trace, "root", "task", "all_tasks"))
    return answer.to_dict(), its.next_probes.functions_to_probe(answer)


def blamed(draw: Draw, trace: Trace) -> Any:
    """Every call that failed, and every one that may have something to do with it."""
    seen = its.outcomes.Outcomes(trace)
    failing = np.flatnonzero(seen.errors).tolist()[:12]
    yield [[seen.kind(row, error) for error in (0, -12, -22)] for row in range(min(len(trace.calls), 200))]
    yield [seen.value_text(row) for row in failing]
    for row, error in ((row, int(seen.errors[row])) for row in failing):
        yield its.blame.blame(trace, row, error, seen), its.failing_roots.is_passed_on(trace, seen, row)
    for row in np.flatnonzero(trace.calls.end - np.arange(len(trace.calls)) > 4).tolist()[:30]:
        error = draw.one((-1, -2, -12, -22))
        yield its.shape.by_shape(trace, seen, row, error), its.other_tasks.elsewhere(trace, row, error, seen)


def summed(draw: Draw, trace: Trace) -> Any:
    by = draw.one((None, "calls", "self", "errors"))
    yield its.flame.flame(trace, by=by, **options(draw, trace, 2, callers=True, join_recursion=True, compensate=True),
                          **filters(draw, trace))  # fmt: skip
    yield callers(trace, draw.one(trace.symbols.labels[1:]))
    yield its.weights.weighted(trace, **options(draw, trace, 2, selves=True, compensate=True), **filters(draw, trace))


VIEWS: dict[str, Callable[[Draw, Trace], Any]] = {
    **{f"rows-{n}": rows_shown for n in range(4)}, "found": found_in, "top": topped,
    "lists": listed, "why": explained, "blame": blamed, "sums": summed,
    "trees": lambda draw, trace: tree_of(draw, its.redact.redacted(trace) if draw.below(5) == 0 else trace),
}  # fmt: skip


def said_of(view: Callable[[Draw, Trace], Any], draw: Draw, trace: Trace) -> Iterator[str]:
    try:
        made = view(draw, trace)
        yield from map(told, made if isinstance(made, Iterator) else [made])
    except KfgraphError as error:
        yield f"{type(error).__name__}: {error} {error.hint}"


@pytest.mark.parametrize("name", VIEWS)
def test_everything_is_as_recorded(name: str) -> None:
    def everything() -> Iterator[str]:
        for seed in range(N_TRACES):
            said = said_of(VIEWS[name], Draw(f"{name} {seed}"), drawn_once(seed))
            parts = [line.replace("\n", " ") for line in said]
            yield f"{seed} {parts[0][:SHOWN]} {' '.join(recorded.digest(one)[:4] for one in parts)}"

    recorded.compare(f"traces-{name}", everything())
