"""``kfgraph export`` as it is typed: where the output goes, and what is said."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import get_args

import pytest

from builder.tables import call, trace_of
from builder.text import report_text
from kfgraph.cli.export import Format
from kfgraph.export.exporters import NAMES
from running import kfgraph

EXAMPLE = str(Path(__file__).resolve().parents[2] / "examples" / "insmod-fail19.dat")


def test_every_format_is_offered() -> None:
    (names,) = (get_args(kind) for kind in get_args(get_args(Format)[0]) if get_args(kind))
    assert names == NAMES


def test_the_end_of_the_name_decides(tmp_path) -> None:
    path = tmp_path / "out.folded"
    assert kfgraph("export", EXAMPLE, "-o", str(path)) == (0, "", "")
    assert path.read_text() == kfgraph("export", EXAMPLE, "--format", "folded")[1]
    assert path.read_text().startswith("insmod-260;load_module 878690\n")
    assert kfgraph("export", EXAMPLE, "--format", "csv", "-o", str(path))[0] == 0
    assert path.read_text().startswith("row,parent,")
    packed = tmp_path / "out.json.gz"
    assert kfgraph("export", EXAMPLE, "-o", str(packed))[0] == 0
    assert json.loads(gzip.decompress(packed.read_bytes()))["displayTimeUnit"] == "ns"
    assert kfgraph("export", EXAMPLE, "-f", "csv", "-o", "-")[1].startswith("row,parent,")


def test_what_is_no_format_is_said(tmp_path) -> None:
    code, out, err = kfgraph("export", EXAMPLE)
    assert (code, out) == (2, "") and err.startswith("kfgraph: no format: give --format") and "folded" in err
    code, out, err = kfgraph("export", EXAMPLE, "-o", str(tmp_path / "a.html"))
    assert code == 2 and "kfgraph html -o FILE" in err
    assert kfgraph("export", EXAMPLE, "--format", "nosuch")[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_there_whole_or_not_at_all(tmp_path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    path.chmod(0o640)
    code, _, err = kfgraph("export", EXAMPLE, "-o", str(path), "--root", "nosuch")
    assert code == 6 and path.read_text() == "old", err
    assert kfgraph("export", EXAMPLE, "-o", str(path))[0] == 0
    assert path.read_text().startswith("row,") and path.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


def test_a_trace_is_not_overwritten(tmp_path) -> None:
    path = tmp_path / "trace.json"
    path.write_bytes(Path(EXAMPLE).read_bytes())
    code, _, err = kfgraph("export", str(path), "-o", str(path))
    assert code == 2 and "is a trace" in err
    assert path.read_bytes() == Path(EXAMPLE).read_bytes() and len(list(tmp_path.iterdir())) == 1


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path) -> None:
    (tmp_path / "link.csv").symlink_to("real.csv")
    assert kfgraph("export", EXAMPLE, "-o", str(tmp_path / "link.csv"))[0] == 0
    assert (tmp_path / "link.csv").is_symlink() and (tmp_path / "real.csv").read_text().startswith("row,")
    assert kfgraph("export", EXAMPLE, "-f", "csv", "-o", "/dev/null") == (0, "", "")
    assert Path("/dev/null").is_char_device()


def test_where_it_cannot_write_it_says_so(tmp_path) -> None:
    code, out, err = kfgraph("export", EXAMPLE, "-o", str(tmp_path / "no" / "a.csv"))
    assert (code, out) == (3, "")
    assert err.startswith(f"kfgraph: cannot write {tmp_path}/no/a.csv: No such file or directory\n  hint: -o FILE")
    code, _, err = kfgraph("export", EXAMPLE, "-f", "csv", "-o", "/dev/full")
    assert code == 3 and "No space left" in err


def test_what_was_altered_is_counted_on_stderr(tmp_path) -> None:
    path = tmp_path / "report.txt"
    path.write_text(report_text(trace_of([call("f", 1_000, call("g", 5, unfinished=True)), call("h", 5)])))
    code, out, err = kfgraph("export", str(path), "--format", "folded")
    assert code == 0 and out
    assert err == (
        "kfgraph: 1 call without a known end: shown as long as the known time inside it; "
        "1 call with records missing inside: its own time is at most what is shown\n"
    )


def test_filters_reach_the_file() -> None:
    out = kfgraph("export", EXAMPLE, "-f", "json", "--root", "do_init_module", "--no-irq")[1]
    rows = [json.loads(line) for line in out.splitlines()]
    assert rows[0]["function"] == "do_init_module" and {row["context"] for row in rows} == {"task"}
    shown = kfgraph("show", EXAMPLE, "--root", "do_init_module", "--no-irq", "--json")[1]
    assert shown == out


def test_json_is_what_show_prints() -> None:
    names = "insmod-foo-fail19.dat"
    path = str(Path(EXAMPLE).parent / names)
    assert kfgraph("export", path, "-f", "json")[1] == kfgraph("show", path, "--json")[1]


def test_the_umask_holds(tmp_path) -> None:
    old = os.umask(0o027)
    try:
        assert kfgraph("export", EXAMPLE, "-o", str(tmp_path / "a.csv"))[0] == 0
    finally:
        os.umask(old)
    assert (tmp_path / "a.csv").stat().st_mode & 0o777 == 0o640


def test_slices_have_values_and_flags() -> None:
    out = kfgraph("export", str(Path(EXAMPLE).parent / "insmod-foo-fail19.dat"), "-f", "chrome")[1]
    args = {event["name"]: event.get("args") for event in json.loads(out)["traceEvents"] if event["ph"] == "X"}
    assert args["foo_probe [foo]"] == {"ret": -19, "error": "ENODEV"}
    assert args["foo_alloc.constprop.0 [foo]"]["ret"].startswith("0xff")
    out = kfgraph("export", EXAMPLE, "-f", "chrome")[1]
    args = {event["name"]: event.get("args") for event in json.loads(out)["traceEvents"] if event["ph"] == "X"}
    # Its return probes tell a value and no type.
    told = {"ret": -19, "error": "ENODEV?", "flags": ["NAME_UNRESOLVED"]}
    assert args["0xffffffffc074e000"] == told and args["find_sec"] is None


@pytest.mark.parametrize("example", ["insmod-fail19.dat", "cat-enoent.dat"])
def test_chrome_has_events_and_values(example) -> None:
    out = kfgraph("export", str(Path(EXAMPLE).parent / example), "-f", "chrome")[1]
    events = json.loads(out)["traceEvents"]
    assert {event["ph"] for event in events} == {"M", "X", "i"}
    if example == "cat-enoent.dat":
        texts = {event["name"]: event["args"]["text"] for event in events if event["ph"] == "i"}
        assert texts["sys_exit_execve"] == "__syscall_nr=59 ret=0"
        failed = [event for event in events if event.get("args", {}).get("error") == "ENOENT"]
        assert failed and all(event["args"].get("ret", -2) == -2 for event in failed)
    else:
        marks = [event for event in events if event["ph"] == "i"]
        assert len(marks) == 10 and (marks[0]["name"], marks[0]["ts"]) == ("widget_alloc", 471086.421)
