"""Explain a list of rules: why it decides so, what would change that, and all reasons."""

from __future__ import annotations

import whyproof as wp
from whyproof.asp import read_rules
from whyproof.models.from_rules import rules_model
from whyproof.tables import Table

RULES = """
% Who gets the loan?  The first rule that fires decides.
loan = no  :- debt >= 3, not (collateral = house).
loan = yes :- income > 50.
loan = yes :- income > 30, job in {nurse, teacher}, not (age < 21).
loan = no  :- income =< 50.
"""

people = Table.of(
    {
        "age": [34.0, 19.0, 51.0],
        "income": [42.0, 61.0, 55.0],
        "debt": [1.0, 4.0, 3.0],
        "job": ["nurse", "cook", "vet"],
        "collateral": ["none", "none", "house"],
    }
)
model = rules_model(read_rules(RULES), people)
explainer = wp.Explainer(model, wp.infer_space(people, model))

for row in range(people.n_rows):
    point = people.point(explainer.space, row)
    why = explainer.explain(point, "axp", smallest=True)
    flip = explainer.explain(point, "cxp", smallest=True)
    assert why is not None and flip is not None
    print(f"Person {row}: {why.problem.label}, because of {' and '.join(why.features)};")
    print(f"  to change {' and '.join(flip.features)} changes it.")

found = list(explainer.enumerate(people.point(explainer.space, 0)))
for explanation in found:
    print(explanation.kind, explanation.features)

# A set instead of a list: rules that fire vote, with weights.
votes = rules_model(read_rules(RULES), people, overlap="vote", weights=[2, 1, 1, 1])
by_vote = wp.Explainer(votes, wp.infer_space(people, votes))
why = by_vote.explain(people.point(by_vote.space, 0))
assert why is not None
print(f"By votes: {why.problem.label}, because of {' and '.join(why.features)}.")
