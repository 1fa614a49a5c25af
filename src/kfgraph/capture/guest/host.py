"""``kfgraph trace --guest``: the options go into a guest, the trace comes back, the guest is thrown away."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from kfgraph.capture import signals
from kfgraph.capture.guest import virtme, worker
from kfgraph.capture.guest.guest_failure import GuestFailure
from kfgraph.capture.guest.machine import Machine, find_machine
from kfgraph.capture.guest.virtme import GuestResult
from kfgraph.capture.loads import find_loads
from kfgraph.capture.output import OutputFile
from kfgraph.capture.plan import CaptureOptions, CapturePlan, default_buffer_kb
from kfgraph.capture.recorder import PROGRAM, find_recorder
from kfgraph.capture.recording import Recording
from kfgraph.capture.verify import verify
from kfgraph.errors import CaptureError, CommandNotExecutable, CommandNotFound, Interrupted
from kfgraph.kernel.images import KernelImage
from kfgraph.kernel.syscall_handlers import PATH_FUNCTIONS
from kfgraph.model.companion import Companion
from kfgraph.model.units import plural

OnStage = Callable[[str, float], None]
_ASKED = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
_RESCUE_LIMIT_S = 240.0


@dataclass(frozen=True)
class GuestRecording:
    """A recording made in a guest, and how the guest fared."""

    recording: Recording
    result: GuestResult


def record_in_guest(
    options: CaptureOptions,
    image: KernelImage,
    *,
    machine: Machine | None = None,
    timeout_s: float = 600.0,
    out: IO[bytes] | None = None,
    err: IO[bytes] | None = None,
    on_stage: OnStage | None = None,
) -> GuestRecording:
    """Record in a guest that boots ``image``; the trace lies at ``options.output`` afterwards.

    The command's output goes to ``out`` and ``err`` while it runs. A signal for this process (Ctrl-C, TERM,
    HUP) goes to the command in the guest; while that boots, and at the third time, it ends the guest.
    ``on_stage`` is called often with "booting", "preparing", "running", "done", "copying" or "rescuing", and the
    seconds so far.

    Raises:
        CaptureError: kfgraph's own failure, inside or outside; a guest that died, hung or ran out of time
            (:class:`GuestFailure`, with what the kernel said).
        MachineError: QEMU, virtme-ng or trace-cmd is missing, or the image cannot be booted.
        Interrupted: asked to stop before there was anything to record.
    """
    if options.pids:
        raise CaptureError("-p: the processes of this machine are not in the guest", hint="give a command to run there")
    find_recorder()
    machine = machine or find_machine()
    with OutputFile(options.output, force=options.force) as output:
        folder = output.folder / "guest"
        folder.mkdir()
        with _Signals() as asked:
            result = virtme.boot(
                [sys.executable, "-m", worker.__name__, str(virtme.SHARE)],
                image,
                folder,
                machine=machine,
                cwd=Path("/"),  # python -m looks for modules there first
                prepares=True,
                files={worker.OPTIONS: json.dumps(_for_inside(options, machine).to_dict())},
                timeout_s=timeout_s,
                out=out,
                err=err,
                on_stage=on_stage,
                signals=asked.take,
            )
        if on_stage is not None:
            on_stage("copying", result.seconds)
        try:
            recording = _bring_back(result, folder / "share", output)
        except GuestFailure as failure:
            if result.stage == "running":
                if _rescue(options, failure, folder / "share", output, on_stage):
                    failure.hint = f"what it had recorded until shortly before is in {options.output}"
                else:
                    lost = "its recording was still in its memory and is lost: --buffer 4M keeps less there"
                    failure.hint = f"{failure.hint}; {lost}"
            raise
    return GuestRecording(recording, result)


def lines_inside(options: CaptureOptions, image: KernelImage, machine: Machine) -> list[str]:
    """The recorder's line in a guest with this kernel, told from its config."""
    loads = find_loads(options.command, named=options.modules, show_depends=lambda _: None)
    offered = ((options.args, image.args, "funcgraph-args"), (options.retval, image.retval, "funcgraph-retval"))
    trace_options = [option if asked is not False else f"no{option}" for asked, has, option in offered if has]
    trace_options += [] if options.irq else ["nofuncgraph-irqs"]
    plan = CapturePlan(
        options,
        buffer_kb=options.buffer_kb or _default_buffer_kb(machine),
        drain_percent=worker.DRAIN_PERCENT,
        trace_options=tuple(trace_options),
        raw_syscalls=options.syscalls is None,
    )
    lines = []
    if image.probes and options.syscalls is not False:
        plan = replace(plan, probes_set=True)
        lines.append(f"# probes on {' and '.join(PATH_FUNCTIONS)}, where the kernel has them: paths of system calls")
    if (loads.asked or options.returns) and image.probes and not image.retval and not options.no_returns:
        plan = replace(plan, probes_set=True)
        of = ", ".join(m.image.name for m in loads.asked) or "--returns"
        lines.append(f"# return probes for {of} and the loader, with -n for each function that they run themselves")
    output = str(virtme.SHARE / worker.TRACE)
    return lines + plan.shell_lines(recorder=PROGRAM, pids=("PID",), output=output, tracefs="/sys/kernel/tracing")


def _default_buffer_kb(machine: Machine) -> int:
    # Told from out here, so that a dry run knows it too.
    return default_buffer_kb(available_kb=machine.memory_mib * 1024, n_cpus=machine.cpus)


def _for_inside(options: CaptureOptions, machine: Machine) -> CaptureOptions:
    command = options.command
    if command:
        cwd = os.path.abspath(command.cwd or ".")  # noqa: PTH100 (links stay)
        # No terminal sees to it there that a key's signal goes to all that the command has started.
        command = replace(command, cwd=cwd, own_group=True)
    return replace(
        options,
        command=command,
        # OutputFile has looked at the real place; the guest writes to the shared folder.
        output=str(virtme.SHARE / worker.TRACE),
        force=True,
        default_buffer_kb=_default_buffer_kb(machine),
    )


def _bring_back(result: GuestResult, share: Path, output: OutputFile) -> Recording:
    """Put the trace and its companion in place.

    Raises:
        CaptureError: the recording failed, inside or with the whole guest.
    """
    told = _read_json(share / worker.RECORDING)
    if told is None:
        failure = _read_json(share / worker.FAILURE)
        if failure is None:
            raise GuestFailure(result)
        raise _failure(failure)
    try:
        # No guest runs any more, so what is a plain file now stays one.
        if not stat.S_ISREG((share / worker.TRACE).lstat().st_mode):
            raise ValueError(f"{worker.TRACE} is no file")
        recording = _noted(Recording.from_dict(told, path=output.path), result)
        (share / worker.TRACE).replace(output.temporary)
    except (OSError, KeyError, TypeError, ValueError) as problem:
        raise CaptureError(f"the guest's account of the recording cannot be read: {problem!r}") from problem
    output.commit(recording.companion)
    return recording


def _rescue(
    options: CaptureOptions,
    failure: GuestFailure,
    share: Path,
    output: OutputFile,
    on_stage: OnStage | None,
) -> bool:
    """Make a trace of what a dead guest's recorder had written; True if there is one at its place now.

    A second guest with the same kernel does it: there are the event formats and, without KASLR, the addresses.
    """
    result = failure.result
    parts = {part.name: part for part in share.glob(".kfgraph-*/trace.dat.cpu*") if stat.S_ISREG(part.lstat().st_mode)}
    known = _known(options, result, share)
    if not any(part.stat().st_size for part in parts.values()):
        return False
    # trace-cmd counts the CPUs by the order of their files.
    names = sorted(parts, key=lambda name: int(name.rpartition("cpu")[2]))
    folder = output.folder / "rescue"
    target = virtme.SHARE / worker.TRACE
    restored = virtme.boot(
        [find_recorder(), "restore", "-o", str(target), *(str(virtme.SHARE / name) for name in names)],
        result.image,
        folder,
        machine=result.machine,
        files=parts,
        timeout_s=_RESCUE_LIMIT_S,
        on_stage=on_stage and (lambda _, seconds: on_stage("rescuing", seconds)),
    )
    found = folder / "share" / worker.TRACE
    if restored.status != 0 or not verify(found).usable:
        return False
    found.replace(output.temporary)
    output.commit(replace(known, partial=failure.message))
    return True


def _known(options: CaptureOptions, result: GuestResult, share: Path) -> Companion:
    """What was known of a recording when its command began, if it came so far."""
    told = _read_json(share / worker.COMPANION)
    try:
        known = Companion.from_dict(told or {})
    except (KeyError, TypeError, ValueError):
        argv = options.command.argv if options.command else ()
        known = Companion(argv=argv, options=options.given, kernel=result.image.release)
    return replace(known, notes=(_note(result), *known.notes))


def _noted(recording: Recording, result: GuestResult) -> Recording:
    """The recording, saying that it was made in a guest and in which, and that nothing of that is left."""
    companion = replace(recording.companion, notes=(_note(result), *recording.companion.notes))
    if not recording.still_runs:
        return replace(recording, companion=companion)
    ended = f"{companion.argv[0]} had not ended: it went with the guest"
    return replace(recording, companion=companion, still_runs=0, warnings=(*recording.warnings, ended))


def _note(result: GuestResult) -> str:
    how = "KVM" if result.machine.accel == "kvm" else "emulated, so times are long"
    return f"recorded in a guest: {result.image.release}, {plural(result.machine.cpus, 'CPU')}, {how}"


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(virtme.read_shared(path))
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def _failure(told: dict[str, Any]) -> CaptureError:
    """The failure inside, as one out here."""
    kinds = {kind.exit_code: kind for kind in (CommandNotFound, CommandNotExecutable, CaptureError)}
    kind = kinds.get(told.get("exit_code", 0), CaptureError)
    hint = str(told.get("hint", ""))
    # What it kept there went with it.
    hint = "-o FILE writes somewhere else" if str(virtme.SHARE) in hint else hint
    # It is one already.
    hint = "another kernel may do: --guest-kernel list" if re.search(r"--guest(?!-)", hint) else hint
    return kind(f"in the guest: {told.get('message', '')}", hint=hint)


class _Signals:
    """Holds back the signals that ask this process to end, so that they can be handed on."""

    def __enter__(self) -> _Signals:
        self._asked = signals.heeded(_ASKED)
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, self._asked)
        self._n = 0
        return self

    def __exit__(self, *_: object) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def take(self, stage: str) -> Sequence[int]:
        """The signals since the last call.

        Raises:
            Interrupted: nothing runs in the guest yet, or it was asked for the third time.
        """
        found = []
        while (got := signals.take(self._asked)) is not None:
            found.append(got.number)
        self._n += len(found)
        if found and (stage in ("booting", "preparing") or self._n > 2):
            raise Interrupted(found[-1])
        return found
