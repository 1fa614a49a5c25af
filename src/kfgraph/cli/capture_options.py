"""The options of ``kfgraph trace``, by their types; the defaults stand in the command."""

from __future__ import annotations

from typing import Annotated

from kfgraph.cli.declared import Operands, Option

_WHAT, _HOW, _CHILD, _FILE = "What is recorded", "How it is recorded", "The command", "The file"
_GUEST = "In a guest"


CommandLine = Annotated[
    list[str] | None,
    Operands("[--] COMMAND [ARG]...", "Command to run; options after its name belong to it."),
]
Output = Annotated[str, Option(("-o", "--output"), "Output file.", _FILE, "FILE")]
Force = Annotated[bool, Option(("--force",), "Overwrite FILE even if it is not a trace.", _FILE)]
Quiet = Annotated[bool, Option(("-q", "--quiet"), "No summary at the end.", _FILE)]
NoWhy = Annotated[bool, Option(("--no-why",), "Do not print why the command failed.", _FILE)]

Follow = Annotated[bool, Option(("-f", "--follow"), "Record the children of the command too.", _WHAT)]
Root = Annotated[list[str] | None, Option(("--root",), "Only FUNC (or a glob) and callees; repeatable.", _WHAT, "FUNC")]
Exclude = Annotated[
    list[str] | None, Option(("--exclude",), "Leave out this function and its callees; repeatable.", _WHAT, "FUNC")
]
Only = Annotated[
    list[str] | None,
    Option(
        ("--only",), "Only these functions; :mod:NAME selects all functions of a module; repeatable.", _WHAT, "GLOB"
    ),
]
MaxDepth = Annotated[int, Option(("--max-depth",), "At most this many levels deep (0: no limit).", _WHAT, "N")]
MinDuration = Annotated[
    str | None,
    Option(("--min-duration",), "Only calls at least this long (their entries are not recorded).", _WHAT, "TIME"),
]
Event = Annotated[
    list[str] | None, Option(("-e", "--event"), "Also record this event: SYSTEM:NAME or SYSTEM.", _WHAT, "EVENT")
]
Syscalls = Annotated[
    bool | None,
    Option(
        ("--syscalls/--no-syscalls",),
        "System calls with named arguments; or none (default: numbers, results and paths).",
        _WHAT,
    ),
]
Sched = Annotated[bool, Option(("--sched",), "Task switches and wakings: time asleep, and who was waited for.", _WHAT)]
Args = Annotated[
    bool | None, Option(("--args/--no-args",), "Function arguments (default: if the kernel supports it).", _WHAT)
]
Retval = Annotated[
    bool | None, Option(("--retval/--no-retval",), "Return values (default: if the kernel supports it).", _WHAT)
]
NoIrq = Annotated[bool, Option(("--no-irq",), "Do not record interrupts.", _WHAT)]

ModuleFile = Annotated[
    list[str] | None,
    Option(
        ("--module",), "A module that the command loads, if the arguments do not show it; repeatable.", _WHAT, "FILE"
    ),
]
Returns = Annotated[
    list[str] | None,
    Option(("--returns",), "Also record the return values of these functions; repeatable.", _WHAT, "GLOB"),
]
NoReturns = Annotated[
    bool, Option(("--no-returns",), "Set no return probes on functions of modules being loaded.", _WHAT)
]

Attach = Annotated[
    list[int] | None,
    Option(("-p", "--pid"), "Record this running process until Ctrl-C or its end; repeatable.", _CHILD, "PID"),
]
RunAs = Annotated[
    str | None,
    Option(("--user",), "Run the command as this user; 'auto': the user who called sudo.", _CHILD, "NAME"),
]
Env = Annotated[
    list[str] | None, Option(("--env",), "Set a variable for the command; repeatable.", _CHILD, "NAME=VALUE")
]
Cwd = Annotated[str, Option(("--cwd",), "Run the command in this directory.", _CHILD, "DIR")]

Buffer = Annotated[
    str | None,
    Option(("--buffer",), "Ring buffer size per CPU, such as 64M (default: from memory and CPUs).", _HOW, "SIZE"),
]
Clock = Annotated[str, Option(("--clock",), "The trace clock (local, global, mono, ...).", _HOW, "NAME")]
Duration = Annotated[
    float | None,
    Option(("--duration",), "Stop recording after this time; the command continues.", _HOW, "SECONDS"),
]
DryRun = Annotated[bool, Option(("--dry-run",), "Print the commands and exit without running them.", _HOW)]
ShowProgress = Annotated[bool, Option(("--progress",), "Show progress while the command runs.", _HOW)]
TraceCmdArgs = Annotated[
    str, Option(("--trace-cmd-args",), "Additional options for trace-cmd record, as one argument.", _HOW, "'OPTIONS'")
]

Guest = Annotated[
    bool, Option(("--guest",), "Record in a throwaway virtual machine. Needs no root.", _GUEST)
]
GuestKernel = Annotated[
    str | None,
    Option(("--guest-kernel",), "Record in a guest with this kernel; 'list' lists them.", _GUEST, "IMAGE|list"),
]
GuestTimeout = Annotated[
    float | None,
    Option(("--guest-timeout",), "Kill the guest after this time, including boot (default: 600).", _GUEST, "SECONDS"),
]
