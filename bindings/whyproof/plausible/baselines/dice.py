"""DiCE through its own package, when it is installed.

Source: Mothilal, Sharma and Tan, "Explaining Machine Learning Classifiers through Diverse
Counterfactual Explanations", FAT* 2020.  The call is the public one, method ``random``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from whyproof.engine.errors import MissingExtraError

from ..backend import Array
from ..subject import Subject

__all__ = ["dice"]


class _Wrapped:
    """The model as DiCE calls a scikit-learn classifier."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.classes_ = np.arange(len(subject.classes))

    def predict(self, frame: Any) -> Any:  # noqa: ANN401
        return self._subject.says(np.asarray(frame, dtype=np.float64))

    def predict_proba(self, frame: Any) -> Any:  # noqa: ANN401
        return np.eye(len(self.classes_))[self.predict(frame)]


def dice(subject: Subject, data: Array, rows: Array, target: int, *, seed: int = 0) -> Array:
    """Return one point per row in units of the data; the row itself where none was found.

    Raises
    ------
    MissingExtraError
        Without ``dice_ml`` and pandas.
    """
    try:
        import dice_ml
        import pandas
        from raiutils.exceptions import UserConfigValidationException
    except ImportError as error:
        raise MissingExtraError("dice_ml", "peers", "compare with DiCE") from error
    names = [f"f{i}" for i in range(data.shape[1])]
    frame = pandas.DataFrame(data, columns=names)
    frame["outcome"] = subject.says(data)
    described = dice_ml.Data(dataframe=frame, continuous_features=names, outcome_name="outcome")
    model = dice_ml.Model(model=_Wrapped(subject), backend="sklearn")
    explainer = dice_ml.Dice(described, model, method="random")
    points = rows.copy()
    for i in range(len(rows)):
        query = pandas.DataFrame(rows[i : i + 1], columns=names)
        try:
            made = explainer.generate_counterfactuals(
                query, total_CFs=1, desired_class=target, random_seed=seed, verbose=False
            )
        except UserConfigValidationException:  # its way to say that none was found
            continue
        found = made.cf_examples_list[0].final_cfs_df
        if found is not None and len(found):
            points[i] = found[names].to_numpy(dtype=np.float64)[0]
    return points
