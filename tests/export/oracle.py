"""What must come out, computed one call at a time, and once for all formats of the same trace."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from export.decoders import Graph, Slice, Stack
from kfgraph.model.calls import Flag
from kfgraph.model.spelling import spelt_out
from kfgraph.model.trace import Trace

NOT_AS_USUAL = ~int(Flag.HAS_RETVAL | Flag.MIGRATED)


@lru_cache(maxsize=4)
def whole_calls(trace: Trace) -> Counter[tuple[str, int]]:
    """(function, duration) of each call that is finished and has no flag."""
    calls = trace.calls
    return Counter(
        (spelt_out(trace.symbols.label(int(calls.func[row]))), int(calls.duration_ns[row]))
        for row in range(len(calls))
        if calls.duration_ns[row] >= 0 and not int(calls.flags[row]) & NOT_AS_USUAL
    )


@lru_cache(maxsize=4)
def stack_times(trace: Trace) -> Counter[Stack]:
    """The own time of each stack, the task's name first: of a call with a known duration what is not in callees, of
    others nothing; what hit the tracer itself stands below the task."""
    calls = trace.calls
    parent = calls.parent.tolist()
    paths: list[Stack] = []
    beside = [bool(flags & Flag.IN_TRACER) for flags in calls.flags.tolist()]
    for row, up in enumerate(parent):
        task = (spelt_out(trace.tasks[int(calls.lane[row])].label),)
        name = spelt_out(trace.symbols.label(int(calls.func[row])))
        paths.append((*(task if up < 0 or beside[row] else paths[up]), name))
    inside = [0] * len(calls)
    found: Counter[Stack] = Counter()
    for row in reversed(range(len(calls))):
        lasted = int(calls.duration_ns[row])
        found[paths[row]] += max(lasted - inside[row], 0) if lasted >= 0 else 0
        if parent[row] >= 0 and not beside[row]:
            inside[parent[row]] += lasted if lasted >= 0 else inside[row]
    return +found


@lru_cache(maxsize=4)
def graph(trace: Trace) -> Graph:
    """By function: own time; by caller and callee: calls, and time."""
    calls = trace.calls
    beside = [bool(flags & Flag.IN_TRACER) for flags in calls.flags.tolist()]
    name = [spelt_out(trace.symbols.label(code)) for code in calls.func.tolist()]
    edges: dict[tuple[str, str], tuple[int, int]] = {}
    inside = [0] * len(calls)
    for row in reversed(range(len(calls))):
        lasted, up = int(calls.duration_ns[row]), int(calls.parent[row])
        ns = max(lasted, 0) if lasted >= 0 else inside[row]
        task = spelt_out(trace.tasks[int(calls.lane[row])].label)
        key = (task if up < 0 or beside[row] else name[up], name[row])
        n_before, ns_before = edges.get(key, (0, 0))
        edges[key] = n_before + 1, ns_before + ns
        if up >= 0 and not beside[row]:
            inside[up] += ns
    own: Counter[str] = Counter()
    for stack, ns in stack_times(trace).items():
        own[stack[-1]] += ns
    return Graph(own, edges)


def crossing(slices: list[Slice]) -> list[tuple[Slice, Slice]]:
    """Pairs of one track that overlap and do not nest."""
    found = []
    tracks: dict[str, list[Slice]] = {}
    for one in slices:
        tracks.setdefault(one.track, []).append(one)
    for track in tracks.values():
        open_: list[Slice] = []
        for one in sorted(track, key=lambda s: (s.start_ns, -s.duration_ns)):
            while open_ and open_[-1].start_ns + open_[-1].duration_ns <= one.start_ns:
                open_.pop()
            if open_ and one.start_ns + one.duration_ns > open_[-1].start_ns + open_[-1].duration_ns:
                found.append((open_[-1], one))
            open_.append(one)
    return found
