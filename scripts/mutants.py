"""Small faults put into the code one at a time: do the tests notice? Run by `make mutants`; takes hours, not in CI.

    python scripts/mutants.py [--sample 200] [--seed N] [--room parse ...]

cosmic-ray makes the mutants of the rooms named; a random sample of them, taken over all rooms together, is tested in a
copy of the checkout in which nothing is compiled, each with the tests of its room. Prints the mutants that no test
noticed, as diffs, and the share that died. Exits 1 when less than 90 % did.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
ENOUGH = 0.9
# Per room the tests that look at it, quick ones first: a mutant that they kill is done with at the first failure.
ROOMS = {
    "parse": "tests/pairing tests/parse tests/tracedat tests/contract tests/api",
    "passes": "tests/parse tests/top tests/show tests/contract tests/api",
    "analyze": "tests/analyze tests/top tests/why tests/show tests/info tests/api tests/contract",
    "model": "tests/analyze tests/top tests/parse tests/show tests/info tests/api tests/tracedat tests/contract",
    "export": "tests/show tests/top tests/contract tests/api",
    "render": "tests/show tests/top tests/info tests/why tests/cli tests/contract",
}
CONFIG = """[cosmic-ray]
module-path = "src/kfgraph/{room}"
timeout = 900.0
excluded-modules = []
test-command = "{python} -m pytest -x -q -p no:cacheprovider -p no:randomly {tests}"

[cosmic-ray.distributor]
name = "local"
"""


def copy_of_the_checkout(folder: Path) -> None:
    """What git knows and what is not committed yet, without anything that was built."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, check=True, capture_output=True,
    ).stdout.decode().split("\0")  # fmt: skip
    for name in filter(None, names):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)


def job_ids(session: Path) -> list[str]:
    """The mutants that a session holds."""
    with sqlite3.connect(session) as database:
        return [row[0] for row in database.execute("SELECT job_id FROM work_items ORDER BY job_id")]


def keep_only(session: Path, kept: set[str]) -> None:
    """A session without the mutants that were not drawn."""
    with sqlite3.connect(session) as database:
        for table in ("mutation_specs", "work_items"):
            for job in job_ids(session):
                if job not in kept:
                    database.execute(f"DELETE FROM {table} WHERE job_id = ?", (job,))


def survivors(session: Path) -> tuple[list[str], int]:
    """Diffs of the mutants that no test noticed, and how many were tested."""
    with sqlite3.connect(session) as database:
        rows = list(database.execute("SELECT test_outcome, diff FROM work_results"))
    return [diff for outcome, diff in rows if outcome and "SURVIVED" in outcome.upper()], len(rows)


def main() -> int:
    """Draws, runs, tells."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--room", action="append", choices=list(ROOMS))
    options = parser.parse_args()
    rooms = [room for room in options.room or ROOMS if (REPOSITORY / "src" / "kfgraph" / room).is_dir()]
    tool = str(Path(sys.executable).with_name("cosmic-ray"))
    print(f"{options.sample} mutants of {', '.join(rooms)}; --seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        copy = Path(name)
        copy_of_the_checkout(copy)
        environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}

        def run(*arguments: str) -> None:
            subprocess.run([tool, *arguments], cwd=copy, env=environment, check=True)

        for room in rooms:
            tests = " ".join(test for test in ROOMS[room].split() if (copy / test).is_dir())
            (copy / f"{room}.toml").write_text(CONFIG.format(room=room, python=sys.executable, tests=tests))
            run("init", f"{room}.toml", f"{room}.sqlite")
        everything = [(room, job) for room in rooms for job in job_ids(copy / f"{room}.sqlite")]
        random.seed(options.seed)
        drawn = random.sample(everything, min(options.sample, len(everything)))
        n_alive = n_tested = 0
        for room in rooms:
            session = copy / f"{room}.sqlite"
            keep_only(session, {job for where, job in drawn if where == room})
            run("exec", f"{room}.toml", f"{room}.sqlite")
            alive, tested = survivors(session)
            n_alive, n_tested = n_alive + len(alive), n_tested + tested
            print(f"{room}: {tested - len(alive)} of {tested} died", flush=True)
            for diff in alive:
                print(diff, flush=True)
    print(f"{n_tested - n_alive} of {n_tested} mutants died (of {len(everything):,}; --seed {options.seed})")
    return 0 if n_tested and (n_tested - n_alive) / n_tested >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
