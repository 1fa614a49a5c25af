"""The filters are declared once: what each view has of them, and what it does with those that it has not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import kfgraph
from builder.tables import call, trace_of
from kfgraph.analyze import filters
from kfgraph.analyze.errorlist import errors
from kfgraph.analyze.select import select
from kfgraph.analyze.syscalls import chosen_calls
from kfgraph.analyze.why import why
from kfgraph.errors import NoMatchError
from kfgraph.model.tasks import Task
from kfgraph.model.trace import Trace

ENOENT, EINVAL = ((1 << 64) - number for number in (2, 22))
VIEWS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "select": (select, tuple(filters.declared())),
    "top": (kfgraph.top, tuple(filters.declared())),
    "call_tree": (kfgraph.call_tree, tuple(filters.declared())),
    "to_pandas": (kfgraph.to_pandas, tuple(filters.declared())),
    "errors": (errors, filters.OF_ERRORS),
    "syscalls": (chosen_calls, filters.OF_SYSTEM_CALLS),
    "why": (why, filters.OF_WHY),
}


@pytest.fixture
def trace() -> Trace:
    """Two tasks; each fails once, the second on CPU 1, behind the first, which took 1.5 ms.."""
    made = trace_of(
        [call("__x64_sys_openat", 1_000_000, call("do_open", 500_000, retval=ENOENT), retval=ENOENT)],
        [
            call("schedule", 2_000_000),
            call("__x64_sys_ioctl", 1_000_000, call("do_ioctl", 500_000, retval=EINVAL), retval=EINVAL),
        ],
        tasks=[Task(7, "insmod"), Task(8, "udevd")],
    )
    cpu = np.where(made.calls.lane == 0, 0, 1).astype(np.int16)
    return replace(made, calls=made.calls.with_columns(cpu=cpu, exit_cpu=cpu))


def test_the_filters_and_what_filters_nothing() -> None:
    assert {name: one.default for name, one in filters.declared().items()} == {
        "root": (), "task": (), "pid": (), "cpu": (), "from_s": None, "to_s": None, "irq": False, "no_irq": False,
        "failing": False, "returning": (), "arg": (), "all_tasks": False, "pre_exec": False,
    }  # fmt: skip
    kinds = {name: (one.kind, one.many) for name, one in filters.declared().items()}
    assert kinds["pid"] == (int, True) and kinds["root"] == (str, True) and kinds["from_s"] == (float, False)
    assert filters.completed({"pid": [3]}, filters.OF_SYSTEM_CALLS) == {"task": (), "pid": [3], "all_tasks": False}


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_refuses_a_filter_that_it_has_not(view: str, trace: Trace) -> None:
    function, names = VIEWS[view]
    for name in {*filters.declared(), "rot"} - set(names):
        with pytest.raises(TypeError, match=f"no filter '{name}' here: there are {names[0]}, "):
            function(trace, **{name: ()})
    function(trace, **{name: filters.declared()[name].default for name in names})


def test_errors_has_every_filter(trace: Trace) -> None:
    def began(**given: Any) -> list[str]:
        return [row.function for row in errors(trace, **given)]

    assert began() == ["do_open", "do_ioctl"]
    assert began(cpu=1) == began(pid=[8]) == began(task="udev*") == began(from_s=0.0016) == ["do_ioctl"]
    assert began(to_s=0.0014) == began(root="__x64_sys_openat") == began(task=["insmod"]) == ["do_open"]


def test_why_looks_at_the_tasks_that_are_asked_for(trace: Trace) -> None:
    def birth(**given: Any) -> str:
        found = why(trace, **given).birth
        assert found is not None
        return found.step.function

    assert birth(task="insmod") == birth(pid=7) == birth(root="__x64_sys_openat") == "do_open"
    assert birth(task="udevd") == birth(pid=8) == birth(error=22) == birth(error=22, pid=8) == "do_ioctl"
    with pytest.raises(NoMatchError, match="no call returned EINVAL"):
        why(trace, error=22, task="insmod")
    with pytest.raises(NoMatchError, match="no task 'rmmod'"):
        why(trace, task="rmmod")
