"""The Makefile and the scripts behind it."""

from __future__ import annotations

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
