"""What PyPI is told of the package, and what the source distribution holds."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
from collections.abc import Callable
from email.message import Message
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


Told = Callable[[str], tuple[Message, set[str]]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return cache(lambda url: made(tmp_path_factory.mktemp("package"), url))


def made(folder: Path, url: str) -> tuple[Message, set[str]]:
    """The metadata, and the files of the source distribution."""
    pytest.importorskip("setuptools", minversion="77", reason="extra: setuptools before 77 knows no SPDX licence")
    environment = {**os.environ, "KFGRAPH_URL": url}
    argv = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(folder)]
    subprocess.run(argv, cwd=REPOSITORY, env=environment, check=True, capture_output=True)
    info = folder / "kfgraph.egg-info"
    return email.message_from_string((info / "PKG-INFO").read_text()), {*(info / "SOURCES.txt").read_text().split("\n")}


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", text)


def test_links_on_pypi_lead_to_the_repository_or_are_text(told: Told) -> None:
    url = "ssh://host/kfgraph"
    ours = [link for link in links((REPOSITORY / "README.md").read_text()) if ":" not in link]
    assert "docs/trace.md" in ours
    here = told(url)[0]
    text = here.get_payload()
    assert isinstance(text, str) and here["Description-Content-Type"] == "text/markdown"
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", (REPOSITORY / "README.md").read_text())
    assert len(pictures) == 2 and ours[:2] == pictures, "README opens with two pictures"
    assert links(text) == [f"{url}/{'raw' if link in pictures else 'blob'}/main/{link}" for link in ours]
    assert set(here.get_all("Project-URL") or []) == {
        f"Source, {url}", f"Documentation, {url}/tree/main/docs", f"Changelog, {url}/blob/main/CHANGELOG.md",
        f"Issues, {url}/issues",
    }  # fmt: skip
    nowhere = told("")[0]
    text = nowhere.get_payload()
    assert isinstance(text, str) and links(text) == [] and "![" not in text and "`kfgraph why [TRACE]`" in text
    assert nowhere.get_all("Project-URL") is None


def test_what_pypi_is_told(told: Told) -> None:
    metadata = told("")[0]
    classifiers = metadata.get_all("Classifier") or []
    assert "Operating System :: POSIX :: Linux" in classifiers and "Typing :: Typed" in classifiers
    assert (metadata["Requires-Python"], metadata["License-Expression"]) == (">=3.10", "MIT")
    caps = [need for need in metadata.get_all("Requires-Dist") or [] if "<" in need.partition(";")[0]]
    assert caps == []


def test_the_source_distribution_has_tests_and_docs(told: Told) -> None:
    files = told("")[1]
    assert {
        "tests/conftest.py", "tests/builder/pagecut.py", "tests/fixtures/traces/cut/i386-lossy.dat", "docs/design.md",
        "examples/cat-enoent.dat", "examples/foo/foo.c", "scripts/libraries.sh", "Makefile", ".ci/run", "README.md",
        "src/kfgraph/py.typed", "src/kfgraph/parse/scan.pxd", "benchmarks/run_all.py", "CHANGELOG.md",
    } <= files  # fmt: skip
    odd = re.compile(r"\.so$|\.py[co]$|__pycache__|^src/.*\.c$")
    assert [name for name in files if odd.search(name)] == []
