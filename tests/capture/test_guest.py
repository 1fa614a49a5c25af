"""The host's side of a guest, and the agent inside it, with a pretended vng: every way a guest can end."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kfgraph.capture import loads
from kfgraph.capture.child import Command, User
from kfgraph.capture.guest import agent, checks, host, kvm, virtme
from kfgraph.capture.guest import machine as machines
from kfgraph.capture.guest.dmesg import find_trouble
from kfgraph.capture.guest.guest_failure import GuestFailure, last_words
from kfgraph.capture.guest.machine import Machine
from kfgraph.capture.guest.virtme import GuestResult
from kfgraph.capture.plan import CaptureOptions
from kfgraph.capture.recording import Recording
from kfgraph.capture.stats import CpuStats
from kfgraph.cli import checking
from kfgraph.cli.invocation import Invocation, running
from kfgraph.errors import CaptureError, CommandNotFound, InputError, MachineError
from kfgraph.kernel import images
from kfgraph.kernel.images import KernelImage
from kfgraph.kernel.module import Module
from kfgraph.model.companion import Companion, ModuleImage

IMAGE = KernelImage(release="6.1.0-fake", path=Path("/boot/vmlinuz-6.1.0-fake"), readable=True, modules=Path("/m"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    vng = tmp_path / "bin" / "vng"
    vng.parent.mkdir()
    vng.write_text(f"#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name('fake_vng.py')} \"$@\"\n")
    vng.chmod(0o755)
    return Machine(vng=vng, qemu=Path("/usr/bin/qemu"), accel="tcg", cpus=1, memory_mib=512)


@pytest.fixture
def boot(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., GuestResult]:
    def run(*argv: str, mode: str = "ok", **more: object) -> GuestResult:
        monkeypatch.setenv("FAKE_GUEST", mode)
        options = {"machine": machine, **more}
        return virtme.boot(argv, IMAGE, tmp_path / "guest", **options)  # type: ignore[arg-type]

    return run


class Watched(list[str]):
    """The stages that were seen; each leaves a file, for which the guest can wait: the host may be slow to look."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __call__(self, stage: str, _: float) -> None:
        self.append(stage)
        (self.folder / f"seen-{stage}").touch()

    def until(self, stage: str) -> str:
        """Shell code that waits until ``stage`` was seen."""
        return f"until [ -e {self.folder}/seen-{stage} ]; do sleep 0.05; done"


def test_output_status_directory_and_environment(boot: Callable[..., GuestResult], tmp_path: Path) -> None:
    out, err, stages = io.BytesIO(), io.BytesIO(), Watched(tmp_path / "guest")
    result = boot(
        "sh",
        "-c",
        f'pwd; echo "$FRUIT"; cat; echo oops >&2; {stages.until("running")}; exit 7',
        mode="watched",
        cwd=tmp_path,
        env={"FRUIT": "pear", "PATH": os.environ["PATH"]},
        out=out,
        err=err,
        on_stage=stages,
    )
    assert (result.end, result.status, result.trouble) == ("done", 7, ())
    assert out.getvalue().decode() == f"{tmp_path}\npear\n"  # and an empty stdin
    assert err.getvalue() == b"oops\n"
    assert stages[0] == "booting" and "running" in stages
    assert result.console == ("[    0.000000] Linux version 6.1.0-fake", "[    1.0] Run /init")
    assert result.boot_s is not None and result.boot_s <= result.seconds


def test_a_command_that_prepares_says_itself_when_it_runs(boot: Callable[..., GuestResult], tmp_path: Path) -> None:
    stages = Watched(tmp_path / "guest")
    script = f"{stages.until('preparing')}; cd {tmp_path}/guest/share && grep -x preparing stage"
    script += f" && printf running > new && mv new stage && {stages.until('running')}"
    result = boot("sh", "-c", script, mode="watched", prepares=True, on_stage=stages)
    assert result.status == 0
    # Its end may come between two looks.
    assert list(dict.fromkeys(stages))[:3] == ["booting", "preparing", "running"]


@pytest.mark.parametrize(
    ("argv", "status"),
    [(["sh", "-c", "kill -TERM $$"], 143), (["no-such-command"], 127), (["/"], 126), (["true"], 0)],
)
def test_statuses(boot: Callable[..., GuestResult], argv: list[str], status: int) -> None:
    assert boot(*argv).status == status


def test_a_lot_of_output_arrives_whole(boot: Callable[..., GuestResult]) -> None:
    out = io.BytesIO()
    boot("sh", "-c", "seq 1 200000", out=out)
    assert out.getvalue() == b"".join(b"%d\n" % i for i in range(1, 200_001))


def test_a_signal_is_handed_on(boot: Callable[..., GuestResult]) -> None:
    pending = {"running": [signal.SIGINT]}

    def signals(stage: str) -> list[int]:
        # Once, and only when the command has said that it is ready.
        return pending.pop(stage, []) if b"ready" in out.getvalue() else []

    out = io.BytesIO()
    script = "trap 'echo got INT; exit 3' INT; echo ready; while :; do sleep 0.1; done"
    result = boot("sh", "-c", script, out=out, signals=signals, timeout_s=30)
    assert (result.status, out.getvalue()) == (3, b"ready\ngot INT\n")


def test_a_panic(boot: Callable[..., GuestResult]) -> None:
    result = boot("true", mode="panic")
    assert (result.end, result.status) == ("died", None)
    assert result.trouble[0].endswith("BUG: unable to handle page fault for address: 0000000000000010")
    assert len(result.trouble) == 3
    failure = GuestFailure(result)
    assert failure.exit_code == 125
    why = "BUG: unable to handle page fault for address: 0000000000000010"
    assert failure.message == f"the guest's kernel (6.1.0-fake) panicked: {why}"
    assert failure.said == result.trouble


@pytest.mark.parametrize(
    ("lines", "first"),
    [
        (["ok", "watchdog: BUG: soft lockup - CPU#0", "BUG: kernel NULL pointer", "Kernel panic - x"], "BUG: kernel"),
        (["rcu: INFO: rcu_preempt detected stalls on CPUs", "stack", "Kernel panic - sysrq"], "Kernel panic"),
        (["ok", "Out of memory: Killed process 5", "BUG: later"], "Out of memory"),
        (["ok", "task insmod:5 blocked for more than 120 seconds"], "task insmod"),
        (["ok", "systemd: Debugging is on", "reboot: Power down"], None),
    ],
)
def test_where_trouble_begins(lines: list[str], first: str | None) -> None:
    trouble = find_trouble(lines)
    assert (trouble[0].startswith(first) if first else trouble == ()) is True
    assert trouble == tuple(lines[len(lines) - len(trouble) :])


def test_a_hang_is_ended_and_nothing_of_it_lives_on(boot: Callable[..., GuestResult], tmp_path: Path) -> None:
    begin = time.monotonic()
    result = boot("sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 1000", timeout_s=4)
    assert (result.end, result.status) == ("timeout", None)
    assert time.monotonic() - begin < 20
    failure = GuestFailure(result)
    assert "had not finished after 4 s" in failure.message.replace("5 s", "4 s")
    assert failure.hint == "--guest-timeout SECONDS gives it longer"
    # The pretended guest's command is a process of this machine, in a session of its own: the agent ends it
    # when the host has gone. In a real guest it goes with the machine.
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_guest_that_does_not_boot(boot: Callable[..., GuestResult], monkeypatch: pytest.MonkeyPatch) -> None:
    result = boot("true", mode="noboot")
    assert (result.end, result.boot_s) == ("boot", None)
    assert "6.1.0-fake did not boot in the guest" in GuestFailure(result).message
    assert GuestFailure(result).said == result.console


def test_a_guest_that_hangs_at_boot(boot: Callable[..., GuestResult], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(virtme.BOOT_LIMIT_S, "tcg", 2.0)
    result = boot("true", mode="hang-booting")
    assert (result.end, result.boot_s) == ("boot", None)
    assert result.seconds < 15


@pytest.mark.parametrize("mode", ["silent-kvm", "broken-kvm"])
def test_where_kvm_runs_nothing_the_guest_is_emulated(
    boot: Callable[..., GuestResult], machine: Machine, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(virtme, "_SILENT_KVM_S", 2.0)
    fast = Machine(vng=machine.vng, qemu=machine.qemu, accel="kvm", cpus=4, memory_mib=512)
    result = boot("sh", "-c", "exit 5", mode=mode, machine=fast)
    assert (result.end, result.status) == ("done", 5)
    assert (result.machine.accel, result.machine.cpus) == ("tcg", 1)


def test_links_out_of_the_shared_folder_are_not_followed(boot: Callable[..., GuestResult], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("0")
    out, err = io.BytesIO(), io.BytesIO()
    result = boot("true", mode="links", out=out, err=err)
    assert (result.status, out.getvalue(), err.getvalue()) == (None, b"", b"")
    assert secret.read_text() == "0"  # `alive` was written several times meanwhile


def test_what_the_kernel_complained_of_is_told_beside_a_good_end(boot: Callable[..., GuestResult]) -> None:
    result = boot("true", mode="complain")
    assert (result.end, result.status) == ("done", 0)
    assert result.trouble == ("[   20.000000] Out of memory: Killed process 99 (hog)",)


def test_the_agent_ends_the_command_when_the_host_has_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "ABANDONED_S", 1.0)
    monkeypatch.setattr(agent, "POLL_S", 0.1)
    monkeypatch.setattr(agent, "spare", lambda pid, score: None)
    job = {"argv": ["sleep", "1000"], "cwd": str(tmp_path), "env": dict(os.environ)}
    (tmp_path / "job.json").write_text(json.dumps(job))
    (tmp_path / "alive").write_text("0")
    agent.main(tmp_path)
    assert (tmp_path / "status").read_text() == str(128 + signal.SIGKILL)
    assert (tmp_path / "stage").read_text() == "done"


def test_the_command_line_of_a_guest(machine: Machine) -> None:
    argv = virtme.vng_argv(machine, IMAGE, Path("/share"), stubs=Path("/stubs"))
    assert argv[:5] == [str(machine.vng), "--run", "/boot/vmlinuz-6.1.0-fake", "--qemu", "/usr/bin/qemu"]
    assert "--disable-kvm" in argv and argv[argv.index("--cpus") + 1] == "1"
    assert "--rwdir=/run/kfgraph=/share" in argv
    assert "--rw" not in argv  # the host's root stays read-only
    assert any(a.startswith("PATH=/stubs:") for a in argv)
    assert not any(a.startswith("PATH=") for a in virtme.vng_argv(machine, IMAGE, Path("/s"), stubs=Path("/a b")))
    fast = Machine(vng=machine.vng, qemu=machine.qemu, accel="kvm", cpus=4, memory_mib=512)
    argv = virtme.vng_argv(fast, IMAGE, Path("/share"), stubs=Path("/stubs"))
    assert "--disable-kvm" not in argv and argv[argv.index("--cpus") + 1] == "4"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("exit 33", ""),
        ("echo 'qemu: error: no MSR 0x10a' >&2; exit 1", "KVM does not start a machine: no MSR 0x10a"),
        ("exit 4", "KVM does not start a machine: qemu ended with 4"),
    ],
)
def test_kvm_is_tried_not_believed(tmp_path: Path, answer: str, expected: str) -> None:
    qemu, device = tmp_path / "qemu", tmp_path / "kvm"
    qemu.write_text(f"#!/bin/sh\n{answer}\n")
    qemu.chmod(0o755)
    device.touch()
    assert kvm.obstacle(qemu, device=device) == expected
    assert kvm.obstacle(qemu, device=tmp_path / "none") == f"no {tmp_path}/none"


@pytest.mark.parametrize(
    ("kvm_s", "tcg_s", "expected"),
    [
        ([0.4], None, ""),
        ([30.0, 0.4], 0.1, ""),  # the first one waited for the disk
        ([30.0, 30.0], 0.1, "KVM is slower than emulation: nothing ran in 1.0 s, emulated in 0.1 s"),
        ([1.2, 1.2], 0.6, ""),  # a machine that is merely busy is slow at both
        ([1.2, 1.9], 0.6, "KVM is slower than emulation: nothing ran in 1.8 s, emulated in 0.6 s"),
        ([30.0, 14.0], 30.0, ""),  # there is nothing to compare with
        ([30.0, 30.0], 30.0, "KVM does not start a machine: nothing ran"),
    ],
)
def test_a_kvm_that_is_slower_than_emulation_is_no_kvm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kvm_s: list[float], tcg_s: float | None, expected: str
) -> None:
    # Seen on nested machines.
    needs = {"kvm": kvm_s, "tcg": [] if tcg_s is None else [tcg_s]}

    def attempt(qemu: Path, accel: str, *, limit_s: float = 15.0) -> tuple[str, float]:
        took = needs[accel].pop(0)
        return ("", took) if took < limit_s else ("nothing ran", limit_s)

    monkeypatch.setattr(kvm, "_try", attempt)
    (tmp_path / "kvm").touch()
    assert kvm.obstacle(tmp_path / "qemu", device=tmp_path / "kvm") == expected
    assert needs == {"kvm": [], "tcg": []}


def test_a_machine_that_runs_nothing_is_killed(tmp_path: Path) -> None:
    qemu = tmp_path / "qemu"
    qemu.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 1000\n")
    qemu.chmod(0o755)
    assert kvm._try(qemu, "tcg", limit_s=0.5) == ("nothing ran in 0.5 s", 0.5)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_the_first_instructions_of_a_machine_end_it(program: Callable[[str, str], str], tmp_path: Path) -> None:
    qemu = program("qemu-system-x86_64", "qemu-system-x86")
    assert kvm._try(Path(qemu), "tcg")[0] == ""


@pytest.mark.parametrize(
    ("missing", "hint"), [("find_vng", "pip install 'kfgraph[guest]'"), ("find_qemu", "apt-get install")]
)
def test_a_missing_program(missing: str, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "find_vng", lambda: Path("/vng"))
    monkeypatch.setattr(machines, "find_qemu", lambda: Path("/qemu"))
    monkeypatch.setattr(machines, missing, lambda: None)
    with pytest.raises(MachineError, match="is not installed") as caught:
        machines.find_machine()
    assert hint in caught.value.hint


# The recording that comes back


USER = User("nobody", 65534, 65534, "/")
RECORDING = Recording(
    path=Path("/out"),
    n_bytes=5,
    exit_status=1,
    interrupted_by=0,
    still_runs=0,
    recorded_s=0.5,
    stats=(CpuStats(0, 100, 2),),
    partial="",
    companion=Companion(argv=("insmod", "foo.ko"), kernel="6.1.0-fake", exit_status=1, notes=("a note",)),
)


def test_options_and_a_recording_survive_the_way_through_json() -> None:
    command = Command("/sbin/insmod", ("insmod", "foo.ko"), {"A": "b"}, cwd="/tmp")
    options = CaptureOptions(roots=("a", "b"), buffer_kb=64, command=command, duration_s=1.5)
    for given in (options, CaptureOptions(pids=(1, 2)), replace(options, command=replace(command, user=USER))):
        assert CaptureOptions.from_dict(json.loads(json.dumps(given.to_dict()))) == given
    told = json.loads(json.dumps(RECORDING.to_dict()))
    assert Recording.from_dict(told, path=Path("/out")) == RECORDING


def in_guest(inside: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recording:
    """record_in_guest with a guest that does ``inside`` to the shared folder."""

    def boot(argv: object, image: KernelImage, folder: Path, **more: object) -> GuestResult:
        (folder / "share").mkdir(parents=True)
        inside(folder / "share")
        machine = more["machine"]
        assert isinstance(machine, Machine)
        return GuestResult("done", 1, (), (), image, machine, 1.0, 2.0)

    monkeypatch.setattr(virtme, "boot", boot)
    monkeypatch.setattr(host, "find_recorder", lambda: "trace-cmd")
    options = CaptureOptions(command=Command("/bin/true", ("true",), {}), output=str(tmp_path / "trace.dat"))
    machine = Machine(Path("/vng"), Path("/qemu"), "tcg", 1, 512)
    return host.record_in_guest(options, IMAGE, machine=machine).recording


def test_trace_and_companion_are_put_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def inside(share: Path) -> None:
        (share / "trace.dat").write_bytes(b"\x17\x08\x44tracing...")
        (share / "recording").write_text(json.dumps(RECORDING.to_dict()))

    recording = in_guest(inside, tmp_path, monkeypatch)
    assert recording.status == 1
    assert recording.path == tmp_path / "trace.dat"
    assert recording.path.read_bytes() == b"\x17\x08\x44tracing..."
    companion = Companion.from_dict(json.loads((tmp_path / "trace.dat.kfgraph.json").read_text()))
    assert companion.notes == ("recorded in a guest: 6.1.0-fake, 1 CPU, emulated, so times are long", "a note")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["trace.dat", "trace.dat.kfgraph.json"]


def test_a_command_that_had_not_ended_went_with_its_guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def inside(share: Path) -> None:
        (share / "trace.dat").write_bytes(b"\x17\x08\x44tracing...")
        told = replace(RECORDING, exit_status=None, still_runs=117, interrupted_by=2)
        (share / "recording").write_text(json.dumps(told.to_dict()))

    recording = in_guest(inside, tmp_path, monkeypatch)
    assert (recording.still_runs, recording.status) == (0, 130)
    assert recording.warnings == ("insmod had not ended: it went with the guest",)


def test_the_tracers_own_frames_are_left_out_of_a_stack() -> None:
    frames = ["[ 1.0]  widget_init+0x20/0x1000 [widget]", "[ 1.0]  ? ftrace_regs_caller_end+0x59/0x59"]
    frames += ["[ 1.0]  ? prepare_ftrace_return+0x1/0x2", "[ 1.0]  ? do_one_initcall+0x56/0x220"]
    lines = ("[ 1.0] BUG: x", *frames)
    result = GuestResult("died", None, lines, lines, IMAGE, Machine(Path("/v"), Path("/q"), "kvm", 4, 512), 1.0, 2.0)
    assert last_words(result) == (lines[0], frames[0], frames[3])


@pytest.mark.parametrize(
    ("files", "kind", "text"),
    [
        ({"failure": '{"message": "no such event x", "hint": "h", "exit_code": 125}'}, CaptureError, "no such event x"),
        ({"failure": '{"message": "foo: gone", "exit_code": 127}'}, CommandNotFound, "in the guest: foo: gone"),
        (
            {"failure": '{"message": "disk full", "hint": "trace-cmd restore /run/kfgraph/x", "exit_code": 125}'},
            CaptureError,
            "in the guest: disk full",
        ),
        ({"recording": '{"n_bytes": "?"}', "trace.dat": ""}, CaptureError, "cannot be read"),
        ({"recording": "{}"}, CaptureError, "cannot be read"),
        ({"recording": "rubbish"}, GuestFailure, "ended before the command did"),
        ({}, GuestFailure, "ended before the command did"),
    ],
)
def test_nothing_is_left_where_there_is_no_trace_to_bring_back(
    files: dict[str, str], kind: type[CaptureError], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inside(share: Path) -> None:
        for name, content in files.items():
            (share / name).write_text(content)

    with pytest.raises(kind, match=text) as caught:
        in_guest(inside, tmp_path, monkeypatch)
    # What lay in there is gone.
    assert "/run/kfgraph" not in caught.value.hint
    assert list(tmp_path.iterdir()) == []


WHOLE = (Path(__file__).parents[2] / "examples" / "insmod-fail19.dat").read_bytes()
BROKEN = b"\x17\x08\x44tracing..."


@pytest.mark.parametrize(("began", "restored"), [(True, WHOLE), (True, BROKEN), (True, b""), (False, b"")])
def test_what_a_dead_guest_had_written_is_saved_by_a_second(
    began: bool, restored: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boots: list[list[str]] = []

    def boot(argv: Sequence[str], image: KernelImage, folder: Path, **more: Any) -> GuestResult:
        boots.append(list(argv))
        share = folder / "share"
        share.mkdir(parents=True)
        if len(boots) == 1:
            (share / ".kfgraph-abc").mkdir()
            for cpu, data in ((0, b""), (10, b"ten"), (2, b"two")):
                (share / ".kfgraph-abc" / f"trace.dat.cpu{cpu}").write_bytes(data)
            (share / ".kfgraph-abc" / "trace.dat.cpu3").symlink_to("/etc/passwd")
            if began:
                known = Companion(argv=("true",), pids=(117,), kernel="6.1.0-fake", notes=("a note",))
                (share / "trace-companion").write_text(json.dumps(known.to_dict()))
            lines = ("Kernel panic - not syncing: so it was",)
            stage = "running" if began else "preparing"
            return GuestResult("died", None, lines, lines, image, more["machine"], 1.0, 2.0, stage)
        assert {name: path.read_bytes() for name, path in more["files"].items()} == {
            "trace.dat.cpu0": b"",
            "trace.dat.cpu2": b"two",
            "trace.dat.cpu10": b"ten",
        }
        if restored:
            (share / "trace.dat").write_bytes(restored)
        return GuestResult("done", 0 if restored else 1, (), (), image, more["machine"], 1.0, 2.0)

    monkeypatch.setattr(virtme, "boot", boot)
    monkeypatch.setattr(host, "find_recorder", lambda: "trace-cmd")
    options = CaptureOptions(command=Command("/bin/true", ("true",), {}), output=str(tmp_path / "t.dat"))
    with pytest.raises(GuestFailure, match="panicked: so it was") as caught:
        host.record_in_guest(options, IMAGE, machine=Machine(Path("/vng"), Path("/qemu"), "kvm", 4, 512))
    if not began:  # what there is, is not the command's
        assert len(boots) == 1 and list(tmp_path.iterdir()) == []
        return
    files = [f"/run/kfgraph/trace.dat{cpu}" for cpu in ("", ".cpu0", ".cpu2", ".cpu10")]
    assert boots[1] == ["trace-cmd", "restore", "-o", *files]
    if restored != WHOLE:
        assert list(tmp_path.iterdir()) == []
        lost = "; its recording was still in its memory and is lost: --buffer 4M keeps less there"
        assert caught.value.hint == f"its last words are above; this machine is untouched{lost}"
        return
    assert (tmp_path / "t.dat").read_bytes() == WHOLE
    companion = Companion.from_dict(json.loads((tmp_path / "t.dat.kfgraph.json").read_text()))
    assert companion.partial == "the guest's kernel (6.1.0-fake) panicked: so it was"
    assert (companion.argv, companion.pids) == (("true",), (117,))
    assert companion.notes == ("recorded in a guest: 6.1.0-fake, 4 CPUs, KVM", "a note")
    assert caught.value.hint == f"what it had recorded until shortly before is in {tmp_path}/t.dat"


def test_a_module_for_another_kernel_is_refused_before_booting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def module(path: Path) -> Module:
        release = {"foo.ko": "6.12.0-1-amd64", "mine.ko": "6.1.0-fake"}.get(path.name)
        if release is None:
            raise InputError(f"{path}: no module")
        return Module(ModuleImage(path.stem, str(path), "", f"{release} SMP mod_unload", ()), (), frozenset())

    monkeypatch.setattr(loads, "read_module", module)
    fitting = KernelImage("6.12.0-1-amd64", Path("/boot/vmlinuz-6.12.0-1-amd64"), readable=True, modules=Path("/m"))
    monkeypatch.setattr(images, "list_images", lambda: (fitting,))

    def check(*argv: str) -> None:
        checks.check_modules(CaptureOptions(command=Command("/bin/x", argv, {}, cwd=str(tmp_path))), IMAGE)

    check("insmod", "mine.ko")
    check("ls", "missing.ko")
    said = "foo.ko was built for 6.12.0-1-amd64, the guest runs 6.1.0-fake"
    shell = "insmod mine.ko; insmod foo.ko"
    inside = f"cd {tmp_path} &&\n# comes first\ninsmod foo.ko"
    for argv in (
        ("insmod", "foo.ko", "fail=19"),
        ("sudo", "insmod", "foo.ko"),
        ("sh", "-c", shell),
        ("env", "-C", "/", "sh", "-c", inside),
    ):
        with pytest.raises(CaptureError, match=said) as caught:
            check(*argv)
        assert caught.value.hint == "kfgraph trace --guest-kernel /boot/vmlinuz-6.12.0-1-amd64"
    monkeypatch.setattr(images, "list_images", tuple)
    with pytest.raises(CaptureError) as caught:
        check("insmod", "foo.ko")
    assert "make -C /lib/modules/6.1.0-fake/build" in caught.value.hint


@pytest.mark.parametrize(
    ("argv", "cwd", "message"),
    [
        (("insmod", "none.ko"), "", "insmod: .*/none.ko: No such file or directory"),
        (("sh", "-c", "make; insmod none.ko"), "", ""),  # it may be made first
        (("true",), "/no/such", "cannot change to /no/such: no such directory"),
    ],
)
def test_what_is_missing_is_told_before_booting(
    argv: tuple[str, ...], cwd: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = CaptureOptions(command=Command("/bin/x", argv, {}, cwd=cwd))
    if message:
        with pytest.raises(CaptureError, match=message):
            checks.check_places(options)
    else:
        checks.check_places(options)
        assert [text.partition(": not")[0] for text in checks.check_modules(options, IMAGE)] == ["insmod none.ko"]


def test_the_line_inside_as_far_as_it_is_known_outside(machine: Machine, tmp_path: Path) -> None:
    command = Command("/bin/true", ("true",), {})

    def lines(options: CaptureOptions, **config: str) -> list[str]:
        image = replace(IMAGE, config={f"CONFIG_{name}": value for name, value in config.items()})
        return host.lines_inside(replace(options, command=command), image, machine)

    begin = "trace-cmd record -p function_graph -o /run/kfgraph/trace.dat -b"
    early = "echo 1 > /sys/kernel/tracing/buffer_percent"
    plain = f"{begin} 65536 -P PID -e sched:sched_process_exec"
    raw = "-e raw_syscalls:sys_enter -e raw_syscalls:sys_exit"
    assert lines(CaptureOptions(syscalls=False)) == [early, plain]
    assert lines(CaptureOptions()) == [early, f"{plain} {raw}"]
    inside = host._for_inside(CaptureOptions(command=command, output="t.dat", force=False), machine)
    assert (inside.default_buffer_kb, inside.buffer_kb, inside.given) == (65536, None, {})
    assert (inside.output, inside.force) == ("/run/kfgraph/trace.dat", True)
    assert inside.command == replace(command, cwd=str(Path.cwd()), own_group=True)
    options = CaptureOptions(buffer_kb=64, roots=("vfs_open",), syscalls=True, args=False, irq=False, min_duration_us=5)
    assert lines(options, FUNCTION_TRACE_ARGS="y", FUNCTION_GRAPH_RETVAL="y") == [
        "echo 5 > /sys/kernel/tracing/tracing_thresh",
        early,
        f"{begin} 64 -P PID -e sched:sched_process_exec -e syscalls "
        "-O nofuncgraph-args -O funcgraph-retval -O nofuncgraph-irqs -g vfs_open",
    ]
    paths, note, _, line = lines(CaptureOptions(returns=("vfs_open",)), KPROBE_EVENTS="y", KRETPROBES="y")
    assert paths == "# probes on getname and getname_flags, where the kernel has them: paths of system calls"
    assert note.startswith("# return probes for --returns and the loader") and line.endswith(" -e kfgraph")


def test_ctrl_c_while_it_boots_ends_the_guest_and_later_goes_to_the_command() -> None:
    def ctrl_c() -> None:
        # To this thread, in which it is blocked: a test runner may have others.
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    for stage in ("booting", "preparing"):
        with host._Signals() as signals:
            assert signals.take(stage) == []
            ctrl_c()
            with pytest.raises(KeyboardInterrupt):
                signals.take(stage)
    with host._Signals() as signals:
        for _ in range(2):
            ctrl_c()
            assert signals.take("running") == [signal.SIGINT]
        ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            signals.take("running")


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ("kfgraph doctor lists what is missing; kfgraph trace --guest records in a virtual machine",
         "another kernel may do: --guest-kernel list"),
        ("boot a distribution's kernel, or use --guest", "another kernel may do: --guest-kernel list"),
        ("kfgraph trace --guest-kernel list", "kfgraph trace --guest-kernel list"),
        ("wait for it to end, or stop it", "wait for it to end, or stop it"),
    ],
)  # fmt: skip
def test_a_hint_from_inside_a_guest_does_not_ask_for_one(inside: str, outside: str) -> None:
    failure = host._failure({"message": "no tracer", "hint": inside, "exit_code": 125})
    assert (failure.message, failure.hint) == ("in the guest: no tracer", outside)


@pytest.mark.parametrize(
    ("line", "typed"),
    [
        (["trace", "-f", "true"], "kfgraph trace --guest -f true"),
        (["--debug", "trace", "true"], "kfgraph --debug trace --guest true"),
        (["why", "t.dat", "--", "insmod", "foo.ko"], "kfgraph why --guest t.dat -- insmod foo.ko"),
        (["trace", "-p", "1"], "otherwise"),
    ],
)
def test_the_same_line_for_a_guest(line: list[str], typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    with running(Invocation.of(line)):
        assert checking._in_a_guest("otherwise") == typed
