"""Explain one tree, a vote of trees, a calibrated model and nearest neighbours."""

from __future__ import annotations

from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_wine
from sklearn.ensemble import VotingClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import whyproof as wp
from whyproof.engine.errors import UnsupportedError

data = load_wine()
names = [str(name) for name in data.feature_names]
table = wp.read_table(data.data, names=names)

trees = [(f"t{i}", DecisionTreeClassifier(max_depth=3, random_state=i)) for i in range(3)]
models = {
    "a tree": DecisionTreeClassifier(max_depth=4, random_state=0),
    "three trees that vote": VotingClassifier(trees),
    "a calibrated tree": CalibratedClassifierCV(trees[0][1], cv=3),
    "five scaled neighbours": make_pipeline(StandardScaler(), KNeighborsClassifier(5)),
}
for what, estimator in models.items():
    model = wp.load_model(estimator.fit(data.data, data.target))
    explainer = wp.Explainer(model, wp.infer_space(table, model, ranges="data"))
    row = table.point(explainer.space, 70)
    flip = explainer.explain(row, "cxp", budget=wp.Budget(seconds=30))
    assert flip is not None
    print(f"{what}: class {flip.problem.label}; {', '.join(flip.features)} can change it")

# All contrastive explanations of a tree are known without a search.
tree = wp.load_model(models["a tree"])
explainer = wp.Explainer(tree, wp.infer_space(table, tree))
oracle = explainer.oracle(explainer.problem(table.point(explainer.space, 70)))
print("all ways to change the tree's mind:", len(oracle.contrastive))  # type: ignore[attr-defined]

# What is not exact says so, and what to do instead.
mixed = VotingClassifier([*trees, ("bayes", GaussianNB())], voting="soft")
try:
    wp.load_model(mixed.fit(data.data, data.target))
except UnsupportedError as error:
    print("refused:", error)
