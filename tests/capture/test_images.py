"""Kernel images: which there are, newest first, what each can give, what keeps one from being a guest."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from kfgraph.capture.guest.machine import choose_image
from kfgraph.errors import MachineError
from kfgraph.kernel import images

GUEST_CONFIG = [
    "FUNCTION_GRAPH_TRACER=y",
    "DYNAMIC_FTRACE=y",
    "9P_FS=m",
    "NET_9P_VIRTIO=m",
    "VIRTIO_PCI=m",
    "OVERLAY_FS=m",
]


class Boot:
    """A tree with /boot and /lib/modules."""

    def __init__(self, root: Path) -> None:
        self.boot, self.modules = root / "boot", root / "modules"
        self.boot.mkdir()
        self.modules.mkdir()

    def add(
        self,
        release: str,
        *,
        config: list[str] | None = None,
        modules: bool = True,
        data: bytes = b"\x7fELF",
        name: str = "",
    ) -> Path:
        path = self.boot / (name or f"vmlinuz-{release}")
        path.write_bytes(data)
        if config is not None:
            lines = ["# a comment", *(f"CONFIG_{line}" for line in config), "# CONFIG_FUNCTION_GRAPH_RETVAL is not set"]
            (self.boot / f"config-{release}").write_text("\n".join(lines) + "\n")
        if modules:
            (self.modules / release).mkdir(exist_ok=True)
            (self.modules / release / "modules.dep").touch()
        return path

    def list(self) -> tuple[images.KernelImage, ...]:
        return images.list_images(boot=self.boot, modules=self.modules)

    def choose(self, wanted: str = "") -> images.KernelImage:
        return choose_image(wanted, boot=self.boot, modules=self.modules)


@pytest.fixture
def boot(tmp_path: Path) -> Boot:
    return Boot(tmp_path)


def boot_image(release: str) -> bytes:
    """The first bytes of an x86 boot image that says it is ``release``."""
    head = bytearray(0x600)
    head[0x202:0x206] = b"HdrS"
    head[0x20E:0x210] = (0x300).to_bytes(2, "little")
    text = f"{release} (someone@somewhere) #1 SMP".encode() + b"\0"
    head[0x500 : 0x500 + len(text)] = text
    return bytes(head)


def test_images_are_sorted_by_age_not_by_letter(boot: Boot) -> None:
    in_order = [
        "7.2.0-amd64",
        "7.2.0-rc2-amd64",
        "7.2.0-rc1-amd64",
        "6.12.95+deb12-amd64",
        "6.12.9-amd64",
        "6.1.0-56-amd64",
        "6.1.0-9-amd64",
        "6.1.0-rc7",
        "5.10.0-30-amd64",
    ]
    shuffled = list(in_order)
    random.Random(7).shuffle(shuffled)
    for release in shuffled:
        boot.add(release)
    assert [image.release for image in boot.list()] == in_order


def test_the_release_is_what_the_image_says_not_its_name(boot: Boot) -> None:
    boot.add("6.9.1-special", name="vmlinuz-custom", data=boot_image("6.9.1-special"), config=GUEST_CONFIG)
    (image,) = boot.list()
    assert (image.release, image.path.name, image.obstacles()) == ("6.9.1-special", "vmlinuz-custom", ())
    assert boot.choose("6.9.1-special") == image
    assert boot.choose(str(image.path)).release == "6.9.1-special"


def test_an_image_beside_its_modules_and_a_rescue_image(boot: Boot) -> None:
    folder = boot.modules / "6.8.0-fc40"
    folder.mkdir()
    (folder / "vmlinuz").write_bytes(b"\x7fELF")
    (folder / "modules.dep").touch()
    (folder / "config").write_text("CONFIG_FUNCTION_GRAPH_TRACER=y\nCONFIG_DYNAMIC_FTRACE=y\n")
    (boot.boot / "vmlinuz-0-rescue-abc").write_bytes(b"\x7fELF")
    (image,) = boot.list()
    assert (image.release, image.graph, image.shares_root) == ("6.8.0-fc40", True, False)


def test_what_a_config_says(boot: Boot) -> None:
    options = [*GUEST_CONFIG, "FUNCTION_TRACE_ARGS=y", "KPROBE_EVENTS=y", "KRETPROBES=y", 'LOCALVERSION=""', "HZ=250"]
    boot.add("7.2.0", config=options)
    (image,) = boot.list()
    assert (image.graph, image.args, image.retval, image.probes, image.shares_root) == (True, True, False, True, True)
    assert image.config["CONFIG_HZ"] == "250"


def test_without_a_config_nothing_is_known_and_nothing_refused(boot: Boot) -> None:
    boot.add("6.1.0")
    (image,) = boot.list()
    assert (image.graph, image.args, image.retval, image.probes, image.shares_root) == (None,) * 5
    assert image.obstacles() == ()


@pytest.mark.parametrize(
    ("config", "modules", "reason", "remedy"),
    [
        (GUEST_CONFIG, False, "modules", "install the package"),
        ([c for c in GUEST_CONFIG if "GRAPH" not in c], True, "function_graph", "--guest-kernel list"),
        ([c for c in GUEST_CONFIG if "9P_FS" not in c], True, "9p", "generic kernel"),
        ([c for c in GUEST_CONFIG if "OVERLAY" not in c], True, "overlayfs", "generic kernel"),
    ],
)
def test_what_keeps_an_image_from_being_a_guest(
    boot: Boot, config: list[str], modules: bool, reason: str, remedy: str
) -> None:
    path = boot.add("6.1.0-1-amd64", config=config, modules=modules)
    ((said, helps),) = boot.list()[0].obstacles()
    assert reason in said and remedy in helps
    for wanted in ("", "6.1.0-1-amd64", str(path)):
        with pytest.raises(MachineError, match=reason) as caught:
            boot.choose(wanted)
        assert caught.value.hint == helps


def test_an_image_that_only_root_may_read_is_said_to_be_so(boot: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    path = boot.add("6.8.0-31-generic", config=GUEST_CONFIG)
    monkeypatch.setattr(images.os, "access", lambda p, mode: False)  # root may read all, so no mode will do here
    ((said, helps),) = boot.list()[0].obstacles()
    assert said == f"{path} is not readable by this user"
    assert helps == f"sudo chmod +r {path}"


def test_the_newest_that_can_is_chosen(boot: Boot) -> None:
    boot.add("6.12.1-cloud-amd64", config=[c for c in GUEST_CONFIG if "9P" not in c])
    boot.add("6.11.0-amd64", config=GUEST_CONFIG, modules=False)
    boot.add("6.10.0-amd64", config=GUEST_CONFIG)
    boot.add("6.1.0-amd64", config=GUEST_CONFIG)
    assert boot.choose().release == "6.10.0-amd64"


def test_no_image_at_all_and_one_that_is_not_there(boot: Boot) -> None:
    with pytest.raises(MachineError, match="no kernel image in"):
        boot.choose()
    with pytest.raises(MachineError, match="no kernel image /boot/nothing") as caught:
        boot.choose("/boot/nothing")
    assert caught.value.hint == "kfgraph trace --guest-kernel list"


def test_a_kernel_unpacked_elsewhere_has_its_modules_beside(boot: Boot, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "boot").mkdir(parents=True)
    (elsewhere / "lib" / "modules" / "6.12.1").mkdir(parents=True)
    (elsewhere / "lib" / "modules" / "6.12.1" / "modules.dep").touch()
    path = elsewhere / "boot" / "vmlinuz-6.12.1"
    path.write_bytes(b"\x7fELF")
    (elsewhere / "boot" / "config-6.12.1").write_text("".join(f"CONFIG_{line}\n" for line in GUEST_CONFIG))
    image = boot.choose(str(path))
    assert image.modules == elsewhere / "lib" / "modules" / "6.12.1"
    assert (image.release, image.obstacles()) == ("6.12.1", ())


@pytest.mark.parametrize(
    ("content", "may"),
    [
        (b"root:x:0:0:root:/root:/bin/bash\n" * 30, False),
        (b"", False),
        (b"\x7fELF", True),
        (b"MZ" + bytes(600), True),
        (bytes(0x202) + b"HdrS" + bytes(50), True),
        (bytes(0x38) + b"ARM\x64", True),
        (b"\x1f\x8bpacked", True),
    ],
)
def test_what_is_no_kernel_image_is_said_to_be_none(boot: Boot, tmp_path: Path, content: bytes, may: bool) -> None:
    path = tmp_path / "passwd"
    path.write_bytes(content)
    with pytest.raises(MachineError) as caught:
        boot.choose(str(path))
    assert (caught.value.message == f"{path} is not a kernel image") == (not may)
    assert may or caught.value.hint == "kfgraph trace --guest-kernel list"
