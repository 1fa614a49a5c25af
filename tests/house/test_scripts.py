"""The Makefile and the scripts behind it."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = sorted([*REPOSITORY.glob("scripts/*.sh"), REPOSITORY / ".ci" / "run"])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_parses_and_may_be_run(script) -> None:
    shell = "bash" if "bash" in script.read_text().splitlines()[0] else "sh"
    subprocess.run([shell, "-n", str(script)], check=True)
    assert os.access(script, os.X_OK)


def test_every_target_says_what_it_does_and_the_pages_name_none_that_is_not_there() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    phony = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.M)[0].split())
    rules = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    assert phony == rules
    explained = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.M))
    assert phony - explained == {"venv"}
    for page in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"^    make ([a-z-]+)", (REPOSITORY / page).read_text(), re.M))
        assert named and named <= rules


@pytest.fixture
def bare(tmp_path) -> dict[str, str]:
    """An environment whose PATH has a user who is not root, and next to nothing else."""
    for name in ("sh", "tr", "sort", "dpkg"):
        if found := shutil.which(name):
            (tmp_path / name).symlink_to(found)
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    return {"PATH": str(tmp_path), "PYTHON": sys.executable}


def test_without_root_the_missing_packages_are_named_and_nothing_fails(bare) -> None:
    done = subprocess.run(
        ["/bin/sh", str(REPOSITORY / "scripts/packages.sh"), "base"], env=bare, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout == ""
    first, second = done.stderr.splitlines()
    assert first.startswith("Not installed here: ") and {"gcc", "trace-cmd", "xz-utils"} <= set(first.split())
    assert second.startswith("  (as root: apt-get install ")


def test_where_nothing_may_be_missing_a_missing_package_fails(bare) -> None:
    done = subprocess.run(
        ["/bin/sh", str(REPOSITORY / "scripts/packages.sh"), "base"],
        env={**bare, "KFGRAPH_REQUIRE_ALL": "1"},
        capture_output=True,
    )
    assert done.returncode == 1


def test_an_unknown_group_is_said(bare) -> None:
    done = subprocess.run(
        ["/bin/sh", str(REPOSITORY / "scripts/packages.sh"), "nosuch"], env=bare, capture_output=True, text=True
    )
    assert "no group named nosuch" in done.stderr


def test_python_m_kfgraph_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "kfgraph", "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"kfgraph \d+\.\d+\.\d+\n", done.stdout) and done.stderr == ""


def test_the_example_of_the_api_runs() -> None:
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "examples" / "report.py")], capture_output=True, text=True, check=True
    )
    assert "5,694 calls" in done.stdout and "do_init_module ×1" in done.stdout


def _embedded() -> list[tuple[str, str]]:
    """(name, source) of every piece of Python outside the package: files, and what shell scripts hold."""
    found = []
    for folder in ("scripts", "benchmarks", "examples"):
        for path in sorted((REPOSITORY / folder).iterdir()):
            if path.suffix == ".py":
                found.append((f"{folder}/{path.name}", path.read_text()))
            elif path.suffix == ".sh":
                pieces = re.findall(r"<<-?'?PYTHON'?\n(.*?)\nPYTHON", path.read_text(), re.DOTALL)
                found += [(f"{folder}/{path.name}", piece) for piece in pieces]
    return found


@pytest.mark.parametrize(("name", "source"), _embedded(), ids=lambda value: value if len(value) < 60 else "")
def test_what_scripts_take_from_the_package_is_there(name, source) -> None:
    tree = ast.parse(source)
    modules: dict[str, object] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "kfgraph":
            for alias in node.names:
                module = importlib.import_module(node.module)
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
                modules[alias.asname or alias.name] = getattr(module, alias.name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            thing = modules[node.value.id]
            assert not inspect.ismodule(thing) or hasattr(thing, node.attr), f"{name}: {node.value.id}.{node.attr}"
