"""How ``why`` does on variants of its corpus that its rules were not made with.

    PYTHONPATH=tests:benchmarks python tests/why/variants.py [TRACES] [--kinds NAMES] [--seeds N] [--no-values]

Each recording's failing call is taken apart and changed: functions get other names, types or values are left out,
errors are others, callees that succeed or give back stand beside those that failed. What is right stays known, so each
variant is scored as the original is (blame.py). A rule that leans on the names of the corpus shows here.
"""

from __future__ import annotations

import argparse
import operator
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from blame import MODULES, Truth, judge, kernels, recordings

import kfgraph
from builder.tables import Call, trace_of
from kfgraph.analyze.retval import returned_type
from kfgraph.analyze.why import why
from kfgraph.kernel.syscall_handlers import system_call_of
from kfgraph.model.calls import Flag
from kfgraph.model.spelling import plain_name
from kfgraph.model.symbols import Returned
from kfgraph.model.tasks import Task
from kfgraph.model.trace import Trace

WORDS = """
acme amber beacon bolt bridge buffer cell chip clock core dial dock drum edge feed fuse gauge gear grid hub ink jack key
lamp lane lens lever link loop mast mesh node pad panel pipe plug pole pump ramp reel ring rod rope seat shaft shelf
shore slot spark spool stem strap tank tap tile tower track tray tube vane vault wedge wheel winch wing wire yard zone
"""
VERBS = """
bring fetch grab push pull sync tune settle obtain acquire gather issue post step drive spin warm handle do run process
arrange compute derive translate resolve commit stage advance exchange query measure sample poll walk scan fill
"""
GIVES_BACK = ("free", "put", "release", "unregister", "destroy", "teardown", "undo", "cleanup", "stop", "disable")
QUIETENS = ("stop", "release", "disable", "detach", "flush", "reset", "park", "quiesce", "halt")

HAS_RETVAL = int(Flag.HAS_RETVAL)


@dataclass(frozen=True)
class Case:
    """One recording: the failing call as a tree, what is right, and what its functions return by name."""

    name: str
    tree: Call
    truth: Truth
    types: dict[str, Returned]
    native: bool
    trace: Trace


class Types:
    """What functions return, by label, as a symbol table asks."""

    def __init__(self, labels: tuple[str, ...], types: dict[str, Returned]) -> None:
        self._labels, self._types = labels, types

    def returned(self, code: int) -> Returned | None:
        """By the function's code."""
        return self._types.get(self._labels[code])


def cases(folder: Path) -> Iterator[Case]:
    """The failing recordings of a folder, their failing call alone."""
    for file in sorted(recordings(folder).glob("*.dat")):
        if "." in file.stem:
            continue
        truth = Truth.read(MODULES / f"{file.stem}.c")
        trace = kfgraph.load(file)
        answer = why(trace)
        if not truth.error or answer.row < 0:
            continue
        calls, symbols = trace.calls, trace.symbols
        columns = calls.func, calls.end, calls.self_ns, calls.context, calls.flags
        facts = symbols.labels, calls.args, *(column.tolist() for column in columns)
        retvals = calls.retval.tolist() if calls.retval is not None else None

        def taken(row: int, facts: Any = facts, retvals: Any = retvals) -> Call:
            labels, args, func, end, self_ns, context, flags = facts
            inside = row + 1
            children = []
            while inside < end[row]:
                children.append(taken(inside))
                inside = end[inside]
            known = retvals is not None and flags[row] & HAS_RETVAL
            return Call(
                labels[func[row]], max(self_ns[row], 1), tuple(children), context=context[row],
                retval=retvals[row] & (1 << 64) - 1 if known else None,
                args=(args.text(row) or "") if args is not None else "",
            )  # fmt: skip

        types = {}
        for code in np.unique(calls.func).tolist():
            told = returned_type(symbols, code)
            if told is not None:
                types[symbols.labels[code]] = told
        native = not (trace.companion and trace.companion.probes)
        yield Case(file.stem, taken(answer.row), truth, types, native, trace)


def mapped(tree: Call, change: Callable[[Call, Call | None], Call], parent: Call | None = None) -> Call:
    """The tree with ``change(call, its caller)`` made in every call, callers first."""
    own = change(tree, parent)
    children = tuple([mapped(child, change, own) for child in own.children])
    return own if all(map(operator.is_, children, own.children)) else replace(own, children=children)


def without_value(call: Call) -> Call:
    """The call, and not what it returned."""
    return call if call.retval is None else replace(call, retval=None)


def names_of(tree: Call) -> Iterator[str]:
    """Every call's label, callers first."""
    yield tree.name
    for child in tree.children:
        yield from names_of(child)


def is_module(label: str) -> bool:
    """Whether it is a function of a module."""
    return label.endswith("]")


def renamed(case: Case, new: Callable[[str], str]) -> Case:
    """The module's functions with other names: ``new`` of each."""
    found: dict[str, str] = {}
    for label in names_of(case.tree):
        if is_module(label) and label not in found:
            name, _, module = label.partition(" ")
            found[label] = f"{new(name)} {module}"
    plainly = {plain_name(old.partition(" ")[0]): plain_name(to.partition(" ")[0]) for old, to in found.items()}
    truth = replace(
        case.truth,
        birth=tuple(plainly.get(name, name) for name in case.truth.birth),
        chain=tuple(plainly.get(name, name) for name in case.truth.chain),
    )
    tree = mapped(case.tree, lambda call, _: replace(call, name=found[call.name]) if call.name in found else call)
    types = {found.get(label, label): told for label, told in case.types.items()}
    return replace(case, tree=tree, truth=truth, types=types)


def neutral(case: Case, chance: random.Random) -> Case:
    """Names that say nothing."""
    numbers: dict[str, int] = {}
    return renamed(case, lambda name: f"zz_part{numbers.setdefault(name, len(numbers) + 1)}")


def reworded(case: Case, chance: random.Random) -> Case:
    """Verbs and nouns of others; what gives back is still called so."""
    taken: dict[str, str] = {}
    words, verbs = WORDS.split(), VERBS.split()

    def new(name: str) -> str:
        from kfgraph.kernel.unwinding import gives_back

        if name not in taken:
            verb = chance.choice(GIVES_BACK if gives_back(name) else verbs)
            taken[name] = f"qx_{verb}_{chance.choice(words)}{len(taken)}"
        return taken[name]

    return renamed(case, new)


def untyped(case: Case, chance: random.Random) -> Case:
    """No types at all."""
    return replace(case, types={})


def untyped_module(case: Case, chance: random.Random) -> Case:
    """The kernel's types, and none of the module."""
    return replace(case, types={label: told for label, told in case.types.items() if not is_module(label)})


def other_error(case: Case, chance: random.Random) -> Case:
    """Another error number, wherever it was returned."""
    old = {-error & 0xFFFFFFFF for error in _errors(case.truth.error)}
    to = chance.choice([5, 6, 11, 14, 22, 28, 34, 61, 71, 74, 84, 95, 110, 121])

    def change(call: Call, _: Call | None) -> Call:
        if call.retval is None or (call.retval ^ 0xFFFFFFFF) + 1 & 0xFFFFFFFF not in old:
            return call
        upper = call.retval >> 32
        return replace(call, retval=upper << 32 | (1 << 32) - to)

    if len(old) > 1 or -case.truth.error in (1, 12, 13):
        return case
    return replace(case, tree=mapped(case.tree, change), truth=replace(case.truth, error=-to))


def _errors(error: int) -> tuple[int, ...]:
    return (error, -16) if error == -17 else (error,)


def fewer_values(case: Case, chance: random.Random) -> Case:
    """A fifth of the functions without their values, but for the failing call's own."""
    gone = {label for label in sorted(set(names_of(case.tree))) if chance.random() < 0.2}

    def change(call: Call, parent: Call | None) -> Call:
        return without_value(call) if parent is not None and call.name in gone else call

    return replace(case, tree=mapped(case.tree, change))


def with_siblings(case: Case, chance: random.Random) -> Case:
    """Before each failing callee of a module one that succeeds and one that gives back, after it two that give back, of
    which one returns an error."""
    words = WORDS.split()

    def change(call: Call, parent: Call | None) -> Call:
        if not is_module(call.name) or not _failed(call) or call.name.startswith("ins_"):
            return call
        suffix = " [" + call.name.rpartition("[")[2]
        children: list[Call] = []
        for child in call.children:
            fails = is_module(child.name) and child.retval == call.retval and _born_below(case, child)
            if fails:
                children.append(Call(f"ins_setup_{chance.choice(words)}{suffix}", 50, retval=0))
                children.append(Call(f"ins_put_{chance.choice(words)}{suffix}", 50, retval=chance.choice([0, 1, 77])))
            children.append(child)
            if fails:
                children.append(Call(f"ins_free_{chance.choice(words)}{suffix}", 50, retval=chance.choice([0, 12])))
                children.append(Call(f"ins_unregister_{chance.choice(words)}{suffix}", 50, retval=(1 << 32) - 22))
        return replace(call, children=tuple(children))

    return replace(case, tree=mapped(case.tree, change))


def same_error_after(case: Case, chance: random.Random) -> Case:
    """After each failing callee of a module a clean-up that fails with the same error."""
    words = WORDS.split()

    def change(call: Call, parent: Call | None) -> Call:
        if not is_module(call.name) or not _failed(call) or call.name.startswith("ins_"):
            return call
        children: list[Call] = []
        for child in call.children:
            children.append(child)
            if is_module(child.name) and child.retval == call.retval and _born_below(case, child):
                verb = chance.choice(QUIETENS)
                suffix = " [" + call.name.rpartition("[")[2]
                children.append(Call(f"ins_{verb}_{chance.choice(words)}{suffix}", 50, retval=child.retval))
        return replace(call, children=tuple(children))

    return replace(case, tree=mapped(case.tree, change))


def ignored_before(case: Case, chance: random.Random) -> Case:
    """First of all in each failing function of a module something optional that fails the same way, then work that
    succeeds."""
    words, verbs = WORDS.split(), VERBS.split()

    def change(call: Call, parent: Call | None) -> Call:
        if not is_module(call.name) or not _failed(call) or call.name.startswith("ins_"):
            return call
        suffix = " [" + call.name.rpartition("[")[2]
        optional = Call(f"ins_{chance.choice(verbs)}_{chance.choice(words)}{suffix}", 50, retval=call.retval)
        went_on = Call(f"ins_setup_{chance.choice(words)}{suffix}", 50, retval=0)
        return replace(call, children=(optional, went_on, *call.children))

    return replace(case, tree=mapped(case.tree, change))


def deeper(case: Case, chance: random.Random) -> Case:
    """A function between each failing one of a module and its caller."""

    def change(call: Call, parent: Call | None) -> Call:
        if parent is None or not is_module(call.name) or not _born_below(case, call) or call.name.startswith("qx_via"):
            return call
        if not _failed(call) or parent.name.startswith("qx_via"):
            return call
        suffix = " [" + call.name.rpartition("[")[2]
        return Call(f"qx_via_{len(call.name)}{len(call.children)}{suffix}", 50, (call,), retval=call.retval)

    return replace(case, tree=mapped(case.tree, change))


def _born_below(case: Case, call: Call) -> bool:
    """Whether a true birthplace is this call or below it."""
    return any(plain_name(name.partition(" ")[0]) in case.truth.birth for name in names_of(call))


def _failed(call: Call) -> bool:
    return call.retval is not None and 0 < (1 << 32) - (call.retval & 0xFFFFFFFF) <= 4095


KINDS: dict[str, Callable[[Case, random.Random], Case]] = {
    one.__name__: one
    for one in (
        neutral, reworded, untyped, untyped_module, other_error, fewer_values, with_siblings, same_error_after,
        ignored_before, deeper,
    )
}  # fmt: skip


def verdict(case: Case, *, values: bool = True) -> tuple[str, str]:
    """(as blame.py judges, what was said)."""
    tree = case.tree
    if not values:
        tree = mapped(tree, lambda call, parent: call if parent is None else without_value(call))
    trace = trace_of([tree], tasks=[Task(100, "insmod")])
    symbols = replace(trace.symbols, prototypes=Types(trace.symbols.labels, case.types))
    trace = replace(trace, symbols=symbols, meta=replace(trace.meta, arch="x86_64"))
    root = tree.name
    answer = why(trace, root=root) if not system_call_of(root) else why(trace)
    born = answer.birth
    said = f"{born.step.function}{'' if born.exact else ' or below'}" if born else answer.outcome
    if not values:
        three = [step.function for step in (*((born.step,) if born else ()), *answer.candidates)][:3]
        return ("among three" if set(three) & set(case.truth.birth) else "not among three"), ", ".join(three)
    return judge(answer, case.truth), said


def main() -> None:
    """Score and print what is not right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", type=Path, nargs="*", default=kernels())
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--no-values", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    for folder in arguments.traces:
        originals = list(cases(folder))
        for kind in ["", *arguments.kinds.split(",")]:
            counts: Counter[str] = Counter()
            for seed in range(arguments.seeds if kind else 1):
                for case in originals:
                    variant = KINDS[kind](case, random.Random(f"{seed} {case.name}")) if kind else case
                    told, said = verdict(variant, values=not arguments.no_values)
                    counts[told] += 1
                    right = told in ("exact", "bound", "among three")
                    loud = told == "wrong but sure" or (arguments.verbose and not right)
                    if loud and seed == 0:
                        print(f"    {kind or 'as it is'}: {case.name}: {told}: {said}, not {variant.truth.birth}")
            print(f"{folder.name:5} {kind or 'as it is':18} {dict(counts.most_common())}", flush=True)


if __name__ == "__main__":
    main()
