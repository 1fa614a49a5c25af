"""`kfgraph trace` on a real kernel: native.sh makes the recordings in one boot, the tests judge them."""

from __future__ import annotations

import os
from collections import Counter
from operator import itemgetter
from pathlib import Path

import numpy as np
import pytest

from guest.recordings import companion, load, make_recordings, names, of_command, status
from kfgraph.analyze.wakers import Wakers
from kfgraph.analyze.why import why
from kfgraph.kernel.errnos import errno_name
from kfgraph.kernel.images import KernelImage
from kfgraph.kernel.loader import LOADER_FUNCTIONS
from kfgraph.model.calls import Flag
from kfgraph.model.spelling import plain_name
from kfgraph.model.trace import Trace
from why.record import MODULES, blame, build, parameters

# `scripts/test-kernels.sh` makes it a hundred.
N_SHORT = int(os.environ.get("KFGRAPH_SHORT_RUNS", "5"))
# Of tests/why/modules; each fails in a way of its own, the last one by a driver's probe, so that insmod ends with 0.
FAILING = ("cleanup_same", "err_ptr", "retry", "translate", "chrdev_busy", "sysfs_dup", "param_set", "probe_fails")
CASES = ("ok", "fail", "plain", "fail2", "plain2", "clocked", "attach", "pipe", "root", "only", "user")
TICK_NS = 300_000
"""So long each tick of clocked.c takes at least, by its own clock."""
CASES += ("shorts", *FAILING)
LIMIT_S = 3000 + 30 * N_SHORT

# One boot for all of them; the first test pays for it.
pytestmark = pytest.mark.timeout(LIMIT_S + 100)


@pytest.fixture(scope="module")
def share(guest_image: KernelImage, foo_ko: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = [*(MODULES / f"{name}.c" for name in FAILING), Path(__file__).with_name("clocked.c")]
    built = build(tmp_path_factory.mktemp("built"), guest_image, sources)
    return make_recordings(
        "native.sh",
        tmp_path_factory.mktemp("native"),
        image=guest_image,
        timeout_s=LIMIT_S,
        files={"foo.ko": foo_ko} | {module.name: module for module in built},
        variables={"RUNS": N_SHORT, "FAILING": "\n".join(f"{name} {parameters(name)[0]}" for name in FAILING)},
    )


def first_process(share: Path, name: str) -> tuple[Trace, list[str], np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """The trace; what the process that kfgraph started ran, less interrupts, in order; what of it is PRE_EXEC."""
    trace = load(share, name)
    (pid,) = companion(share, name).pids
    (lane,) = trace.tasks.lanes_of(pid=pid)
    rows = np.flatnonzero((trace.calls.lane == lane) & (trace.calls.context == 0))
    return trace, [trace.symbols.names[f] for f in trace.calls.func[rows]], trace.calls.has(Flag.PRE_EXEC)[rows]


def returned(trace: Trace, event: str) -> list[int]:
    """The values that a return probe recorded, in time order."""
    return [int(trace.marks.text[i].rpartition("ret=")[2].split()[0], 0) for i in trace.marks.named(event)]


@pytest.mark.parametrize("name", CASES)
def test_the_tracer_is_left_as_it_was_found(share: Path, name: str) -> None:
    assert (share / f"{name}.left").read_text() == ""


@pytest.mark.parametrize(("name", "expected"), [("ok", 0), ("fail", 1), ("plain", 1), ("pipe", 0)])
def test_status_is_passed_on(share: Path, name: str, expected: int) -> None:
    assert status(share, name) == expected, (share / f"{name}.err").read_text()


@pytest.mark.parametrize("name", ["ok", "fail", "plain", "fail2", "plain2"])
def test_an_insmod_is_recorded_whole(share: Path, name: str) -> None:
    trace = load(share, name)
    assert (trace.n_lost_marks, trace.n_lost_counted, max(0, trace.meta.n_overrun)) == (0, 0, 0)
    assert names(trace)["load_module"] == 1
    assert name == "ok" or names(trace)["do_exit"] == 1


def test_what_ran_before_the_exec_is_a_handful(share: Path) -> None:
    trace, labels, hidden = first_process(share, "plain")
    assert trace.command_lanes is not None
    # The tail of the stop in which the command was held. Nothing in the exec: a spawned process has no memory of its
    # own to give back, and that of insmod it gives back when it exits.
    n_before = int(hidden.sum())
    # With a task switch in that tail it was 70 on 7.2; giving back a Python process's memory would be thousands.
    assert 0 < n_before < 200, labels[:n_before]
    assert hidden[:n_before].all()
    assert labels.count("exit_mmap") == 1


def test_return_values_of_a_module_that_is_gone(share: Path) -> None:
    trace = load(share, "fail")
    assert returned(trace, "foo_read_id") == [0x42, 0x43, 0xFFFFFFED]
    assert returned(trace, "foo_init") == [0xFFFFFFED]
    probed = companion(share, "fail").probes
    assert {p.function.partition(".")[0] for p in probed} >= {
        "foo_init",
        "foo_probe_slot",
        "foo_read_id",
        "load_module",
    }
    assert sum(p.n_missed for p in probed) == 0
    (module,) = companion(share, "fail").modules
    assert (module.name, Path(module.path).name) == ("foo", "foo.ko")
    assert {"foo_init", "foo_read_id"} <= {f.name for f in module.functions}


def test_the_kernels_types_are_in_a_trace_with_arguments(share: Path) -> None:
    trace = load(share, "plain")
    if trace.calls.args is None:
        pytest.skip("extra: this kernel records no arguments")
    assert trace.symbols.returns(trace.symbols.names.index("load_module")) == "int"


@pytest.mark.parametrize("root", ["load_module", "do_one_initcall"])
def test_probes_add_next_to_nothing(share: Path, root: str) -> None:
    traces = {name: load(share, name) for name in ("fail", "fail2", "plain", "plain2")}
    switching = set[str]().union(*map(of_task_switches, traces.values()))
    probed = [steady(traces[name], root, switching) for name in ("fail", "fail2")]
    plain = [steady(traces[name], root, switching) for name in ("plain", "plain2")]
    n_hits, n_armed = hits(share, "fail"), armed(share, "fail")
    assert (hits(share, "fail2"), armed(share, "fail2")) == (n_hits, n_armed)
    assert n_hits > 10
    assert min(run.total() for run in (*probed, *plain)) > 20
    # What every run with probes has more of than any without, and the other way round: most of it is 5 calls for
    # each probe armed, from security_locked_down down, which is traced on purpose (docs/kernels.md).
    more = (probed[0] & probed[1]) - (plain[0] | plain[1])
    less = (plain[0] & plain[1]) - (probed[0] | probed[1])
    for name in LAZY:
        more.pop(name, None)
        less.pop(name, None)
    assert more["security_locked_down"] == (n_armed if root == "load_module" else 0)
    assert more.total() <= 2 * n_hits, more.most_common(20)
    assert less.total() <= 2 * n_hits, less.most_common(20)


LAZY = (
    "__slab_free",
    "kmem_cache_free",
    "is_vmalloc_addr",
    "free_vmap_area_rb_augment_cb_rotate",
    "__cond_resched_lock",
)
"""What the kernel runs when it gives back vmap areas that were freed long before, in whatever call that falls
(__purge_vmap_area_lazy, mm/vmalloc.c)."""


def hits(share: Path, name: str) -> int:
    """How often a probe on the module or its loader recorded a value.

    What else the module calls, the whole load calls too (kmalloc_trace), more or less often.
    """
    trace = load(share, name)
    probes = [p for p in companion(share, name).probes if p.module or p.function in LOADER_FUNCTIONS]
    return sum(len(trace.marks.named(p.event)) for p in probes)


def armed(share: Path, name: str) -> int:
    """Probes on functions of the module, which are armed while it loads."""
    return sum(bool(p.module) for p in companion(share, name).probes)


# What another run need not do again: wait, be preempted, write "taints kernel" to a slow console (the
# first load does), fetch or give back pages and objects for the allocators' own stores, many at once.
PASSING = ("schedule", "preempt_schedule_common", "__cond_resched", "irq_enter_rcu", "_printk", "vprintk_emit")
PASSING += ("console_unlock", "new_slab", "allocate_slab", "rmqueue_bulk", "free_pcppages_bulk", "get_partial_node")
PASSING += ("__unfreeze_partials", "deactivate_slab", "drain_obj_stock", "refill_obj_stock", "refill_stock")


def of_task_switches(trace: Trace) -> set[str]:
    """What is called below ``schedule``: on 7.2 that also stands right under a function that is preempted."""
    calls, labels = trace.calls, trace.symbols.names
    found = set()
    for row in np.flatnonzero(of_command(trace) & (calls.context == 0)):
        if labels[calls.func[row]] == "schedule":
            below = slice(row + 1, calls.end[row])
            found |= {labels[f] for f in calls.func[below][calls.context[below] == 0]}
    return found


def steady(trace: Trace, name: str, switching: set[str]) -> Counter[str]:
    """Calls under ``name``, less interrupts, PASSING and ``switching``; foo's own, which only probes can name, under
    one name.
    """
    calls, labels = trace.calls, trace.symbols.names
    root = next(i for i in np.flatnonzero(of_command(trace)) if labels[calls.func[i]] == name)
    found: Counter[str] = Counter()
    row, end = int(root), int(calls.end[root])
    while row < end:
        label = labels[calls.func[row]]
        if calls.context[row] or label in PASSING:
            row = int(calls.end[row])
            continue
        if label not in switching:
            found["foo's own" if label.startswith(("0x", "foo_")) else label] += 1
        row += 1
    return found


def told(share: Path, what: str) -> list[int]:
    """The numbers that clocked.c wrote for that."""
    (line,) = (line for line in (share / "clocked.told").read_text().splitlines() if line.split()[0] == what)
    return [int(word) for word in line.split()[1:]]


def clocked(share: Path, function: str) -> tuple[Trace, int]:
    """The trace, and the row of the only call of that function."""
    trace = load(share, "clocked")
    assert (trace.meta.clock, trace.n_lost_marks, max(0, trace.meta.n_overrun)) == ("local", 0, 0)
    codes = [code for code, name in enumerate(trace.symbols.names) if plain_name(name) == function]
    (row,) = np.flatnonzero(of_command(trace) & np.isin(trace.calls.func, codes))
    return trace, int(row)


def part(trace: Trace, column: str, rows: slice) -> int:
    """The sum over these rows of a sparse column."""
    sparse = getattr(trace.calls, column)
    inside = (sparse.rows >= rows.start) & (sparse.rows < rows.stop)
    return int(sparse.values[inside].sum())


def test_a_duration_is_between_the_times_read_inside_and_around(share: Path) -> None:
    inner_ns, outer_ns = told(share, "spin")
    trace, row = clocked(share, "clocked_spin")
    assert 20_000_000 <= inner_ns <= trace.calls.duration_ns[row] <= outer_ns


def test_time_asleep_is_the_modules(share: Path) -> None:
    until_woken_ns, off_ns = told(share, "sleep")
    assert until_woken_ns > 250_000_000
    trace, row = clocked(share, "clocked_sleep")
    below = slice(row, int(trace.calls.end[row]))
    asleep_ns, preempted_ns = part(trace, "asleep_ns", below), part(trace, "preempted_ns", below)
    # The way into the switch is no sleep: 0.5 ms in an emulated machine.
    assert 0.98 * until_woken_ns < asleep_ns + preempted_ns < off_ns
    assert asleep_ns > 50 * preempted_ns
    labels = [trace.symbols.names[f] for f in trace.calls.func[below]]
    assert plain_name(labels[0]) == "clocked_sleep"
    assert trace.calls.self_ns[row] < 0.02 * off_ns
    assert 0 < trace.calls.self_ns[below][labels.index("schedule")] < 0.02 * off_ns


def test_who_ended_the_sleep_is_told(share: Path) -> None:
    trace, row = clocked(share, "clocked_sleep")
    wakers = Wakers.of(trace)
    assert wakers is not None
    sleeps = [sleep for inner in range(row, int(trace.calls.end[row])) for sleep in wakers.sleeps(inner)]
    _, asleep_ns, waker = max(sleeps, key=itemgetter(1))
    assert asleep_ns > 250_000_000
    # The timer's interrupt hit another task (the idle one, trace-cmd), whose functions are not recorded.
    assert waker.is_interrupt
    assert waker.lane not in (trace.command_lanes or ())
    assert waker.function == ""


def test_interrupts_are_the_time_that_the_module_was_away(share: Path) -> None:
    inner_ns, outer_ns, n_ticks, in_ticks_ns, away_ns = told(share, "interrupted")
    trace, row = clocked(share, "clocked_interrupted")
    assert inner_ns <= trace.calls.duration_ns[row] <= outer_ns
    below = slice(row, int(trace.calls.end[row]))
    assert list(trace.calls.func[below]).count(trace.symbols.names.index("clocked_tick")) == n_ticks == 40
    irq_ns = part(trace, "irq_ns", slice(row, row + 1))
    assert in_ticks_ns < irq_ns < away_ns
    assert inner_ns - away_ns <= trace.calls.self_ns[row] <= outer_ns - in_ticks_ns


def test_interrupts_of_the_tracer_are_in_no_self_time(share: Path) -> None:
    inner_ns, outer_ns, n_ticks, in_ticks_ns, n_calls = told(share, "calls")
    trace, row = clocked(share, "clocked_calls")
    assert inner_ns <= trace.calls.duration_ns[row] <= outer_ns
    calls, below = trace.calls, slice(row, int(trace.calls.end[row]))
    called = np.flatnonzero(calls.func == trace.symbols.names.index("clocked_called"))
    assert (len(called), n_ticks) == (n_calls, 40)
    assert set(calls.parent[called].tolist()) == {row}
    own = [row, *called]
    assert not calls.has(Flag.IN_TRACER)[below].any()
    # The kernel records nothing of a tick that hits the tracer between two of its steps: what is recorded counts.
    ticks = np.flatnonzero(calls.func[below] == trace.symbols.names.index("clocked_tick")) + row
    assert 0 < len(ticks) <= n_ticks and calls.duration_ns[ticks].min() >= TICK_NS
    assert len(ticks) < n_ticks or calls.duration_ns[ticks].sum() >= in_ticks_ns
    irq_ns = sum(part(trace, "irq_ns", slice(i, i + 1)) for i in own)
    assert len(ticks) * TICK_NS <= calls.duration_ns[ticks].sum() < irq_ns
    assert calls.self_ns[own].min() >= 0
    assert calls.self_ns[own].sum() <= outer_ns - calls.duration_ns[ticks].sum()


def test_children_are_followed(share: Path) -> None:
    trace = load(share, "pipe")
    assert int((share / "pipe.out").read_text()) > 10
    comms = {trace.tasks[lane].comm for lane in trace.command_lanes or ()}
    assert {"cat", "wc"} <= comms
    assert len(trace.command_lanes or ()) >= 3


def test_only_below_the_root(share: Path) -> None:
    trace = load(share, "root")
    calls = trace.calls
    task = of_command(trace) & (calls.context == 0)
    tops = {trace.symbols.names[f] for f in calls.func[task & (calls.level == 0)]}
    assert tops == {"vfs_open"}
    assert calls.level[task].max() <= 2
    assert len(trace.marks.named("sys_enter_openat")) > 0


def test_what_somebody_had_set_up_is_still_there(share: Path) -> None:
    settings = (share / "root.settings").read_text()
    assert "events/sched/sched_switch/filter:prev_pid > 5\n" in settings
    assert "set_ftrace_filter: " in settings and "vfs_fsync:traceoff:count=4 " in settings
    assert "kprobe_events: p:his/open do_sys_openat2 \n" in settings
    assert "tracing_thresh: 1000000 \n" in settings and "set_ftrace_notrace: vfs_open \n" in settings
    # That it restricted nothing, test_only_below_the_root says.
    aside, trigger = sorted((share / "root.err").read_text().splitlines())
    assert aside.endswith(": events/sched/sched_switch/filter, set_ftrace_notrace, tracing_thresh")
    assert "vfs_fsync:traceoff:count=4" in trigger


def test_only_a_coming_module(share: Path) -> None:
    trace = load(share, "only")
    seen = {n.partition(".")[0] for n in names(trace)}
    assert "foo_init" in seen
    assert all(n.startswith("foo_") for n in seen), seen


def test_user_environment_directory(share: Path) -> None:
    assert (share / "user.out").read_text().split() == ["65534", "red", "/"]


@pytest.mark.parametrize("number", range(1, N_SHORT + 1))
def test_a_child_of_a_millisecond_is_recorded_from_its_exec_to_its_exit(share: Path, number: int) -> None:
    name = f"short{number}"
    assert status(share, name) == 0, (share / f"{name}.err").read_text()
    trace, labels, before = first_process(share, name)
    assert (trace.n_lost_marks, trace.n_lost_counted, max(0, trace.meta.n_overrun)) == (0, 0, 0)
    # Whole: from the exec, before which the launcher's calls are hidden, to the exit.
    n_before = int(before.sum())
    assert before[:n_before].all()
    shown = labels[n_before:]
    assert shown[0] == "begin_new_exec"
    assert (labels.count("begin_new_exec"), shown.count("do_exit")) == (1, 1)
    ends = f"from {shown[0]} to {shown[-1]}"
    print(f"{name}: shown {ends}: {len(shown)} calls; {n_before} before the exec hidden; 0 lost")


def test_attached_until_interrupt(share: Path) -> None:
    assert status(share, "attach") == 0, (share / "attach.err").read_text()
    assert companion(share, "attach").pids == (int((share / "attach.pid").read_text()),)
    assert names(load(share, "attach")).total() > 2


@pytest.mark.parametrize("name", FAILING)
def test_a_failing_module_is_explained(share: Path, name: str) -> None:
    scored = blame.score(share / f"{name}.dat", modules=MODULES)
    said = (share / f"{name}.err").read_text()
    # Named exactly, or "or below": never another.
    assert scored.verdict in ("exact", "bound"), (scored, said)
    assert status(share, name) == int(name != "probe_fails")
    answer = why(load(share, name))
    if answer.birth is not None:
        (line,) = [line for line in said.splitlines() if line.startswith("kfgraph: finit_module")]
        assert line.startswith(f'kfgraph: finit_module("{name}.ko") = -{errno_name(-answer.error)}, ')
        assert f" {answer.birth.step.function}" in line
