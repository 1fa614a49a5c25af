"""The plan of the house, held over the syntax tree: see docs/design.md."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from kfgraph.cli.commands import COMMANDS
from kfgraph.parse.compiled import HOT_LOOPS, compiled_loops

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "src" / "kfgraph"
MODULES = sorted(SOURCE.rglob("*.py"))

# Which rooms of this package a room may import. `__init__` holds the lazily imported public API.
ALLOWED = {
    "errors": {"errors"},
    "programs": set(),
    "model": {"errors", "model"},
    "kernel": {"errors", "model", "kernel"},
    "tracefile": {"errors", "model", "kernel", "tracefile"},
    "capture": {"errors", "programs", "model", "kernel", "tracefile", "capture"},
    "passes": {"errors", "model", "kernel", "passes"},
    "parse": {"errors", "programs", "model", "kernel", "tracefile", "passes", "parse"},
    "analyze": {"errors", "model", "kernel", "analyze"},
    "render": {"errors", "model", "kernel", "analyze", "render"},
    "export": {"errors", "model", "kernel", "analyze", "export"},
    "cli": {"errors", "model", "kernel", "tracefile", "capture", "parse", "analyze", "render", "export", "cli"},
    "__main__": {"cli"},
}
# The version is a fact of the package, not of a room; results print themselves through the package's public door.
FREE_NAMES = {
    "__version__", "to_html", "to_rich", "to_text", "CallRows", "ErrorTable", "Filters", "SystemCallTable"
}  # fmt: skip
RICH = {"render", "cli"}
NEVER_AT_IMPORT = {"pandas", "anytree"}
MAX_LINES = 500
COMMAND_FILES = {command.module.rpartition(".")[2] for command in COMMANDS}


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@cache
def tree_of(path: Path) -> ast.Module:
    """The file's syntax tree, which nobody changes."""
    return ast.parse(path.read_text())


def imports(tree: ast.AST, path: Path) -> Iterator[tuple[int, str, str]]:
    """(line, module, name) of every import, wherever it stands; name is "" for ``import module``."""
    package = ("kfgraph", *path.relative_to(SOURCE).parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            for alias in node.names:
                yield node.lineno, module, alias.name


def at_import_time(tree: ast.Module) -> ast.Module:
    """The statements that run when the module is imported: no function bodies, no TYPE_CHECKING."""

    class Strip(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
            return None

        def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
            if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
                return node.orelse
            return self.generic_visit(node)

    return Strip().visit(tree)


def direction_problems(path: Path) -> list[str]:
    room = room_of(path)
    if room == "__init__":
        return []
    problems = []
    for line, module, name in imports(tree_of(path), path):
        parts = [*module.split("."), *([name] if name else [])]
        if parts[0] == "kfgraph" and parts[1] not in FREE_NAMES and parts[1] not in ALLOWED[room]:
            problems.append(f"{path.relative_to(REPOSITORY)}:{line}: {room} imports {parts[1]}")
        if parts[0] == "rich" and room not in RICH:
            problems.append(f"{path.relative_to(REPOSITORY)}:{line}: rich in {room}")
    return problems


def test_imports_go_one_way() -> None:
    assert len(MODULES) > 300
    assert [problem for path in MODULES for problem in direction_problems(path)] == []


def test_the_test_of_directions_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.SOURCE", tmp_path)
    monkeypatch.setattr(f"{__name__}.REPOSITORY", tmp_path)
    (tmp_path / "parse").mkdir()
    bad = tmp_path / "parse" / "bad.py"
    bad.write_text(
        "from __future__ import annotations\n"
        "from kfgraph.analyze import top\nfrom kfgraph import capture\nfrom .. import render\n"
        "def f():\n    import kfgraph.cli.app\n    from rich.text import Text\n"
        "from kfgraph import __version__\nfrom . import records\n"
    )
    assert [p.split(": ", 1)[1] for p in direction_problems(bad)] == [
        "parse imports analyze",
        "parse imports capture",
        "parse imports render",
        "parse imports cli",
        "rich in parse",
    ]


def heavy_imports(path: Path) -> list[str]:
    named = imports(at_import_time(ast.parse(path.read_text())), path)
    return [f"{path}:{line}: {module}" for line, module, _ in named if module.split(".")[0] in NEVER_AT_IMPORT]


def test_pandas_and_anytree_are_imported_when_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [found for path in MODULES for found in heavy_imports(path)] == []
    monkeypatch.setattr(f"{__name__}.SOURCE", tmp_path)
    bad = tmp_path / "bad.py"
    bad.write_text(
        "import numpy\ndef f():\n    import pandas\nif TYPE_CHECKING:\n    import pandas\nimport anytree.x\n"
    )
    assert heavy_imports(bad) == [f"{bad}:6: anytree.x"]


def test_no_module_outgrows_its_room() -> None:
    assert [path for path in MODULES if len(path.read_text().splitlines()) > MAX_LINES] == []


def clashes(paths: list[Path]) -> set[str]:
    """Names that several files have. A command, and a tree and its view, are one subject in several rooms."""
    by_name: dict[str, list[str]] = {}
    for path in paths:
        by_name.setdefault(path.stem, []).append(str(path.relative_to(SOURCE)))
    one_subject = COMMAND_FILES | {"again", "tree", "__init__"}
    return {" ".join(sorted(files)) for name, files in by_name.items() if len(files) > 1 and name not in one_subject}


def test_no_two_files_of_one_name_have_different_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert clashes(MODULES) == set()
    monkeypatch.setattr(f"{__name__}.SOURCE", tmp_path)
    names = ["parse/words.py", "render/words.py", "cli/top.py", "analyze/top.py", "model/__init__.py", "__init__.py"]
    assert clashes([tmp_path / name for name in names]) == {"parse/words.py render/words.py"}


def test_the_explorer_alone_knows_textual() -> None:
    explorer, found = SOURCE / "render" / "explorer", {}
    for path in MODULES:
        named = [module.split(".") for _, module, _ in imports(tree_of(path), path)]
        knows = {"textual"} & {parts[0] for parts in named}
        knows |= {"explorer" for parts in named if "explorer" in parts and path != SOURCE / "cli" / "explore.py"}
        if knows and explorer not in path.parents:
            found[path] = knows
    assert found == {}


def imported_files(path: Path) -> set[Path]:
    """The files of this package that a file imports, anywhere in it: in functions and under TYPE_CHECKING too.

    Not counted is what ``kfgraph/__init__.py`` imports: the public API names everything, and rooms have the version
    from it.
    """
    found = set()
    if path == SOURCE / "__init__.py":
        return found
    for _, module, name in imports(tree_of(path), path):
        parts = module.split(".")
        if parts[0] != "kfgraph":
            continue
        for place in (SOURCE.joinpath(*parts[1:], name), SOURCE.joinpath(*parts[1:])):
            file = next((f for f in (place.with_suffix(".py"), place / "__init__.py") if f.is_file()), None)
            if file is not None:
                found.add(file)
                break
    return found - {path}


def circles() -> list[list[str]]:
    """Groups of files that import one another, straight or by way of others."""
    edges = {path: imported_files(path) for path in SOURCE.rglob("*.py")}

    def reached(start: Path) -> set[Path]:
        seen: set[Path] = set()
        ahead = list(edges[start])
        while ahead:
            path = ahead.pop()
            if path not in seen:
                seen.add(path)
                ahead += edges[path]
        return seen

    reach = {path: reached(path) for path in edges}
    groups = {
        frozenset(other for other in reach[path] if path in reach[other]) for path in edges if path in reach[path]
    }
    return sorted(sorted(str(path.relative_to(SOURCE)) for path in group) for group in groups)


def test_no_files_import_one_another_in_a_circle() -> None:
    assert circles() == []


def test_the_test_of_circles_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.SOURCE", tmp_path)
    files = {
        "__init__.py": "from kfgraph.model import a",
        "model/__init__.py": "",
        "model/a.py": "from kfgraph import __version__\ndef f():\n    from kfgraph.model import b",
        "model/b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .c import x",
        "model/c.py": "import kfgraph.model.a",
        "model/d.py": "from kfgraph.model.a import f\nfrom kfgraph import model",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert circles() == [["model/a.py", "model/b.py", "model/c.py"]]


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sorted(m for m in sys.modules if '.' not in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_chunks_are_on_their_way_before_numpy_is_imported() -> None:
    assert "numpy" not in loaded_by("import kfgraph.parse, kfgraph.parse.tracedat.feed")
    everything = ", ".join(f"kfgraph.tracefile.{path.stem}" for path in (SOURCE / "tracefile").glob("[a-z]*.py"))
    assert "kfgraph.tracefile.contents" in everything
    assert "numpy" not in loaded_by(f"import {everything}, kfgraph.capture.verify")


@pytest.mark.parametrize("command", ["show", "top", "info", "errors", "why", "syscalls"])
def test_a_command_opens_its_trace_before_it_imports_what_looks_at_it(command: str) -> None:
    assert "numpy" not in loaded_by(f"import kfgraph.cli.app as a; a.main(['{command}', '/no/such/trace.dat'])")


def test_the_command_line_starts_light() -> None:
    heavy = {"numpy", "pandas", "anytree", "zstandard", "elftools"}
    assert loaded_by("from kfgraph.cli import typed as t; t.build([c.name for c in t.COMMANDS])") & heavy == set()
    assert loaded_by("import kfgraph") & (heavy | {"typer", "rich"}) == set()


def test_a_plain_recording_starts_without_typer() -> None:
    code = "import kfgraph.cli.app as a; a.main(['trace', '-q', '-f', '--root=vfs_open', '--', 'no-such-command'])"
    assert loaded_by(code) & {"typer", "click", "rich", "numpy", "elftools"} == set()


@pytest.mark.parametrize("line", ["show --root f", "top --json", "errors", "syscalls -c", "why", "info"])
def test_a_plain_look_at_a_trace_starts_without_typer(line: str) -> None:
    words = line.split()
    code = f"import kfgraph.cli.app as a; assert a.main({[words[0], 'no-such-file.dat', *words[1:]]}) == 5"
    assert loaded_by(code) & {"typer", "click", "rich"} == set()


def test_reading_and_analysing_load_no_pandas() -> None:
    assert loaded_by("import kfgraph; kfgraph.load, kfgraph.top, kfgraph.call_tree") & NEVER_AT_IMPORT == set()


@pytest.mark.parametrize(
    "line",
    ["show", "show --merge", "show -e *", "show --json", "top", "info", "errors", "why", "syscalls"],
)
def test_masked_arrays_are_not_imported(line: str) -> None:
    """As numpy.unique does: that is a tenth of a small command's time. ``kfgraph.model.arrays.distinct`` is there."""
    command, *options = line.split()
    for name in ("cat-enoent.dat", "insmod-foo-fail19.dat"):
        args = [command, str(REPOSITORY / "examples" / name), *options]
        code = f"import sys, kfgraph\nkfgraph.main({args})\nsys.exit('numpy.ma' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.returncode, len(done.stdout + done.stderr) > 10) == (0, True), done.stderr


def test_loading_imports_no_masked_arrays() -> None:
    """Of no kind of trace; ``numpy.isin`` of numbers that are far apart does too."""
    files = sorted((REPOSITORY / "tests/fixtures/traces/cut").glob("*.dat"))
    texts = sorted((REPOSITORY / "examples").glob("*.report.txt.xz"))
    assert len(files) > 10 and len(texts) > 3
    code = "import sys, kfgraph\nfor f in sys.argv[1:]:\n kfgraph.load(f)\n if 'numpy.ma' in sys.modules: sys.exit(f)"
    args = [sys.executable, "-c", code, *map(str, files + texts)]
    done = subprocess.run(args, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def tracked_texts() -> Iterator[tuple[str, str]]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("extra: not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        path = REPOSITORY / name
        if path.is_file():
            data = path.read_bytes()
            if b"\0" not in data[:4096]:
                yield name, data.decode("utf-8", "replace")


def test_no_path_of_one_machine_is_tracked() -> None:
    # Spelt apart, so that this file does not name them either.
    machine = ["/wo" + "rk/", "/roo" + "t/.pyenv", "/tmp/" + "lab"]
    here = f"{REPOSITORY}/"
    found = [f"{name}: {path}" for name, text in tracked_texts() for path in [*machine, here] if path in text]
    assert found == []


def test_the_repository_stays_small() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("extra: not a git checkout")
    names = [name for name in listed.stdout.split("\0") if (REPOSITORY / name).is_file()]
    n_bytes = {name: (REPOSITORY / name).stat().st_size for name in names}
    recordings = sum(size for name, size in n_bytes.items() if name.startswith("examples/") or "/fixtures/" in name)
    assert recordings < 15 << 20
    pictures = sum(size for name, size in n_bytes.items() if name.startswith("docs/pictures/"))
    assert pictures < 1.5 * (1 << 20)
    assert sum(n_bytes.values()) - recordings - pictures < 5_550_000


def test_python_is_parsed_as_python_3_10() -> None:
    for path in MODULES:
        ast.parse(path.read_text(), feature_version=(3, 10))


def test_only_hot_loops_may_be_complex() -> None:
    loops = {SOURCE / "parse" / f"{name.replace('.', '/')}.py" for name in HOT_LOOPS}
    assert all(path.is_file() for path in loops)
    exempt = {path for path in REPOSITORY.rglob("*.py") if "C901" + " (" in path.read_text(errors="replace")}
    assert {path for path in exempt if not {".venv", "build"} & {*path.parts}} <= loops
    configured = (REPOSITORY / "pyproject.toml").read_text()
    assert '"C901"]' in configured and "max-complexity = 15\n" in configured


def test_info_knows_every_hot_loop_that_setup_compiles() -> None:
    listed = re.findall(r'"kfgraph\.parse\.([\w.]+)":', (REPOSITORY / "setup.py").read_text())
    assert sorted(listed) == sorted(HOT_LOOPS) == sorted(compiled_loops())
