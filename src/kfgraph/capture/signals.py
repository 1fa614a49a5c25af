"""Signals that are held back and looked at when it suits.

``signal.sigtimedwait`` will not do: interrupted past its deadline, as after a Ctrl-Z and ``fg``, CPython returns
whatever was in memory as a signal (seen with 3.11).
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass

SignalMask = set[int | signal.Signals]
_SIGSET_BYTES = 128
_SIGINFO_INTS = 32  # si_signo, si_errno, si_code, and 116 bytes that depend on these
_SI_KERNEL = 0x80  # asm-generic/siginfo.h


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


@dataclass(frozen=True)
class Received:
    """A signal that was held back. ``from_kernel``: from the terminal's keyboard, so the command has it too."""

    number: int
    from_kernel: bool

    @property
    def is_of_child(self) -> bool:
        """Does it only say that a child has ended or stopped?"""
        return self.number == signal.SIGCHLD


def heeded(numbers: Iterable[signal.Signals]) -> frozenset[signal.Signals]:
    """``numbers`` less those that this process was started to ignore, as by nohup: held back, they would arrive."""
    return frozenset(number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN)


def take(numbers: Iterable[signal.Signals], timeout_s: float = 0.0) -> Received | None:
    """One of ``numbers``, which are held back; None if none comes in that time, or something else ended the wait.

    Raises:
        OSError: as sigtimedwait(2).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    wanted = ctypes.create_string_buffer(_SIGSET_BYTES)
    libc.sigemptyset(wanted)
    for number in numbers:
        libc.sigaddset(wanted, int(number))
    seconds = int(timeout_s)
    limit = _Timespec(seconds, int((timeout_s - seconds) * 1e9))
    info = (ctypes.c_int * _SIGINFO_INTS)()
    if libc.sigtimedwait(wanted, info, ctypes.byref(limit)) > 0:
        return Received(info[0], info[2] == _SI_KERNEL)
    reason = ctypes.get_errno()
    if reason in (errno.EAGAIN, errno.EINTR):
        return None
    raise OSError(reason, os.strerror(reason))


class HeldSignals:
    """A context manager: ``requests`` (to end) and SIGCHLD are held back, those that this process heeds.

    ``mask`` is the signal mask from before. What comes and is not taken is forgotten on the way out.
    """

    mask: SignalMask

    def __init__(self, requests: Iterable[signal.Signals]) -> None:
        self._requests = heeded(requests)
        self._all = self._requests | {signal.SIGCHLD}

    def __enter__(self) -> HeldSignals:
        self.mask = set(signal.pthread_sigmask(signal.SIG_BLOCK, self._all))
        return self

    def __exit__(self, *_: object) -> None:
        while take(self._all) is not None:
            pass  # meant for what is over
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)

    def take(self, timeout_s: float = 0.0) -> Received | None:
        """One of them, a child's end included; None if none comes in that time."""
        return take(self._all, timeout_s)

    def take_request(self) -> Received | None:
        """One that asks to end; None if there is none."""
        return take(self._requests)
