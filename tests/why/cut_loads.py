"""Fixtures out of a recording of many module loads, one after another.

    python tests/why/cut_loads.py RECORDING.dat RUNS FOLDER --ko MODULES

RECORDING is of a script that loads modules (``kfgraph trace -f --root __x64_sys_finit_module -- bash script``), RUNS
has a line ``NAME STATUS`` for each load, in order. FOLDER gets NAME.dat, cut (builder.cut), and its companion, as if
that load had been recorded alone: its probes are those that a recording of it alone would have set.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import kfgraph
from builder import cut
from kfgraph.kernel.loader import LOADER_FUNCTIONS, LOADER_WAY
from kfgraph.kernel.module import Module, read_module
from kfgraph.kernel.syscall_handlers import system_call_of
from kfgraph.kernel.types import KernelTypes
from kfgraph.model.trace import Trace


def loads_of(trace: Trace) -> list[int]:
    """The pids that loaded a module, in order of time."""
    is_load = np.array([system_call_of(n) in ("finit_module", "init_module") for n in trace.symbols.names], np.bool_)
    rows = np.flatnonzero(is_load[trace.calls.func])
    order = rows[np.argsort(trace.calls.start_ns[rows], kind="stable")]
    return list(dict.fromkeys(trace.tasks[int(lane)].pid for lane in trace.calls.lane[order]))


def own_probes(trace: Trace, module: Module) -> set[str]:
    """The probes of the recording that one of this module alone would have had, too."""
    companion = trace.companion
    if companion is None:
        return set()
    wanted = {*LOADER_FUNCTIONS, *LOADER_WAY, *module.imports}
    return {
        p.event for p in companion.probes
        if p.module == module.image.name or (not p.module and p.function in wanted)
    }  # fmt: skip


def cut_loads(
    recording: Path, runs: Path, out: Path, *, ko: Path, only: str = "", btf: Path | None = None
) -> list[str]:
    """Cut every load of ``recording``; a sentence for each that could not be. ``btf``: the kernel's types."""
    out.mkdir(exist_ok=True, parents=True)
    trace = kfgraph.load(recording)
    pids = loads_of(trace)
    named = [line.split() for line in runs.read_text().splitlines()]
    if len(pids) != len(named):
        return [f"{recording.name}: {len(named)} loads were made and {len(pids)} recorded"]
    # As trace-cmd 3.4 keeps it, and as kfgraph keeps what probed functions return.
    retvals = trace.calls.retval is not None and not (trace.companion and trace.companion.probes)
    types = KernelTypes(btf) if btf else None
    problems = []
    chosen = [(name, status, pid) for (name, status), pid in zip(named, pids, strict=True)]
    chosen = [one for one in chosen if not only or one[0] == only]
    modules = {name: read_module(ko / f"{name.partition('.')[0]}.ko") for name, _, _ in chosen}
    probes = {pid: own_probes(trace, modules[name]) for name, _, pid in chosen}
    alone = cut.of_tasks(recording, probes, btf=btf.read_bytes() if retvals and btf else b"")
    for name, status, pid in chosen:
        module = modules[name]
        file = Path(module.image.path)
        options = {"argv": ["insmod", file.name], "pids": [pid], "follow": False, "exit_status": int(status)}
        companion = cut.companion_of(trace.companion, probes=probes[pid], modules=[module.image.name], **options)
        for image in companion.get("modules", []):
            returns = {f.name: asdict(f.returns) for f in module.image.functions if f.returns is not None}
            image["functions"] = [
                {**f, "returns": returns[f["name"]]} if f["name"] in returns else f for f in image["functions"]
            ]
        for probe in companion.get("probes", []):
            if types is not None and "returns" not in probe and not probe["module"]:
                told = types.returned(probe["function"])
                if told is not None:
                    probe["returns"] = asdict(told)
        with tempfile.TemporaryDirectory() as folder:
            one = Path(folder) / f"{name}.dat"
            cut.put(one, alone[pid], companion)
            given = [] if companion.get("probes") else [file]
            problems.append(cut.write(one, out / f"{name}.dat", modules=given, shallow="." in name))
    return [problem for problem in problems if problem]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--ko", type=Path, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--btf", type=Path, help="the kernel's BTF: what the probed functions return")
    given = parser.parse_args()
    problems = cut_loads(given.recording, given.runs, given.out, ko=given.ko, only=given.only, btf=given.btf)
    print("\n".join(problems) or "all cut", file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
