"""The first word of a command line that is no command: what is done, and what is said to be typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.tables import call, trace_of
from builder.text import report_text
from builder.tracedat import dat_of
from running import kfgraph

TRACE = trace_of([call("vfs_open", 1_000, call("do_dentry_open", 2_000))])


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    for name in ("bin/insmod", "bin/ls", "bin/stat", "job.sh"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "a b.dat").write_bytes(dat_of(TRACE))
    (tmp_path / "all-executable.dat").write_bytes(dat_of(TRACE))
    (tmp_path / "all-executable.dat").chmod(0o755)
    (tmp_path / "r.txt").write_text(report_text(TRACE))
    (tmp_path / "notes").write_text("no trace\n")
    (tmp_path / "foo.ko").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(60))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


@pytest.mark.parametrize("words", [
    ["a b.dat"], ["./a b.dat"], ["r.txt"], ["all-executable.dat"], ["a b.dat", "--root", "vfs_open"],
    ["--debug", "r.txt", "--depth", "0"],
], ids=" ".join)  # fmt: skip
def test_a_trace_is_shown(words) -> None:
    own = [word for word in words if word == "--debug"]
    assert kfgraph(*words) == kfgraph(*own, "show", *words[len(own) :])
    assert kfgraph(*words)[0] == 0 and "task0-100" in kfgraph(*words)[1]


def test_what_is_there_and_no_trace_is_refused_as_show_does(here) -> None:
    assert kfgraph("notes")[::2] == kfgraph("show", "notes")[::2]
    assert kfgraph("notes")[0] == 5
    code, _, err = kfgraph("./bin")
    assert code == 5 and err.startswith("kfgraph: bin: is a directory\n")


GUEST = ", or in a guest, which needs no root: kfgraph trace --guest"
TYPED = [
    (["foo.ko"], "foo.ko is a module", f"sudo kfgraph trace insmod foo.ko{GUEST} insmod foo.ko"),
    (["gone.ko.xz", "a=1 2"], "gone.ko.xz is a module",
     f"sudo kfgraph trace insmod gone.ko.xz 'a=1 2'{GUEST} insmod gone.ko.xz 'a=1 2'"),
    (["ls", "-l"], "ls is a program", f"sudo kfgraph trace ls -l{GUEST} ls -l"),
    (["insmod", "foo.ko"], "insmod is a program", f"sudo kfgraph trace insmod foo.ko{GUEST} insmod foo.ko"),
    (["job.sh", "1"], "job.sh is a program", f"sudo kfgraph trace ./job.sh 1{GUEST} ./job.sh 1"),
    (["./job.sh"], "./job.sh is a program", f"sudo kfgraph trace ./job.sh{GUEST} ./job.sh"),
    (["stat", "x"], "stat is a program", f"sudo kfgraph trace stat x{GUEST} stat x"),
    (["t.dat.kfgraph.json"], "belongs to a trace", "kfgraph show t.dat"),
    (["gone.dat"], "gone.dat: no such file", "kfgraph --help"),
    (["no/such"], "no/such: no such file", "kfgraph --help"),
    # trace-cmd's, perf's and uftrace's words.
    (["report"], "'report'", "kfgraph show"),
    (["report", "-i", "a b.dat"], "'report'", "kfgraph show 'a b.dat'"),
    (["report", "-ia.dat", "-l", "-t", "-F", "sched:x==1"], "'report'", "kfgraph show a.dat --start"),
    (["report", "--input=a.dat", "--cpu", "1", "-R", "-N"], "'report'", "kfgraph show a.dat --cpu 1"),
    (["report", "a.dat", "--root", "f"], "'report'", "kfgraph show a.dat --root f"),
    (["report", "-B", "inst", "a.dat"], "'report'", "kfgraph show --buffer-name inst a.dat"),
    (["replay", "-D", "3"], "'replay'", "kfgraph show --depth 3"),
    (["graph"], "'graph'", "kfgraph show"),
    (["stats", "a.dat"], "'stats'", "kfgraph top a.dat"),
    (["dump", "a.dat"], "'dump'", "kfgraph info a.dat"),
    (["record"], "'record'", "sudo kfgraph trace COMMAND"),
    (["record", "-p", "function_graph", "-F", "ls", "-l", "-p"], "'record'", "sudo kfgraph trace ls -l -p"),
    (["record", "-p", "function_graph", "-o", "x.dat", "--", "ls"], "'record'", "sudo kfgraph trace -o x.dat -- ls"),
    (["record", "-c", "-g", "vfs_open", "-n", "kfree", "-l", "f*", "-e", "sched", "-b", "4096", "-C", "mono", "ls"],
     "'record'",
     "sudo kfgraph trace -f --root vfs_open --exclude kfree --only 'f*' -e sched --buffer 4096K --clock mono ls"),
    (["record", "-O", "nosleep-time", "-m", "10", "ls"], "'record'",
     "sudo kfgraph trace --trace-cmd-args '-O nosleep-time -m 10' ls"),
    (["record", "--max-graph-depth", "3", "--module=ext4", "ls"], "'record'",
     "sudo kfgraph trace --max-depth 3 --only :mod:ext4 ls"),
    (["record", "-P", "12"], "'record'", "sudo kfgraph trace -p 12"),
    (["record", "--guest", "--cwd", "/tmp", "--syscalls", "insmod", "foo.ko"], "'record'",
     "kfgraph trace --guest --cwd /tmp --syscalls insmod foo.ko"),
]  # fmt: skip


@pytest.mark.parametrize("words, said, typed", TYPED, ids=[" ".join(row[0]) for row in TYPED])
def test_the_whole_line_to_type(words, said, typed) -> None:
    code, out, err = kfgraph(*words)
    assert (code, out) == (2, "")
    first, hint = err.splitlines()
    assert said in first and hint == f"  hint: {typed}"


def test_commands_go_before_files_of_their_names(here) -> None:
    for name in ("show", "info"):
        (here / name).write_bytes(b"")
    assert "show: is empty" not in kfgraph("show")[2]
    assert kfgraph("info", "r.txt")[0] == 0


def test_a_misspelt_command_that_is_no_program_is_suggested() -> None:
    assert kfgraph("shwo")[2] == "kfgraph: No such command 'shwo'. Did you mean 'show'?\n  hint: kfgraph --help\n"
