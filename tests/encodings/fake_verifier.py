"""A verifier for tests: reads ONNX and VNN-LIB, tries corners, answers as contests want it.

Usage: fake_verifier.py NETWORK SPEC RESULT MODE; modes: honest, liar, silent, slow, broken.
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

from whyproof.encodings.networks.vnnlib import read_vnnlib


def main(network: str, spec: str, result: str, mode: str) -> int:
    """Write a verdict; "unsat" only means that no corner answers (true for monotone nets)."""
    if mode == "slow":
        time.sleep(30)
    if mode == "broken":
        sys.stderr.write("out of licence\n")
        return 7
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    n, outputs = entry.shape[1], session.get_outputs()[0].shape[-1]
    lines = ["unsat"]
    for query in read_vnnlib(Path(spec), n, outputs):
        for corner in itertools.product((0, 1), repeat=n):
            x = np.where(np.array(corner) > 0, query.upper, query.lower).astype(np.float32)
            y = session.run(None, {entry.name: x[None]})[0].ravel()
            hit = any(bool((c.rows @ y + c.offset <= 0).all()) for c in query.cases)
            if hit or mode == "liar":
                values = " ".join(f"(X_{i} {v!r})" for i, v in enumerate(x.tolist()))
                lines = ["sat", f"({values})"]
                break
    Path(result).write_text("sat\n" if mode == "silent" else "\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
