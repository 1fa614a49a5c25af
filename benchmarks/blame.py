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
import atexit
import functools
import json
import re
import shutil
import tarfile
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import kfgraph
from kfgraph.analyze.outcomes import Outcomes
from kfgraph.analyze.why import Why, why
from kfgraph.kernel.syscall_handlers import system_call_of
from kfgraph.model.calls import Flag
from kfgraph.model.spelling import plain_name
from kfgraph.model.trace import Trace

TRUTHS = Path(__file__).resolve().parent.parent / "tests" / "why" / "everyday" / "truths.json"
FIXTURES = Path(__file__).resolve().parent.parent / "tests" / "why" / "fixtures"
MODULES = Path(__file__).resolve().parent.parent / "tests" / "why" / "modules"
MORE = MODULES.parent / "more_modules"
"""Modules that were written after the rules, and their recordings (more-KERNEL), to see how these do on others."""


@functools.cache
def recordings(folder: Path) -> Path:
    """``folder``; where it is packed (FOLDER.tar.xz), a temporary folder with what is in it."""
    packed = folder.with_name(f"{folder.name}.tar.xz")
    if folder.is_dir() or not packed.exists():
        return folder
    there = Path(tempfile.mkdtemp(prefix="kfgraph-recordings-"))
    atexit.register(shutil.rmtree, there, ignore_errors=True)
    with tarfile.open(packed) as tar:
        for member in tar.getmembers():
            content = tar.extractfile(member)
            assert content is not None and "/" not in member.name
            (there / member.name).write_bytes(content.read())
    return there


def sources(folder: Path, otherwise: Path) -> Path:
    """Where the sources of the modules recorded in ``folder`` are, with their truths: there, or in ``otherwise``."""
    return folder if any(folder.glob("*.c")) else otherwise


def kernels(fixtures: Path = FIXTURES) -> list[Path]:
    """The folders of recordings of the modules of MODULES, packed or not."""
    names = {path.name.removesuffix(".tar.xz") for path in fixtures.iterdir() if path.is_dir() or path.suffix == ".xz"}
    return [fixtures / name for name in sorted(names) if not name.startswith("more-")]


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
    if not answer.birth.exact and _is_below(answer, truth):
        return "bound"
    if any(step.function in truth.birth for step in answer.candidates[:3]):
        return "among three"
    return "wrong but sure" if answer.birth.sure else "wrong"


def _is_below(answer: Why, truth: Truth) -> bool:
    """Whether a true birthplace was called below the one that was named, or is one that no trace can show."""
    assert answer.birth is not None
    if answer.birth.step.function in truth.chain:
        return True
    calls, names, row = answer.trace.calls, answer.trace.symbols.names, answer.birth.step.row
    below = {plain_name(names[code]) for code in np.unique(calls.func[row : int(calls.end[row])]).tolist()}
    return not below.isdisjoint(truth.birth)


def live_rule(trace: Trace, *, root: str = "do_one_initcall") -> str:
    """The deepest frame by the rule of a live tool, "" where nothing fails."""
    seen, calls = Outcomes(trace), trace.calls
    rows = [int(r) for r in np.flatnonzero(calls.parent < 0)]
    rows = [r for r in range(len(calls)) if plain_name(seen.name(r)) == root] or rows
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
            if not (seen.errors[r] or seen.value_text(r) == "NULL"):
                marked = []
            elif marked and calls.parent[marked[-1]] == r:
                marked.append(r)
            elif not marked and saved and calls.parent[saved[-1]] == r:
                marked, saved = [*saved, r], []
            else:
                marked = [r]
        return plain_name(seen.name(marked[0])) if marked else ""
    return ""


@dataclass(frozen=True)
class Scored:
    """One fixture: the verdict on what ``why`` says, what it says, and what the live rule says."""

    name: str
    verdict: str
    said: str
    live: str
    live_is_right: bool


def score(file: Path, *, modules: Path = MODULES, ko: Path | None = None, values: bool = True) -> Scored:
    """``values``: False leaves every return value out but the failing call's own, as on a kernel without them."""
    name, _, twin = file.stem.partition(".")
    truth = Truth.read(modules / f"{name}.c")
    module = ko / f"{name}.ko" if ko else None
    trace = kfgraph.load(file, modules=[module] if module and module.exists() else [])
    answer = why(trace if values else without_values(trace))
    live = live_rule(trace) if values else ""
    born = answer.birth
    said = f"{born.step.function}{'' if born.exact else ' or below'}" if born else answer.outcome
    if twin:
        right = answer.outcome == "nothing" and not (answer.swallowed and not truth.swallowed)
        return Scored(file.stem, "exact" if right else "false blame", said, live, not live)
    if not values:
        three = [step.function for step in (*((born.step,) if born else ()), *answer.candidates)][:3]
        if not truth.error:
            return Scored(file.stem, "nothing failed", said, "", False)
        verdict = "among three" if set(three) & set(truth.birth) else "not among three"
        return Scored(file.stem, verdict, ", ".join(three), "", False)
    return Scored(file.stem, judge(answer, truth), said, live, live in truth.birth)


def score_everyday(file: Path, *, truths: Path = TRUTHS, values: bool = True) -> Scored:
    """The same of an everyday command: ``wrong call`` where another system call is taken for the one that decided. A
    command without a truth succeeded."""
    truth = json.loads(truths.read_text()).get(file.stem)
    trace = kfgraph.load(file)
    answer = why(trace if values else without_values(trace))
    born = answer.birth
    said = f"{born.step.function}{'' if born.exact else ' or below'}" if born else answer.outcome
    if truth is None:
        right = answer.outcome == "nothing" and not answer.swallowed
        return Scored(file.stem, "exact" if right else "false blame", said, "", False)
    called = answer.failure.name if answer.failure is not None else ""
    if called not in truth["call"] or answer.error != truth["error"]:
        return Scored(file.stem, "wrong call", f"{called} = {answer.error}", "", False)
    if born is None and answer.candidates:
        said += f": {', '.join(step.function for step in answer.candidates)}"
    return Scored(file.stem, judge(answer, Truth(truth["error"], tuple(truth["birth"]), (), (), ())), said, "", False)


def without_values(trace: Trace) -> Trace:
    """The trace as an old one has it: no return values below the failing system call."""
    calls = trace.calls
    if calls.retval is None:
        return trace
    told = [bool(system_call_of(name)) for name in trace.symbols.names]
    flags = calls.flags.copy()
    flags[~np.array(told, np.bool_)[calls.func]] &= ~np.array(Flag.HAS_RETVAL, flags.dtype)
    return replace(trace, calls=calls.with_columns(flags=flags))


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", type=Path, nargs="*", default=kernels())
    parser.add_argument("--modules", type=Path, default=MODULES)
    parser.add_argument("--ko", type=Path, help="where the .ko files are: they name functions of vanished modules")
    parser.add_argument("--everyday", action="store_true", help="TRACES are of everyday.sh and passing.sh")
    parser.add_argument("--no-values", action="store_true", help="score as if no return values were recorded")
    arguments = parser.parse_args()
    for folder in arguments.traces:
        files = sorted(recordings(folder).glob("*.dat"))
        if arguments.everyday:
            commands = [score_everyday(file, values=not arguments.no_values) for file in files]
            for one in commands:
                print(f"{one.name:22} {one.verdict:15} {one.said}")
            failing = [one for one in commands if one.name in json.loads(TRUTHS.read_text())]
            print(f"\n{folder.name}:")
            for verdict, count in Counter(one.verdict for one in failing).most_common():
                print(f"{verdict:16} {count:4} of {len(failing)}")
            continue
        if arguments.no_values:
            files = [file for file in files if "." not in file.stem]
        modules = sources(recordings(folder), arguments.modules)
        options = {"modules": modules, "ko": arguments.ko, "values": not arguments.no_values}
        all_scored = [score(file, **options) for file in files]
        all_scored = [one for one in all_scored if one.verdict != "nothing failed"]
        for one in all_scored:
            print(f"{one.name:22} {one.verdict:15} {one.said:44} live: {one.live}")
        twins = [one for one in all_scored if "." in one.name]
        failing = [one for one in all_scored if "." not in one.name]
        print(f"\n{folder.name}:")
        for verdict, count in Counter(one.verdict for one in failing).most_common():
            print(f"{verdict:16} {count:4} of {len(failing)}")
        print(f"{'false blames':16} {sum(one.verdict != 'exact' for one in twins):4} of {len(twins)} twins")
        if not arguments.no_values:
            print(f"{'live rule':16} {sum(one.live_is_right for one in failing):4} of {len(failing)} exact")
            print(f"{'its false blames':16} {sum(not one.live_is_right for one in twins):4} of {len(twins)} twins\n")


if __name__ == "__main__":
    main()
