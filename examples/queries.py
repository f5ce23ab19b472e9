"""Ask about explanations: in all, in some, as thresholds, likely enough, for a whole table."""

from __future__ import annotations

from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

import whyproof as wp

data = load_iris()
names = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
forest = RandomForestClassifier(n_estimators=15, max_depth=3, random_state=0)
explainer = wp.Explainer(
    wp.load_model(forest.fit(data.data, data.target)), wp.FeatureSpace.of(names)
)
row = data.data[70]

for name in names:
    found = explainer.necessary(row, name)
    print(f"{name} stands in every reason: {found.holds}")
print(f"petal lengths and widths together: {explainer.relevant(row, names[2:]).holds}")

least = explainer.such_that(row, "petal_width :- petal_length.", "axp")
if least.explanation is not None:
    print(f"Least reason with width where length is: {', '.join(least.explanation.features)}")

why = explainer.explain(row, "axp")
assert why is not None
inflated = explainer.inflate(why)
print(f"Feature explanation:   {', '.join(why.features)}")
print(f"Condition explanation: {' and '.join(inflated.conditions)}")
print(f"It covers {inflated.coverage(data.data):.0%} of the table.")

rules = explainer.cover(data.data[45:105])
print(f"{len(rules.rules)} rules cover {rules.share:.0%} of 60 rows.")

tree = DecisionTreeClassifier(max_depth=4, random_state=0).fit(data.data, data.target)
single = wp.Explainer(wp.load_model(tree), wp.FeatureSpace.of(names))
likely = single.probabilistic(row, 0.6, data=data.data)
chosen = ", ".join(names[i] for i in sorted(likely.members))
print(f"Of a single tree, {chosen} make the decision {likely.least:.0%} likely.")
