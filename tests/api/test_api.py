"""The doors for library users say what the columns say."""

from __future__ import annotations

import gc
from pathlib import Path

import anytree
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

import kfgraph
from builder.tables import call, deep, trace_of, traces, wide
from kfgraph.errors import InputError, NoMatchError
from kfgraph.model.tasks import Task


def test_every_public_name_is_there() -> None:
    assert set(kfgraph.__all__) <= set(dir(kfgraph))
    for name in kfgraph.__all__:
        assert callable(getattr(kfgraph, name))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        kfgraph.nothing  # noqa: B018


@pytest.mark.parametrize("ran", [True, False])
def test_loading_leaves_the_collector_as_it_was(ran: bool, repository) -> None:
    before = gc.isenabled()
    (gc.enable if ran else gc.disable)()
    try:
        kfgraph.load(repository / "examples/cat-enoent.dat")
        assert gc.isenabled() == ran
        with pytest.raises(InputError):
            kfgraph.load(repository / "examples/report.py")
        assert gc.isenabled() == ran
    finally:
        (gc.enable if before else gc.disable)()


@given(traces())
@settings(max_examples=60, deadline=None)
def test_the_frame_has_each_call_once(trace) -> None:
    frame = kfgraph.to_pandas(trace)
    calls = trace.calls
    assert frame.index.tolist() == list(range(len(calls)))
    assert frame["duration_ns"].fillna(-1).tolist() == calls.duration_ns.tolist()
    assert frame["self_ns"].fillna(-1).tolist() == calls.self_ns.tolist()
    assert frame["parent"].fillna(-1).tolist() == calls.parent.tolist()
    assert frame["level"].tolist() == calls.level.tolist()
    names = [trace.symbols.names[code] or None for code in calls.func]
    assert [None if pd.isna(name) else name for name in frame["function"]] == names
    assert frame["pid"].tolist() == [trace.tasks[lane].pid for lane in calls.lane]


def test_what_is_unknown_is_na() -> None:
    trace = trace_of(
        [call("f [m]", 3, call("0xffffffffc0a9d01f", 2), unfinished=True)], [call("", 4, context=2)],
        tasks=[Task(7, "insmod"), Task(-1, "", 3)],
    )  # fmt: skip
    rows = kfgraph.to_pandas(trace).astype(object)
    rows = rows.where(rows.notna(), None).to_dict("records")
    assert [(r["function"], r["module"], r["pid"], r["comm"], r["context"]) for r in rows] == [
        ("f", "m", 7, "insmod", "task"),
        ("0xffffffffc0a9d01f", None, 7, "insmod", "task"),
        (None, None, None, None, "hardirq"),
    ]
    assert [r["duration_ns"] for r in rows] == [None, 2, 4]


def test_the_frame_of_a_selection_keeps_the_rows_of_the_trace() -> None:
    trace = trace_of([call("a", 1, call("b", 2, call("c", 3)))])
    frame = kfgraph.to_pandas(trace, root=["b"])
    assert frame.index.tolist() == [1, 2] and frame["parent"].isna().tolist() == [True, False]
    with pytest.raises(NoMatchError):
        kfgraph.to_pandas(trace, root=["nothing"])


def test_one_value_is_as_good_as_a_list_of_one() -> None:
    trace = trace_of(
        [call("a", 1, call("b", 2, call("cde", 3), cpu=0), cpu=1), call("b", 3, cpu=1)], [call("a", 5)],
        tasks=[Task(7, "insmod"), Task(0, "swapper", 0)],
    )  # fmt: skip
    for name, one in (("root", "b"), ("root", "[ab]"), ("task", "insmod"), ("task", "insmod-7"), ("pid", 7), ("pid", 0),
                      ("cpu", 0), ("cpu", np.int16(1))):  # fmt: skip
        expected = kfgraph.to_pandas(trace, **{name: [one]})
        assert 0 < len(expected) < len(trace.calls) or one == "[ab]"
        pd.testing.assert_frame_equal(kfgraph.to_pandas(trace, **{name: one}), expected)
        assert kfgraph.top(trace, **{name: one}).records() == kfgraph.top(trace, **{name: (one,)}).records()
        tree = kfgraph.call_tree(trace, **{name: one}, hide="cde")
        assert tree.tree.row.tolist() == kfgraph.call_tree(trace, **{name: {one}}, hide=["cde"]).tree.row.tolist()
        assert tree.n_hidden == int(2 in expected.index)
    assert len(kfgraph.to_pandas(trace, root=None, task=None, pid=None, cpu=None)) == len(trace.calls)
    with pytest.raises(NoMatchError, match="no call of 'insmod' in this trace"):
        kfgraph.top(trace, root="insmod")


def test_one_name_is_as_good_as_a_list_for_the_other_questions(repository) -> None:
    from kfgraph.analyze.errorlist import errors
    from kfgraph.analyze.syscalls import chosen_calls
    from kfgraph.analyze.why import why

    path = repository / "examples" / "insmod-foo-fail19.dat"
    trace = kfgraph.load(path)
    assert why(trace, root="do_one_initcall") == why(trace, root=["do_one_initcall"])
    found = errors(trace, root="do_one_initcall", module="foo", ret=19)
    assert [(row.function, row.error) for row in found] == [("foo_read_id [foo]", -19)]
    assert found == errors(trace, root=["do_one_initcall"], module=["foo"], ret=[19])
    assert errors(trace, module="o") == []
    failed = kfgraph.load(repository / "examples" / "cat-enoent.dat")
    pid = failed.tasks[0].pid
    opened = chosen_calls(failed, names="openat", pid=pid)
    assert [call.error for call in opened] == [0, 0, -2]
    assert chosen_calls(failed, names=["openat"], task="cat") == opened
    with pytest.raises(NoMatchError, match="no task with pid 0"):
        chosen_calls(failed, pid=0)


def test_one_module_file_is_as_good_as_a_list(tmp_path: Path, repository, monkeypatch: pytest.MonkeyPatch) -> None:
    from kfgraph.passes import Given, module_names

    given: list[tuple[str, ...]] = []

    def apply(trace: kfgraph.Trace, sources: Given) -> kfgraph.Trace:
        given.append(sources.modules)
        return trace

    monkeypatch.setattr(module_names, "apply", apply)
    path = repository / "examples" / "insmod-foo-fail19.dat"
    for modules in ("foo.ko", ["foo.ko"], Path("foo.ko"), (Path("foo.ko"),), ()):
        kfgraph.load(path, modules=modules)
    assert given == [("foo.ko",)] * 4


def test_return_values_and_errors_in_the_frame() -> None:
    trace = trace_of([
        call("load_module", 5, call("i", 5, retval=0xFFFF_FFFF), call("kfree", 5, retval=3),
             call("k", 5, retval=0xFFFF_FFED), call("l", 5), retval=(1 << 64) - 19),
    ])  # fmt: skip
    frame = kfgraph.to_pandas(trace)
    rows = frame[["retval", "retval_raw", "error", "error_sure"]].astype(object)
    assert rows.where(rows.notna(), None).to_numpy().tolist() == [
        [-19, (1 << 64) - 19, "ENODEV", True], [-1, 0xFFFF_FFFF, None, False], [None, 3, None, False],
        [-19, 0xFFFF_FFED, "ENODEV", True], [None, None, None, False],
    ]  # fmt: skip
    assert (str(frame["retval"].dtype), str(frame["retval_raw"].dtype)) == ("Int64", "UInt64")
    assert frame.query("error == 'ENODEV'")["function"].tolist() == ["load_module", "k"]
    assert "retval" not in kfgraph.to_pandas(trace_of([call("f")]))


def test_the_frame_of_an_empty_trace_has_its_columns() -> None:
    frame = kfgraph.to_pandas(trace_of())
    assert len(frame) == 0 and "self_ns" in frame.columns


def test_anytree_nodes_are_the_tree() -> None:
    trace = trace_of([call("a", 1, call("b", 2, call("c", 3)), call("d", 4, unfinished=True))])
    (root,) = kfgraph.to_anytree(kfgraph.call_tree(trace, root=["a"]))
    assert [(n.name, n.depth, n.n_calls, n.total_ns, n.self_ns, n.row) for n in anytree.PreOrderIter(root)] == [
        ("a", 0, 1, 10, None, 0), ("b", 1, 1, 5, 2, 1), ("c", 2, 1, 3, 3, 2), ("d", 1, 1, None, None, 3),
    ]  # fmt: skip


def test_a_merged_tree_has_counts_and_no_rows() -> None:
    trace = trace_of([call("a", 1, call("b", 2), call("b", 5))])
    (root,) = kfgraph.to_anytree(kfgraph.call_tree(trace, root=["a"], merge=True))
    (b,) = root.children
    assert (b.name, b.n_calls, b.total_ns, b.row) == ("b", 2, 7, None)


def test_anytree_refuses_a_whole_trace_and_takes_a_deep_one() -> None:
    with pytest.raises(ValueError, match="30,001 nodes are more than 20,000"):
        kfgraph.to_anytree(kfgraph.call_tree(wide(30_000), root=["root"]))
    (root,) = kfgraph.to_anytree(kfgraph.call_tree(deep(800), root=["f0"]))
    node, names = root, [root.name]
    while node.children:  # anytree's own walks recurse
        (node,) = node.children
        names.append(node.name)
    assert names == [f"f{i}" for i in range(800)]


def test_a_tree_as_a_frame() -> None:
    trace = trace_of([
        call("load_module", 1, call("b [m]", 2, retval=0xFFFF_FFED), call("b [m]", 4, unfinished=True), call("", 5),
             retval=(1 << 64) - 19),
    ], tasks=[Task(7, "insmod")])  # fmt: skip
    frame = kfgraph.call_tree(trace).to_pandas()
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    none = {"error": None, "error_sure": False}
    expected = [
        ("insmod-7", None, None, 0, None, 0, 0, None, 0, None),
        ("load_module", "load_module", "", 1, 0, 1, 0, 12, None, 0),
        ("b [m]", "b", "m", 2, 1, 1, 0, 2, 2, 1),
        ("b [m]", "b", "m", 2, 1, 1, 1, None, None, 2),
        ("?", None, None, 2, 1, 1, 0, 5, 5, 3),
    ]
    names = ("label", "function", "module", "level", "parent", "n_calls", "n_unfinished", "total_ns", "self_ns", "row")
    assert [tuple(row[name] for name in names) for row in rows][1:] == expected[1:]
    assert tuple(rows[0][name] for name in names if name != "total_ns") == tuple(
        value for name, value in zip(names, expected[0], strict=True) if name != "total_ns"
    )
    assert [{key: row[key] for key in none} for row in rows] == [
        none, {"error": "ENODEV", "error_sure": True}, {"error": "ENODEV", "error_sure": True}, none, none,
    ]  # fmt: skip
    assert (frame.index.name, frame.index.tolist()) == ("node", [0, 1, 2, 3, 4])
    merged = kfgraph.call_tree(trace, root="load_module", merge=True).to_pandas()
    b = merged[merged["function"] == "b"].iloc[0]
    assert (b["n_calls"], b["n_unfinished"], b["total_ns"], b["avg_ns"], b["min_ns"], b["max_ns"]) == (2, 1, 2, 2, 2, 2)
    assert merged["row"].isna().all() and merged["parent"].isna().tolist() == [True, False, False]


def test_a_tree_and_a_table_print_as_on_the_command_line(
    repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Workers that run tests side by side are told a width.
    monkeypatch.delenv("COLUMNS", raising=False)
    path = str(repository / "examples" / "insmod-foo-fail19.dat")
    trace = kfgraph.load(path)
    tree = kfgraph.call_tree(trace, root="foo_init")
    assert kfgraph.main(["show", path, "--root", "foo_init"]) == 0
    printed = capsys.readouterr().out
    assert str(tree) == kfgraph.to_text(tree) == printed and "foo_read_id [foo] = -19 ENODEV" in printed
    assert repr(tree).startswith("<CallTree foo_init [foo]: ")
    assert kfgraph.main(["show", path, "--root", "foo_init", "--depth", "1"]) == 0
    assert kfgraph.to_text(tree, depth=1, max_rows=None) == capsys.readouterr().out
    assert kfgraph.main(["show", path, "--root", "kfree"]) == 0
    assert str(kfgraph.call_tree(trace, root="kfree")) == capsys.readouterr().out
    assert max(map(len, kfgraph.to_text(tree, width=60).splitlines())) <= 60
    assert kfgraph.main(["top", path, "--limit", "5"]) == 0
    top = kfgraph.top(trace)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == kfgraph.to_text(
        kfgraph.top(trace, limit=5)
    ).splitlines()
    assert str(top) == kfgraph.to_text(top, max_rows=80) and len(str(top)) > len(kfgraph.to_text(top, max_rows=5))


def test_what_a_notebook_shows() -> None:
    result = kfgraph.top(trace_of([call("load_module", 3_000)]))
    assert "load_module" in result._repr_html_() and "<table" in result._repr_html_()
    assert repr(result) == "<Top 1 function by self, 1 call, self 3.000 us>"
    assert dict(result.__rich_repr__())["functions"] == ["load_module 100.0%"]
