"""What ``kfgraph trace`` says at the end of a recording, and while it goes on."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text

from kfgraph.model.spelling import shell_word, spelt_out
from kfgraph.model.units import format_count, format_ns, format_size, plural


@dataclass(frozen=True)
class CaptureSummary:
    """The numbers of the last lines. ``n_calls`` and ``n_tasks`` are None where the trace could not be read.

    ``lost`` holds (cpu, lost, recorded) for every CPU that lost events; ``advice`` the commands or
    sentences against it, best first; ``warnings`` whole sentences; ``partial`` why it is not
    whole; ``n_unprobed`` the functions for
    which there was no probe left; ``answer`` why the command failed: a sentence, and the way of the error.
    """

    path: str
    n_bytes: int
    recorded_ns: int
    n_calls: int | None
    n_tasks: int | None
    ended: str = ""
    lost: tuple[tuple[int, int, int], ...] = ()
    advice: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    next_root: str = ""
    partial: str = ""
    n_probes: int = 0
    n_unprobed: int = 0
    answer: tuple[str, ...] = ()


def summary(result: CaptureSummary) -> list[Text]:
    """The lines for stderr: what there is now, what is wrong with it, what to type next."""
    counted = ""
    if result.n_calls is not None and result.n_tasks is not None:
        counted = f"{plural(result.n_calls, 'call')} of {plural(result.n_tasks, 'task')}, "
    lines = _answer(result)
    lines += [
        Text.assemble(
            "kfgraph: ",
            (result.path, "bold"),
            f": {counted}{format_size(result.n_bytes)}, recorded {format_ns(result.recorded_ns, digits=1)}",
            "" if result.lost or result.partial else ", nothing lost",
        )
    ]
    if result.ended:
        lines.append(Text(f"  {result.ended}"))
    if result.partial:
        lines.append(Text(f"  the recording is partial: {result.partial}", "bold yellow"))
    if result.n_unprobed:
        more = f"{plural(result.n_unprobed, 'more function')} {'has' if result.n_unprobed == 1 else 'have'} none"
        lines.append(Text(f"  {plural(result.n_probes, 'return probe')}; {more}: --returns GLOB chooses"))
    lines += [Text(f"  {warning}", "bold yellow") for warning in result.warnings]
    for cpu, n_lost, n_recorded in result.lost:
        share = n_lost / max(1, n_lost + n_recorded)
        lines.append(
            Text(f"  CPU {cpu} lost {plural(n_lost, 'event')}, {share:.0%} of what happened there", "bold red")
        )
    lines += [Text(f"  against it: {advice}") for advice in result.advice]
    root = f" --root {shell_word(result.next_root)}" if result.next_root else ""
    path = shell_word(result.path)
    look = [f"kfgraph why {path}"] if result.answer else []
    look += [f"kfgraph show {path}{root}", f"kfgraph top {path}"]
    lines += [Text("  look at it:"), *(Text(f"    {command}") for command in look)]
    return lines


def _answer(result: CaptureSummary) -> list[Text]:
    """Why the command failed comes first: that is what the user came for."""
    if not result.answer:
        return []
    sentence, *way = result.answer
    lines = [Text.assemble("kfgraph: ", (spelt_out(sentence), "bold red"))]
    return lines + [Text(f"           {spelt_out(line)}") for line in way if "→" in line]


def progress_line(*, stage: str, elapsed_s: float, n_bytes: int, n_events: int, per_second: float, n_lost: int) -> str:
    """One line that is written over itself."""
    if stage != "recording":
        words = {"arming": "switching the tracer on", "finishing": "finishing the file"}
        return f"{words.get(stage, stage)}, {elapsed_s:.0f} s, {format_size(n_bytes)}"
    lost = f", {format_count(n_lost)} lost" if n_lost else ""
    return (
        f"recording, {elapsed_s:.0f} s, {format_size(n_bytes)}, {plural(n_events, 'event')}, "
        f"{format_count(round(per_second))}/s{lost}"
    )
