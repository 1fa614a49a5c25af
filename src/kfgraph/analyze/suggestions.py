"""Commands that record what an answer lacks."""

from __future__ import annotations

from pathlib import PurePosixPath

from kfgraph.model.spelling import shell_line, shell_word
from kfgraph.model.trace import Trace


def record_all_tasks(trace: Trace) -> str:
    """The trace-cmd command that records all tasks, with the arguments and events that connect one with another."""
    companion = trace.companion
    argv = list(companion.argv) if companion is not None else []
    options = "".join(
        f" -O {option}"
        for option, has in (("funcgraph-retval", trace.calls.retval), ("funcgraph-args", trace.calls.args))
        if has is not None and not (companion is not None and companion.probes)
    )
    # Without arguments only the wakings tell who ended a wait.
    events = "".join(f" -e {event}" for event in ("sched_switch", "sched_waking") if trace.calls.args is None)
    record = f"sudo trace-cmd record -p function_graph{options} -e workqueue -e sched_kthread_stop{events}"
    task = f" --task {shell_word(PurePosixPath(argv[0]).name[:15])}" if argv else ""
    return f"{record} {shell_line(argv) if argv else 'COMMAND'} && kfgraph why trace.dat{task}"


def record_values(trace: Trace) -> str:
    """The command that records return values where this recording, by kfgraph, has none; "" where it asked for them."""
    companion = trace.companion
    by_the_kernel = trace.calls.retval is not None and not (companion and companion.probes)
    if companion is None or not companion.argv or by_the_kernel:
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
