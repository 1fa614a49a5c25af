"""Functions that run in a thread beside this one.

A thread may find no memory for its first step, and Python's own ``Thread.start`` and ``Condition.wait`` then wait for
ever. So where memory is limited there are none, and every wait looks now and then whether the other still is.
A small trace is read sooner without.
"""

from __future__ import annotations

import _thread
import resource
import weakref
from collections.abc import Callable
from typing import Any

_LOOK_S = 0.2
_LIMITS = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
_WORTH_BYTES = 1 << 20


class Signal:
    """One thread gives it, another waits for it. It is kept until then."""

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._lock.acquire()

    def give(self) -> None:
        """To be called by one thread only."""
        if self._lock.locked():
            self._lock.release()

    def wait(self) -> None:
        """For so long that the caller may look what has become of who gives it."""
        self._lock.acquire(timeout=_LOOK_S)


class _Work:
    """What a thread runs. Nothing but the thread holds it: it is gone when the thread is, however that ended."""

    __slots__ = ("__weakref__", "function", "worker")

    def __init__(self, function: Callable[[], Any], worker: Worker) -> None:
        self.function, self.worker = function, worker

    def __call__(self) -> None:
        try:
            self.worker.value = self.function()
            self.worker.has_value = True
        except BaseException as error:  # raised again where the value is asked for
            self.worker.error = error
        self.worker.ended.give()


class Worker:
    """A function that runs in a thread of its own.

    Raises:
        RuntimeError, MemoryError: there can be no thread.
    """

    def __init__(self, function: Callable[[], Any]) -> None:
        self.value: Any = None
        self.has_value = False
        self.error: BaseException | None = None
        self.ended = Signal()
        # Neither is kept: the function would hold who holds this, and with that the file open, until a collection of
        # garbage.
        work = _Work(function, self)
        self._work = weakref.ref(work)
        _thread.start_new_thread(work, ())

    def is_over(self) -> bool:
        """Whether the thread will do no more."""
        return self.has_value or self.error is not None or self._work() is None

    def join(self) -> None:
        """Wait for it."""
        while not self.is_over():
            self.ended.wait()

    def result(self) -> Any:
        """Wait for it; raises what it raised.

        Raises:
            MemoryError: it died without a word.
        """
        self.join()
        if self.error is not None:
            raise self.error
        if not self.has_value:
            raise MemoryError
        return self.value


def is_worth_it(n_bytes: int) -> bool:
    """Whether going over ``n_bytes`` of a trace takes so long that a thread, and room for one, is little beside it."""
    return n_bytes >= _WORTH_BYTES


def beside(function: Callable[[], Any], *, n_bytes: int) -> Worker | None:
    """It runs in a thread from now on, beside what goes over ``n_bytes`` of a trace; None where there had better be
    none: call it.
    """
    if not is_worth_it(n_bytes) or any(resource.getrlimit(limit)[0] != resource.RLIM_INFINITY for limit in _LIMITS):
        return None
    try:
        return Worker(function)
    except (RuntimeError, MemoryError):
        return None
