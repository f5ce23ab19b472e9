"""What every result has to say about where it was measured."""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

__all__ = ["data_folder", "describe_machine", "merge_result", "write_result"]


def describe_machine(*packages: str) -> dict[str, object]:
    """Return processor, Python and package versions, and thread settings."""
    versions: dict[str, str] = {}
    for package in ("numpy", *packages):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "load": os.getloadavg()[0],
        "versions": versions,
    }


def write_result(path: str | os.PathLike[str], result: Mapping[str, object]) -> None:
    """Write a result with the peak memory of the process, atomically."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    target = Path(path)
    draft = target.with_suffix(target.suffix + ".part")
    draft.write_text(json.dumps({**result, "peak_megabytes": round(peak)}, indent=1) + "\n")
    draft.replace(target)


def merge_result(path: str | os.PathLike[str], name: str, result: Mapping[str, object]) -> None:
    """Add a result to a file that holds several by name; one of the same name is replaced."""
    target = Path(path)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    held = json.loads(target.read_text())["results"] if target.exists() else {}
    held[name] = {**result, "peak_megabytes": round(peak)}
    draft = target.with_suffix(target.suffix + ".part")
    draft.write_text(json.dumps({"results": held}, indent=1) + "\n")
    draft.replace(target)


def data_folder() -> Path:
    """Return the folder of real data: ``WHYPROOF_DATA``, or ``../shared/data``."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("WHYPROOF_DATA", default))
    if not folder.is_dir():
        sys.exit(f"no data at {folder}; set WHYPROOF_DATA to the folder of real data")
    return folder


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
