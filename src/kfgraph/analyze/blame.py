"""Where an error was born: from a failing call down, along the values that its callees returned.

Nothing here knows of commands or screens. What is told from names and from the order of calls is an inference, and
every link says what it rests on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kfgraph.analyze.outcomes import EACCES, ENOMEM, EPERM, Kind, Outcomes, children_of
from kfgraph.analyze.shape import by_shape
from kfgraph.kernel import unwinding
from kfgraph.kernel.loader import LOADER_FUNCTIONS
from kfgraph.model.spelling import plain_name
from kfgraph.model.trace import Trace

NOT_FOUND = (2, 3, 6, 19)
"""ENOENT, ESRCH, ENXIO, ENODEV: what a caller makes of a look-up that returned NULL."""
_NO_COUNT = 3
"""Smaller numbers are too often a count or an answer to be read as the number of an error."""
_OF_NOTHING = (EPERM, ENOMEM, EACCES, 16, *NOT_FOUND)
"""What callers make of NULL or false; 16 (EBUSY): of a region that could not be claimed."""


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
            shape = by_shape(trace, seen, step.first[0], carried) if step.first else []
            rows = list(dict.fromkeys([*shape, *step.first, at, *candidates]))
            return Blame(tuple(chain), exact, sure and (exact or not step.first), tuple(doubts), tuple(rows[:3]))
        passed = "not recorded, but it called what returned the error"
        chain += [Link(r, 0, seen.value_text(r), passed) for r in step.passed]
        before, carried = carried, int(seen.errors[step.row])
        chain.append(Link(step.row, carried, seen.value_text(step.row), step.evidence))
        at = step.row
        if not carried:
            # NULL or false: what made it so is no error any more, unless a callee returned the like.
            deeper = _same_value(trace, seen, at)
            while deeper >= 0:
                chain.append(Link(deeper, 0, seen.value_text(deeper), "return value"))
                at, deeper = deeper, _same_value(trace, seen, deeper)
            below = children_of(trace, at)
            if seen.raw(at) == -before and any(seen.kind(child, before) is Kind.SAME for child in below):
                carried = before  # it had turned the sign of what its callee returned
                continue
            failed = _failed_last(seen, below) if not seen.raw(at) & 0xFF else -1
            if failed >= 0:
                carried, sure = int(seen.errors[failed]), False
                evidence = "it failed last, and its caller returned NULL or false"
                chain.append(Link(failed, carried, seen.value_text(failed), evidence))
                candidates, at = [at, *candidates], failed
                continue
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
    return _of_number(seen, children, kinds, error) or _changed(seen, children, kinds, error)


def _of_number(seen: Outcomes, children: Sequence[int], kinds: Sequence[Kind], error: int) -> _Step | None:
    """The callee that returned the error's number, positive, if it is the last that counts: its caller negated it."""
    for child, kind in zip(reversed(children), reversed(kinds), strict=True):
        if kind is Kind.IDLE or unwinding.gives_back(seen.name(child)):
            continue
        if kind is not Kind.FINE or -error < _NO_COUNT or seen.raw(child) != -error:
            return None
        evidence = "it returned the number of the error, and its caller gave up right after"
        return _Step(child, evidence, sure=False, candidates=_above(seen, child, "x"))
    return None


def _through_unknown(
    trace: Trace, seen: Outcomes, children: Sequence[int], kinds: Sequence[Kind], error: int
) -> _Step | None:
    """A callee whose value was not recorded, but below which the same error was returned: a callback that it called."""
    calls = trace.calls
    if not children or not (seen.errors[children[0] : int(calls.end[children[-1]])] == error).any():
        return None
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
                doubt = f"what {seen.plain(child)} returned was not recorded"
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
        if not (_was_handed(trace, seen, children[last]) or _only_reports(trace, seen, children[last])):
            break
        last = earlier
    late = _before_the_clean_up(seen, children, kinds, same[: same.index(last) + 1])
    child = children[late]
    # What fails in another way after it may be a part of giving up, if it does not begin something by its name.
    other = [k for k, kind in enumerate(kinds) if kind is Kind.OTHER and unwinding.goes_on(seen.name(children[k]))]
    after = [k for k in range(late + 1, len(children)) if kinds[k] in (Kind.FINE, Kind.UNKNOWN) or k in other]
    work = [k for k in after if unwinding.does_work(seen.name(children[k])) and k not in same]
    done = [k for k in work if kinds[k] is not Kind.UNKNOWN and _went_on(seen, children[k], kinds[k])]
    if done and seen.name(children[done[-1]]) != seen.name(child):
        name, later = seen.plain(child), seen.plain(children[done[-1]])
        how = "and failed in another way" if kinds[done[-1]] is Kind.OTHER else "and did not fail"
        doubt = f"{name} had returned the same error, but {later} ran after it {how}"
        masking = [children[i] for i in every if i > done[-1]]
        if masking:
            return _Step(masking[-1], "return value", sure=False, doubts=(doubt,), candidates=(child,))
        # What failed later in another way may have become this error.
        became = _changed(seen, children[late + 1 :], kinds[late + 1 :], error)
        became = became if became.row >= 0 else _Step()
        candidates = (*became.candidates, child)
        return replace(became, sure=False, doubts=(doubt, *became.doubts), candidates=candidates)
    begun = [children[k] for k in work if kinds[k] is Kind.UNKNOWN and unwinding.goes_on(seen.name(children[k]))]
    if begun and seen.name(begun[-1]) != seen.name(child):
        doubt = f"{seen.plain(child)} had returned the same error, but {seen.plain(begun[-1])} ran after it"
        return _Step(sure=False, doubts=(doubt,), candidates=(child,), first=(begun[-1],))
    if work:
        name, later = seen.plain(child), seen.plain(children[work[0]])
        doubt = f"{later} ran after {name} had failed: the caller may have ignored that failure"
        return _Step(child, "return value", sure=False, doubts=(doubt,), candidates=(int(trace.calls.parent[child]),))
    rival = children[last] if late != last else _just_before(seen, children, kinds, every, last)
    candidates = tuple(children[i] for i in same if i != last)[-2:] if masked else ()
    fine = [children[k] for k in after if kinds[k] is Kind.FINE]
    passed = [r for r in fine if not unwinding.follows_failure(seen.name(r))]
    unrecorded = _unrecorded_after(seen, child, children[late + 1 :])
    if unrecorded >= 0 > rival and not masked and not seen.typed(child):
        doubt = f"{seen.plain(unrecorded)} ran after {seen.plain(child)}, and what it returned was not recorded"
        return _Step(child, "return value", sure=False, doubts=(doubt,), candidates=(unrecorded,))
    if rival < 0 and passed and not masked:
        doubt = f"{seen.plain(passed[-1])} ran after {seen.plain(child)} had failed, and succeeded"
        return _Step(child, "return value", sure=False, doubts=(doubt,), candidates=(int(trace.calls.parent[child]),))
    if rival >= 0 and not masked:
        order = "after" if late != last else "before"
        doubt = f"{seen.plain(rival)} had returned the same error {order} {seen.plain(child)}"
        return _Step(child, "return value", sure=False, doubts=(doubt,), candidates=(rival,))
    return _Step(child, "return value", candidates=candidates)


def _unrecorded_after(seen: Outcomes, child: int, later: Sequence[int]) -> int:
    """The last of ``later``, of the module of ``child``, that may have failed and was not recorded; -1 if none."""
    modules, func = seen.trace.symbols.modules, seen.trace.calls.func
    module = modules[int(func[child])]
    own = [row for row in reversed(later) if module and modules[int(func[row])] == module and not seen.known(row)]
    idle = (unwinding.follows_failure, unwinding.decides_nothing)
    return next((row for row in own if not any(says(seen.name(row)) for says in idle)), -1)


def _went_on(seen: Outcomes, row: int, kind: Kind) -> bool:
    """Whether the call shows that its caller went on: by its name it begins something, and it succeeded, or it failed
    by itself, with another error."""
    if kind is Kind.OTHER:
        return seen.typed(row)
    return _succeeded(seen, row)


def _succeeded(seen: Outcomes, row: int) -> bool:
    """Whether the call shows that its caller went on: by its name it begins something, and its value is a success."""
    name = seen.name(row)
    if not unwinding.goes_on(name):
        return False
    if not seen.typed(row) and not seen.raw(row) and (unwinding.looks_for(name) or unwinding.allocates(name)):
        return False  # it may have found nothing
    # A clone without its return value leaves what was in the register.
    return seen.typed(row) or (".isra" not in name and seen.raw(row) & 0xFFFFFFFF < 1 << 24)


def _before_the_clean_up(
    seen: Outcomes, children: Sequence[int], kinds: Sequence[Kind], same: Sequence[int]
) -> int:
    """Of the callees ``same`` that returned the error the last but for those that may be what its caller did after it:
    by their names a part of giving up, or without a type that can hold an error."""

    def released(k: int) -> bool:
        name = seen.name(children[k])
        return unwinding.gives_back(name) and not unwinding.decides_nothing(name)

    for i in reversed(range(len(same))):
        name = seen.name(children[same[i]])
        weak = unwinding.may_give_up(name) or (not seen.typed(children[same[i]]) and _may_be_left(name))
        between = range(same[i - 1] + 1, same[i]) if i else ()
        worked = any(kinds[k] is Kind.FINE and unwinding.does_work(seen.name(children[k])) for k in between)
        # What was given back before it, and nothing after it, shows that the caller gave up before it.
        weak = weak or (any(map(released, between)) and not any(map(released, range(same[-1] + 1, len(children)))))
        if not weak or not i or worked:
            return same[i]
        if seen.name(children[same[i - 1]]) == name:
            return same[i]
    return same[-1]


def _may_be_left(name: str) -> bool:
    return ".isra" in name or unwinding.tells(name)


def _just_before(seen: Outcomes, children: Sequence[int], kinds: Sequence[Kind], same: Sequence[int], last: int) -> int:
    """Another callee that returned the same error, after which nothing shows that its caller went on; -1 if none."""
    name = seen.name(children[last])
    for earlier in reversed([i for i in same if i < last]):
        between = range(earlier + 1, last)
        # Also if it returned 0, which may be NULL: who gives up does not begin it.
        if any(kinds[k] in (Kind.FINE, Kind.NULL) and unwinding.does_work(seen.name(children[k])) for k in between):
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


def _only_reports(trace: Trace, seen: Outcomes, row: int) -> bool:
    """Whether the callee did nothing but report: then it was given the error, and gave it back."""
    names = [seen.name(child) for child in children_of(trace, row)]
    return any(map(unwinding.reports, names)) and all(map(unwinding.decides_nothing, names))


def _changed(seen: Outcomes, children: Sequence[int], kinds: Sequence[Kind], error: int) -> _Step:
    """No callee returned this error: did the last thing that failed become it?"""
    unknown_after: list[int] = []
    passed, zero, asked = "", -1, -1
    for i in range(len(children) - 1, -1, -1):
        child, kind = children[i], kinds[i]
        name = seen.plain(child)
        if kind is Kind.IDLE or unwinding.gives_back(name):
            continue
        if kind is Kind.UNKNOWN:
            unknown_after.append(child)
            continue
        if unknown_after:
            break
        if kind is Kind.NULL and -error != ENOMEM and _went_on_after(seen, children, kinds, i):
            asked = child if not passed else asked
            passed = passed or name  # it returned NULL twice: the caller went on after the first
            continue
        # A refusal comes of false; another error if true would have said that all is well.
        disapproved = seen.typed(child) and unwinding.approves(name) and not passed
        denied = kind is Kind.FALSE and (-error in (EPERM, EACCES) or disapproved)
        if kind is Kind.FINE and not seen.typed(child) and _may_be_zero(seen, child, error):
            zero = child if zero < 0 else zero
        if kind in (Kind.FINE, Kind.FALSE) and not denied and not unwinding.does_work(name):
            # By its name it may be a part of giving up; that is no proof.
            asked = child if kind is Kind.FALSE and not passed and not unwinding.permits(name) else asked
            passed = passed or name
            continue
        doubts = (f"{passed} ran after {name} had failed, and succeeded",) if passed else ()
        if kind is Kind.OTHER:
            # The module loader is known to make one error of another; else its caller may have ignored this one.
            above = int(seen.trace.calls.parent[child])
            known_to = plain_name(seen.name(above)) in LOADER_FUNCTIONS
            evidence = "it failed last, and its caller gave up"
            return _Step(child, evidence, sure=known_to and not passed, doubts=doubts, candidates=(above,))
        if kind is Kind.NULL and (-error == ENOMEM or unwinding.allocates(name) or seen.typed(child)):
            weak = -error != ENOMEM
            evidence = "it returned NULL, and its caller gave up right after"
            return _Step(
                child, evidence, sure=not (weak or passed), doubts=doubts, candidates=_above(seen, child, passed)
            )
        searched = kind is Kind.FINE and -error in NOT_FOUND and not seen.typed(child) and not seen.raw(child)
        if searched and unwinding.looks_for(name):
            doubt = (*doubts, f"{name} returned 0, which may be NULL or false")
            evidence = "it found nothing, and its caller gave up right after"
            return _Step(child, evidence, sure=False, doubts=doubt, candidates=_above(seen, child, "x"))
        if searched and name in map(seen.plain, children[:i]):
            passed = passed or name  # what was switched on before is switched off
            continue
        if denied:
            evidence = "it returned false, and its caller gave up right after"
            return _Step(child, evidence, sure=False, candidates=_above(seen, child, "x"))
        break
    first, candidates = tuple(unknown_after[:1]), tuple(unknown_after[1:2])
    if zero >= 0 and not first and -error in _OF_NOTHING:
        return _of_zero(seen, zero, error)
    if asked >= 0 and not first:
        doubt = (f"{seen.plain(asked)} returned {seen.value_text(asked)} last, which may be the cause",)
        return _Step(sure=False, doubts=doubt, candidates=(asked,))
    return _Step(first=first, candidates=candidates)


def _went_on_after(seen: Outcomes, children: Sequence[int], kinds: Sequence[Kind], i: int) -> bool:
    """Whether the caller got the same of this function more than once: it went on after the first."""
    name = seen.name(children[i])
    return sum(kinds[j] is kinds[i] and seen.name(children[j]) == name for j in range(len(children))) > 1


def _of_zero(seen: Outcomes, zero: int, error: int) -> _Step:
    """A callee of a type that is not known returned 0: success, or NULL or false."""
    name = seen.plain(zero)
    if seen.raw(zero) and seen.is_narrow(zero):
        evidence = "its lowest byte is 0, perhaps false, and its caller gave up"
        return _Step(zero, evidence, sure=False, candidates=_above(seen, zero, "x"))
    doubt = (f"{name} returned 0, which may be NULL or false",)
    if -error == ENOMEM and not unwinding.gives_back(name):
        evidence = "it returned 0, perhaps NULL, and its caller gave up"
        return _Step(zero, evidence, sure=False, doubts=doubt, candidates=_above(seen, zero, "x"))
    return _Step(sure=False, doubts=doubt, candidates=(zero,))


def _may_be_zero(seen: Outcomes, row: int, error: int) -> bool:
    """Whether the caller may have read NULL or, where it was refused, false."""
    return not seen.raw(row) or (-error in (EPERM, EACCES) and seen.may_be_false(row))


def _above(seen: Outcomes, child: int, passed: str) -> tuple[int, ...]:
    """Where a link is not sure, its caller is a candidate."""
    return (int(seen.trace.calls.parent[child]),) if passed else ()


def _failed_last(seen: Outcomes, children: Sequence[int]) -> int:
    """The last of these callees that counts, if it returned an error; -1 if it did not."""
    for child in reversed(children):
        kind = seen.kind(child, 0)
        if kind is Kind.IDLE or unwinding.follows_failure(seen.name(child)):
            continue
        # Without a type -1 is any number.
        return child if kind is Kind.OTHER and (seen.typed(child) or seen.errors[child] != -1) else -1
    return -1


def _same_value(trace: Trace, seen: Outcomes, row: int) -> int:
    """The last callee that could fail, if it returned NULL (or false), or the number of an error, as ``row`` did."""
    number = seen.raw(row)
    for child in reversed(children_of(trace, row)):
        name = seen.name(child)
        kind = seen.kind(child, 0)
        if kind is Kind.IDLE or unwinding.gives_back(name):
            continue
        if number:
            return child if kind is Kind.FINE and seen.raw(child) == number else -1
        return child if kind is Kind.NULL else -1
    return -1
