"""``whyproof check``, and what ``--certify`` does behind other commands."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from whyproof.engine.errors import DataError, InputError

from .failures import ANSWERED
from .output import counted, json_line, line, paragraph

if TYPE_CHECKING:
    from whyproof.checker import Verdict
    from whyproof.engine.explanation import Explanation

    from .request import Subject

__all__ = ["certificate", "certified", "check_command"]

_MAX_BYTES = 1 << 30


def check_command(file: Path, model: Path, *, replay: bool, as_json: bool) -> int:
    """Verify a certificate."""
    from whyproof.checker import Refused, check_certificate
    from whyproof.network_check import check_network_certificate, is_network_certificate

    try:
        text = _read(file).decode("utf-8")
        if is_network_certificate(text):
            verdict = check_network_certificate(text, _read(model))
        else:
            verdict = check_certificate(text, _read(model), replay=replay)
    except UnicodeDecodeError:
        raise DataError(f"{file} is no certificate: it is not text") from None
    except Refused as reason:
        raise InputError(f"not proved: {reason}") from None
    if as_json:
        json_line({"proved": True, **_summary(verdict), "claims": verdict.claims})
        return ANSWERED
    line(f"Proved: {counted(len(verdict.claims), 'claim')}.")
    for claim in verdict.claims:
        paragraph(claim, "  ")
    for sentence in verdict.semantics:
        paragraph(sentence)
    paragraph(
        f"Added up: {counted(verdict.boxes, 'box')}; replayed: "
        f"{counted(verdict.refutations, 'DRAT proof')}; evaluated: "
        f"{counted(verdict.witnesses, 'point')}; compared with the model's own library: "
        f"{counted(verdict.replayed, 'answer')}."
    )
    return ANSWERED


def certificate(
    subject: Subject, explanations: Iterable[Explanation], file: Path
) -> dict[str, object]:
    """Write a certificate and return what a check of it says, ready for JSON."""
    from whyproof.certificates import certify

    request = subject.request
    verdict = certify(explanations, request.model, file, proofs=request.proofs)
    return {"file": str(file), **_summary(verdict)}


def certified(summary: object) -> None:
    """Say where a certificate was written."""
    if isinstance(summary, dict):
        refuted = summary["refutations"]
        boxes = counted(int(str(summary["boxes"])), "box")
        how = boxes + (f", {counted(refuted, 'refutation')}" if refuted else "")
        line(f"Certificate: {summary['file']} ({how}), checked.")


def _summary(verdict: Verdict) -> dict[str, object]:
    return {
        "boxes": verdict.boxes,
        "refutations": verdict.refutations,
        "witnesses": verdict.witnesses,
        "replayed": verdict.replayed,
        "semantics": verdict.semantics,
    }


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} is larger than 1 GiB")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
