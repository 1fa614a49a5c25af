"""kfgraph errors and kfgraph syscalls: the lists, with their numbers."""

from __future__ import annotations

import io
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

import kfgraph
from builder.tables import call, trace_of
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.errorlist import errors
from kfgraph.analyze.failure import Failed
from kfgraph.analyze.sysarguments import told
from kfgraph.analyze.syscalls import SystemCall, chosen_calls, shown_result, summed, system_calls, why_none
from kfgraph.analyze.top import top
from kfgraph.analyze.tree_errors import failed, unsure_failures
from kfgraph.analyze.valuefilters import n_seem_failed
from kfgraph.analyze.why import Why
from kfgraph.errors import NoMatchError
from kfgraph.model.sparse import Sparse
from kfgraph.render.errorlist import ErrorsView
from kfgraph.render.html.answer import answer as answer_in_page
from kfgraph.render.syscalls import SystemCallsView
from kfgraph.render.why import FailedView, WhyView, never_ran

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def error(number: int) -> int:
    return (1 << 64) - number


def test_an_error_that_is_handed_up_is_one_row_with_its_way() -> None:
    leaf = call("foo_read", retval=error(5))
    trace = trace_of(
        [call("foo_main", 5, call("foo_probe", 5, call("foo_id", 5, leaf, retval=error(5)), retval=error(5)), retval=0)]
    )
    (row,) = errors(trace, unsure=True)
    assert (row.function, row.error, row.n_calls, row.top, row.handler) == ("foo_read", -5, 1, "foo_probe", "foo_main")
    assert row.path == ("foo_main", "foo_probe", "foo_id")


def test_calls_with_one_fate_are_one_row_and_others_are_not() -> None:
    def tries(n: int, name: str) -> list:
        return [call(name, 5, call("foo_try", retval=error(11)), retval=0) for _ in range(n)]

    trace = trace_of([call("foo_main", 5, *tries(3, "foo_a"), *tries(2, "foo_b"), call("foo_try", retval=error(5)))])
    rows = errors(trace, unsure=True)
    assert [(r.function, r.error, r.n_calls, r.handler) for r in rows] == [
        ("foo_try", -11, 3, "foo_a"), ("foo_try", -11, 2, "foo_b"), ("foo_try", -5, 1, "foo_main"),
    ]  # fmt: skip
    assert [r.error for r in errors(trace, unsure=True, ret=[5])] == [-5]
    # Of an unknown type, and handed on by nobody: it may be a number.
    assert errors(trace) == []


def test_the_error_of_a_system_call_goes_to_the_program() -> None:
    inside = call("x64_sys_call", 5, call("__x64_sys_openat", 5, call("do_open", retval=error(2)), retval=error(2)))
    (row,) = errors(trace_of([call("do_syscall_64", 5, inside)]))
    assert (row.function, row.top, row.handler) == ("do_open", "__x64_sys_openat", "")


def interrupted():
    """A system call that failed, hit by an interrupt in which the same error was returned."""
    tick = call("tick", 5, call("timer", 5, retval=error(22), context=2), retval=error(22), context=2)
    irq = call("__sysvec_apic_timer_interrupt", 5, tick, retval=error(22), context=2)
    other = call("__common_interrupt", 5, call("handle", 5, retval=error(5), context=2), retval=0, context=2)
    return trace_of([call("__x64_sys_read", 5, call("vfs_read", 5, irq, other, retval=error(22)), retval=error(22))])


def test_the_error_of_an_interrupt_began_in_it_and_ended_there() -> None:
    trace = interrupted()
    rows = errors(trace, unsure=True)
    assert [(r.function, r.n_calls, r.top, r.handler, r.path, r.sure, r.interrupt) for r in rows] == [
        ("vfs_read", 1, "__x64_sys_read", "", ("__x64_sys_read",), True, False),
        ("timer", 1, "__sysvec_apic_timer_interrupt", "", ("__sysvec_apic_timer_interrupt", "tick"), False, True),
        ("handle", 1, "handle", "__common_interrupt", ("__common_interrupt",), False, False),
    ]  # fmt: skip
    # One that was handed up in it is listed as any other.
    assert [r.function for r in errors(trace)] == ["vfs_read", "timer"]
    became = [line.plain.split("  ")[-1] for line in ErrorsView(trace, rows).lines(150)]
    assert became[2::2] == [
        "came up to __x64_sys_read, returned", "came up to __sysvec_apic_timer_interrupt, returned from the interrupt",
        "handled by __common_interrupt",
    ]  # fmt: skip
    assert [(r.function, r.top) for r in errors(trace, ret=22, irq=True, unsure=True)] == [
        ("timer", "__sysvec_apic_timer_interrupt"),
    ]  # fmt: skip


def test_an_interrupt_that_is_not_selected_hit_the_call_all_the_same() -> None:
    tick = call("tick", 5, retval=error(22), context=2, args="(a=1)")
    irq = call("__sysvec_apic_timer_interrupt", 5, tick, retval=error(22), context=2, args="(a=2)")
    trace = trace_of([call("__x64_sys_read", 5, irq, retval=error(22), args="(a=1)")])
    rows = errors(trace, arg=["a=1"], unsure=True)
    assert [(r.function, r.top, r.handler, r.path, r.interrupt) for r in rows] == [
        ("__x64_sys_read", "__x64_sys_read", "", (), False), ("tick", "tick", "", (), True),
    ]  # fmt: skip


def test_one_function_s_error_in_an_interrupt_and_outside_are_two_ways() -> None:
    roots = [call("poll", 5, retval=error(5)), call("f", 5, call("poll", 5, retval=error(5), context=2), retval=0)]
    rows = errors(trace_of(roots), unsure=True)
    assert [(r.function, r.n_calls, r.interrupt) for r in rows] == [("poll", 1, False), ("poll", 1, True)]
    (alone,) = errors(trace_of([call("poll", 5, retval=error(5), context=2)]), unsure=True)
    assert alone.interrupt


def test_an_interrupt_did_not_fail_as_what_it_hit() -> None:
    """In every view: the lists of functions, trees, what is left out as unsure."""
    trace = interrupted()
    table = top(trace, by="errors").to_pandas()
    assert set(table["function"][table["n_errors"] > 0]) == {"__x64_sys_read", "vfs_read"}
    tree = call_tree(trace, merge=False).tree
    sure = {tree.labels[label] for label in tree.label[failed(tree)].tolist()}
    assert sure == {"__x64_sys_read", "vfs_read"}
    unsure = [tree.labels[label] for label in tree.label[unsure_failures(tree)].tolist()]
    assert unsure == ["__sysvec_apic_timer_interrupt", "tick", "timer", "handle"]
    calls = trace.calls
    everything = np.ones(len(calls), np.bool_)
    assert n_seem_failed(trace, everything, calls.parent, failed=True, ret=(), arg=()) == 4


def test_errors_of_a_module() -> None:
    trace = trace_of([call("f", 5, call("g [foo]", retval=error(5)), call("h", retval=error(6)))])
    assert [r.function for r in errors(trace, unsure=True, module=["foo"])] == ["g [foo]"]


def test_a_trace_without_return_values_says_so() -> None:
    with pytest.raises(NoMatchError, match="no return value"):
        errors(trace_of([call("f")]))


def test_system_calls_have_handler_result_and_time() -> None:
    inner = call("__do_sys_openat", 20, retval=error(2))
    trace = trace_of(
        [call("__x64_sys_openat", 10, inner, retval=error(2)), call("__x64_sys_read", 40, retval=512), call("other", 3)]
    )
    first, second = system_calls(trace)
    assert (first.name, first.error, first.result, first.duration_ns, first.evidence) == (
        "openat", -2, -2, 30, "return value",
    )  # fmt: skip
    assert (second.name, second.error, second.result, second.duration_ns) == ("read", 0, 512, 40)
    assert [shown_result(one) for one in (first, second)] == ["= -ENOENT", "= 512"]
    assert [one.name for one in chosen_calls(trace, slowest=1)] == ["read"]
    assert [one.name for one in chosen_calls(trace, failed=True)] == ["openat"]
    assert [one.name for one in chosen_calls(trace, names=["r*"])] == ["read"]


def test_sums_count_what_is_finished_and_name_where_the_time_went() -> None:
    trace = trace_of(
        [
            call("__x64_sys_read", 10, call("schedule", 90), retval=1),
            call("__x64_sys_read", 30, retval=error(4)),
            call("__x64_sys_read", 5, unfinished=True),
        ]
    )
    (total,) = summed(trace, system_calls(trace))
    assert (total.name, total.n_calls, total.n_finished, total.n_errors) == ("read", 3, 2, 1)
    assert (total.total_ns, total.max_ns, total.hottest) == (130, 100, "schedule")


def test_time_asleep_passed_in_the_function_that_slept() -> None:
    """A wait4 of 780 ms went to wait_consider_task, it said, which had 24 % of the little that was work."""
    trace = trace_of([call("__x64_sys_wait4", 10, call("wait_consider_task", 30), call("schedule", 5), retval=7)])
    slept = replace(trace.calls, asleep_ns=Sparse(np.array([2], np.int32), np.array([900], np.int64)))
    trace = replace(trace, calls=slept)
    (total,) = summed(trace, system_calls(trace))
    assert (total.hottest, total.hottest_share) == ("schedule", 905 / 945)


def test_failed_system_calls_beyond_the_limit_are_counted() -> None:
    fine, bad = call("__x64_sys_read", 5, retval=1), call("__x64_sys_access", 5, retval=error(2))
    trace = trace_of([bad, fine, fine, bad, bad])
    shown = [line.plain for line in SystemCallsView(trace, system_calls(trace), 2).lines(80)]
    assert shown[-2:] == ["… 3 more system calls (--limit 0)", "2 of them failed (--failed)"]
    shown = [line.plain for line in SystemCallsView(trace, chosen_calls(trace, failed=True), 2).lines(80)]
    assert shown[-1] == "… 1 more system call (--limit 0)", "only those are listed"
    shown = [line.plain for line in SystemCallsView(trace, system_calls(trace)[1:3], 1).lines(80)]
    assert shown[-1] == "… 1 more system call (--limit 0)"


def test_why_no_system_call_is_left_is_said() -> None:
    """`no system call was recorded`, it said where 252 were, and none of that name."""
    trace = trace_of([call("__x64_sys_openat", 1, retval=3), call("__x64_sys_brk", 1), call("__x64_sys_brk", 1)])
    not_told = "the result of none of 2 system calls was recorded"
    for given, said, hint in (
        ({"names": ["opnat"]}, "no system call 'opnat' was recorded", "did you mean openat?"),
        ({"names": ["brk", "xyz"]}, "no system call 'xyz' was recorded", "there are brk, openat"),
        ({}, "none of 3 system calls failed", "leave out --failed"),
        ({"names": ["o*"]}, "none of 1 system call failed", "leave out --failed"),
        ({"names": "brk"}, not_told, "kfgraph trace records them; leave out --failed"),
    ):
        none = why_none(trace, **given)
        assert (str(none), none.hint) == (said, hint)
    assert str(why_none(trace_of([call("f")]))) == "no system call was recorded"


def test_small_negative_arguments_of_64_bits_are_numbers() -> None:
    lines = "fd: 0xffffffffffffffff, upid: 18446744073709551612, at: 0xffffffff81000000, n: 0x1000"
    one = replace(system_calls(trace_of([call("__x64_sys_close", 1)]))[0], text=lines)
    assert one.worded == "close(fd=-1, upid=-4, at=0xffffffff81000000, n=0x1000)"


def test_results_and_paths_come_from_the_events_of_a_recording() -> None:
    trace = kfgraph.load(EXAMPLES / "cat-enoent.dat")
    failed = chosen_calls(trace, failed=True)
    assert [(c.name, c.path, c.result, c.evidence) for c in failed] == [
        ("access", "/etc/ld.so.preload", -2, "system call result"),
        ("openat", "/nonexistent", -2, "system call result"),
    ]
    assert failed[1].worded == 'openat("/nonexistent", dfd=-100, flags=0, mode=0)'


@pytest.mark.parametrize("result", ["0xfffffffffffffffe", "-2"])
def test_results_are_read_from_texts_too(result, tmp_path) -> None:
    """Registers are printed unsigned there: 0xfffffffffffffffe is -2."""
    path = tmp_path / "report.txt"
    path.write_text(
        "cpus=1\n"
        "             cat-5     [000]   100.000100: funcgraph_entry:                   |  __x64_sys_openat() {\n"
        "             cat-5     [000]   100.000110: funcgraph_exit:       + 10.000 us  |  }\n"
        f"             cat-5     [000]   100.000120: sys_exit_openat:      {result}\n"
    )
    (only,) = system_calls(kfgraph.load(path))
    assert (only.name, only.result, only.error, only.evidence) == ("openat", -2, -2, "system call result")


def test_a_module_is_named_as_such_or_by_its_file(tmp_path) -> None:
    from contract.test_commands import kfgraph

    trace = "examples/insmod-foo-fail19.dat"
    told = [kfgraph("errors", trace, "--json", *how)[1] for how in (("--of", "foo"), ("--module", "foo"))]
    assert told[0] == told[1] and "foo_read_id" in told[0]
    code, _, err = kfgraph("errors", trace, "--module", "bar-2")
    assert code == 6 and "no call returned an error" in err
    code, _, err = kfgraph("errors", trace, "--module", tmp_path / "foo.ko")
    assert code == 5 and "foo.ko" in err


def worded_readlink(told: str, folder: Path) -> str:
    """A system call as a screen words it, of which the entry event told this."""
    path = folder / "report.txt"
    path.write_text(
        "cpus=1\n"
        f"             cat-5     [000]   100.000090: sys_enter_readlink:   {told}\n"
        "             cat-5     [000]   100.000100: funcgraph_entry:                   |  __x64_sys_readlink() {\n"
        "             cat-5     [000]   100.000110: funcgraph_exit:       + 10.000 us  |  }\n"
    )
    (only,) = system_calls(kfgraph.load(path))
    return only.worded


@pytest.mark.parametrize(
    ("entered", "worded"),
    [
        (
            "path=0x47e113 buf=0x7ffc bufsiz=4096 __path_val=/proc/self/exe",
            '"/proc/self/exe", buf=0x7ffc, bufsiz=0x1000',
        ),
        ("path=0x47e113 buf=0x7ffc bufsiz=4095", "path=0x47e113, buf=0x7ffc, bufsiz=4095"),
        ("name=0x55b7 flags=0 __name_val=/mnt", '"/mnt", flags=0'),
        ("filename=0x1 mode=4 __filename_val=/a b", '"/a b", mode=4'),
        ("dfd=4294967196 pathname=0x1 flags=4294963200 __pathname_val=x", '"x", dfd=-100, flags=-4096'),
        ("dfd=4294963199 flags=4294967296", "dfd=0xffffefff, flags=0x100000000"),
        ("fd=2 buf=0x5 __buf_val=name_val=/x fd=3", "fd=2, buf=5"),
        # What a program wrote; of cat /etc/passwd `daemon=x:1:1:daemon:/usr/sbin:/` became an argument.
        ('fd=1 buf=0x5 __buf_val=root:x path="/etc/shadow" daemon:x:1 filename=3', "fd=1, buf=5"),
        ("oldname=0x1 newname=0x2 __oldname_val=/a=b c=d __newname_val=/b", '"/a=b c=d", "/b"'),
        ("filename=0x1 flags=3 __filename_val=", '"", flags=3'),
    ],
)
def test_paths_are_what_the_kernel_read_and_no_addresses(entered: str, worded: str, tmp_path: Path) -> None:
    assert worded_readlink(f"__syscall_nr=89 {entered}", tmp_path) == f"readlink({worded})"


@pytest.mark.parametrize(
    ("printed", "worded"),
    [
        ('filename: 0x7ffc "/bin/cat", argv: 0x7ffd, envp: 0x7ffe', '"/bin/cat", argv=0x7ffd, envp=0x7ffe'),
        ('dfd: 0xffffff9c, filename: 0x7f "/a, b: c", flags: O_RDONLY|O_CLOEXEC, mode: 0644',
         '"/a, b: c", dfd=-100, flags=O_RDONLY|O_CLOEXEC, mode=0644'),
        ('oldname: 0x1 "/x", newname: 0x2 "/y \"z\""', '"/x", "/y "z""'),
        ('filename: 0x7f99 "/ends in the mid"..., mode: 0x00000004', '"/ends in the mid", mode=4'),
        ('fd: 2, buf: 0x5631 (2b:20:63:0a) "+ path: 0x1 x=3.", count: 0x14)', "fd=2, buf=0x5631, count=20"),
        ("fd: 0x00000001, buf: 0x7000 ({0x72,0x6f,0x6f}), count: 0x00000390", "fd=1, buf=0x7000, count=912"),
        ("filename: 0x7f3fbbae32a0, mode: 0x00000004", "filename=0x7f3fbbae32a0, mode=4"),
        ("upid: 0xffffffffffffffff, options: 0", "upid=-1, options=0"),
    ],
)  # fmt: skip
def test_arguments_are_read_as_reports_and_the_kernel_print_them(printed: str, worded: str, tmp_path: Path) -> None:
    """The names of files that 7.2 records were lost in texts: `openat()` had failed."""
    assert worded_readlink(printed, tmp_path) == f"readlink({worded})"


@pytest.mark.parametrize("width", [60, 70, 80, 99])
def test_names_in_the_list_of_errors_are_cut_one_by_one(width: int) -> None:
    """`← 0xffffffffa0001050 ← 0xffffffff…fffffffa0002004`: two callers as one, and what handled it was cut out."""
    names = [f"function_number_{n}_{n * 11111111}" for n in range(1, 7)]
    chain = call(names[0], 1, retval=error(19))
    for name in names[1:5]:
        chain = call(name, 1, chain, retval=error(19))
    trace = trace_of([call(names[5], 1, chain, retval=0)])
    lines = [line.plain.strip() for line in ErrorsView(trace, errors(trace)).lines(width)]
    assert all(cell_len(line) <= width - 13 for line in lines[3:])
    (became,) = [line for line in lines if "came up to funct" in line]
    assert ", handled by funct" in became and became.endswith("6")
    (path,) = [line for line in lines if line.startswith("← ")]
    shown = path.removeprefix("← ").split(" ← ")
    left_out = [int(one.split()[1]) for one in shown if one.startswith("… ")]
    callers = errors(trace)[0].path[::-1]
    assert len(shown) - len(left_out) + sum(left_out) == len(callers) == 4
    named = [one for one in shown if not one.startswith("… ")]
    wanted = [*callers[: len(named) - 1], callers[-1]]
    assert all(re.fullmatch(re.escape(one).replace("…", ".*"), name) for one, name in zip(named, wanted, strict=True))


@pytest.mark.parametrize("unit", ["a", 'a: b "', "a: b (", "__a_val=", "a=", "a: "])
def test_long_arguments_are_read_in_time(unit: str) -> None:
    begun = time.perf_counter()
    told(unit * (100_000 // len(unit)))
    told("x: y" + unit * (100_000 // len(unit)))
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize(
    ("n", "said"), [(1, "a"), (4, "a, b, c, d"), (5, "a, b, c, d and 1 more"), (26, "a, b, c, d and 22 more")]
)
def test_functions_that_did_not_run_are_named_up_to_four_on_the_screen_and_in_the_page(n: int, said: str) -> None:
    names = tuple("abcdefghijklmnopqrstuvwxyz"[:n])
    answer = Why(trace_of([call("f")]), "nothing", never_ran=(("foo", names, 3), ("bar", ("x",), 1_000)))
    shown = [f"3 of {3 + n} functions of foo ran; not {said}", "1,000 of 1,001 functions of bar ran; not x"]
    assert list(never_ran(answer)) == shown
    console = Console(file=io.StringIO(), width=200)
    console.print(WhyView(answer))
    assert [line.strip() for line in console.file.getvalue().splitlines()[-2:]] == shown
    page = answer_in_page(answer, top(answer.trace), np.arange(1, dtype=np.int32))
    assert all(one in page for one in shown)


@pytest.mark.parametrize(
    ("first", "start", "column"),
    [
        (0, 1_500_000, "  0.001500"), (0, 0, "  0.000000"), (1_000_000, 1_000_000, "  0.000000"),
        (-1, 1_500_000, " " * 10), (0, -1, " " * 10),
    ],
)  # fmt: skip
def test_the_time_of_a_failed_call_is_blank_where_it_is_not_known(first: int, start: int, column: str) -> None:
    trace = trace_of([call("f")])
    trace = replace(trace, meta=replace(trace.meta, first_ns=first))
    failed = SystemCall("read", 0, 0, -1, start, 10, 10, -5, -5, "return value", "")
    console = Console(file=io.StringIO(), width=100)
    console.print(FailedView((Failed(failed, ""),), Why(trace, "unknown", failure=failed, error=-5)))
    assert console.file.getvalue().rstrip() == f"{column}  read() = -EIO  ← decided how it ended"


@pytest.mark.parametrize("width", [60, 70, 80, 120, 200])
def test_errors_of_the_list_stay_at_any_width_and_so_does_what_decided(width: int) -> None:
    answer = kfgraph.why(kfgraph.load(EXAMPLES / "failing" / "busy_unmount.dat"))
    console = Console(width=width, file=io.StringIO())
    console.print(FailedView(answer.failed, answer))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == len(answer.failed) == 16 and max(map(len, lines)) <= width
    for one, line in zip(answer.failed, lines, strict=True):
        assert f" = {answer.name_of(one.call.error)}" in line
        assert ("← decided" in line) == (one.call is answer.failure)
        assert width < 200 or not one.benign or f"({one.benign})" in line


def test_functions_without_a_name_are_many_functions(tmp_path: Path) -> None:
    """trace-cmd 3.4 prints those of a module that is gone as `) {`: the error came from the 9th call of one, it said,
    and the names of those in doubt were left out."""
    lines, begun = ["cpus=1\n"], list[int]()
    failed = "0xffffffed"
    for at, what in enumerate(["do_one_initcall(", "", "", "0x42", "", failed, failed, "", "0x0", failed]):
        head = f"     cat-5 [000] 100.0001{at * 10:02}: funcgraph_"
        if what.startswith("0x"):
            lines.append(f"{head}exit: {10.0 * (at - begun.pop()):.3f} us | {'  ' * len(begun)}}} (ret={what})\n")
        else:
            lines.append(f"{head}entry:  | {'  ' * len(begun)}{what}) {{\n")
            begun.append(at)
    path = tmp_path / "report.txt"
    path.write_text("".join(lines))
    answer = kfgraph.why(kfgraph.load(path))
    assert answer.birth is not None and (answer.birth.step.function, answer.birth.nth) == ("?", 1)
    assert answer.birth.earlier == ()
    console = Console(file=io.StringIO(), width=120)
    console.print(WhyView(answer))
    said = console.file.getvalue()
    assert "call of it" not in said and "its 2nd call" not in said
    assert "not certain: ? ran after ? had failed, and succeeded" in said
