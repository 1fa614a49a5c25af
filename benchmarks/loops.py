"""How fast loops are folded: python benchmarks/loops.py [--runs N]

Trees of four million calls, each a loop of one body, and one in which no call repeats. CPU time of
``fold_repeats``, the median of N runs (3); at least 3 million calls a second.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from kfgraph.analyze.repeats import fold_repeats
from kfgraph.model.tree import TreeTable

N_CALLS = 4_000_000
LEAST = 3.0
"""Million calls a second."""
BODIES = {
    "one call": [(1, 1)],
    "two calls": [(1, 1), (2, 1)],
    "twelve calls": [(i, 1) for i in range(1, 13)],
    "loops in a loop": [(1, 1), *[(2, 2), (3, 3)] * 3, (4, 1), *[(5, 2), (6, 2)] * 4],
}
"""(function, level) of the calls of a body, below one call."""


def tree_of(body: list[tuple[int, int]], times: int) -> TreeTable:
    """One call with ``times`` such bodies below it."""
    m, n = len(body), len(body) * times
    above: dict[int, int] = {}
    parents, ends = [], []
    for i, (_, level) in enumerate(body):
        parents.append(above.get(level - 1, -1))
        above[level] = i
        ends.append(next((j for j in range(i + 1, m) if body[j][1] <= level), m))
    first = np.repeat(np.arange(times) * m + 1, m)
    parent = np.tile(parents, times)
    ns = np.random.default_rng(7).integers(50, 200, n + 1)
    return TreeTable(
        tuple(f"f{i}" for i in range(64)),
        parent=np.append(-1, np.where(parent < 0, 0, parent + first)).astype(np.int32),
        end=np.append(n + 1, np.tile(ends, times) + first).astype(np.int32),
        level=np.append(0, np.tile([level for _, level in body], times)).astype(np.int16),
        label=np.append(0, np.tile([label for label, _ in body], times)).astype(np.int32),
        total_ns=ns, self_ns=ns, row=np.arange(n + 1, dtype=np.int32), flags=np.zeros(n + 1, np.uint32),
    )  # fmt: skip


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    print("| a loop of | calls | rows | CPU seconds | million calls a second | at least |")
    print("|---|---|---|---|---|---|")
    for name, body in BODIES.items():
        tree = tree_of(body, N_CALLS // len(body))
        seconds = []
        for _ in range(runs):
            begin = time.process_time()
            folded = fold_repeats(tree)
            seconds.append(time.process_time() - begin)
        took = statistics.median(seconds)
        rate = len(tree) / took / 1e6
        print(f"| {name} | {len(tree):,} | {len(folded.tree)} | {took:.2f} | {rate:.1f} | {LEAST} |")


if __name__ == "__main__":
    main()
