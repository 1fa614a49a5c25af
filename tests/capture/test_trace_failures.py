"""Every failure of `kfgraph trace`: its exit code, its one line, its hint; the tracer as before, no file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import kfgraph
from kfgraph.capture import prepare
from kfgraph.capture.plan import CaptureOptions
from kfgraph.cli import checking, tracing
from kfgraph.cli.invocation import Invocation, running
from kfgraph.errors import CaptureError, CommandNotFound, UsageError

from .conftest import Lab, make_tracefs


def nothing(lab: Lab) -> None:
    pass


def no_graph(lab: Lab) -> None:
    (lab.fs.root / "available_tracers").write_text("function nop\n")


def no_tracefs(lab: Lab) -> None:
    shutil.rmtree(lab.fs.root)


def no_tracer_and_no_tracefs(lab: Lab) -> None:
    no_tracefs(lab)
    lab.machine_file("/proc/kallsyms", "ffffffff81000000 T vfs_read\n")


def no_tracing(lab: Lab) -> None:
    no_tracefs(lab)
    (lab.folder / "filesystems").write_text("nodev\tproc\n")


def a_broken_setting(lab: Lab) -> None:
    (lab.fs.root / "set_graph_function").unlink()
    (lab.fs.root / "set_graph_function").mkdir()


def no_recorder(lab: Lab) -> None:
    lab.path = str(lab.folder / "empty")
    (lab.folder / "empty").mkdir()
    (lab.folder / "empty" / "true").symlink_to(shutil.which("true") or "/bin/true")


def refusing_recorder(lab: Lab) -> None:
    lab.env["FAKE_MODE"] = "refuses"


def recorder_that_does_not_know_an_option(lab: Lab) -> None:
    lab.env["FAKE_MODE"] = "usage"


def killed_recorder(lab: Lab) -> None:
    lab.env["FAKE_MODE"] = "killed at start"


def locked_down(lab: Lab) -> None:
    lab.machine_file("/sys/kernel/security/lockdown", "none integrity [confidentiality]")


def a_container(lab: Lab) -> None:
    link = lab.folder / "machine/proc/self/ns/pid"
    link.parent.mkdir(parents=True)
    link.symlink_to("pid:[4026532001]")


def a_foreign_companion(lab: Lab) -> None:
    (lab.work / "trace.dat.kfgraph.json").write_text('{"mine": true}')


def a_folder_for_a_companion(lab: Lab) -> None:
    (lab.work / "trace.dat.kfgraph.json").mkdir()


def other_tracer(lab: Lab) -> None:
    (lab.fs.root / "current_tracer").write_text("function\n")


def a_letter(lab: Lab) -> None:
    (lab.work / "letter.txt").write_text("Dear all")


def plain_file(lab: Lab) -> None:
    (lab.work / "plain").write_text("no program")


def bad_script(lab: Lab) -> None:
    (lab.work / "bad").write_bytes(b"\x00\x01 no program")
    (lab.work / "bad").chmod(0o755)


def orphan_script(lab: Lab) -> None:
    (lab.work / "orphan").write_text("#!/no/such/interpreter\n")
    (lab.work / "orphan").chmod(0o755)


TABLE: tuple[tuple[Callable[[Lab], None], str, int, str, str], ...] = (
    # what is wrong, arguments, exit code, message, hint
    (nothing, "", 2, "give a command to run", "kfgraph trace insmod foo.ko"),
    (nothing, "-p 1 true", 2, "give a command or -p PID, not both", "kfgraph trace"),
    (nothing, "-p 1 --cwd /", 2, "--user, --env and --cwd are for a command", "--help"),
    (nothing, "--no-such true", 2, "No such option", "kfgraph trace --help"),
    (nothing, "--buffer 12parsecs true", 2, "'12parsecs' is not a size", "--help"),
    (nothing, "--buffer 1 true", 2, "less than one page", "--help"),
    (nothing, "--min-duration soon true", 2, "'soon' is not a time", "--help"),
    (nothing, "--min-duration 10ns true", 2, "whole microseconds", "--min-duration 1us"),
    (nothing, "--min-duration 1.5us true", 2, "--min-duration 1.5us: the kernel's threshold", "--min-duration 2us"),
    (nothing, "--buffer 64iB true", 2, "'64iB' is not a size", "--help"),
    (nothing, "-o - true", 2, "-o -: a trace.dat cannot be written to a stream", "-o trace.dat"),
    (nothing, "--guest-kernel", 2, "requires an argument", "kfgraph trace --help"),
    (nothing, "--guest-kernel /etc/passwd true", 125, "/etc/passwd is not a kernel image", "--guest-kernel list"),
    (nothing, "--guest --cwd /proc true", 125, "the directory /proc is not in the guest, which has", "--cwd DIR"),
    (nothing, "--guest --module /sys/x.ko true", 125, "the module /sys/x.ko is not in the guest", "copy it"),
    (nothing, "--guest insmod /dev/shm/x.ko", 125, "the module /dev/shm/x.ko is not in the guest", "copy it"),
    (nothing, "--guest insmod /tmp/none.ko", 125, "/tmp/none.ko: No such file or directory", "no guest was booted"),
    (nothing, "--guest-kernel= true", 2, "--guest-kernel: the name is empty", "--guest"),
    (no_tracer_and_no_tracefs, "-f true", 125, "function_graph: not in this kernel", "trace --guest -f true"),
    (no_tracer_and_no_tracefs, "-p 1", 125, "function_graph: not in this kernel", "use --guest"),
    (locked_down, "true", 125, "lockdown: the kernel is locked down (confidentiality)", "--guest"),
    (a_foreign_companion, "true", 125, "trace.dat.kfgraph.json exists and was not written by kfgraph", "--force"),
    (a_folder_for_a_companion, "true", 125, "trace.dat.kfgraph.json: it is not a regular file", "-o FILE"),
    (nothing, "--max-depth -1 true", 2, "--max-depth: 0 is no limit", "--help"),
    (nothing, "--duration 0 true", 2, "--duration: more than 0 seconds", "--help"),
    (nothing, "--env NAME true", 2, "--env NAME: not NAME=VALUE", "--env DEBUG=1"),
    (nothing, "no-such-command", 127, "no-such-command: command not found", "PATH"),
    (nothing, "./no-such-file", 127, "./no-such-file: no such file", ""),
    (orphan_script, "./orphan", 127, "its interpreter is missing", ""),
    (plain_file, "./plain", 126, "./plain: not an executable file", "chmod +x ./plain"),
    (nothing, "/tmp", 126, "/tmp: not an executable file", ""),
    (bad_script, "./bad", 126, "./bad: cannot be executed: Exec format error", "script without #!"),
    (no_tracefs, "true", 125, "tracefs is not mounted", "sudo mount -t tracefs nodev /sys/kernel/tracing"),
    (no_tracing, "true", 125, "was built without tracing", "kfgraph trace --guest"),
    (a_broken_setting, "true", 125, "set_graph_function: Is a directory", ""),
    (nothing, "--returns x --no-returns true", 2, "--returns and --no-returns exclude each other", "--help"),
    (a_letter, "--module letter.txt true", 125, "letter.txt: not a kernel module", ""),
    (no_graph, "true", 125, "has no function_graph tracer", "kfgraph doctor"),
    (no_recorder, "true", 125, "trace-cmd: not installed", "apt-get install trace-cmd"),
    (
        refusing_recorder,
        "true",
        125,
        "could not start recording: trace-cmd failed with 1: Device or resource busy",
        "kfgraph doctor",
    ),
    (
        recorder_that_does_not_know_an_option,
        "--trace-cmd-args --nosuch true",
        125,
        "could not start recording: trace-cmd failed with 1: unrecognized option '--nosuch'",
        "--dry-run",
    ),
    (
        killed_recorder,
        "true",
        125,
        "could not start recording: trace-cmd was killed by SIGKILL",
        "kfgraph doctor",
    ),
    (a_container, "true", 125, "pids: this is a container with pids of its own", "--pid=host"),
    (nothing, "-o new/ true", 125, "cannot write new/: it is a directory", "-o FILE"),
    (nothing, f"./{'x' * 300}", 127, "File name too long", ""),
    (nothing, f"-o {'x' * 300} true", 125, "xxx: File name too long", "-o FILE"),
    (nothing, f"--buffer {'9' * 400} true", 2, "is not a size", "--help"),
    (nothing, f"--min-duration {'9' * 400} true", 2, "is not a time", "--help"),
    (nothing, "-e nosuch:* true", 125, "this kernel has no event nosuch:*", ""),
    (other_tracer, "true", 125, "the tracer is in use: current_tracer is function", "echo nop >"),
    (a_letter, "-o letter.txt true", 125, "letter.txt exists and is not a trace", "--force"),
    (nothing, "-o /no/such/folder/t.dat true", 125, "No such file or directory", "-o FILE"),
    (nothing, "-o . true", 125, "cannot write .: it is a directory", "-o FILE"),
    (nothing, "-o /dev/null true", 125, "cannot write /dev/null: it is not a regular file", "-o FILE"),
    (nothing, "-e sched:sched_swich true", 125, "this kernel has no event sched:sched_swich", "sched:sched_switch"),
    (nothing, "-e foo:bar true", 125, "this kernel has no event foo:bar", "available_events"),
    (nothing, "-e sched:bar true", 125, "no event sched:bar", "sched has sched:sched_process_exec, sched"),
    (nothing, "-e shed true", 125, "this kernel has no event shed", "it has sched"),
    (nothing, "--returns nosuch* true", 125, "--returns nosuch*: no such function", "once it is loaded"),
    (nothing, "--clock moon true", 125, "this kernel has no trace clock moon", "local, global, mono, x86-tsc"),
    (nothing, "--root vfs_opn true", 125, "--root vfs_opn: no such function", "vfs_open"),
    (nothing, "--exclude no_* true", 125, "--exclude no_*: no such function", "once it is loaded"),
    (nothing, "--only zzz true", 125, "--only zzz: no such function", ""),
    (nothing, "--args true", 125, "does not record funcgraph-args (--args)", "6.15"),
    (nothing, "--retval true", 125, "does not record funcgraph-retval (--retval)", "6.5"),
    (nothing, "--buffer 900G true", 125, " x 900.0 GiB is more than", "--buffer "),
    (nothing, "-p 4194999 ", 125, "-p 4194999: no such process", ""),
    (nothing, "--user no-such-user true", 125, "--user no-such-user: no such user", ""),
    (nothing, "--user auto true", 125, "kfgraph was not started through sudo", "--user NAME"),
    (nothing, "--cwd /no/such true", 125, "cannot change to /no/such: No such file or directory", ""),
    (nothing, "--trace-cmd-args ' true", 2, "No closing quotation", "--help"),
)


@pytest.mark.parametrize(
    ("prepare_lab", "arguments", "code", "message", "hint"), TABLE, ids=[t[1] or "none" for t in TABLE]
)
def test_failure(
    lab: Lab, prepare_lab: Callable[[Lab], None], arguments: str, code: int, message: str, hint: str
) -> None:
    prepare_lab(lab)
    before = lab.snapshot() if lab.fs.root.exists() and prepare_lab is not a_broken_setting else None
    files = set(lab.work.iterdir())
    done = lab.run("trace", *arguments.split())
    lines = done.stderr.splitlines()
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert lines[0].startswith("kfgraph: ")
    assert message in lines[0]
    assert len(lines) == (2 if hint or len(lines) > 1 else 1)
    assert hint in "".join(lines[1:])
    assert set(lab.work.iterdir()) == files
    assert before is None or before.differences(lab.snapshot()) == []


def test_force_overwrites_what_is_no_trace(lab: Lab) -> None:
    a_letter(lab)
    assert lab.run("trace", "-q", "--force", "-o", "letter.txt", "true").returncode == 0
    assert (lab.work / "letter.txt").read_bytes() == lab.trace.read_bytes()


def test_names_that_are_empty_are_refused(lab: Lab) -> None:
    for option, said in (("--user", "--user: the name is empty"), ("-o", "-o: the file name is empty")):
        done = lab.run("trace", option, "", "touch", "ran")
        assert (done.returncode, done.stderr.splitlines()[0]) == (2, f"kfgraph: {said}")
    assert list(lab.work.iterdir()) == []


def test_a_companion_that_is_not_kfgraphs_is_overwritten_with_force_only(lab: Lab) -> None:
    beside = lab.work / "trace.dat.kfgraph.json"
    a_foreign_companion(lab)
    assert lab.run("trace", "-q", "--force", "true").returncode == 0
    assert json.loads(beside.read_text())["argv"] == ["true"]
    # Its own, of this version or of one to come, and an empty file, are overwritten without.
    for text in (beside.read_text(), '{"format": 99, "kfgraph_version": "9.9"}', ""):
        beside.write_text(text)
        assert lab.run("trace", "-q", "true").returncode == 0


def test_a_trace_behind_a_link_keeps_its_companion(lab: Lab) -> None:
    (lab.work / "there").mkdir()
    (lab.work / "link.dat").symlink_to("there/real.dat")
    assert lab.run("trace", "-q", "-o", "link.dat", "true").returncode == 0
    assert sorted(p.name for p in (lab.work / "there").iterdir()) == ["real.dat", "real.dat.kfgraph.json"]
    for name in ("link.dat", "there/real.dat"):
        trace = kfgraph.load(lab.work / name)
        assert trace.companion is not None and trace.companion.argv == ("true",)


def test_what_the_doctor_finds_limited_is_said_before_the_recording(lab: Lab) -> None:
    lab.machine_file("/proc/sys/kernel/kptr_restrict", "2")
    lab.machine_file("/proc/kallsyms", "0000000000000000 T _stext\n")
    lab.env["FAKE_VERSION"] = "2.8"
    done = lab.run("trace", "-q", "sh", "-c", "echo ran >&2")
    assert done.returncode == 0
    assert [line.partition(" (")[0] for line in done.stderr.splitlines()] == [
        "kfgraph: trace-cmd: 2.8",
        "kfgraph: symbol names: /proc/kallsyms hides all addresses",
        "ran",
    ]


def test_without_sbin_in_path(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    insmod = shutil.which("insmod", path="/usr/sbin:/sbin")
    if insmod is None:
        pytest.skip("no insmod here: apt-get install kmod")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.chdir(lab.work)
    arguments = {"pids": None, "user": None, "env": None, "cwd": ""}
    # In a guest it runs as root, and finds it: itself, and from a shell.
    found = tracing.with_target(CaptureOptions(), ["insmod", "foo.ko"], **arguments, in_guest=True).command
    assert found is not None and found.path == insmod
    assert found.env["PATH"].startswith("/usr/bin:/bin:/usr/local/sbin:")
    monkeypatch.setattr(checking, "check_machine", lambda dry_run: None)
    with pytest.raises(CommandNotFound, match="insmod: command not found") as caught:
        tracing.with_target(CaptureOptions(), ["insmod", "foo.ko"], **arguments)
    assert caught.value.hint == f"it is {insmod}, which is not in PATH"

    def refuse(*, dry_run: bool) -> None:
        raise CaptureError("recording needs root", hint="sudo kfgraph")

    # Here the first thing to know is that it takes root; root's PATH has it.
    monkeypatch.setattr(checking, "check_machine", refuse)
    with pytest.raises(CaptureError, match="needs root"):
        tracing.with_target(CaptureOptions(), ["insmod", "foo.ko"], **arguments)
    with pytest.raises(UsageError):
        tracing.with_target(CaptureOptions(), None, **arguments)


def test_a_trace_and_an_empty_file_are_overwritten(lab: Lab) -> None:
    (lab.work / "trace.dat").touch()
    assert lab.run("trace", "-q", "true").returncode == 0
    assert lab.run("trace", "-q", "true").returncode == 0
    assert (lab.work / "trace.dat").read_bytes() == lab.trace.read_bytes()


def test_without_permission_the_hint_is_the_whole_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fs = make_tracefs(tmp_path / "tracing")
    program = tmp_path / "bin with space" / "kfgraph"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    monkeypatch.setattr(checking, "machine", lambda: fs)
    monkeypatch.setattr(checking, "tell", lambda checks: None)
    line = Invocation.of(["trace", "-o", "a b", "true"], program=str(program))
    with running(line), pytest.raises(CaptureError) as problem:
        checking.check_machine(dry_run=False)
    assert problem.value.exit_code == 125
    assert problem.value.hint == f"sudo '{program}' trace -o 'a b' true"


def test_a_function_that_is_not_loaded_yet_cannot_be_a_root(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "tracing")
    with pytest.raises(
        CaptureError, match="the kernel rejects functions of a module that is not loaded yet"
    ) as problem:
        prepare.check_options(CaptureOptions(roots=("foo_init",)), fs=fs, loading={"foo": {"foo_init"}})
    assert problem.value.hint == "record without it, then: kfgraph show --root foo_init"


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (CaptureOptions(excludes=("foo_i*",)), "record without it, then: kfgraph show --collapse 'foo_i*'"),
        (CaptureOptions(only=("foo_init",)), "--only :mod:foo records all of the module's functions"),
    ],
)
def test_what_to_type_instead_of_a_function_not_loaded_yet(tmp_path: Path, options: CaptureOptions, hint: str) -> None:
    fs = make_tracefs(tmp_path / "tracing")
    with pytest.raises(CaptureError, match="not loaded yet") as problem:
        prepare.check_options(options, fs=fs, loading={"bar": {"bar_init"}, "foo": {"foo_init"}})
    assert problem.value.hint == hint


def test_return_values_may_be_asked_of_a_function_that_is_not_loaded_yet_and_of_no_other(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "tracing")
    loading = {"foo": {"foo_init"}}
    prepare.check_options(CaptureOptions(returns=("foo_*", "vfs_open")), fs=fs, loading=loading)
    with pytest.raises(CaptureError, match=r"^--returns foo_initt: no such function") as problem:
        prepare.check_options(CaptureOptions(returns=("foo_initt",)), fs=fs, loading=loading)
    assert problem.value.hint == "it has foo_init"
    (fs.root / "kprobe_events").unlink()
    with pytest.raises(CaptureError, match=r"no return probes \(--returns\)"):
        prepare.check_options(CaptureOptions(returns=("vfs_open",)), fs=fs, loading={})


@pytest.mark.parametrize(
    ("only", "said"),
    [
        (":mod:foo", ()),
        ("!:mod:foo", ()),
        (":mod:*", ()),
        (":mod:ext?", ()),
        ("foo_*:mod:foo", ()),
        ("ext4_x:mod:ext4", ()),  # what it has is in the kernel's list, which the kernel looks at
        ("vfs_open", ()),
        (":mod:fooo", ("no module fooo is loaded, nor is the command seen to load it; did you mean :mod:foo?",)),
        (":mod:my-mod", ("no module my-mod is loaded, nor is the command seen to load it; did you mean :mod:my_mod?",)),
        (":mod:zzz", ("no module zzz is loaded, nor is the command seen to load it (--module FILE names one)",)),
        ("foo_x:mod:foo", ("foo has no function foo_x",)),
    ],
)
def test_doubts_about_modules(only: str, said: tuple[str, ...]) -> None:
    loading = {"foo": {"foo_init"}, "my_mod": {"x"}}
    found = prepare.doubts(CaptureOptions(only=(only,)), loading=loading, loaded={"ext4"})
    assert found == tuple(f"--only {only}: {text}" for text in said)


def test_doubts_and_loads_not_looked_into_are_said_also_with_q(lab: Lab) -> None:
    done = lab.run("trace", "-q", "--only", ":mod:nosuch", "sh", "-c", "true || insmod nosuch.ko")
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert lines[0].startswith("kfgraph: insmod nosuch.ko: not looked into, so its functions have no return probes: ")
    assert f"{lab.work}/nosuch.ko: No such file or directory" in lines[0]
    assert lines[1].startswith("kfgraph: --only :mod:nosuch: no module nosuch is loaded")
    assert len(lines) == 2
