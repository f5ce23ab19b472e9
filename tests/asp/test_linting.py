"""Linting, checking and test cases: every finding is true, and true things are found."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path

import pytest
from brute_force import all_states, random_world
from published_worlds import adult, car, loan

from whyproof.asp.linting import (
    Case,
    Severity,
    check_rules,
    coverage_page,
    lint_files,
    lint_world,
    read_cases,
    run_cases,
)
from whyproof.asp.linting.text import text_findings
from whyproof.asp.rules import read_rules
from whyproof.asp.worlds import World, read_world_rules, world_from_toml
from whyproof.engine.errors import DataError

SMALL = """
[features.debt]
type = "integers"
lower = 0
upper = 1000
[features.risk]
values = ["low", "mid", "high"]
[features.married]
type = "boolean"
"""


def world(rules: str, toml: str = SMALL) -> World:
    plain = world_from_toml(toml)
    told = read_world_rules(rules, plain.names)
    return replace(plain, causal=told.causal, denials=told.denials, decisions=told.decisions)


def codes(found: list) -> list[str]:
    return [finding.code for finding in found]


@pytest.mark.parametrize(
    ("rules", "code", "place"),
    [
        ("risk = hihg :- debt > 3.", "unknown-value", (1, 1)),
        ("\nrisk = low :- married = maybe.", "unknown-value", (2, 15)),
        ("risk = low :- debt = many.", "unknown-value", (1, 15)),
        ("risk > 3 :- debt = 0.", "type-clash", (1, 1)),
        ("risk = low :- debt >= 0.", "always-true", (1, 15)),
        ("risk = low :- debt > 1000.", "never-true", (1, 15)),
        ("risk = low :- debt < 5, debt > 9.", "unreachable-body", (1, 15)),
        ("risk = low :- debt < 5.\nrisk = high :- debt < 3.", "contradictory-rules", (2, 1)),
        ("risk = low :- debt < 5.\nrisk in {low, mid} :- debt < 3.", "subsumed-rule", (2, 1)),
        ("debt < 5 :- risk = low. risk = low :- debt < 5.", "cyclic-heads", (1, 1)),
        ("risk = low :- risk != high, debt = 0.", "own-head", (1, 1)),
        (
            "risk = low. risk != low :- married = true. married = true.",
            "empty-world",
            (1, 1),
        ),
        (
            ":- risk = low, married = true.\nlabel = no :- risk = low, married = true.",
            "never-fires",
            (2, 1),
        ),
        ("label = no :- debt < 9.\nlabel = no :- debt < 5.", "never-decides", (2, 1)),
    ],
)
def test_each_fault_is_found_at_its_place(rules: str, code: str, place: tuple[int, int]) -> None:
    found = [f for f in lint_world(world(rules)) if f.code == code]
    assert found, codes(lint_world(world(rules)))
    position = found[0].position
    assert position is not None
    assert (position.line, position.column) == place


def test_a_typo_gets_a_suggestion() -> None:
    [finding] = lint_world(world("risk = hihg :- debt > 3."))
    assert finding.severity is Severity.ERROR
    assert "did you mean 'high'?" in finding.message


def test_sound_worlds_have_no_errors_or_warnings() -> None:
    for sound in (loan(), adult()):
        assert [f for f in lint_world(sound) if f.severity is not Severity.NOTE] == []
    assert "cyclic-heads" not in codes(lint_world(loan()))


def test_the_published_car_rules_hold_a_subsumed_rule() -> None:
    found = [f for f in check_rules(car()).findings if f.code == "redundant-rule"]
    assert [f.data["rules"] for f in found] == [[3]]
    assert found[0].data["covered_by"] == [4]
    # restricted domains: two persons never come
    assert "unknown-value" in codes(lint_world(car()))


def test_all_faults_of_a_text_are_reported_at_once() -> None:
    text = (
        "risk = low :- dept = 0.\nlabel = no :- .\n\nrisk = :- debt = 1.\n"
        "label = no :- rsik = low.\n"
    )
    found = text_findings(text, world_from_toml(SMALL).names)
    assert [(f.code, f.position.line, f.position.column) for f in found if f.position] == [
        ("unknown-feature", 1, 15),
        ("syntax", 2, 15),
        ("syntax", 4, 8),
        ("unknown-feature", 5, 15),
    ]


def test_rules_that_negate_themselves_are_refused() -> None:
    found = text_findings("a :- not b.\nb :- not a.\nlabel = no :- a.", ["debt"])
    assert set(codes(found)) == {"not-stratified"}


def test_files_are_linted_with_their_names(tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text('rules = ["a.lp"]\n' + SMALL)
    (tmp_path / "a.lp").write_text("risk = low :- dept = 0.")
    extra = tmp_path / "b.lp"
    extra.write_text("label = no :- debt > 10.")
    [finding] = lint_files(tmp_path / "w.toml", [extra])
    assert str(finding.position) == f"{tmp_path / 'a.lp'}:1:15"
    (tmp_path / "a.lp").write_text("risk = low :- debt = 0.")
    assert codes(lint_files(tmp_path / "w.toml", [extra])) == ["untested-feature", "gap"]
    (tmp_path / "w.toml").write_text(SMALL + "[features.age]\ntype = 'interger'")
    [finding] = lint_files(tmp_path / "w.toml")
    assert "no type 'interger'; did you mean 'integers'?" in finding.message


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[features.x]\ntype = 'real'\nlowre = 3", "w.toml:3:1: no setting 'lowre'.*'lower'"),
        ("[features.x]\nvalues = ['a', 'a']", "w.toml:1:11: a value is listed twice"),
        ("[features.x]\ntype = 'real'\nchange = 'upp'", "w.toml:3:1: no change 'upp'.*'up'"),
        ("[features.x]\ntype = 'real'\nlower = 4\nupper = 3", "w.toml:1:11: lower bound 4"),
        ("[features.x]\n", "w.toml:1:11: feature 'x' needs a type"),
        ("[features.x]\ntype = 'boolean'\nlower = 3", "w.toml:3:1: a feature of type 'boolean'"),
        ("[features.x]\ntype = 'real'\nmax_change = 3", "max_change needs a step"),
        ("[features.x]\nvalues = ['a']\ntransitions = [['a', 'b']]", "'b' is not in {a}"),
        ("[features.x]\ntype = 'real'\n[goal]\ndesired = ['a']\nundesired = ['b']", "not both"),
        ("[features.x]\ntype = 'real'\n[[causal]]\nif = 'x > 3'", "needs 'then'"),
        (
            "[features.x]\ntype = 'real'\n[[causal]]\nif = 'y > 3'\nthen = 'x > 3'",
            "w.toml:4:1: if = 'y > 3': no feature 'y'",
        ),
        (
            "[features.x]\ntype = 'real'\n[[causal]]\nif = 'x >'\nthen = 'x > 3'",
            "w.toml:4:1: if = 'x >'.*expected a name",
        ),
        ("[features.x]\ntype = 'real'\n[[preconditions]]\nfeature = 'xx'", "no feature 'xx'"),
        ("x = 3", "no setting 'x'"),
        ("[features.x", "Expected"),
        ("", "describes no features"),
    ],
)
def test_bad_world_files_name_their_line(tmp_path: Path, toml: str, message: str) -> None:
    (tmp_path / "w.toml").write_text(toml)
    [finding] = lint_files(tmp_path / "w.toml")
    told = str(finding).replace(f"{tmp_path}/", "").replace("error: ", "", 1)
    assert re.search(message, told), told


def test_checks_equal_enumeration() -> None:
    """Gaps, overlaps, conflicts, dead and shadowed rules over all consistent states."""
    seen = set()
    for seed in range(120):
        random, _ = random_world(seed, most_features=3)
        states = [dict(zip(random.names, s, strict=True)) for s in all_states(random)]
        states = [s for s in states if not random.violated(s)]
        rules = random.rules().rules
        fires = [{i for i, s in enumerate(states) if r.body.accepts(s)} for r in rules]
        check = check_rules(random)
        found = {(f.code, tuple(f.data.get("rules", ()))) for f in check.findings}
        wanted = set()
        everyone = set(range(len(states)))
        if random.rules().default is None and everyone - set().union(*fires):
            wanted.add(("gap", ()))
        for i, j in itertools.combinations(range(len(rules)), 2):
            if fires[i] & fires[j]:
                same = rules[i].head == rules[j].head
                wanted.add(("overlap" if same else "conflict", (i + 1, j + 1)))
        for i in range(len(rules)):
            if not fires[i]:
                wanted.add(("never-fires", (i + 1,)))
            elif fires[i] <= set().union(*fires[:i]):
                wanted.add(("never-decides", (i + 1,)))
            elif _is_redundant(random, i, states):
                wanted.add(("redundant-rule", (i + 1,)))
        assert found == wanted, seed
        assert check.gap_free == ("gap" not in {code for code, _ in wanted})
        for finding in check.findings:
            seen.add(finding.code)
            if finding.witness is None:
                assert finding.proof
            else:
                assert not random.violated(random.state(finding.witness))
                for number in finding.data.get("rules", ()):
                    assert rules[number - 1].body.accepts(dict(finding.witness))
            first = finding.data["rules"][0] - 1 if "rules" in finding.data else 0
            decides = fires[first] - set().union(*fires[:first])
            for number in finding.data.get("covered_by", ()):
                others = [n - 1 for n in finding.data["covered_by"] if n != number]
                mine = fires[first] if finding.code == "never-decides" else decides
                assert mine - set().union(*(fires[n] for n in others)), "not a smallest cover"
    assert seen == {"gap", "overlap", "conflict", "never-fires", "never-decides", "redundant-rule"}


def _is_redundant(world: World, number: int, states: list) -> bool:
    """Whether rules of the same label right behind it (or the default) decide the same."""
    rules = world.rules()
    mine = rules.rules[number].head
    run = list(itertools.takewhile(lambda r: r.head == mine, rules.rules[number + 1 :]))
    rest = rules.rules[number + 1 + len(run) :]
    if not rest and rules.default == mine.values[0]:
        return True
    decided = [
        s
        for s in states
        if rules.rules[number].body.accepts(s)
        and not any(r.body.accepts(s) for r in rules.rules[:number])
    ]
    return all(any(r.body.accepts(s) for r in run) for s in decided)


def satisfiable(world: World, states: list, rules: list) -> bool:
    smaller = replace(
        world,
        causal=tuple(r for r in world.causal if r in rules),
        denials=tuple(r for r in world.denials if r in rules),
    )
    return any(not smaller.violated(s) for s in states)


def test_an_empty_world_names_a_smallest_conflict() -> None:
    """Every rule of the conflict is needed: without it there are states."""
    tried = 0
    for seed in range(400):
        random, _ = random_world(seed, most_features=3)
        random = (
            replace(
                random,
                causal=(*random.causal, *random_world(seed + 5000, most_features=2)[0].causal),
            )
            if False
            else random
        )
        states = [dict(zip(random.names, s, strict=True)) for s in all_states(random)]
        if any(not random.violated(s) for s in states):
            continue
        tried += 1
        [finding] = [f for f in lint_world(random) if f.code == "empty-world"] or [None]
        if finding is None:
            # an error of single literals comes first
            continue
        named = finding.data["rules"]
        kept = [rule for rule in random.statements if str(rule) in named]

        assert not satisfiable(random, states, kept)
        for rule in kept:
            assert satisfiable(random, states, [other for other in kept if other is not rule])


def test_cases_pass_and_fail_with_coverage() -> None:
    rules = "label = no :- debt > 10, not risk = low. label = yes :- married = true."
    tested = world(rules)
    cases = read_cases(
        [
            {"name": "a", "state": {"debt": 20, "risk": "mid", "married": False}, "expect": "no"},
            {"name": "b", "state": {"debt": 5, "risk": "mid", "married": True}, "expect": "yes"},
            {"name": "c", "state": {"debt": 20, "risk": "low", "married": False}, "expect": None},
            {"name": "d", "state": {"debt": 20, "risk": "low", "married": False}, "expect": "no"},
            {"name": "e", "state": {"debt": 20}, "expect": "no"},
        ]
    )
    report = run_cases(tested, cases)
    assert [r.case.name for r in report.failures] == ["d", "e"]
    assert report.failures[0].problem == "expected no, found no decision"
    assert "no value for 'risk'" in report.failures[1].problem
    assert report.rule_coverage == 1.0
    assert report.literal_coverage == 1.0
    page = coverage_page(report)
    assert "3 of 5 cases passed" in page
    assert report.as_json()["passed"] == 3
    fewer = run_cases(tested, cases[:1])
    assert fewer.rule_coverage == 0.5
    assert fewer.literal_coverage == 0.0
    assert fewer.defaults == 0


def test_cases_check_consistency() -> None:
    person = {"debt": 5, "balance": 3, "credit_score": 700, "age": 30}
    report = run_cases(loan(), [Case("x", person, has_expectation=False, consistent=True)])
    assert "violates credit_score <= 619 if debt > 0" in report.failures[0].problem
    report = run_cases(loan(), [Case("x", person, has_expectation=False, consistent=False)])
    assert not report.failures


def test_bad_cases_are_refused() -> None:
    with pytest.raises(DataError, match="case 1 has no setting 'expects'; did you mean 'expect'"):
        read_cases([{"state": {}, "expects": 3}])
    with pytest.raises(DataError, match="expected a list"):
        read_cases({"kase": 3})
    with pytest.raises(DataError, match="case 1 needs a state"):
        read_cases([{"name": "x"}])


def test_rules_of_other_files_join(tmp_path: Path) -> None:
    plain = world_from_toml(SMALL)
    decided = plain.with_decisions(read_rules("label = no :- debt > 5."))
    assert decided.decide({"debt": 6, "risk": "low", "married": True}) == "no"
