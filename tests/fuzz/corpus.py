"""What is mutated: small inputs of every reader, hand-made ones and cuts of real traces."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

from builder import tracedat as build
from fuzz import inputs
from fuzz.mutate import Input, Part
from kfgraph.model.companion import Companion, ModuleFunction, ModuleImage, ReturnProbe

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
CASES = FIXTURES / "cases"
FOUND = FIXTURES / "fuzz-readers"
_LINES = 24
"""Of a real text: short enough to be read in a fraction of a millisecond."""
_CUTS = 3
_FUNC = 0xFFFFFFFF81000100


def corpus() -> list[Part]:
    """All of it, always in the same order."""
    return [*_texts(), *_cases(), *_files()]


def _texts() -> list[Part]:
    """Pieces of real texts: their beginning, and pieces from the middle behind the same header."""
    parts = []
    for file in sorted((FIXTURES / "text").glob("*.txt.xz")):
        lines = lzma.decompress(file.read_bytes()).splitlines(keepends=True)
        header = [line for line in lines[:12] if line.startswith((b"#", b"cpus=", b"version"))]
        for number in range(_CUTS):
            at = number * (len(lines) - _LINES) // _CUTS
            data = b"".join((header if number else []) + lines[at : at + _LINES])
            parts.append(Part(f"{file.name}:{number}", Input(data)))
    return parts


def _cases() -> list[Part]:
    """Hand-made inputs, and those that were found to break something."""
    return [
        Part(file.name, Input(file.read_bytes()), _last_page(file.read_bytes()))
        for folder in (CASES, FOUND)
        for file in sorted(folder.glob("*"))
        if file.suffix != ".json" and file.name != "README.md"
    ]


def _last_page(data: bytes) -> tuple[int, int]:
    return (len(data) - 4096, len(data)) if data.startswith(b"\x17\x08\x44") and len(data) > 8192 else (0, 0)


def _files() -> list[Part]:
    """Built trace.dat files: several kernels, nested calls of two tasks on two CPUs, losses, events; a companion."""
    parts = []
    for number, kernel in enumerate(inputs.KERNELS):
        whole = _busy(kernel)
        at = whole.index(b"flyrecord\0")
        parts += [Part(f"busy-{number}", Input(whole), (at + 10, len(whole)))] * 3
        parts.append(Part(f"seed-{number}", Input(inputs.seeds()[f"file-{number}-v7-zlib"][1:])))
    companion = Companion(
        argv=("demo",),
        kernel="6.99.0-test",
        pids=(7,),
        follow=True,
        exit_status=1,
        probes=(ReturnProbe("kf", "demo_event", "demo_1", ""), ReturnProbe("kf", "demo_3", "demo_3", "mod")),
        modules=(ModuleImage("mod", "mod.ko", "00ff", "6.99", (ModuleFunction("demo_3", ".text", 0xC0, 0x40),)),),
    ).to_dict()
    text = json.dumps(companion, indent=1).encode()
    parts += [Part("companion", Input(_busy(inputs.KERNELS[0]), text))] * 5
    return parts


def _busy(kernel: build.Kernel) -> bytes:
    """Calls of two tasks that move between two CPUs; version 6, so that the pages are as they are."""
    cpus = [build.Cpu(kernel, 0), build.Cpu(kernel, 1)]
    time = 1_000
    for turn in range(6):
        cpu, pid = cpus[turn % 2], 7 + turn // 2 % 2
        began = []
        for depth in range(4):
            time += 300
            began.append(time - 100)
            cpu.entry(time, pid, _FUNC + 0x40 * depth, depth, args=(depth,) if kernel.args else ())
        cpu.event(time + 50, pid, 300, kernel.pack("IHH", 9, 12, 3) + b"abc\0")
        if turn == 3:
            cpu.lose(2)
        for depth in (3, 2, 1) if turn == 4 else (3, 2, 1, 0):
            time += 300
            flags = 8 if turn == 5 else 0
            cpu.exit(time, pid, _FUNC + 0x40 * depth, depth, began[depth], time - 50, retval=-19, flags=flags)
    extra = build.Extra(
        comms={7: "demo", 8: "other"},
        events=[("sched", "demo_event", 300, [("unsigned int", "number", 4), ("__data_loc char[]", "name", 4)])],
    )
    symbols = {_FUNC + 0x40 * i: ("T", f"demo_{i}", "mod" if i == 3 else "") for i in range(4)}
    return build.trace_dat(kernel, cpus, symbols=symbols, extra=extra, version=6)
