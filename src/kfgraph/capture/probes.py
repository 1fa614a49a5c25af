"""Return probes in kprobe_events: set beside the graph, taken away afterwards.

Source of the syntax: Documentation/trace/kprobetrace.rst.
"""

from __future__ import annotations

import errno
import fnmatch
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from kfgraph.capture.tracefs import Tracefs
from kfgraph.kernel.loader import (
    HIT_NOISE,
    LOADER_FUNCTIONS,
    LOADER_WAY,
    MAX_PROBES,
    NOT_WORTH_A_PROBE,
    PROBE_NOISE,
    present,
)
from kfgraph.kernel.syscall_handlers import PATH_EVENT, PATH_FUNCTIONS
from kfgraph.kernel.unwinding import allocates_memory, decides_nothing, gives_back, waits
from kfgraph.model.companion import ModuleImage, ReturnProbe
from kfgraph.model.returned import PROBE_GROUP
from kfgraph.model.units import plural

if TYPE_CHECKING:
    from kfgraph.kernel.module import Module
    from kfgraph.model.returned import Returned

IMPORTS_FIRST = 24
"""So many of the functions that a module calls get a probe before its own."""
ReturnedBy = Callable[[str], "Returned | None"]
"""What a function of the kernel returns; None where that is not known."""
BLACKLIST = Path("/sys/kernel/debug/kprobes/blacklist")
MODULES = Path("/proc/modules")
INIT_SECTION = ".init.text"
# The whole register: whether it is an int, a pointer or junk is told later, by who knows the function.
_TYPE = "x64" if sys.maxsize > 2**32 else "x32"
_MAX_EVENT_NAME = 48


@dataclass(frozen=True)
class ProbePlan:
    """The probes to set, what must not be traced for them, and a sentence for everything left out.

    ``n_cut`` is the number of functions that have none because there is a limit, ``asked`` are those that the user
    named. ``paths`` are probes too, on functions that return the path that a system call names. ``types``: what the
    kernel's other functions return that the modules call, where it tells: those that return nothing need no probe.
    """

    probes: tuple[ReturnProbe, ...] = ()
    paths: tuple[ReturnProbe, ...] = ()
    notrace: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    n_cut: int = 0
    asked: frozenset[str] = frozenset()
    types: tuple[tuple[str, Returned], ...] = ()


def plan_probes(
    fs: Tracefs,
    asked: Sequence[Module],
    *,
    needed: Sequence[Module] = (),
    globs: Sequence[str] = (),
    blacklist: frozenset[str] = frozenset(),
    loaded: frozenset[str] = frozenset(),
    returned: ReturnedBy | None = None,
    wanted: bool = True,
) -> ProbePlan:
    """Return probes, the most telling first, for there is a limit.

    First the functions that ``globs`` name, then those of the module loader that an error comes up through, the init
    function of each module that is loaded, IMPORTS_FIRST of the kernel's functions that the modules ``asked`` for
    call and that can fail by what they are known to return (``returned``), those modules' other functions (the last
    module first, what runs once before what stays), more of what they call, also what returns a bool, the functions of
    the modules that they ``need``, less those that are ``loaded`` already, and the rest of the loader.

    Empty where there is nothing to load and no glob, where the kernel records return values by
    itself, and where it has no kprobes; the notes say so.
    """
    modules = [*reversed(asked), *(m for m in reversed(needed) if m.image.name not in loaded)]
    if not wanted or not (asked or globs):
        return ProbePlan()
    if fs.has_option("funcgraph-retval"):
        return ProbePlan(notes=("no return probes: this kernel records return values itself",))
    if not fs.has("kprobe_events"):
        return ProbePlan(notes=("no return probes: this kernel has no kprobe events",))
    functions = fs.functions()
    types = dict(_types(functions, asked, returned))
    imports = _imports(functions, asked, types)
    # A false may be a refusal; no more than that.
    bools = [n for n, t in types.items() if t.kind == "bool" and n not in NOT_WORTH_A_PROBE and not gives_back(n)]
    chosen, notes = _choose(functions, modules, globs, blacklist, imports, bools, n_asked=len(asked))
    n_cut = max(0, len(chosen) - MAX_PROBES)
    if n_cut:
        notes.append(f"no return probe on {plural(n_cut, 'more function')}: at most {MAX_PROBES} are set")
    probes = tuple(_named(chosen[:MAX_PROBES], returned))
    if not probes:
        return ProbePlan(notes=tuple(notes))
    by_name = frozenset(p.function for p in probes if any(fnmatch.fnmatchcase(p.function, glob) for glob in globs))
    noise = present(PROBE_NOISE, functions)
    others = tuple((name, type_) for name, type_ in types.items() if name not in {p.function for p in probes})
    return ProbePlan(probes, notrace=noise, notes=tuple(notes), n_cut=n_cut, asked=by_name, types=others)


def with_paths(fs: Tracefs, plan: ProbePlan) -> ProbePlan:
    """The plan with probes on what copies a path from the program, where this kernel can."""
    if not fs.has("kprobe_events"):
        return plan
    functions = fs.functions()
    found = present(PATH_FUNCTIONS, functions)
    paths = tuple(ReturnProbe(PROBE_GROUP, f"{PATH_EVENT}{name}", name, "") for name in found)
    if not paths:
        return plan
    noise = plan.notrace or tuple(glob for glob in HIT_NOISE if fnmatch.filter(functions, glob))
    return replace(plan, paths=paths, notrace=noise)


def _choose(
    functions: frozenset[str],
    modules: Sequence[Module],
    globs: Sequence[str],
    blacklist: frozenset[str],
    imports: Sequence[str],
    bools: Sequence[str],
    *,
    n_asked: int,
) -> tuple[list[tuple[str, str]], list[str]]:
    """(module, function) in the order of importance, each once; and a sentence for what was left out."""
    inits = [(m.image.name, m.init) for m in modules if m.init]
    first = [(m.image.name, f) for m in modules[:n_asked] for f in _by_section(m)]
    own = [*first, *((m.image.name, f) for m in modules[n_asked:] for f in _by_section(m))]
    of_kernel = functions - {f for _, f in own}
    asked = [pair for glob in globs for pair in own if fnmatch.fnmatchcase(pair[1], glob)]
    asked += [("", f) for glob in globs for f in sorted(fnmatch.filter(of_kernel, glob))]
    way = [("", f) for f in present(LOADER_WAY, functions)] if modules else []
    loader = [("", f) for f in present(LOADER_FUNCTIONS, functions)] if modules else []
    called = [("", f) for f in imports]
    rest = [*called[IMPORTS_FIRST:], *(("", f) for f in bools)]
    order = [*asked, *way, *inits, *called[:IMPORTS_FIRST], *first, *rest, *own, *loader]
    ambiguous = {(m.image.name, f) for m in modules for f in m.ambiguous}
    chosen, skipped = [], dict[str, list[str]]()
    for pair in dict.fromkeys(order):
        why = "several functions have this name" if pair in ambiguous else _unfit(pair[1], blacklist)
        if why:
            skipped.setdefault(why, []).append(pair[1])
        else:
            chosen.append(pair)
    return chosen, [f"no return probe on {', '.join(names)}: {why}" for why, names in skipped.items()]


def _imports(functions: frozenset[str], asked: Sequence[Module], types: Mapping[str, Returned]) -> list[str]:
    """The kernel's functions that the modules call, that can be probed, and that can return an error."""
    own = {f for m in asked for f in m.traceable}
    names = dict.fromkeys(name for m in reversed(asked) for name in m.imports)
    fit = [n for n in names if n in functions and n not in own and n not in NOT_WORTH_A_PROBE]
    # kthread_stop returns what the thread did.
    fit = [name for name in fit if not gives_back(name) or waits(name)]
    return [name for name in fit if name not in types or types[name].can_fail]


def _types(
    functions: frozenset[str], asked: Sequence[Module], returned: ReturnedBy | None
) -> Iterable[tuple[str, Returned]]:
    """What the kernel's functions return that the modules call and that are traced, where it tells."""
    own = {f for m in asked for f in m.traceable}
    for name in dict.fromkeys(name for m in asked for name in m.imports if name in functions and name not in own):
        type_ = returned(name) if returned is not None else None
        if type_ is not None:
            yield name, type_


def with_untraced(module: Module, functions: frozenset[str], returned: ReturnedBy) -> ModuleImage:
    """The module's image; of each function those that it calls, that can fail, and that the kernel cannot trace."""

    def untraced(names: Iterable[str]) -> Iterator[str]:
        for name in names:
            if name in functions or name in NOT_WORTH_A_PROBE or decides_nothing(name) or gives_back(name):
                continue
            if not allocates_memory(name) and (type_ := returned(name)) is not None and type_.can_fail:
                yield name

    told = (replace(f, untraced=tuple(untraced(module.calls.get(f.name, ())))) for f in module.image.functions)
    return replace(module.image, functions=tuple(told))


def _by_section(module: Module) -> list[str]:
    """Its functions, those that run once, at the start, before the others."""
    initial = {f.name for f in module.image.functions if f.section == INIT_SECTION}
    return sorted(module.traceable, key=lambda name: name not in initial)


def _unfit(name: str, blacklist: frozenset[str]) -> str:
    if ".isra." in name:
        return "the compiler changed its return value (.isra)"
    return "the kernel allows no probe there" if name in blacklist else ""


def _named(chosen: Iterable[tuple[str, str]], returned: ReturnedBy | None) -> Iterable[ReturnProbe]:
    taken = set[str]()
    for module, function in chosen:
        plain = re.sub(r"\W", "_", function)[:_MAX_EVENT_NAME]
        plain = f"_{plain}" if plain[0].isdigit() else plain
        event = next(name for name in chain([plain], (f"{plain}_{n}" for n in count(2))) if name not in taken)
        taken.add(event)
        type_ = returned(function) if returned is not None and not module else None
        yield ReturnProbe(PROBE_GROUP, event, function, module, returns=type_)


def read_blacklist(path: Path = BLACKLIST) -> frozenset[str]:
    """Functions of the running kernel on which it allows no probe; none where it does not say."""
    try:
        return frozenset(line.split()[-1] for line in path.read_text().splitlines() if line.strip())
    except OSError:
        return frozenset()


def read_loaded(path: Path = MODULES) -> frozenset[str]:
    """The names of the modules that are loaded; none where the kernel does not say."""
    try:
        return frozenset(line.split()[0] for line in path.read_text().splitlines() if line.strip())
    except OSError:
        return frozenset()


def definition(probe: ReturnProbe) -> str:
    """Its line for kprobe_events. A module that is not loaded yet is allowed: the probe waits for it."""
    if probe.event.startswith(PATH_EVENT):
        # struct filename begins with the path and, up to 7.0, where the program has it (include/linux/fs.h).
        pointer = f"user=+{int(_TYPE[1:]) // 8}($retval):{_TYPE}"
        return f"r:{probe.group}/{probe.event} {probe.function} path=+0(+0($retval)):string {pointer}"
    where = f"{probe.module}:{probe.function}" if probe.module else probe.function
    return f"r:{probe.group}/{probe.event} {where} ret=$retval:{_TYPE}"


def install(fs: Tracefs, probes: Sequence[ReturnProbe]) -> tuple[tuple[ReturnProbe, ...], dict[str, str]]:
    """Set them; those that are set, and a sentence for each function on which the kernel refused one."""
    done, refused = [], {}
    for probe in probes:
        try:
            fs.append("kprobe_events", definition(probe))
            done.append(probe)
        except OSError as problem:
            # What it says to a name that it cannot tell from another's.
            ambiguous = problem.errno == errno.EADDRNOTAVAIL
            why = "several functions have this name" if ambiguous else problem.strerror
            refused[probe.function] = f"no return probe on {probe.function}: {why}"
    return tuple(done), refused


def with_misses(fs: Tracefs, probes: Sequence[ReturnProbe]) -> tuple[ReturnProbe, ...]:
    """The same probes with how often each was hit and not recorded (kprobe_profile)."""
    missed = {}
    if fs.has("kprobe_profile"):
        for line in fs.read("kprobe_profile").splitlines():
            fields = line.split()
            if len(fields) == 3 and fields[2].isdigit():
                missed[fields[0]] = int(fields[2])
    return tuple(replace(p, n_missed=missed.get(p.event, 0)) for p in probes)


def remove(fs: Tracefs) -> list[str]:
    """Take away every probe of kfgraph's group; the names of those that stay."""
    if not fs.has("kprobe_events"):
        return []
    lines = [line for line in fs.read("kprobe_events").splitlines() if f":{PROBE_GROUP}/" in line]
    mine = [line.split()[0].partition(":")[2] for line in lines]
    if mine and fs.has(f"events/{PROBE_GROUP}/enable"):
        _try(fs.write, f"events/{PROBE_GROUP}/enable", "0")
    return [f"kprobe_events: {name}" for name in mine if not _try(fs.append, "kprobe_events", f"-:{name}")]


def _try(write: Callable[[str, str], None], name: str, text: str) -> bool:
    try:
        write(name, text)
    except OSError:
        return False
    return True
