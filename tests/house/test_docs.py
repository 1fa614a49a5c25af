"""The pages against the code."""

from __future__ import annotations

import doctest
import importlib.util
import json
import re
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

import kfgraph
from kfgraph import errors
from kfgraph.analyze.info import info

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("examples/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_to_files(page) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_architecture_names_every_package_and_each_module_of_a_page() -> None:
    packages = (REPOSITORY / "docs" / "design.md").read_text().partition("## Packages")[2].partition("\n## ")[0]
    source = REPOSITORY / "src" / "kfgraph"
    folders = {file.parent.name for file in source.rglob("__init__.py")} - {"kfgraph"}
    assert {name for name in folders if not re.search(rf"^ *{name}/ ", packages, re.MULTILINE)} == set()
    app = packages.partition(" app/ ")[2].partition(" export/ ")[0]
    modules = {file.stem for file in source.glob("render/html/app/*.mjs")}
    assert {name for name in modules if not re.search(rf"\b{name}\b", app)} == set()


def test_the_table_of_what_to_change_where_names_files_that_are_there() -> None:
    page = (REPOSITORY / "docs" / "design.md").read_text()
    table = page.partition("## Where to change what")[2].partition("\n## ")[0]
    files = re.findall(r"`([\w/]+\.py)`", table)
    assert len(files) > 40
    assert [file for file in files if not (REPOSITORY / "src" / "kfgraph" / file).is_file()] == []


def test_every_exit_code_is_on_its_page() -> None:
    page = (REPOSITORY / "docs" / "exit-codes.md").read_text()
    codes = {
        thing.exit_code
        for thing in vars(errors).values()
        if isinstance(thing, type) and issubclass(thing, errors.KfgraphError)
    }
    assert {code for code in codes if not re.search(rf"\b{code}\b", page)} == set()


def test_the_keys_of_info_json_are_on_its_page() -> None:
    data = info(kfgraph.load(REPOSITORY / "examples" / "insmod-fail19.report.txt.xz")).to_dict()
    json.dumps(data)
    page = (REPOSITORY / "docs" / "info.md").read_text().split("## --json")[1]
    assert {key for key in data if f"`{key}`" not in page} == set()


def test_every_public_name_is_on_the_page_of_the_api() -> None:
    page = (REPOSITORY / "docs" / "api.md").read_text()
    assert {name for name in kfgraph.__all__ if not re.search(rf"`{name}\b", page)} == set()


def test_the_code_on_the_page_of_the_api_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    page = (REPOSITORY / "docs" / "api.md").read_text()
    sessions, plain = 0, 0
    names: dict[str, object] = {}
    for block in re.findall(r"(?m)(?:^    .*\n(?:\n(?=    ))?)+", page):
        code = textwrap.dedent(block)
        if ">>>" not in code:
            exec(compile(code, "docs/api.md", "exec"), names)
            plain += 1
            continue
        test = doctest.DocTestParser().get_doctest(code, names, "docs/api.md", None, None)
        test.globs = names
        assert doctest.DocTestRunner().run(test, clear_globs=False).failed == 0, capsys.readouterr().out
        sessions += 1
    assert (sessions, plain) == (6, 3)
    # What print(tree) printed.
    printed = capsys.readouterr().out
    assert printed.startswith("1 call merged\n") and "load_module" in printed
    assert names["ret"].values[names["failed"]].tolist() == [-2]  # type: ignore[attr-defined, index]
    assert len(names["calls"]) == len(names["trace"].calls)  # type: ignore[attr-defined, arg-type]


def test_every_example_trace_has_its_provenance() -> None:
    page = (REPOSITORY / "examples" / "README.md").read_text()
    traces = {path.name for path in (REPOSITORY / "examples").iterdir() if path.suffix in (".dat", ".xz")}
    assert traces and {name for name in traces if f"`{name}`" not in page} == set()


def _transcripts() -> Any:
    """scripts/transcript.py as a module."""
    spec = importlib.util.spec_from_file_location("transcript", REPOSITORY / "scripts" / "transcript.py")
    assert spec is not None and spec.loader is not None
    transcript = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(transcript)
    return transcript


def test_the_readme_shows_what_the_commands_print() -> None:
    transcript = _transcripts()
    blocks = list(transcript.transcripts((REPOSITORY / "README.md").read_text()))
    held = [block for block in blocks if "examples/" in block["command"]]
    assert held and len(held) < len(blocks)
    for block in held:
        assert transcript.run(block["command"], REPOSITORY) == block["output"]


def test_the_pages_show_what_the_commands_print() -> None:
    """Whole lines in their order; ``...`` stands for others."""
    transcript, n_held = _transcripts(), 0
    for page in sorted(REPOSITORY.glob("docs/*.md")):
        for block in transcript.transcripts(page.read_text()):
            if "examples/" not in block["command"]:
                continue
            shown = [line for line in block["output"].splitlines() if line.strip() != "..."]
            printed = iter(transcript.run(block["command"], REPOSITORY, errors=True).splitlines())
            assert [line for line in shown if line not in printed] == [], (page.name, block["command"])
            n_held += len(shown)
    assert n_held > 15


def test_no_file_names_a_host_to_download_from() -> None:
    """Where packages come from is a machine's own matter: debootstrap, apt and pip have their defaults."""
    # The name of a namespace is no place to load anything from; nor is what a link leads to.
    known = rb"host\b|HOST\b|\*|www\.w3\.org/2000/svg\b"
    leads_to = rb"elixir\\?\.bootlin\\?\.com/|(?:[xy]|evil|cross\.reference)[/\\x'\"\]]"
    url = re.compile(rb"(?:https?|ftp|git|ssh)://(?!" + known + b"|" + leads_to + rb")([\w.-]+)")
    host = re.compile(rb"(?i)\b((?:[\w-]+\.)*(?:deb|debian|ubuntu|pypi|pythonhosted|mirrors?|archive|registry|crates)"
                      rb"(?:\.[\w-]+)*\.(?:org|com|net|io|dev))\b")  # fmt: skip
    assert host.findall(b"deb.debian.org x.pythonhosted.org mirror.a.net MIRRORS.A.com archive.ubuntu.com the.archive")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True)
    names = listed.stdout.decode().split("\0")[:-1] or pytest.skip("extra: not a git checkout")
    found = {}
    for name in names:
        path = REPOSITORY / name
        if path == Path(__file__) or not path.is_file() or name.startswith("tests/fixtures/"):
            continue
        data = path.read_bytes()
        hosts = {*url.findall(data), *host.findall(data)}
        if hosts:
            found[name] = hosts
    assert found == {}


def test_the_change_log_knows_this_version() -> None:
    assert f"## {kfgraph.__version__}" in (REPOSITORY / "CHANGELOG.md").read_text()
