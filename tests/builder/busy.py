"""A small trace with one of everything that a screen can show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from builder.tables import Call, call, trace_of
from kfgraph.model.calls import Flag
from kfgraph.model.marks import Losses, Marks
from kfgraph.model.tasks import Task
from kfgraph.model.trace import Trace


def _loop(n: int) -> list[Call]:
    return [call("kernfs_remove_by_name_ns", 9_000 + 100 * i, call("kernfs_drain", 3_000)) for i in range(n)]


def busy() -> Trace:
    """An insmod: a loop, an interrupt, a module's function, a lossy and an unfinished call; and an idle task."""
    tick = call("__sysvec_apic_timer_interrupt", 21_000, call("hrtimer_interrupt", 130_000), context=2)
    probe = call("widget_probe_slot [widget]", 5_000, call("widget_read_id [widget]", 2_345_678, tick))
    init = call("widget_init [widget]", 12_000, probe, call("kmalloc", 800), call("mutex_lock", 400))
    names = "a_function_whose_name_is_much_too_long_for_a_narrow_terminal_to_show_it_whole.constprop.0"
    load = call(
        "load_module",
        1_500_000,
        call("module_sig_check", 302_000_000, call(names, 1_100_000_000)),
        call("do_init_module", 20_000, call("do_one_initcall", 6_000, init)),
        call("free_module", 40_000, *_loop(12), flags=Flag.CUT_BY_LOSS),
        call("kfree", 70),
    )
    again = call("load_module", 3_000, call("kfree", 90))
    leave = call("do_exit", 10_000, call("mmput", 5_000, call("exit_mmap", 77_000)), unfinished=True)
    tasks = [Task(302, "insmod"), Task(0, "<idle>", 1)]
    trace = trace_of([load, again, leave], [call("schedule_idle", 2_500)], start_ns=1_000_000_000, tasks=tasks)
    row = {trace.symbols.label(int(code)): i for i, code in reversed(list(enumerate(trace.calls.func)))}
    inside, after = row["free_module"], row["free_module"] + 1
    losses = Losses(
        time_ns=np.full(3, 2_000_000_000),
        cpu=np.zeros(3, np.int16),
        n_lost=np.array([1159, -1, 12]),
        lane=np.zeros(3, np.int32),
        row=np.array([after, after, row["hrtimer_interrupt"]], np.int32),
        parent=np.array([inside, inside, row["hrtimer_interrupt"] - 1], np.int32),
    )
    marks = Marks(
        time_ns=np.array([1_000_000_100, 2_000_000_500, 2_000_000_600]),
        lane=np.zeros(3, np.int32),
        cpu=np.zeros(3, np.int16),
        name=np.array([0, 1, 1], np.int32),
        row=np.array([0, row["kfree"], row["kfree"]], np.int32),
        parent=np.array([-1, 0, 0], np.int32),
        names=("sys_enter_finit_module", "module_free"),
        text=("fd: 0x3, uargs: 0x55", "widget", "\x1b[31mred"),
    )
    return replace(trace, losses=losses, marks=marks)
