"""What the scripts of recordings leave in the folder shared with the guest, and a boot that makes them."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import kfgraph
from guest.harness import run_script
from kfgraph.kernel.images import KernelImage
from kfgraph.model.calls import Flag
from kfgraph.model.companion import Companion
from kfgraph.model.trace import Trace


def make_recordings(
    script: str,
    folder: Path,
    *,
    image: KernelImage,
    timeout_s: float,
    files: Mapping[str, str | bytes | Path] | None = None,
    variables: Mapping[str, int | str] | None = None,
) -> Path:
    """Boot, run recordings.sh and then ``script``, which lies beside it; the folder with what they left."""
    here = Path(__file__).parent
    set_first = [f"{name}={shlex.quote(str(value))}" for name, value in (variables or {}).items()]
    text = "\n".join([*set_first, (here / "recordings.sh").read_text(), (here / script).read_text()])
    run = run_script(text, folder, files=files, image=image, timeout_s=timeout_s)
    assert run.good, str(run)
    return run.share


def status(share: Path, name: str) -> int:
    return int((share / f"{name}.status").read_text())


def companion(share: Path, name: str) -> Companion:
    return Companion.from_dict(json.loads((share / f"{name}.dat.kfgraph.json").read_text()))


def load(share: Path, name: str) -> Trace:
    trace = kfgraph.load(str(share / f"{name}.dat"))
    trace.check()
    return trace


def of_command(trace: Trace) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which calls are the command's, from its exec on."""
    assert trace.command_lanes is not None
    return np.isin(trace.calls.lane, list(trace.command_lanes)) & ~trace.calls.has(Flag.PRE_EXEC)


def names(trace: Trace) -> Counter[str]:
    return Counter(trace.symbols.names[f] for f in trace.calls.func[of_command(trace)])
