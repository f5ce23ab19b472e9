"""``whyproof encode``: a problem in the format of another solver."""

from __future__ import annotations

from pathlib import Path

from whyproof.engine.errors import DataError, InputError

from .failures import ANSWERED
from .output import json_line, line
from .request import Request

__all__ = ["encode_command"]


def encode_command(request: Request, row: int, to: str, out: Path, *, as_json: bool) -> int:
    """Write one row's problem."""
    from whyproof.encodings.exchange import check_format, problem_text

    check_format(to)
    if out in (request.model, request.data):
        raise InputError(f"--out {out} would overwrite what is read; name another file")
    subject = request.open()
    problem = subject.explainer.problem(subject.instance(row))
    text = problem_text(problem, to)
    draft = out.with_name(f"{out.name}.part")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(out)
    except OSError as error:
        raise DataError(f"{out} cannot be written: {error.strerror}") from error
    if as_json:
        json_line(
            {
                "file": str(out),
                "format": to,
                "bytes": len(text.encode("utf-8")),
                "row": row,
                "prediction": problem.label,
                "model": problem.classifier.fingerprint,
            }
        )
        return ANSWERED
    line(f"Row {row}: the model says {problem.label}.")
    line(f"{out}: {len(text)} characters; the key to its variables is in the comments.")
    return ANSWERED
