"""Results that are written record by record, so that a long run can stop and go on.

    with Section(path, "name", {"seconds": 10}, resume=True) as section:
        for key in keys:
            if not section.holds(key):
                section.add(key, measured)

A file holds sections by name (`benchmarks.machine.merge_result`).  Each says on which
machine, under which load and on which code its records were made; records of an earlier
run are kept only if the settings are the same.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.machine import describe_machine, merge_result

__all__ = ["Section", "code_digest"]

_PACKAGES = ("torch", "onnxruntime", "highspy")


class Section:
    """One named part of a file of results.

    Parameters
    ----------
    path
        Of the file; `None` to write nothing.
    name
        Of the section.
    settings
        What was asked for.
    resume
        Whether to go on after the records that the section holds.
    summarise
        Makes a summary of the records.
    """

    def __init__(
        self,
        path: Path | None,
        name: str,
        settings: Mapping[str, Any],
        *,
        resume: bool = False,
        summarise: Callable[[Sequence[dict[str, Any]]], Any] | None = None,
    ) -> None:
        self.path = path
        self.name = name
        self.records: list[dict[str, Any]] = []
        self._settings = json.loads(json.dumps(settings, default=str))
        self._summarise = summarise
        self._code = code_digest()
        self._runs: list[dict[str, Any]] = []
        self._stopped = False
        if resume and path is not None and path.exists():
            held = json.loads(path.read_text())["results"].get(name)
            if held and held["settings"] == self._settings:
                self.records, self._runs = held["records"], held["runs"]
        began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        about = describe_machine(*_PACKAGES)
        self._run: dict[str, Any] = {"code": self._code, "began": began, **about, "records": 0}
        self._runs.append(self._run)

    def __enter__(self) -> Section:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._write(complete=kind is None and not self._stopped)

    def full(self, most: int) -> bool:
        """Tell whether this run has added so many records; the section is then left open."""
        self._stopped = self._stopped or self._run["records"] >= most
        return self._stopped

    def holds(self, key: Mapping[str, Any]) -> bool:
        """Tell whether there is a record with these entries."""
        return any(all(r.get(k) == v for k, v in key.items()) for r in self.records)

    def add(self, key: Mapping[str, Any], measured: Mapping[str, Any]) -> None:
        """Add a record and write the file."""
        record = {**key, **measured, "load": round(os.getloadavg()[0], 1)}
        self.records.append(record)
        self._run["records"] += 1
        print({k: v for k, v in record.items() if k != "members"}, flush=True)
        self._write(complete=False)

    def _write(self, *, complete: bool) -> None:
        if self.path is None:
            return
        result = {
            "settings": self._settings,
            "complete": complete,
            "runs": self._runs,
            "records": self.records,
        }
        if self._summarise is not None:
            result["summary"] = self._summarise(self.records)
        merge_result(self.path, self.name, result)


def code_digest() -> str:
    """Return a digest of the sources that decide networks."""
    folder = Path(__file__).resolve().parents[1] / "encodings/src/networks"
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:16]
