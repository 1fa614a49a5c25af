"""Other programs, run for what they print: for so long, for so many bytes, and with their children gone afterwards."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PIECE = 1 << 20
_LINGER_S = 0.1
"""A child of the program may keep its pipes open; what it has to say is waited for this long."""


class Overrun(Exception):
    """A program that was killed; the text says why."""


@dataclass(frozen=True)
class Bounds:
    """``seconds`` for all of it, ``silent_s`` between two pieces of output, ``n_bytes`` of stdout.

    Of stderr, ``n_complaint`` bytes are kept, and twice as many bytes as of stdout may come.
    """

    seconds: float
    n_bytes: int
    silent_s: float = float("inf")
    n_complaint: int = 1 << 16


def bounds_for(path: Path) -> Bounds:
    """For a program that reads the trace at ``path``.

    Its text is at most some hundred times the file, which may be compressed; on a slow machine it takes a second for
    64 KiB of that, and as many seconds before the first line as for 2 MiB.
    """
    size = path.stat().st_size
    return Bounds(seconds=20 + size / (64 << 10), n_bytes=(64 << 20) + 400 * size, silent_s=10 + size / (2 << 20))


@dataclass(frozen=True)
class Done:
    """What a program printed, and its exit status (negative: the signal that ended it)."""

    status: int
    out: bytes
    complaint: bytes

    @property
    def text(self) -> str:
        """The output as text; what is no UTF-8 is spelt out."""
        return self.out.decode("utf-8", "backslashreplace")


class Program:
    """A program that runs; a context, behind which it and its children are gone."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        bounds: Bounds,
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        together: bool = False,
    ) -> None:
        """Start it. ``together``: stderr is part of the output. ``stdin``: at most what a pipe holds.

        Raises:
            OSError: it cannot be started.
        """
        self._bounds = bounds
        self._name = os.fspath(argv[0])
        self._begin = time.monotonic()
        self._complaint = bytearray()
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if together else subprocess.PIPE,
            env=env,
            # A group of its own, to be killed as one.
            start_new_session=True,
        )
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(stdin)
                self._process.stdin.close()
        assert self._process.stdout is not None
        with contextlib.suppress(ImportError, AttributeError, OSError):
            # Some write 4 KiB at a time: let it run ahead, where there is such a pipe.
            import fcntl

            fcntl.fcntl(self._process.stdout, fcntl.F_SETPIPE_SZ, _PIECE)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._end()

    @property
    def complaint(self) -> bytes:
        """What it printed to stderr so far, as far as that is kept."""
        return bytes(self._complaint)

    def chunks(self) -> Iterator[bytes]:
        """Its output, a piece at a time.

        Raises:
            Overrun: it ran into a bound. It is dead then.
        """
        name, bounds = self._name, self._bounds
        n_out = n_err = 0
        heard = time.monotonic()
        with selectors.DefaultSelector() as waiting:
            for pipe in (self._process.stdout, self._process.stderr):
                if pipe is not None:
                    waiting.register(pipe, selectors.EVENT_READ)
            while waiting.get_map():
                now = time.monotonic()
                left_s = min(self._begin + bounds.seconds, heard + bounds.silent_s) - now
                if left_s <= 0:
                    raise self._overrun(f"{name} did not end in {now - self._begin:.0f} s")
                over = self._is_over()
                ready = waiting.select(min(left_s, _LINGER_S))
                if not ready and over:
                    break
                for key, _ in ready:
                    piece = os.read(key.fd, _PIECE)
                    heard = time.monotonic()
                    if not piece:
                        waiting.unregister(key.fileobj)
                    elif key.fileobj is self._process.stdout:
                        n_out += len(piece)
                        if n_out > bounds.n_bytes:
                            raise self._overrun(f"{name} printed more than {_size(bounds.n_bytes)}")
                        yield piece
                        # What happened to it meanwhile is not its silence.
                        heard = time.monotonic()
                    else:
                        n_err += len(piece)
                        if n_err > max(2 * bounds.n_bytes, bounds.n_complaint):
                            raise self._overrun(f"{name} complained without an end")
                        self._complaint += piece[: bounds.n_complaint - len(self._complaint)]
        while not self._is_over():
            if time.monotonic() > min(self._begin + bounds.seconds, heard + bounds.silent_s):
                raise self._overrun(f"{name} did not end in {time.monotonic() - self._begin:.0f} s")
            time.sleep(0.001)

    def status(self) -> int:
        """Its exit status; it is ended where it runs."""
        return self._end()

    def _is_over(self) -> bool:
        """Has it ended? It stays unreaped, so that its number stays its group's."""
        if self._process.returncode is not None:
            return True
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _overrun(self, why: str) -> Overrun:
        self._end()
        return Overrun(why)

    def _end(self) -> int:
        if self._process.returncode is None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        return self._process.returncode


def run(
    argv: Sequence[str | Path],
    bounds: Bounds,
    *,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    together: bool = False,
) -> Done:
    """Run a program to its end.

    Raises:
        OSError: it cannot be started.
        Overrun: it ran into a bound, and was killed.
    """
    with Program(argv, bounds, env=env, stdin=stdin, together=together) as program:
        out = b"".join(program.chunks())
        return Done(program.status(), out, program.complaint)


def _size(n_bytes: int) -> str:
    return f"{n_bytes >> 20} MiB" if n_bytes >= 1 << 20 else f"{n_bytes} B"
