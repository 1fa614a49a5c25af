"""Names of code that moves: modules whose place is known, programs and trampolines made at run time."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.tracedat import MODULE, Cpu, Extra, Kernel, trace_dat
from kfgraph.analyze.select import select
from kfgraph.parse.tracedat import read

BPF, BUILTIN = 0xFFFFFFFFC0100000, 0xFFFFFFFFC0400000


def labels(path: Path, addresses: list[int], symbols: dict[int, tuple[str, str, str]], **extra: object) -> list[str]:
    """The names of these functions, each called once."""
    cpu = Cpu(Kernel(), 0)
    for at, address in enumerate(addresses):
        cpu.entry(1_000 + 10 * at, 42, address, 0)
        cpu.exit(1_005 + 10 * at, 42, address, 0, 0, 5)
    file = path / "trace.dat"
    more = Extra(**extra)  # type: ignore[arg-type]
    file.write_bytes(trace_dat(Kernel(), [cpu], symbols=symbols, compression="zstd", extra=more))
    trace = read(file)
    trace.check()
    return [trace.symbols.label(code) for code in trace.calls.func]


@pytest.mark.parametrize("owner", ["bpf", "__builtin__ftrace", "__builtin__kprobes"])
def test_code_made_at_run_time_ends_with_its_page(owner: str, tmp_path: Path) -> None:
    symbols = {BPF: ("t", "first", owner), BPF + 0x200000: ("t", "second", owner)}
    wanted = {
        BPF + 0x14: f"first [{owner}]",
        BPF + 0xFFF: f"first [{owner}]",
        BPF + 0x1000: f"0x{BPF + 0x1000:x}",
        BPF + 0x100014: f"0x{BPF + 0x100014:x}",
        BPF + 0x200014: f"second [{owner}]",
    }
    assert labels(tmp_path, list(wanted), symbols) == list(wanted.values())


def test_a_module_ends_where_the_list_of_modules_says(tmp_path: Path) -> None:
    symbols = {
        MODULE: ("t", "core", "mod"),
        MODULE + 0x100000: ("t", "mod_init", "mod"),
        MODULE + 0x103000: ("t", "mod_setup", "mod"),
    }
    addresses = [MODULE + 0x10, MODULE + 0x2FFF, MODULE + 0x3000, MODULE + 0x50000, MODULE + 0x102000]
    modules = f"mod 12288 0 - Live 0x{MODULE:x}\n".encode()
    with_list = labels(tmp_path, addresses, symbols, sections={25: modules})
    # What lies behind the module's end was of one that is gone; its init functions are elsewhere, and have names.
    gone = [f"0x{address:x}" for address in addresses[2:4]]
    assert with_list == ["core [mod]", "core [mod]", *gone, "mod_init [mod]"]
    assert labels(tmp_path, addresses, symbols) == [*["core [mod]"] * 4, "mod_init [mod]"]


@pytest.mark.parametrize("comms", [{}, {0: "<idle>"}, {0: "swapper/0"}, {0: "<...>"}])
def test_idle_tasks_are_called_idle_as_in_text(comms: dict[int, str], tmp_path: Path) -> None:
    cpus = [Cpu(Kernel(), number) for number in (0, 1)]
    for cpu in cpus:
        cpu.entry(1_000, 0, BPF, 0)
        cpu.exit(1_005, 0, BPF, 0, 0, 5)
    file = tmp_path / "trace.dat"
    extra = Extra(comms=comms)
    file.write_bytes(trace_dat(Kernel(), cpus, symbols={BPF: ("t", "f", "")}, compression="zstd", extra=extra))
    trace = read(file)
    assert [(task.comm, task.cpu, task.label) for task in trace.tasks.tasks] == [
        ("<idle>", 0, "<idle>/0"), ("<idle>", 1, "<idle>/1")
    ]  # fmt: skip
    assert select(trace, task=["<idle>"]).keep.tolist() == [True, True]
    assert select(trace, task=["<idle>/1"]).keep.tolist() == [False, True]
