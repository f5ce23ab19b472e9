"""How far a class is behind: the validity hinge and its gradient.

The lead of the best rival is  max_{y != t} p(y | x) - p(t | x)  over probabilities, which
lie in [0, 1] as the paper states them, or over raw logits; a point is valid where it is
negative.  Source: the unified method, eq. (15); ours keeps the sign of negative logits (a mask
of zeros and ones before the maximum does not).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from whyproof.engine.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DifferentiableClassifier", "Form", "Lead"]

Form = Literal["probability", "logit"]
"""What leads are measured in."""


class DifferentiableClassifier(Protocol):
    """Logits of scaled rows that torch can differentiate."""

    @property
    def n_classes(self) -> int:
        """Number of logits, at least 2."""
        ...

    def logits(self, points: Tensor) -> Tensor:
        """Return one logit per class, shape ``(rows, classes)``."""
        ...


class Lead:
    """By how much the best rival leads over a target class.

    Parameters
    ----------
    classifier
        Differentiable.
    target
        Class index to reach.
    form
        Probabilities or logits.

    Examples
    --------
    >>> import torch
    >>> from whyproof.plausible.perceptron import Perceptron
    >>> lead = Lead(Perceptron.untrained(2, 2, hidden=(), seed=0), target=1)
    >>> value, slope = lead.value_and_gradient(torch.zeros(3, 2))
    >>> value.shape, slope.shape
    (torch.Size([3]), torch.Size([3, 2]))
    """

    def __init__(
        self, classifier: DifferentiableClassifier, target: int, form: Form = "probability"
    ) -> None:
        if not 0 <= target < classifier.n_classes:
            raise DataError(f"class {target} is not among the model's {classifier.n_classes}")
        self._classifier, self._target, self._form = classifier, target, form

    def value(self, points: Tensor) -> Tensor:
        """Return leads, shape ``(rows,)``."""
        import torch

        with torch.no_grad():
            return self.taped(points)

    def value_and_gradient(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return leads and their gradients, ``(rows,)`` and ``(rows, columns)``."""
        import torch

        leaf = points.detach().requires_grad_(True)
        lead = self.taped(leaf)
        (slope,) = torch.autograd.grad(lead.sum(), leaf)
        return lead.detach(), slope

    def value_and_direction(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return leads, and gradients of the same lead in logits.

        Where a classifier is sure, probabilities are flat to the last digit; logits are
        not, and with two classes their slopes point the same way.
        """
        import torch

        leaf = points.detach().requires_grad_(True)
        logits = self._classifier.logits(leaf)
        lead = self._ahead(logits)
        (slope,) = torch.autograd.grad(lead.sum(), leaf)
        if self._form == "probability":
            lead = self._ahead(logits.detach().softmax(1))
        return lead.detach(), slope

    def taped(self, points: Tensor) -> Tensor:
        """Return leads that torch can differentiate, shape ``(rows,)``."""
        logits = self._classifier.logits(points)
        return self._ahead(logits.softmax(1) if self._form == "probability" else logits)

    def _ahead(self, values: Tensor) -> Tensor:
        mine = values[:, self._target]
        if values.shape[1] == 2:
            return values[:, 1 - self._target] - mine
        rivals = values.clone()
        rivals[:, self._target] = float("-inf")
        return rivals.max(1).values - mine
