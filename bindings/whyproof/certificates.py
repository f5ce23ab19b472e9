"""Certificates: explanations with proofs that a program without any search can check.

builder = CertificateBuilder("model.json", model, space)
builder.add(explanation)
builder.write("why.certificate.json")

Proofs are made after the fact: the fast oracle has answered, and what it answered is proved
again in a form that is easily checked.  The file format is in ``docs/certificates.md``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from whyproof.checker import Refused, Verdict, check_certificate
from whyproof.checker.document import FORMAT, UNDER_CONSTRAINTS, VERSION, digest_of
from whyproof.checker.drat import can_replay
from whyproof.encodings.networks.graph import NetworkGraph
from whyproof.encodings.trees.box_proof import MAX_BOXES, BoxProver
from whyproof.encodings.trees.boxes import LeafBoxes
from whyproof.encodings.trees.constrained import ConstrainedTreeOracle
from whyproof.encodings.trees.ensemble import TreeEnsemble
from whyproof.encodings.trees.oracle import TreeOracle
from whyproof.encodings.trees.program import TreeProgram
from whyproof.engine.answers import Answer, Counterexample, Unknown
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.classifier import Classifier
from whyproof.engine.errors import DataError, InputError, UnsupportedError, WhyproofError
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet, FeatureSpace, Point
from whyproof.refutations import Refuter

from .certificate_json import changes_json, decision_json, proof_json, space_json

__all__ = ["PROOFS", "CertificateBuilder", "Unproved", "certify"]

PROOFS = ("auto", "boxes", "drat")
"""Kinds of proofs that can be chosen."""

_FEW_BOXES = 1_000
"""Larger box proofs are looked for only after clauses were tried."""


class Unproved(WhyproofError, RuntimeError):
    """No certificate could be made within the limits."""


class CertificateBuilder:
    """Collects explanations of one model over one space into a certificate.

    Parameters
    ----------
    model_file
        The file that the certificate is about, as it will be given to the checker.
    model, space
        What was explained.
    base_score
        As given to `load_model`, for XGBoost's text dumps.
    max_boxes
        Largest proof.
    proofs
        ``"boxes"``; ``"drat"`` for clauses that a solver refuted, where those do not settle a
        claim boxes all the same; or ``"auto"`` for boxes as long as they are few and, if there
        is a program that replays DRAT, clauses where they are not.

    Raises
    ------
    InputError
        For an unknown kind of proof.
    UnsupportedError
        If the model is no tree ensemble.
    """

    def __init__(
        self,
        model_file: str | os.PathLike[str],
        model: Classifier,
        space: FeatureSpace,
        *,
        base_score: float | None = None,
        max_boxes: int = MAX_BOXES,
        proofs: str = "auto",
    ) -> None:
        if proofs not in PROOFS:
            raise InputError(f"no kind of proof {proofs!r}; known are {', '.join(PROOFS)}")
        structure = model.structure
        if not isinstance(structure, TreeEnsemble):
            raise UnsupportedError("certificates are for tree ensembles; this model is none")
        if space.constraints and proofs == "drat":
            raise UnsupportedError(
                "DRAT proofs know no constraints over features; leave the kind of proof out, or "
                "ask for boxes"
            )
        if structure.link != "identity":
            raise UnsupportedError(
                f"the outcome is the {structure.link} of a sum of leaves, which exact rationals "
                "cannot follow; certificates are for classes and plain sums"
            )
        try:
            self._payload = Path(model_file).read_bytes()
        except OSError as error:
            raise DataError(f"{model_file} cannot be read: {error.strerror}") from error
        self._model, self._space, self._slack = model, space, structure.slack
        self._base_score, self._max_boxes = base_score, max_boxes
        self._program = TreeProgram(LeafBoxes.of(structure, space))
        self._decisions: list[tuple[ExplanationProblem, list[dict[str, object]]]] = []
        self._tools: tuple[BoxProver, TreeOracle] | None = None
        self._refuter: Refuter | None = None
        self._few_boxes = 0 if proofs == "drat" else min(_FEW_BOXES, max_boxes)
        if proofs == "drat" or (proofs == "auto" and can_replay() and not space.constraints):
            try:
                self._refuter = Refuter(self._content([]), self._payload)
            except Refused as reason:
                if proofs == "drat":
                    raise UnsupportedError(f"the checker cannot read it: {reason}") from None

    def begin(self) -> None:
        """Forget what was collected: begin another certificate of the same model and space."""
        self._decisions, self._tools = [], None

    def add(self, explanation: Explanation, *, meter: Meter | None = None) -> None:
        """Prove an explanation again and add it.

        Elements that the limits did not allow to prove needed are listed as open.

        Parameters
        ----------
        explanation
            Of this model over this space.
        meter
            Budget of the run.

        Raises
        ------
        Unproved
            If its main claim was not proved within the limits.
        """
        problem = explanation.problem
        if problem.classifier is not self._model or problem.space is not self._space:
            raise InputError("the explanation is of another model or space than the certificate")
        if isinstance(explanation.evidence, Unknown):
            raise Unproved("an explanation that was not shown to be one cannot be certified")
        if not self._decisions or self._decisions[-1][0] is not problem:
            same = [d for d in self._decisions if _alike(d[0], problem)]
            if same:
                self._decisions.remove(same[0])
            self._decisions.append(same[0] if same else (problem, []))
            problem = self._decisions[-1][0]
            witnesses = ConstrainedTreeOracle if self._space.constraints else TreeOracle
            self._tools = (
                BoxProver(problem, self._program.boxes),
                witnesses(problem, self._program),
            )
        claims = self._decisions[-1][1]
        meter = meter or Budget().start()
        if explanation.kind is Kind.AXP:
            claims.append(self._abductive(problem, explanation, meter))
        else:
            claims.append(self._contrastive(problem, explanation, meter))

    def add_claim(self, problem: ExplanationProblem, claim: dict[str, object]) -> None:
        """Add a claim about a decision that was proved elsewhere; `check` will see to it."""
        same = [d for d in self._decisions if _alike(d[0], problem)]
        if same:
            same[0][1].append(claim)
        else:
            self._decisions.append((problem, [claim]))

    def content(self) -> dict[str, object]:
        """Return the certificate, ready for JSON.

        Raises
        ------
        InputError
            If nothing was added.
        """
        if not self._decisions:
            raise InputError("there is nothing to certify: no explanation was found")
        return self._content(
            [decision_json(problem, claims) for problem, claims in self._decisions]
        )

    def _content(self, decisions: list[dict[str, object]]) -> dict[str, object]:
        content: dict[str, object] = {
            "format": FORMAT,
            "version": UNDER_CONSTRAINTS if self._space.constraints else VERSION,
            "model": {
                "hash": "sha256:" + hashlib.sha256(self._payload).hexdigest(),
                "classes": [str(label) for label in self._model.classes],
                "base_score": self._base_score,
            },
            "slack": self._slack,
            "space": space_json(self._space),
            "decisions": decisions,
        }
        return {**content, "digest": digest_of(content)}

    def check(self) -> Verdict:
        """Check what was collected, as anyone else would.

        Raises
        ------
        Unproved
            With the checker's reason.
        """
        try:
            return check_certificate(_text(self.content()), self._payload)
        except Refused as reason:
            raise Unproved(f"the checker does not accept the certificate: {reason}") from None

    def write(self, path: str | os.PathLike[str]) -> Verdict:
        """Check the certificate and write it, all or nothing."""
        verdict = self.check()
        _replace(Path(path), _text(self.content()))
        return verdict

    def write_each(self, files: Iterable[tuple[Point, Path]]) -> Verdict:
        """Check all decisions at once, then write each of them as a certificate of its own.

        Parameters
        ----------
        files
            An instance and the file for its decision, for each that is wanted.

        Raises
        ------
        InputError
            If nothing was added about an instance.
        """
        verdict = self.check()
        for instance, path in files:
            about = [d for d in self._decisions if _same(d[0].instance, instance)]
            if not about:
                raise InputError(f"nothing was certified about the instance of {path}")
            decisions = [decision_json(problem, claims) for problem, claims in about]
            _replace(path, _text(self._content(decisions)))
        return verdict

    def _abductive(
        self, problem: ExplanationProblem, found: Explanation, meter: Meter
    ) -> dict[str, object]:
        free = problem.universe - found.members
        proof = self._prove(problem, free, meter)
        if isinstance(proof, Unknown):
            raise Unproved(f"no proof was found: {proof.detail or proof.reason}")
        witnesses: dict[str, object] = {}
        unsure: list[str] = []
        for member, name in zip(found.indices, found.features, strict=True):
            answer = self._witness(found.necessity.get(member), free | {member}, meter)
            if isinstance(answer, Counterexample):
                witnesses[name] = changes_json(problem, answer.point)
            else:
                unsure.append(name)
        return {
            "kind": "axp",
            "features": list(found.features),
            "open": unsure,
            "proof": proof,
            "witnesses": witnesses,
        }

    def _contrastive(
        self, problem: ExplanationProblem, found: Explanation, meter: Meter
    ) -> dict[str, object]:
        answer = self._witness(found.evidence, found.members, meter)
        if not isinstance(answer, Counterexample):
            raise Unproved("no counterexample was found")
        proofs: dict[str, object] = {}
        unsure: list[str] = []
        for member, name in zip(found.indices, found.features, strict=True):
            proof = None
            if member not in found.open:
                proof = self._prove(problem, found.members - {member}, meter)
            if proof is None or isinstance(proof, Unknown):
                unsure.append(name)
            else:
                proofs[name] = proof
        return {
            "kind": "cxp",
            "features": list(found.features),
            "open": unsure,
            "witness": changes_json(problem, answer.point),
            "proofs": proofs,
        }

    def _prove(
        self, problem: ExplanationProblem, free: FeatureSet, meter: Meter
    ) -> dict[str, object] | Unknown:
        assert self._tools is not None  # set when the first explanation was added
        if self._refuter is not None:
            if self._few_boxes:
                short = self._tools[0].prove(free, meter, self._few_boxes)
                if not isinstance(short, Unknown):
                    return proof_json(short, self._space)
            refuted = self._refuter.prove(problem, decision_json(problem, []), free, meter)
            if refuted is not None:
                return refuted
        proof = self._tools[0].prove(free, meter, self._max_boxes)
        return proof if isinstance(proof, Unknown) else proof_json(proof, self._space)

    def _witness(self, known: Answer | None, free: FeatureSet, meter: Meter) -> Answer | None:
        """Return a counterexample that moves `free` only: a known one, or a new one."""
        if isinstance(known, Counterexample) and known.moved <= free:
            return known
        assert self._tools is not None  # set when the first explanation was added
        return self._tools[1].decide([free], meter)[0]


def certify(
    explanations: Iterable[Explanation],
    model_file: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    base_score: float | None = None,
    proofs: str = "auto",
    budget: Budget | None = None,
) -> Verdict:
    """Write a certificate of explanations of one model, after checking it.

    Parameters
    ----------
    explanations
        At least one; all of the same model and space.
    model_file
        The model's file.
    path
        File to write.
    base_score
        As given to `load_model`, for XGBoost's text dumps.
    proofs
        ``"auto"``, ``"boxes"`` or ``"drat"``, as for `CertificateBuilder`.
    budget
        Limits.

    Returns
    -------
    Verdict
        What an independent check of the file says.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from xgboost import XGBClassifier
    >>> from whyproof import Explainer, load_model
    >>> x, y = load_iris(return_X_y=True)
    >>> folder = Path(tempfile.mkdtemp())
    >>> XGBClassifier(n_estimators=5, max_depth=2).fit(x, y).save_model(folder / "iris.json")
    >>> explainer = Explainer(load_model(folder / "iris.json"))
    >>> why = explainer.explain(x[0], "axp")
    >>> certify([why], folder / "iris.json", folder / "why.json").claims
    ['fixing x2 forces 0, in 1 box; no element can be left out']
    """
    listed = list(explanations)
    if not listed:
        raise InputError("there is nothing to certify: no explanation was given")
    first = listed[0].problem
    if isinstance(first.classifier.structure, NetworkGraph):
        from .network_certificates import certify_network

        return certify_network(listed, model_file, path, budget=budget)
    builder = CertificateBuilder(
        model_file, first.classifier, first.space, base_score=base_score, proofs=proofs
    )
    meter = (budget or Budget()).start()
    for explanation in listed:
        builder.add(explanation, meter=meter)
    return builder.write(path)


def _replace(target: Path, text: str) -> None:
    """Write a file, all of it or nothing."""
    draft = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        draft.write_text(text + "\n", encoding="utf-8")
        draft.replace(target)
    except OSError as error:
        raise DataError(f"{target} cannot be written: {error.strerror}") from error


def _same(one: Point, other: Point) -> bool:
    return np.array_equal(one, other, equal_nan=True)


def _alike(one: ExplanationProblem, other: ExplanationProblem) -> bool:
    """Tell whether two problems ask the same about the same instance."""
    return (
        np.array_equal(one.instance, other.instance, equal_nan=True)
        and one.question == other.question
        and one.region is other.region
    )


def _text(content: dict[str, object]) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False)
