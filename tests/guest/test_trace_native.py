"""`kfgraph trace` on a real kernel: native.sh makes the recordings in one boot, the tests judge them."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import kfgraph
from guest.harness import run_script
from kfgraph.kernel.images import KernelImage
from kfgraph.model.calls import Flag
from kfgraph.model.companion import Companion
from kfgraph.model.trace import Trace

# `scripts/test-kernels.sh` makes it a hundred.
N_SHORT = int(os.environ.get("KFGRAPH_SHORT_RUNS", "5"))
CASES = ("ok", "fail", "plain", "fail2", "plain2", "pipe", "root", "only", "user", "signal", "missing", "refused")
CASES += ("attach", "interrupt", "killed", "reader", "next", "false", "large", "room", "both", "shorts")
LIMIT_S = 3000 + 30 * N_SHORT

# One boot for all of them; the first test pays for it.
pytestmark = pytest.mark.timeout(LIMIT_S + 100)


@pytest.fixture(scope="module")
def share(guest_image: KernelImage, foo_ko: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    script = f"RUNS={N_SHORT}\n" + Path(__file__).with_name("native.sh").read_text()
    run = run_script(
        script, tmp_path_factory.mktemp("native"), files={"foo.ko": foo_ko}, image=guest_image, timeout_s=LIMIT_S
    )
    assert (run.result.end, run.result.status) == ("done", 0), str(run)
    assert run.result.trouble == (), str(run)
    return run.share


def status(share: Path, name: str) -> int:
    return int((share / f"{name}.status").read_text())


def companion(share: Path, name: str) -> Companion:
    return Companion.from_dict(json.loads((share / f"{name}.dat.kfgraph.json").read_text()))


def load(share: Path, name: str) -> Trace:
    trace = kfgraph.load(str(share / f"{name}.dat"))
    trace.check()
    return trace


def of_command(trace: Trace) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which calls are the command's, from its exec on."""
    assert trace.command_lanes is not None
    return np.isin(trace.calls.lane, list(trace.command_lanes)) & ~trace.calls.has(Flag.PRE_EXEC)


def first_process(share: Path, name: str) -> tuple[Trace, list[str], np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """The trace; what the process that kfgraph started ran, less interrupts, in order; what of it is PRE_EXEC."""
    trace = load(share, name)
    (pid,) = companion(share, name).pids
    (lane,) = trace.tasks.lanes_of(pid=pid)
    rows = np.flatnonzero((trace.calls.lane == lane) & (trace.calls.context == 0))
    return trace, [trace.symbols.names[f] for f in trace.calls.func[rows]], trace.calls.has(Flag.PRE_EXEC)[rows]


def names(trace: Trace) -> Counter[str]:
    return Counter(trace.symbols.names[f] for f in trace.calls.func[of_command(trace)])


def returned(trace: Trace, event: str) -> list[int]:
    """The values that a return probe recorded, in time order."""
    return [int(trace.marks.text[i].rpartition("ret=")[2].split()[0], 0) for i in trace.marks.named(event)]


@pytest.mark.parametrize("name", CASES)
def test_the_tracer_is_left_as_it_was_found(share: Path, name: str) -> None:
    assert (share / f"{name}.left").read_text() == ""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("ok", 0), ("fail", 1), ("plain", 1), ("pipe", 0), ("signal", 139), ("false", 1), ("large", 200)),
        *(("missing", 127), ("refused", 126)),
    ],
)
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
    # The tail of the stop in which the command was held.
    n_before = int(np.flatnonzero(~hidden)[0])
    assert 0 < n_before < 60, labels[:n_before]
    # And in the exec the end of the memory of the process that was forked for it: thousands of pages.
    ends = [i for i, name in enumerate(labels) if name == "exit_mmap" and hidden[i]]
    assert len(ends) == 1
    assert n_before < ends[0]
    assert int(hidden.sum()) - n_before > 1_000


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


@pytest.mark.parametrize("root", ["load_module", "do_one_initcall"])
def test_probes_add_next_to_nothing(share: Path, root: str) -> None:
    probed = [steady(load(share, name), root) for name in ("fail", "fail2")]
    plain = [steady(load(share, name), root) for name in ("plain", "plain2")]
    n_hits, n_armed = hits(share, "fail"), armed(share, "fail")
    assert (hits(share, "fail2"), armed(share, "fail2")) == (n_hits, n_armed)
    assert n_hits > 10
    assert min(run.total() for run in (*probed, *plain)) > 20
    # What every run with probes has more of than any without, and the other way round: most of it is 5 calls for
    # each probe armed, from security_locked_down down, which is traced on purpose (docs/kernels.md).
    more = (probed[0] & probed[1]) - (plain[0] | plain[1])
    less = (plain[0] & plain[1]) - (probed[0] | probed[1])
    assert more["security_locked_down"] == (n_armed if root == "load_module" else 0)
    assert more.total() <= 2 * n_hits, more.most_common(20)
    assert less.total() <= 2 * n_hits, less.most_common(20)


def hits(share: Path, name: str) -> int:
    """How often a probe recorded a value."""
    trace = load(share, name)
    return sum(len(trace.marks.named(p.event)) for p in companion(share, name).probes)


def armed(share: Path, name: str) -> int:
    """Probes on functions of the module, which are armed while it loads."""
    return sum(bool(p.module) for p in companion(share, name).probes)


# What another run need not do again: wait, be preempted, write "taints kernel" to a slow console (the
# first load does), fetch new pages for the allocator.
PASSING = ("schedule", "preempt_schedule_common", "__cond_resched", "irq_enter_rcu", "_printk", "vprintk_emit")
PASSING += ("console_unlock", "new_slab", "allocate_slab")


def steady(trace: Trace, name: str) -> Counter[str]:
    """Calls under ``name``, less interrupts and PASSING; foo's own, which only probes can name, under one name."""
    calls, labels = trace.calls, trace.symbols.names
    root = next(i for i in np.flatnonzero(of_command(trace)) if labels[calls.func[i]] == name)
    found: Counter[str] = Counter()
    row, end = int(root), int(calls.end[root])
    while row < end:
        label = labels[calls.func[row]]
        if calls.context[row] or label in PASSING:
            row = int(calls.end[row])
            continue
        found["foo's own" if label.startswith(("0x", "foo_")) else label] += 1
        row += 1
    return found


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


def test_interrupt_goes_to_the_command(share: Path) -> None:
    assert status(share, "interrupt") == 9, (share / "interrupt.err").read_text()
    assert (share / "interrupt.out").read_text() == "asked\n"
    assert names(load(share, "interrupt")).total() > 2


def test_killed_recorder_leaves_what_it_had(share: Path) -> None:
    assert status(share, "killed") == 5
    assert "the recording is partial: trace-cmd was killed by SIGKILL" in (share / "killed.err").read_text()
    assert companion(share, "killed").partial == "trace-cmd was killed by SIGKILL"
    assert names(load(share, "killed")).total() > 2


def test_a_killed_reader_of_a_cpu_is_told(share: Path) -> None:
    said = (share / "reader.err").read_text()
    assert status(share, "reader") == 6, said
    assert "the process with which trace-cmd reads the CPUs' buffers was killed during the recording" in said
    assert "the recording is partial: " in said and "nothing lost" not in said
    assert "reads the CPUs' buffers" in companion(share, "reader").partial
    assert names(load(share, "reader")).total() > 2


def test_the_second_at_once_is_told_who_holds_the_tracer(share: Path) -> None:
    assert status(share, "second") == 125
    assert "the tracer is in use by kfgraph, pid " in (share / "second.err").read_text()


def test_what_a_killed_kfgraph_left_is_cleared_by_the_next(share: Path) -> None:
    assert "tracing_thresh" in (share / "next.dirty").read_text()
    assert status(share, "next") == 0, (share / "next.err").read_text()
    assert "put back what a killed run" in (share / "next.err").read_text()


def test_a_disk_without_room_is_named_and_what_was_recorded_is_kept(share: Path) -> None:
    said, hint = (share / "room.err").read_text().splitlines()
    assert status(share, "room") == 125
    assert said.startswith("kfgraph: no trace could be made of the recording: the disk is full (/tmp/native/small): ")
    assert "No space left on device" in said
    assert hint.startswith("  hint: what was recorded is kept; in a folder with more room: trace-cmd restore -o ")
    (left,) = (share / "room.files").read_text().split()
    assert left.startswith(".kfgraph-")
    # What the hint says was typed in a folder with more room.
    assert len(load(share, "restored").calls) > 1_000


def test_what_was_recorded_before_both_were_killed_is_saved(share: Path) -> None:
    said = (share / "both.err").read_text()
    assert "put back what a killed run" in said and "its recording, perhaps incomplete, is in /tmp/native/.kf" in said
    trace = load(share, "both")
    assert len(trace.calls) > 100
    assert "vfs_open" in {trace.symbols.names[f] for f in trace.calls.func}


def test_the_advice_against_loss_works(share: Path) -> None:
    first = (share / "loss1.err").read_text()
    assert "lost" in first
    assert "against it: kfgraph trace " in first
    rounds = sorted(share.glob("loss?.err"))
    assert len(rounds) <= 3
    assert "nothing lost" in rounds[-1].read_text()
