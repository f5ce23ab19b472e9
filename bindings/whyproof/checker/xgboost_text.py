"""XGBoost's text dumps, read by the checker.

A dump does not say how many classes there are nor its base score: the certificate does,
and what is proved is about the model completed so.
"""

from __future__ import annotations

import re
from fractions import Fraction

from .model import Branch, Leaf, Node, Test, TreeModel, round_to
from .refusal import Refused
from .xgboost_json import logit

__all__ = ["read_xgboost_text"]

_LINE = re.compile(
    r"(?P<node>\d+):(?:leaf=(?P<leaf>[^,\s]+)|"
    r"\[(?P<name>[^<\]]+?)(?:<(?P<below>[^\]]+)|:\{(?P<codes>[\d,]*)\})\]\s*"
    r"yes=(?P<yes>\d+),no=(?P<no>\d+)(?:,missing=(?P<missing>\d+))?)"
)


def read_xgboost_text(
    payload: bytes, names: list[str], n_classes: int, base_score: float | None
) -> TreeModel:
    """Read a dump.

    Parameters
    ----------
    payload
        The file.
    names
        Column names in the model's order.
    n_classes
        Number of classes, 0 for a regressor.
    base_score
        As XGBoost keeps it; 0.5 if `None`.
    """
    position = {name: i for i, name in enumerate(names)}
    outputs = n_classes if n_classes > 2 else 1
    trees: list[dict[int, re.Match[str]]] = []
    for line in payload.decode("utf-8", "replace").splitlines():
        text = line.strip()
        if text.startswith("booster["):
            trees.append({})
        elif text:
            found = _LINE.match(text)
            if found is None or not trees:
                raise Refused(f"the dump has a line that is no node: {text[:60]!r}")
            trees[-1][int(found["node"])] = found
    if not trees or len(trees) % outputs:
        raise Refused(f"{len(trees)} trees of the dump do not fit {n_classes} classes")
    score = 0.5 if base_score is None else base_score
    base = logit(score) if n_classes == 2 else round_to(score, "float32")
    if n_classes > 2 and base_score is None:
        base = 0.0  # equal in all sums
    return TreeModel(
        kind="XGBoost text dump",
        n_columns=len(names),
        trees=tuple(
            _tree(t, number % outputs, outputs, position) for number, t in enumerate(trees)
        ),
        base=(base,) * outputs,
        rule="value" if not n_classes else "positive" if outputs == 1 else "argmax",
        n_classes=n_classes,
        zone=Fraction(0),
    )


def _tree(
    lines: dict[int, re.Match[str]], group: int, outputs: int, position: dict[str, int]
) -> tuple[Node, ...]:
    order = {node: i for i, node in enumerate(sorted(lines))}
    nodes: list[Node] = []
    try:
        for node in sorted(lines):
            line = lines[node]
            if line["leaf"] is not None:
                value = round_to(float(line["leaf"]), "float32")
                nodes.append(Leaf(tuple(value * (k == group) for k in range(outputs))))
                continue
            column = _column(line["name"], position)
            missing = (line["missing"] or line["yes"]) == line["yes"]
            yes, no = order[int(line["yes"])], order[int(line["no"])]
            if line["codes"] is not None:
                codes = frozenset(int(code) for code in line["codes"].split(",") if code)
                nodes.append(Branch(Test(column, codes=codes, missing=missing), yes, no))
            else:
                below = round_to(float(line["below"]), "float32")
                nodes.append(Branch(Test(column, below, missing=missing), yes, no))
    except (KeyError, ValueError) as error:
        raise Refused(f"the dump is damaged ({error})") from None
    return tuple(nodes)


def _column(name: str, position: dict[str, int]) -> int:
    if name in position:
        return position[name]
    if re.fullmatch(r"f\d+", name):
        return int(name[1:])
    raise Refused(f"the dump tests a column {name!r} that the certificate does not know")
