"""The nearest change that flips a decision, why there is none, and who can be flipped."""

from __future__ import annotations

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier

import whyproof as wp
from whyproof.encodings.recourse.actions import Actions
from whyproof.encodings.recourse.conflict import smallest_conflict
from whyproof.encodings.recourse.distance import Distance
from whyproof.encodings.recourse.nearest import NearestSearch
from whyproof.encodings.recourse.several import k_nearest
from whyproof.recourse import nearest_in_words
from whyproof.recourse.sensitivity import find_pair

data = load_breast_cancer()
points, names = data.data[:, :8], [str(name) for name in data.feature_names[:8]]
model = wp.load_model(
    GradientBoostingClassifier(n_estimators=30, random_state=0).fit(points, data.target)
)
space = wp.FeatureSpace.of(names)
distance = Distance.of(space, "l1", scale="range", data=points)
row = points[0]

search = NearestSearch([model], space, distance=distance)
for found in k_nearest(search, row, 3, diverse=True):
    print(nearest_in_words(space, distance, found))

rules = Actions.of(space, up=names)
strict = NearestSearch([model], space, distance=distance, actions=rules)
none = strict.nearest(row)
print(nearest_in_words(space, distance, none, (), smallest_conflict(strict, row)))

answer = find_pair(model, space, space.indices(["mean texture"]), points)
print(f"Texture alone flips {answer.affected.share[0]:.1%} of the rows.")
