"""A command that is run again with return probes: on which functions, how often, and never unasked."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import kfgraph
from builder.tables import Call, call, trace_of
from kfgraph.analyze.next_probes import functions_to_probe
from kfgraph.analyze.why import Why, why
from kfgraph.cli import again
from kfgraph.model.calls import UNKNOWN_CONTEXT
from kfgraph.model.companion import Companion, ModuleImage
from kfgraph.model.trace import Trace

COMMAND = ("cat", "/nonexistent")


def error(number: int) -> int:
    return (1 << 64) - number


def opened(**values: int) -> Trace:
    """An openat that failed with ENOENT; ``values``: what of its callees is recorded."""

    def made(name: str, *children: Call) -> Call:
        return call(name, 10, *children, retval=values.get(name))

    looked_up = made("lookup_open", made("d_lookup"), made("kfree"), made("_raw_spin_lock"))
    path = made("path_openat", made("alloc_file"), made("walk_path"), looked_up)
    handler = call("__x64_sys_openat", 5, made("do_open", made("get_name"), path), retval=error(2))
    return trace_of([handler])


def test_the_failing_path_from_its_top_the_last_calls_first() -> None:
    assert functions_to_probe(why(opened())) == (
        "do_open", "path_openat", "get_name", "lookup_open", "walk_path", "alloc_file", "d_lookup",
    )  # fmt: skip


def test_what_another_context_ran_is_not_asked_where_the_contexts_are_told() -> None:
    for own, asked in ((0, ("do_open",)), (UNKNOWN_CONTEXT, ("tick_done", "do_open"))):
        inside = (call("do_open", context=own), call("tick_done", context=2))
        answer = why(trace_of([call("__x64_sys_openat", 5, *inside, retval=error(2), context=own)]))
        assert functions_to_probe(answer) == asked


def test_what_is_known_already_is_not_asked_again() -> None:
    answer = why(opened(do_open=error(2), path_openat=error(2)))
    assert functions_to_probe(answer) == ("lookup_open", "walk_path", "alloc_file", "d_lookup")
    assert functions_to_probe(answer, limit=2) == ("lookup_open", "walk_path")
    assert functions_to_probe(answer, limit=2, without=["walk_path"]) == ("lookup_open", "alloc_file")


def test_an_answer_that_needs_nothing_names_none() -> None:
    known = dict.fromkeys(("do_open", "path_openat", "lookup_open"), error(2))
    answer = why(opened(**known, d_lookup=0, alloc_file=1 << 40, walk_path=0, get_name=1 << 40))
    assert answer.birth is not None and answer.birth.exact
    assert functions_to_probe(answer) == ()
    assert functions_to_probe(why(trace_of([call("f", retval=0)]))) == ()


def test_a_filter_that_may_have_refused_the_call_is_asked() -> None:
    """On a kernel without return values: what the filter returns says whether it did."""
    answer = why(kfgraph.load(Path(__file__).parent / "everyday" / "fixtures" / "6.1" / "seccomp.dat"))
    assert answer.row < 0 and answer.has_failed
    assert functions_to_probe(answer) == ("__seccomp_filter",)
    assert functions_to_probe(answer, without=["__seccomp_filter"]) == ()


def test_what_is_known_of_the_way_is_recorded_again_whatever_joins_it_to_its_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A filter that refused the call, and NULL that became an error: the next run needs their values, too."""
    monkeypatch.setattr(again, "functions_to_probe", lambda answer, without: ["deeper"])
    folder = Path(__file__).parent / "everyday" / "fixtures"
    null = why(trace_of([call("load", 5, call("kmalloc", 5, call("deeper"), retval=0), retval=error(12))]))
    assert [(step.value, step.evidence == "return value") for step in null.chain] == [("-12", True), ("0", False)]
    for answer, known in (
        (null, ["load", "kmalloc"]),
        (why(kfgraph.load(folder / "7.2" / "seccomp.dat")), ["__seccomp_filter"]),
        # Of a system call the result is known by an event, without a probe.
        (why(kfgraph.load(folder / "6.1" / "missing_file.dat")), []),
    ):
        runs = Runs(answer, answer)
        again.until_known(answer, command=COMMAND, wanted=True, run=runs)
        assert runs.asked == [[*known, "deeper"]] * 2


def test_hot_functions_and_those_of_the_commands_modules_are_left_out() -> None:
    hot = [call("hot") for _ in range(2_001)]
    inside = call("load_module", 5, call("foo_init [foo]"), call("hot"), call("cool"), *hot, retval=error(19))
    trace = trace_of([inside])
    assert functions_to_probe(why(trace)) == ("cool", "foo_init")
    loading = Companion(modules=(ModuleImage("foo", "/foo.ko", "", "6.1", ()),))
    assert functions_to_probe(why(replace(trace, companion=loading))) == ("cool",)


@pytest.mark.parametrize(
    ("handler", "named"),
    [
        ("__x64_sys_kill", ("kill_something", "look_up", "find_pid", "kill_pid_info", "check_kill_permission")),
        ("__x64_sys_unlink", ("kill_something", "look_up", "find_pid", "kill_pid_info", "check_kill_permission")),
        ("__x64_sys_ptrace", ("look_up", "find_pid")),
    ],
)
def test_functions_that_take_away_count_where_the_system_call_does(handler: str, named: tuple[str, ...]) -> None:
    tree = call("kill_something", 5, call("kill_pid_info", 5, call("check_kill_permission")), call("find_pid"))
    assert functions_to_probe(why(trace_of([call(handler, 5, call("look_up"), tree, retval=error(3))]))) == named


class Runs:
    """Runs of a command, each with more values."""

    def __init__(self, *answers: Why) -> None:
        self.answers = list(answers)
        self.asked: list[list[str]] = []

    def __call__(self, functions: list[str]) -> Why:
        self.asked.append(functions)
        return self.answers.pop(0)


FIRST = why(opened())
DEEPER = why(opened(do_open=error(2), path_openat=error(2), get_name=1 << 40))
KNOWN = why(
    opened(
        do_open=error(2), path_openat=error(2), get_name=1 << 40, lookup_open=error(2), walk_path=0, alloc_file=1 << 40,
        d_lookup=0,
    )
)  # fmt: skip


def test_it_is_narrowed_until_it_is_known(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(again, "functions_to_probe", partial(functions_to_probe, limit=3))
    runs = Runs(DEEPER, KNOWN)
    assert again.until_known(FIRST, command=COMMAND, wanted=True, run=runs) is KNOWN
    first, second = runs.asked
    assert first == ["__x64_sys_openat", "do_open", "path_openat", "get_name"]
    # The way so far too, or the new values would hang in the air.
    assert second == ["__x64_sys_openat", "do_open", "path_openat", "lookup_open", "walk_path", "alloc_file"]
    said = capsys.readouterr().err
    assert "run 2 of at most 3, with return probes on 3 more functions" in said and "run 3 of at most 3" in said


def test_no_more_than_three_runs() -> None:
    others = [
        why(trace_of([call("do_open", 5, *(call(f"f{i}_{j}") for j in range(3)), retval=error(2))])) for i in range(5)
    ]
    runs = Runs(*others)
    assert again.until_known(FIRST, command=COMMAND, wanted=True, run=runs) is others[1]
    assert len(runs.asked) == 2


def test_a_run_that_does_not_fail_leaves_the_answer_of_the_one_before(capsys: pytest.CaptureFixture[str]) -> None:
    runs = Runs(why(trace_of([call("f", retval=0)])))
    assert again.until_known(FIRST, command=COMMAND, wanted=True, run=runs) is FIRST
    assert "did not fail again" in capsys.readouterr().err


@pytest.mark.parametrize(("stdin", "stderr", "typed", "n_runs"), [
    (True, True, "y\n", 1), (True, True, "\n", 0), (True, True, "", 0),
    (False, True, "y\n", 0), (True, False, "y\n", 0),
])  # fmt: skip
def test_nobody_is_run_again_unasked(
    stdin: bool, stderr: bool, typed: str, n_runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stream:
        def __init__(self, tty: bool) -> None:
            self.tty, self.text = tty, ""

        def isatty(self) -> bool:
            return self.tty

        def readline(self) -> str:
            return typed

        def write(self, text: str) -> None:
            self.text += text

        def flush(self) -> None:
            pass

    asked = Stream(stderr)
    monkeypatch.setattr(again.sys, "stdin", Stream(stdin))
    monkeypatch.setattr(again.sys, "stderr", asked)
    monkeypatch.setattr(again, "say", lambda sentence: None)
    runs = Runs(KNOWN)
    again.until_known(FIRST, command=COMMAND, wanted=False, run=runs)
    assert len(runs.asked) == n_runs
    assert ("Run cat /nonexistent again, with return probes on 7 functions" in asked.text) == (stdin and stderr)
