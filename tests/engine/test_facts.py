"""Facts against the plain definition, few and many, narrow and wide."""

from __future__ import annotations

import random

import numpy as np
import pytest

from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.bitrows import BitRows, features_of, mask_of
from whyproof.engine.explanation import Kind
from whyproof.engine.facts import Facts
from whyproof.engine.space import FeatureSet


def subset(draw: random.Random, n: int, most: int) -> FeatureSet:
    return frozenset(draw.sample(range(n), draw.randint(1, most)))


def dual_set(kind: Kind, answer: Answer) -> FeatureSet:
    if kind is Kind.CXP:
        assert isinstance(answer, Entailed)
        return answer.core
    assert isinstance(answer, Counterexample)
    return answer.moved


@pytest.mark.parametrize("n", [5, 40, 63, 64, 65, 130])
@pytest.mark.parametrize("many", [False, True])
def test_recall_and_necessity_are_what_the_definition_says(n: int, many: bool) -> None:
    draw = random.Random(n)
    facts = Facts()
    moved: list[FeatureSet] = []
    cores: list[FeatureSet] = []
    for _ in range(300 if many else 20):
        if draw.random() < 0.5:
            moved.append(subset(draw, n, min(n, 6)))
            facts.remember(Counterexample(np.zeros(n), moved[-1], 1.0))
        else:
            # Cores that all hit the points' sets need not be: facts do not care.
            cores.append(subset(draw, n, min(n, 6)))
            facts.remember(Entailed(cores[-1]))
    for _ in range(200):
        members = subset(draw, n, n)
        yes = [m for m in moved if m <= members]
        no = [c for c in cores if not c & members]
        answer = facts.recall(members)
        if yes:
            assert isinstance(answer, Counterexample)
            assert len(answer.moved) == min(map(len, yes)) and answer.moved <= members
        elif no:
            assert isinstance(answer, Entailed)
            assert len(answer.core) == min(map(len, no)) and not answer.core & members
        else:
            assert answer is None
        for kind, duals in ((Kind.CXP, cores), (Kind.AXP, moved)):
            # Keeping the smallest sets only must not lose a single meeting, unless the
            # smaller set misses `members` altogether: then that is no weak explanation.
            minimal = [d for d in duals if not any(e < d for e in duals)]
            expected = {i for d in minimal for i in [*(d & members)] if len(d & members) == 1}
            assert facts.necessary(kind, members) == expected
            shown = facts.necessity(kind, members, members)
            assert shown.keys() == expected
            for i, evidence in shown.items():
                assert dual_set(kind, evidence) & members == {i}


def test_only_the_strongest_facts_are_kept() -> None:
    facts = Facts()
    for core in ({1, 2, 3}, {1, 2}, {1, 2, 4}, {5}):
        facts.remember(Entailed(frozenset(core)))
    assert [e.core for e in facts.entailments] == [{1, 2}, {5}]
    facts.remember(Unknown(UnknownReason.TIME))
    assert len(facts.entailments) == 2 and facts.counterexamples == []


def test_the_oldest_go_first_at_the_limit() -> None:
    facts = Facts(limit=80)
    for i in range(200):
        facts.remember(Entailed(frozenset({i})))
    assert [e.core for e in facts.entailments] == [{i} for i in range(120, 200)]
    assert facts.recall(frozenset({5})) is not None
    assert facts.recall(frozenset(range(120, 200))) is None


def test_rows_follow_removals() -> None:
    draw = random.Random(0)
    masks: list[int] = []
    rows = BitRows()
    for _ in range(600):
        if masks and draw.random() < 0.4:
            at = draw.randrange(len(masks))
            masks[at] = masks[-1]
            masks.pop()
            rows.replace_by_last(at)
        else:
            masks.append(mask_of(subset(draw, 150, 40)))
            rows.append(masks[-1])
        assert len(rows) == len(masks)
        probe = mask_of(subset(draw, 150, 120))
        assert rows.within(probe).tolist() == [r for r, m in enumerate(masks) if not m & ~probe]
        assert rows.apart(probe).tolist() == [r for r, m in enumerate(masks) if not m & probe]
        small = probe & mask_of(range(3))
        assert rows.around(small).tolist() == [r for r, m in enumerate(masks) if not small & ~m]
    assert rows.around(1 << 500).tolist() == []
    assert features_of(mask_of({0, 64, 149})) == {0, 64, 149}
