"""show --with: arguments, what was returned, and the CPU, beside each call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builder.tables import Call, call, trace_of
from contract.test_commands import kfgraph
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.visibility import FoldOptions
from kfgraph.errors import UsageError
from kfgraph.model.args import TextArgs
from kfgraph.model.trace import Trace
from kfgraph.render.rowvalues import shortened
from kfgraph.render.tree import tree_view

POINTER = 0xFFFF888012345678


def lines(trace: Trace, *beside: str, width: int | None = None, **filters: object) -> list[str]:
    view = tree_view(call_tree(trace, **filters), FoldOptions(), beside=beside, width=width)
    return [line for text in view.plain() for line in text.splitlines()]


def names(trace: Trace, *beside: str, width: int | None = None) -> list[str]:
    shown = lines(trace, *beside, width=width, root="f")
    at = next(line.index("function") for line in shown if line.endswith("function"))
    return [row[at:].lstrip("▸├│ ") for row in shown[2:] if row[:at].rstrip().endswith("1")]


def with_args(trace: Trace, *texts: str) -> Trace:
    index = np.array([i if text else -1 for i, text in enumerate(texts)], np.int32)
    return replace(trace, calls=trace.calls.with_columns(args=TextArgs(index, texts)))


def small(*odd: Call) -> Trace:
    return trace_of([call("f", 10, call("f1", retval=3), call("f2", retval=POINTER), call("f3", retval=1 << 30), *odd)])


def test_what_was_returned_as_a_number_a_short_address_or_nothing() -> None:
    trace = small(call("kfree_f", retval=5))
    assert names(trace, "returns") == ["f", "f1 = 3", "f2 = 0x…345678", "f3 = 0x40000000", "kfree_f = 5"]
    assert names(trace) == ["f", "f1", "f2", "f3", "kfree_f"]


def test_a_function_of_known_type_is_worded_by_it() -> None:
    trace = trace_of(
        [call("f", 10, call("try_module_get", retval=1), call("try_module_get_f"), call("schedule", retval=7))]
    )
    said = [line for line in lines(trace, "returns", root="f") if "├" in line or "▸" in line]
    assert any(line.endswith("try_module_get = true") for line in said)
    assert any(line.endswith("schedule (waiting)") for line in said), "it returns nothing, whatever the register held"


def test_an_error_is_said_once() -> None:
    trace = trace_of([call("f", 10, call("__x64_sys_openf", retval=(1 << 64) - 2))])
    assert names(trace, "returns")[1] == "__x64_sys_openf = -2 ENOENT"


def test_arguments_with_short_pointers() -> None:
    trace = with_args(small(), "", "a=1, p=0xffff888012345678", "", "flags=0x3")
    assert names(trace, "args") == ["f", "f1(a=1, p=0x…345678)", "f2", "f3(flags=0x3)"]
    assert names(trace, "args", "returns")[1] == "f1(a=1, p=0x…345678) = 3"
    assert shortened("0xffff888012345678 0x1234 0x7fffaaaabbbb") == "0x…345678 0x1234 0x7fffaaaabbbb"


def test_arguments_are_cut_before_names_and_values(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = with_args(small(), "", "a=1, b=2, c=3, d=4, e=5, g=6, h=7, i=8, j=9", "", "")
    for width in range(30, 120):
        row = next(line for line in lines(trace, "args", "returns", width=width, root="f") if "f1" in line)
        assert len(row) <= width and row.rstrip().endswith("= 3"), (width, row)


def test_the_cpu_and_a_migration() -> None:
    trace = small(call("f4", cpu=2))
    exits = trace.calls.exit_cpu.copy()
    exits[1] = 3
    trace = replace(trace, calls=trace.calls.with_columns(exit_cpu=exits))
    assert names(trace, "cpu") == ["f  CPU 0", "f1  CPU 0→3", "f2  CPU 0", "f3  CPU 0", "f4  CPU 2"]


def test_rows_of_several_calls_have_no_values() -> None:
    trace = trace_of([call("f", 10, *(call("f1", retval=n) for n in range(3)))])
    assert any("f1 × 3" in line and "=" not in line for line in lines(trace, "returns", root="f"))


def test_what_stands_below_a_run_stands_for_several_calls_too() -> None:
    runs = [call("f1", 5, call("f2", retval=n)) for n in (66, 67)]
    said = lines(trace_of([call("f", 10, *runs, call("f3", 5, call("f2", retval=5)))]), "returns", "cpu", root="f")
    assert [line.rsplit("f2", 1)[1] for line in said if "f2" in line] == ["", "  CPU 0 = 5"]


def test_what_the_trace_has_not_is_said() -> None:
    said = lines(trace_of([call("f")]), "args", "returns", "cpu")
    assert "nothing of args, returns was recorded in this trace" in said


def test_a_merged_tree_has_none() -> None:
    with pytest.raises(UsageError, match="--with"):
        tree_view(call_tree(small(), merge=True), FoldOptions(), beside=("cpu",))


def test_the_words_of_the_option() -> None:
    trace = "examples/insmod-foo-fail19.dat"
    code, out, _ = kfgraph("show", trace, "--root", "foo_probe", "--with", "returns,cpu")
    assert code == 0 and "  CPU 0" in out
    code, out, err = kfgraph("show", trace, "--with", "colour")
    assert (code, out) == (2, "")
    assert err == (
        "kfgraph: --with colour: not one of args, returns, cpu, caller, site, oncpu, asleep, preempted, irq\n"
        "  hint: --with args,returns,cpu,caller,site,oncpu,asleep,preempted,irq\n"
    )
