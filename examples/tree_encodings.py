"""One decision by several encodings: second opinions, files for other solvers, kinds of reasons."""

from __future__ import annotations

from pathlib import Path

from pysat.formula import CNF
from pysat.solvers import Solver
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier

import whyproof as wp
from whyproof.encodings.exchange import problem_text
from whyproof.encodings.trees.asp import reasons

data = load_wine()
forest = RandomForestClassifier(n_estimators=9, max_depth=3, random_state=0)
forest.fit(data.data, data.target == 0)

model = wp.load_model(forest, vote="majority")
space = wp.FeatureSpace.of([str(name) for name in data.feature_names])
row = data.data[0]

# The same question by four encodings that share no decision with each other.
for encoding in ("search", "clauses", "program", "asp"):
    why = wp.Explainer(model, space, encoding=encoding).explain(row, "axp")
    assert why is not None
    print(f"{encoding:8s} says: {', '.join(why.features)} force the decision ({why.status}).")

# A file for any SAT solver: with these features fixed it has no solution.
problem = why.problem
file = Path("row.cnf")
file.write_text(problem_text(problem, "cnf"))
key = {
    name: int(number)
    for line in file.read_text().splitlines()
    if " = fixed " in line
    for number, name in [line.removeprefix("c ").split(" = fixed ")]
}
with Solver(bootstrap_with=CNF(from_file=str(file))) as solver:
    forced = not solver.solve(assumptions=[key[name] for name in why.features])
print(f"{file} ({file.stat().st_size} bytes), read by a SAT solver: forced is {forced}.")

# Four kinds of reasons by answer-set programming.
for kind in ("sufficient", "contrastive", "majority", "tree-specific"):
    found = list(reasons(problem, kind, limit=40))
    least = min(found, key=len)
    names = ", ".join(space.names[i] for i in sorted(least))
    print(f"{kind:13s}: {len(found)} found, the smallest has {len(least)}: {names}")
