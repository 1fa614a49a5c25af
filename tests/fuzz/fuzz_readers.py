"""Mutated inputs over all readers, many hundreds a second. Run by hand:

    PYTHONPATH=tests python tests/fuzz/fuzz_readers.py --seeds 0:1000000 --out FOLDER
    PYTHONPATH=tests python tests/fuzz/fuzz_readers.py --replay FOLDER/INPUT ...
    PYTHONPATH=tests python tests/fuzz/fuzz_readers.py --shrink FOLDER/INPUT ...

A seed is one input: it is made of the corpus by that number alone, so a range of seeds can be cut into
parts, stopped and taken up again (each line of progress names the seed to go on with). The only outcomes
allowed are a trace that passes ``check()`` and a KfgraphError. What else happens is written to FOLDER
(the input, its companion) and told; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from types import FrameType

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from fuzz import corpus, mutate  # noqa: E402 - the tests' folder has to be found first
from kfgraph.errors import KfgraphError  # noqa: E402
from kfgraph.parse import load  # noqa: E402

SECONDS = 10
BYTES = 3 << 30
COMPANION = ".kfgraph.json"


class TooSlow(BaseException):
    """The input took more than ``SECONDS``."""


def outcome(path: Path) -> str:
    """``trace`` or the class of the error that was told; everything else that reading does raises."""
    try:
        trace = load(path)
    except KfgraphError as error:
        assert error.message and "\n" not in error.message, "a message of several lines"
        return type(error).__name__
    trace.check()
    for notice in trace.notices:
        assert notice.n >= 1, f"a notice that counts nothing: {notice.code}"
    for i in range(min(len(trace.marks), 4)):
        assert isinstance(trace.marks.text[i], str)
    if trace.calls.args is not None:
        for row in range(min(len(trace.calls), 4)):
            trace.calls.args.text(row)
    return "trace"


def run(path: Path) -> tuple[str, str]:
    """(outcome, what went wrong or nothing) of one input, within the bounds."""
    signal.alarm(SECONDS)
    try:
        return outcome(path), ""
    except KeyboardInterrupt:
        raise
    except BaseException as problem:
        last = traceback.extract_tb(problem.__traceback__)[-1]
        return "FAULT", f"{type(problem).__name__}: {problem} ({Path(last.filename).name}:{last.lineno})"
    finally:
        signal.alarm(0)


def kind_of(problem: str) -> str:
    """A fault without its numbers: two inputs of one kind need not both be kept."""
    return "".join(c for c in problem if not c.isdigit())


class Folder:
    """Where inputs are put to be read: memory, if there is a file system of it."""

    def __init__(self) -> None:
        shm = Path("/dev/shm")
        self.path = Path(tempfile.mkdtemp(prefix="fuzz-readers-", dir=shm if shm.is_dir() else None), "input")
        self.companion = self.path.with_name(self.path.name + COMPANION)

    def put(self, given: mutate.Input) -> Path:
        """The file, with its companion if it has one."""
        self.path.write_bytes(given.data)
        if given.companion is None:
            self.companion.unlink(missing_ok=True)
        else:
            self.companion.write_bytes(given.companion)
        return self.path

    def remove(self) -> None:
        """Nothing stays."""
        for file in (self.path, self.companion):
            file.unlink(missing_ok=True)
        self.path.parent.rmdir()


def keep(out: Path, name: str, given: mutate.Input) -> Path:
    """The input as a file in ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / name
    file.write_bytes(given.data)
    if given.companion is not None:
        Path(f"{file}{COMPANION}").write_bytes(given.companion)
    return file


def stored(file: Path) -> mutate.Input:
    """An input that was kept."""
    companion = Path(f"{file}{COMPANION}")
    return mutate.Input(file.read_bytes(), companion.read_bytes() if companion.exists() else None)


def hunt(first: int, end: int, out: Path, *, every: float = 30) -> int:
    """Run the seeds ``first`` to ``end``; how many faults there were."""
    folder, parts = Folder(), corpus.corpus()
    outcomes: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    slowest = (0.0, -1)
    began = told = time.monotonic()
    seed = first
    try:
        for seed in range(first, end):
            given = mutate.made(random.Random(seed), parts)
            at = time.monotonic()
            result, problem = run(folder.put(given))
            now = time.monotonic()
            slowest = max(slowest, (now - at, seed))
            outcomes[result] += 1
            if problem:
                kind = kind_of(problem)
                faults[kind] += 1
                if faults[kind] <= 5:
                    file = keep(out, f"seed-{seed}", given)
                    print(f"seed {seed}: {problem}: {file}", flush=True)
            if now - told > every:
                told = now
                rate = (seed + 1 - first) / (now - began)
                print(f"go on with --seeds {seed + 1}:{end}; {rate:.0f} a second; {dict(outcomes)}", flush=True)
    finally:
        folder.remove()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(f"{seed + 1 - first} inputs in {time.monotonic() - began:.0f} s: {dict(outcomes)}")
        print(f"slowest {slowest[0]:.2f} s (seed {slowest[1]}), peak {peak} MiB")
        for kind, n in faults.most_common():
            print(f"{n} x {kind}")
    return sum(faults.values())


def shrink(file: Path) -> mutate.Input:
    """The smallest part of an input, by lines or blocks left out, that has a fault of the same kind."""
    folder, given = Folder(), stored(file)
    wanted = kind_of(run(folder.put(given))[1])
    assert wanted, f"{file}: nothing is wrong with it"
    if given.is_text:
        pieces = given.data.splitlines(keepends=True)
    else:
        pieces = [given.data[i : i + 1] for i in range(len(given.data))]
    size = max(len(pieces) // 2, 1)
    while True:
        at = 0
        while at < len(pieces):
            fewer = pieces[:at] + pieces[at + size :]
            smaller = mutate.Input(b"".join(fewer), given.companion)
            if fewer and kind_of(run(folder.put(smaller))[1]) == wanted:
                pieces = fewer
            else:
                at += size
        if size == 1:
            break
        size //= 2
    folder.remove()
    return mutate.Input(b"".join(pieces), given.companion)


def slow(_signal: int, _frame: FrameType | None) -> None:
    """The alarm rang."""
    raise TooSlow(f"more than {SECONDS} s")


def main() -> int:
    """The command line."""
    options = argparse.ArgumentParser()
    options.add_argument("--seeds", help="A:B, which inputs to make")
    options.add_argument("--out", type=Path, default=Path("fuzz-found"))
    options.add_argument("--replay", type=Path, nargs="+", default=[])
    options.add_argument("--shrink", type=Path, nargs="+", default=[])
    asked = options.parse_args()
    signal.signal(signal.SIGALRM, slow)
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    n_faults = 0
    for file in asked.shrink:
        print(keep(asked.out, f"{file.name}-small", shrink(file)))
    for file in asked.replay:
        result, problem = run(file)
        n_faults += bool(problem)
        print(f"{file}: {result} {problem}")
    if asked.seeds:
        first, _, end = asked.seeds.partition(":")
        n_faults += hunt(int(first), int(end), asked.out)
    return int(n_faults > 0)


if __name__ == "__main__":
    sys.exit(main())
