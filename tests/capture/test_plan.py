"""The recorder's command line, word for word."""

from __future__ import annotations

from pathlib import Path

import pytest

from kfgraph.capture.arming import arm
from kfgraph.capture.plan import CaptureOptions, CapturePlan, default_buffer_kb, parse_size_kb
from kfgraph.capture.prepare import make_plan
from kfgraph.capture.probes import ProbePlan
from kfgraph.capture.tracefs import take_snapshot

from .conftest import OPTIONS, make_tracefs

START = "trace-cmd record -p function_graph -o out.dat -b 8192 -P 42"
EXEC = "-e sched:sched_process_exec"
PROBES = ProbePlan(notrace=("kprobe_ftrace_handler",))

GOLDEN = (
    ({}, f"{START} {EXEC}"),
    ({"follow": True}, f"{START} -c -e sched:sched_process_fork {EXEC}"),
    ({"roots": ("vfs_open", "vfs_r*")}, f"{START} {EXEC} -g vfs_open -g vfs_r*"),
    ({"excludes": ("kmalloc_trace",)}, f"{START} {EXEC} -n kmalloc_trace"),
    ({"only": (":mod:foo", "vfs_*")}, f"{START} {EXEC} -l :mod:foo -l vfs_*"),
    ({"max_depth": 5}, f"{START} {EXEC} --max-graph-depth 5"),
    ({"events": ("irq",), "clock": "mono"}, f"{START} {EXEC} -e irq -C mono"),
    (
        {"trace_options": ("funcgraph-args", "nofuncgraph-irqs")},
        f"{START} {EXEC} -O funcgraph-args -O nofuncgraph-irqs",
    ),
    ({"extra": ("-s", "100"), "min_duration_us": 7}, f"{START} {EXEC} -s 100"),
    ({"events": ("irq",), "excludes": ("a",), "probes": PROBES}, f"{START} {EXEC} -e irq -n a"),
    (
        {"events": ("irq",), "excludes": ("a",), "probes": PROBES, "probes_set": True},
        f"{START} {EXEC} -e irq -e kfgraph -n a -n kprobe_ftrace_handler",
    ),
)


@pytest.mark.parametrize(("fields", "line"), GOLDEN, ids=[",".join(g[0]) or "plain" for g in GOLDEN])
def test_golden(fields: dict[str, object], line: str) -> None:
    of_kernel = {name: value for name, value in fields.items() if name in ("trace_options", "probes", "probes_set")}
    asked = {name: value for name, value in fields.items() if name not in of_kernel}
    plan = CapturePlan(CaptureOptions(**asked), buffer_kb=8192, **of_kernel)  # type: ignore[arg-type]
    assert " ".join(plan.argv(recorder="trace-cmd", pids=(42,), output="out.dat")) == line


def test_threads_are_one_option() -> None:
    line = CapturePlan(CaptureOptions(), buffer_kb=4).argv(recorder="trace-cmd", pids=(7, 9), output="o")
    assert line[line.index("-P") + 1] == "7,9"


def test_dry_run_lines() -> None:
    plan = CapturePlan(CaptureOptions(min_duration_us=250, only=("a*",)), buffer_kb=4)
    assert plan.shell_lines(recorder="trace-cmd", pids=("PID",), output="my trace", tracefs="/t") == [
        "echo 250 > /t/tracing_thresh",
        "trace-cmd record -p function_graph -o 'my trace' -b 4 -P PID -e sched:sched_process_exec -l 'a*'",
    ]


@pytest.mark.parametrize(
    ("text", "kb"),
    [
        ("64M", 65536),
        ("64MiB", 65536),
        ("512k", 512),
        ("1G", 1 << 20),
        ("2gib", 2 << 20),
        ("8192", 8192),
        ("1.5M", 1536),
        (" 4 KB ", 4),
    ],
)
def test_sizes(text: str, kb: int) -> None:
    assert parse_size_kb(text) == kb


@pytest.mark.parametrize("text", ["", "M", "64X", "-1M", "3", "0", "64iB", "64B", "64Ki", "1MM"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a size|less than one page"):
        parse_size_kb(text)


@pytest.mark.parametrize(
    ("available_kb", "n_cpus", "kb"),
    [
        (2 << 20, 2, 64 << 10),  # 2 GiB, two CPUs: the most for a CPU
        (2 << 20, 1, 256 << 10),  # 2 GiB, one CPU: an eighth
        (8 << 20, 1, 256 << 10),  # 8 GiB, one CPU: the most for the only one
        (1 << 20, 4, 32 << 10),  # 1 GiB: an eighth in all
        (512 << 20, 128, 16 << 10),  # 512 GiB, 128 CPUs: 2 GiB in all
        (64 << 10, 8, 4 << 10),  # 64 MiB: the least
    ],
)
def test_default_buffer(available_kb: int, n_cpus: int, kb: int) -> None:
    assert default_buffer_kb(available_kb=available_kb, n_cpus=n_cpus) == kb


@pytest.mark.parametrize(
    ("extra", "names"),
    [
        (("-B", "extra", "-e", "sched"), ("extra",)),
        (("-Bone", "-s", "10", "-B", "two"), ("one", "two")),
        (("-B",), ()),
        ((), ()),
    ],
)
def test_instances_that_the_recorder_makes(extra: tuple[str, ...], names: tuple[str, ...]) -> None:
    assert CapturePlan(CaptureOptions(extra=extra), buffer_kb=64).instances == names


def test_args_and_retval_are_on_where_the_kernel_can(tmp_path: Path) -> None:
    old = make_tracefs(tmp_path / "old")
    new = make_tracefs(tmp_path / "new", options=(*OPTIONS, "funcgraph-args", "funcgraph-retval"))
    plan = make_plan(CaptureOptions(), fs=old)
    assert plan.trace_options == ()
    assert [n.partition(":")[0] for n in plan.notes] == ["no funcgraph-args", "no funcgraph-retval"]
    plan = make_plan(CaptureOptions(), fs=new)
    assert (plan.trace_options, plan.notes) == (("funcgraph-args", "funcgraph-retval"), ())
    plan = make_plan(CaptureOptions(args=False, irq=False), fs=new)
    assert plan.trace_options == ("nofuncgraph-args", "funcgraph-retval", "nofuncgraph-irqs")


def test_events_once_each(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "tracing")
    options = CaptureOptions(events=("sched:sched_switch", "syscalls"), syscalls=True, sched=True)
    assert make_plan(options, fs=fs).events == (
        "sched:sched_process_exec", "sched:sched_switch", "syscalls", "sched:sched_waking"
    )


@pytest.mark.parametrize(
    ("asked", "events", "paths"),
    [
        (None, ("raw_syscalls:sys_enter", "raw_syscalls:sys_exit"), ("getname", "getname_flags")),
        (True, ("syscalls",), ("getname", "getname_flags")),
        (False, (), ()),
    ],
)
def test_system_calls_and_their_paths_are_recorded_unless_they_are_not_wanted(
    asked: bool | None, events: tuple[str, ...], paths: tuple[str, ...], tmp_path: Path
) -> None:
    fs = make_tracefs(tmp_path)
    for name in ("sys_enter", "sys_exit"):
        (tmp_path / "events" / "raw_syscalls" / name).mkdir(parents=True)
    functions = (tmp_path / "available_filter_functions").read_text()
    more = "getname_flags\ngetname\nkretprobe_dispatcher\nkprobe_ftrace_handler\nregister_kprobe\n"
    (tmp_path / "available_filter_functions").write_text(functions + more)
    plan = make_plan(CaptureOptions(syscalls=asked), fs=fs)
    assert plan.events == ("sched:sched_process_exec", *events)
    assert [probe.function for probe in plan.probes.paths] == [*paths]
    assert plan.probes.notrace == (("*kretprobe*", "kprobe_ftrace_handler") if paths else ())
    line = arm(plan, fs=fs, found=take_snapshot(fs)).argv(recorder="trace-cmd", pids=(1,), output="o")
    assert ("-e kfgraph" in " ".join(line)) == bool(paths)
    assert (tmp_path / "kprobe_events").read_text().split("\n")[1:-1] == [
        f"r:kfgraph/path_of_{name} {name} path=+0(+0($retval)):string user=+8($retval):x64" for name in paths
    ]


def test_a_kernel_without_what_tells_of_system_calls_is_recorded_without(tmp_path: Path) -> None:
    plan = make_plan(CaptureOptions(), fs=make_tracefs(tmp_path))
    assert (plan.events, plan.probes) == (("sched:sched_process_exec",), ProbePlan())


@pytest.mark.parametrize(("found", "settings"), [("50", {"buffer_percent": "10"}), ("1", {}), ("", {})])
def test_buffers_are_written_out_while_the_command_runs(tmp_path: Path, found: str, settings: dict[str, str]) -> None:
    fs = make_tracefs(tmp_path)
    if found:
        (tmp_path / "buffer_percent").write_text(f"{found}\n")
    assert make_plan(CaptureOptions(), fs=fs).settings == settings


def test_a_default_buffer_is_taken_and_is_not_what_was_given(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path)
    options = CaptureOptions(roots=("vfs_open",), default_buffer_kb=5120, output="x", pids=(7,), force=True)
    assert make_plan(options, fs=fs).buffer_kb == 5120
    assert options.given == {"roots": ("vfs_open",)}
    options = CaptureOptions(buffer_kb=6144, default_buffer_kb=5120, irq=False, args=False)
    assert make_plan(options, fs=fs).buffer_kb == 6144
    assert options.given == {"buffer_kb": 6144, "args": False, "irq": False}
