"""Explain under background knowledge: what may not happen makes reasons shorter."""

from __future__ import annotations

from sklearn.datasets import load_wine
from sklearn.ensemble import GradientBoostingClassifier

import whyproof as wp
from whyproof.asp.rules.constraints import read_constraints
from whyproof.encodings.constraints.consistency import constrained
from whyproof.engine.answers import Entailed
from whyproof.engine.errors import DataError

RULES = """
proline >= was(proline) - 150.           % it does not drop by more
color_intensity >= was(color_intensity). % colours deepen with age
flavanoids <= total_phenols + 1.         % flavanoids are phenols
"""

data = load_wine()
names = [name.replace("/", "_") for name in data.feature_names]
fitted = GradientBoostingClassifier(n_estimators=20, random_state=0).fit(data.data, data.target)
model = wp.load_model(fitted)
plain = wp.FeatureSpace.of(names)
space = constrained(plain, read_constraints(RULES, plain, file="wine.lp"))
row = data.data[1]

free = wp.Explainer(model, plain).explain(row, "axp")
bound = wp.Explainer(model, space).explain(row, "axp")
assert free is not None
assert bound is not None
print(f"Whatever may happen:     {', '.join(free.features)}")
print(f"Under the three rules:   {', '.join(bound.features)}")
assert isinstance(bound.evidence, Entailed)
print(f"It rests on:             {', '.join(bound.evidence.constraints) or 'no rule'}")

# Second opinions respect the rules as well.
again = wp.Explainer(model, space, encoding="clauses").explain(row, "axp")
assert again is not None
print(f"By clauses:              {', '.join(again.features)}")

flip = wp.Explainer(model, space).explain(row, "cxp")
assert flip is not None
print(f"An admissible change of: {', '.join(flip.features)}")

try:
    constrained(space, read_constraints("hue > 2. hue < 1.", space, file="more.lp"))
except DataError as error:
    print(f"Refused: {error}")
