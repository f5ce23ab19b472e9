"""Certificates of tree ensembles: what they cost to find, to prove again and to check.

    python -m benchmarks.certificates --data DIR --out FILE.json [--models wdbc] [--instances 40]

DIR is as for ``benchmarks.trees``.  For each instance of a log one AXp and one CXp are found,
proved again as boxes, written, and checked from the files alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import describe_machine, write_result
from benchmarks.trees import _read_log
from whyproof.certificates import CertificateBuilder, Unproved
from whyproof.checker import check_certificate
from whyproof.engine.budget import Budget
from whyproof.engine.explanation import Explanation
from whyproof.explainer import Explainer
from whyproof.models import load_model


def main() -> None:
    """Run all models and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with models and logs_mx")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--instances", type=int, default=40, help="first instances of each log")
    parser.add_argument("--models", default="", help="only these models, separated by commas")
    parser.add_argument("--seconds", type=float, default=120.0, help="CPU limit for each model")
    options = parser.parse_args()
    wanted = [name for name in options.models.split(",") if name]
    logs = [
        path
        for path in sorted((options.data / "logs_mx").glob("*.log"))
        if not wanted or path.stem in wanted
    ]
    if not logs:
        sys.exit(f"no logs in {options.data / 'logs_mx'}")
    found: dict[str, object] = {}
    if options.out.exists():  # what an earlier part of the same run has measured
        found = json.loads(options.out.read_text()).get("models", {})
    for log in logs:
        (path,) = (options.data / "models").glob(f"{log.stem}_*")
        found[log.stem] = certify_model(path, log, options.instances, options.seconds)
        print(log.stem, found[log.stem], flush=True)
        kept = {name: found[name] for name in sorted(found)}
        write_result(options.out, {"machine": describe_machine("dtai-veritas"), "models": kept})


def certify_model(path: Path, log: Path, instances: int, limit: float) -> dict[str, object]:
    """Find, prove, write and check explanations of one model, row by row until a limit."""
    n_classes = max(2, path.read_text().count("booster[") // 50)
    model = load_model(path, classes=[str(k) for k in range(n_classes)])
    explainer = Explainer(model)
    rows = [peer.instance for peer in _read_log(log, model.n_columns)][:instances]
    explainer.explain(rows[0])  # compiled once for a model, not once for a row
    finding = proving = 0.0
    refused = done = 0
    builder = CertificateBuilder(path, model, explainer.space)
    explanations: list[Explanation | None] = []
    for row in rows:
        started = time.process_time()
        both = [explainer.explain(row, kind) for kind in ("axp", "cxp")]
        finding += time.process_time() - started
        explanations += both
        started = time.process_time()
        for explanation in both:
            if explanation is not None:
                try:
                    builder.add(explanation, meter=Budget(seconds=limit).start())
                except Unproved:
                    refused += 1
        proving += time.process_time() - started
        done += 1
        if finding + proving > limit:
            break
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "certificate.json"
        builder.write(file)
        started = time.process_time()
        verdict = check_certificate(file.read_text(), path.read_bytes())
        checking = time.process_time() - started
        size = file.stat().st_size
    return {
        "instances": done,
        "explanations": sum(e is not None for e in explanations),
        "checked": len(verdict.claims),
        "not_proved": refused,
        "with_open_elements": sum("not shown" in claim for claim in verdict.claims),
        "boxes": verdict.boxes,
        "refutations": verdict.refutations,
        "witnesses": verdict.witnesses,
        "kilobytes": round(size / 1024, 1),
        "finding_seconds": round(finding, 3),
        "proving_seconds": round(proving, 3),
        "checking_seconds": round(checking, 3),
        "checking_over_finding": round(checking / finding, 3),
        "checking_over_finding_and_proving": round(checking / (finding + proving), 3),
    }


if __name__ == "__main__":
    main()
