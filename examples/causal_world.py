"""Plan a loan applicant's way to a yes, under rules about how the world works."""

from __future__ import annotations

from whyproof.asp.planning import Planner, PlanStatus
from whyproof.asp.rules import read_rules
from whyproof.asp.worlds import world_from_toml

WORLD = """
name = "loan"
[goal]
undesired = ["reject"]
[features.debt]
type = "integers"
lower = 0
upper = 1000000
[features.balance]
type = "integers"
lower = 0
upper = 1000000000
[features.credit_score]
type = "integers"
lower = 300
upper = 850
change = "immutable"

[[causal]]
if = "debt > 0"
then = "credit_score <= 619"
[[causal]]
if = "debt = 0"
then = "credit_score >= 620"
"""
DECISIONS = """
label = reject :- balance < 60000.
label = reject :- credit_score =< 619.
"""

world = world_from_toml(WORLD).with_decisions(read_rules(DECISIONS))
plan = Planner(world).plan({"debt": 5000, "balance": 40000, "credit_score": 619})
assert plan.status is PlanStatus.MINIMAL
print(f"{len(plan.paths)} shortest ways of {plan.length} actions; fewer are proved impossible.")
for path in plan.paths:
    print(path)
