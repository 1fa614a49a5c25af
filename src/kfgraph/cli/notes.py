"""What is said about a result, on stderr behind it: one line at most. ``kfgraph info`` explains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from kfgraph.cli.messages import write_lines
from kfgraph.errors import InputError, NoMatchError, Notice

if TYPE_CHECKING:
    from kfgraph.analyze.filters import Filters
    from kfgraph.model.trace import Trace


def conclude(
    trace: Trace, about: Iterable[Notice], problems: Callable[[], Sequence[Notice]], *, strict: bool = False
) -> None:
    """What is told of a result; under ``strict`` the problems of the whole trace count, shown or not.

    Raises:
        InputError: ``strict``, and there are problems in the data.
    """
    tell(about, () if strict else problems(), trace.meta.as_typed)
    if strict:
        refuse_problems(trace)


def tell(about: Iterable[Notice], problems: Sequence[Notice] = (), typed: str = "") -> None:
    """One line: ``about`` what was left out or had no effect, whole; the ``problems`` in what is shown, in short, and
    how the trace, ``typed`` like this, explains them."""
    said = [f"{notice.sentence}{_hint(notice)}" for notice in about]
    said += _in_short(problems, typed)
    if said:
        write_lines([f"kfgraph: {'; '.join(said)}"])


def damage_in(trace: Trace, filters: Filters) -> list[Notice]:
    """What is damaged in the calls that pass ``filters``: records that are missing, not what single calls lack."""
    if all(notice.flag for notice in trace.notices):
        return []
    from kfgraph.analyze.notice_counts import problems_in
    from kfgraph.analyze.select import select

    try:
        found = problems_in(select(trace, **filters))
    except NoMatchError:  # there are events, and no call
        found = trace.notices
    return [notice for notice in found if not notice.flag]


def _in_short(problems: Sequence[Notice], typed: str) -> list[str]:
    """Nearly every trace has some calls with a flag: those by their codes. Of the others the first as a sentence."""
    rare = [notice for notice in problems if not notice.flag]
    first, rest = rare[:1], [*rare[1:], *(notice for notice in problems if notice.flag)]
    said = [f"{notice.sentence}{_hint(notice)}" for notice in first]
    if rest:
        codes = ", ".join(f"{notice.n:,} {notice.code}" for notice in rest)
        said.append(f"{'also' if first else 'in what is shown:'} {codes} (kfgraph info {typed} explains)")
    return said


def _hint(notice: Notice) -> str:
    return f" ({notice.hint})" if notice.hint else ""


def refuse_problems(trace: Trace) -> None:
    """For ``--strict``: what stands in the whole trace counts, shown or not.

    Raises:
        InputError: there are problems in the data.
    """
    if trace.notices:
        said = "; ".join(notice.sentence for notice in trace.notices)
        hint = "; ".join(dict.fromkeys(notice.hint for notice in trace.notices if notice.hint))
        raise InputError(f"{trace.meta.path}: {said} (--strict)", hint)
