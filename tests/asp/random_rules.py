"""Hypothesis strategies for rules and small tables over mixed features."""

from __future__ import annotations

from hypothesis import strategies as st

from whyproof.asp.rules import Body, Literal, Operator, Rule, RuleSet, Support, Table

NAMES = ("odor", "Age", "capital-gain", "it's", "x1")
WORDS = ("n", "Married-civ", "3", "it's", 'a "b"', "<=50K", "true", "missing", "back\\slash", "?")
NUMBERS = (-2, -1.5, 0, 1, 2.5, 3, 3.0, 1e-7, 12345.678)

words = st.sampled_from(WORDS)
numbers = st.sampled_from(NUMBERS)
values = st.one_of(words, numbers, st.none(), st.booleans())
names = st.sampled_from(NAMES)
ORDERS = (Operator.LT, Operator.LE, Operator.GT, Operator.GE)


@st.composite
def literals(draw: st.DrawFn) -> Literal:
    name = draw(names)
    kind = draw(st.integers(0, 2))
    if kind == 0:
        operator = draw(st.sampled_from((Operator.EQ, Operator.NE)))
        return Literal(name, operator, draw(values))
    if kind == 1:
        operator = draw(st.sampled_from((Operator.IN, Operator.NOT_IN)))
        members = draw(st.lists(values, min_size=1, max_size=3))
        return Literal(name, operator, tuple(members))
    return Literal(name, draw(st.sampled_from(ORDERS)), draw(numbers), draw(st.booleans()))


def bodies(depth: int = 2) -> st.SearchStrategy[Body]:
    exceptions = st.just(()) if depth == 0 else st.lists(bodies(depth - 1), max_size=2).map(tuple)
    return st.builds(
        Body, st.lists(literals(), min_size=1, max_size=3, unique=True).map(tuple), exceptions
    )


supports = st.one_of(
    st.none(),
    st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda t: Support(t[0], sum(t))),
    st.just(Support(0.1, 0.30000000000000004)),
)


@st.composite
def rule_sets(draw: st.DrawFn, labels: tuple[str, ...] = ("p", "q", "it's")) -> RuleSet:
    chosen = draw(st.lists(st.sampled_from(labels), min_size=1, max_size=4))
    rules = tuple(
        Rule(Literal("label", Operator.EQ, label), draw(bodies()), draw(supports))
        for label in chosen
    )
    default = draw(st.sampled_from((*labels, "else")))
    if len(set(chosen)) == 1 and default == chosen[0]:
        default = "else"
    return RuleSet("label", rules, default, draw(supports))


@st.composite
def tables(draw: st.DrawFn, rows: int = 12) -> Table:
    return Table.of({name: draw(st.lists(values, min_size=rows, max_size=rows)) for name in NAMES})
