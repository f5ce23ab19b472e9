"""DRAT proofs for certificates: the checker's own clauses, refuted by a fresh solver.

The clauses are not ours to choose: the checker writes them from the model file, and will
write them again.  For each rival we look for the coarsest grid of sums on which they have no
solution, since coarse grids make short proofs, and log how a solver refutes all together.
"""

from __future__ import annotations

import json
from fractions import Fraction

from whyproof.checker import Refused, Verdict
from whyproof.checker.decision import Decision
from whyproof.checker.document import Document
from whyproof.checker.reading import Predict, library_of, read_model
from whyproof.checker.terrain import Terrain
from whyproof.encodings.drat import DratProof, refute
from whyproof.engine.budget import Meter
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

__all__ = ["Refuter"]

_LEVELS = (1, 16, 64, 256, 1024)
"""Grids that are tried, coarsest first."""


class Refuter:
    """Proves entailment for one model and space; a proof is ready for JSON.

    Parameters
    ----------
    content
        The certificate as far as it goes, with the decisions to come left out.
    payload
        The model file's bytes.
    """

    def __init__(self, content: dict[str, object], payload: bytes) -> None:
        document = Document.read(json.dumps(content))
        names = [column.name for column in document.columns]
        model = read_model(payload, names, len(document.classes), document.base_score)
        self._document, self._model = document, model
        self._slack = max(Fraction(document.slack), model.rounding)
        self._predict: Predict | None = library_of(model, payload)[1]
        self._terrain = Terrain(document, model)
        self._open: tuple[ExplanationProblem, Decision] | None = None

    def prove(
        self, problem: ExplanationProblem, entry: object, free: FeatureSet, meter: Meter
    ) -> dict[str, object] | None:
        """Prove that nothing changes the decision while some features are free.

        Parameters
        ----------
        problem
            The decision.
        entry
            The same, as it will stand in the certificate.
        free
            Features that may move.
        meter
            Budget of the run.

        Returns
        -------
        dict or None
            `None` if no grid is fine enough, or the budget ended.
        """
        try:
            decision = self._decision(problem, entry)
            names = {problem.space.names[i] for i in free}
            levels = [1] * decision.n_rivals
            for rival in range(decision.n_rivals):
                if not self._refine(decision, names, levels, rival, meter):
                    return None
            found = refute(decision.clauses(names, levels), meter=meter)
            if isinstance(found, DratProof):
                return {"type": "drat", "levels": levels, "lines": [*found.lines]}
        except Refused:  # too many clauses: another kind of proof may do
            return None
        return None

    def _refine(
        self, decision: Decision, names: set[str], levels: list[int], rival: int, meter: Meter
    ) -> bool:
        """Set the level of one rival to the coarsest that refutes it."""
        for level in _LEVELS:
            levels[rival] = level
            if meter.exhausted() is not None:
                return False
            clauses = decision.clauses(names, levels, only=rival)
            if isinstance(refute(clauses, meter=meter), DratProof):
                return True
        return False

    def _decision(self, problem: ExplanationProblem, entry: object) -> Decision:
        if self._open is None or self._open[0] is not problem:
            decision = Decision(
                self._document,
                self._model,
                self._terrain,
                self._slack,
                self._predict,
                entry,
                Verdict(),
            )
            self._open = problem, decision
        return self._open[1]
