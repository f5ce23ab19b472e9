"""Audits the small world and says each step: a program for tests to kill.

python audit_program.py STORE ROWS JOBS PAUSE
"""

from __future__ import annotations

import sys

from small_world import BruteExplainer, grid

from whyproof.auditing import AuditProgress, audit_rows


def say(progress: AuditProgress) -> None:
    sys.stdout.write(f"{progress.found}\n")
    sys.stdout.flush()


def main() -> None:
    store, rows, jobs, pause = sys.argv[1:]
    points = grid()
    explainer = BruteExplainer(pause=float(pause))
    audit_rows(
        explainer,
        {row: points[row * 7 % len(points)] for row in range(int(rows))},
        store,
        jobs=int(jobs),
        retry_failed=True,
        progress=say,
    )


if __name__ == "__main__":
    main()
