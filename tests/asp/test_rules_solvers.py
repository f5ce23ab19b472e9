"""Exported programs decide as the rules do: by clingo, and by s(CASP) where it is there."""

from __future__ import annotations

import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import clingo
import pytest
from brute_force import all_states, random_world
from hypothesis import given, settings
from hypothesis import strategies as st
from random_rules import rule_sets, tables

from whyproof.asp.rules import RuleSet, Table, read_rules
from whyproof.asp.rules.asp_form import to_asp
from whyproof.asp.rules.scales import scale_for
from whyproof.asp.rules.scasp_form import to_scasp
from whyproof.asp.rules.values import text_of
from whyproof.asp.worlds.export import (
    violations_of,
    world_to_asp,
    world_to_json,
    world_to_scasp,
)


def decisions(program: str, target: str) -> dict[int, list[str]]:
    """Solve; there must be exactly one answer set."""
    messages: list[str] = []
    control = clingo.Control(["0"], logger=lambda code, text: messages.append(text))
    control.add("base", [], program)
    control.ground([("base", [])])
    found: dict[int, list[str]] = {}
    models = 0
    with control.solve(yield_=True) as handle:
        for model in handle:
            models += 1
            for atom in model.symbols(shown=True):
                assert atom.name == target
                row, value = atom.arguments
                found.setdefault(row.number, []).append(value.string)
    assert models == 1
    assert not [text for text in messages if "undefined" in text]
    return found


@settings(max_examples=60, deadline=None)
@given(rule_sets(), tables())
def test_clingo_decides_alike(rules: RuleSet, table: Table) -> None:
    program = to_asp(rules, table)
    found = decisions(program.text + program.facts(table), program.target)
    expected = {row: [text_of(label)] for row, label in enumerate(rules.predict(table))}
    assert found == expected


@given(
    st.lists(st.sampled_from([0, 1, 2.5, -3, 1e-7, 0.1, 1 / 3, 3e9, 12345.678]), min_size=1),
    st.lists(st.floats(-1e12, 1e12), max_size=8),
)
def test_scales_keep_every_comparison(thresholds: list[float], numbers: list[float]) -> None:
    scale = scale_for(thresholds, numbers)
    for number in [*numbers, *thresholds]:
        for threshold in thresholds:
            left, right = scale.integer(number), scale.integer(threshold)
            exact = Fraction(number) < Fraction(threshold), number == threshold
            assert (left < right, left == right) == exact
            assert abs(left) < 2**31


def test_readable_integers_are_preferred() -> None:
    rules = read_rules("label = p :- age =< 29, bmi > 24.5. label = q :- not label = p.")
    table = Table.of({"age": [29, 30], "bmi": [24.6, 30.0]})
    text = to_asp(rules, table).text
    assert "age(X,N1), N1 <= 29" in text and "N2 > 245" in text
    assert "% bmi(X,V): bmi, times 10" in text


def test_names_that_collide_stay_apart() -> None:
    rules = read_rules("label = p :- 'A b' = x, 'a-b' = y, 'label' = z, row = w, rule1 = v.")
    table = Table.of({"A b": ["x"], "a-b": ["y"], "label": ["z"], "row": ["w"], "rule1": ["v"]})
    program = to_asp(rules, table)
    assert decisions(program.text + program.facts(table), program.target) == {0: ["p"]}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_clingo_finds_the_violations_that_worlds_find(seed: int) -> None:
    world, _ = random_world(seed, most_features=3)
    states = [dict(zip(world.names, state, strict=True)) for state in all_states(world)][:200]
    table = Table.of(states)
    broken = dict[int, bool]()
    program = world_to_asp(world, table)
    control = clingo.Control(["0"])
    control.add("base", [], program.text + program.facts(table))
    control.ground([("base", [])])
    with control.solve(yield_=True) as handle:
        for model in handle:
            for atom in model.symbols(shown=True):
                if atom.name == "violated":
                    broken[atom.arguments[0].number] = True
    assert [bool(world.violated(state)) for state in states] == [
        broken.get(row, False) for row in range(len(states))
    ]
    document = json.loads(json.dumps(world_to_json(world)))
    assert len(document["causal"]) == len(world.causal)
    assert "violated(X,'" in world_to_scasp(world) or not violations_of(world)


PUBLISHED = """
label(X,'p') :- not odor(X,'n'), not ab1(X,'True').
label(X,'p') :- spore(X,'r'), size(X,N1), not(N1=<2.5).
label(X,'e') :- not label(X,'p').
ab1(X,'True') :- not bruises(X,'f'), root(X,'c').
"""


@pytest.mark.skipif(shutil.which("scasp") is None, reason="s(CASP) is not installed")
def test_scasp_decides_alike(tmp_path: Path) -> None:
    rules = read_rules(PUBLISHED)
    table = Table.of(
        {
            "odor": ["n", "f", "f", "n"],
            "bruises": ["t", "t", "f", "t"],
            "root": ["c", "c", "c", "b"],
            "spore": ["b", "b", "b", "r"],
            "size": [1.0, 2.0, 3.0, 3.0],
        }
    )
    program = to_scasp(rules, table)
    for row, label in enumerate(rules.predict(table)):
        for asked in ("p", "e"):
            file = tmp_path / f"{row}{asked}.pl"
            file.write_text(f"{program}?- label({row},'{asked}').\n", encoding="utf-8")
            answer = subprocess.run(
                ["scasp", "-s1", str(file)], capture_output=True, text=True, timeout=60, check=False
            )
            assert ("no models" not in answer.stdout.lower()) == (asked == label)


def test_scasp_programs_use_its_syntax() -> None:
    text = to_scasp(read_rules(PUBLISHED), Table.of({n: [1] for n in _FEATURES}))
    assert "#=< 2.5" in text and "=<2.5" not in text.replace("#=< 2.5", "")
    assert "not (" not in text and "not(" not in text
    assert "label(X,'e') :- not label(X,'p')." in text
    assert "size(0,1)." in text


_FEATURES = ("odor", "bruises", "root", "spore", "size")
