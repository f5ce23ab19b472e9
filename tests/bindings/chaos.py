"""An audit under attack: workers and the driver are killed at random, then it goes on.

python chaos.py FOLDER ROWS KILLS SEED    # prints one JSON object

The store at the end is compared with that of an audit that nobody disturbed.  A process of
its own is the driver, started again each time it is killed; nothing here can hang, since
whatever takes too long is killed and counted.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from whyproof.store import RowStatus, Store, exported, verify

__all__ = ["contents", "main", "workers_of"]

_LONGEST = 600.0


def workers_of(driver: int) -> list[int]:
    """Return the processes that a driver has started and that find explanations."""
    try:
        listed = Path(f"/proc/{driver}/task/{driver}/children").read_text().split()
    except OSError:
        return []
    found: list[int] = []
    for child in listed:
        try:
            command = Path(f"/proc/{child}/cmdline").read_bytes()
        except OSError:
            continue
        if b"spawn_main" in command:
            found.append(int(child))
    return found


def contents(path: Path) -> list[str]:
    """Return what a store says about its rows, without what differs from run to run."""
    with Store.read(path) as store:
        if not verify(store).sound:
            return ["not sound"]
        lines = [
            {k: v for k, v in line.items() if k not in ("run", "at", "record_hash", "number")}
            for line in exported(store)
        ]
    return sorted(json.dumps(line, sort_keys=True) for line in lines)


def audit(store: Path, rows: int, jobs: int, pause: float) -> list[str]:
    """Return the command of one audit of the small world."""
    program = str(Path(__file__).with_name("audit_program.py"))
    return [sys.executable, program, str(store), str(rows), str(jobs), str(pause)]


def main(folder: Path, rows: int, kills: int, seed: int, pause: float = 0.003) -> dict[str, object]:
    """Disturb an audit and compare it with one that was left alone.

    The pause, in seconds, makes each decision last: the audit must not be over before
    all its kills, on a fast machine either.
    """
    draw = random.Random(seed)
    calm, store = folder / "calm.db", folder / "chaos.db"
    subprocess.run(audit(calm, rows, 1, 0.0), check=True, stdout=subprocess.DEVNULL)
    hung = drivers = workers = starts = 0
    done = False
    until = time.monotonic() + _LONGEST
    while not done:
        starts += 1
        process = subprocess.Popen(
            [*audit(store, rows, 2, pause)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        while process.poll() is None:
            if time.monotonic() > until:
                hung += 1
                process.kill()
                break
            time.sleep(draw.random() * 0.6)
            victims = workers_of(process.pid)
            if drivers + workers >= kills or not victims:
                continue
            if draw.random() < 0.25:
                process.kill()
                drivers += 1
            else:
                try:
                    os.kill(draw.choice(victims), signal.SIGKILL)
                    workers += 1
                except ProcessLookupError:
                    pass
        process.communicate()
        done = hung > 0 or (process.returncode == 0 and not _unfinished(store))
    expected, found = contents(calm), contents(store)
    return {
        "rows": rows,
        "killed_workers": workers,
        "killed_drivers": drivers,
        "starts": starts,
        "explanations": len(expected),
        "lost": len(set(expected) - set(found)),
        "extra": len(set(found) - set(expected)),
        "duplicated": len(found) - len(set(found)),
        "open_rows": _unfinished(store),
        "hung": hung,
    }


def _unfinished(path: Path) -> list[int]:
    with Store.read(path) as store:
        return [row for row, status in store.statuses() if status is not RowStatus.COMPLETE]


def _run(arguments: Sequence[str]) -> None:
    folder, rows, kills, seed = arguments
    result = main(Path(folder), int(rows), int(kills), int(seed))
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    _run(sys.argv[1:])
