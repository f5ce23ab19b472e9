"""Replay: no counterexample leaves the engine before the model that runs has confirmed it.

Searches use counterexamples freely as hints.  What is handed out, as evidence of an
explanation or of the necessity of its elements, passes through here, in one batch for
each explanation.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from .answers import Answer, Counterexample
from .explanation import Explanation
from .problem import ExplanationProblem

__all__ = ["Replay"]


class Replay:
    """Confirms counterexamples of one problem, each of them once.

    Parameters
    ----------
    problem
        Its classifier is the model that runs.
    """

    def __init__(self, problem: ExplanationProblem) -> None:
        self._problem = problem
        # Keyed by identity; holding the original keeps its identity taken.
        self._confirmed: dict[int, tuple[Counterexample, Counterexample]] = {}

    def explanation(self, explanation: Explanation) -> Explanation:
        """Return an explanation whose counterexamples the model has confirmed.

        Raises
        ------
        ReplayError
            If the model contradicts one: a defect, never an answer.
        """
        return self.explanations([explanation])[0]

    def explanations(self, explanations: Collection[Explanation]) -> list[Explanation]:
        """Confirm several explanations with one run of the model; see `explanation`."""
        self._confirm(
            [
                answer
                for explanation in explanations
                for answer in (explanation.evidence, *explanation.necessity.values())
                if isinstance(answer, Counterexample)
            ]
        )
        return [
            replace(
                explanation,
                evidence=self._known(explanation.evidence),
                necessity={i: self._known(a) for i, a in explanation.necessity.items()},
            )
            for explanation in explanations
        ]

    def answer(self, answer: Answer) -> Answer:
        """Return an answer that the model has confirmed if it is a counterexample."""
        if isinstance(answer, Counterexample):
            self._confirm([answer])
        return self._known(answer)

    def _confirm(self, found: list[Counterexample]) -> None:
        fresh = list({id(c): c for c in found if id(c) not in self._confirmed}.values())
        if not fresh:
            return
        points = np.stack([c.point for c in fresh])
        outcomes = self._problem.replay_all(points, [c.moved for c in fresh])
        for original, outcome in zip(fresh, outcomes.tolist(), strict=True):
            same = original.outcome == outcome
            confirmed = original if same else replace(original, outcome=float(outcome))
            self._confirmed[id(original)] = (original, confirmed)
            self._confirmed[id(confirmed)] = (confirmed, confirmed)

    def _known(self, answer: Answer) -> Answer:
        if isinstance(answer, Counterexample):
            return self._confirmed[id(answer)][1]
        return answer
