"""What every command must do: one contract over COMMANDS."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import io
import re
import shlex
from pathlib import Path

import pytest

from builder.tables import call, deep, trace_of, wide
from builder.text import report_text
from kfgraph.analyze.top import BY, GROUPS
from kfgraph.cli.app import main
from kfgraph.cli.commands import COMMANDS
from running import kfgraph

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = [command.name for command in COMMANDS]
LOOKING_FOR_FAILURES = ["why", "errors", "syscalls"]
READING = ["show", "top", "info", *LOOKING_FOR_FAILURES]
WITH_EXAMPLES = [*READING, "export"]
EACH = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)


def options_of(command: str) -> set[str]:
    """Every long option in its help."""
    code, out, _ = kfgraph(command, "--help")
    assert code == 0
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", out.split("Examples:")[0])) - {"--help"}


@EACH
def test_a_command_module_is_thin(command) -> None:
    source = inspect.getsource(importlib.import_module(command.module))
    assert len(source.splitlines()) <= 110, "it reads options, calls the API, and hands the result on"


@EACH
def test_the_help_ends_with_examples_that_work(command, monkeypatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("COLUMNS", "200")
    code, out, err = kfgraph(command.name, "--help")
    assert (code, err) == (0, "") and "Examples:" in out
    examples = importlib.import_module(command.module).EXAMPLES.removeprefix("Examples:").split("\n\n")
    lines = [line.strip() for line in examples if line.strip()]
    assert len(lines) >= 2
    for line in lines:
        assert re.match(r"(sudo )?kfgraph ", line), line
        if command.name in WITH_EXAMPLES and not line.startswith("sudo "):  # that would record
            words = shlex.split(re.split(r" [|>] ", line)[0])[1:]
            code, out, err = kfgraph(*words)
            assert code == 0 or ("--strict" in words and code == 5), f"{line}: {err}"
            assert out


@EACH
def test_every_option_stands_in_the_page_of_the_command(command, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    page = (REPOSITORY / "docs" / f"{command.name}.md").read_text()
    documented = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page))
    assert options_of(command.name) - documented == set()


@EACH
def test_the_list_of_commands_says_what_the_command_says(command) -> None:
    run = importlib.import_module(command.module).run
    assert " ".join(inspect.getdoc(run).split("\n\n")[0].split()) == command.summary


def test_a_misspelt_command_gets_one_suggestion() -> None:
    code, out, err = kfgraph("shwo")
    assert (code, out) == (2, "")
    assert err == "kfgraph: No such command 'shwo'. Did you mean 'show'?\n  hint: kfgraph --help\n"


def test_the_readme_names_every_command() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    assert [name for name in NAMES if f"kfgraph {name}" not in readme] == []


def test_the_words_of_top_are_those_of_the_api(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    out = kfgraph("top", "--help")[1]
    assert "|".join(BY) in out and "|".join(GROUPS) in out


SHAPES = {
    "one call": lambda: trace_of([call("f", 1_000)]),
    "unfinished": lambda: trace_of([call("open_me", 1_000, call("never_done", 5, unfinished=True))]),
    "odd names": lambda: trace_of([call("[red]f", 1_000, call("a.isra.0", 2_000))]),
    "5,000 levels": lambda: deep(5_000),
    "100,000 siblings": lambda: wide(100_000),
}


@functools.cache
def text_of(shape: str) -> str:
    """Written once, for all commands."""
    return report_text(SHAPES[shape]())


@pytest.mark.parametrize("command", READING)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_shown(command, shape, tmp_path) -> None:
    path = tmp_path / "report.txt"
    path.write_text(text_of(shape))
    code, out, err = kfgraph(command, str(path))
    if command in LOOKING_FOR_FAILURES:
        assert code == 6 and (out or err), "nothing failed here"
        return
    assert code == 0
    assert 1 <= len(out.splitlines()) <= 200, "about two screens, however large the trace"
    code, out, _ = kfgraph(command, str(path), "--json")
    assert code == 0 and out.startswith(("{", "["))


@pytest.mark.parametrize("line", ["", "to", "top --li", "show --me", "trace --gue", "info --js", "doctor --f"])
def test_completion_offers_commands_and_options(line, monkeypatch) -> None:
    monkeypatch.setenv("_KFGRAPH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"kfgraph {line}")
    monkeypatch.setenv("COMP_CWORD", str(max(len(line.split()), 1)))
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as done:
        main([])
    assert done.value.code == 0
    offered = out.getvalue().split()
    expected = {
        "": NAMES, "to": ["top"], "top --li": ["--limit"], "show --me": ["--merge"], "trace --gue": ["--guest"],
        "info --js": ["--json"], "doctor --f": ["--fix"],
    }[line]  # fmt: skip
    assert set(expected) <= set(offered)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_printed(shell, monkeypatch) -> None:
    out = io.StringIO()
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as done:
        main(["--show-completion", shell])
    assert done.value.code == 0
    assert "_KFGRAPH_COMPLETE" in out.getvalue() and "kfgraph" in out.getvalue()
