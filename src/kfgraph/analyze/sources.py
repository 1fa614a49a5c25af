"""Where the functions of an answer stand in the source, and what their arguments are called there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kfgraph.analyze.callsites import CallSites
from kfgraph.analyze.debuginfo import read
from kfgraph.analyze.why import Birth, Why
from kfgraph.errors import InputError
from kfgraph.kernel.argument_text import Describer
from kfgraph.kernel.btf import Prototype
from kfgraph.kernel.module import files_in_place
from kfgraph.kernel.sourcelines import DebugInfo, source_lines
from kfgraph.model.args import RawArgs
from kfgraph.model.trace import Trace


def with_sources(answer: Why, *, debug_info: Sequence[str | Path] = (), trees: Sequence[str | Path] = ()) -> Why:
    """The answer with file and line of its functions, as far as debug info or the text of a source tree tells them, and
    of their calls, as far as debug info does.

    The modules that the command loaded are looked at unasked, where the same build still lies in its place.

    Raises:
        InputError: a file is not there, has no debug info, or is another kernel's or of another build; no such tree.
    """
    steps = [*answer.chain, *answer.candidates, *([answer.birth.step] if answer.birth is not None else [])]
    functions = list(dict.fromkeys((step.symbol, step.module) for step in steps))
    given = read(debug_info, answer.trace)
    known = {info.module for info in given}
    rows = np.array([step.row for step in (*steps, *answer.swallowed) if step.row >= 0], np.int32)
    callers = CallSites(answer.trace).modules(rows)
    modules = {module for _, module in functions}.union(callers) - known
    given += _in_their_places(answer.trace, modules)
    lines = source_lines(functions, given, trees)
    born = answer.birth and _with_arguments(answer.birth, answer.trace, given)
    sites = CallSites(answer.trace, given)
    sites.look_for(rows)
    return replace(answer, sources=lines, sites=sites, birth=born)


def _with_arguments(birth: Birth, trace: Trace, given: Sequence[DebugInfo]) -> Birth:
    """The birthplace with its arguments by name, where the trace has registers and debug info the prototype.

    A clone takes other arguments than its source.
    """
    step, args = birth.step, trace.calls.args
    if not isinstance(args, RawArgs) or "." in step.symbol or not birth.arguments or "=" in birth.arguments:
        return birth
    for info in given:
        prototype = info.prototypes([step.symbol]).get(step.function) if info.module == step.module else None
        if prototype is not None:
            return replace(birth, arguments=Describer(_Known(prototype, info.long_size))(0, args.registers(step.row)))
    return birth


@dataclass(frozen=True)
class _Known:
    """One function's prototype."""

    only: Prototype
    long_size: int

    def prototype(self, func: int) -> Prototype:
        return self.only

    def gfp_bits(self) -> Mapping[int, str]:
        return {}


def _in_their_places(trace: Trace, modules: set[str]) -> Iterator[DebugInfo]:
    """The debug info of these modules, from where the command loaded them. Only the same build."""
    images = trace.companion.modules if trace.companion is not None else ()
    for image, path in files_in_place(image for image in images if image.name in modules):
        with suppress(InputError):
            info = DebugInfo(path)
            if info.build_id == image.build_id:
                yield info
