"""A command that a screen says to type is whole, on one line at any width, and works where it is pasted."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from builder.tables import call, trace_of
from kfgraph import load
from kfgraph.analyze.why import Step, Why, why
from kfgraph.model.trace import TraceMeta
from kfgraph.render.explorer import lists
from kfgraph.render.why import WhyView
from kfgraph.render.wrapping import with_command, wrapped
from running import kfgraph

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FOO = EXAMPLES / "insmod-foo-fail19.dat"
RETRY = EXAMPLES / "failing" / "retry.dat"
WIDTHS = (60, 70, 80, 100, 120, 160, 200)


def words_of(line: str) -> list[str]:
    """What a shell makes of the command in a line of a screen."""
    command = re.search(r"kfgraph (why|show|errors) .*", line)
    assert command is not None, line
    made = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {command[0]}"], stdout=subprocess.PIPE, check=True, timeout=10
    )
    return [word.decode("utf-8", "surrogateescape") for word in made.stdout.split(b"\0")[1:-1]]


def test_no_line_ends_between_a_number_and_its_unit_and_wide_characters_count_as_two() -> None:
    said = "1.234 ms of it, 5.678 us"
    for width in range(8, 30):
        lines = wrapped(said, width)
        assert " ".join(lines) == said and not any(line[-1].isdigit() for line in lines)
        wide = wrapped("⚡⚡⚡ 日本 語語語 a ≥ 2 s", width)
        assert " ".join(wide) == "⚡⚡⚡ 日本 語語語 a ≥ 2 s" and max(map(cell_len, wide)) <= width


def hints(screen: str) -> list[str]:
    return [line for line in screen.splitlines() if "kfgraph " in line]


@pytest.mark.parametrize("name", ["t.dat", "a trace of last week's.dat", "-t.dat", "\x1b[31m$HOME.dat", "日本語.dat"])
@pytest.mark.parametrize("width", WIDTHS)
def test_what_why_and_show_say_works_as_typed(name: str, width: int, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.chdir(tmp_path)
    shutil.copy(RETRY, name)
    shutil.copy(f"{RETRY}.kfgraph.json", f"{name}.kfgraph.json")
    typed = f"./{name}" if name.startswith("-") else name
    code, out, _ = kfgraph("why", typed)
    assert code == 0
    (said,) = hints(out)
    assert words_of(said) == ["show", typed, "--root", "retry_init"]
    code, shown, _ = kfgraph(*words_of(said))
    assert code == 0 and shown.startswith("insmod-261, CPU 0, 0.595601 s after the start\n")
    code, out, _ = kfgraph("show", typed, "--root", "retry_init", "--depth", "1")
    (said,) = hints(out)
    assert words_of(said) == ["errors", typed, "--limit", "0"]
    assert kfgraph(*words_of(said))[0] == 0
    before = out[: out.index(said)].splitlines()[-1] if "more failed" not in said else said
    assert before.startswith("5 more failed; to list them:")


def test_the_options_that_made_it_readable_are_in_it(tmp_path: Path) -> None:
    reader = load(FOO).meta.reader
    given = ["--reader", reader]
    code, out, _ = kfgraph("why", FOO, *given)
    assert code == 0
    (said,) = hints(out)
    assert words_of(said) == ["show", str(FOO), *given, "--root", "foo_probe"]
    assert load(FOO, btf=()).meta.as_typed == str(FOO)
    assert load(FOO, reader=reader).meta.as_typed == f"{FOO} --reader {reader}"
    with FOO.open("rb") as stream:
        assert load(stream).meta.as_typed == "TRACE"


def test_what_is_no_file_has_no_name_to_type() -> None:
    for path, word in (("", "TRACE"), ("-", "TRACE"), ("<pipe>", "TRACE"), ("a b", "'a b'")):
        assert TraceMeta(path=path).as_typed == word


def explained(function: str, following: str = "") -> Why:
    trace = replace(trace_of([call("f")]), meta=TraceMeta(path="x.dat"))
    steps = tuple(Step(name, name, "", 0, -5, "", "return value") for name in ("a", function, "b", "c"))
    return replace(why(trace), outcome="cause", error=-5, chain=steps, next=following)


def screen(answer: Why, width: int) -> list[str]:
    return [line.plain for line in WhyView(answer).lines(width)]


def test_a_name_is_a_name_and_no_glob() -> None:
    assert screen(explained("odd[0]*"), 200)[-1] == "  the calls around it: kfgraph show x.dat --root 'odd[[]0][*]'"
    assert screen(explained("\x1b[0m"), 200)[-1] == "  the calls around it: kfgraph show x.dat --root $'\\033[[]0m'"


@pytest.mark.parametrize("width", WIDTHS)
def test_what_to_record_next_is_whole(width: int) -> None:
    command = (
        "sudo trace-cmd record -p function_graph -O funcgraph-retval -e workqueue mount -o x=1 /dev/sdb1 '/mnt/a b'"
    )
    lines = screen(explained("f", command), width)
    assert [line for line in lines if command in line] == (
        [f"  to know more: {command}"] if 16 + len(command) <= width else [f"    {command}"]
    )
    parts = [text.plain for text, _ in lists.answered(explained("f", command))(width)]
    assert max(map(len, parts)) <= width and command in "".join(parts)


def test_a_command_on_a_line_of_its_own() -> None:
    assert with_command("do:", "kfgraph show", width=16) == ["do: kfgraph show"]
    assert with_command("do:", "kfgraph show", width=15) == ["do:", "  kfgraph show"]
    assert with_command("a b:", "日本", width=9, indent=1) == [" a b:", "   日本"]
    assert with_command("so to do:", "kfgraph show x", width=8, indent=1) == [
        " so to", "   do:", "   kfgraph show x",
    ]  # fmt: skip


def test_a_command_within_a_sentence_is_not_broken() -> None:
    said = "as root, or sudo sysctl kernel.kptr_restrict=0 (see kfgraph doctor --fix)"
    assert wrapped(said, 20, commands=True) == [
        "as root, or", "sudo sysctl kernel.kptr_restrict=0", "(see", "kfgraph doctor --fix)",
    ]  # fmt: skip
    assert wrapped(said, 20) == [
        "as root, or sudo",
        "sysctl",
        "kernel.kptr_restrict=0",
        "(see kfgraph doctor",
        "--fix)",
    ]


def test_a_hint_of_info_is_not_broken(tmp_path: Path, monkeypatch) -> None:
    text = tmp_path / "nodur.txt"
    text.write_text(
        "# tracer: function_graph\n#\n# CPU  FUNCTION CALLS\n# |     |   |   |   |\n 0)  f() {\n 0)    g();\n 0)  }\n"
    )
    for width in WIDTHS:
        monkeypatch.setenv("COLUMNS", str(width))
        code, out, _ = kfgraph("info", text)
        assert code == 0 and sum("(echo 1 > options/funcgraph-duration)" in line for line in out.splitlines()) == 1
