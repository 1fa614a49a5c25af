"""A command that is run again, with return probes where an answer lacks values: never unasked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from kfgraph.analyze.next_probes import functions_to_probe
from kfgraph.analyze.syscalls import SYSTEM_CALL_RESULT
from kfgraph.analyze.why import Why
from kfgraph.cli.messages import say
from kfgraph.model.spelling import shell_line, spelt_out
from kfgraph.model.units import plural

MOST_RUNS = 3
"""With the first."""


def until_known(
    answer: Why, *, command: Sequence[str], wanted: bool, run: Callable[[Sequence[str]], Why]
) -> Why:
    """``answer``, or that of another run, in which ``run`` recorded the return values of the functions it is given.

    ``wanted``: the user asked for it beforehand (``--again``). Else a user at a terminal is asked; nobody else is.
    """
    probed: list[str] = []
    for n in range(2, MOST_RUNS + 1):
        functions = list(functions_to_probe(answer, without=probed))
        if not functions:
            return answer
        if not (wanted or _agreed(command, len(functions))):
            return answer
        wanted = True
        probed += functions
        say(f"run {n} of at most {MOST_RUNS}, with return probes on {plural(len(functions), 'more function')}")
        found = run(_with_the_chain(answer, functions))
        if not found.has_failed:
            say("the command did not fail again: the answer is of the run before")
            return answer
        answer = found
    return answer


def _with_the_chain(answer: Why, functions: list[str]) -> list[str]:
    """The functions to probe, the links that are known before them: without these the new values hang in the air.

    A link counts whatever joins it to its caller, if its value came from a probe."""
    probed = [step for step in answer.chain if step.value != "?" and step.evidence != SYSTEM_CALL_RESULT]
    known = [step.symbol for step in probed if not step.module]
    return list(dict.fromkeys([*known, *functions]))


def _agreed(command: Sequence[str], n: int) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    sys.stderr.write(
        f"kfgraph: where it was born is not known. Run {spelt_out(shell_line(command))} again, with return probes "
        f"on {plural(n, 'function')} of the failing path? [y/N] "
    )
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
