"""``kfgraph trace --guest``: the job goes into a guest, the trace comes back, the guest is thrown away."""

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

from kfgraph.capture import guest, inside, signals
from kfgraph.capture.guest import GuestResult, Machine
from kfgraph.capture.job import Job, recording_from_dict
from kfgraph.capture.loads import find_loads, module_files
from kfgraph.capture.output import OutputFile
from kfgraph.capture.plan import default_buffer_kb
from kfgraph.capture.prepare import Wishes, plan_of
from kfgraph.capture.probes import GROUP
from kfgraph.capture.recorder import PROGRAM, Look, find_recorder, look_at_magic
from kfgraph.capture.run import Recording
from kfgraph.errors import CaptureError, CommandNotExecutable, CommandNotFound, Interrupted
from kfgraph.kernel import images
from kfgraph.kernel.images import KernelImage
from kfgraph.model.companion import Companion
from kfgraph.model.units import plural

OnStage = Callable[[str, float], None]
_ASKED = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
_LAST_LINES = 40
# Of a stack that was taken while the graph was recorded, every second line.
_TRACERS_FRAME = re.compile(r"\] +\? \w*(ftrace|function_graph|trace_graph|return_to_handler)\w*")
# Started there by name; it gives capture.inside what is no part of this room.
_INSIDE = "kfgraph.cli.inside"
_RESCUE_LIMIT_S = 240.0


@dataclass(frozen=True)
class GuestRecording:
    """A recording made in a guest, and how the guest fared."""

    recording: Recording
    result: GuestResult


def record_in_guest(
    job: Job,
    image: KernelImage,
    *,
    machine: Machine | None = None,
    timeout_s: float = 600.0,
    out: IO[bytes] | None = None,
    err: IO[bytes] | None = None,
    on_stage: OnStage | None = None,
    look: Look = look_at_magic,
) -> GuestRecording:
    """Carry the job out in a guest that boots ``image``; the trace lies at ``job.output`` afterwards.

    The command's output goes to ``out`` and ``err`` while it runs. A signal for this process (Ctrl-C, TERM,
    HUP) goes to the command in the guest; while that boots, and at the third time, it ends the guest.
    ``on_stage`` is called often with "booting", "preparing", "running", "done", "copying" or "rescuing", and the
    seconds so far.
    ``look`` judges what is saved of a guest that died.

    Raises:
        CaptureError: kfgraph's own failure, inside or outside; a guest that died, hung or ran out of time
            (:class:`GuestFailure`, with what the kernel said).
        MachineError: QEMU, virtme-ng or trace-cmd is missing, or the image cannot be booted.
        Interrupted: asked to stop before there was anything to record.
    """
    if job.pids:
        raise CaptureError("-p: the processes of this machine are not in the guest", hint="give a command to run there")
    find_recorder()
    machine = machine or guest.find_machine()
    output = OutputFile(job.output, force=job.force)
    try:
        folder = output.temporary.parent / "guest"
        folder.mkdir()
        with _Signals() as asked:
            result = guest.boot(
                [sys.executable, "-m", _INSIDE, str(guest.SHARE)],
                image,
                folder,
                machine=machine,
                cwd=Path("/"),  # python -m looks for modules there first
                prepares=True,
                files={inside.JOB: json.dumps(_for_inside(job, machine).to_dict())},
                timeout_s=timeout_s,
                out=out,
                err=err,
                on_stage=on_stage,
                signals=asked.take,
            )
        if on_stage is not None:
            on_stage("copying", result.seconds)
        try:
            recording = _bring_back(job, result, folder / "share", output)
        except GuestFailure as failure:
            if result.stage == "running":
                if _rescue(job, failure, folder / "share", output, on_stage, look):
                    failure.hint = f"what it had recorded until shortly before is in {job.output}"
                else:
                    lost = "its recording was still in its memory and is lost: --buffer 4M keeps less there"
                    failure.hint = f"{failure.hint}; {lost}"
            raise
    finally:
        output.discard()
    return GuestRecording(recording, result)


def check_modules(job: Job, image: KernelImage) -> tuple[str, ...]:
    """Are the module files that the command names built for the guest's kernel? A sentence for each not looked into.

    Raises:
        CaptureError: one is not; the hint names the image that fits, or how to build it. Or a file given with
            --module is no module.
    """
    # modprobe here would look among the modules of this machine's own kernel.
    loads = find_loads(job.command, named=job.wishes.modules, show_depends=lambda _: None)
    for module in loads.modules:
        release = module.image.vermagic.partition(" ")[0]
        if not release or release == image.release:
            continue
        fitting = next((i for i in images.list_images() if i.release == release), None)
        if fitting is not None and not fitting.obstacles():
            hint = f"kfgraph trace --guest-kernel {fitting.path}"
        else:
            build = f"make -C /lib/modules/{image.release}/build M=DIR"
            hint = f"build it for this one ({build}), or install linux-image-{release}"
        raise CaptureError(f"{module.image.path} was built for {release}, the guest runs {image.release}", hint=hint)
    return loads.unread


# What virtme-ng mounts over this machine's own.
_OWN_FOLDERS = ("/dev", "/proc", "/run", "/sys")


def check_places(job: Job) -> None:
    """Are the folders and files that the job names there in a guest?

    Raises:
        CaptureError: one lies where the guest has a folder of its own; the directory, or the file that insmod is to
            load, is nowhere.
    """
    if job.command is None:
        return
    if job.command.cwd and not os.path.isdir(job.command.cwd):  # noqa: PTH112
        raise CaptureError(f"cannot change to {job.command.cwd}: no such directory")
    loads = module_files(job.command.argv, cwd=job.command.cwd, show_depends=lambda _: None)
    named = [("the directory", job.command.cwd or "."), ("the command", job.command.path)]
    named += [("the module", str(load.path)) for load in loads if load.path]
    named += [("the module", module) for module in job.wishes.modules]
    for what, name in named:
        real = os.path.realpath(name)
        top = next((folder for folder in _OWN_FOLDERS if real == folder or real.startswith(f"{folder}/")), None)
        if top:
            hint = "--cwd DIR runs it elsewhere" if what == "the directory" else "copy it elsewhere, to /tmp for one"
            raise CaptureError(f"{what} {real} is not in the guest, which has a {top} of its own", hint=hint)
    if Path(job.command.argv[0]).name == "insmod":
        for file in filter(None, (load.path for load in loads)):  # in a script something may make it first
            try:
                file.stat()
            except OSError as problem:
                message = f"insmod: {file}: {problem.strerror}"
                raise CaptureError(message, hint="no guest was booted for it") from problem


def lines_inside(job: Job, image: KernelImage, machine: Machine) -> list[str]:
    """The recorder's line in a guest with this kernel, told from its config."""
    wishes = job.wishes
    loads = find_loads(job.command, named=wishes.modules, show_depends=lambda _: None)
    offered = ((wishes.args, image.args, "funcgraph-args"), (wishes.retval, image.retval, "funcgraph-retval"))
    options = [option if wish is not False else f"no{option}" for wish, has, option in offered if has]
    options += [] if wishes.irq else ["nofuncgraph-irqs"]
    plan = plan_of(wishes, buffer_kb=_buffer_kb(wishes, machine), options=options)
    plan = replace(plan, drain_percent=inside.DRAIN_PERCENT)
    lines = []
    if (loads.asked or wishes.returns) and image.probes and not image.retval and not wishes.no_returns:
        plan = plan.with_probes(GROUP, notrace=())
        of = ", ".join(m.image.name for m in loads.asked) or "--returns"
        lines.append(f"# return probes for {of} and the loader, with -n for each function that they run themselves")
    output = str(guest.SHARE / inside.TRACE)
    return lines + plan.shell_lines(recorder=PROGRAM, pids=("PID",), output=output, tracefs="/sys/kernel/tracing")


def _buffer_kb(wishes: Wishes, machine: Machine) -> int:
    # Told from out here, so that a dry run knows it too.
    return wishes.buffer_kb or default_buffer_kb(available_kb=machine.memory_mib * 1024, n_cpus=machine.cpus)


def _for_inside(job: Job, machine: Machine) -> Job:
    # OutputFile has looked at the real place; the guest writes to the shared folder.
    wishes = replace(job.wishes, buffer_kb=_buffer_kb(job.wishes, machine))
    cwd = os.path.abspath(job.command.cwd or ".") if job.command else ""  # noqa: PTH100 (links stay)
    # No terminal sees to it there that a key's signal goes to all that the command has started.
    command = job.command and replace(job.command, cwd=cwd, own_group=True)
    return replace(job, wishes=wishes, command=command, output=str(guest.SHARE / inside.TRACE), force=True)


class GuestFailure(CaptureError):
    """The guest ended before the recording did. ``said`` are the last lines of its kernel, from the trouble on."""

    def __init__(self, result: GuestResult) -> None:
        """The sentence for this end."""
        # The first complaint says why; the panic that follows only that it was fatal.
        panicked = any("Kernel panic" in line for line in result.trouble)
        release = result.image.release
        hint = "kfgraph doctor checks this machine; --guest-kernel list shows other kernels"
        if panicked:
            why = re.sub(r"^\[ *[\d.]+\] |Kernel panic - not syncing: ", "", result.trouble[0])
            message = f"the guest's kernel ({release}) panicked: {why}"
            hint = "its last words are above; this machine is untouched"
        elif result.end == "timeout":
            stages = {"booting": "was still booting", "preparing": "had not begun with the command"}
            doing = stages.get(result.stage, "had not finished")
            message = f"the guest {doing} after {result.seconds:.0f} s and was killed"
            hint = "--guest-timeout SECONDS gives it longer"
        elif result.end == "boot":
            message = f"{release} did not boot in the guest ({result.seconds:.0f} s)"
        else:
            message = f"the guest ({release}) ended before the command did"
        super().__init__(message, hint)
        self.result = result
        self.said = last_words(result)


def last_words(result: GuestResult, *, n_lines: int = _LAST_LINES) -> tuple[str, ...]:
    """The kernel's lines worth showing: from its first complaint on, else the last few; at most ``n_lines``."""
    if not result.trouble:
        return result.console[-10:]
    trouble = tuple(line for line in result.trouble if not _TRACERS_FRAME.search(line))
    if len(trouble) <= n_lines:
        return trouble
    n_left_out = len(trouble) - n_lines
    return (*trouble[: n_lines - 5], f"... {n_left_out} more lines ...", *trouble[-5:])


def _bring_back(job: Job, result: GuestResult, share: Path, output: OutputFile) -> Recording:
    """Put the trace and its companion in place.

    Raises:
        CaptureError: the recording failed, inside or with the whole guest.
    """
    told = _read_json(share / inside.RECORDING)
    if told is None:
        failure = _read_json(share / inside.FAILURE)
        if failure is None:
            raise GuestFailure(result)
        raise _failure(failure)
    try:
        # No guest runs any more, so what is a plain file now stays one.
        if not stat.S_ISREG((share / inside.TRACE).lstat().st_mode):
            raise ValueError(f"{inside.TRACE} is no file")
        recording = _noted(Recording(path=output.path, **recording_from_dict(told)), result)
        (share / inside.TRACE).replace(output.temporary)
    except (OSError, KeyError, TypeError, ValueError) as problem:
        raise CaptureError(f"the guest's account of the recording cannot be read: {problem!r}") from problem
    output.commit(recording.companion)
    return recording


def _rescue(
    job: Job, failure: GuestFailure, share: Path, output: OutputFile, on_stage: OnStage | None, look: Look
) -> bool:
    """Make a trace of what a dead guest's recorder had written; True if there is one at its place now.

    A second guest with the same kernel does it: there are the event formats and, without KASLR, the addresses.
    """
    result = failure.result
    parts = {part.name: part for part in share.glob(".kfgraph-*/trace.dat.cpu*") if stat.S_ISREG(part.lstat().st_mode)}
    known = _known(job, result, share)
    if not any(part.stat().st_size for part in parts.values()):
        return False
    # trace-cmd counts the CPUs by the order of their files.
    names = sorted(parts, key=lambda name: int(name.rpartition("cpu")[2]))
    folder = output.temporary.parent / "rescue"
    target = guest.SHARE / inside.TRACE
    restored = guest.boot(
        [find_recorder(), "restore", "-o", str(target), *(str(guest.SHARE / name) for name in names)],
        result.image,
        folder,
        machine=result.machine,
        files=parts,
        timeout_s=_RESCUE_LIMIT_S,
        on_stage=on_stage and (lambda _, seconds: on_stage("rescuing", seconds)),
    )
    found = folder / "share" / inside.TRACE
    if restored.status != 0 or not look(found).usable:
        return False
    found.replace(output.temporary)
    output.commit(replace(known, partial=failure.message))
    return True


def _known(job: Job, result: GuestResult, share: Path) -> Companion:
    """What was known of a recording when its command began, if it came so far."""
    told = _read_json(share / inside.COMPANION)
    try:
        known = Companion.from_dict(told or {})
    except (KeyError, TypeError, ValueError):
        argv = job.command.argv if job.command else ()
        known = Companion(argv=argv, options=job.said, kernel=result.image.release)
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
        data = json.loads(guest.read_shared(path))
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def _failure(told: dict[str, Any]) -> CaptureError:
    """The failure inside, as one out here."""
    kinds = {kind.exit_code: kind for kind in (CommandNotFound, CommandNotExecutable, CaptureError)}
    kind = kinds.get(told.get("exit_code", 0), CaptureError)
    hint = str(told.get("hint", ""))
    # What it kept there went with it.
    hint = "-o FILE writes somewhere else" if str(guest.SHARE) in hint else hint
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
