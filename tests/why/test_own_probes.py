"""``why`` of a trace by trace-cmd with return probes that somebody set: the values of a few functions, and no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import kfgraph
from builder.tables import call, trace_of
from kfgraph.analyze.why import Why, why
from kfgraph.model.trace import Trace

OWN_PROBES = Path(__file__).resolve().parents[2] / "examples" / "insmod-fail19.dat"
NAMES = {
    0xC074E000: "widget_init", 0xC0A9D0C6: "widget_alloc", 0xC0A9D063: "widget_probe",
    0xC0A9D04D: "widget_probe_slot", 0xC0A9D01F: "widget_read_id", 0xC0A9D000: "widget_teardown",
}  # fmt: skip


def told(answer: Why) -> tuple[str, str, int, bool] | None:
    """(what failed, the birthplace, its error, whether that is certain)."""
    born = answer.birth
    return None if born is None else (answer.function, born.step.function, born.step.error, born.sure and born.exact)


def test_a_recorded_load_is_explained_by_the_probes_and_what_names_the_functions_is_said() -> None:
    trace = kfgraph.load(OWN_PROBES)
    answer = why(trace)
    assert told(answer) == ("0xffffffffc074e000", "0xffffffffc0a9d01f", -19, False)
    assert answer.next == f"kfgraph why {OWN_PROBES} --module FILE.ko"
    names = {0xFFFFFFFF_00000000 | at: (name, "widget") for at, name in NAMES.items()}
    answer = why(replace(trace, symbols=trace.symbols.with_names(names)))
    assert told(answer) == ("widget_init [widget]", "widget_read_id", -19, True) and not answer.next
    chain = [step.function for step in answer.chain]
    assert chain == ["widget_init", "widget_probe", "widget_probe_slot", "widget_read_id"]
    assert answer.birth is not None and answer.birth.earlier == ("66", "67")


def error(name: str, number: int, *children, **odd):
    return call(name, 100, *children, retval=number & 0xFFFFFFFF, **odd)


def ran(*roots) -> Trace:
    """A trace in which few calls have a value."""
    return trace_of([call("do_syscall_64", 100, *[call(f"idle_{i}") for i in range(20)], *roots)])


def test_of_probed_calls_the_outermost_that_failed_last_is_explained() -> None:
    setup = error("foo_setup [foo]", -22, call("between", 100, error("foo_read [foo]", -22)))
    answer = why(ran(error("foo_old [foo]", -5), call("path", 100, setup)))
    assert told(answer) == ("foo_setup [foo]", "foo_read", -22, False)
    assert answer.doubts[0] == "what the callers of foo_setup returned was not recorded: they may have gone on"
    assert answer.exit_code == 0


def test_what_the_loader_passes_on_is_certain() -> None:
    answer = why(ran(call("do_one_initcall", 100, error("foo_init [foo]", -22, error("foo_read [foo]", -22)))))
    assert told(answer) == ("foo_init [foo]", "foo_read", -22, True) and not answer.doubts


def test_what_was_recovered_from_is_not_explained() -> None:
    good = call("foo_setup [foo]", 100, error("foo_read [foo]", -22), retval=0)
    again = [error("foo_try [foo]", -11), call("foo_try [foo]", 100, retval=0)]
    teardown = error("foo_remove [foo]", -16)
    for roots in ((good,), again, (teardown,), (error("foo_count [foo]", -1),)):
        answer = why(ran(*roots))
        assert (answer.outcome, answer.exit_code, answer.birth) == ("unrecorded", 6, None)
        assert answer.reason == "no probed function returned an error, and no result of a system call was recorded"
    other = why(ran(error("foo_scan [foo]", -2), *again))
    assert told(other) == ("foo_scan [foo]", "foo_scan", -2, False)


def test_values_that_the_tracer_recorded_are_no_probes() -> None:
    """There the outermost calls tell whether anything failed."""
    tree = call("foo_path", 100, error("foo_try [foo]", -22), *[call(f"idle_{i}", retval=0) for i in range(3)])
    assert why(trace_of([tree])).outcome == "nothing"
