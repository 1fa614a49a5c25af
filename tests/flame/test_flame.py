"""The frames of a flame graph against sums made one call at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from builder.tables import call, deep, trace_of, traces
from export.oracle import stack_times
from kfgraph.analyze import flame as module
from kfgraph.analyze.flame import Flame, Hue, flame
from kfgraph.analyze.weights import weighted
from kfgraph.errors import NoMatchError
from kfgraph.model.tasks import Task
from kfgraph.model.trace import Trace
from kfgraph.parse import load
from kfgraph.render.flame.places import places

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
Stack = tuple[str, ...]


def own_of(graph: Flame) -> Counter[Stack]:
    """What each path of frames has of its own; checks the columns on the way."""
    found: Counter[Stack] = Counter()
    path: list[str] = []
    values = np.zeros(len(graph), np.int64)
    for i in range(len(graph)):
        del path[int(graph.level[i]) :]
        path.append(graph.labels[int(graph.label[i])])
        up = int(graph.parent[i])
        assert graph.level[i] == (graph.level[up] + 1 if up >= 0 else 0)
        assert up < i < graph.end[i] and (up < 0 or graph.end[i] <= graph.end[up])
        values[i] = graph.own[i : graph.end[i]].sum()
        found[tuple(path)] += int(graph.own[i])
    assert values.tolist() == graph.value.tolist()
    assert len(found) == len(graph)
    return +found


def turned(stacks: Counter[Stack]) -> Counter[Stack]:
    return Counter({stack[::-1]: ns for stack, ns in stacks.items()})


def joined(stacks: Counter[Stack]) -> Counter[Stack]:
    found: Counter[Stack] = Counter()
    for stack, ns in stacks.items():
        found[tuple(name for i, name in enumerate(stack) if i == 0 or name != stack[i - 1])] += ns
    return found


def check(trace: Trace) -> None:
    times = stack_times(trace)
    assert own_of(flame(trace)) == times
    assert own_of(flame(trace, join_recursion=True)) == joined(times)
    graph = flame(trace, callers=True)
    assert graph.whole == sum(times.values())
    if graph.n_cut == 0:
        assert own_of(graph) == turned(times)
    assert own_of(flame(trace, callers=True, join_recursion=True)).total() == sum(times.values())


@settings(deadline=None, max_examples=60)
@given(traces())
def test_frames_are_the_sums_of_stacks(trace) -> None:
    check(trace)


@pytest.mark.parametrize("example", ["insmod-fail19.dat", "cat-enoent.dat"])
def test_real_traces(example, monkeypatch) -> None:
    monkeypatch.setattr(module, "LEAST_SHARE", 0)
    # What it took to set probes is in no frame.
    check(replace(load(EXAMPLES / example), probed=frozenset()))


def test_a_deep_stack_turned_over_is_as_deep() -> None:
    # Deeper than Python recurses.
    graph = flame(deep(1_500), callers=True)
    assert graph.whole == flame(deep(1_500)).whole == 1_500
    assert int(graph.level.max()) == 1_500


def test_callers_with_next_to_nothing_are_not_followed_and_counted() -> None:
    trace = trace_of([call("a", 10_000_000, call("b", 9, call("c", 5))), call("b", 100)], tasks=[Task(7, "cat")])
    graph = flame(trace, callers=True)
    stacks = own_of(graph)
    assert graph.n_cut == 2 and graph.whole == 10_000_114
    assert stacks == {("a", "cat-7"): 10_000_000, ("b", "a"): 9, ("b", "cat-7"): 100, ("c",): 5}


def test_calls_and_errors_are_counted() -> None:
    trace = trace_of([call("a", 10, call("b", 5), call("b", 5)), call("b", 1)], tasks=[Task(7, "cat")])
    assert own_of(flame(trace, by="calls")) == {("cat-7", "a"): 1, ("cat-7", "a", "b"): 2, ("cat-7", "b"): 1}
    assert own_of(flame(trace, by="self")) == {("cat-7", "a"): 10, ("cat-7", "a", "b"): 10, ("cat-7", "b"): 1}
    with pytest.raises(NoMatchError, match="no call returned an error"):
        flame(trace, by="errors")
    with pytest.raises(ValueError, match="by is one of"):
        flame(trace, by="size")  # type: ignore[arg-type]
    graph = flame(load(EXAMPLES / "insmod-foo-fail19.dat"), by="errors")
    stacks = own_of(graph)
    assert graph.whole == 7 and all(n == 1 for n in stacks.values())
    assert max(stacks, key=len)[-2:] == ("foo_probe_slot [foo]", "foo_read_id [foo]")


def test_an_own_time_that_is_not_known_is_told_of() -> None:
    """Of exits alone (tracing_thresh) none is known: top says so, and here it looked as if all were."""
    exits = load(Path(__file__).parents[1] / "fixtures" / "traces" / "cut" / "6.12-thresh.dat")
    assert (exits.calls.self_ns < 0).all()
    found, _ = weighted(exits)
    told = {notice.code: notice.n for notice in found.notices}
    assert told == {"export-self-unknown": int((exits.calls.duration_ns >= 0).sum())}
    assert found.own_ns.sum() > 0
    assert weighted(trace_of([call("a", 100, call("b", 30))]))[0].notices == ()


def test_a_self_time_that_is_not_known_is_none() -> None:
    trace = trace_of([call("a", 10, call("b", 5, unfinished=True))], tasks=[Task(7, "cat")])
    assert ("cat-7", "a") not in own_of(flame(trace, by="self"))


def test_hues_say_what_runs() -> None:
    trace = trace_of(
        [
            call("vfs_open", 5, call("schedule", 3), call("ext4_open [ext4]", 2)),
            call("irq_enter_rcu", 1, call("tick", 1), call("f", 1, context=1)),
            call("nmi_handle", 2, context=3),
        ],
        tasks=[Task(7, "cat")],
    )  # fmt: skip
    graph = flame(trace)
    hues = {graph.labels[int(graph.label[i])]: Hue(int(graph.hue[i])) for i in range(len(graph))}
    assert hues == {
        "cat-7": Hue.TASK, "vfs_open": Hue.KERNEL, "schedule": Hue.WAITING, "ext4_open [ext4]": Hue.MODULE,
        "irq_enter_rcu": Hue.INTERRUPT, "tick": Hue.INTERRUPT, "f": Hue.INTERRUPT,
        "nmi_handle": Hue.INTERRUPT,
    }  # fmt: skip


def test_what_is_left_out_is_part_of_its_caller() -> None:
    trace = trace_of([call("a", 10, call("b", 5, call("c", 1)), call("d", 20))], tasks=[Task(7, "cat")])
    assert own_of(flame(trace).at_least(6)) == {("cat-7", "a"): 10, ("cat-7", "a", "b"): 6, ("cat-7", "a", "d"): 20}


@settings(deadline=None, max_examples=40)
@given(traces())
def test_frames_stand_in_their_caller_one_after_another(trace) -> None:
    graph = flame(trace)
    x, width = places(graph, 1_000)
    at: dict[int, float] = {}
    for i in range(len(graph)):
        up = int(graph.parent[i])
        assert x[i] == pytest.approx(at.get(up, float(x[up]) if up >= 0 else 0.0))
        at[up] = float(x[i] + width[i])
        assert up < 0 or at[up] <= x[up] + width[up] + 1e-6
    assert not len(graph) or width[graph.parent < 0].sum() == pytest.approx(1_000)
