"""Small faults put into the code one at a time: do the tests notice? Run by `make mutants`; takes hours, not in CI.

    python scripts/mutants.py [--sample 200] [--seed N] [--room parse ...] [--learnt FOLDER]

cosmic-ray makes the mutants of the rooms named, and a random sample of them is tested in a copy of the checkout, in
random order: whoever stops early has a random sample too. The tests run once without a mutant, to learn which of
them runs which line (FOLDER keeps that); then each mutant meets the tests that run its line, quick ones first. What
never runs makes no mutant: annotations, decorators of Cython, the stars between parameters, what does not compile;
nor does how a dataclass prints and compares itself, nor ``is`` in place of another comparison, which says the same of
small numbers. Prints the mutants that no test
noticed, as diffs, and the share that died. Exits 1 when less than 90 % did.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import io
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import tokenize
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import coverage
from cosmic_ray.commands.init import _all_work_items
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

REPOSITORY = Path(__file__).resolve().parent.parent
ENOUGH = 0.9
ROOMS = ("parse", "passes", "analyze", "model", "export", "render")
# Folders of tests: all but those that look at the machine, at guests, or at the shape of the code.
OTHERS = {"guest", "house"}
TESTS = sorted({file.parent.name for file in REPOSITORY.glob("tests/*/test_*.py")} - OTHERS)
# Of them those that look at the loops that are compiled elsewhere.
LOOPS = ("pairing", "tracedat", "parse")
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "mutants_plugin"]
COVERAGE = """[run]
source = src/kfgraph
data_file = {copy}/.coverage
parallel = true
patch = _exit
context = ${{MUTANTS_TEST-}}
"""
BEGINNING = 20  # so many quick tests are tried before the others are even imported
Learnt = dict[str, Any]  # seconds: test -> its time; lines: file -> line -> tests


def copy_of_the_checkout(folder: Path) -> None:
    """What git knows and what is not committed yet, and the compiled loops."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, check=True, capture_output=True,
    ).stdout.decode().split("\0")  # fmt: skip
    names += [str(file.relative_to(REPOSITORY)) for file in (REPOSITORY / "src").rglob("*.so")]
    for name in filter(None, names):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)


def environment(copy: Path, **more: str) -> dict[str, str]:
    """The copy is what is imported, in the tests and in what they start."""
    paths = f"{copy / 'src'}:{copy / 'scripts'}:{copy}"
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": paths, **more}


def learn(copy: Path, folder: str, *, longest: int) -> Learnt:
    """Which tests of a folder run which lines, by a run of all of them, and how long each takes."""
    # Compiled loops are not seen: those who look at them closely do without.
    compiled(copy, wanted=folder not in LOOPS)
    (copy / "coverage.ini").write_text(COVERAGE.format(copy=copy))
    (copy / "sitecustomize.py").write_text("import coverage\n\ncoverage.process_startup()\n")
    names = environment(copy, COVERAGE_PROCESS_START=str(copy / "coverage.ini"), MUTANTS_LEARN=str(copy / "seconds"))
    subprocess.run([*PYTEST, "--timeout", str(longest), f"tests/{folder}"], cwd=copy, env=names)
    (copy / "sitecustomize.py").unlink()
    subprocess.run([sys.executable, "-m", "coverage", "combine", "-q", "--rcfile=coverage.ini"], cwd=copy, check=True)
    data = coverage.CoverageData(str(copy / ".coverage"))
    data.read()
    lines = {}
    for file in data.measured_files():
        touched = {line: sorted(set(tests) - {""}) for line, tests in data.contexts_by_lineno(file).items()}
        lines[str(Path(file).relative_to(copy))] = {str(line): tests for line, tests in touched.items() if tests}
    return {"seconds": json.loads((copy / "seconds").read_text()), "lines": lines}


def learnt_of(copy: Path, kept: Path, *, longest: int) -> Learnt:
    """What was learnt of all folders; of those that are not in ``kept`` yet it is learnt now."""
    seconds: dict[str, float] = {}
    lines: dict[str, dict[str, list[str]]] = {}
    for folder in TESTS:
        file = kept / f"{folder}.json"
        if not file.exists():
            file.write_text(json.dumps(learn(copy, folder, longest=longest)))
        one = json.loads(file.read_text())
        seconds |= one["seconds"]
        for name, touched in one["lines"].items():
            for line, tests in touched.items():
                lines.setdefault(name, {}).setdefault(line, []).extend(tests)
    return {"seconds": seconds, "lines": lines}


def never_run(source: str, tree: ast.Module) -> set[tuple[int, int]]:
    """Lines and columns of annotations (they are not evaluated), of Cython's and dataclasses' decorators, and of what
    stands between parameters and looks like an operator."""
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    found = {one.start for one, after in pairwise(tokens) if one.string in ("*", "/") and after.string in (",", ")")}
    nodes: list[ast.expr | None] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.AnnAssign, ast.arg)):
            nodes.append(node.annotation)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            nodes += [one for one in node.decorator_list if ast.unparse(one).startswith(("cython.", "dataclass("))]
            nodes.append(node.returns if isinstance(node, ast.FunctionDef) else None)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            nodes.append(node.test)
    for one in filter(None, nodes):
        assert one.end_lineno is not None and one.end_col_offset is not None
        first, last = one.lineno, one.end_lineno
        for line in range(first, last + 1):
            begin = one.col_offset - 1 if line == first else 0
            found |= {(line, column) for column in range(begin, one.end_col_offset if line == last else 200)}
    return found


def lines_of(tree: ast.Module, line: int) -> tuple[range, bool]:
    """The lines that run where this line does: its statement's; a function's own for what stands in its head. Outside
    of functions: whatever the file does (True)."""
    around = [
        node for node in ast.walk(tree) if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    functions = [node for node in around if isinstance(node, ast.FunctionDef)]
    statement = min(around, key=lambda node: (node.end_lineno or 0) - node.lineno, default=None)
    if statement is None or not functions:
        return range(0), True
    body = getattr(statement, "body", None)
    if body and not isinstance(statement, ast.FunctionDef):
        return range(statement.lineno, body[0].lineno), False
    return range(statement.lineno, (statement.end_lineno or 0) + 1), False


def tests_for(learnt: Learnt, file: str, tree: ast.Module, line: int) -> list[str]:
    """The tests that run a line, quick ones first."""
    known = learnt["lines"].get(file, {})
    lines, all_of_them = lines_of(tree, line)
    found = {test for at, tests in known.items() if all_of_them or int(at) in lines for test in tests}
    shared = tuple(name for name in found if name not in learnt["seconds"])
    more = (test for test in learnt["seconds"] if test.startswith(shared)) if shared else ()
    return sorted((found | set(more)) & set(learnt["seconds"]), key=lambda test: learnt["seconds"][test])


def bounded(limit_s: int) -> Callable[[], None]:
    """A mutant that takes all memory does not take the machine's, and one that never ends takes so much of a CPU."""

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
        resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s + 10))

    return bound


def noticed(copy: Path, tests: list[str], learnt: Learnt) -> str:
    """What the first of these tests to fail said, "" where none did."""
    for some in (tests[:BEGINNING], tests[BEGINNING:]):
        if not some:
            continue
        (copy / "run").write_text(json.dumps(some))
        files = sorted({test.partition("::")[0] for test in some})
        limit_s = 60 + 5 * int(sum(learnt["seconds"][test] for test in some))
        try:
            done = subprocess.run(
                [*PYTEST, "-x", *files], cwd=copy, env=environment(copy, MUTANTS_RUN=str(copy / "run")),
                timeout=20 * limit_s,  # of a clock: other work may have the CPUs
                capture_output=True, text=True, errors="replace", preexec_fn=bounded(limit_s),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return "took too long"
        if done.returncode in (4, 5) and "conftest" not in done.stdout:
            raise SystemExit(f"pytest ran nothing:\n{done.stdout}\n{done.stderr}")
        if done.returncode:
            said = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
            return (said or [f"status {done.returncode}"])[0][:150]
    return ""


def compiled(copy: Path, *, wanted: bool) -> None:
    """Puts the compiled loops where they are imported, or out of the way."""
    for file in (copy / "src").rglob("*.so" + ("" if not wanted else ".off")):
        file.rename(file.with_suffix("") if wanted else f"{file}.off")


def main() -> int:
    """Draws, runs, tells."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--room", action="append", choices=list(ROOMS))
    parser.add_argument("--learnt", type=Path, help="folder of what an earlier run learnt; made where it is missing")
    parser.add_argument("--longest", type=int, default=60, help="tests that take longer are left out (60 s)")
    options = parser.parse_args()
    rooms = options.room or ROOMS
    print(f"{options.sample} mutants of {', '.join(rooms)}; --seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        copy = Path(name)
        copy_of_the_checkout(copy)
        kept = options.learnt or copy / "learnt"
        kept.mkdir(exist_ok=True)
        learnt = learnt_of(copy, kept, longest=options.longest)
        # The last folder that was learnt may have put them out of the way.
        hot = {file.parent / f"{file.name.partition('.')[0]}.py" for file in (copy / "src").rglob("*.so*")}
        files = [file for room in rooms for file in sorted((copy / "src/kfgraph" / room).rglob("*.py"))]
        trees = {file: ast.parse(file.read_text()) for file in files}
        skipped = {file: never_run(file.read_text(), tree) for file, tree in trees.items()}
        everything = [item.mutations[0] for item in _all_work_items(files, {})]
        everything = [one for one in everything if tuple(one.start_pos) not in skipped[one.module_path]]
        everything = [one for one in everything if not one.operator_name.endswith(("_Is", "_IsNot"))]
        random.seed(options.seed)
        random.shuffle(everything)
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        n_done = n_alive = 0
        for one in everything:
            if n_done == options.sample:
                break
            file, source = one.module_path, one.module_path.read_text()
            mutated = mutate_code(source, get_operator(one.operator_name)(**one.operator_args), one.occurrence)
            try:
                compile(mutated, str(file), "exec")
            except (SyntaxError, TypeError, ValueError):
                continue
            compiled(copy, wanted=file not in hot)
            tests = tests_for(learnt, str(file.relative_to(copy)), trees[file], one.start_pos[0])
            before, began = file.stat().st_mtime, time.monotonic()
            file.write_text(mutated)
            os.utime(file, (before, before + 10 + n_done))  # bytecode is kept by time and size
            said = noticed(copy, tests, learnt)
            file.write_text(source)
            os.utime(file, (before, before))
            n_done, n_alive = n_done + 1, n_alive + (not said)
            room = file.relative_to(copy / "src/kfgraph").parts[0]
            counts[room][0] += bool(said)
            counts[room][1] += 1
            place = f"{file.relative_to(copy)}:{one.start_pos[0]} {one.operator_name.partition('/')[2]}"
            print(f"{n_done}. {place}: {said or f'ALIVE after {len(tests)} tests'} [{time.monotonic() - began:.0f} s]")
            if not said:
                diff = difflib.unified_diff(source.splitlines(), mutated.splitlines(), lineterm="", n=2)
                print("\n".join(diff))
            sys.stdout.flush()
    for room, (n_died, n_tested) in sorted(counts.items()):
        print(f"{room}: {n_died} of {n_tested} died")
    print(f"{n_done - n_alive} of {n_done} mutants died (of {len(everything):,}; --seed {options.seed})")
    return 0 if n_done and (n_done - n_alive) / n_done >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
