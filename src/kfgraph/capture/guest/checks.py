"""Before a guest is booted: is there in it what the command needs?"""

from __future__ import annotations

import os
from pathlib import Path

from kfgraph.capture.loads import find_loads, module_files
from kfgraph.capture.plan import CaptureOptions
from kfgraph.errors import CaptureError
from kfgraph.kernel import images
from kfgraph.kernel.images import KernelImage

# What virtme-ng mounts over this machine's own.
_OWN_FOLDERS = ("/dev", "/proc", "/run", "/sys")


def check_modules(options: CaptureOptions, image: KernelImage) -> tuple[str, ...]:
    """Are the module files that the command names built for the guest's kernel? A sentence for each not looked into.

    Raises:
        CaptureError: one is not; the hint names the image that fits, or how to build it. Or a file given with
            --module is no module.
    """
    # modprobe here would look among the modules of this machine's own kernel.
    loads = find_loads(options.command, named=options.modules, show_depends=lambda _: None)
    for module in loads.modules:
        release = module.image.vermagic.partition(" ")[0]
        if not release or release == image.release:
            continue
        fitting = next((i for i in images.list_images() if i.release == release), None)
        if fitting is not None and not fitting.obstacles():
            hint = f"kfgraph trace --guest-kernel {fitting.path}"
        else:
            build = f"make -C /lib/modules/{image.release}/build M=DIR"
            hint = f"build it for this one ({build}), or install linux-image-{release}"
        raise CaptureError(f"{module.image.path} was built for {release}, the guest runs {image.release}", hint=hint)
    return loads.unread


def check_places(options: CaptureOptions) -> None:
    """Check that the folders and files that the options name exist in a guest.

    Raises:
        CaptureError: one lies where the guest has a folder of its own; the directory, or the file that insmod is to
            load, is nowhere.
    """
    command = options.command
    if command is None:
        return
    if command.cwd and not os.path.isdir(command.cwd):  # noqa: PTH112
        raise CaptureError(f"cannot change to {command.cwd}: no such directory")
    loads = module_files(command.argv, cwd=command.cwd, show_depends=lambda _: None)
    named = [("the directory", command.cwd or "."), ("the command", command.path)]
    named += [("the module", str(load.path)) for load in loads if load.path]
    named += [("the module", module) for module in options.modules]
    for what, name in named:
        real = os.path.realpath(name)
        top = next((folder for folder in _OWN_FOLDERS if real == folder or real.startswith(f"{folder}/")), None)
        if top:
            hint = "--cwd DIR runs it elsewhere" if what == "the directory" else "copy it elsewhere, to /tmp for one"
            raise CaptureError(f"{what} {real} is not in the guest, which has a {top} of its own", hint=hint)
    if Path(command.argv[0]).name == "insmod":
        for file in filter(None, (load.path for load in loads)):  # in a script something may make it first
            try:
                file.stat()
            except OSError as problem:
                message = f"insmod: {file}: {problem.strerror}"
                raise CaptureError(message, hint="no guest was booted for it") from problem
