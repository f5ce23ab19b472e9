"""`FoldSE`: rules learnt from a table, as a scikit-learn estimator.

The estimator protocol is followed without importing scikit-learn: clone, pipelines, grid
search and the conformance suite work when it is there, and nothing is missing when it is
not.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from whyproof.asp.rules.rule import Rule, RuleSet
from whyproof.asp.rules.table import Table
from whyproof.asp.rules.values import Value, text_of
from whyproof.engine.errors import InputError, WhyproofWarning
from whyproof.engine.names import did_you_mean

from .assembly import Order, PriorRule, draft_rules
from .examples import Examples
from .heuristics import heuristic_named
from .induction import Inducer
from .inputs import column_names, read_classes, read_features, read_weights
from .measure import MeasuredRules, measured

__all__ = ["FoldSE"]


class FoldSE:
    """Learn default rules with exceptions.

    Parameters
    ----------
    heuristic
        How literals are judged: ``"entropy"``, ``"gini"``, ``"power"`` or ``"power(b)"``
        with ``0 < b <= 1``; see `whyproof.asp.learning.heuristics`.
    ratio
        Most wrong rows per right one that a rule may have before exceptions are learnt,
        0 or more.
    tail
        Least share of all rows that a rule or an exception must cover, in [0, 1).
    order
        For two classes: ``"one-class"`` learns rules for one class, the other is the
        default; ``"ordered"`` learns a list of rules for both; ``"auto"`` is the former
        while its default meets `ratio`.  More classes are always ordered.
    target
        With two classes, the class that rules are learnt for; the larger one by default.
    prior
        Rules that are known beforehand, before all learnt ones.
    prior_is_fixed
        Whether they stay as they are; otherwise the data may add literals and exceptions
        to them and drop them.
    label
        What the rules decide, for their heads.

    Attributes
    ----------
    rules_ : RuleSet
        The rules, each with the rows of the training data that it decided.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if the data had any.

    Notes
    -----
    The result depends on nothing but the data and the parameters: ties go to the first
    feature, then ``=<``, ``not =<``, ``=``, ``!=``, then the smallest value.

    Missing values are values of their own.  A number is compared by size, everything
    else by equality; a column may hold both.

    Source: FOLD-SE (Wang and Gupta, 2023), rebuilt from its description and published
    rules; its own heuristic is not published with code, see `heuristic`.

    Examples
    --------
    >>> X = {"kind": ["bird", "bird", "bird", "cat"] * 9, "penguin": ["no", "no", "yes", "no"] * 9}
    >>> learner = FoldSE().fit(X, ["flies", "flies", "walks", "walks"] * 9)
    >>> print(learner.rules_.rules[0])
    label = flies if kind = bird and penguin != yes
    >>> learner.predict({"kind": ["bird"], "penguin": ["yes"]}).tolist()
    ['walks']
    """

    _estimator_type = "classifier"

    def __init__(
        self,
        *,
        heuristic: str = "power",
        ratio: float = 0.5,
        tail: float = 0.005,
        order: Order = "auto",
        target: object = None,
        prior: RuleSet | Sequence[Rule] | None = None,
        prior_is_fixed: bool = True,
        label: str = "label",
    ) -> None:
        self.heuristic = heuristic
        self.ratio = ratio
        self.tail = tail
        self.order: Order = order
        self.target = target
        self.prior = prior
        self.prior_is_fixed = prior_is_fixed
        self.label = label

    def fit(self, X: object, y: object, sample_weight: object = None) -> Self:
        """Learn rules.

        Parameters
        ----------
        X
            A frame, a mapping from names to columns, a `Table` or a two-dimensional array;
            `None`, NaN and ``""`` are missing values.
        y
            One label per row, at least two different ones.
        sample_weight
            One non-negative weight per row.

        Raises
        ------
        InputError
            If parameters, features, labels or weights cannot be used.
        """
        self._check_parameters()
        table = read_features(X)
        classes, labels, values = read_classes(y, table.n_rows)
        weights = read_weights(sample_weight, table.n_rows)
        if weights is not None:
            if (weights == 0).any():
                present = weights > 0
                table, labels, weights = table.take(present), labels[present], weights[present]
            if (weights == weights[0]).all() and weights[0] == 1:
                weights = None
        self._remember_names(X)
        return self._learn(table, labels, weights, classes, values)

    def fit_measured(
        self,
        X: object,
        y: object,
        n_real: int,
        weight: float = 1.0,
    ) -> Self:
        """Learn from real and made-up rows, and measure rules on the real ones.

        Parameters
        ----------
        X, y
            As for `fit`; the first `n_real` rows are real.
        n_real
            Number of real rows: what rules are right on is counted on them alone, and
            rules that decide none of them are dropped.
        weight
            Weight of a made-up row while rules are learnt; a real one weighs 1.
        """
        self._check_parameters()
        table = read_features(X)
        classes, labels, values = read_classes(y, table.n_rows)
        self._remember_names(X)
        weights = np.where(np.arange(table.n_rows) < n_real, 1.0, weight)
        return self._learn(table, labels, weights, classes, values, n_real)

    def _learn(
        self,
        table: Table,
        labels: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float64] | None,
        classes: npt.NDArray[Any],
        values: list[Value],
        n_real: int | None = None,
    ) -> Self:
        if len(np.unique(labels)) < 2:
            raise InputError(
                f"found 1 class only, {values[int(labels[0])]!r}; rules need rows of at least "
                "two classes"
            )
        self.classes_ = classes
        self.n_features_in_ = len(table)
        self._names = table.names
        target = self._class_index(self.target) if self.target is not None else None
        examples = Examples.of(table, weights)
        total = float(table.n_rows) if weights is None else float(weights.sum())
        heuristic = heuristic_named(self.heuristic)
        inducer = Inducer(examples, heuristic, float(self.ratio), float(self.tail) * total)
        prior = [] if self.prior is None else list(_rules_of(self.prior))
        draft = draft_rules(
            table,
            examples,
            labels,
            len(classes),
            inducer,
            order=self.order,
            target=target,
            prior=[self._prior_rule(rule, table) for rule in prior],
        )
        if n_real is not None:
            real = np.arange(n_real)
            table, labels, weights = table.take(real), labels[:n_real], None
        self._learnt = measured(
            draft, table, labels, weights, values, self.label, [rule.name for rule in prior]
        )
        self.rules_ = self._learnt.rules
        dropped = len(prior) - sum(rule.source is not None for rule in draft.rules)
        if dropped:
            warnings.warn(
                f"{dropped} of {len(prior)} given rules cover too few rows of their class and "
                "were dropped; fix them to keep them",
                WhyproofWarning,
                stacklevel=3,
            )
        return self

    def predict(self, X: object) -> npt.NDArray[Any]:
        """Return the class of each row, shape ``(rows,)``."""
        labels = self._fitted().labels[self.decisions(X)]
        return np.asarray(self.classes_[labels])

    def predict_proba(self, X: object) -> npt.NDArray[np.float64]:
        """Return class probabilities, shape ``(rows, classes)``.

        They are the shares of the classes among the training rows that the deciding rule
        decided, so the probability of the rule's class is its confidence.
        """
        return self._fitted().probabilities()[self.decisions(X)]

    def predict_log_proba(self, X: object) -> npt.NDArray[np.float64]:
        """Return the logarithms of the class probabilities."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def decisions(self, X: object) -> npt.NDArray[np.int64]:
        """Return which rule decides each row, the number of rules for the default."""
        learnt = self._fitted()
        firing = learnt.rules.firing(self._table(X))
        return np.where(firing < 0, len(learnt.rules.rules), firing)

    def score(self, X: object, y: object, sample_weight: object = None) -> float:
        """Return the accuracy."""
        right = self.predict(X) == np.asarray(y)
        weights = read_weights(sample_weight, len(right))
        return float(np.average(right, weights=weights))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name; `deep` is part of the protocol and changes nothing."""
        return {name: getattr(self, name) for name in _PARAMETERS}

    def set_params(self, **parameters: object) -> Self:
        """Set parameters by name.

        Raises
        ------
        InputError
            For an unknown name.
        """
        for name, value in parameters.items():
            if name not in _PARAMETERS:
                raise InputError(
                    f"FoldSE has no parameter {name!r}{did_you_mean(name, _PARAMETERS)}"
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = FoldSE().get_params()
        changed = (
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if value is not defaults[name] and value != defaults[name]
        )
        return f"FoldSE({', '.join(changed)})"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_learnt")

    def __sklearn_tags__(self) -> object:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            transformer_tags=None,
            classifier_tags=ClassifierTags(),
            regressor_tags=None,
            input_tags=InputTags(allow_nan=True, string=True, categorical=True),
        )

    def _fitted(self) -> MeasuredRules:
        if not hasattr(self, "_learnt"):
            raise _not_fitted()
        return self._learnt

    def _table(self, data: object) -> Table:
        self._fitted()
        names = column_names(data)
        table = read_features(data, None if names else self._names_for(data))
        if self.__dict__.get("feature_names_in_") is not None and names is not None:
            self._check_names(names)
        elif len(table) != self.n_features_in_:
            raise InputError(
                f"X has {len(table)} features, but FoldSE is expecting {self.n_features_in_} "
                "features as input"
            )
        elif table.names != self._names:
            table = Table(
                {name: table[given] for name, given in zip(self._names, table.names, strict=True)}
            )
        return table

    def _names_for(self, data: object) -> Sequence[str] | None:
        shape = getattr(data, "shape", None)
        if shape is not None and len(shape) == 2 and shape[1] == self.n_features_in_:
            return self._names
        return None

    def _remember_names(self, data: object) -> None:
        names = column_names(data)
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _check_names(self, names: Sequence[str]) -> None:
        expected = self.feature_names_in_.tolist()
        if list(names) == expected:
            return
        message = "The feature names should match those that were passed during fit.\n"
        unexpected = sorted(set(names) - set(expected))
        missing = sorted(set(expected) - set(names))
        if unexpected:
            message += "Feature names unseen at fit time:\n" + _listed(unexpected)
        if missing:
            message += "Feature names seen at fit time, yet now missing:\n" + _listed(missing)
        if not unexpected and not missing:
            message += "Feature names must be in the same order as they were in fit.\n"
        raise InputError(message)

    def _check_parameters(self) -> None:
        heuristic_named(self.heuristic)
        for name, low, high in (("ratio", 0.0, np.inf), ("tail", 0.0, 1.0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
                raise InputError(f"{name} is a number, found {value!r}")
            if not low <= float(value) < high:
                raise InputError(f"{name} lies in [{low:g}, {high:g}), found {value!r}")
        if self.order not in ("auto", "one-class", "ordered"):
            raise InputError(
                f"no order {self.order!r}; known are 'auto', 'one-class' and 'ordered'"
            )

    def _class_index(self, value: object) -> int:
        texts = [text_of(known) for known in self.classes_.tolist()]
        wanted = text_of(value.item() if isinstance(value, np.generic) else value)
        if wanted not in texts:
            raise InputError(f"no class {value!r}{did_you_mean(wanted, texts)}")
        if len(texts) > 2:
            raise InputError("a target class is for two classes; leave it out, or merge the others")
        return texts.index(wanted)

    def _prior_rule(self, rule: Rule, table: Table) -> PriorRule:
        for feature in rule.features:
            table.column(feature)
        texts = [text_of(known) for known in self.classes_.tolist()]
        head = text_of(rule.head.values[0])
        if rule.head.feature != self.label or head not in texts:
            raise InputError(
                f"the given rule concludes {rule.head}, but rules conclude {self.label} = one of "
                f"{', '.join(texts)}"
            )
        return PriorRule(texts.index(head), rule.body, self.prior_is_fixed)


_PARAMETERS = (
    "heuristic",
    "label",
    "order",
    "prior",
    "prior_is_fixed",
    "ratio",
    "tail",
    "target",
)


def _rules_of(prior: RuleSet | Sequence[Rule]) -> Sequence[Rule]:
    return prior.rules if isinstance(prior, RuleSet) else prior


def _listed(names: Sequence[str]) -> str:
    return "".join(f"- {name}\n" for name in names)


def _not_fitted() -> Exception:
    """Return scikit-learn's own error where it is in use."""
    message = "This FoldSE instance is not fitted yet; call fit first"
    if "sklearn" in sys.modules:
        from sklearn.exceptions import NotFittedError

        error: Exception = NotFittedError(message)
        return error
    return InputError(message)
