"""The recorder's command line, word for word."""

from __future__ import annotations

from pathlib import Path

import pytest

from kfgraph.capture.plan import CapturePlan, default_buffer_kb, parse_size_kb
from kfgraph.capture.prepare import Wishes, make_plan

from .conftest import OPTIONS, make_tracefs

START = "trace-cmd record -p function_graph -o out.dat -b 8192 -P 42"
EXEC = "-e sched:sched_process_exec"

GOLDEN = (
    ({}, f"{START} {EXEC}"),
    ({"follow": True}, f"{START} -c -e sched:sched_process_fork {EXEC}"),
    ({"roots": ("vfs_open", "vfs_r*")}, f"{START} {EXEC} -g vfs_open -g vfs_r*"),
    ({"excludes": ("kmalloc_trace",)}, f"{START} {EXEC} -n kmalloc_trace"),
    ({"only": (":mod:foo", "vfs_*")}, f"{START} {EXEC} -l :mod:foo -l vfs_*"),
    ({"max_depth": 5}, f"{START} {EXEC} --max-graph-depth 5"),
    ({"events": ("irq",), "clock": "mono"}, f"{START} {EXEC} -e irq -C mono"),
    ({"options": ("funcgraph-args", "nofuncgraph-irqs")}, f"{START} {EXEC} -O funcgraph-args -O nofuncgraph-irqs"),
    ({"extra": ("-s", "100"), "min_duration_us": 7}, f"{START} {EXEC} -s 100"),
)


@pytest.mark.parametrize(("fields", "line"), GOLDEN, ids=[",".join(g[0]) or "plain" for g in GOLDEN])
def test_golden(fields: dict[str, object], line: str) -> None:
    plan = CapturePlan(buffer_kb=8192, **fields)  # type: ignore[arg-type]
    assert " ".join(plan.argv(recorder="trace-cmd", pids=(42,), output="out.dat")) == line


def test_threads_are_one_option() -> None:
    line = CapturePlan(buffer_kb=4).argv(recorder="trace-cmd", pids=(7, 9), output="o")
    assert line[line.index("-P") + 1] == "7,9"


def test_dry_run_lines() -> None:
    plan = CapturePlan(buffer_kb=4, min_duration_us=250, only=("a*",))
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
    assert CapturePlan(buffer_kb=64, extra=extra).instances == names


def test_args_and_retval_are_on_where_the_kernel_can(tmp_path: Path) -> None:
    old = make_tracefs(tmp_path / "old")
    new = make_tracefs(tmp_path / "new", options=(*OPTIONS, "funcgraph-args", "funcgraph-retval"))
    plan, notes = make_plan(old, Wishes())
    assert plan.options == ()
    assert [n.partition(":")[0] for n in notes] == ["no funcgraph-args", "no funcgraph-retval"]
    plan, notes = make_plan(new, Wishes())
    assert (plan.options, notes) == (("funcgraph-args", "funcgraph-retval"), ())
    plan, _ = make_plan(new, Wishes(args=False, irq=False))
    assert plan.options == ("nofuncgraph-args", "funcgraph-retval", "nofuncgraph-irqs")


def test_events_once_each(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "tracing")
    plan, _ = make_plan(fs, Wishes(events=("sched:sched_switch", "syscalls"), syscalls=True, sched=True))
    assert plan.events == ("sched:sched_switch", "syscalls")


@pytest.mark.parametrize(("found", "settings"), [("50", {"buffer_percent": "10"}), ("1", {}), ("", {})])
def test_buffers_are_written_out_while_the_command_runs(tmp_path: Path, found: str, settings: dict[str, str]) -> None:
    fs = make_tracefs(tmp_path)
    if found:
        (tmp_path / "buffer_percent").write_text(f"{found}\n")
    plan, _ = make_plan(fs, Wishes())
    assert plan.settings == settings
