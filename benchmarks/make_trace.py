"""A large trace.dat, the same every time: python benchmarks/make_trace.py 20000000 big.dat [--varied]

Two CPUs, one task each, 59 calls a page nested up to eight deep, 3,000 functions out of 120,000 symbols.
With --varied every call has a duration of its own, which no compression can guess.
Written with the literal builder of the tests; only the pages are made wholesale.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from builder.tracedat import TEXT, Cpu, Extra, Kernel, trace_dat

CALLS_PER_PAGE = 59
DEPTHS = (0, 1, 2, 3, 3, 2, 3, 4, 5, 6, 7, 7, 7, 4, 1, 1, 2, 2, 2, 2)
N_FUNCTIONS = 3_000
N_SYMBOLS = 120_000
FUNCTION_SIZE = 0x80


@dataclass
class ManyPages(Cpu):
    """A CPU whose pages are one page over and over, moved on in time and through the functions."""

    n_calls: int = 0
    seed: int = 0
    varied: bool = False
    _made: list[bytes] = field(default_factory=list)

    def pages(self) -> bytes:
        """All pages; made once."""
        if not self._made:
            self._made.append(_pages(self.kernel, self.number, self.n_calls, self.seed, varied=self.varied))
        return self._made[0]


def _pages(kernel: Kernel, number: int, n_calls: int, seed: int, *, varied: bool = False) -> bytes:
    rng = np.random.default_rng(seed)
    cpu = Cpu(kernel, number)
    open_calls: list[tuple[int, int]] = []
    order: list[int] = []
    time = start = 1_000_000_000

    def step() -> int:
        nonlocal time
        time += int(rng.integers(120, 900))
        return time

    def leave(depth: int) -> None:
        while len(open_calls) > depth:
            which, began = open_calls.pop()
            order.append(which)
            now = step()
            cpu.exit(now, 100 + number, which, len(open_calls), began, now - 40)

    for i in range(CALLS_PER_PAGE):
        depth = min(DEPTHS[i % len(DEPTHS)], len(open_calls))
        leave(depth)
        now = step()
        cpu.entry(now, 100 + number, i, depth)
        order.append(i)
        open_calls.append((i, now - 60))
    leave(0)
    template = cpu.pages()
    assert len(template) == kernel.page_size, "the calls of a page do not fit it"
    length = time - start + 500
    n_pages = -(-n_calls // CALLS_PER_PAGE)
    words = np.tile(np.frombuffer(template, np.uint32), (n_pages, 1))
    moved = (np.arange(n_pages, dtype=np.uint64) * np.uint64(length))[:, None]
    at = 4
    heads: list[int] = []
    functions: list[int] = []
    times: list[int] = []
    while at < 4 + (int(words[0, 2]) & 0xFFFFF) // 4:
        size = int(words[0, at]) & 31
        heads.append(at)
        functions.append(at + 3)
        if size == 10:
            times += [at + 7, at + 9]
        at += 1 + size
    if varied:
        _vary(words, heads, rng)
    else:
        _add(words, [0, *times], moved)
    # Which function stands where changes from page to page.
    which = (np.array(order)[None, :] * 41 + np.arange(n_pages)[:, None] * 7) % N_FUNCTIONS
    address = np.uint64(TEXT) + which.astype(np.uint64) * np.uint64(FUNCTION_SIZE * N_SYMBOLS // N_FUNCTIONS)
    words[:, functions] = (address & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    words[:, [f + 1 for f in functions]] = (address >> np.uint64(32)).astype(np.uint32)
    return words.tobytes()


def _vary(words: npt.NDArray[np.uint32], heads: list[int], rng: np.random.Generator) -> None:
    """Give each record of each page another time behind the one before it, and calls the times that follow."""
    steps = rng.integers(120, 900, (len(words), len(heads)), np.uint64)
    begin = np.cumsum(steps.sum(axis=1) + np.uint64(500)) - steps.sum(axis=1)
    begin += words[0, 0].astype(np.uint64) | words[0, 1].astype(np.uint64) << np.uint64(32)
    _put(words, 0, begin)
    words[:, heads] = (words[:, heads] & 31) | (steps << np.uint64(5)).astype(np.uint32)
    now = np.cumsum(steps, axis=1) + begin[:, None]
    entered: list[int] = []
    for i, at in enumerate(heads):
        if int(words[0, at]) & 31 != 10:
            entered.append(i)
            continue
        _put(words, at + 7, now[:, entered.pop()] - np.uint64(60))
        _put(words, at + 9, now[:, i] - np.uint64(40))


def _put(words: npt.NDArray[np.uint32], at: int, value: npt.NDArray[np.uint64]) -> None:
    words[:, at] = (value & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    words[:, at + 1] = (value >> np.uint64(32)).astype(np.uint32)


def _add(words: npt.NDArray[np.uint32], columns: list[int], moved: npt.NDArray[np.uint64]) -> None:
    """Add to the 64-bit numbers that begin in these columns."""
    high = [column + 1 for column in columns]
    value = words[:, columns].astype(np.uint64) | words[:, high].astype(np.uint64) << np.uint64(32)
    value += moved
    words[:, columns] = (value & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    words[:, high] = (value >> np.uint64(32)).astype(np.uint32)


def make(n_events: int, *, compression: str = "zstd", varied: bool = False) -> bytes:
    """A trace of about ``n_events`` records, in whole pages of calls; ``varied``: all durations differ."""
    kernel = Kernel()
    n_calls = n_events // 2
    cpus = [ManyPages(kernel, number, n_calls=n_calls // 2, seed=number + 1, varied=varied) for number in (0, 1)]
    symbols = {TEXT + i * FUNCTION_SIZE: ("t", f"function_{i}", "") for i in range(N_SYMBOLS)}
    extra = Extra(comms={100: "first", 101: "second"})
    return trace_dat(kernel, cpus, symbols=symbols, extra=extra, compression=compression)


@contextmanager
def given_or_made(trace: Path | None, n_events: int, *, varied: bool = False) -> Iterator[Path]:
    """``trace``; None: one of :func:`make`, which is gone afterwards."""
    if trace is not None:
        yield trace
        return
    with tempfile.TemporaryDirectory(prefix="kfgraph-bench-") as folder:
        made = Path(folder, "many.dat")
        made.write_bytes(make(n_events, varied=varied))
        yield made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("events", type=int)
    parser.add_argument("output", type=Path)
    parser.add_argument("--varied", action="store_true")
    options = parser.parse_args()
    options.output.write_bytes(make(options.events, varied=options.varied))


if __name__ == "__main__":
    main()
