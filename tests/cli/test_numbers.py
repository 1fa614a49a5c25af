"""Numbers that users type, and those of a companion file: never a bug, never silently another number."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import pytest

import kfgraph as api
from builder.tables import call, trace_of
from builder.tracedat import dat_of
from kfgraph.capture.plan import parse_size_kb
from kfgraph.cli.commands import COMMANDS
from kfgraph.cli.declared import option_name, parameters
from kfgraph.errors import UsageError
from kfgraph.model.units import (
    format_bytes,
    format_count,
    format_ns,
    format_share,
    format_size,
    parse_ns,
    parse_seconds,
    parse_whole,
    plural,
)
from running import kfgraph


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("numbers") / "t.dat"
    path.write_bytes(dat_of(trace_of([call("f", 1_000_000, call("g", 2_000_000))])))
    return str(path)


def numeric_options() -> list[tuple[str, str, type]]:
    """(command, option, int or float) of every option of every command that takes a number."""
    found = []
    for command in COMMANDS:
        run = importlib.import_module(command.module).run
        found += [
            (command.name, option_name(run, one.name), one.kind) for one in parameters(run) if one.kind in (int, float)
        ]
    return found


NUMERIC = numeric_options()
NEVER = [
    "nan", "-nan", "inf", "-inf", "Infinity", "1e300", "1e400", "9" * 30, "9" * 5000, "1_000", "٣", "", " ", "0x10",
    "1e", "½",
]  # fmt: skip


def test_there_are_numeric_options_of_each_command() -> None:
    assert {("show", "--from", float), ("show", "--depth", int), ("show", "--pid", int), ("top", "--limit", int),
            ("trace", "--duration", float), ("trace", "--guest-timeout", float), ("trace", "--pid", int),
            ("trace", "--max-depth", int)} <= set(NUMERIC)  # fmt: skip


@pytest.mark.parametrize("command, option, kind", NUMERIC, ids=lambda value: getattr(value, "__name__", value))
def test_what_is_no_number_or_too_large_is_wrong_usage(command, option, kind, trace) -> None:
    for value in NEVER:
        operands = ["true"] if command == "trace" else [trace]
        code, out, err = kfgraph(command, f"{option}={value}", *operands)
        assert (code, out) == (2, ""), (value, err)
        assert option in err and "bug" not in err and err.count("\n") == 2 and len(err) < 300, err


@pytest.mark.parametrize("option", ["--min", "--min-duration", "--buffer"])
def test_times_and_sizes_too(option, trace) -> None:
    command, operand = ("show", trace) if option == "--min" else ("trace", "true")
    for value in [*NEVER, "1e400%", "nan%", "inf%", "-1%", "101%", "-1us", "999999999999999999s", "999999999999999999G",
                  "1\u212a", "9" * 400 + "us"]:  # fmt: skip
        code, out, err = kfgraph(command, f"{option}={value}", operand)
        assert (code, out) == (2, ""), (value, err)
        assert "bug" not in err and err.count("\n") == 2


GOOD = [
    (["show", "--from", "0.0005"], 0), (["show", "--from", "500us"], 0), (["show", "--from", "5e-4", "--to", "1ms"], 0),
    (["show", "--depth", " 1 "], 0), (["show", "--max-rows", "+3"], 0), (["top", "--limit", "999999999999999999"], 0),
    (["show", "--min", "1.5 ms"], 0), (["show", "--min", "1μs"], 0), (["show", "--to", "999999999"], 0),
    (["show", "--nth", "999999999999", "--root", "f"], 6), (["show", "--pid", "-1"], 6), (["show", "--cpu", "-1"], 6),
    (["show", "--from", "999999999"], 6),
]  # fmt: skip


@pytest.mark.parametrize("words, code", GOOD, ids=[" ".join(words) for words, _ in GOOD])
def test_numbers_are_read(words, code, trace) -> None:
    assert kfgraph(*words, trace)[0] == code


def test_what_the_parsers_give() -> None:
    times = ["1.5", "2e-6", ".5", "3", "1.5ms", " 2s "]
    assert [parse_seconds(text) for text in times] == [1.5, 2e-6, 0.5, 3, 0.0015, 2]
    assert [parse_whole(text) for text in ("7", "-1", "+0", "0009")] == [7, -1, 0, 9]
    assert parse_whole("4", least=4, most=4) == 4
    for text, limits in (("3", {"least": 4}), ("5", {"most": 4}), (str(1 << 62), {"most": 1 << 61})):
        with pytest.raises(ValueError, match=r"less than|too large"):
            parse_whole(text, **limits)
    assert parse_ns("999999999s") == 999_999_999 * 10**9
    with pytest.raises(ValueError, match="too long"):
        parse_ns("1000000001s")
    assert parse_size_kb("1024G") == 1 << 30
    with pytest.raises(ValueError, match="more memory"):
        parse_size_kb("99999999999G")


@pytest.mark.parametrize(
    ("ns", "digits", "text"),
    [
        (-1, 3, "?"), (0, 3, "0 ns"), (1, 3, "1 ns"), (999, 3, "999 ns"), (1_000, 3, "1.000 us"),
        (1_234, 3, "1.234 us"), (999_999, 3, "999.999 us"), (1_000_000, 3, "1.000 ms"),
        # What is rounded up to 1000 of a unit is 1 of the next one.
        (999_999_499, 3, "999.999 ms"), (999_999_501, 3, "1.000 s"), (999_999_999, 3, "1.000 s"),
        (999_949, 1, "999.9 us"), (999_951, 1, "1.0 ms"), (999_949_999, 1, "999.9 ms"), (999_951_000, 1, "1.0 s"),
        (999_499, 0, "999 us"), (999_501, 0, "1 ms"), (999_499_999, 0, "999 ms"), (999_501_000, 0, "1 s"),
        (999, 0, "999 ns"), (1_000_000_000, 3, "1.000 s"), (12_345_678_901, 3, "12.346 s"),
        (86_400 * 10**9, 0, "86400 s"),
    ],
)  # fmt: skip
def test_a_time_has_at_least_1_and_less_than_1000_in_front_of_the_point(ns: int, digits: int, text: str) -> None:
    assert format_ns(ns, digits=digits) == text


def test_no_screen_says_1000_of_a_unit_that_has_a_larger_one(tmp_path) -> None:
    path = tmp_path / "t.dat"
    roots = [call("f", 999_999_700), call("g", 999_999, call("h", 999_999_999)), call("f", 999_949_800)]
    path.write_bytes(dat_of(trace_of(roots)))
    for words in (["show"], ["show", "--merge"], ["show", "--min", "0"], ["top"], ["info"], ["top", "--by", "max"]):
        code, out, _ = kfgraph(*words, str(path))
        assert code == 0 and not re.search(r"1000(\.0*)? ?[num]s", out), out
        assert words[0] == "info" or re.search(r"1\.0+ s", out), out


def test_other_quantities() -> None:
    assert [format_share(share) for share in (0, 0.0004, 0.0006, 0.5, 1, -1, float("nan"))] == [
        "0.0%", "<0.1%", "0.1%", "50.0%", "100.0%", "?", "?",
    ]  # fmt: skip
    sizes = {0: "0 B", 1: "1 B", 1_023: "1023 B", 1_024: "1.0 KiB", 1_536: "1.5 KiB", 1 << 20: "1.0 MiB"}
    sizes |= {3 << 29: "1.5 GiB", 1 << 40: "1024.0 GiB", 1 << 50: "1048576.0 GiB", (1 << 50) + 1: "?", -1: "?"}
    assert {size: format_size(size) for size in sizes} == sizes
    assert [format_bytes(n) for n in (0, 1, 2, 1_234, 1 << 50, (1 << 50) + 1, -1)] == [
        "0 bytes", "1 byte", "2 bytes", "1,234 bytes", "1,125,899,906,842,624 bytes",
        *["an impossible number of bytes"] * 2,
    ]  # fmt: skip
    assert format_count(1_234_567) == "1,234,567"
    said = [plural(n, noun) for n in (0, 1, 1_234) for noun in ("call", "loss", "match", "box", "push")]
    assert said == [
        "0 calls", "0 losses", "0 matches", "0 boxes", "0 pushes", "1 call", "1 loss", "1 match", "1 box", "1 push",
        "1,234 calls", "1,234 losses", "1,234 matches", "1,234 boxes", "1,234 pushes",
    ]  # fmt: skip


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e300, 1e18])
@pytest.mark.parametrize("name", ["from_s", "to_s"])
def test_the_api_refuses_such_times(name, value, trace) -> None:
    with pytest.raises(UsageError, match="is not a trace time"):
        api.top(api.load(trace), **{name: value})


# The companion.

GOOD_COMPANION = {"format": 1, "argv": ["cat"], "pids": [100], "exit_status": 0}
PROBE = {"group": "g", "event": "e", "function": "f", "module": "m", "n_missed": 0}
BROKEN = {
    "infinity": json.dumps({"format": 1, "probes": [{**PROBE, "n_missed": float("inf")}]}),
    "nan": '{"format": 1, "options": {"a": NaN}}',
    "a large float": '{"format": 1, "options": {"a": 1e999}}',
    "a large int": '{"format": 1, "pids": [' + "9" * 30 + "]}",
    "too many digits": '{"format": 1, "pids": [' + "9" * 5000 + "]}",
    "deep": '{"format": 1, "options": ' + "[" * 200_000,
    "deep and whole": '{"format": 1, "options": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}}",
    "no object": "[1]",
    "another format": '{"format": "1"}',
    "not UTF-8": b'{"format": 1, "argv": ["\xff"]}',
    "empty": "",
    **{
        f"{name} {value!r}": json.dumps({"format": 1, name: value})
        for name, values in {
            "argv": ["cat", 5, {"a": 1}, [1], [None]], "pids": [5, "12", ["12"], [1.5], [True], [-1], [1 << 63]],
            "exit_status": ["0", 1.5, [0], True], "follow": ["yes", 1], "options": [[1], "ab", 5], "kernel": [6.1, []],
            "modules": [{}, [1], [{}], ["m"]],
            "probes": [{}, "p", [{**PROBE, "n_missed": 1.5}], [{**PROBE, "event": 1}]],
            "notes": ["abc", [1]], "partial": [1], "trace_cmd": ["x"],
        }.items()
        for value in values
    },
}  # fmt: skip


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_companion_that_makes_no_sense_is_a_notice_and_the_trace_is_read(text, trace, tmp_path) -> None:
    path = tmp_path / "t.dat"
    path.write_bytes(Path(trace).read_bytes())
    Path(f"{path}.kfgraph.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    loaded = api.load(path)
    assert len(loaded.calls) == 2 and loaded.companion is None
    (notice,) = loaded.notices
    assert notice.code == "companion-unread" and len(notice.text) < 400
    assert notice.text.startswith("t.dat.kfgraph.json cannot be read (")
    assert notice.text.endswith("it is unknown which calls belong to the command")
    for command in ("show", "top", "info"):
        code, out, err = kfgraph(command, str(path))
        assert code == 0 and out and err.count("\n") == (command != "info")
        assert ("companion" in err or "t.dat.kfgraph.json cannot be read" in err) == (command != "info")
    json.loads(kfgraph("info", "--json", str(path))[1], parse_constant=lambda text: pytest.fail(text))


def test_a_good_companion_is_used(trace, tmp_path) -> None:
    path = tmp_path / "t.dat"
    path.write_bytes(Path(trace).read_bytes())
    Path(f"{path}.kfgraph.json").write_text(json.dumps({**GOOD_COMPANION, "probes": [PROBE], "new": [1]}))
    loaded = api.load(path)
    assert loaded.companion is not None and loaded.companion.pids == (100,) and loaded.companion.probes[0].n_missed == 0
    assert loaded.companion.exit_status == 0 and not loaded.notices
