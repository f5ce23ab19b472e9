"""The toy is what it says: its contrastive sets are its CXps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from table_oracle import minimal_hitting_sets, minimal_sets

from whyproof.engine.enumerate import enumerate_explanations
from whyproof.engine.oracle import Replayed
from whyproof.engine.space import FeatureSet
from whyproof.engine.toy import toy


@given(st.sets(st.frozensets(st.integers(0, 4), min_size=1), max_size=6))
def test_the_given_sets_are_the_contrastive_explanations(cxps: set[FeatureSet]) -> None:
    problem, oracle = toy(5, cxps)
    run = enumerate_explanations(problem, Replayed(oracle, problem))
    list(run)
    assert {e.members for e in run.cxps} == minimal_sets(cxps)
    assert {e.members for e in run.axps} == minimal_hitting_sets(5, cxps)
