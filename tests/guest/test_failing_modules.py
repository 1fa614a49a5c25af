"""Eight modules of why's corpus recorded in one boot, and what kfgraph says of them; `make test-kernels` has all."""

from __future__ import annotations

import sys
from pathlib import Path

import blame
import pytest

from guest.harness import headers_of
from kfgraph.kernel.images import KernelImage

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "why"))

import record

EIGHT = ("deep", "alloc_null", "err_ptr", "param_set", "probe_fails", "retry", "sysfs_dup", "translate")


@pytest.mark.timeout(1800)
def test_eight_failing_modules_in_one_boot(
    guest_image: KernelImage, foo_ko: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert foo_ko.exists() and headers_of(guest_image) is not None
    problems = record.record_loads(tmp_path, guest_image, only=set(EIGHT), each=len(EIGHT), limit_s=1500.0)
    assert problems == []
    files = sorted((tmp_path / guest_image.release).glob("*.dat"))
    assert {file.stem for file in files} == {f"{name}{twin}" for name in EIGHT for twin in ("", ".twin")}
    scored = [blame.score(file, ko=tmp_path / "ko") for file in files]
    wrong = [(one.name, one.verdict, one.said) for one in scored if one.verdict not in ("exact", "bound")]
    assert wrong == []
    # The answer as a user sees it, behind insmod's own words.
    shown = " ".join(capsys.readouterr().out.split())
    assert "could not insert module ./deep.ko: No such device" in shown
    assert 'finit_module("deep.ko") = -ENODEV, first returned by deep_read_id [deep], its 3rd call' in shown
