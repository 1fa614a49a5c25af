"""What a shell is offered behind an option: names from the trace's own tables, or nothing."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from kfgraph.cli import completing
from kfgraph.cli.completing import READING, RECORDING, words

REPOSITORY = Path(__file__).resolve().parents[2]
INSMOD = str(REPOSITORY / "examples" / "insmod-fail19.dat")
FOO = str(REPOSITORY / "examples" / "insmod-foo-fail19.dat")
SYSTEM = str(REPOSITORY / "tests" / "fixtures" / "traces" / "cut" / "6.1-syscalls.dat")
# As pip's script calls it: typer asks the name.
SCRIPT = "import sys; sys.argv[0] = 'kfgraph'; from kfgraph.__main__ import entry_point; sys.exit(entry_point())"


def offered(*line: str) -> list[str]:
    """What bash is offered for the last word."""
    completing_bash = {"_KFGRAPH_COMPLETE": "complete_bash", "COMP_WORDS": shlex.join(["kfgraph", *line])}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **completing_bash, "COMP_CWORD": str(len(line))},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("option", ["--root", "--calls-to", "--expand", "--hide"])
def test_functions_of_the_kernel_that_was_traced(option) -> None:
    assert offered("show", INSMOD, option, "do_init_m") == ["do_init_module"]


def test_the_trace_that_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert offered("top", "--no-irq", "--root", "do_init_m") == []
    (tmp_path / "trace.dat").symlink_to(INSMOD)
    assert offered("top", "--no-irq", "--root", "do_init_m") == ["do_init_module"]


@pytest.mark.parametrize(
    ("what", "path", "begins", "names"),
    [
        ("FUNC", INSMOD, "load_mod", ["load_module", "load_module_cert"]),
        ("GLOB", INSMOD, "vfs_op", ["vfs_open"]),
        ("FUNC", INSMOD, "no_such", []),
        ("FUNC", INSMOD, "load.module", []),  # letters, not a pattern
        # The module is gone, and the kernel forgot its functions: the file beside the trace has them.
        ("FUNC", FOO, "foo_p", ["foo_probe", "foo_probe_slot"]),
        ("MODULE", FOO, "fo", ["foo"]),
        ("COMM", INSMOD, "ins", ["insmod"]),
        ("COMM", INSMOD, "<", []),
        ("MODULE", SYSTEM, "virtio_", ["virtio_pci", "virtio_ring"]),
        ("EVENT", SYSTEM, "s", ["sched_switch", "sys_enter_execve", "sys_exit_write"]),
    ],
)
def test_names_of_each_table(what, path, begins, names) -> None:
    assert words(READING[what], path, begins) == names


def test_more_than_anybody_reads_is_not_offered() -> None:
    assert words(READING["FUNC"], INSMOD, "") == []
    few = words(READING["FUNC"], INSMOD, "vfs_")
    assert 50 < len(few) < completing.MOST and few == sorted(set(few)) and "vfs_open" in few


@pytest.mark.parametrize("content", [b"", b"text\n", None])
def test_what_is_no_trace_dat_offers_nothing(content, tmp_path: Path) -> None:
    path = tmp_path / "t"
    if content is not None:
        path.write_bytes(content)
    for completer in READING.values():
        assert words(completer, str(path), "") == []


@pytest.mark.parametrize(
    "beside",
    [
        "", "{}", "[]", '{"modules": 3}', '{"modules": [{"name": "foo"}]}', '{"modules": [null]}', "[" * 100_000,
        '{"modules": [{"name": "foo", "functions": [{"name": "foo_p\\n\\u001b[41m"}, {"name": "foo_p x"}]}]}',
    ],
)  # fmt: skip
def test_a_damaged_file_beside_a_trace_offers_nothing_more(beside, tmp_path: Path) -> None:
    trace = tmp_path / "t.dat"
    trace.symlink_to(FOO)
    Path(f"{trace}.kfgraph.json").write_text(beside)
    assert words(READING["FUNC"], str(trace), "foo_p") == []
    assert words(READING["FUNC"], str(trace), "do_init_m") == ["do_init_module"]


def test_a_damaged_trace_offers_nothing_or_names(tmp_path: Path) -> None:
    whole = Path(INSMOD).read_bytes()
    for size in (10, 100, 5_000, len(whole) // 2):
        (tmp_path / "cut.dat").write_bytes(whole[:size])
        assert words(READING["FUNC"], str(tmp_path / "cut.dat"), "do_init_m") in ([], ["do_init_module"])


def test_a_recording_asks_the_tracer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completing, "_TRACEFS", (tmp_path / "none", tmp_path))
    assert words(RECORDING["FUNC"], "trace.dat", "vfs_") == []
    (tmp_path / "available_filter_functions").write_text("vfs_open\nvfs_read [fuse]\nksys_vfs_\n")
    assert words(RECORDING["FUNC"], "trace.dat", "vfs_") == ["vfs_open", "vfs_read"]
    (tmp_path / "available_events").write_text("sched:sched_switch\nirq:irq_handler_entry\n")
    assert words(RECORDING["EVENT"], "trace.dat", "sched") == ["sched:sched_switch"]
    assert words(RECORDING["IMAGE|list"], "trace.dat", "li") == ["list"]
