"""The answer of ``kfgraph why`` in words: a line or two, the way of the error, where it may have begun."""

from __future__ import annotations

from itertools import groupby

from kfgraph.analyze.why import ANOTHER_TASK, Birth, Origin, Step, Why
from kfgraph.model.units import plural

_MOST_CALLED = 4


def summary(answer: Why) -> list[str]:
    """The answer in one or two lines, as ``kfgraph trace`` prints it."""
    if not answer.has_failed:
        return [_swallowed_line(answer)] if answer.swallowed else []
    if not answer.error:
        return [answer.reason]
    head = f"{answer.subject} = {answer.name_of(answer.error)}"
    born = answer.birth
    if born is None:
        perhaps = may_have_begun_in(answer)
        return [f"{head}, where it was born is not known: {answer.reason}", *([perhaps] if perhaps else [])]
    began = _began(answer, born, answer.error, first=len(answer.chain) == 1)
    if ANOTHER_TASK in answer.reason:
        began = f"{began.removesuffix(', as it seems')}, or it came from another task"
    return [f"{head}, {began}{_count(answer)}", " → ".join(path_of(answer))]


def _began(answer: Why, born: Birth | Origin, error: int, *, first: bool) -> str:
    """Where ``error`` was born, in words; ``first``: by the call itself that is told to have returned it."""
    if born.step.error == error or not born.step.error:
        how = "first returned by" if born.exact else "from"
    else:
        began = answer.name_of(born.step.error)
        how = f"began as {began} of" if born.exact else f"from {began} of"
    if not born.step.error and not first:
        how = f"began with {born.step.value} from"
    told = "" if born.exact else " or from below it"
    if not born.sure and born.exact:
        told += ", as it seems"
    return f"{how} {label_of(born.step)}{told}"


def not_passed_on(answer: Why, at: int) -> str:
    """One of the calls whose callers went on, what it returned, and where that began."""
    step, born = answer.swallowed[at], answer.origins[at]
    said = f"{label_of(step)} returned {answer.name_of(step.error)}"
    return said if born.step.row == step.row else f"{said} ({_began(answer, born, step.error, first=False)})"


def path_of(answer: Why) -> list[str]:
    """The functions on the way of the error that say most: from the module's first on, or the last few."""
    names = [step.function for step in answer.chain]
    first = next((i for i, step in enumerate(answer.chain) if step.module), None)
    if first is None:
        return names if len(names) <= 5 else [names[0], "…", *names[-4:]]
    return names[first:]


def may_have_begun_in(answer: Why) -> str:
    """Where the error may have begun, beside the call that is named; "" where nothing tells, or there is no doubt."""
    born = answer.birth
    names = [label_of(one) for one in answer.candidates if born is None or one.row != born.step.row]
    if not names or (born is not None and born.sure):
        return ""
    also = "perhaps it began in (inferred, the likeliest first)" if born is None else "may also have begun in"
    return f"{also}: {', '.join(names)}"


def label_of(step: Step) -> str:
    """A function with its module."""
    return f"{step.function} [{step.module}]" if step.module else step.function


def earlier_calls(answer: Why) -> str:
    """What the calls of the birthplace's function before it returned, the last few, errors by name: ``66, 67`` or
    ``-EIO × 3``; "" where there were none, or no value was recorded."""
    born = answer.birth
    if born is None:
        return ""
    # -1 is often no error: a name only beside another -EPERM.
    plain = "-1" if born.step.error != -1 else ""
    named = [answer.name_of(int(text)) if text[:1] == "-" and text != plain else text for text in born.earlier]
    runs = [list(run) for _, run in groupby(named)]
    return ", ".join(f"{run[0]} × {len(run)}" if len(run) > 1 and run[0][:1] == "-" else ", ".join(run) for run in runs)


def calls_before(answer: Why) -> str:
    """``2 calls of it before returned 66, 67``: of the birthplace's function; "" where there were none."""
    born = answer.birth
    if born is None or not born.n_earlier:
        return ""
    said = f"{plural(born.n_earlier, 'call')} of it before"
    more = "… " if born.n_earlier > len(born.earlier) else ""
    return f"{said} returned {more}{earlier}" if (earlier := earlier_calls(answer)) else said


def may_have_called(answer: Why) -> str:
    """What the birthplace calls that cannot be traced, as a sentence; "" where nothing is known of that."""
    born = answer.birth
    if born is None or not born.untraced:
        return ""
    names = born.untraced
    more = f" and {len(names) - _MOST_CALLED:,} more" if len(names) > _MOST_CALLED else ""
    called = f"{', '.join(names[:_MOST_CALLED])}{more}"
    return f"not traceable, but called by {born.step.function}: {called} (the error may come from there)"


def _count(answer: Why) -> str:
    born = answer.birth
    if born is None or born.nth == 1:
        return ""
    ordinal = f"{born.nth:,}{_suffix(born.nth)}"
    earlier = earlier_calls(answer)
    return f", its {ordinal} call" + (f" (before it: {earlier})" if earlier else "")


def _suffix(n: int) -> str:
    if n % 100 in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")


def _swallowed_line(answer: Why) -> str:
    more = len(answer.swallowed) - 1
    also = f", and {plural(more, 'more call')}" if more else ""
    return f"no system call failed, but {not_passed_on(answer, 0)}{also}: nobody passed it on"
