"""The options of ``kfgraph trace``, by their types; the defaults stand in the command."""

from __future__ import annotations

from typing import Annotated

from kfgraph.cli.declared import Operands, Option

_WHAT, _HOW, _CHILD, _FILE = "What is recorded", "How it is recorded", "The command", "The file"
_GUEST = "In a guest"


CommandLine = Annotated[
    list[str] | None,
    Operands("[--] COMMAND [ARG]...", "What to run; options after its name are its own."),
]
Output = Annotated[str, Option(("-o", "--output"), "Write the trace here.", _FILE, "FILE")]
Force = Annotated[bool, Option(("--force",), "Overwrite FILE even if it is no trace.", _FILE)]
Quiet = Annotated[bool, Option(("-q", "--quiet"), "No summary at the end.", _FILE)]
NoWhy = Annotated[bool, Option(("--no-why",), "Do not say at the end why the command failed.", _FILE)]

Follow = Annotated[bool, Option(("-f", "--follow"), "Record the children of the command too.", _WHAT)]
Root = Annotated[list[str] | None, Option(("--root",), "Only below this function or glob; repeatable.", _WHAT, "FUNC")]
Exclude = Annotated[
    list[str] | None, Option(("--exclude",), "Not this function and what it calls; repeatable.", _WHAT, "FUNC")
]
Only = Annotated[
    list[str] | None,
    Option(
        ("--only",), "Just these functions; :mod:NAME is all of a module, loaded or coming; repeatable.", _WHAT, "GLOB"
    ),
]
MaxDepth = Annotated[int, Option(("--max-depth",), "At most this many levels deep (0: no limit).", _WHAT, "N")]
MinDuration = Annotated[
    str | None,
    Option(("--min-duration",), "Only calls at least this long (their entries are not recorded).", _WHAT, "TIME"),
]
Event = Annotated[
    list[str] | None, Option(("-e", "--event"), "Record this event too: SYSTEM:NAME or SYSTEM.", _WHAT, "EVENT")
]
Syscalls = Annotated[
    bool | None,
    Option(
        ("--syscalls/--no-syscalls",),
        "System calls with named arguments, or none (default: their numbers, results and paths).",
        _WHAT,
    ),
]
Sched = Annotated[bool, Option(("--sched",), "Record task switches (to tell time asleep).", _WHAT)]
Args = Annotated[
    bool | None, Option(("--args/--no-args",), "Function arguments (default: where the kernel can).", _WHAT)
]
Retval = Annotated[
    bool | None, Option(("--retval/--no-retval",), "Return values (default: where the kernel can).", _WHAT)
]
NoIrq = Annotated[bool, Option(("--no-irq",), "Do not record interrupts.", _WHAT)]

ModuleFile = Annotated[
    list[str] | None,
    Option(
        ("--module",), "A module that the command loads, where its own words do not tell; repeatable.", _WHAT, "FILE"
    ),
]
Returns = Annotated[
    list[str] | None,
    Option(("--returns",), "Also record the return values of these functions; repeatable.", _WHAT, "GLOB"),
]
NoReturns = Annotated[
    bool, Option(("--no-returns",), "No return probes on the functions of modules being loaded.", _WHAT)
]

Attach = Annotated[
    list[int] | None,
    Option(("-p", "--pid"), "Record this running process until Ctrl-C or its end; repeatable.", _CHILD, "PID"),
]
RunAs = Annotated[
    str | None,
    Option(("--user",), "Run the command as this user; 'auto': who called sudo.", _CHILD, "NAME"),
]
Env = Annotated[
    list[str] | None, Option(("--env",), "Set a variable for the command; repeatable.", _CHILD, "NAME=VALUE")
]
Cwd = Annotated[str, Option(("--cwd",), "Run the command in this directory.", _CHILD, "DIR")]

Buffer = Annotated[
    str | None,
    Option(("--buffer",), "Ring buffer of each CPU, such as 64M (default: from memory and CPUs).", _HOW, "SIZE"),
]
Clock = Annotated[str, Option(("--clock",), "The trace clock (local, global, mono, ...).", _HOW, "NAME")]
Duration = Annotated[
    float | None,
    Option(("--duration",), "Stop recording after this long; the command goes on unrecorded.", _HOW, "SECONDS"),
]
DryRun = Annotated[bool, Option(("--dry-run",), "Print what would be run, and stop.", _HOW)]
ShowProgress = Annotated[bool, Option(("--progress",), "Show progress while the command runs.", _HOW)]
TraceCmdArgs = Annotated[
    str, Option(("--trace-cmd-args",), "More options for trace-cmd record, as one word.", _HOW, "'OPTIONS'")
]

Guest = Annotated[
    bool, Option(("--guest",), "Record in a throwaway virtual machine; this one is only read. Needs no root.", _GUEST)
]
GuestKernel = Annotated[
    str | None,
    Option(("--guest-kernel",), "In a guest with this kernel; 'list' shows those there are.", _GUEST, "IMAGE|list"),
]
GuestTimeout = Annotated[
    float | None,
    Option(("--guest-timeout",), "Kill the guest after this long, boot included (default: 600).", _GUEST, "SECONDS"),
]
