"""kfgraph's own cost: whose it is, that it is in no total and no self time, and that none of it is lost."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import kfgraph
from builder.tables import Call, call, calls, trace_of
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.owncost import LABEL
from kfgraph.analyze.select import select
from kfgraph.analyze.syscalls import chosen_calls, summed, to_dict
from kfgraph.export.jsonl import write_calls, write_nodes
from kfgraph.model.calls import Flag
from kfgraph.model.companion import Companion, ReturnProbe
from kfgraph.model.merging import known_part
from kfgraph.model.trace import Trace
from kfgraph.model.tree import TreeTable
from kfgraph.render.info import InfoView
from kfgraph.render.syscalls import SystemCallsView, own_cost_line

EXAMPLE = Path(__file__).parents[2] / "examples" / "insmod-foo-fail19.dat"
ROBUST = "blocking_notifier_call_chain_robust"
CHAIN = "blocking_notifier_call_chain"


def probed(trace: Trace, *modules: str) -> Trace:
    """The trace as kfgraph recorded it with a return probe in each of the modules ("": in the kernel)."""
    probes = tuple(ReturnProbe("kfgraph", f"init_{i}", f"init_{i}", module) for i, module in enumerate(modules))
    return replace(trace, companion=Companion(probes=probes))


def costs(trace: Trace, **filters: object) -> dict[str, int]:
    """Function -> cost, of a trace in which each costs once."""
    cost = select(trace, **filters).own_cost  # type: ignore[arg-type]
    names = [trace.symbols.label(int(trace.calls.func[row])) for row in cost.rows]
    assert len(set(names)) == len(names)
    return dict(zip(names, cost.ns.tolist(), strict=True))


def nest(names: Iterable[str], *inside: Call) -> Call:
    """Each calls the next; 10, 20, 30 … ns of their own."""
    names = list(names)
    below = inside
    for i in reversed(range(len(names))):
        below = (call(names[i], 10 * (i + 1), *below),)
    return below[0]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        # 6.1: one call.
        (["load_module", ROBUST], {ROBUST: 20}),
        # 5.4 and before: the innermost runs the callbacks.
        (["load_module", CHAIN, f"__{CHAIN}", "notifier_call_chain"], {"notifier_call_chain": 40}),
        (["prepare_coming_module", f"__{CHAIN}"], {f"__{CHAIN}": 20}),
        # What was inlined, or split by the compiler, differs by build.
        (["load_module", CHAIN, "notifier_call_chain.constprop.0"], {"notifier_call_chain.constprop.0": 30}),
        (
            ["prepare_coming_module.isra.0", ROBUST, "notifier_call_chain_robust.part.0", "notifier_call_chain"],
            {"notifier_call_chain": 40},
        ),
        (["do_init_module.part.0", CHAIN], {CHAIN: 20}),
        (["__do_sys_finit_module", f"{CHAIN}.llvm.123"], {f"{CHAIN}.llvm.123": 20}),
        # Removal, on several machines and versions.
        (["__x64_sys_delete_module", "__do_sys_delete_module.constprop.0", CHAIN], {CHAIN: 30}),
        (["__arm64_sys_delete_module", CHAIN], {CHAIN: 20}),
        (["__s390x_sys_delete_module", CHAIN, "notifier_call_chain"], {"notifier_call_chain": 30}),
        (["SyS_delete_module", CHAIN], {CHAIN: 20}),
        (["sys_init_module", CHAIN], {CHAIN: 20}),
        # Other chains, and the modules' only where the loader runs it.
        (["timekeeping_update", "raw_notifier_call_chain", "notifier_call_chain"], {}),
        (["do_init_module", "do_one_initcall", "foo_init [foo]", CHAIN], {}),
        (["do_init_module", "do_one_initcall", CHAIN], {}),
        (["load_module", "parse_args", CHAIN], {}),
        (["do_exit", CHAIN], {}),
        ([CHAIN], {}),
        (["load_module", "notifier_call_chain_x"], {}),
    ],
)
def test_whose_self_time_is_kfgraphs(names: list[str], expected: dict[str, int]) -> None:
    trace = trace_of([nest(names)])
    assert costs(probed(trace, "foo")) == expected
    assert costs(probed(trace, "")) == costs(probed(trace)) == costs(trace) == {}
    chosen = select(probed(trace, "foo"))
    outside = sum(10 * (i + 1) for i in range(len(names))) - sum(expected.values())
    assert chosen.total_ns[0] == outside == int(chosen.self_ns.sum())


@pytest.mark.parametrize("callback", ["jump_label_module_notify", "btf_module_notify.isra.0"])
def test_without_its_caller_the_callees_tell_which_chain_it_is(callback: str) -> None:
    for above in ([], ["do_syscall_64"]):
        trace = probed(trace_of([nest([*above, CHAIN, "notifier_call_chain"], call(callback, 7))]), "foo")
        assert costs(trace) == {"notifier_call_chain": 10 * (len(above) + 2)}
    assert costs(probed(trace_of([nest([CHAIN], call("profile_task_exit", 7))]), "foo")) == {}


def load(module: str, setting: int, live: int) -> Call:
    init = call("do_one_initcall", 1, call(f"{module}_init [{module}]", 5))
    robust = call(ROBUST, setting, call("down_read", 2))
    return call("load_module", 100, robust, call("do_init_module", 9, init, call(CHAIN, live)))


def test_each_load_of_a_modprobe_has_its_own_cost_and_one_without_probes_has_none() -> None:
    trace = trace_of([load("crc_x", 70, 7), load("mii", 60, 6), load("e1000", 9_000, 800)])
    cost = select(probed(trace, "e1000", "crc-x")).own_cost
    assert cost.ns.tolist() == [70, 7, 9_000, 800]
    assert cost.known_ns == 9_877
    chosen = select(probed(trace, "e1000"))
    assert chosen.own_cost.ns.tolist() == [9_000, 800]
    assert chosen.total_ns[chosen.roots].tolist() == [
        100 + 70 + 2 + 9 + 1 + 5 + 7,
        100 + 60 + 2 + 9 + 1 + 5 + 6,
        100 + 2 + 9 + 1 + 5,
    ]
    # What came before the init ran may have been any module's.
    assert costs(probed(trace_of([call("load_module", 1, call(ROBUST, 50))]), "e1000")) == {ROBUST: 50}


def test_a_removal_is_the_module_s_whose_exit_it_runs() -> None:
    def removal(name: str) -> Call:
        ran = call(f"{name}_exit [{name}]", 4)
        return call("__do_sys_delete_module", 3, ran, call(CHAIN, 90), call("free_module", 5))

    trace = trace_of([removal("foo"), removal("bar")])
    assert select(probed(trace, "foo")).own_cost.ns.tolist() == [90]
    assert select(probed(trace, "foo")).total_ns[select(trace).roots].tolist() == [12, 102]


def test_a_load_that_is_refused_before_its_notifiers_has_none() -> None:
    assert costs(probed(trace_of([call("load_module", 5, call("add_unformed_module", 3))]), "foo")) == {}


LOST = call(
    "outer", 10, call("load_module", 100, call(ROBUST, 900, call("down_read", 40, unfinished=True)), call("free", 7))
)


def test_what_is_not_known_is_not_known_all_the_way_up() -> None:
    """A callee without an end: the notifier's self time is unknown, and so is the cost; its duration is known."""
    trace = probed(trace_of([LOST, call("after", 3)]), "foo")
    assert (trace.calls.duration_ns[2] > 0, trace.calls.self_ns[2]) == (True, -1)
    chosen = select(trace)
    assert chosen.own_cost.ns.tolist() == [-1]
    assert (chosen.own_cost.known_ns, chosen.own_cost.n_unknown) == (0, 1)
    assert chosen.total_ns.tolist() == [-1, -1, -1, -1, 7, 3]
    tree = call_tree(trace, root=["outer"]).tree
    assert tree.own_cost_ns.tolist() == [0, 0, -1, 0, 0]
    assert tree.floor_ns.tolist() == [7, 7, 0, 0, 7]
    below = call_tree(trace, root=["free"]).tree
    assert (below.total_ns.tolist(), below.own_cost_ns.tolist()) == ([7], [0])


def test_a_merged_node_sums_what_is_known_and_says_that_some_is_not() -> None:
    trace = probed(trace_of([call("load_module", 1, call(ROBUST, 50)), LOST.children[0]]), "foo")
    tree = call_tree(trace, root=["load_module"], merge=True).tree
    node = [tree.labels[code] for code in tree.label].index(ROBUST)
    assert tree.own_cost_ns[node] == -51  # 50 ns, and what is not known
    assert known_part(tree.own_cost_ns)[node] == 50
    (said,) = [record for record in json_of(write_nodes, trace, merge=True) if record.get("function") == ROBUST]
    assert said["own_cost_ns"] is None
    assert (tree.total_ns[0], tree.count[0], tree.n_unfinished[0]) == (1, 2, 1)


def test_an_interrupt_that_hit_the_tracer_takes_nothing_from_what_it_interrupted() -> None:
    inside = call("load_module", 3, call(ROBUST, 500))
    built = trace_of([call("outer", 1_000, call("mid", 1), inside)])
    # What hit the tracer is in no caller's time.
    own, flags = built.calls.self_ns.copy(), built.calls.flags.copy()
    own[0] += inside.duration_ns
    flags[2] |= Flag.IN_TRACER
    trace = probed(replace(built, calls=built.calls.with_columns(self_ns=own, flags=flags)), "foo")
    trace.check()
    assert select(trace).total_ns.tolist() == [1_000 + 1 + 503, 1, 3, 0]


def test_what_is_left_out_has_no_cost_and_totals_do_not_depend_on_the_window() -> None:
    before = call("load_module", 4, call(ROBUST, 30, flags=Flag.PRE_EXEC), flags=Flag.PRE_EXEC)
    trace = probed(trace_of([before, call("load_module", 5, call("a", 1), call(ROBUST, 2_000, cpu=1))]), "foo")
    assert select(trace).own_cost.ns.tolist() == [2_000]
    assert select(trace, pre_exec=True).own_cost.ns.tolist() == [30, 2_000]
    # With the whole of a dropped call goes its cost, once.
    early = call("load_module", 5, call(ROBUST, 2_000, call("down_read", 40), flags=Flag.PRE_EXEC))
    assert select(probed(trace_of([early]), "foo")).total_ns[0] == 5
    on_one = select(trace, cpu=[0])
    assert (len(on_one.own_cost), on_one.total_ns[2]) == (0, 6)
    assert select(trace, root=["a"]).own_cost.ns.tolist() == []
    itself = select(trace, root=[ROBUST])
    assert (itself.own_cost.ns.tolist(), itself.total_ns[itself.roots].tolist()) == ([2_000], [0])


OTHERS = ("do_one_initcall", "foo_init [foo]", "bar_init [bar]", "x")
NAMES = ("load_module", ROBUST, CHAIN, "notifier_call_chain", *OTHERS)
TRACES = st.lists(st.lists(calls(NAMES), max_size=3), min_size=1, max_size=2).map(lambda them: trace_of(*them))


def slow_costs(trace: Trace) -> dict[int, int]:
    """One call at a time: row -> cost, for probes on foo."""
    table = trace.calls
    names = [trace.symbols.names[code] for code in table.func]
    modules = [trace.symbols.modules[code] for code in table.func]
    notifiers = {ROBUST, CHAIN, "notifier_call_chain"}

    def of_modules(row: int) -> bool:
        parent = table.parent[row]
        if parent < 0 or names[row] not in notifiers:
            return False
        return names[parent] == "load_module" or of_modules(parent)

    found = {row for row in range(len(table)) if of_modules(row)}
    found -= {int(table.parent[row]) for row in found}
    kept = {}
    for row in found:
        top = row
        while table.parent[top] >= 0 and names[table.parent[top]] in {"load_module", *notifiers}:
            top = int(table.parent[top])
        ran = {
            modules[i]
            for i in range(top + 1, table.end[top])
            if modules[i] and names[table.parent[i]] == "do_one_initcall"
        }
        if (not ran or "foo" in ran) and table.self_ns[row] != 0:
            kept[row] = int(table.self_ns[row])
    return kept


@settings(max_examples=150, deadline=None)
@given(TRACES, st.booleans())
def test_total_is_self_and_callees_and_what_was_taken_is_the_cost(built: Trace, no_irq: bool) -> None:
    trace = probed(built, "foo")
    table = trace.calls
    chosen = select(trace)
    expected = slow_costs(trace)
    assert dict(zip(chosen.own_cost.rows.tolist(), chosen.own_cost.ns.tolist(), strict=True)) == expected
    for row in range(len(table)):
        cost = [expected[r] for r in range(row, table.end[row]) if r in expected]
        if chosen.total_ns[row] >= 0:
            assert table.duration_ns[row] - chosen.total_ns[row] == sum(cost)
        elif table.duration_ns[row] >= 0:
            assert -1 in cost
        children = np.flatnonzero(table.parent == row)
        if chosen.self_ns[row] >= 0 and (chosen.total_ns[[row, *children]] >= 0).all():
            assert chosen.total_ns[row] == chosen.self_ns[row] + chosen.total_ns[children].sum()
    if no_irq and (table.context[table.roots] == 0).any():
        quiet, plain = select(trace, no_irq=True), select(built, no_irq=True)
        cost_ns = quiet.own_cost.of(np.arange(len(table), dtype=np.int32))
        for row in np.flatnonzero(quiet.keep & (quiet.total_ns >= 0)).tolist():
            assert plain.total_ns[row] - quiet.total_ns[row] == cost_ns[row : table.end[row]].sum()


@settings(max_examples=60, deadline=None)
@given(TRACES)
def test_every_view_takes_away_the_same(built: Trace) -> None:
    trace = probed(built, "foo")
    chosen = select(trace)
    known_ns = chosen.own_cost.known_ns
    result = kfgraph.top(trace, n_paths=10_000)
    assert result.self_ns + known_ns == kfgraph.top(built).self_ns
    # The paths are those of tasks, where there is any call of one.
    of_tasks = result.self_ns - result.interrupt_ns * any(kind != "interrupt" for kind in result.kinds)
    assert sum(path.self_ns for path in result.hot_paths) == of_tasks
    for tree in (call_tree(trace).tree, call_tree(trace, merge=True).tree, call_tree(trace, hide=["*chain*"]).tree):
        tree.check()
        assert int(known_part(tree.own_cost_ns).sum()) == known_ns
        assert bool((tree.own_cost_ns < 0).any()) == bool(chosen.own_cost.n_unknown)
    frame = kfgraph.to_pandas(trace)
    assert frame["self_ns"].sum() == result.self_ns
    assert (frame["own_cost_ns"].sum() if "own_cost_ns" in frame else 0) == known_ns
    records = json_of(write_calls, trace)
    assert sum(record["self_ns"] or 0 for record in records) == result.self_ns
    assert [record["duration_ns"] for record in records] == [ns if ns >= 0 else None for ns in built.calls.duration_ns]
    assert sum(record.get("own_cost_ns") or 0 for record in records) == known_ns


def json_of(write: object, trace: Trace, **what: object) -> list[dict[str, object]]:
    out = StringIO()
    write(call_tree(trace, **what), out)  # type: ignore[operator,arg-type]
    text = out.getvalue()
    return json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]


def named(tree: TreeTable) -> list[str]:
    return [tree.labels[code] for code in tree.label.tolist()]


def test_the_failing_insmod_of_the_examples() -> None:
    trace = kfgraph.load(EXAMPLE)
    setting, removing = 502_346_374, 100_568_281
    assert costs(trace) == {ROBUST: setting, CHAIN: removing}
    tree = call_tree(trace, root=["load_module"]).tree
    by_name = dict(zip(named(tree), range(len(tree)), strict=True))
    recorded = trace.calls.duration_ns[tree.row[0]]
    assert tree.total_ns[0] == recorded - setting - removing == 59_971_989
    assert tree.total_ns[by_name[ROBUST]] == 502_827_443 - setting == 481_069
    assert tree.self_ns[by_name[ROBUST]] == tree.self_ns[by_name[CHAIN]] == 0
    merged = {node["function"]: node for node in json_of(write_nodes, trace, root=["load_module"], merge=True)}
    assert (merged[ROBUST]["own_cost_ns"], merged[CHAIN]["own_cost_ns"]) == (setting, removing)
    assert (merged["load_module"]["total_ns"], merged["load_module"]["own_cost_ns"]) == (59_971_989, 0)
    (root,) = kfgraph.to_anytree(call_tree(trace, root=["load_module"]))
    assert root.total_ns == 59_971_989
    assert sum(node.own_cost_ns for node in (root, *root.descendants)) == setting + removing
    without = replace(trace, companion=None)
    assert costs(without) == {}
    assert "own_cost_ns" not in json_of(write_calls, without, root=[ROBUST])[0]
    assert "own_cost_ns" not in json_of(write_nodes, without, merge=True)[0]
    assert "own_cost_ns" not in kfgraph.to_pandas(without, root=[ROBUST])


def loads() -> Trace:
    """Two loads, one with probes, and a system call beside them."""
    of_foo = call("__x64_sys_finit_module", 50, load("foo", 9_000, 600))
    of_bar = call("__x64_sys_finit_module", 60, load("bar", 80, 9))
    return probed(trace_of([of_foo, call("__x64_sys_read", 700), of_bar]), "foo")


def test_system_calls_take_as_long_as_without_it() -> None:
    trace = loads()
    found = chosen_calls(trace)
    cost = 9_600
    assert [(one.name, one.duration_ns - one.total_ns) for one in found] == [
        ("finit_module", cost),
        ("read", 0),
        ("finit_module", 0),
    ]
    assert [one.total_ns for one in found] == [50 + 100 + 2 + 9 + 1 + 5, 700, 60 + 100 + 80 + 2 + 9 + 1 + 5 + 9]
    assert [one.name for one in chosen_calls(trace, slowest=1)] == ["read"]
    read, finit = summed(trace, found)
    assert (read.name, read.total_ns, finit.total_ns, finit.max_ns) == ("read", 700, 433, 266)
    assert finit.hottest == "load_module"
    record = to_dict(trace, found[0])
    assert (record["duration_ns"], record["total_ns"]) == (9_767, 167)
    said = f"{LABEL} took ≤ 9.600 us in 1 system call, in no time above"
    assert [text.plain for text in own_cost_line(found, trace)] == [said]
    assert said in [text.plain for text in SystemCallsView(trace, found).lines(80)]
    assert list(own_cost_line(found[1:], trace)) == []


def test_info_counts_it_apart() -> None:
    trace = loads()
    said = kfgraph.info(trace)
    assert said.tasks[0].root_ns == 167 + 700 + 266
    assert kfgraph.info(replace(trace, companion=None)).tasks[0].root_ns == 167 + 700 + 266 + 9_600
    out = StringIO()
    Console(file=out, width=120).print(InfoView(said))
    assert "probes    1 return probe; setting them took ≤ 9.600 us, in no time above" in out.getvalue()
