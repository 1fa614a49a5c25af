"""kfgraph why on the command line: its screens, its codes, and a command behind --."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import blame
import pytest

from kfgraph import load
from kfgraph.analyze.why import Origin, why
from kfgraph.cli import trace as trace_command
from kfgraph.kernel.sourcelines import SourceLine
from running import kfgraph

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FOO, CAT = EXAMPLES / "insmod-foo-fail19.dat", EXAMPLES / "cat-enoent.dat"


@pytest.mark.parametrize("width", [60, 70, 80, 120, 200])
def test_the_answer_is_the_first_line_at_any_width(width, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, _ = kfgraph("why", FOO)
    lines = out.splitlines()
    first = " ".join(line.strip() for line in lines[:2])
    assert code == 0 and first.startswith(
        "load_module = -ENODEV, first returned by foo_read_id [foo], its 3rd call (before it: 66, 67)"
    )
    command = f"kfgraph show {FOO} --root foo_probe"
    assert lines[-1].strip() in (command, f"the calls around it: {command}") and len(lines) <= 20
    assert max(map(len, lines[:-1])) <= width
    assert [line.split()[1] for line in lines if "born here" in line] == ["foo_read_id"]


def test_earlier_calls_of_the_birthplace_are_told_once(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    retry = kfgraph("why", EXAMPLES / "failing" / "retry.dat")[1]
    assert "\n  4 calls of it before returned -ETIMEDOUT × 4\n" in retry
    assert "before it ran" not in retry
    data = json.loads(kfgraph("why", EXAMPLES / "failing" / "retry.dat", "--json")[1])
    assert data["birth"]["earlier"] == ["-110"] * 4
    # What else its caller had called is there.
    busy = kfgraph("why", EXAMPLES / "failing" / "busy_unmount.dat")[1]
    assert "\n  before it ran: user_path_at = 0\n" in busy


def test_a_failed_system_call_is_named_with_its_file() -> None:
    code, out, _ = kfgraph("why", CAT)
    assert code == 0
    assert out.startswith('openat("/nonexistent") = -ENOENT, first returned by atomic_open')


def test_all_lists_every_failed_system_call_with_its_reason(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    code, out, _ = kfgraph("why", CAT, "--all")
    assert code == 0
    assert [(line.split()[1], "decided" in line) for line in out.splitlines()] == [
        ('access("/etc/ld.so.preload")', False), ('openat("/nonexistent")', True),
    ]  # fmt: skip
    assert "the dynamic loader looks in several places" in out


def test_the_json_is_one_object() -> None:
    code, out, _ = kfgraph("why", CAT, "--json")
    data = json.loads(out)
    assert code == 0 and data["failure"]["system_call"] == "openat" and data["failure"]["path"] == "/nonexistent"
    assert data["birth"]["function"] == "atomic_open" and data["birth"]["exact"]
    # The trace has no types: the 0 of its callee may be NULL or false.
    assert not data["birth"]["sure"] and "v9fs_vfs_atomic_open_dotl returned 0" in data["reason"]
    assert [step["function"] for step in data["chain"]][-2:] == ["path_openat", "atomic_open"]


def test_the_docs_name_every_key_of_the_json() -> None:
    answer = why(load(FOO))
    assert answer.birth is not None and answer.has_failed
    step = answer.chain[-1]
    sources = {(one.symbol, one.module): SourceLine("foo.c", 7, "debug info") for one in answer.chain}
    ignored = {"swallowed": (step,), "origins": (Origin(step, True, True),)}
    full = replace(answer, candidates=(step,), never_ran=(("foo", ("f", "g"), 3),), sources=sources, **ignored)
    table = (EXAMPLES.parent / "docs" / "why.md").read_text().partition("\n## --json\n")[2]
    rows = [line.strip("|").partition("|") for line in table.splitlines() if line.startswith("| `")]
    named = {key: set(re.findall(r"`(\w+)`", text)) for keys, _, text in rows for key in re.findall(r"`(\w+)`", keys)}
    data = full.to_dict()
    assert set(data) == set(named)
    of_step = set(data["candidates"][0])
    assert of_step == {"function", "symbol", "module", "row", "value", "error", "source"}
    assert named["outcome"] == {"cause", "unknown", "nothing", "unrecorded"}
    assert set(data["failure"]) == named["failure"]
    assert set(data["birth"]) | set(data["birth"]["source"]) == named["birth"] and of_step <= named["birth"]
    assert set(data["chain"][0]) - of_step == named["chain"] - {"birth"} == {"evidence"}
    assert set(data["swallowed"][0]) - of_step == named["swallowed"] - {"exact", "sure"} == {"birth"}
    assert set(data["swallowed"][0]["birth"]) - of_step == {"exact", "sure"}
    assert set(data["never_ran"][0]) == named["never_ran"]


def test_where_nothing_tells_of_failures_none_is_denied() -> None:
    # An insmod that failed, recorded without system calls; the text does not tell of which calls its return probes are.
    for name in ("insmod-fail19.report.txt.xz", "insmod-dummy.report.txt.xz"):
        code, out, _ = kfgraph("why", EXAMPLES / name)
        assert code == 6 and out.splitlines() == [
            "not known whether anything failed",
            "  not known: no return value and no result of a system call was recorded",
            "",
            "  to know more: sudo kfgraph trace -- COMMAND",
        ]
        code, out, _ = kfgraph("why", EXAMPLES / name, "--json")
        data = json.loads(out)
        assert code == 6 and (data["outcome"], data["failure"]) == ("unrecorded", None)
        assert data["reason"] == "no return value and no result of a system call was recorded"


def test_nothing_failed_is_6_and_says_so(tmp_path: Path) -> None:
    line = "             cat-5     [000]  100.00000{}: {}: {}\n"
    called = line.format(1, "funcgraph_entry", "       1.000 us   |  __x64_sys_sync();")
    told = tmp_path / "told.txt"
    told.write_text(called + line.format(3, "sys_exit_sync", "0x0"))
    assert kfgraph("why", told)[:2] == (6, "nothing failed\n")
    told.write_text(called + line.format(3, "sched_switch", "cat:5 [120] S ==> swapper/0:0 [120]"))
    assert kfgraph("why", told)[1].startswith("not known whether anything failed\n")


def test_ret_takes_names_and_numbers() -> None:
    said = {kfgraph("why", FOO, "--ret", word)[1] for word in ("ENODEV", "-ENODEV", "19", "-19")}
    assert len(said) == 1 and "foo_read_id" in said.pop()
    code, _, err = kfgraph("why", FOO, "--ret", "NODEV")
    assert code == 2 and "--ret NODEV" in err
    code, _, err = kfgraph("why", FOO, "--ret", "EIO")
    assert code == 6 and "EIO" in err


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """kfgraph trace as it would be: it writes this trace and ends with status 7."""
    calls = []

    def run(**options):
        calls.append(options)
        shutil.copy(CAT, options["output"])
        return 7

    monkeypatch.setattr(trace_command, "run", run)
    return calls


def test_a_command_is_recorded_and_explained_and_its_status_passed_on(recorded, tmp_path) -> None:
    code, out, _ = kfgraph("why", tmp_path / "t.dat", "--", "cat", "--all", "/nonexistent")
    assert code == 7 and 'openat("/nonexistent") = -ENOENT' in out
    assert recorded == [
        {"command": ["cat", "--all", "/nonexistent"], "output": str(tmp_path / "t.dat"), "quiet": True, "guest": False}
    ]


def test_guest_goes_with_a_command_only(recorded, tmp_path) -> None:
    assert kfgraph("why", "--guest", tmp_path / "t.dat", "--", "true")[0] == 7
    assert recorded[0]["guest"] is True
    assert kfgraph("why", "--guest", CAT)[0] == 2
    assert kfgraph("why", "--")[0] == 2


@pytest.mark.parametrize("option", ["--debuginfo", "--source", "--module", "--btf"])
@pytest.mark.parametrize("given", ["missing", "no ELF file"])
def test_a_file_that_is_no_use_is_refused_before_the_command_runs(option, given, recorded, tmp_path) -> None:
    file = tmp_path / "vmlinux"
    if given == "no ELF file":
        file.write_bytes(b"garbage " * 99)
    code, out, err = kfgraph("why", option, file, tmp_path / "t.dat", "--", "cat", "/nonexistent")
    assert (code, out, recorded) == (5, "", []) and str(file) in err


def test_files_that_can_be_used_stop_no_command(recorded, program, tmp_path) -> None:
    ko = _foo_ko(tmp_path, program("gcc", "gcc"), "ab" * 20)
    given = ("--debuginfo", ko, "--module", ko, "--module", tmp_path, "--source", tmp_path)
    code, out, _ = kfgraph("why", *given, tmp_path / "t.dat", "--", "cat", "/nonexistent")
    assert code == 7 and len(recorded) == 1 and 'openat("/nonexistent") = -ENOENT' in out


@pytest.mark.parametrize("width", [60, 80, 120])
def test_file_and_line_from_a_source_tree(width, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    text = (EXAMPLES / "foo" / "foo.c").read_text()
    line = text[: text.index("foo_read_id(int slot)")].count("\n") + 1
    code, out, _ = kfgraph("why", FOO, "--source", EXAMPLES / "foo")
    assert code == 0 and f"  foo_read_id: foo.c:{line} (source tree)" in out.splitlines()
    assert max(map(len, out.splitlines()[:-1])) <= width
    chain = json.loads(kfgraph("why", FOO, "--source", EXAMPLES / "foo", "--json")[1])["chain"]
    assert [(step["function"], step["source"] and step["source"]["file"]) for step in chain][-2:] == [
        ("foo_probe_slot", "foo.c"), ("foo_read_id", "foo.c"),
    ]  # fmt: skip
    assert chain[0]["function"] == "load_module" and chain[0]["source"] is None
    assert chain[-1]["source"] == {"file": "foo.c", "line": line, "origin": "source tree"}
    assert kfgraph("why", FOO, "--source", EXAMPLES / "none")[0] == 5
    said = kfgraph("why", CAT, "--all", "--source", EXAMPLES / "foo")[2]
    assert "--source does nothing" in said


def _foo_ko(folder: Path, gcc: str, build_id: str) -> Path:
    """A module's file named foo with foo_read_id on its line 3, and this build ID."""
    (folder / "foo.c").write_text("/* foo */\n\nint foo_read_id(int slot)\n{\n\treturn slot;\n}\n")
    (folder / "info.s").write_text(
        '.section .modinfo,"a"\n.asciz "name=foo"\n.asciz "vermagic=7.2 "\n'
        f'.section .note.gnu.build-id,"a",%note\n.long 4, {len(build_id) // 2}, 3\n.asciz "GNU"\n'
        f".byte {', '.join('0x' + build_id[i : i + 2] for i in range(0, len(build_id), 2))}\n"
    )
    subprocess.run([gcc, "-g", "-c", "foo.c", "info.s"], cwd=folder, check=True)
    subprocess.run(["ld", "-r", "-o", "foo.ko", "foo.o", "info.o"], cwd=folder, check=True)
    return folder / "foo.ko"


def test_file_and_line_from_debug_info(program, tmp_path: Path) -> None:
    """Unasked, of the module that was loaded; another build's, and another kernel's, is refused."""
    companion = json.loads(Path(f"{FOO}.kfgraph.json").read_text())
    (module,) = companion["modules"]
    build_id = module["build_id"]
    ours, other = tmp_path / "ours", tmp_path / "other"
    ours.mkdir()
    other.mkdir()
    ko = _foo_ko(ours, program("gcc", "gcc"), build_id)
    stranger = _foo_ko(other, program("gcc", "gcc"), "ab" * (len(build_id) // 2))

    def why(*more: object, loaded: Path) -> tuple[int, str, str]:
        trace = tmp_path / "foo.dat"
        shutil.copy(FOO, trace)
        module["path"] = str(loaded)
        Path(f"{trace}.kfgraph.json").write_text(json.dumps(companion))
        return kfgraph("why", trace, *more)

    said = "  foo_read_id: foo.c:3 (debug info)"
    assert said in why(loaded=ko)[1].splitlines()
    assert "foo.c" not in why(loaded=stranger)[1]
    assert "foo.c" not in why(loaded=tmp_path / "none.ko")[1]
    assert said in why("--debuginfo", ko, loaded=tmp_path / "none.ko")[1].splitlines()
    code, _, err = why("--debuginfo", stranger, loaded=ko)
    assert code == 5 and "another build of foo than the one that was traced" in err
    code, _, err = why("--debuginfo", EXAMPLES / "foo" / "foo.c", loaded=ko)
    assert code == 5 and "not an ELF file" in err
    banner = 'const char banner[] = "Linux version 5.4.0-other (gcc)";\n'
    (tmp_path / "main.c").write_text(f"{banner}int main(void) {{ return 0; }}\n")
    subprocess.run([program("gcc", "gcc"), "-g", "-o", "vmlinux", "main.c"], cwd=tmp_path, check=True)
    code, _, err = why("--debuginfo", tmp_path / "vmlinux", loaded=ko)
    assert code == 5 and "debug info of 5.4.0-other; the trace is of " in err


@pytest.mark.parametrize(
    ("prototype", "told"),
    [
        ("int slot", "its arguments: slot=2"),
        ("char slot, unsigned char b, short c", "its arguments: slot=2, b=0x10, c=5252"),
        ("enum way { IN, OUT, BOTH } way, const void *p", "its arguments: way=2, p=0x10"),
        ("unsigned long slot, const volatile count_t n", "its arguments: slot=0x2, n=0x10"),
        ("void", ""),
    ],
)
def test_arguments_get_their_names_from_debug_info(prototype: str, told: str, program, tmp_path: Path) -> None:
    """Of a module without types of its own, on a kernel that records registers."""
    recording = blame.recordings(Path(__file__).parent / "fixtures" / "7.2") / "deep.dat"
    arguments = json.loads(kfgraph("why", recording, "--json")[1])["birth"]["arguments"]
    assert arguments.startswith("0x2, 0x10, 0x1484, ")
    (tmp_path / "deep.c").write_text(
        f"typedef unsigned count_t;\nint deep_read_id({prototype})\n{{\n\treturn 0;\n}}\n"
    )
    (tmp_path / "info.s").write_text('.section .modinfo,"a"\n.asciz "name=deep"\n.asciz "vermagic=7.2 "\n')
    subprocess.run([program("gcc", "gcc"), "-g", "-c", "deep.c", "info.s"], cwd=tmp_path, check=True)
    subprocess.run(["ld", "-r", "-o", "deep.ko", "deep.o", "info.o"], cwd=tmp_path, check=True)
    code, out, _ = kfgraph("why", recording, "--debuginfo", tmp_path / "deep.ko")
    said = [line.strip() for line in out.splitlines() if "arguments" in line]
    assert code == 0 and said == ([told] if told else []) and "deep_read_id: deep.c:2 (debug info)" in out
