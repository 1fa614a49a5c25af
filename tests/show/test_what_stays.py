"""What stays on the screen whatever the budget and the width: errors, and what was asked for by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

import kfgraph
from builder.tables import Call, call, trace_of, traces
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.fold import Kind, fold
from kfgraph.analyze.sysexits import errors_said
from kfgraph.analyze.tree_errors import failed, unsure_failures
from kfgraph.analyze.visibility import FoldOptions
from kfgraph.errors import NoMatchError
from kfgraph.kernel.syscall_handlers import system_call_of
from kfgraph.model.calls import Flag
from kfgraph.model.marks import Marks
from kfgraph.model.trace import Trace
from kfgraph.render.tree import TreeView, tree_view

WIDTHS = [30, 60, 61, 70, 79, 80, 100, 120, 200, None]


def returning(trace: Trace, values: Mapping[int, int]) -> Trace:
    """``trace`` with return values: row -> value, 0 elsewhere."""
    retval = np.zeros(len(trace.calls), np.int64)
    for row, value in values.items():
        retval[row] = value
    flags = trace.calls.flags | np.uint32(Flag.HAS_RETVAL)
    return replace(trace, calls=trace.calls.with_columns(retval=retval, flags=flags))


def failing(*items: Call, values: Mapping[str, int]) -> Trace:
    """One task; every call of a function named in ``values`` returned that."""
    trace = trace_of(items)
    names = [trace.symbols.names[code] for code in trace.calls.func]
    return returning(trace, {row: values[name] for row, name in enumerate(names) if name in values})


def text(view: TreeView) -> str:
    return "".join(view.plain())


def rows(view: TreeView) -> list[str]:
    """What stands right of the numbers, guides off."""
    folded = view.folded
    return [view.model.line(i).name + view.model.line(i).note for i in range(len(folded)) if folded.kind[i] == 0]


BUSY = [call(f"slow{i}", 1_000_000, call(f"slower{i}", 2_000_000)) for i in range(90)]
LOAD = call(
    "__x64_sys_finit_module", 5,
    *BUSY,
    call("load_module", 5, call("do_init_module_with_a_long_name_of_its_own", 3, call("probe", 2, call("read_id", 1)))),
)  # fmt: skip
ERRORS = {
    "__x64_sys_finit_module": -19, "load_module": -19, "do_init_module_with_a_long_name_of_its_own": -19,
    "probe": -22, "read_id": -2,
}  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "options",
    [
        FoldOptions(), FoldOptions(max_rows=3), FoldOptions(max_rows=None, min_ns=10**9),
        FoldOptions(max_rows=None, min_share=0.9), FoldOptions(max_rows=None, repeats=False),
    ],
    ids=["default", "3 rows", "min", "share", "all"],
)  # fmt: skip
def test_the_chain_of_an_error_is_on_rows_of_its_own_at_any_width(width: int | None, options: FoldOptions) -> None:
    shown = text(tree_view(call_tree(failing(LOAD, values=ERRORS)), options, width=width))
    lines = shown.splitlines()
    # Where a caller returns another error than its callee did, both are there.
    for error, times in (("= -19 ENODEV", 3), ("= -22 EINVAL", 1), ("= -2 ENOENT", 1)):
        assert sum(error in line and "...." not in line for line in lines) == times, shown
    assert max(map(cell_len, lines)) <= (width or 500)


def test_an_error_stays_where_its_name_is_long() -> None:
    name = "a_function_with_" + "quite_" * 20 + "a_name"
    trace = failing(call("load_module", 5, call(name, 2)), values={"load_module": -516, name: -516})
    for width in (30, 60, 70, 80):
        lines = text(tree_view(call_tree(trace), FoldOptions(), width=width)).splitlines()
        assert sum("= -516" in line for line in lines) == 2, lines
        assert all(cell_len(line) <= width for line in lines)
    at_60 = text(tree_view(call_tree(trace), FoldOptions(), width=60))
    assert at_60.count("= -516 ERESTART_RESTARTBLOCK") == 2
    assert re.search(r"a\S*…\S*e = -516", at_60)


def test_a_limit_of_depth_is_one_but_what_it_hides_is_said() -> None:
    view = tree_view(call_tree(failing(LOAD, values=ERRORS)), FoldOptions(max_rows=None, depth=2))
    assert rows(view)[-1].startswith("load_module = -19 ENODEV … 3 calls")
    assert "1 more failed, 2 more seem to have; to list them: kfgraph errors built --limit 0 --unsure\n" in text(view)
    listed = tree_view(call_tree(failing(LOAD, values=ERRORS)), FoldOptions(errors=True))
    assert [row.split(" … ")[0] for row in rows(listed)] == [
        "task0-100", "__x64_sys_finit_module = -19 ENODEV", "load_module = -19 ENODEV",
        "do_init_module_with_a_long_name_of_its_own = -19 ENODEV", "probe = -22 EINVAL?", "read_id = -2 ENOENT?",
    ]  # fmt: skip


def test_thousands_of_errors_are_a_row_for_each_function_and_value() -> None:
    opens = [
        call("__x64_sys_openat", 100 + i % 7, call("do_sys_openat2", 10 + i % 5, *[call(f"walk{i % 9}", 3)] * (i % 3)))
        for i in range(3_000)
    ]
    trace = failing(call("__x64_sys_read", 900_000_000, call("vfs_read", 800_000_000)), *opens, values={})
    names = [trace.symbols.names[code] for code in trace.calls.func]
    which = [row for row, name in enumerate(names) if name == "__x64_sys_openat"]
    values = {row: -2 if i % 2 else -13 for i, row in enumerate(which) if i % 10 < 4}
    values |= {row + 1: values[row] for row in values}
    view = tree_view(call_tree(returning(trace, values)), FoldOptions(), width=None)
    shown = rows(view)
    assert len(view) <= 100
    for error in ("-2 ENOENT", "-13 EACCES"):
        for function in ("__x64_sys_openat", "do_sys_openat2"):
            together = [row for row in shown if row.startswith(f"{function} × ") and f"= {error}" in row]
            assert len(together) == 1, shown
            apart = sum(row.startswith(f"{function} = {error}") for row in shown)
            assert int(together[0].split()[2].replace(",", "")) + apart == 600, shown
    assert "more failed" not in text(view)
    assert view.folded.n_shown + view.folded.n_hidden == len(trace.calls)


def test_more_different_errors_than_fit_are_counted_with_what_lists_them() -> None:
    calls = [call(f"__x64_sys_c{i}", 10, call(f"inner{i}", 5)) for i in range(500)]
    trace = failing(*calls, values={f"__x64_sys_c{i}": -1 - i % 130 for i in range(500)})
    view = tree_view(call_tree(trace), FoldOptions())
    n_rows = sum(" = -" in row for row in rows(view))
    assert 40 <= n_rows <= 145
    assert f"{500 - n_rows:,} more failed; to list them: kfgraph errors built --limit 0\n" in text(view)
    listed = tree_view(call_tree(trace), FoldOptions(errors=True))
    n_listed = sum(" = -" in row for row in rows(listed))
    assert 400 <= n_listed < 500
    assert f"{500 - n_listed:,} more failed; to list them: kfgraph errors built --limit 0\n" in text(listed)


def test_hidden_calls_that_seem_to_have_failed_are_counted_apart() -> None:
    calls = [call(f"inner{i}", 10, call("leaf", 1)) for i in range(1_000)]
    seems = {f"inner{i}": -22 for i in range(1_000)}
    view = tree_view(call_tree(failing(call("loop", 5, *calls), values=seems)), FoldOptions())
    n_rows = sum(" = -22 EINVAL?" in row for row in rows(view))
    assert n_rows < 200
    assert (
        f"{1_000 - n_rows:,} more seem to have failed; to list them: kfgraph errors built --limit 0 --unsure\n"
        in text(view)
    )
    # What only looks like the error of a caller that failed for sure may have been left in the register.
    opened = call("__x64_sys_openat", 5, call("deep", 4, *[call("left", 3)] * 40))
    values = seems | {"__x64_sys_openat": -2, "deep": -2, "left": -2}
    view = tree_view(call_tree(failing(call("loop", 5, *calls), opened, values=values)), FoldOptions(max_rows=3))
    n_rows = sum(" = -22 EINVAL?" in row for row in rows(view))
    assert f"{1_000 - n_rows:,} more seem to have failed" in text(view)
    one = call_tree(failing(call("loop", 5, *calls[:1]), values=seems))
    alone = tree_view(one, FoldOptions(max_rows=None, depth=1))
    assert "1 more seems to have failed; to list them: " in text(alone)


@settings(max_examples=100, deadline=None)
@given(traces(), st.data())
def test_sure_and_unsure_errors_are_on_a_row_or_counted_apart(trace: Trace, data: st.DataObject) -> None:
    some = st.sampled_from([0, 0, 0, -1, -2, -22])
    values = {row: data.draw(some) for row in range(len(trace.calls))}
    tree = call_tree(returning(trace, values), merge=data.draw(st.booleans())).tree
    most = data.draw(st.integers(1, 20))
    folded = fold(tree, FoldOptions(max_rows=most, limit_asked=True, repeats=data.draw(st.booleans())))
    shown = folded.node[folded.kind == Kind.CALL]
    for which, n_hidden in ((failed, folded.n_errors_hidden), (unsure_failures, folded.n_unsure_hidden)):
        n_shown = int(folded.tree.n_errors[shown][which(folded.tree)[shown]].sum())
        assert n_shown + n_hidden == int(tree.n_errors[which(tree)].sum())


def chained(n: int, *, slow: int, ns: int) -> Trace:
    """30 slow system calls, then ``n`` that failed: each error began three calls further down. The first ``slow`` of
    these took ``ns``."""
    items = [call(f"__x64_sys_slow{i}", 500_000, call("w", 400_000, call("ww", 300_000))) for i in range(30)]
    values = {"deep": -2}
    for i in range(n):
        took = ns if i < slow else 10
        items.append(
            call(f"__x64_sys_fail{i}", 10, call("deep", took, call(f"mid{i}", 10, call(f"org{i}", 5, call("x", 1)))))
        )
        values |= {f"__x64_sys_fail{i}": -2, f"mid{i}": -22, f"org{i}": -22}
    return failing(*items, values=values)


@pytest.mark.parametrize("n", [1, 5, 10, 20, 70, 300])
@pytest.mark.parametrize("slow", [0, 15, 60])
@pytest.mark.parametrize("width", [40, 80, None])
def test_a_chain_of_errors_shows_down_to_its_origin_or_is_counted(n: int, slow: int, width: int | None) -> None:
    trace = chained(n, slow=slow, ns=900_000)
    asked = FoldOptions(max_rows=30, limit_asked=True)
    for options in (FoldOptions(), asked, FoldOptions(max_rows=None, min_ns=600_000)):
        view = tree_view(call_tree(trace), options, width=width)
        tree = view.folded.tree
        shown = [tree.labels[tree.label[node]] for node in view.folded.node[view.folded.kind == Kind.CALL]]
        of = {kind: {name[len(kind) :] for name in shown if name.startswith(kind)} for kind in ("org", "mid")}
        tops = {name.removeprefix("__x64_sys_fail") for name in shown if name.startswith("__x64_sys_fail")}
        assert of["org"] == of["mid"] == tops
        assert len(tops) >= min(n, 10)
        left = 4 * (n - len(tops))
        # What `mid` and `org` return is not known for sure.
        assert view.folded.n_errors_hidden == view.folded.n_unsure_hidden == left // 2
        if width is None and left:
            said = f"{left // 2:,} more failed, {left // 2:,} more seem to have; "
            assert f"{said}to list them: kfgraph errors built --limit 0 --unsure\n" in text(view)
        assert bool(left) == ("more failed" in text(view))


@pytest.mark.parametrize("merge", [False, True])
def test_what_is_asked_for_by_errors_lists_far_more_chains(merge: bool) -> None:
    view = tree_view(call_tree(chained(70, slow=0, ns=0), merge=merge), FoldOptions(errors=True), width=80)
    shown = text(view)
    assert len(re.findall(r"org\d+ = -22", shown)) == 70
    assert "more failed" not in shown


def test_merged_calls_say_how_many_of_them_failed() -> None:
    def opened(error: int, inner: int) -> tuple[Call, dict[int, int]]:
        return call("load_module", 10, call("request_module", 5)), {0: error, 1: inner}

    returned = [(-19, -19), (-19, 0), (-22, 0), (0, 0)]
    trace = trace_of([opened(*each)[0] for each in returned])
    values = {2 * i + k: value for i, pair in enumerate(returned) for k, value in enumerate(pair)}
    view = tree_view(call_tree(returning(trace, values), root=["load_module"], merge=True), FoldOptions())
    assert rows(view) == ["load_module = -19 ENODEV × 3 …", "request_module = -19 ENODEV × 1"]
    alike = tree_view(
        call_tree(returning(trace, dict.fromkeys((0, 2, 4, 6), -19)), root=["load_module"], merge=True), FoldOptions()
    )
    assert rows(alike) == ["load_module = -19 ENODEV", "request_module"]
    assert view.folded.tree.n_errors.tolist() == [3, 1]


def test_the_first_match_that_failed_is_open_and_said() -> None:
    calls = [call("load_module", 1_000 * (9 - i), call("probe", 10)) for i in range(5)]
    trace = returning(trace_of(calls), {2 * 2: -19, 2 * 3: -22})
    view = tree_view(call_tree(trace, root=["load_module"]), FoldOptions(open_roots="one"))
    assert view.title() == ["5 matches, 35.050 us, open: #3, the first that failed (--nth N, --slowest N, --merge)"]
    assert [row for row in rows(view) if row.startswith(("#3", "probe"))] == [
        "#3 load_module = -19 ENODEV", "probe",
    ]  # fmt: skip
    assert rows(view)[3] == "probe"
    whole = tree_view(call_tree(returning(trace_of(calls), {}), root=["load_module"]), FoldOptions(open_roots="one"))
    assert whole.title() == ["5 matches, 35.050 us (--nth N, --slowest N, --merge)"]


def test_the_first_match_that_seems_to_have_failed_is_open_where_none_did_for_sure() -> None:
    # No type of the result is known: -1 may be anything, -13 looks like an error.
    calls = [call("vfs_thing", 1_000 * (9 - i), call("probe", 10)) for i in range(5)]
    trace = returning(trace_of(calls), {2 * 1: -1, 2 * 2: -13, 2 * 3: -22})
    view = tree_view(call_tree(trace, root=["vfs_thing"]), FoldOptions(open_roots="one"))
    assert view.title()[0].startswith("5 matches, 35.050 us, open: #3, the first that seems to have failed (")
    assert rows(view)[2:4] == ["#3 vfs_thing = -13 EACCES?", "probe"]
    unknown = tree_view(
        call_tree(returning(trace_of(calls), {2: -1}), root=["vfs_thing"]), FoldOptions(open_roots="one")
    )
    assert "open:" not in unknown.title()[0]
    assert rows(unknown)[1] == "probe"
    many = returning(trace_of([call("vfs_thing", 1_000 + i) for i in range(60)]), {7: -13, 8: -1})
    few = tree_view(call_tree(many, root=["vfs_thing"]), FoldOptions(open_roots="one", max_roots=5))
    assert [row.split(" = ")[1] for row in rows(few) if " = " in row] == ["-13 EACCES?"]


def test_failing_matches_come_before_slow_ones_where_not_all_fit() -> None:
    calls = [call("load_module", 1_000 + i) for i in range(60)]
    trace = returning(trace_of(calls), {7: -19, 8: -22})
    view = tree_view(call_tree(trace, root=["load_module"]), FoldOptions(open_roots="one", max_roots=5))
    assert [row.split(" = ")[1] for row in rows(view) if " = " in row] == ["-19 ENODEV", "-22 EINVAL"]


# What system calls' events say


def marked(trace: Trace, *events: tuple[str, str, int, int], lane: int = 0) -> Trace:
    """``trace`` with events (name, text, row that it stands before, call that it is in)."""
    names = tuple(dict.fromkeys(name for name, *_ in events))
    n = len(events)
    marks = Marks(
        time_ns=np.arange(n) + 2_000_000,
        lane=np.full(n, lane, np.int32),
        cpu=np.zeros(n, np.int16),
        name=np.array([names.index(name) for name, *_ in events], np.int32),
        row=np.array([row for _, _, row, _ in events], np.int32),
        parent=np.array([parent for *_, parent in events], np.int32),
        names=names,
        text=[text for _, text, *_ in events],
    )
    return replace(trace, marks=marks)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("0xfffffffffffffffe", -2), ("__syscall_nr=257 ret=-2", -2), ("id=257 ret=-13", -13), ("NR 257 = -2", -2),
        ("0xfffffffe", -2), ("0x0", 0), ("0x55d95b47d000", 0), ("NR 1 = 14", 0),
        ("__syscall_nr=9 ret=0x7f5a00000000", 0), ("-> 0xffffffffffffffea", -22),
        ("sys_openat -> 0xfffffffffffffffe", -2), ("ret=-4096", 0), ("", 0),
        ("nothing", 0), ("__syscall_nr=257 ret=-4095", -4095), ("0xfffffffffffff000", 0),
    ],
)  # fmt: skip
def test_the_result_is_read_from_every_form_of_the_event(said: str, error: int) -> None:
    trace = marked(trace_of([call("__x64_sys_f")]), ("sys_exit", said, 1, -1))
    assert errors_said(trace, np.array([0], np.int32)).tolist() == [error]


@pytest.mark.parametrize(
    ("name", "system_call"),
    [
        ("__x64_sys_openat", "openat"), ("__arm64_sys_openat", "openat"), ("__s390x_sys_openat", "openat"),
        ("__s390_compat_sys_ioctl", "ioctl"), ("__ia32_sys_vfork", "vfork"), ("__ia32_compat_sys_openat", "openat"),
        ("__riscv_sys_openat", "openat"), ("sys_openat", "openat"), ("SyS_openat", "openat"),
        ("compat_sys_ioctl", "ioctl"), ("__se_sys_openat", "openat"), ("__x64_sys_openat.constprop.0", "openat"),
        ("do_sys_openat2", ""), ("x64_sys_call", ""), ("ksys_read", ""), ("__x64_sys_", ""), ("openat", ""),
    ],
)  # fmt: skip
def test_handlers_of_system_calls_are_known_on_every_architecture(name: str, system_call: str) -> None:
    assert system_call_of(name) == system_call


TWO_OPENS = trace_of(
    [
        call("x64_sys_call", 2, call("__x64_sys_openat", 10, call("do_sys_openat2", 5))),
        call("syscall_exit_work", 3),
        call("x64_sys_call", 2, call("__x64_sys_openat", 10, call("do_sys_openat2", 5))),
        call("syscall_exit_work", 3),
        *[call("x64_sys_call", 500_000, call("__x64_sys_read", 500_000)) for _ in range(90)],
    ]
)


@pytest.mark.parametrize(
    ("name", "said"), [("sys_exit_openat", "0xfffffffffffffffe"), ("sys_exit", "NR 257 = -2")], ids=["named", "raw"]
)
@pytest.mark.parametrize("width", [60, 80, 200, None])
def test_a_failed_system_call_shows_by_its_event(name: str, said: str, width: int | None) -> None:
    trace = marked(TWO_OPENS, (name, "0x3", 4, 3), (name, said, 8, 7))
    view = tree_view(call_tree(trace), FoldOptions(), width=width)
    failed = [i for i in range(len(view)) if "= -2 ENOENT" in "".join(t for t, _ in view.row(i, ""))]
    assert [int(view.folded.tree.row[view.folded.node[i]]) for i in failed] == [5]
    if width is None or width >= 100:
        assert view.model.line(failed[0]).text.endswith("__x64_sys_openat = -2 ENOENT (sys_exit)")
    assert view.folded.tree.error_event.sum() == 1


def test_a_result_that_is_no_handlers_is_given_to_none() -> None:
    elsewhere = [
        # Of another system call; before the handler ended; of a call that was not traced (its entry stands between).
        (("sys_exit_close", "0xfffffffffffffff7", 8, 7),),
        (("sys_exit_openat", "0xfffffffffffffffe", 6, 5),),
        (("sys_enter_openat", "dfd: 0", 8, 7), ("sys_exit_openat", "0xfffffffffffffffe", 8, 7)),
        (("sys_exit_openat", "0x3", 8, 7), ("sys_exit_openat", "0xfffffffffffffffe", 8, 7)),
    ]
    for events in elsewhere:
        tree = call_tree(marked(TWO_OPENS, *events)).tree
        assert not tree.has("error") or not tree.error.any(), events
    other_task = trace_of([call("__x64_sys_openat", 10)], [call("other", 10)])
    assert not call_tree(marked(other_task, ("sys_exit_openat", "-2", 2, 1), lane=1)).tree.has("error")


def test_the_functions_own_register_is_not_overruled() -> None:
    trace = failing(call("__x64_sys_openat", 10), call("exit_work", 1), values={"__x64_sys_openat": -13})
    view = tree_view(call_tree(marked(trace, ("sys_exit_openat", "-2", 2, 1))), FoldOptions())
    assert rows(view)[1] == "__x64_sys_openat = -13 EACCES"


# What was asked for by name


@pytest.mark.parametrize("width", [60, 80, None])
def test_calls_to_prints_a_row_of_each_function_asked_for(width: int | None) -> None:
    few = call("root", 5, *BUSY, call("a", 1, call("b", 1, call("kfree", 1))), call("c", 1, call("kfree", 1)))
    options = FoldOptions(calls_to=["kfree"], max_rows=5)
    view = tree_view(call_tree(trace_of([few]), root=["root"]), options, width=width)
    assert rows(view) == ["root … 180 calls", "a", "b", "kfree", "c", "kfree"]
    many = call("root", 5, *[call("a" if i % 3 else "b", i, *[call("kfree", i)] * (i % 4)) for i in range(400)])
    for options in (FoldOptions(calls_to=["kfree"]), FoldOptions(calls_to=["kfree"], max_rows=None, min_share=0.5)):
        shown = tree_view(call_tree(trace_of([many]), root=["root"]), options, width=width)
        frees = [i for i in range(len(shown)) if "kfree" in shown.model.line(i).name]
        count = shown.folded.tree.count[shown.folded.node[frees]].sum()
        assert frees
        assert count > 300, text(shown)
        assert len(shown) <= 110


def test_calls_to_opens_all_matches_that_lead_there() -> None:
    calls = [call("root", 100 * i, call("a", 1, call("kfree", 1))) for i in range(1, 4)]
    view = tree_view(call_tree(trace_of(calls), root=["root"]), FoldOptions(calls_to=["kfree"], open_roots="one"))
    assert [row for row in rows(view) if "kfree" in row] == ["kfree"] * 3


def test_events_asked_for_open_the_calls_they_are_in() -> None:
    trace = marked(
        trace_of([call("root", 5, *BUSY, call("a", 1, call("b", 1, call("c", 1))))]),
        ("sched_switch", "one", 184, 183), ("other", "x", 1, 0),
    )  # fmt: skip
    assert "· sched_switch" not in text(tree_view(call_tree(trace), FoldOptions(max_rows=10)))
    view = tree_view(call_tree(trace), FoldOptions(max_rows=10), events=["sched_*"])
    assert "· sched_switch: one" in text(view)
    assert "happened" not in text(view)
    assert view.n_events_hidden == 1
    for options in (FoldOptions(max_rows=None, min_ns=10**9), FoldOptions(open_roots="one")):
        assert "· sched_switch: one" in text(tree_view(call_tree(trace), options, events=["sched_*"]))


@pytest.mark.parametrize("width", [40, 80, None])
def test_events_in_folded_calls_show_in_order_where_a_caller_shows(width: int | None) -> None:
    items = [call("a", 10, *[call(f"b{i}", 10)]) for i in range(90)]
    trace = trace_of([call("root", 5, *items)])
    events = [("tick", f"t{i}", 2 * i + 3, 2 * i + 2) for i in range(90)]
    for options in (FoldOptions(), FoldOptions(max_rows=10), FoldOptions(max_rows=None, depth=1)):
        view = tree_view(call_tree(marked(trace, *events)), options, events=["tick"], width=width)
        assert re.findall(r"· tick: t(\d+)", text(view)) == [str(i) for i in range(90)]
        assert "inside calls that are not shown" not in text(view)
        assert not view.folded.hidden_events.any()


def test_events_that_do_not_all_fit_are_counted_where_they_happened() -> None:
    items = [call("a", 10, *[call(f"b{i}", 10)]) for i in range(300)]
    trace = trace_of([call("root", 5, *items)])
    events = [("tick", f"t{i}", 2 * i + 3, 2 * i + 2) for i in range(300)]
    shown = text(tree_view(call_tree(marked(trace, *events)), FoldOptions(), events=["tick"]))
    n_rows = shown.count("· tick: ")
    assert 12 <= n_rows <= 100
    counts = [int(n) for n in re.findall(r"· … (\d+) more tick events? \(--all\)", shown)]
    assert n_rows + sum(counts) == 300
    assert "inside calls" not in shown


def test_what_no_call_did_is_said_not_shown_as_nothing() -> None:
    with pytest.raises(NoMatchError, match="--errors"):
        tree_view(call_tree(trace_of([call("f", 5)])), FoldOptions(errors=True))


# Property: nothing is lost, whatever is forced


@settings(max_examples=200, deadline=None)
@given(traces(), st.data())
def test_every_failed_call_is_on_a_row_or_counted(trace: Trace, data: st.DataObject) -> None:
    n = len(trace.calls)
    values = data.draw(st.lists(st.sampled_from([0, 0, -2, -19, -13]), min_size=n, max_size=n))
    shown = call_tree(returning(trace, dict(enumerate(values))))
    # As sure as can be: the types of the builder's functions are not known.
    sure = shown.tree.with_columns(error_sure=shown.tree.error != 0)
    limit = data.draw(st.sampled_from([None, 1, 7, 40]))
    options = FoldOptions(max_rows=limit, min_ns=data.draw(st.sampled_from([None, 0, 20_000])))
    view = tree_view(replace(shown, tree=sure), options, width=data.draw(st.sampled_from([30, 60, 80, None])))
    folded = view.folded
    folded.tree.check()
    calls = folded.node[folded.kind == Kind.CALL]
    error = folded.tree.error
    n_failed = sum(value != 0 for value in values)
    assert folded.tree.count[calls[error[calls] != 0]].sum() + folded.n_errors_hidden == n_failed
    # Few enough that all fit, whatever the budget.
    assert folded.n_errors_hidden == 0 or n_failed > 30
    assert folded.n_shown + folded.n_hidden == len(trace.calls)


def test_a_failing_insmod_fits_every_width(repository: Path) -> None:
    trace = kfgraph.load(str(repository / "examples" / "insmod-foo-fail19.dat"))
    functions = (
        "load_module", "do_init_module", "do_one_initcall", "foo_init", "foo_probe", "foo_probe_slot", "foo_read_id",
    )  # fmt: skip
    for width in (60, 70, 80, 120, 200):
        for options in (FoldOptions(), FoldOptions(max_rows=10), FoldOptions(max_rows=None, min_share=0.5)):
            shown = text(tree_view(call_tree(trace), options, width=width))
            assert shown.count("= -19 ENODEV") == len(functions), shown
            assert all(cell_len(line) <= width for line in shown.splitlines())


@pytest.mark.parametrize(
    ("width", "least", "columns"),
    [(60, 24, 2), (70, 24, 2), (80, 24, 3), (90, 24, 4), (120, 24, 4)],
)
def test_names_of_what_failed_come_before_columns_of_numbers(width, least, columns, repository: Path) -> None:
    trace = kfgraph.load(str(repository / "examples" / "insmod-foo-fail19.dat"))
    head, *lines = text(tree_view(call_tree(trace), FoldOptions(), width=width)).splitlines()
    assert len(head.split()) - 1 == columns, head
    names = [re.split(r"[ │├▸]{2,}|[▸├]", line.partition(" = -19")[0])[-1] for line in lines if " = -19" in line]
    whole = ["load_module", "do_init_module", "do_one_initcall", "foo_init [foo]", "foo_probe [foo]",
             "foo_probe_slot [foo]", "foo_read_id [foo]"]  # fmt: skip
    assert all(a == b or len(a) >= least for a, b in zip(names, whole, strict=True)), names


@pytest.mark.parametrize("width", [58, 60, 61, 62])
def test_guides_get_narrow_for_the_name_of_what_failed(width) -> None:
    chain = call("level0", 5, call("level1", 5, call("the_function_that_failed", 5)))
    trace = failing(chain, values={"the_function_that_failed": -5})
    shown = text(tree_view(call_tree(trace), FoldOptions(), width=width))
    (row,) = [line for line in shown.splitlines() if " EIO" in line]
    assert "││▸the_function_that_failed = -5 EIO" in row and len(row) <= width


def test_columns_stay_where_no_name_gets_whole_by_it(repository: Path) -> None:
    """A failure 60 levels deep has no room at any rate."""
    chain = call("deepest_of_all_functions", 5)
    for i in range(60):
        chain = call(f"level{i}", 5, chain)
    trace = failing(chain, values={"deepest_of_all_functions": -5})
    head = text(tree_view(call_tree(trace), FoldOptions(), width=80)).splitlines()[0]
    assert head.split() == ["total", "self", "share", "calls", "function"]


def test_errors_leave_room_for_what_is_slow_and_for_loops() -> None:
    failed = [call(f"__x64_sys_c{i}", 10, call(f"inner{i}", 5)) for i in range(20)]
    slow = call("__x64_sys_fsync", 5, call("schedule", 3_000_000))
    reads = [call("__x64_sys_read", 900 + i % 7, *[call("vfs_read", 100)] * (i % 3)) for i in range(2_000)]
    trace = failing(*failed, slow, *reads, values={f"__x64_sys_c{i}": -2 for i in range(20)})
    shown = rows(tree_view(call_tree(trace), FoldOptions(), width=100))
    assert sum("= -2 ENOENT" in row for row in shown) == 20
    assert "schedule (waiting)" in shown
    assert any(row.startswith("__x64_sys_read × 2,000") for row in shown), shown


@pytest.mark.parametrize(
    ("path", "word"), [("a b.dat", "'a b.dat'"), ("t.dat", "t.dat"), ("-", "TRACE"), ("", "TRACE")]
)
def test_the_hint_that_lists_every_error_names_the_file(path, word) -> None:
    failed = [call(f"__x64_sys_c{i}", 10, call(f"g{i}", 5)) for i in range(500)]
    trace = failing(*failed, values={f"__x64_sys_c{i}": -2 for i in range(500)})
    trace = replace(trace, meta=replace(trace.meta, path=path))
    shown = text(tree_view(call_tree(trace), FoldOptions(), width=200))
    assert f"; to list them: kfgraph errors {word} --limit 0\n" in shown
