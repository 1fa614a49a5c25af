"""Where calls stand in their callers: by return addresses that a program made by gcc here tells of itself.

The program is the "vmlinux"; the "module" has the same code, and the same offsets in it. Both are traced at addresses
that neither file has.
"""

from __future__ import annotations

import csv
import io
import json
import lzma
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import kfgraph
from builder.tables import call, trace_of
from builder.tracedat import Cpu, Kernel, trace_dat
from kfgraph.analyze.callsites import CallSite, CallSites
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.sourcelinks import SourceLinks
from kfgraph.errors import UsageError
from kfgraph.export.exporters import export
from kfgraph.kernel.sourcelines import DebugInfo, SourceLine
from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace
from kfgraph.model.tree import NodeKind
from kfgraph.render.explorer.facts import Facts
from kfgraph.render.explorer.window import Window
from kfgraph.render.html.pack import Pack
from kfgraph.render.html.sites import add_sites
from running import kfgraph as run

CUT = Path(__file__).resolve().parents[1] / "fixtures" / "traces" / "cut"
SOURCES = CUT.parents[1] / "callsites"
FOO = (SOURCES / "foo.c").read_text()
LINES = {mark: line for line, text in enumerate(FOO.splitlines(), 1) for mark in "01245" if f"/* {mark} */" in text}
ONE_PROBE = [LINES["0"], LINES["1"], LINES["2"], 4]
"""Of the calls of foo_read_id in foo_probe; the last is in the header."""
KERNEL, TEXT, INIT = 0xFFFFFFFF9A000000, 0xFFFFFFFFC0A00000, 0xFFFFFFFFC0B00000
FUNCTIONS = ("main", "foo_init", "foo_probe", "foo_read_id")
M64 = (1 << 64) - 1


@dataclass(frozen=True)
class Built:
    """The files of one build; ``calls``: (function, who called it, how far behind its beginning), as they ran."""

    folder: Path
    ko: Path
    vmlinux: Path
    calls: list[tuple[str, str, int]]
    sections: dict[str, tuple[str, int]]
    linked: dict[str, int]

    def trace(self, *, module: bool, retaddr: bool = True) -> Path:
        """As the tracer records it: foo_init in main, foo_probe in that, foo_read_id in that, which fails."""
        kernel = Kernel(retval=True, depth_size=8)
        begin = {name: KERNEL + at - self.linked["main"] for name, at in self.linked.items()}
        if module:
            where = {".text": TEXT, ".init.text": INIT}
            begin |= {name: where[section] + at for name, (section, at) in self.sections.items()}
        cpu, now, open_calls = Cpu(kernel, 0), 1_000_000, [("main", 0)]
        cpu.entry(now, 42, KERNEL, 0, retaddr=0 if retaddr else None)

        def leave(depth: int) -> None:
            nonlocal now
            while len(open_calls) > depth:
                name, called = open_calls.pop()
                now += 1000
                cpu.exit(now, 42, begin[name], len(open_calls), called, now, retval=-19 & M64)

        for name, caller, offset in self.calls:
            leave(FUNCTIONS.index(name))
            now += 1000
            cpu.entry(now, 42, begin[name], len(open_calls), retaddr=begin[caller] + offset if retaddr else None)
            open_calls.append((name, now))
        leave(0)
        symbols = {at: ("T", name, "foo" if module and name != "main" else "") for name, at in begin.items()}
        path = self.folder / f"{'module' if module else 'kernel'}-{retaddr}.dat"
        path.write_bytes(trace_dat(kernel, [cpu], symbols=symbols))
        return path


Builds = Callable[..., Built]


def printed(*command: str | Path, cwd: Path | None = None) -> list[str]:
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.fixture(scope="module")
def built(program: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory) -> Builds:
    """``built(*options)``: the files that gcc makes with these, each made once."""
    gcc, made = program("gcc", "gcc"), {}

    def build(*options: str) -> Built:
        if options not in made:
            made[options] = _build(gcc, tmp_path_factory.mktemp("build"), options)
        return made[options]

    return build


@pytest.fixture(scope="module")
def one(built: Builds) -> Built:
    return built("-gdwarf-5")


def _build(gcc: str, folder: Path, options: tuple[str, ...]) -> Built:
    (folder / "drivers").mkdir()
    for path in SOURCES.iterdir():
        shutil.copy(path, folder / "drivers" if path.name.startswith("foo") else folder)
    command = [gcc, "-O2", "-fno-optimize-sibling-calls", *options]

    printed(*command, "-c", "drivers/foo.c", "main.c", "info.s", cwd=folder)
    printed("ld", "-r", "-o", "foo.ko", "foo.o", "info.o", cwd=folder)
    printed(*command, "-o", "vmlinux", "main.o", "foo.o", cwd=folder)
    symbols = map(str.split, printed("nm", "--defined-only", folder / "vmlinux"))
    linked = {name: int(at, 16) for at, _, name in symbols}
    in_module = map(str.split, printed("objdump", "-t", folder / "foo.ko"))
    sections = {words[-1]: (words[-3], int(words[0], 16)) for words in in_module if len(words) > 4}
    calls = []
    for name, relative in map(str.split, printed(folder / "vmlinux")):
        at = (int(relative) + linked["main"]) & M64
        caller = max((one for one in FUNCTIONS if linked[one] < at), key=lambda one: linked[one])
        calls.append((name, caller, at - linked[caller]))
    own = {name: sections[name] for name in FUNCTIONS[1:]}
    return Built(folder, folder / "foo.ko", folder / "vmlinux", calls, own, {name: linked[name] for name in FUNCTIONS})


def sites_of(trace: Trace, *files: Path) -> list[str]:
    sites = CallSites.told(trace, files)
    return [str(sites.of(row) or "").removeprefix("called at ") for row in range(len(trace.calls))]


def expected(main: str) -> list[str]:
    probe = [f"drivers/foo.c:{line}" for line in ONE_PROBE[:3]] + ["drivers/foo.h:4"]
    init = [f"drivers/foo.c:{LINES[mark]}" for mark in "45"]
    return ["", main, init[0], *probe, init[1], *probe]


DWARF = [("-gdwarf-4",), ("-gdwarf-5",), ("-gdwarf-5", "-gz"), ("-gdwarf-4", "-gno-as-locview-support"), ("-gdwarf-2",)]


@pytest.mark.parametrize("options", DWARF)
def test_the_line_of_each_call_in_a_module_wherever_it_was_loaded(options, built: Builds) -> None:
    one = built(*options)
    trace = kfgraph.load(one.trace(module=True))
    trace.check()
    assert len(trace.calls) == 12 and trace.calls.caller_offset is not None
    assert trace.calls.caller_offset.tolist() == [-1, *(offset for _, _, offset in one.calls)]
    assert sites_of(trace, one.ko) == expected(f"main+0x{one.calls[0][2]:x}")
    # The kernel's debug info tells of the kernel's part alone, and both of all.
    known = sites_of(trace, one.vmlinux)
    assert known[1] == "main.c:9" and all("+0x" in site and "[foo]" in site for site in known[2:])
    assert sites_of(trace, one.vmlinux, one.ko) == expected("main.c:9")


@pytest.mark.parametrize("more", [(), ("-no-pie",)])
@pytest.mark.parametrize("options", DWARF[1:4:2])
def test_the_line_of_each_call_in_a_kernel_that_lies_elsewhere(
    options, more, built: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = built(*options, *more)
    trace = kfgraph.load(one.trace(module=False))
    assert sites_of(trace, one.vmlinux) == expected("main.c:9")
    # The same without the table of addresses.
    monkeypatch.setattr("elftools.dwarf.dwarfinfo.DWARFInfo.get_aranges", lambda self: None)
    assert sites_of(trace, one.vmlinux) == expected("main.c:9")


@pytest.mark.parametrize("options", [*DWARF, ("-gdwarf-5", "-O0"), ("-gdwarf-5", "-O3", "-ffunction-sections")])
def test_lines_are_those_of_addr2line(options, built: Builds, program: Callable[[str, str], str]) -> None:
    one = built(*options)
    symbols = [line.split() for line in printed("nm", "-S", one.vmlinux)]
    sizes = {words[3]: int(words[1], 16) for words in symbols if len(words) == 4}
    sites = [(name, offset) for name in FUNCTIONS for offset in range(1, sizes[name] + 1)]
    addresses = [hex(one.linked[name] + offset - 1) for name, offset in sites]
    told = printed(program("addr2line", "binutils"), "-e", one.vmlinux, *addresses)
    lines = [line.partition(" (")[0].removeprefix(f"{one.folder}/") for line in told]
    found = DebugInfo(one.vmlinux).calls(sites)
    assert [str(found.get(site)) for site in sites] == lines
    if "-ffunction-sections" not in options:
        # The same code is in the module.
        own = [site for site in sites if site[0] != "main"]
        in_module = DebugInfo(one.ko).calls(own)
        assert [in_module[site] for site in own] == [found[site] for site in own]


def test_what_is_not_known_has_no_line(one: Built) -> None:
    info = DebugInfo(one.ko)
    name, offset = one.calls[-1][1:]
    assert str(info.calls([(name, offset)])[name, offset]) == "drivers/foo.h:4"
    # No such function; one that is not so long; one that is not in the file.
    assert info.calls([("no_such", 5), (name, 1 << 20), ("tell", 5)]) == {}
    text = "\nstatic __attribute__((noipa)) int same(int a) { return a + 1; }\nint %s(void) { return same(1); }\n"
    for each in ("one", "two"):
        (one.folder / f"{each}.c").write_text(text % each)
        printed("gcc", "-O0", "-g", "-c", f"{each}.c", cwd=one.folder)
    printed("ld", "-r", "-o", "two.ko", "one.o", "two.o", "info.o", cwd=one.folder)
    assert list(DebugInfo(one.folder / "two.ko").calls([("same", 4), ("two", 4)])) == [("two", 4)]


def offsets_of(path: Path) -> tuple[Trace, dict[tuple[str, str], set[int]]]:
    """The trace, and (function, caller) -> offsets."""
    trace, found = kfgraph.load(path), dict[tuple[str, str], set[int]]()
    calls, names = trace.calls, trace.symbols.names
    for func, caller, offset in zip(calls.func, calls.caller, calls.caller_offset, strict=True):  # type: ignore[arg-type]
        if offset >= 0:
            found.setdefault((names[func], names[caller]), set()).add(int(offset))
    return trace, found


def test_offsets_are_those_that_the_kernel_prints() -> None:
    """Of two recordings on one kernel, one as its own text: ``mutex_unlock(); /* <-rb_simple_write+0xc8/0x130``."""
    path = CUT.parents[1] / "text" / "7.2-retval-ftrace-args-retaddr.txt.xz"
    told: dict[tuple[str, str], set[int]] = {}
    text = lzma.decompress(path.read_bytes()).decode()
    for func, caller, offset in re.findall(r"\|\s+([\w.]+)\(.*?/\* <-([\w.]+)\+0x([0-9a-f]+)/0x", text):
        told.setdefault((func, caller), set()).add(int(offset, 16))
    trace, ours = offsets_of(path)
    assert ours == told and (trace.calls.caller_offset >= 0).sum() == 495  # type: ignore[operator]
    trace, ours = offsets_of(CUT / "7.2-retaddr.dat")
    # Each call whose entry is there has one.
    has = trace.calls.caller_offset >= 0  # type: ignore[operator]
    assert np.array_equal(has, ~trace.calls.has(Flag.NO_ENTRY)) and has.sum() == 482
    both = ours.keys() & told.keys()
    assert len(both) == 103 and all(ours[pair] & told[pair] for pair in both)


def jumps() -> Trace:
    """a calls b, which jumps to c at its end, which calls d; and b calls b at the place of its own call."""
    inside = call("c", 10, call("d", 5))
    trace = trace_of([call("a", 100, call("b", 20, inside), call("b", 40, call("b", 10)))])
    code = {name: at for at, name in enumerate(trace.symbols.names)}
    caller = np.array([0] + [code[name] for name in "aacab"], np.int32)
    offset = np.array([-1, 8, 8, 4, 16, 12], np.int32)
    return kfgraph.Trace(
        trace.calls.with_columns(caller=caller, caller_offset=offset), trace.symbols, trace.tasks, trace.marks
    )


def test_a_function_that_was_jumped_to_has_no_line_of_its_own() -> None:
    sites = CallSites(jumps())
    assert [str(sites.of(row)) for row in range(6)] == [
        "None", "called at a+0x8", "returns to a+0x8", "called at c+0x4", "called at a+0x10", "called at b+0xc",
    ]  # fmt: skip
    assert sites.jumped(np.arange(6)).tolist() == [False, False, True, False, False, False]
    # A function that calls itself at one place all the way down jumps nowhere.
    trace = jumps()
    first = trace.calls.with_columns(caller_offset=np.array([3, 8, 8, 4, 16, 12], np.int32))
    first = first.with_columns(caller=np.array([trace.calls.func[2], *trace.calls.caller[1:]], np.int32))  # type: ignore[index]
    assert str(CallSites(kfgraph.Trace(first, trace.symbols, trace.tasks)).of(0)) == "called at c+0x3"
    again = trace.calls.with_columns(caller_offset=np.array([-1, 8, 8, 4, 12, 12], np.int32))
    again = again.with_columns(caller=np.array([0] + [trace.calls.func[at] for at in (0, 0, 2, 1, 1)], np.int32))
    assert not CallSites(kfgraph.Trace(again, trace.symbols, trace.tasks)).jumped(np.array([5]))[0]


def test_the_line_that_a_jump_returns_to_is_told_as_no_call() -> None:
    line = SourceLine("a.c", 7, "debug info")
    called, jumped = (CallSite("a [m]", 8, line, jumped) for jumped in (False, True))
    assert (called.called_in, jumped.called_in) == (line, None)
    assert (str(called), str(jumped)) == ("called at a.c:7", "returns to a.c:7")
    assert [(one["file"], one["line"]) for one in (called.to_dict(), jumped.to_dict())] == [("a.c", 7), (None, None)]


def test_a_column_that_tells_what_cannot_be_is_refused() -> None:
    calls = jumps().calls
    calls.check()
    for column, rule in (
        ({"caller": None}, "row 1: caller_offset without caller"),
        ({"caller": calls.caller * 0}, "row 1: caller_offset without caller"),
        ({"caller_offset": calls.caller_offset - np.int32(1)}, "row 0: caller_offset below -1"),
    ):
        with pytest.raises(AssertionError, match=rule):
            calls.with_columns(**column).check()


@pytest.mark.parametrize("name", ["json", "csv", "parquet"])
def test_formats_with_a_row_for_each_call_tell_its_line(name, one: Built) -> None:
    trace, out = kfgraph.load(one.trace(module=True)), io.BytesIO()
    assert export(trace, name, out, debug_info=[one.vmlinux, one.ko]) == ()
    if name == "json":
        rows = [json.loads(line) for line in out.getvalue().splitlines()]
    elif name == "csv":
        rows = list(csv.DictReader(io.StringIO(out.getvalue().decode())))
    else:
        parquet = pytest.importorskip("pyarrow.parquet", reason="extra: pyarrow")
        rows = parquet.read_table(io.BytesIO(out.getvalue())).to_pylist()
    nothing = "" if name == "csv" else None
    labels = {None: nothing, "main": "main", **{one: f"{one} [foo]" for one in FUNCTIONS[1:]}}
    assert [row["caller"] for row in rows] == [labels[caller] for _, caller, _ in [("", None, 0), *one.calls]]
    assert [row["caller_offset"] for row in rows] == [
        nothing, *(str(offset) if name == "csv" else offset for _, _, offset in one.calls)
    ]
    assert [row["call_site"] for row in rows] == [site or nothing for site in expected("main.c:9")]
    # Without debug info the line is not known, and has no column.
    without = io.BytesIO()
    export(trace, name, without)
    assert b"call_site" not in without.getvalue() and b"caller_offset" in without.getvalue()


def test_a_format_without_such_a_column_refuses_debug_info(one: Built) -> None:
    trace = kfgraph.load(one.trace(module=True))
    with pytest.raises(UsageError, match="--debuginfo: chrome has no column for the lines of calls"):
        export(trace, "chrome", io.BytesIO(), debug_info=[one.ko])
    without = kfgraph.load(one.trace(module=True, retaddr=False))
    assert without.calls.caller is None and without.calls.caller_offset is None
    assert [said.code for said in export(without, "json", io.BytesIO(), debug_info=[one.ko])] == ["no-call-sites"]
    out = io.BytesIO()
    assert export(trace, "csv", out, debug_info=[one.ko], redact=True) == () and b"foo.c" not in out.getvalue()
    code, _, err = run("export", one.trace(module=True), "--format", "csv", "--redact", "--debuginfo", one.ko)
    assert code == 0 and "--debuginfo does nothing with --redact" in err


def test_why_says_where_each_link_was_called(one: Built) -> None:
    words = ["why", one.trace(module=True), "--root", "foo_init", "--debuginfo", one.ko]
    code, out, _ = run(*words, "--text")
    assert code == 0
    assert "  foo_read_id: drivers/foo.c:2 (debug info), called at drivers/foo.h:4\n" in out
    assert [line for line in out.splitlines() if line.startswith("  -ENODEV  ")] == [
        "  -ENODEV   foo_init [foo]  drivers/foo.c:24",
        f"  -ENODEV    foo_probe [foo]  drivers/foo.c:15, called at drivers/foo.c:{LINES['5']}",
        "  -ENODEV     foo_read_id [foo] ← born here  drivers/foo.c:2, called at drivers/foo.h:4",
    ]
    answer = json.loads(run(*words, "--json")[1])
    offsets = {(name, caller): offset for name, caller, offset in one.calls}
    assert [step["call_site"] for step in answer["chain"]] == [
        {"caller": "main", "offset": offsets["foo_init", "main"], "file": None, "line": None},
        {"caller": "foo_init [foo]", "offset": offsets["foo_probe", "foo_init"], "file": "drivers/foo.c",
         "line": LINES["5"]},
        {"caller": "foo_probe [foo]", "offset": one.calls[-1][2], "file": "drivers/foo.h", "line": 4},
    ]  # fmt: skip
    assert answer["birth"]["call_site"] == answer["chain"][-1]["call_site"]
    # Without the line, and without a return address.
    bare = json.loads(run("why", one.trace(module=True), "--root", "foo_init", "--json")[1])
    assert bare["birth"]["call_site"] == {**answer["birth"]["call_site"], "file": None, "line": None}
    without = json.loads(run("why", one.trace(module=True, retaddr=False), "--root", "foo_init", "--json")[1])
    assert "call_site" not in without["birth"]


def test_show_tells_the_lines_of_calls(one: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    trace = one.trace(module=True)
    words = ["show", trace, "--root", "foo_probe", "--nth", "2", "--all"]
    shown = run(*words, "--with", "site", "--debuginfo", one.ko)
    assert shown[0] == 0 and "no links" not in shown[2]
    places = [line.partition("  at ")[2].partition(" ")[0] for line in shown[1].splitlines() if "  at " in line]
    assert places == expected("")[-5:]
    own = run(*words, "--with", "site")[1].splitlines()
    assert [line.partition("  at ")[2].partition(" =")[0] for line in own if "  at " in line] == [
        f"{caller}+0x{offset:x} [foo]" for _, caller, offset in one.calls[-5:]
    ]
    rows = [json.loads(line) for line in run(*words, "--json", "--debuginfo", one.ko)[1].splitlines()]
    assert [row["call_site"] for row in rows] == places


def test_show_says_what_debug_info_is_not_good_for(one: Built) -> None:
    words = ["show", one.trace(module=True), "--root", "foo_probe", "--debuginfo", one.ko]
    assert "--debuginfo does nothing with --merge" in run(*words, "--merge", "--json")[2]
    assert "--debuginfo does nothing with --no-links" in run(*words, "--no-links")[2]
    assert "--debuginfo: no links, stdout is not a terminal" in run(*words)[2]
    assert "--debuginfo" not in run(*words, "--json", "--no-links")[2]
    words[1] = one.trace(module=True, retaddr=False)
    assert "no return addresses were recorded: the lines of calls are not known" in run(*words, "--json")[2]
    code, out, _ = run(*words, "--with", "site")
    assert code == 0 and "nothing of site was recorded in this trace" in out


def test_the_panel_of_the_explorer_leads_to_the_line(one: Built) -> None:
    trace = kfgraph.load(one.trace(module=True))
    links = SourceLinks(trace, debug_info=[one.ko])

    def told(facts: Facts) -> list[list[tuple[str, str]]]:
        found = [facts.of(node) for node in range(len(facts.window.tree))]
        return [[(fact.text, fact.link) for fact in one if fact.name == "called at"] for one in found]

    folder = one.folder.resolve()
    assert told(Facts(Window(call_tree(trace)), links))[-10:] == [
        [(place, f"file://{folder}/{place.replace(':', '#L')}")] for place in expected("")[2:]
    ]
    own = [f"{caller}+0x{offset:x} [foo]" for _, caller, offset in one.calls[1:]]
    assert told(Facts(Window(call_tree(trace))))[-10:] == [[(place, "")] for place in own]
    # One that was jumped to; one without an offset.
    trace = jumps()
    shown = [told(Facts(Window(call_tree(trace))))][0]
    assert [text for rows in shown for text, _ in rows] == [
        "a+0x8", "?: its caller jumped to it, so that it returns to a+0x8", "c+0x4", "a+0x10", "b+0xc",
    ]  # fmt: skip
    bare = kfgraph.Trace(trace.calls.with_columns(caller_offset=None), trace.symbols, trace.tasks)
    facts = Facts(Window(call_tree(bare)))
    assert [fact.text for node in range(len(facts.window.tree)) for fact in facts.of(node)
            if fact.name == "called in"] == list("aacab")  # fmt: skip


def test_links_of_calls(one: Built) -> None:
    trace, folder = kfgraph.load(one.trace(module=False)), one.folder.resolve()

    def address(*templates: str, of: str = "") -> str:
        links = SourceLinks(trace, templates=templates, debug_info=[one.vmlinux])
        site = links.sites.of(11)
        assert site is not None and site.line is not None
        return links.of_site(replace(site, line=replace(site.line, file=of or site.line.file)))

    assert address() == f"file://{folder}/drivers/foo.h#L4"
    assert address("vscode://file{path}:{line}") == f"vscode://file{folder}/drivers/foo.h:4"
    # Where the file is not here, only a page that tells lines will do.
    assert address(of="gone.h") == address("https://x/{version}/{function}", of="gone.h") == ""
    assert address("https://x/{version}/{file}#L{line}", of="gone.h") == "https://x/6.99/gone.h#L4"
    bare = SourceLinks(trace)
    assert bare.of_site(bare.sites.of(11)) == ""  # type: ignore[arg-type]


def test_a_page_holds_the_site_of_each_call(one: Built) -> None:
    trace = kfgraph.load(one.trace(module=True))
    links = SourceLinks(trace, debug_info=[one.ko])
    tree = call_tree(trace)
    pack = Pack({})
    add_sites(pack, tree, links)
    (numbers,) = pack._planes
    at = [numbers[node] for node in np.flatnonzero(tree.tree.kind == NodeKind.CALL).tolist()]
    said = [pack.head["sites"][number - 1] if number else ["", 0, 0] for number in at]
    assert [place for place, _, _ in said] == expected(f"main+0x{one.calls[0][2]:x}")
    assert [bool(url) for _, _, url in said] == [False, False, *[True] * 10]
    assert not any(jumped for _, jumped, _ in said)
    pack = Pack({})
    add_sites(pack, call_tree(jumps()), None)
    assert sorted(pack.head["sites"]) == [
        ["a+0x10", 0, 0], ["a+0x8", 0, 0], ["a+0x8", 1, 0], ["b+0xc", 0, 0], ["c+0x4", 0, 0],
    ]  # fmt: skip
    # Calls that stand for several have none, and a trace without return addresses has nothing of it.
    without = call_tree(kfgraph.load(one.trace(module=True, retaddr=False)))
    for shown in (call_tree(trace, merge=True), without):
        pack = Pack({})
        add_sites(pack, shown, links)
        assert pack.head == {} and not pack._columns


def test_pandas_has_the_callers(one: Built) -> None:
    trace = kfgraph.load(one.trace(module=True))
    frame = kfgraph.to_pandas(trace, debug_info=[one.ko], root="foo_probe")
    assert frame["call_site"].tolist() == expected("")[2:]
    assert frame["caller_offset"].tolist() == [offset for _, _, offset in one.calls[1:]]
    assert frame["caller"].tolist() == [f"{caller} [foo]" for _, caller, _ in one.calls[1:]]
    whole = kfgraph.to_pandas(trace)
    assert whole["caller_offset"].isna().tolist() == [True] + [False] * 11 == whole["caller"].isna().tolist()
    assert "call_site" not in whole and "caller" not in kfgraph.to_pandas(trace_of([call("f")]))
