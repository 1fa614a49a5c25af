"""The manual pages: all that the commands declare, in roff that groff has nothing to say against."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kfgraph.cli.commands import COMMANDS
from kfgraph.cli.declared import Option, parameters
from kfgraph.cli.manpages import _text, pages

Formatted = Callable[[str], str]


@pytest.fixture(scope="module")
def formatted(program: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory) -> Formatted:
    groff, folder = program("groff", "groff-base"), tmp_path_factory.mktemp("man")

    def text(roff: str) -> str:
        page = folder / "page.1"
        page.write_text(roff, encoding="utf-8")
        # Wide: no word is hyphenated.
        done = subprocess.run(
            [groff, "-man", "-ww", "-Kutf8", "-Tutf8", "-P-c", "-P-b", "-P-u", "-rLL=2000n", str(page)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stderr == ""
        return done.stdout

    return text


def test_there_is_a_page_for_each_command() -> None:
    assert set(pages("1.2")) == {"kfgraph.1", *(f"kfgraph-{command.name}.1" for command in COMMANDS)}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_page_says_all_that_is_declared(command, formatted: Formatted) -> None:
    text = formatted(pages("1.2")[f"kfgraph-{command.name}.1"])
    module = importlib.import_module(command.module)
    assert text.startswith(f"KFGRAPH-{command.name.upper()}(1)") and "kfgraph 1.2" in text.splitlines()[-1]
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert any(line.startswith(f"kfgraph-{command.name} - ") for line in lines)
    for one in parameters(module.run):
        declared = one.declared
        words = declared.help.replace("\\[", "[")
        assert any(words in line for line in lines), words
        if isinstance(declared, Option):
            value = f" {declared.metavar}" if declared.metavar and one.kind is not bool else ""
            assert any(re.match(re.escape(declared.names[0] + value) + "( |,|$)", line) for line in lines), declared
    for line in module.EXAMPLES.splitlines()[1:]:
        assert line.strip() in text
    sections = [line for line in text.splitlines() if line.isupper() and line[0].isalpha()]
    assert sections == ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT STATUS", "SEE ALSO"]
    see = text.partition("SEE ALSO")[2]
    assert all((f"kfgraph-{other.name}(1)" in see) == (other is not command) for other in COMMANDS)


def test_the_page_of_kfgraph_lists_the_commands(formatted: Formatted) -> None:
    text = formatted(pages("1.2")["kfgraph.1"])
    for command in COMMANDS:
        assert f"kfgraph-{command.name}(1)" in text and command.summary in text


@pytest.mark.parametrize("letters", ["-", "'", "`", "^", "~", "\\"])
def test_what_is_typed_is_no_typesetters_letter(letters, formatted: Formatted) -> None:
    """A hyphen, an apostrophe or an accent in its place does not work where it is pasted."""
    roff = _text(letters)
    assert roff.startswith("\\") and roff != letters
    lines = [line.strip() for line in formatted(f".TH X 1\n.PP\na {roff} b\n").splitlines()]
    assert f"a {letters} b" in lines


@pytest.mark.parametrize("words", ["--min 1%", ".hidden", "'sys_*' and \\n", "a \\ b", "f [m]"])
def test_roff_takes_no_letter_for_its_own(words, formatted: Formatted) -> None:
    assert words in [line.strip() for line in formatted(f".TH X 1\n.PP\n{_text(words)}\n").splitlines()]


def test_the_installed_package_has_them(repository: Path, tmp_path: Path) -> None:
    """As a wheel is built: with the standard library and setuptools alone."""
    pytest.importorskip("setuptools", minversion="77", reason="extra: setuptools before 77 knows no SPDX licence")
    argv = [sys.executable, "setup.py", "-q", "build", "--build-base", str(tmp_path / "build"), "install_data"]
    code = f"import sys; sys.argv = {['setup.py', *argv[2:], '--install-dir', str(tmp_path / 'out')]}\n"
    code += "for name in ('numpy', 'typer', 'rich', 'click', 'Cython'): sys.modules[name] = None\n"
    code += "__file__ = 'setup.py'; exec(open('setup.py').read())"
    subprocess.run([sys.executable, "-c", code], cwd=repository, check=True, capture_output=True)
    made = {path.name: path.read_text() for path in (tmp_path / "out" / "share" / "man" / "man1").iterdir()}
    from kfgraph import __version__

    assert made == pages(__version__)


def test_what_prints_times_names_the_page_on_numbers(formatted: Formatted, repository: Path) -> None:
    assert (repository / "docs/truth.md").exists()
    named = {name for name, page in pages("1.2").items() if "docs/truth.md" in formatted(page)}
    every = {f"kfgraph-{command.name}.1" for command in COMMANDS}
    assert named == every - {"kfgraph-trace.1", "kfgraph-doctor.1"}
    for name, expected in (("top", True), ("trace", False)):
        shown = subprocess.run([sys.executable, "-m", "kfgraph", name, "--help"], capture_output=True, text=True)
        assert ("docs/truth.md" in shown.stdout) == expected
