"""Records taken out of an intact trace, and what is then read compared with the whole: ancestors, durations, totals.

    PYTHONPATH=tests python -m builder.losses TRACE.dat... [--save FILE] [--before FILE] [--seeds N]

A page that is gone is told by the next page of its CPU, as the kernel tells it. That all entries of a CPU are gone, or
all exits, is told by nothing: so it is where a filter of the event left them out. Calls are compared by lane, start and
function; one that only its exit tells of by its duration too. ``--save`` keeps what was right, call by call;
``--before`` says how much of that is right now.
"""

from __future__ import annotations

import argparse
import lzma
import pickle
import random
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

import kfgraph
from builder.cut import _extra, formats
from builder.pagecut import Pages, pages_of
from builder.tracedat import Cpu, Kernel, records_in, trace_dat
from kfgraph.analyze.bounds import least_totals
from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace
from kfgraph.tracefile.contents import read_contents
from kfgraph.tracefile.layout import Option

Gone = list[set[int]]
"""For each CPU in the file, which of its pages are gone."""
LATE = 20_000_000
"""An interrupt that hits the tracer before the entry's record makes that so late."""
NEAR = 10_000
"""A start that was reckoned from the exit is that near to the entry's record, in ns."""


class Source:
    """An intact trace, and files of it in which pages are missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        contents = read_contents(path)
        buffer = contents.buffer_named(None)
        self.kernel = Kernel(contents.big_endian, contents.header.long_size, buffer.page_size)
        self.numbers = [data.cpu for data in buffer.cpus]
        self.pages = [list(pages_of(contents, data, buffer.page_size)) for data in buffer.cpus]
        self.version = contents.header.version
        self.whole = kfgraph.load(path)
        text = contents.section(Option.KALLSYMS)
        assert text is not None
        symbols = bytes(text.take(text.number(4, "kallsyms"), "kallsyms"))
        self.events = events = formats(contents)
        pids = {task.pid for task in self.whole.tasks.tasks}
        self.extra = _extra(contents, buffer, events, set(events), pids, symbols, self.whole, b"")

    def without(self, gone: Gone) -> bytes:
        """The file without these pages."""
        cpus: list[Cpu] = []
        for number, pages, out in zip(self.numbers, self.pages, gone, strict=True):
            kept = b"".join(
                self._after_loss(page) if i - 1 in out else page for i, page in enumerate(pages) if i not in out
            )
            cpus.append(Pages(self.kernel, number, data=kept))
        return trace_dat(self.kernel, cpus, symbols={}, extra=self.extra, version=self.version)

    def without_events(self, at: int, *names: str) -> bytes:
        """The file without the records of these events on the CPU at this place in it."""
        gone = {number for number, (_, name, _) in self.events.items() if name in names}
        cpus: list[Cpu] = []
        for i, (number, pages) in enumerate(zip(self.numbers, self.pages, strict=True)):
            cpu = Cpu(self.kernel, number) if i == at else Pages(self.kernel, number, data=b"".join(pages))
            for time, body in (record for page in pages for record in records_in(self.kernel, page) if i == at):
                if struct.unpack_from(f"{self.kernel.order}H", body)[0] not in gone:
                    cpu.raw(time, body)
            cpus.append(cpu)
        return trace_dat(self.kernel, cpus, symbols={}, extra=self.extra, version=self.version)

    def _after_loss(self, page: bytes) -> bytes:
        order = "big" if self.kernel.big_endian else "little"
        size = self.kernel.long_size
        commit = int.from_bytes(page[8 : 8 + size], order)  # type: ignore[arg-type]
        if commit >> 30 & 3:
            return page
        commit |= 1 << 31
        if self.kernel.big_endian and size == 8:
            commit |= 0xFFFFFFFF << 32
        return page[:8] + commit.to_bytes(size, order) + page[8 + size :]  # type: ignore[arg-type]


def single(source: Source, rng: random.Random) -> Gone:
    """One page."""
    gone: Gone = [set() for _ in source.pages]
    cpu = rng.choice([i for i, pages in enumerate(source.pages) if len(pages) > 2])
    gone[cpu].add(rng.randrange(1, len(source.pages[cpu]) - 1))
    return gone


def runs(source: Source, rng: random.Random) -> Gone:
    """Three runs of up to an eighth of the pages of a CPU."""
    gone: Gone = [set() for _ in source.pages]
    for _ in range(3):
        cpu = rng.choice([i for i, pages in enumerate(source.pages) if len(pages) > 2])
        n = len(source.pages[cpu])
        first = rng.randrange(1, n - 1)
        gone[cpu] |= set(range(first, min(first + 1 + rng.randrange(max(n // 8, 1)), n - 1)))
    return gone


def heads(source: Source, rng: random.Random) -> Gone:
    """The first pages of each CPU, as where the oldest were written over."""
    return [set(range(rng.randrange(len(pages)))) if pages else set() for pages in source.pages]


def some(share: float) -> Callable[[Source, random.Random], Gone]:
    """Pages at random, this share of them."""

    def gone(source: Source, rng: random.Random) -> Gone:
        return [{i for i in range(len(pages)) if rng.random() < share} for pages in source.pages]

    return gone


PAGES: dict[str, Callable[[Source, random.Random], Gone]] = {
    "single": single, "runs": runs, "heads": heads, "2%": some(0.02), "10%": some(0.1), "30%": some(0.3),
}  # fmt: skip
EVENTS = {"no entries": ("funcgraph_entry", "fgraph_retaddr_entry"), "no exits": ("funcgraph_exit",)}
"""All records of these events of one CPU are gone."""
KINDS = (*PAGES, *EVENTS)


@dataclass
class Compared:
    """Counts over the calls of a damaged trace."""

    n_calls: int = 0
    n_unmatched: int = 0
    """Calls that the intact trace does not have."""
    n_false: int = 0
    """Calls with a false ancestor on their path."""
    n_false_unflagged: int = 0
    n_wrong_duration: int = 0
    n_wrong_self: int = 0
    n_bounds: int = 0
    n_bounds_above: int = 0
    """Calls that have not finished, of which what is known is more than the truth."""
    n_possible: int = 0
    """Pairs of a call and a true ancestor of it, of both of which records are left."""
    n_ancestors: int = 0
    """Those of them that are told."""
    n_direct: int = 0
    """Calls below their true caller."""
    n_kept: int = -1
    n_before: int = -1

    def __add__(self, other: Compared) -> Compared:
        return Compared(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def _keys(trace: Trace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    calls = trace.calls
    lanes = np.array([hash((t.pid, t.cpu if t.pid == 0 else -1)) for t in trace.tasks.tasks], np.int64)[calls.lane]
    funcs = np.array([hash(label) & 0x7FFFFFFFFFFF for label in trace.symbols.labels], np.int64)[calls.func]
    return lanes * 0x9E3779B9 ^ funcs, calls.start_ns, calls.duration_ns


def matched(whole: Trace, part: Trace) -> np.ndarray:
    """For each call of ``part`` its row in ``whole``, -1 for none."""
    key, start, duration = _keys(whole)
    order = np.lexsort((start, key))
    key, start, duration = key[order], start[order], duration[order]
    found = np.full(len(part.calls), -1, np.int64)
    names = np.unique(key)
    first = np.append(np.searchsorted(key, names), len(key))
    own_key, own_start, own_duration = _keys(part)
    code = np.minimum(np.searchsorted(names, own_key), len(names) - 1)
    known = names[code] == own_key
    # One number for both: keys are dense, times fit beside them.
    span = int(max(start.max(), own_start.max())) + 1
    base = int(start[start >= 0].min(initial=span)) - 1_000_000_000
    width = span - base
    dense = np.searchsorted(names, key) * width + (start - base)
    at = np.searchsorted(dense, code * width + (own_start - base))
    at = np.minimum(at, len(key) - 1)
    hit = known & (key[at] == own_key) & (start[at] == own_start)
    found[hit] = at[hit]
    again = np.minimum(at + 1, len(key) - 1)
    twice = hit & (again > at) & (key[again] == own_key) & (start[again] == own_start)
    for row in np.flatnonzero(twice).tolist():
        # What began at one time is told apart by its duration, or not at all.
        one, key_of = int(at[row]), own_key[row]
        same = [one]
        while same[-1] + 1 < len(key) and key[same[-1] + 1] == key_of and start[same[-1] + 1] == own_start[row]:
            same.append(same[-1] + 1)
        fits = [i for i in same if duration[i] == own_duration[row]]
        found[row] = fits[0] if len(fits) == 1 else -1
    no_entry = np.flatnonzero(~hit & known & part.calls.has(Flag.NO_ENTRY))
    for row in no_entry.tolist():
        lo, hi = int(first[code[row]]), int(first[code[row] + 1])
        a = lo + int(np.searchsorted(start[lo:hi], own_start[row] - NEAR))
        b = lo + int(np.searchsorted(start[lo:hi], own_start[row] + LATE))
        same = np.flatnonzero(duration[a:b] == own_duration[row])
        if len(same):
            best = same[np.argmin(np.abs(start[a:b][same] - own_start[row]))]
            found[row] = a + int(best)
    found[found >= 0] = order[found[found >= 0]]
    return found


def compared(whole: Trace, part: Trace) -> tuple[Compared, np.ndarray]:
    """(counts, true ancestors of each call of ``whole``: -1 where ``part`` has not got it)."""
    true, calls = whole.calls, part.calls
    row = matched(whole, part)
    here = row >= 0
    n = len(calls)
    end = true.end
    false = np.zeros(n, np.bool_)
    right = np.zeros(n, np.int64)
    direct = np.zeros(n, np.bool_)
    up = calls.parent.astype(np.int64)
    step = 0
    while len(rest := np.flatnonzero((up >= 0) & here)):
        above = up[rest]
        told = row[above] >= 0
        is_one = told & (row[above] < row[rest]) & (row[rest] < end[row[above]])
        right[rest[is_one]] += 1
        false[rest[told & ~is_one]] = True
        if step == 0:
            direct[rest] = is_one & (true.parent[row[rest]] == row[above])
        up[rest] = calls.parent[above]
        up[~here] = -1
        step += 1
    odd = calls.has(Flag.DEPTH_JUMP) | calls.has(Flag.IN_TRACER) | calls.has(Flag.CALLER_LOST)
    told_odd = odd.copy()
    for i in range(int(calls.level.max(initial=0)) + 1):
        at = np.flatnonzero((calls.level == i) & (calls.parent >= 0))
        told_odd[at] |= told_odd[calls.parent[at]]
    known = here & (calls.duration_ns >= 0)
    wrong = known & (calls.duration_ns != true.duration_ns[np.maximum(row, 0)])
    known_self = here & (calls.self_ns >= 0) & (true.self_ns[np.maximum(row, 0)] >= 0)
    wrong_self = known_self & (calls.self_ns != true.self_ns[np.maximum(row, 0)])
    every = np.arange(n, dtype=np.int32)
    floor = least_totals(part, every, parent=calls.parent, level=calls.level, total_ns=calls.duration_ns)
    bound = here & (calls.duration_ns < 0) & (true.duration_ns[np.maximum(row, 0)] >= 0)
    above_truth = bound & (floor > true.duration_ns[np.maximum(row, 0)])
    kept = np.full(len(true), -1, np.int64)
    kept[row[here]] = right[here]
    possible = 0
    above = np.where(kept >= 0, true.parent, -1)
    while len(above := above[above >= 0]):
        possible += int((kept[above] >= 0).sum())
        above = true.parent[above]
    counts = Compared(
        n, int((~here).sum()), int(false.sum()), int((false & ~told_odd).sum()), int(wrong.sum()),
        int(wrong_self.sum()), int(bound.sum()), int(above_truth.sum()), possible, int(right.sum()), int(direct.sum()),
    )  # fmt: skip
    return counts, kept


def damaged(source: Source, kind: str, seed: int) -> bytes:
    """One of the damaged files."""
    rng = random.Random(f"{kind} {seed}")
    if kind in PAGES:
        return source.without(PAGES[kind](source, rng))
    return source.without_events(rng.choice([i for i, pages in enumerate(source.pages) if pages]), *EVENTS[kind])


def _paths(given: Sequence[Path], folder: Path) -> Iterator[Path]:
    for path in given:
        if path.suffix == ".xz":
            plain = folder / path.stem
            plain.write_bytes(lzma.decompress(path.read_bytes()))
            yield plain
        else:
            yield path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--kind", action="append")
    parser.add_argument("--save", type=Path)
    parser.add_argument("--before", type=Path)
    given = parser.parse_args()
    before = pickle.loads(given.before.read_bytes()) if given.before else {}
    saved: dict[tuple[str, str, int], np.ndarray] = {}
    sums: dict[str, Compared] = {}
    print("trace", "kind", *(f.name for f in fields(Compared)), sep="\t")
    with tempfile.TemporaryDirectory() as folder:
        for path in _paths(given.trace, Path(folder)):
            source = Source(path)
            for kind in given.kind or KINDS:
                for seed in range(given.seeds):
                    file = Path(folder, "damaged.dat")
                    file.write_bytes(damaged(source, kind, seed))
                    part = kfgraph.load(file)
                    part.calls.check()
                    counts, kept = compared(source.whole, part)
                    key = (f"{path.parent.name}/{path.name}", kind, seed)
                    saved[key] = kept.astype(np.int16)
                    if key in before:
                        old = before[key]
                        both = old >= 0
                        counts.n_before = int(old[both].sum())
                        counts.n_kept = int(np.minimum(np.maximum(kept[both], 0), old[both]).sum())
                    sums[kind] = sums[kind] + counts if kind in sums else counts
                    print(f"{path.parent.name}/{path.name}", kind, *astuple(counts), sep="\t", flush=True)
    for kind, counts in sums.items():
        print("ALL", kind, *astuple(counts), sep="\t")
        shares = {
            "false": counts.n_false / counts.n_calls,
            "unflagged": counts.n_false_unflagged / counts.n_calls,
            "bounds above": counts.n_bounds_above / max(counts.n_bounds, 1),
            "told": counts.n_ancestors / max(counts.n_possible, 1),
            "kept": counts.n_kept / max(counts.n_before, 1),
        }
        print(f"  {kind}:", ", ".join(f"{name} {share:.4%}" for name, share in shares.items()))
    if given.save:
        given.save.write_bytes(pickle.dumps(saved))


if __name__ == "__main__":
    main()
