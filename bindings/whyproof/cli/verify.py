"""``whyproof verify``: a network against a VNN-LIB specification."""

from __future__ import annotations

from pathlib import Path

from .failures import ANSWERED, PARTIAL
from .output import json_line, line

__all__ = ["verify_command"]


def verify_command(
    model: Path,
    specification: Path,
    *,
    seconds: float,
    verifier: str | None = None,
    as_json: bool,
) -> int:
    """Decide whether some input satisfies the specification."""
    from whyproof.encodings.networks.classifier import NetworkClassifier
    from whyproof.encodings.networks.vnnlib import read_vnnlib
    from whyproof.engine.errors import MissingExtraError

    try:
        from whyproof.encodings.networks.verification import Outcome, verify
    except ImportError as error:
        raise MissingExtraError("torch", "neural", "verify networks") from error
    network = NetworkClassifier.load(model)
    queries = read_vnnlib(specification, network.n_columns, network.graph.n_outputs)
    if verifier is None:
        found = verify(network, queries, seconds=seconds)
    else:
        from whyproof.encodings.networks.external import CommandVerifier, verify_by
        from whyproof.encodings.networks.marabou import MarabouVerifier

        other = MarabouVerifier() if verifier == "marabou" else CommandVerifier(verifier)
        found = verify_by(other, network, queries, seconds=seconds)
    if as_json:
        json_line(
            {
                "result": str(found.outcome),
                "input": None if found.witness is None else found.witness.tolist(),
                "output": None if found.outputs is None else found.outputs.tolist(),
                "margin": found.margin,
                "reason": found.reason,
                "boxes": found.nodes,
                "cpu_seconds": round(found.cpu_seconds, 3),
                "model": network.fingerprint,
            }
        )
    else:
        line(str(found.outcome))
        if found.witness is not None and found.outputs is not None:
            values = [*_named("X", found.witness.tolist()), *_named("Y", found.outputs.tolist())]
            line("(" + "\n ".join(values) + ")")
        elif found.reason:
            line(f"; {found.reason}")
        elif verifier is not None:
            line("; the word of another program, which comes without a certificate")
        elif found.margin is not None:
            line(f"; proved with a margin of {found.margin:.6g}, {found.nodes} boxes bounded")
    return PARTIAL if found.outcome is Outcome.UNKNOWN else ANSWERED


def _named(name: str, values: list[float]) -> list[str]:
    return [f"({name}_{i} {value!r})" for i, value in enumerate(values)]
