"""Behind ``kfgraph trace --guest``: the kernel to boot, the line that says what goes on, what the guest said."""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import stat
import sys
import termios
from dataclasses import replace
from pathlib import Path
from typing import IO, TextIO, cast

from kfgraph.capture.guest import checks, host, virtme
from kfgraph.capture.guest import machine as machines
from kfgraph.capture.guest.guest_failure import GuestFailure, last_words
from kfgraph.capture.output import OutputFile
from kfgraph.capture.plan import CaptureOptions
from kfgraph.capture.recording import Recording
from kfgraph.cli import checking, stdio
from kfgraph.cli.guest_choice import GuestChoice
from kfgraph.cli.liveline import LiveLine
from kfgraph.cli.messages import say, write_lines
from kfgraph.errors import UsageError
from kfgraph.kernel import images
from kfgraph.kernel.images import KernelImage
from kfgraph.model.spelling import shell_line, spelt_out_lines

_STAGES = {
    "booting": "booting",
    "preparing": "preparing to record in",
    "running": "recording in",
    "done": "shutting down",
    "copying": "copying back from",
    "rescuing": "saving what was recorded by",
}


def record(options: CaptureOptions, choice: GuestChoice, *, quiet: bool) -> Recording:
    """Record in a guest; its output goes to this process's.

    Raises:
        UsageError: processes of this machine are asked for.
        CaptureError, MachineError: as :func:`kfgraph.capture.guest.host.record_in_guest`.
    """
    image, doubts = _choose(options, choice)
    OutputFile(options.output, force=options.force).discard()  # can it be written there at all?
    for sentence in (*doubts, *_unheard_input()):
        say(sentence)
    machine = machines.find_machine()
    what = f"{image.release} in a guest" + (" (emulated)" if machine.accel == "tcg" else "")
    line = _StatusLine(sys.stderr, what, quiet=quiet)
    try:
        done = host.record_in_guest(
            options,
            image,
            machine=machine,
            timeout_s=choice.timeout_s,
            out=cast(IO[bytes], _Output(sys.stdout.buffer, line)),
            err=cast(IO[bytes], _Output(sys.stderr.buffer, line)),
            on_stage=line.update,
        )
    except GuestFailure as failure:
        line.end()
        _tell(failure.said)
        raise
    finally:
        line.end()
    if done.result.trouble:
        say("the guest's kernel complained:")
        _tell(last_words(done.result))
    told = tuple(warning for warning in done.recording.warnings if warning not in doubts)
    return replace(done.recording, warnings=told)


def _unheard_input() -> list[str]:
    """Nothing that is piped in reaches the guest."""
    with contextlib.suppress(OSError, ValueError):
        kind = os.fstat(0)
        waits = stat.S_ISREG(kind.st_mode) and kind.st_size > 0
        if waits or (stat.S_ISFIFO(kind.st_mode) and _bytes_waiting(0)):
            return ["the command's standard input is empty in a guest"]
    return []


def _bytes_waiting(handle: int) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(handle, termios.FIONREAD, count)
    return count[0]


def dry_run(options: CaptureOptions, choice: GuestChoice) -> int:
    """Print the command that would boot the guest, and the recorder's line inside as far as it is known out here."""
    image, doubts = _choose(options, choice)
    for sentence in doubts:
        say(sentence)
    machine = machines.find_machine()
    print(shell_line(virtme.vng_argv(machine, image, Path("SHARED_FOLDER"), stubs=Path("STUBS"))))
    print(f"# and inside, where {image.release} is asked what it can:")
    print(spelt_out_lines("\n".join(host.lines_inside(options, image, machine))))
    return 0


def list_kernels() -> int:
    """``--guest-kernel list``: every image, newest first, and what it can give."""
    from kfgraph.render.console import stdout_console
    from kfgraph.render.kernels import KernelsView

    found = images.list_images()
    if not found:
        say(f"no kernel image in {images.BOOT}", hint=machines.image_remedy())
    stdout_console().print(KernelsView(found), soft_wrap=True)
    return 0


def _choose(options: CaptureOptions, choice: GuestChoice) -> tuple[KernelImage, tuple[str, ...]]:
    if options.command is None:
        raise UsageError("-p: the processes of this machine are not in a guest", hint="give a command to run there")
    checking.check_for_guest()
    checks.check_places(options)
    image = machines.choose_image(choice.kernel)
    return image, checks.check_modules(options, image)


def _tell(lines: tuple[str, ...]) -> None:
    write_lines(f"  guest| {line}" for line in lines)


class _StatusLine:
    """What the guest is at: a line on a terminal, elsewhere only that it begins; nothing with -q."""

    def __init__(self, stream: TextIO, what: str, *, quiet: bool) -> None:
        self._line = LiveLine(stream, wanted=not quiet)
        self._stream = stream
        self._what = what
        self._column_0 = True
        self._stage = ""
        if not quiet and not self._line.live:
            write_lines([f"kfgraph: {_STAGES['booting']} {what}"], stream=stream)

    def update(self, stage: str, elapsed_s: float) -> None:
        if stage not in ("running", self._stage):
            self._fresh_line()
        self._stage = stage
        if self._column_0:
            self._line.update(f"kfgraph: {_STAGES.get(stage, stage)} {self._what}, {elapsed_s:.0f} s")

    def make_way(self, data: bytes) -> None:
        """``data`` of the command is about to be written to the terminal."""
        self._line.clear()
        self._column_0 = data.endswith(b"\n")

    def end(self) -> None:
        """Be gone, and at the beginning of a line, wherever the command stopped."""
        self._line.clear()
        self._fresh_line()

    def clear(self) -> None:
        """Others may write to the terminal: not behind this line."""
        self._line.clear()

    def _fresh_line(self) -> None:
        if self._line.live and not self._column_0:
            with contextlib.suppress(OSError):
                self._stream.write("\n")
                self._stream.flush()
        self._column_0 = True


class _Output:
    """The command's output, with the status line out of its way where both are on the terminal."""

    def __init__(self, stream: IO[bytes], line: _StatusLine) -> None:
        self._stream = stream
        self._line = line
        self._on_terminal = stream.isatty()

    def write(self, data: bytes) -> int:
        if self._on_terminal:
            self._line.make_way(data)
        else:
            self._line.clear()
        try:
            return self._stream.write(data)
        except BrokenPipeError:
            stdio.drop(self._stream)
            return len(data)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:  # its reader has gone (head); the guest goes on
            stdio.drop(self._stream)
