"""The overview of a command that failed begins with why."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from running import kfgraph as run

EVERYDAY = Path(__file__).parents[1] / "why" / "everyday" / "fixtures" / "6.1"
FAILING = Path(__file__).resolve().parents[2] / "examples" / "failing"
FIXTURES = Path(__file__).resolve().parents[1] / "why" / "fixtures"
HEADS = ("total", "start", "trace", "function")
PATH = "retry_init → retry_reset → retry_wait_ready"


@pytest.fixture
def trace(tmp_path, monkeypatch) -> str:
    """The trace of an insmod that failed, in a folder of its own, with its companion."""
    for name in ("retry.dat", "retry.dat.kfgraph.json"):
        shutil.copy(FAILING / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return "retry.dat"


def first_lines(*words: str, width: int = 200) -> list[str]:
    """What is printed before the head of the table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        code, out, _ = run(*words)
    assert code == 0
    lines = out.splitlines()
    return lines[: next(i for i, line in enumerate(lines) if line.split()[0] in HEADS)]


def test_the_answer_the_way_and_what_to_type_stand_before_the_tree(trace) -> None:
    before = "(before it: -ETIMEDOUT × 4)"
    assert first_lines("show", trace) == [
        f'finit_module("retry.ko") = -ETIMEDOUT, first returned by retry_wait_ready [retry], its 5th call {before}',
        f"  {PATH}",
        "  kfgraph why retry.dat explains",
    ]


def test_info_begins_with_it_too(trace) -> None:
    said = first_lines("info", trace)
    assert said[0].startswith('why       finit_module("retry.ko") = -ETIMEDOUT, first returned by retry_wait_ready')
    assert said[1:] == [f"          {PATH}", "          kfgraph why retry.dat explains"]


def test_where_no_value_tells_the_likeliest_functions_and_what_to_type_stand_there(tmp_path, monkeypatch) -> None:
    for name in ("read_only.dat", "read_only.dat.kfgraph.json"):
        shutil.copy(EVERYDAY / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    reason = "no return value was recorded below __x64_sys_mkdir"
    perhaps = "perhaps it began in (inferred, the likeliest first): __mnt_want_write, __d_rehash, d_add"
    again = "to know more: sudo kfgraph why --again -- mkdir ro/new"
    head = f"mkdir() = -EROFS, where it was born is not known: {reason}"
    assert first_lines("show", "read_only.dat") == [head, f"  {perhaps}", f"  {again}"]
    assert first_lines("show", "read_only.dat", width=60)[2:4] == [
        "  perhaps it began in (inferred, the likeliest first):",
        "    __mnt_want_write, __d_rehash, d_add",
    ]
    assert first_lines("info", "read_only.dat")[1:] == [f"          {perhaps}", f"          {again}"]
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = run("why", "read_only.dat")
    assert (code, out.splitlines()[3]) == (4, f"  {perhaps}")


@pytest.mark.parametrize("width", [60, 80])
def test_no_line_is_wider_than_the_screen_and_no_command_is_broken(width, trace) -> None:
    said = first_lines("show", trace, width=width)
    assert max(map(len, said)) <= width
    assert "  kfgraph why retry.dat explains" in said and f"  {PATH}" in said


def test_a_command_that_is_wider_than_the_screen_stays_whole(trace) -> None:
    said = first_lines("show", trace, width=24)
    assert [line.strip() for line in said if "kfgraph" in line] == ["kfgraph why retry.dat explains"]


@pytest.mark.parametrize("asked", [["--root", "retry_init"], ["--task", "insmod"], ["--merge"], ["--callers", "kfree"]])
def test_who_asks_for_a_part_gets_that(asked, trace) -> None:
    assert not any("first returned by" in line for line in first_lines("show", trace, *asked))


@pytest.mark.parametrize("companion", [None, 0])
def test_nothing_is_said_where_nobody_knows_that_it_failed(companion, trace) -> None:
    file = Path(f"{trace}.kfgraph.json")
    if companion is None:
        file.unlink()
    else:
        known = json.loads(file.read_text())
        assert known["exit_status"] == 1
        file.write_text(json.dumps({**known, "exit_status": companion, "modules": []}))
    assert first_lines("show", trace) == [] == first_lines("info", trace)


@pytest.mark.parametrize("command", ["show", "info"])
def test_where_nothing_is_known_it_says_what_to_record(command, trace) -> None:
    known = json.loads(Path(f"{trace}.kfgraph.json").read_text())
    Path("plain.txt").write_text("# tracer: function_graph\n 0)   1.000 us    |  f();\n" * 2)
    Path("plain.txt.kfgraph.json").write_text(json.dumps({**known, "pids": [], "modules": []}))
    lines = first_lines(command, "plain.txt")
    assert "the command ended with status 1, and no system call that was recorded with its result failed" in lines[0]
    assert lines[1].strip().startswith("to know more: sudo kfgraph trace ") and "insmod retry.ko" in lines[1]
    assert len(lines) == 2


def test_a_load_that_succeeded_though_its_probe_failed_is_told(tmp_path, monkeypatch) -> None:
    with tarfile.open(FIXTURES / "7.2.tar.xz") as archive:
        for member in archive.getmembers():
            if Path(member.name).name.startswith("probe_fails.dat"):
                (tmp_path / Path(member.name).name).write_bytes(archive.extractfile(member).read())
    monkeypatch.chdir(tmp_path)
    said = first_lines("show", "probe_fails.dat")
    assert said[0].startswith("no system call failed, but pf_probe [probe_fails] returned -EREMOTEIO")
    assert said[-1] == "  kfgraph why probe_fails.dat explains"
