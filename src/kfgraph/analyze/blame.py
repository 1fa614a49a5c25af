"""Where an error was born: from a failing call down, along the values that its callees returned.

Nothing here knows of commands or screens. What is told from names and from the order of calls is an inference, and
every link says what it rests on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

import numpy as np

from kfgraph.analyze.retval import DECIMAL, errors_of, returned_type, value_text, values_of
from kfgraph.kernel import unwinding
from kfgraph.kernel.interrupts import WRAPPERS
from kfgraph.kernel.loader import LOADER_FUNCTIONS
from kfgraph.kernel.unwinding import plain
from kfgraph.model.calls import UNKNOWN_CONTEXT, Flag
from kfgraph.model.symbols import Returned
from kfgraph.model.trace import Trace

EPERM, ENOMEM, EACCES = 1, 12, 13
NOT_FOUND = (2, 3, 6, 19)
"""ENOENT, ESRCH, ENXIO, ENODEV: what a caller makes of a look-up that returned NULL."""
_OF_NOTHING = (EPERM, ENOMEM, EACCES, 16, *NOT_FOUND)
"""What callers make of NULL or false; 16 (EBUSY): of a region that could not be claimed."""
NOTIFY_STOP_MASK = 0x8000


class Kind(Enum):
    """What a callee's return says about its caller's error."""

    SAME = "the same error"
    OTHER = "another error"
    NULL = "NULL"
    FALSE = "false"
    FINE = "no error"
    IDLE = "nothing to do with it"
    UNKNOWN = "not recorded"


@dataclass(frozen=True)
class Link:
    """One call that carried the error. ``error`` is what it returned (negative; 0: NULL or false, or not recorded);
    ``value`` words it; ``evidence`` is what the link to its caller rests on."""

    row: int
    error: int
    value: str
    evidence: str


@dataclass(frozen=True)
class Blame:
    """The way of an error, outermost call first; the last link is where it was born, as far as was recorded.

    ``exact``: nothing that can fail ran below the last link without its value being recorded. ``sure``: recorded
    values carry every link. ``doubts`` are sentences; ``candidates`` rows that may be the birthplace, best first.
    """

    chain: tuple[Link, ...]
    exact: bool
    sure: bool
    doubts: tuple[str, ...] = ()
    candidates: tuple[int, ...] = ()


@dataclass
class Outcomes:
    """What the calls of a trace returned, asked one by one."""

    trace: Trace
    _of_type: dict[int, tuple[bool, bool, bool]] = field(default_factory=dict)

    @cached_property
    def errors(self) -> np.ndarray:
        """The error that each call returned, see :func:`kfgraph.analyze.retval.errors_of`; 0 for none."""
        calls, names = self.trace.calls, self.trace.symbols.names
        codes = errors_of(calls, self.trace.symbols).codes
        calls_chain = np.array(["notifier_call_chain" in name for name in names], np.bool_)
        if calls.retval is None or not calls_chain.any():
            return codes
        # A notifier's answer: NOTIFY_STOP_MASK and NOTIFY_OK (1) less the error (include/linux/notifier.h).
        told = calls.has(Flag.HAS_RETVAL) & (calls.retval & 0xFFFF8000 == NOTIFY_STOP_MASK)
        told &= calls_chain[calls.func] | ((calls.parent >= 0) & calls_chain[calls.func[calls.parent]])
        return np.where(told, (1 - (calls.retval & 0x7FFF)).astype(np.int16), codes)

    def known(self, row: int) -> bool:
        """Whether the return value of this call was recorded."""
        calls = self.trace.calls
        return calls.retval is not None and bool(calls.flags[row] & Flag.HAS_RETVAL)

    def raw(self, row: int) -> int:
        """The register, 64 bits unsigned."""
        calls = self.trace.calls
        return int(calls.retval[row]) & (1 << 64) - 1 if calls.retval is not None else 0

    def returns(self, row: int) -> tuple[bool, bool, bool]:
        """(can it fail by its type, is it a pointer, is it a bool); a type that is not known can fail."""
        func = int(self.trace.calls.func[row])
        if func not in self._of_type:
            told = returned_type(self.trace.symbols, func)
            if told is None:
                self._of_type[func] = (True, False, False)
            else:
                self._of_type[func] = (told.can_fail, told.kind == "pointer", told.kind == "bool")
        return self._of_type[func]

    def typed(self, row: int) -> bool:
        """Whether it is known what the function returns."""
        return self._type(row) is not None

    def _type(self, row: int) -> Returned | None:
        return returned_type(self.trace.symbols, int(self.trace.calls.func[row]))

    def name(self, row: int) -> str:
        """The function's name, as the trace has it."""
        return self.trace.symbols.names[int(self.trace.calls.func[row])]

    def value_text(self, row: int) -> str:
        """The return value as text: the number of an error, NULL, false, a number, "a pointer".

        "?" where it was not recorded; "" where the function returns nothing, or where the value may be an address.
        """
        if not self.known(row):
            return "?"
        returned = self._type(row)
        values, has_value = values_of(self.trace.calls, self.trace.symbols, np.array([row]))
        if not has_value[0]:
            return ""
        error, value = int(self.errors[row]), int(values[0])
        if error:
            return str(error)
        if abs(value) >= DECIMAL and (returned is None or returned.kind == "pointer"):
            return "a pointer" if returned is not None else ""
        return value_text(value, returned)

    def kind(self, row: int, error: int) -> Kind:
        """What this callee's return means for a caller that returned ``error``."""
        name = self.name(row)
        if unwinding.decides_nothing(name):
            return Kind.IDLE
        if not self.known(row):
            told = self._type(row)
            nothing = told is not None and told.kind == "void"
            return Kind.IDLE if nothing or unwinding.gives_back(name) else Kind.UNKNOWN
        can_fail, pointer, is_bool = self.returns(row)
        code = int(self.errors[row])
        if code and can_fail:
            return Kind.SAME if code == error else Kind.OTHER
        if "notifier_call_chain" in name:
            return Kind.IDLE  # it told of something, and nobody refused
        if is_bool or (not self.typed(row) and unwinding.asks(name)):
            return Kind.FALSE if not self.raw(row) & 0xFF else Kind.FINE
        if not self.raw(row) and (pointer or (not self.typed(row) and unwinding.allocates(name))):
            return Kind.NULL
        return Kind.FINE if can_fail else Kind.IDLE


def children_of(trace: Trace, row: int) -> list[int]:
    """The direct callees of ``row`` that are its own: not those of an interrupt that hit it."""
    calls = trace.calls
    first, end = row + 1, int(calls.end[row])
    rows = np.flatnonzero(calls.parent[first:end] == row) + first
    own = int(calls.context[row])
    if own != UNKNOWN_CONTEXT:
        rows = rows[calls.context[rows] == own]
    names = trace.symbols.names
    return [int(r) for r in rows if names[int(calls.func[r])] not in WRAPPERS]


def blame(trace: Trace, row: int, error: int, outcomes: Outcomes | None = None, *, evidence: str = "") -> Blame:
    """Where the error that call ``row`` returned was born; ``error`` is negative.

    ``evidence`` says what the first link rests on where that is not a recorded value of its own.
    """
    seen = outcomes or Outcomes(trace)
    chain = [Link(row, error, str(error), evidence or "return value")]
    sure, doubts = True, list[str]()
    candidates: list[int] = []
    at, carried = row, error
    while True:
        children = children_of(trace, at)
        kinds = [seen.kind(child, carried) for child in children]
        step = _step(trace, seen, children, kinds, carried)
        sure = sure and step.sure
        doubts += step.doubts
        candidates = [*step.candidates, *candidates]
        if step.row < 0:
            exact = Kind.UNKNOWN not in kinds
            shape = _by_shape(trace, seen, step.first[0], carried) if step.first else []
            rows = list(dict.fromkeys([*shape, *step.first, at, *candidates]))
            return Blame(tuple(chain), exact, sure and (exact or not step.first), tuple(doubts), tuple(rows[:3]))
        passed = "not recorded, but it called what returned the error"
        chain += [Link(r, 0, seen.value_text(r), passed) for r in step.passed]
        carried = int(seen.errors[step.row])
        chain.append(Link(step.row, carried, seen.value_text(step.row), step.evidence))
        at = step.row
        if not carried:
            # NULL or false: what made it so is no error any more, unless a callee returned the like.
            deeper = _same_nothing(trace, seen, at)
            while deeper >= 0:
                chain.append(Link(deeper, 0, seen.value_text(deeper), "return value"))
                at, deeper = deeper, _same_nothing(trace, seen, deeper)
            below = children_of(trace, at)
            exact = all(seen.kind(child, error) is not Kind.UNKNOWN for child in below)
            return Blame(tuple(chain), exact, sure, tuple(doubts), tuple(dict.fromkeys([at, *candidates]))[:3])


@dataclass(frozen=True)
class _Step:
    row: int = -1
    evidence: str = ""
    sure: bool = True
    doubts: tuple[str, ...] = ()
    candidates: tuple[int, ...] = ()
    first: tuple[int, ...] = ()
    """Candidates that come before the call itself: what returned last before it gave up, its value unrecorded."""
    passed: tuple[int, ...] = ()
    """The callees on the way to ``row`` whose values were not recorded, outermost first."""


def _step(trace: Trace, seen: Outcomes, children: Sequence[int], kinds: Sequence[Kind], error: int) -> _Step:
    same = [i for i, kind in enumerate(kinds) if kind is Kind.SAME]
    real = [i for i in same if not unwinding.gives_back(seen.name(children[i]))]
    if all(unwinding.may_give_up(seen.name(children[i])) for i in real):
        # All may be parts of giving up: the first of them counts as much as the others.
        real = same if real else []
    masked = not real and bool(same)
    if same and not masked:
        return _carried(trace, seen, children, kinds, error, real, same, masked=False)
    through = _through_unknown(trace, seen, children, kinds, error)
    if through is not None:
        return through
    if same:
        return _carried(trace, seen, children, kinds, error, same, same, masked=True)
    return _changed(seen, children, kinds, error)


def _through_unknown(
    trace: Trace, seen: Outcomes, children: Sequence[int], kinds: Sequence[Kind], error: int
) -> _Step | None:
    """A callee whose value was not recorded, but below which the same error was returned: a callback that it called."""
    calls = trace.calls
    for child, kind in zip(reversed(children), reversed(kinds), strict=True):
        if kind is Kind.FINE and unwinding.goes_on(seen.name(child)):
            return None
        if kind is not Kind.UNKNOWN:
            continue
        below = np.flatnonzero(seen.errors[child + 1 : int(calls.end[child])] == error) + child + 1
        for row in below[::-1].tolist():
            way = [row]
            while way[-1] != child:
                way.append(int(calls.parent[way[-1]]))
            between = way[1:-1]
            same_context = all(calls.context[r] == calls.context[child] for r in way)
            if seen.kind(row, error) is not Kind.SAME or unwinding.gives_back(seen.name(row)) or not same_context:
                continue
            if not any(seen.known(r) for r in between):
                passed = tuple(way[:0:-1])
                doubt = f"what {seen.name(child)} returned was not recorded"
                return _Step(row, "return value", sure=False, passed=passed, doubts=(doubt,))
    return None


def _carried(
    trace: Trace, seen: Outcomes, children: Sequence[int], kinds: Sequence[Kind], error: int, same: list[int],
    every: Sequence[int], *, masked: bool,
) -> _Step:  # fmt: skip
    """The callee that handed the same error up: the last one, unless it was only given the error itself."""
    last = same[-1]
    for earlier in reversed(same[:-1]):
        between = [k for k in range(earlier + 1, last) if kinds[k] in (Kind.FINE, Kind.UNKNOWN, Kind.OTHER)]
        between = [k for k in between if not unwinding.gives_back(seen.name(children[k]))]
        if between or seen.name(children[earlier]) == seen.name(children[last]):
            break
        if not _was_handed(trace, seen, children[last]):
            break
        last = earlier
    late = _before_the_clean_up(seen, children, kinds, same[: same.index(last) + 1])
    child = children[late]
    after = [k for k in range(late + 1, len(children)) if kinds[k] in (Kind.FINE, Kind.UNKNOWN)]
    work = [k for k in after if unwinding.does_work(seen.name(children[k])) and k not in same]
    done = [k for k in work if kinds[k] is Kind.FINE and _succeeded(seen, children[k])]
    if done and seen.name(children[done[-1]]) != seen.name(child):
        name, later = seen.name(child), seen.name(children[done[-1]])
        doubt = f"{name} had returned the same error, but {later} ran after it and did not fail"
        masking = [children[i] for i in every if i > done[-1]]
        if masking:
            return _Step(masking[-1], "return value", sure=False, doubts=(doubt,), candidates=(child,))
        # What failed later in another way may have become this error.
        other = _changed(seen, children[late + 1 :], kinds[late + 1 :], error)
        other = other if other.row >= 0 else _Step()
        candidates = (*other.candidates, child)
        return replace(other, sure=False, doubts=(doubt, *other.doubts), candidates=candidates)
    begun = [children[k] for k in work if kinds[k] is Kind.UNKNOWN and unwinding.goes_on(seen.name(children[k]))]
    if begun and seen.name(begun[-1]) != seen.name(child):
        doubt = f"{seen.name(child)} had returned the same error, but {seen.name(begun[-1])} ran after it"
        return _Step(sure=False, doubts=(doubt,), candidates=(child,), first=(begun[-1],))
    if work:
        name, later = seen.name(child), seen.name(children[work[0]])
        doubt = f"{later} ran after {name} had failed: the caller may have ignored that failure"
        return _Step(child, "return value", sure=False, doubts=(doubt,), candidates=(int(trace.calls.parent[child]),))
    rival = children[last] if late != last else _just_before(seen, children, kinds, every, last)
    candidates = tuple(children[i] for i in same if i != last)[-2:] if masked else ()
    passed = [children[k] for k in after if kinds[k] is Kind.FINE and not _ends(seen.name(children[k]))]
    if rival < 0 and passed and not masked:
        doubt = f"{seen.name(passed[-1])} ran after {seen.name(child)} had failed, and succeeded"
        return _Step(child, "return value", sure=False, doubts=(doubt,), candidates=(int(trace.calls.parent[child]),))
    if rival >= 0 and not masked:
        order = "after" if late != last else "before"
        doubt = f"{seen.name(rival)} had returned the same error {order} {seen.name(child)}"
        return _Step(child, "return value", sure=False, doubts=(doubt,), candidates=(rival,))
    return _Step(child, "return value", candidates=candidates)


def _succeeded(seen: Outcomes, row: int) -> bool:
    """Whether the call shows that its caller went on: by its name it begins something, and its value is a success."""
    name = seen.name(row)
    if not unwinding.goes_on(name):
        return False
    # A clone without its return value leaves what was in the register.
    return seen.typed(row) or (".isra" not in name and seen.raw(row) & 0xFFFFFFFF < 1 << 24)


def _before_the_clean_up(
    seen: Outcomes, children: Sequence[int], kinds: Sequence[Kind], same: Sequence[int]
) -> int:
    """Of the callees ``same`` that returned the error the last but for those that may be what its caller did after it:
    by their names a part of giving up, or without a type that can hold an error."""
    for i in reversed(range(len(same))):
        name = seen.name(children[same[i]])
        weak = unwinding.may_give_up(name) or (not seen.typed(children[same[i]]) and _may_be_left(name))
        between = range(same[i - 1] + 1, same[i]) if i else ()
        worked = any(kinds[k] is Kind.FINE and unwinding.does_work(seen.name(children[k])) for k in between)
        if not weak or not i or worked:
            return same[i]
        if seen.name(children[same[i - 1]]) == name:
            return same[i]
    return same[-1]


def _ends(name: str) -> bool:
    """Whether it is usual, by its name, that the function runs after a failure."""
    return unwinding.may_give_up(name) or unwinding.tells(name)


def _may_be_left(name: str) -> bool:
    return ".isra" in name or unwinding.tells(name)


def _just_before(seen: Outcomes, children: Sequence[int], kinds: Sequence[Kind], same: Sequence[int], last: int) -> int:
    """Another callee that returned the same error, after which nothing shows that its caller went on; -1 if none."""
    name = seen.name(children[last])
    for earlier in reversed([i for i in same if i < last]):
        between = range(earlier + 1, last)
        if any(kinds[k] is Kind.FINE and unwinding.does_work(seen.name(children[k])) for k in between):
            return -1
        if seen.name(children[earlier]) != name:
            return children[earlier]
    return -1


def _was_handed(trace: Trace, seen: Outcomes, row: int) -> bool:
    """Whether the callee was given the error as an argument and gave it back: it returned at once, and other calls
    of the same function did not."""
    calls = trace.calls
    if calls.args is not None:
        text = calls.args.text(row) or ""
        error = int(seen.errors[row])
        if re.search(rf"\b(?:0x(?:f{{8}})?{error & 0xFFFFFFFF:x}|{error})\b", text):
            return True
    if calls.end[row] != row + 1:
        return False
    others = np.flatnonzero(calls.func == calls.func[row])
    working = calls.end[others] > others + 1
    return bool(working.sum() * 2 >= len(others)) and len(others) > 1


def _changed(seen: Outcomes, children: Sequence[int], kinds: Sequence[Kind], error: int) -> _Step:
    """No callee returned this error: did the last thing that failed become it?"""
    unknown_after: list[int] = []
    passed, zero = "", -1
    for i in range(len(children) - 1, -1, -1):
        child, kind = children[i], kinds[i]
        name = seen.name(child)
        if kind is Kind.IDLE or unwinding.gives_back(name):
            continue
        if kind is Kind.UNKNOWN:
            unknown_after.append(child)
            continue
        if unknown_after:
            break
        denied = kind is Kind.FALSE and -error in (EPERM, EACCES)
        if kind is Kind.FINE and not seen.typed(child) and not seen.raw(child):
            zero = child if zero < 0 else zero
        if kind in (Kind.FINE, Kind.FALSE) and not denied and not unwinding.does_work(name):
            # By its name it may be a part of giving up; that is no proof.
            passed = passed or name
            continue
        doubts = (f"{passed} ran after {name} had failed, and succeeded",) if passed else ()
        if kind is Kind.OTHER:
            # The module loader is known to make one error of another; else its caller may have ignored this one.
            above = int(seen.trace.calls.parent[child])
            known_to = plain(seen.name(above)) in LOADER_FUNCTIONS
            evidence = "it failed last, and its caller gave up"
            return _Step(child, evidence, sure=known_to and not passed, doubts=doubts, candidates=(above,))
        if kind is Kind.NULL and (-error == ENOMEM or unwinding.allocates(name) or seen.typed(child)):
            weak = -error != ENOMEM
            evidence = "it returned NULL, and its caller gave up right after"
            return _Step(
                child, evidence, sure=not (weak or passed), doubts=doubts, candidates=_above(seen, child, passed)
            )
        if child == zero and -error in NOT_FOUND and unwinding.looks_for(name):
            doubt = (f"{name} returned 0 last, which may be NULL or false",)
            evidence = "it found nothing, and its caller gave up right after"
            return _Step(child, evidence, sure=False, doubts=doubt, candidates=_above(seen, child, "x"))
        if denied:
            return _Step(child, "it returned false, and its caller gave up right after", sure=False)
        break
    first, candidates = tuple(unknown_after[:1]), tuple(unknown_after[1:2])
    if zero >= 0 and not first and -error in _OF_NOTHING:
        # Zero of a type that is not known: success, or NULL or false.
        doubt = (f"{seen.name(zero)} returned 0, which may be NULL or false",)
        if -error == ENOMEM and not unwinding.gives_back(seen.name(zero)):
            evidence = "it returned 0, perhaps NULL, and its caller gave up"
            return _Step(zero, evidence, sure=False, doubts=doubt, candidates=_above(seen, zero, "x"))
        return _Step(sure=False, doubts=doubt, candidates=(zero,))
    return _Step(first=first, candidates=candidates)


def _by_shape(trace: Trace, seen: Outcomes, row: int, error: int) -> list[int]:
    """Where the error may have been born from ``row`` down if no value tells, at most three, the likeliest first.

    Down through what each ran last before it gave back what it had: an inference from names and order. In a module the
    last of its own functions counts, and what it called of the kernel last.
    """
    path, modules = [row], trace.symbols.modules
    while True:
        children = children_of(trace, path[-1])
        likely = [r for r in children if _may_have_failed(seen, r, error)]
        if plain(seen.name(path[-1])) in LOADER_FUNCTIONS:
            # It tells of a module that is going, too.
            likely = [r for r in likely if "notifier" not in seen.name(r)]
        # Where all give something back, it is that which failed.
        likely = [r for r in likely if not unwinding.may_give_up(seen.name(r))] or likely
        likely = likely or [r for r in children if modules[int(trace.calls.func[r])] and not seen.known(r)]
        if not likely:
            break
        path.append(likely[-1])
    own = [i for i, r in enumerate(path) if modules[int(trace.calls.func[r])]]
    if not own or own[-1] == len(path) - 1:
        return path[::-1][:3]
    last = own[-1]
    return [path[last + 1], *path[last + 2 : last + 3], path[last]]


def _may_have_failed(seen: Outcomes, row: int, error: int) -> bool:
    name = seen.name(row)
    if unwinding.decides_nothing(name) or unwinding.gives_back(name) or unwinding.tells(name):
        return False
    if seen.known(row):
        return bool(seen.errors[row])
    # Too little memory is what an allocator says, and nothing else.
    if unwinding.asks(name) and -error not in (EPERM, EACCES):
        return False
    return seen.returns(row)[0] and (-error == ENOMEM or not unwinding.allocates_memory(name))


def _above(seen: Outcomes, child: int, passed: str) -> tuple[int, ...]:
    """Where a link is not sure, its caller is a candidate."""
    return (int(seen.trace.calls.parent[child]),) if passed else ()


def _same_nothing(trace: Trace, seen: Outcomes, row: int) -> int:
    """The last callee that could fail and returned NULL (or false) as ``row`` did, if it is the last that counts."""
    for child in reversed(children_of(trace, row)):
        name = seen.name(child)
        kind = seen.kind(child, 0)
        if kind is Kind.IDLE or unwinding.gives_back(name):
            continue
        return child if kind is Kind.NULL else -1
    return -1
