"""Want of memory, in the many ways in which it shows."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator

_NUMPY_TAKES = 96 << 20
"""Address space that numpy and its BLAS reserve, at least."""
_SAID = re.compile("failed to map segment|cannot allocate memory|can't start new thread", re.IGNORECASE)


def causes(problem: BaseException | None) -> Iterator[BaseException]:
    """The exception, and what is behind it."""
    while problem is not None:
        yield problem
        problem = problem.__cause__ or problem.__context__


def is_want_of_memory(problem: BaseException) -> bool:
    """A MemoryError, or what the dynamic loader, numpy's import and threads make of one."""
    return any(
        isinstance(cause, MemoryError) or (isinstance(cause, (ImportError, RuntimeError)) and _SAID.search(str(cause)))
        for cause in causes(problem)
    )


def prepare_for_numpy() -> None:
    """To be called before numpy is imported.

    Its BLAS, which nothing here uses, would spin a thread beside the one that decompresses, and ends the process where
    it gets no room: under a limit of address space, that is asked for.

    Raises:
        MemoryError: there is less.
    """
    import resource

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if "numpy" in sys.modules or resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        return
    import mmap

    try:
        mmap.mmap(-1, _NUMPY_TAKES).close()
    except OSError:
        raise MemoryError from None
