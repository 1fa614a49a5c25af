"""What a page opens with: what was run, how it ended, why, and what is missing. Markup that needs no script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.forest import Int32
from kfgraph.analyze.limited import Limited
from kfgraph.analyze.top import Top
from kfgraph.analyze.why import Step, Why
from kfgraph.analyze.whywords import calls_before, label_of, may_have_begun_in, may_have_called, not_passed_on
from kfgraph.errors import Notice
from kfgraph.kernel.errnos import errno_name
from kfgraph.model.spelling import shell_line
from kfgraph.model.trace import Trace
from kfgraph.model.units import format_count, format_ns, format_share, plural
from kfgraph.render.estimates import ESTIMATE, estimate_lines
from kfgraph.render.html.markup import text
from kfgraph.render.why import in_words, never_ran, sentence

_WORTH = 0.005
"""A function with less of the time is not worth naming."""
_KINDS = 5
"""So many functions are named."""


def title_of(trace: Trace) -> str:
    """The command; of a trace that does not tell it, the file."""
    companion = trace.companion
    return shell_line(companion.argv) if companion is not None and companion.argv else trace.meta.path


def header(trace: Trace, top: Top, chosen: Sequence[str]) -> str:
    """What was run, how it ended, on what, and how much of it there is; how calls were ``chosen`` if not all are."""
    meta, companion = trace.meta, trace.companion
    ended = ""
    if companion is not None and companion.exit_status is not None:
        status = companion.exit_status
        how = ("bad", f"✗ ended with status {status}") if status else ("good", "✓ ended with status 0")
        ended = f'<span class="ended {how[0]}">{how[1]}</span>'
    facts = [meta.path if companion is not None and companion.argv else "", meta.kernel, meta.arch]
    facts += [meta.host and f"host {meta.host}"]
    facts += [f"{format_ns(meta.last_ns - meta.first_ns)} long" if 0 <= meta.first_ns <= meta.last_ns else ""]
    facts += [plural(top.n_calls, "call"), plural(top.n_names, "function")]
    part = f'<p class="part">Only a part of the trace: <code>{text(shell_line(chosen))}</code></p>' if chosen else ""
    return (
        f'<header class="head"><h1>{text(title_of(trace))}{ended}</h1>'
        '<button type="button" id="theme" title="Dark or light">◐ Theme</button>'
        f'<p class="facts">{text(" · ".join(filter(None, facts)))}</p>{part}</header>'
    )


def answer(found: Why, top: Top, node_of: Int32) -> str:
    """Why it failed; where nothing did, where the time went. ``node_of`` gives the nodes of rows."""
    said = "".join(_said(found, top, node_of))
    return f'<section class="answer {found.outcome}" aria-label="The answer">{said}</section>'


def _said(found: Why, top: Top, node_of: Int32) -> Iterator[str]:
    if not found.has_failed:
        yield from _time(found, top)
        return
    yield f"<h2><span aria-hidden=\"true\">✗ </span>{text(sentence(found))}</h2>"
    if found.error:
        yield f"<p>{text(found.name_of(found.error))}: {text(in_words(found))}</p>"
    for doubt in found.doubts:
        yield f'<p class="warn">not certain: {text(doubt)}</p>'
    if found.reason:
        yield f'<p class="warn">not known: {text(found.reason)}</p>'
    if found.chain:
        yield _way(found, node_of)
    for said in _around(found):
        yield f'<p class="aside">{text(said)}</p>'
    if found.next:
        yield f"<p>to know more: <code>{text(found.next)}</code></p>"


def _time(found: Why, top: Top) -> Iterator[str]:
    n = len(found.failed)
    usual = f": {plural(n, 'system call')} failed in a way that is usual" if n else ""
    told = "No failure was recorded" if not usual else "Nothing failed"
    yield f"<h2>{text(told + usual)}.</h2>"
    off = [f"{format_ns(ns)} {name.removesuffix('_ns')}" for name, ns in top.off_ns.items() if ns]
    mark = "" if top.selection.tracer is None else f"{ESTIMATE} "
    off += [f"{mark}{format_ns(top.waiting_ns)} waiting"] if top.waiting_ns else []
    where = " on the CPU" if top.off_ns else " at work" if off else ""
    took = ", ".join([f"{mark}{format_ns(top.self_ns)}{where} in these calls", *off])
    yield f"<p>{text(took)}. {_most(top)}</p>"
    for said in _around(found):
        yield f'<p class="aside">{text(said)}</p>'


def _most(top: Top) -> str:
    """Which functions took most of the time."""
    shares = [share for share in top.self_share[:3].tolist() if share >= _WORTH]
    if not shares:
        return f"No function has {format_share(_WORTH)} of it." if top.n_names else ""
    most = ", ".join(f"{name} {format_share(share)}" for name, share in zip(top.labels, shares, strict=False))
    return f"The largest self {'times' if len(shares) > 1 else 'time'}: {text(most)}."


def _way(found: Why, node_of: Int32) -> str:
    """The calls that the error came through, the outermost first: buttons that lead into the tree."""
    links = []
    for i, step in enumerate(found.chain):
        born = i == len(found.chain) - 1 and found.birth is not None
        node = int(node_of[step.row]) if 0 <= step.row < len(node_of) else -1
        name = text(label_of(step))
        at = f' data-node="{node}"' if node >= 0 else ' disabled title="this call is not in the page"'
        kind = ' class="born"' if born else ""
        links.append(f'<button type="button"{kind}{at}>{name}</button>{_returned(found, i, step, born=born)}')
    return f'<p class="way">{" → ".join(links)}</p>'


def _returned(found: Why, i: int, step: Step, *, born: bool) -> str:
    """What a step returned, where it is not what the one above it did."""
    value = text(found.name_of(step.error) if step.error else step.value)
    if born:
        return f' <strong class="bad">← {value}, born here</strong>'
    if i and step.error != found.chain[i - 1].error:
        return f' <span class="bad">{value}</span>'
    return ""


def _around(found: Why) -> Iterator[str]:
    if found.birth is not None and "=" in found.birth.arguments:
        yield f"its arguments: {found.birth.arguments}"
    if called := may_have_called(found):
        yield called
    if before := calls_before(found):
        yield before
    for when, steps in (("before it ran", found.before), ("after it ran", found.after)):
        if steps:
            yield f"{when}: {', '.join(_with_value(found, step) for step in steps)}"
    if said := may_have_begun_in(found):
        yield said
    for at in range(len(found.swallowed)):
        yield f"{not_passed_on(found, at)}, and its caller went on"
    yield from never_ran(found)


def _with_value(found: Why, step: Step) -> str:
    value = found.name_of(step.error) if step.error else step.value
    return step.function if value in ("", "?") else f"{step.function} = {value}"


def missing(notices: tuple[Notice, ...]) -> str:
    """What the trace lacks: said ahead of everything that rests on it."""
    rare = [one for one in notices if not one.flag]
    if not rare:
        return ""
    lines = "".join(f"<p>⚠ {text(one.sentence)}{text(f' ({one.hint})' if one.hint else '')}</p>" for one in rare)
    marked = sum(one.n for one in notices if one.flag)
    more = f"<p>The tree marks the calls that are not whole ({format_count(marked)} marks).</p>" if marked else ""
    return f'<section class="losses" aria-label="What is missing">{lines}{more}</section>'


def estimated(shown: CallTree, top: Top) -> str:
    """That times are estimates: what tracing took, and what share of the time that is."""
    if shown.selection.tracer is None:
        return ""
    (line,) = estimate_lines(shown)
    said = (
        f"{line[0].upper()}{line[1:]}. Tracing took {format_share(top.tracer_share)} of the recorded time at work; "
        f"that is in no time marked {ESTIMATE}. Starts, the timeline and About this trace are as recorded."
    )
    return f'<section class="estimates" aria-label="Times are estimates"><p>{text(said)}</p></section>'


def smaller(limited: Limited, trace: Trace, *, listed: dict[str, tuple[int, int]]) -> str:
    """What of the tree is not single calls, and what else is not all there; what shows it."""
    if limited.is_whole and not listed:
        return ""
    as_typed = trace.meta.as_typed
    paragraphs = [] if limited.is_whole else [text(_summed(limited)), *_failed(limited, as_typed, trace.meta.arch)]
    if listed:
        parts = (f"the first {format_count(n)} of {format_count(of)} {what}" for what, (n, of) in listed.items())
        paragraphs.append(f"Listed are {text(' and '.join(parts))}.")
    shows = (
        f"<code>{text(f'kfgraph html {as_typed} --max-size SIZE')}</code> has more of them, "
        f"<code>{text(f'kfgraph show {as_typed} --root FUNCTION --all')}</code> all below a function."
    )
    lines = "".join(f"<p>{line}</p>" for line in (*paragraphs, shows))
    short = text(", ".join(_in_short(limited, listed)))
    return (
        '<section class="smaller" aria-label="What is summed up"><details>'
        f"<summary>Not all of it is in this page: {short}</summary>{lines}</details></section>"
    )


def _summed(limited: Limited) -> str:
    n_single = format_count(limited.n_single or 0)
    said = (
        f"Of more than {n_single} calls of one function in one call, the slowest {n_single} of each result have rows "
        f"of their own. {plural(limited.n_summed, 'call')} are in sums, which tell how many, how long in all, the "
        "shortest and the longest, and have no place on the timeline. The numbers of Functions are of every call."
    )
    if limited.n_left_out:
        said += (
            f" {plural(limited.n_left_out, 'call')} in callees of at most {format_ns(limited.least_ns)} are left out; "
            "a row counts them where they were."
        )
    return said


def _in_short(limited: Limited, listed: dict[str, tuple[int, int]]) -> Iterator[str]:
    if limited.n_summed:
        yield f"{plural(limited.n_summed, 'call')} in sums"
    if limited.n_left_out:
        yield f"{plural(limited.n_left_out, 'call')} left out"
    if limited.failed_left_out:
        yield f"{plural(limited.n_failed_left_out, 'call')} of these failed"
    for what, (n, of) in listed.items():
        yield f"{format_count(n)} of {format_count(of)} {what} listed"


def _failed(limited: Limited, as_typed: str, arch: str) -> Iterator[str]:
    """Which failed calls have no row of their own, nor are in a sum."""
    lost = limited.failed_left_out
    if not lost:
        return
    said = ", ".join(f"{one.function} {_error(one.error, arch)} × {format_count(one.n)}" for one in lost[:_KINDS])
    n = len(lost) - _KINDS
    more = f" and {plural(n, 'other function')} or {'error' if n == 1 else 'errors'}" if n > 0 else ""
    failing = f"{plural(limited.n_failed_left_out, 'call')} that failed"
    command = f"<code>{text(f'kfgraph errors {as_typed} --limit 0')}</code>"
    yield f"Left out are {text(failing)}: {text(said + more)}. {command} has all that failed."


def _error(error: int, arch: str) -> str:
    name = errno_name(-error, arch=arch)
    return f"-{name}" if name else str(error)
