"""``kfgraph trace``: run a command, record which kernel functions it ran."""

from __future__ import annotations

from kfgraph.cli import capture_options as o
from kfgraph.cli.no_effect import Idle, tell_idle

EXAMPLES = """Examples:

kfgraph trace insmod foo.ko

kfgraph trace -f -o build.dat -- make -j2

kfgraph trace --root vfs_open --syscalls cat /etc/passwd

kfgraph trace --guest -- insmod foo.ko
"""
IDLE = (
    Idle("quiet", ("progress", "no_why")),
    Idle("guest", ("progress",)),
    Idle("guest_kernel", ("progress", "guest")),
    Idle("dry_run", ("force", "progress", "quiet", "no_why", "duration", "guest_timeout")),
)


def run(
    command: o.CommandLine = None,
    output: o.Output = "trace.dat",
    follow: o.Follow = False,
    pid: o.Attach = None,
    root: o.Root = None,
    exclude: o.Exclude = None,
    only: o.Only = None,
    max_depth: o.MaxDepth = 0,
    min_duration: o.MinDuration = None,
    event: o.Event = None,
    syscalls: o.Syscalls = None,
    sched: o.Sched = False,
    args: o.Args = None,
    retval: o.Retval = None,
    no_irq: o.NoIrq = False,
    module: o.ModuleFile = None,
    returns: o.Returns = None,
    no_returns: o.NoReturns = False,
    user: o.RunAs = None,
    env: o.Env = None,
    cwd: o.Cwd = "",
    buffer: o.Buffer = None,
    clock: o.Clock = "",
    duration: o.Duration = None,
    trace_cmd_args: o.TraceCmdArgs = "",
    force: o.Force = False,
    progress: o.ShowProgress = False,
    dry_run: o.DryRun = False,
    quiet: o.Quiet = False,
    no_why: o.NoWhy = False,
    guest: o.Guest = False,
    guest_kernel: o.GuestKernel = None,
    guest_timeout: o.GuestTimeout = None,
) -> int:
    """Run COMMAND and record the kernel functions that it calls; returns its exit status.

    kfgraph's own failures are 125 (126: the command cannot be executed, 127: not found, 2: wrong usage).
    Ctrl-C goes to the command; a second one ends the recording and keeps it.
    """
    from dataclasses import replace

    from kfgraph.cli import guest_choice, tracing

    tell_idle(run, locals())
    with tracing.own_failures():
        options = tracing.capture_options(
            follow=follow,
            roots=root,
            excludes=exclude,
            only=only,
            max_depth=max_depth,
            min_duration=min_duration,
            events=event,
            modules=module,
            returns=returns,
            no_returns=no_returns,
            syscalls=syscalls,
            sched=sched,
            args=args,
            retval=retval,
            irq=not no_irq,
            buffer=buffer,
            clock=clock,
            extra=trace_cmd_args,
            duration_s=duration,
        )
        if guest_kernel == "list":
            from kfgraph.cli.guest_trace import list_kernels

            return list_kernels()
        in_guest = guest_choice.wanted(guest, kernel=guest_kernel, timeout_s=guest_timeout)
        options = replace(options, output=tracing.output_path(output), force=force)
        options = tracing.with_target(
            options, command, pids=pid, user=user, env=env, cwd=cwd, in_guest=in_guest is not None, dry_run=dry_run
        )
        if dry_run:
            return tracing.dry_run(options, in_guest=in_guest)
        return tracing.trace(options, progress=progress, quiet=quiet, explain=not no_why, in_guest=in_guest)
