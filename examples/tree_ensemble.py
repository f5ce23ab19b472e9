"""Explain one decision of a gradient-boosted model: why, why not, and how sure."""

from __future__ import annotations

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier

import whyproof as wp

data = load_breast_cancer()
fitted = GradientBoostingClassifier(n_estimators=40, random_state=0).fit(data.data, data.target)

model = wp.load_model(fitted)
names = [str(name) for name in data.feature_names]
explainer = wp.Explainer(model, wp.FeatureSpace.of(names))
row = data.data[0]

why = explainer.explain(row, "axp")
assert why is not None
print(f"The model says {data.target_names[int(why.problem.prediction)]}.")
print(f"These {len(why)} values force it: {', '.join(why.features)}")
print(f"Its lead stays at least {why.margin:.3f}, whatever the other features are.")

flip = explainer.explain(row, "cxp", smallest=True)
assert flip is not None
print(f"The smallest change that flips it moves {', '.join(flip.features)}.")

found = explainer.enumerate(row, budget=wp.Budget(count=200))
for _ in found:
    pass
print(f"Known so far: {len(found.axps)} reasons and {len(found.cxps)} change sets.")
