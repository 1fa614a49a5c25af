"""How often ``kfgraph why`` is right, on a corpus of failures whose birthplace is known.

    blame.py TRACES [--modules FOLDER] [--ko FOLDER]

TRACES holds NAME.dat (with its companion) for modules NAME.c of tests/why/modules, whose line ``truth:`` says what is
right. Each answer is scored: exact; an honest bound (``exact`` is false, and the true birthplace lies below what was
named); among the first three; not known; wrong; wrong but sure. Beside it the rule of the best live tool, on the same
traces: a failing exit after a success marks the deepest frame, a success clears it, the errors' values are not
compared, one branch is saved.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import kfgraph
from kfgraph.analyze.blame import Outcomes
from kfgraph.analyze.why import Why, why
from kfgraph.kernel.unwinding import plain
from kfgraph.model.trace import Trace

MODULES = Path(__file__).resolve().parent.parent / "tests" / "why" / "modules"


@dataclass(frozen=True)
class Truth:
    """What is right for one module."""

    error: int
    birth: tuple[str, ...]
    chain: tuple[str, ...]
    swallowed: tuple[str, ...]
    never_ran: tuple[str, ...]

    @classmethod
    def read(cls, source: Path) -> Truth:
        """From the line ``truth:`` of a module's source."""
        found = re.search(r"truth: (\{.*?\})", source.read_text())
        assert found, f"{source} has no truth"
        data = json.loads(found[1])
        lists = (tuple(data.get(name, ())) for name in ("birth", "chain", "swallowed", "never_ran"))
        return cls(data["error"], *lists)


def judge(answer: Why, truth: Truth) -> str:
    """``exact``, ``bound``, ``among three``, ``not known``, ``wrong`` or ``wrong but sure``."""
    if not truth.error:
        told = {step.function for step in answer.swallowed}
        ran = {name for _, names, _ in answer.never_ran for name in names}
        wanted = set(truth.swallowed) <= told and set(truth.never_ran) <= ran
        return "exact" if wanted and answer.outcome == "nothing" else "wrong"
    if answer.birth is None:
        among = any(step.function in truth.birth for step in answer.candidates[:3])
        return "among three" if among else "not known"
    if answer.birth.step.function in truth.birth:
        return "exact"
    if not answer.birth.exact and answer.birth.step.function in truth.chain:
        return "bound"
    if any(step.function in truth.birth for step in answer.candidates[:3]):
        return "among three"
    return "wrong but sure" if answer.birth.sure else "wrong"


def live_rule(trace: Trace, *, root: str = "do_one_initcall") -> str:
    """The deepest frame by the rule of a live tool, "" where nothing fails."""
    seen, calls = Outcomes(trace), trace.calls
    rows = [int(r) for r in np.flatnonzero(calls.parent < 0)]
    rows = [r for r in range(len(calls)) if plain(seen.name(r)) == root] or rows
    marked: list[int] = []
    saved: list[int] = []
    for row in rows[-1:]:
        inside = range(row, int(calls.end[row]))
        # Entries in table order; a call's exit comes before the entry of what follows its subtree.
        moves = sorted([(r, 1, r) for r in inside] + [(int(calls.end[r]), 0, -r) for r in inside])
        for _, is_entry, number in moves:
            r = abs(number)
            if is_entry:
                if marked and calls.parent[marked[-1]] == calls.parent[r]:
                    saved, marked = marked, []
                continue
            if not seen.known(r) or not seen.returns(r)[0]:
                continue
            if not (seen.errors[r] or seen.words(r) == "NULL"):
                marked = []
            elif marked and calls.parent[marked[-1]] == r:
                marked.append(r)
            elif not marked and saved and calls.parent[saved[-1]] == r:
                marked, saved = [*saved, r], []
            else:
                marked = [r]
        return plain(seen.name(marked[0])) if marked else ""
    return ""


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", type=Path)
    parser.add_argument("--modules", type=Path, default=MODULES)
    parser.add_argument("--ko", type=Path, help="where the .ko files are: they name functions of vanished modules")
    arguments = parser.parse_args()
    scores: Counter[str] = Counter()
    theirs = 0
    n = 0
    for file in sorted(arguments.traces.glob("*.dat")):
        truth = Truth.read(arguments.modules / f"{file.stem}.c")
        ko = arguments.ko / f"{file.stem}.ko" if arguments.ko else None
        trace = kfgraph.load(file, modules=[ko] if ko and ko.exists() else [])
        answer = why(trace)
        verdict = judge(answer, truth)
        live = live_rule(trace)
        theirs += live in truth.birth
        scores[verdict] += 1
        n += 1
        born = answer.birth
        said = f"{born.step.function}{'' if born.exact else ' or below'}" if born else answer.outcome
        print(f"{file.stem:20} {verdict:15} {said:36} live: {live}")
    print()
    for verdict, count in scores.most_common():
        print(f"{verdict:16} {count:4} of {n}")
    print(f"{'live rule':16} {theirs:4} of {n} exact")


if __name__ == "__main__":
    main()
