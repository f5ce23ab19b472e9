"""Implication, simplification and subsumption change no decision."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_rules import NUMBERS, WORDS, bodies, literals, rule_sets, tables

from whyproof.asp.rules import Body, Literal, Operator, RuleSet, Table, Value
from whyproof.asp.rules.logic import contradicts, entails, implies, simplified, without_subsumed
from whyproof.asp.rules.values import text_of

PROBES: list[Value] = [*WORDS, None, True, False, "fresh"]
for number in NUMBERS:
    PROBES += [number, text_of(number), number - 0.25, number + 0.25]


@given(literals(), literals())
def test_implication_between_literals_is_exact(left: Literal, right: Literal) -> None:
    if left.feature != right.feature:
        assert not implies(left, right)
        return
    by_probing = all(right.accepts(value) for value in PROBES if left.accepts(value))
    assert implies(left, right) == by_probing
    assert contradicts(left, right) == all(
        not right.accepts(value) for value in PROBES if left.accepts(value)
    )


@given(bodies(), bodies(), tables())
def test_entailment_is_sound(left: Body, right: Body, table: Table) -> None:
    if entails(left, right):
        assert not (left.holds(table) & ~right.holds(table)).any()


@given(bodies(depth=1), tables())
def test_a_body_entails_itself_and_its_parts(body: Body, table: Table) -> None:
    assert entails(body, body)
    assert entails(body, Body(body.literals))


@given(bodies(), tables())
def test_simplified_bodies_cover_the_same_rows(body: Body, table: Table) -> None:
    simple = simplified(body)
    holds = body.holds(table)
    if simple is None:
        assert not holds.any()
    else:
        assert simple.holds(table).tolist() == holds.tolist()
        assert len(list(simple.all_literals())) <= len(list(body.all_literals()))
        assert simplified(simple) == simple


@pytest.mark.slow
@given(rule_sets(), st.data(), tables())
def test_subsumed_rules_decide_nothing(rules: RuleSet, data: st.DataObject, table: Table) -> None:
    doubled = [*rules.rules, *data.draw(st.permutations(rules.rules))]
    long = RuleSet("label", tuple(doubled), rules.default)
    short = RuleSet("label", tuple(without_subsumed(doubled)), rules.default)
    assert len(short.rules) <= len(rules.rules)
    assert short.predict(table).tolist() == long.predict(table).tolist()


def test_the_redundant_rule_of_the_published_car_set_goes() -> None:
    def holds(feature: str, operator: Operator, value: str) -> Literal:
        return Literal(feature, operator, value)

    equal, other = Operator.EQ, Operator.NE
    narrow = Body((holds("buying", equal, "vhigh"), holds("maint", equal, "vhigh")))
    wide = Body(
        (
            holds("buying", other, "low"),
            holds("buying", other, "med"),
            holds("maint", equal, "vhigh"),
        )
    )
    assert entails(narrow, wide) and not entails(wide, narrow)
