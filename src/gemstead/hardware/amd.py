"""AMD GPUs, read from the files of the Linux driver `amdgpu`.

Source: Linux kernel documentation, gpu/amdgpu/driver-misc ("mem_info_vram_total" and its neighbours).
"""

from __future__ import annotations

from pathlib import Path

from gemstead.core.figures import BytesFigure
from gemstead.hardware.snapshot import Gpu

DRM_FOLDER = Path("/sys/class/drm")

_AMD_VENDOR = "0x1002"


def probe_amd(drm: Path = DRM_FOLDER, driver_file: Path = Path("/sys/module/amdgpu/version")) -> tuple[Gpu, ...]:
    """The GPUs with their free memory now; none where the driver is not loaded."""
    devices = sorted(folder for folder in drm.glob("card*/device") if _read(folder / "vendor") == _AMD_VENDOR)
    driver = _read(driver_file) or None
    return tuple(gpu for folder in devices if (gpu := _gpu(folder, driver)) is not None)


def _gpu(device: Path, driver: str | None) -> Gpu | None:
    vram, vram_used = _number(device / "mem_info_vram_total"), _number(device / "mem_info_vram_used")
    if vram is None or vram_used is None:
        return None
    # The kernel shows the memory maker only for cards that carry memory chips; an APU uses the machine's memory,
    # its own carved-out part plus what the driver may map (GTT).
    is_unified = not (device / "mem_info_vram_vendor").exists()
    shared, shared_used = _number(device / "mem_info_gtt_total"), _number(device / "mem_info_gtt_used")
    extra = (shared or 0) if is_unified else 0
    extra_used = (shared_used or 0) if is_unified else 0
    return Gpu(
        name=_read(device / "product_name") or f"AMD GPU (device {_read(device / 'device') or 'unnamed'})",
        vendor="amd",
        total_bytes=vram + extra,
        available=BytesFigure(max(0, vram + extra - vram_used - extra_used), "measured", source="amdgpu"),
        driver=driver,
        is_unified_memory=is_unified,
    )


def _number(path: Path) -> int | None:
    text = _read(path)
    return int(text) if text.isdecimal() else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
