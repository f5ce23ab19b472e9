"""Checking a certificate: every claim of every decision, or the first reason to refuse it."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from fractions import Fraction

from .decision import Decision
from .document import Document
from .model import TreeModel
from .reading import library_of, read_model
from .refusal import Refused
from .statement import in_words
from .terrain import Terrain
from .verdict import Verdict

__all__ = ["check_certificate"]


def check_certificate(text: str, model: bytes, *, replay: bool = True) -> Verdict:
    """Check a certificate against a model file.

    Parameters
    ----------
    text
        The certificate.
    model
        The model file's bytes.
    replay
        Also run each witness on the model's own library, if it is installed.

    Raises
    ------
    Refused
        With the first thing that is not as claimed.
    """
    with _no_collections():
        return _check(text, model, replay)


@contextmanager
def _no_collections() -> Generator[None, None, None]:
    """Let the collector of cycles rest: a check makes many small objects and no cycles."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _check(text: str, model: bytes, replay: bool) -> Verdict:
    document = Document.read(text)
    if document.model_hash != "sha256:" + hashlib.sha256(model).hexdigest():
        raise Refused("the certificate is about another model file: the hashes differ")
    names = [column.name for column in document.columns]
    read = read_model(model, names, len(document.classes), document.base_score)
    if read.n_columns > len(names) or (read.kind != "ONNX" and read.n_columns != len(names)):
        raise Refused(f"the model has {read.n_columns} columns, the certificate {len(names)}")
    if read.n_classes != len(document.classes):
        raise Refused(f"the model has {read.n_classes} classes, not {len(document.classes)}")
    library, predict = library_of(read, model) if replay else ("not asked", None)
    # Never trust the certificate's slack to be large enough.
    slack = max(Fraction(document.slack), read.rounding)
    verdict = Verdict(semantics=_semantics(read, slack, library))
    terrain = Terrain(document, read)
    if terrain.statements:
        verdict.semantics.append(
            "Points that break a constraint do not count; the constraints are, re-checked in exact "
            "rationals: "
            + "; ".join(
                f"{name!r}, that is {in_words(s, document.columns)}"
                for name, s in terrain.statements
            )
            + "."
        )
    own = read.labels or tuple(str(k) for k in range(read.n_classes))
    if own != document.classes:
        named = ", ".join(f"{a} {b}" for a, b in zip(own, document.classes, strict=True))
        verdict.semantics.append(f"Classes are called by the certificate's own names: {named}.")
    for position, entry in enumerate(document.decisions):
        try:
            Decision(document, read, terrain, slack, predict, entry, verdict).check()
        except Refused as reason:
            raise Refused(f"decision {position}: {reason}") from None
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise Refused(f"decision {position} is damaged ({error!r})") from None
    return verdict


def _semantics(model: TreeModel, slack: Fraction, library: str) -> list[str]:
    rule = {
        "argmax": "the first class with the largest sum",
        "positive": "class 1 where the sum is above zero",
        "value": "the sum itself",
    }[model.rule]
    sums = f"averages of {model.divisor} trees" if model.divisor > 1 else "sums of leaves"
    return [
        f"The model is the {model.kind} file: {len(model.trees)} trees, {sums} over its own "
        f"constants in exact rationals; it decides for {rule}.",
        f"Inputs are rounded to {model.precision} before they are compared, as the model does.",
        "All its sums are exact in floating point: no slack is needed."
        if not slack
        else f"Proofs hold outside a slack of {float(slack):.3g} for {model.precision} rounding.",
        f"The model's own library: {library}.",
    ]
