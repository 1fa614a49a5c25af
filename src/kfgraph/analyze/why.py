"""Why did it fail? One answer for a trace: which failure, where it was born, and what that rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from kfgraph.analyze.blame import Blame, blame
from kfgraph.analyze.callsites import CallSite, CallSites
from kfgraph.analyze.endings import knows_end
from kfgraph.analyze.failing_roots import (
    few_values,
    is_passed_on,
    last_failing_of_few,
    last_failing_root,
    outermost_failing,
)
from kfgraph.analyze.failure import Failed, deciding, failed_calls
from kfgraph.analyze.filters import OF_WHY, Filters, completed
from kfgraph.analyze.other_tasks import elsewhere, waited_for
from kfgraph.analyze.outcomes import Outcomes, children_of
from kfgraph.analyze.select import lanes_of, select
from kfgraph.analyze.suggestions import name_functions, record_again, record_all_tasks, record_values
from kfgraph.analyze.swallowed import led_into_swallowed, swallowed
from kfgraph.analyze.syscalls import SystemCall
from kfgraph.analyze.sysexits import records_results
from kfgraph.errors import NoMatchError
from kfgraph.kernel.benign import meaning
from kfgraph.kernel.errnos import errno_name
from kfgraph.kernel.sourcelines import SourceLine
from kfgraph.kernel.unwinding import decides_nothing
from kfgraph.model.arrays import distinct
from kfgraph.model.names import listed
from kfgraph.model.spelling import plain_name
from kfgraph.model.trace import Trace

if TYPE_CHECKING:
    from typing_extensions import Unpack

MAX_EARLIER = 4
"""So many earlier return values of the same function are shown."""
MAX_SWALLOWED = 8
SECCOMP_FILTER = "__seccomp_filter"
_LOADS = ("finit_module", "init_module")
ANOTHER_TASK = "the error may come from another task"
"""Stands in the reason where that is so."""
_FEW = "no probed function returned an error, and no result of a system call was recorded"
_END_UNKNOWN = "how the command ended was not recorded: it may have gone on without this call"


@dataclass(frozen=True)
class Step:
    """One call on the way of the error, outermost first. ``value`` words what it returned."""

    function: str
    symbol: str
    module: str
    row: int
    error: int
    value: str
    evidence: str


@dataclass(frozen=True)
class Birth:
    """Where the error was born. ``nth`` counts the calls of this function in its task, from 1; ``earlier`` words what
    the ones before it returned, the last few. ``exact`` is False where the error came from this function or from
    below it: nothing deeper was recorded. ``sure``: recorded values carry every link."""

    step: Step
    nth: int
    earlier: tuple[str, ...]
    n_earlier: int
    exact: bool
    sure: bool
    arguments: str = ""
    untraced: tuple[str, ...] = ()
    """Functions of the kernel that it calls, that can fail, and that the kernel cannot trace: told for a module's."""


@dataclass(frozen=True)
class Origin:
    """Where an error that nobody passed on was born; ``exact`` and ``sure`` as of :class:`Birth`."""

    step: Step
    exact: bool
    sure: bool


@dataclass(frozen=True)
class Why:
    """The answer. ``failure`` is the system call (None: it was a function, ``function``), ``error`` what it returned.

    ``outcome`` is ``cause`` (``birth`` is known), ``unknown`` (something failed, ``reason`` says why its birthplace
    is not known), ``nothing`` or ``unrecorded`` (nothing in the trace tells whether anything failed). ``swallowed``
    are calls of module functions that failed and whose callers went on, ``origins`` where each began. ``never_ran`` are
    functions of the command's modules that did not run. ``next`` is what to type. ``sources``: (symbol, module) ->
    where it is defined, if known; ``sites``: where calls stand in their callers.
    """

    trace: Trace
    outcome: str
    failure: SystemCall | None = None
    function: str = ""
    error: int = 0
    row: int = -1
    birth: Birth | None = None
    chain: tuple[Step, ...] = ()
    candidates: tuple[Step, ...] = ()
    doubts: tuple[str, ...] = ()
    reason: str = ""
    next: str = ""
    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()
    swallowed: tuple[Step, ...] = ()
    origins: tuple[Origin, ...] = ()
    never_ran: tuple[tuple[str, tuple[str, ...], int], ...] = ()
    failed: tuple[Failed, ...] = field(default=(), repr=False)
    sources: Mapping[tuple[str, str], SourceLine] = field(default_factory=dict, repr=False)
    sites: CallSites | None = field(default=None, repr=False)

    @property
    def has_failed(self) -> bool:
        """Whether something is known to have failed."""
        return self.outcome in ("cause", "unknown")

    @property
    def exit_code(self) -> int:
        """0 a cause was found, 6 no failure is known, 4 something failed and its birthplace is not known."""
        return {"cause": 0, "nothing": 6, "unrecorded": 6}.get(self.outcome, 4)

    def name_of(self, error: int) -> str:
        """``-ENODEV``; the number where the error has no name."""
        name = errno_name(-error, arch=self.trace.meta.arch)
        return f"-{name}" if name else str(error)

    @property
    def subject(self) -> str:
        """What failed, as a person writes it: ``finit_module("foo.ko")``, or a function's name."""
        if self.failure is None:
            return self.function
        if self.failure.path is None and self.failure.name in _LOADS:
            files = [PurePosixPath(m.path).name for m in (self.trace.companion.modules if self.trace.companion else ())]
            if len(files) == 1:
                return f'{self.failure.name}("{files[0]}")'
        return self.failure.shown

    @property
    def meaning(self) -> str:
        """What the error means for this system call, "" where nothing special is known."""
        if self.failure is None or not errno_name(-self.error, arch=self.trace.meta.arch):
            return ""
        # What a load's error means is the loader's: an error of the module's own init is any.
        if self.failure.name in _LOADS and any(step.function == "do_one_initcall" for step in self.chain):
            return ""
        return meaning(self.failure.name, self.error)

    def to_dict(self) -> dict[str, Any]:
        """The object that ``kfgraph why --json`` prints."""
        failure: dict[str, Any] | None = None
        if self.has_failed:
            failure = {
                "system_call": None if self.failure is None else self.failure.name,
                "function": self.function or None,
                "path": None if self.failure is None else self.failure.path,
                "arguments": None if self.failure is None else self.failure.arguments or None,
                "error": self.error,
                "name": errno_name(-self.error, arch=self.trace.meta.arch) or None,
                "row": self.row if self.row >= 0 else None,
            }
        born = self.birth
        return {
            "outcome": self.outcome,
            "failure": failure,
            "birth": None if born is None else {
                **self._step(born.step), "nth": born.nth, "exact": born.exact, "sure": born.sure,
                "earlier": list(born.earlier), "arguments": born.arguments or None, "untraced": list(born.untraced),
            },
            "chain": [{**self._step(step), "evidence": step.evidence} for step in self.chain],
            "candidates": [self._step(step) for step in self.candidates],
            "reason": self.reason or "; ".join(self.doubts),
            "next": self.next,
            "swallowed": [
                {**self._step(step), "birth": {**self._step(o.step), "exact": o.exact, "sure": o.sure}}
                for step, o in zip(self.swallowed, self.origins, strict=True)
            ],
            "never_ran": [{"module": m, "functions": list(names), "n_ran": n} for m, names, n in self.never_ran],
        }  # fmt: skip

    def source_of(self, step: Step) -> SourceLine | None:
        """Where its function is defined, None where that is not known."""
        return self.sources.get((step.symbol, step.module))

    def call_site_of(self, step: Step) -> CallSite | None:
        """Where its caller called it, None where no return address was recorded."""
        return (self.sites or CallSites(self.trace)).of(step.row)

    def _step(self, step: Step) -> dict[str, Any]:
        source, site = self.source_of(step), self.call_site_of(step)
        return {
            "function": step.function, "symbol": step.symbol, "module": step.module, "row": step.row,
            "value": step.value, "error": errno_name(-step.error, arch=self.trace.meta.arch) or None,
            "source": None if source is None else source.to_dict(),
            **({"call_site": site and site.to_dict()} if CallSites.recorded(self.trace.calls) else {}),
        }  # fmt: skip


def why(trace: Trace, *, error: int = 0, **filters: Unpack[Filters]) -> Why:
    """Why the command of ``trace`` failed; with ``root`` or ``error``, why that function failed, or this error came.

    Args:
        error: the errno (positive): the last call that returned it, outermost.
        filters: as for :func:`kfgraph.analyze.select.select`, of those there are ``root``, one or several names or
            globs: the first of their calls that returned an error; ``task``, ``pid`` and ``all_tasks``.

    Raises:
        NoMatchError: no call of ``root``, none that returned ``error``, or no such task.
    """
    given = completed(filters, OF_WHY)
    seen = Outcomes(trace)
    if given["root"] or error:
        return _of_function(trace, seen, error, filters)
    lanes = None
    if given["task"] or given["pid"]:
        lanes = lanes_of(trace, given)
    elif given["all_tasks"]:
        lanes = list(range(len(trace.tasks)))
    failed = failed_calls(trace, lanes)
    found = deciding(failed)
    if found is not None:
        return _of_call(trace, seen, found, failed)
    own = lanes_of(trace, {**given, "all_tasks": False})
    row = last_failing_root(trace, seen, own)
    if row >= 0:
        return _explained(trace, seen, row, int(seen.errors[row]), failed=failed)
    few = few_values(trace)
    row = last_failing_of_few(trace, seen, own) if few else -1
    if row >= 0:
        return _of_few(trace, seen, row)
    status = trace.companion.exit_status if trace.companion is not None else None
    ignored, origins = _swallowed(trace, seen)
    never = _never_ran(trace)
    if status:
        none = "no system call that was recorded with its result failed"
        if failed:
            none = "none of its failed system calls decided that (kfgraph why --all lists them)"
        return Why(
            trace, "unknown", reason=f"the command ended with status {status}, and {none}",
            next=record_again(trace), swallowed=ignored, origins=origins, never_ran=never, failed=tuple(failed),
        )  # fmt: skip
    if status is None and (trace.calls.retval is None or few) and not records_results(trace):
        reason = _FEW if few else "no return value and no result of a system call was recorded"
        return Why(trace, "unrecorded", reason=reason, next=record_again(trace), never_ran=never)
    return Why(trace, "nothing", swallowed=ignored, origins=origins, never_ran=never, failed=tuple(failed))


def _of_call(trace: Trace, seen: Outcomes, found: Failed, failed: Sequence[Failed]) -> Why:
    call, evidence = found.call, found.call.evidence if found.call.row >= 0 else ""
    row = call.row if call.row >= 0 else outermost_failing(trace, seen, call.lane, call.error)
    if row < 0:
        answer = _without_handler(trace, seen, call, failed)
    else:
        answer = _explained(trace, seen, row, call.error, failure=call, failed=failed, evidence=evidence)
    doubt = found.doubt or ("" if knows_end(trace, call.lane) else _END_UNKNOWN)
    born = answer.birth and replace(answer.birth, sure=answer.birth.sure and not doubt)
    return replace(answer, birth=born, doubts=(doubt, *answer.doubts)) if doubt else answer


def _of_few(trace: Trace, seen: Outcomes, row: int) -> Why:
    """Of the call that failed last of those that were probed: whether its callers failed, too, no value tells."""
    answer = _explained(trace, seen, row, int(seen.errors[row]))
    if not answer.next and not all(trace.symbols.resolved[trace.calls.func[step.row]] for step in answer.chain):
        answer = replace(answer, next=name_functions(trace))
    if is_passed_on(trace, seen, row):
        return answer
    doubt = f"what the callers of {plain_name(seen.name(row))} returned was not recorded: they may have gone on"
    return replace(answer, birth=answer.birth and replace(answer.birth, sure=False), doubts=(doubt, *answer.doubts))


def _of_function(trace: Trace, seen: Outcomes, error: int, filters: Filters) -> Why:
    root = listed(filters.get("root", ()))
    chosen = select(trace, **filters)
    rows = chosen.roots if root else np.flatnonzero(chosen.keep).astype(np.int32)
    errors = seen.errors[rows]
    failing = rows[(errors == -error) if error else errors != 0]
    if not len(failing):
        what = f"no call of {', '.join(root)}" if root else "no call"
        told = f" returned {errno_name(error) or error}" if error else " returned an error"
        known = trace.calls.retval is not None
        raise NoMatchError(what + told, "" if known else "the trace holds no return values: record with --returns FUNC")
    if not root:
        # The outermost of the last one: where it ended up.
        row = int(failing[-1])
        parent = int(trace.calls.parent[row])
        while parent >= 0 and int(seen.errors[parent]) == -error:
            row, parent = parent, int(trace.calls.parent[parent])
        return _explained(trace, seen, row, -error)
    return _explained(trace, seen, int(failing[0]), int(seen.errors[failing[0]]))


def _without_handler(trace: Trace, seen: Outcomes, call: SystemCall, failed: Sequence[Failed]) -> Why:
    """A call that failed though nothing ran for it: a seccomp filter may have refused it."""
    calls = trace.calls
    begin, end = calls.bounds_of(call.lane)
    codes = trace.symbols.codes_where(plain_name(name) == SECCOMP_FILTER for name in trace.symbols.names)
    filters = np.flatnonzero(np.isin(calls.func[begin:end], codes)) + begin
    refused = [row for row in filters.tolist() if seen.known(row) and seen.raw(row) & 0xFFFFFFFF == 0xFFFFFFFF]
    if refused:
        # It returns -1 where the system call is not to be run (kernel/seccomp.c).
        evidence = "a seccomp filter refused the call"
        return _explained(trace, seen, refused[-1], call.error, failure=call, failed=failed, evidence=evidence)
    reason = f"{call.shown} failed, and what the kernel ran for it was not recorded"
    if len(filters):
        reason += "; a seccomp filter ran, which may have refused it"
    return _unknown(trace, call, reason, failed)


def _unknown(trace: Trace, call: SystemCall, reason: str, failed: Sequence[Failed]) -> Why:
    return Why(
        trace, "unknown", failure=call, error=call.error, row=call.row, reason=reason, next=record_again(trace),
        failed=tuple(failed),
    )  # fmt: skip


def _explained(
    trace: Trace, seen: Outcomes, row: int, error: int, *, failure: SystemCall | None = None,
    failed: Sequence[Failed] = (), evidence: str = "",
) -> Why:  # fmt: skip
    found, elsewhere_ran = _joined(trace, seen, blame(trace, row, error, seen, evidence=evidence))
    found = found if elsewhere_ran else led_into_swallowed(trace, seen, found)
    chain = tuple(_step_of(trace, seen, link.row, link.error, link.value, link.evidence) for link in found.chain)
    candidates = tuple(_step_of(trace, seen, r, int(seen.errors[r]), seen.value_text(r), "") for r in found.candidates)
    born = found.chain[-1].row
    nowhere = len(chain) == 1 and not found.exact and (failure is not None or not seen.known(born))
    reason, following = _what_is_missing(trace, seen, found, nowhere, elsewhere_ran)
    before, after = _around(trace, seen, found)
    found = replace(found, sure=found.sure and ANOTHER_TASK not in reason)
    return Why(
        trace,
        "unknown" if nowhere else "cause",
        failure=failure,
        function="" if failure is not None else trace.symbols.labels[int(trace.calls.func[row])],
        error=error,
        row=row,
        birth=None if nowhere else _birth(trace, seen, chain[-1], found),
        chain=chain,
        candidates=candidates,
        doubts=found.doubts,
        reason=reason,
        next=following,
        before=before,
        after=after,
        swallowed=(),
        # What did not run in these tasks may have run in the other.
        never_ran=_never_ran(trace) if ANOTHER_TASK in reason else (),
        failed=tuple(failed),
    )


def _joined(trace: Trace, seen: Outcomes, found: Blame) -> tuple[Blame, tuple[int, ...]]:
    """``found``, led on into the task or the interrupt that made the error, and the calls that ran there for the
    birthplace."""
    last = found.chain[-1]
    other = elsewhere(trace, last.row, last.error, seen) if last.error else None
    if other is None or not other.links:
        return found, other.ran if other is not None else ()
    candidates = tuple(dict.fromkeys([other.links[-1].row, last.row, *found.candidates]))[:3]
    doubts = (*found.doubts, other.doubt) if other.doubt else found.doubts
    return replace(
        found, chain=(*found.chain, *other.links), exact=other.exact, sure=found.sure and other.carried,
        doubts=doubts, candidates=candidates,
    ), ()  # fmt: skip


def _step_of(trace: Trace, seen: Outcomes, row: int, error: int, value: str, evidence: str) -> Step:
    code = int(trace.calls.func[row])
    symbol = trace.symbols.names[code] or "?"
    return Step(plain_name(symbol), symbol, trace.symbols.modules[code], row, error, value, evidence)


def _birth(trace: Trace, seen: Outcomes, step: Step, found: Blame) -> Birth:
    calls = trace.calls
    lane = calls.lane[step.row]
    begin = int(np.searchsorted(calls.lane, lane))
    earlier = np.flatnonzero(calls.func[begin : step.row] == calls.func[step.row]) + begin
    if not calls.func[step.row]:
        earlier = earlier[:0]  # those without a name are many functions
    said = tuple(filter(None, (seen.value_text(int(r)) for r in earlier[-MAX_EARLIER:] if seen.known(int(r)))))
    text = "" if calls.args is None else calls.args.text(step.row) or ""
    sure = found.sure and found.exact
    return Birth(step, len(earlier) + 1, said, len(earlier), found.exact, sure, text, _untraced(trace, step))


def _untraced(trace: Trace, step: Step) -> tuple[str, ...]:
    """The functions that the birthplace may have called without a trace, if it is one of a module."""
    modules = trace.companion.modules if trace.companion is not None and step.error else ()
    own = (f for m in modules if m.name == step.module for f in m.functions)
    return next((f.untraced for f in own if f.name == step.symbol), ())


def _around(trace: Trace, seen: Outcomes, found: Blame) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """What ran beside the birthplace in its caller: (before it, but for itself; the clean-up after it), a few each."""
    if len(found.chain) < 2:
        return (), ()
    born, above = found.chain[-1].row, found.chain[-2].row
    siblings = [r for r in children_of(trace, above) if not decides_nothing(seen.name(r))]
    steps = {r: _step_of(trace, seen, r, int(seen.errors[r]), seen.value_text(r), "") for r in siblings}
    return (
        tuple(steps[r] for r in siblings if r < born and trace.calls.func[r] != trace.calls.func[born])[-4:],
        tuple(steps[r] for r in siblings if r > born)[:6],
    )


def _what_is_missing(
    trace: Trace, seen: Outcomes, found: Blame, nowhere: bool, ran: Sequence[int]
) -> tuple[str, str]:
    """(why the birthplace is not known exactly, what to type next); ``ran``: calls of others for the birthplace."""
    last = found.chain[-1]
    name = plain_name(seen.name(last.row)) or "?"
    if nowhere:
        return f"no return value was recorded below {name}", record_values(trace)
    children = children_of(trace, last.row)
    waited = f"{begin}: {ANOTHER_TASK}" if (begin := waited_for(trace, seen, last.row, last.error)) else ""
    if not found.exact:
        reason = f"the error came from {name} or from below it: nothing deeper was recorded"
        return f"{reason}; {waited}" if waited else reason, record_values(trace)
    if waited and not any(seen.kind(r, last.error).value == "the same error" for r in children):
        reason = waited
        if not ran:
            return reason, record_all_tasks(trace)
        who = f"{plain_name(seen.name(ran[0]))} ran for it in {trace.tasks[int(trace.calls.lane[ran[0]])].label}"
        return f"{reason}; {who}, and returned no such error", ""
    return "", ""


def _swallowed(trace: Trace, seen: Outcomes) -> tuple[tuple[Step, ...], tuple[Origin, ...]]:
    """The last failing calls of module functions whose callers went on, and where their errors began."""
    steps, origins = [], []
    for row in swallowed(trace, seen)[-MAX_SWALLOWED:]:
        found = blame(trace, row, int(seen.errors[row]), seen)
        last = found.chain[-1]
        steps.append(_step_of(trace, seen, row, int(seen.errors[row]), seen.value_text(row), ""))
        origins.append(Origin(_step_of(trace, seen, last.row, last.error, last.value, ""), found.exact, found.sure))
    return tuple(steps), tuple(origins)


def _never_ran(trace: Trace) -> tuple[tuple[str, tuple[str, ...], int], ...]:
    """(module, its functions that did not run, how many ran) of the modules that the command loaded."""
    if trace.companion is None:
        return ()
    ran = {
        (trace.symbols.modules[code], plain_name(trace.symbols.names[code]))
        for code in distinct(trace.calls.func).tolist()
        if trace.symbols.modules[code]
    }
    found = []
    for module in trace.companion.modules:
        names = list(dict.fromkeys(plain_name(f.name) for f in module.functions))
        names = [n for n in names if n not in ("init_module", "cleanup_module")]
        missing = tuple(n for n in names if (module.name, n) not in ran)
        if missing and len(missing) < len(names):
            found.append((module.name, missing, len(names) - len(missing)))
    return tuple(found)
