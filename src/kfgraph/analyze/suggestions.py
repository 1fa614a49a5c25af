"""Commands that record what an answer lacks."""

from __future__ import annotations

from pathlib import PurePosixPath

from kfgraph.analyze.outcomes import recorded_by_the_tracer
from kfgraph.model.spelling import shell_line, shell_word
from kfgraph.model.trace import Trace


def record_all_tasks(trace: Trace) -> str:
    """The trace-cmd command that records all tasks, with the arguments and events that connect one with another; ""
    where this kernel records return values by probes only: those of kfgraph are for the command's tasks, and without
    values the other task tells nothing."""
    companion = trace.companion
    if companion is not None and companion.probes and not recorded_by_the_tracer(trace):
        return ""
    argv = list(companion.argv) if companion is not None else []
    has = {"funcgraph-retval": recorded_by_the_tracer(trace), "funcgraph-args": trace.calls.args is not None}
    options = "".join(f" -O {option}" for option, recorded in has.items() if recorded)
    # Without arguments only the wakings tell who ended a wait.
    events = "".join(f" -e {event}" for event in ("sched_switch", "sched_waking") if trace.calls.args is None)
    record = f"sudo trace-cmd record -p function_graph{options} -e workqueue -e sched_kthread_stop{events}"
    task = f" --task {shell_word(PurePosixPath(argv[0]).name[:15])}" if argv else ""
    return f"{record} {shell_line(argv) if argv else 'COMMAND'} && kfgraph why trace.dat{task}"


def record_values(trace: Trace) -> str:
    """The command that records return values where this recording, by kfgraph, has none; "" where it asked for them."""
    companion = trace.companion
    if companion is None or not companion.argv or recorded_by_the_tracer(trace):
        return record_again(trace)
    if companion.options.get("returns"):
        return ""
    return f"sudo kfgraph why --again -- {shell_line(companion.argv)}"


def record_again(trace: Trace, *, more: str = "") -> str:
    """The command that records what is missing."""
    companion = trace.companion
    command = shell_line(companion.argv) if companion is not None and companion.argv else "COMMAND"
    option = f"{more} " if more else ""
    return f"sudo kfgraph trace {option}-- {command}"


def name_functions(trace: Trace) -> str:
    """The command that names the functions of a module that is gone."""
    return f"kfgraph why {trace.meta.as_typed} --module FILE.ko"
