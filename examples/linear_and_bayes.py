"""Explain linear models and naive Bayes: smallest sets by sorting, behind a scaler as well."""

from __future__ import annotations

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import whyproof as wp

data = load_breast_cancer()
names = [str(name) for name in data.feature_names]
table = wp.read_table(data.data, names=names)

for estimator in (make_pipeline(StandardScaler(), LogisticRegression()), GaussianNB()):
    model = wp.load_model(estimator.fit(data.data, data.target))
    # Numbers between what the table shows; the pipeline's own columns, not scaled ones.
    explainer = wp.Explainer(model, wp.infer_space(table, model, ranges="data"))
    row = table.point(explainer.space, 0)
    why = explainer.smallest(row, "axp")
    flip = explainer.smallest(row, "cxp")
    assert why is not None and why.explanation is not None
    assert flip is not None and flip.explanation is not None
    label = data.target_names[int(why.explanation.problem.prediction)]
    print(f"{model.source}: {label}; {len(why.explanation)} of {len(names)} values force it")
    print(f"  (proved smallest: {why.proved}); to flip it, move {flip.explanation.features[0]}")
