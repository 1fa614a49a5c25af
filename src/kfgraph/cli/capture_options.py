"""The options of ``kfgraph trace``, by their types; the defaults stand in the command."""

from __future__ import annotations

from typing import Annotated

import typer

_WHAT, _HOW, _CHILD, _FILE = "What is recorded", "How it is recorded", "The command", "The file"
_GUEST = "In a guest"


def _option(names: tuple[str, ...], help_text: str, panel: str, metavar: str | None = None) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(*names, help=help_text, rich_help_panel=panel, metavar=metavar)
    return option


CommandLine = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[--] COMMAND [ARG]...", help="What to run; options after its name are its own.", show_default=False
    ),
]
Output = Annotated[str, _option(("-o", "--output"), "Write the trace here.", _FILE, "FILE")]
Force = Annotated[bool, _option(("--force",), "Overwrite FILE even if it is no trace.", _FILE)]
Quiet = Annotated[bool, _option(("-q", "--quiet"), "No summary at the end.", _FILE)]

Follow = Annotated[bool, _option(("-f", "--follow"), "Record the children of the command too.", _WHAT)]
Root = Annotated[list[str] | None, _option(("--root",), "Only below this function or glob; repeatable.", _WHAT, "FUNC")]
Exclude = Annotated[
    list[str] | None, _option(("--exclude",), "Not this function and what it calls; repeatable.", _WHAT, "FUNC")
]
Only = Annotated[
    list[str] | None,
    _option(
        ("--only",), "Just these functions; :mod:NAME is all of a module, loaded or coming; repeatable.", _WHAT, "GLOB"
    ),
]
MaxDepth = Annotated[int, _option(("--max-depth",), "At most this many levels deep (0: no limit).", _WHAT, "N")]
MinDuration = Annotated[
    str | None,
    _option(("--min-duration",), "Only calls at least this long (their entries are not recorded).", _WHAT, "TIME"),
]
Event = Annotated[
    list[str] | None, _option(("-e", "--event"), "Record this event too: SYSTEM:NAME or SYSTEM.", _WHAT, "EVENT")
]
Syscalls = Annotated[bool, _option(("--syscalls",), "Record system calls with their arguments.", _WHAT)]
Sched = Annotated[bool, _option(("--sched",), "Record task switches (to tell time asleep).", _WHAT)]
Args = Annotated[
    bool | None, _option(("--args/--no-args",), "Function arguments (default: where the kernel can).", _WHAT)
]
Retval = Annotated[
    bool | None, _option(("--retval/--no-retval",), "Return values (default: where the kernel can).", _WHAT)
]
NoIrq = Annotated[bool, _option(("--no-irq",), "Do not record interrupts.", _WHAT)]

ModuleFile = Annotated[
    list[str] | None,
    _option(
        ("--module",), "A module that the command loads, where its own words do not tell; repeatable.", _WHAT, "FILE"
    ),
]
Returns = Annotated[
    list[str] | None,
    _option(("--returns",), "Also record the return values of these functions; repeatable.", _WHAT, "GLOB"),
]
NoReturns = Annotated[
    bool, _option(("--no-returns",), "No return probes on the functions of modules being loaded.", _WHAT)
]

Attach = Annotated[
    list[int] | None,
    _option(("-p", "--pid"), "Record this running process until Ctrl-C or its end; repeatable.", _CHILD, "PID"),
]
RunAs = Annotated[
    str | None,
    _option(("--user",), "Run the command as this user; 'auto': who called sudo.", _CHILD, "NAME"),
]
Env = Annotated[
    list[str] | None, _option(("--env",), "Set a variable for the command; repeatable.", _CHILD, "NAME=VALUE")
]
Cwd = Annotated[str, _option(("--cwd",), "Run the command in this directory.", _CHILD, "DIR")]

Buffer = Annotated[
    str | None,
    _option(("--buffer",), "Ring buffer of each CPU, such as 64M (default: from memory and CPUs).", _HOW, "SIZE"),
]
Clock = Annotated[str, _option(("--clock",), "The trace clock (local, global, mono, ...).", _HOW, "NAME")]
Duration = Annotated[
    float | None,
    _option(("--duration",), "Stop recording after this long; the command goes on unrecorded.", _HOW, "SECONDS"),
]
DryRun = Annotated[bool, _option(("--dry-run",), "Print what would be run, and stop.", _HOW)]
ShowProgress = Annotated[bool, _option(("--progress",), "Show progress while the command runs.", _HOW)]
TraceCmdArgs = Annotated[
    str, _option(("--trace-cmd-args",), "More options for trace-cmd record, as one word.", _HOW, "'OPTIONS'")
]

Guest = Annotated[
    bool, _option(("--guest",), "Record in a throwaway virtual machine; this one is only read. Needs no root.", _GUEST)
]
GuestKernel = Annotated[
    str | None,
    _option(("--guest-kernel",), "In a guest with this kernel; 'list' shows those there are.", _GUEST, "IMAGE|list"),
]
GuestTimeout = Annotated[
    float | None,
    _option(("--guest-timeout",), "Kill the guest after this long, boot included (default: 600).", _GUEST, "SECONDS"),
]
