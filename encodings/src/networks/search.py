"""The default strategy of networks: the right search for each kind of explanation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from whyproof.engine.explanation import Kind
from whyproof.engine.minimal.predicate import Verdict, WeakExplanation
from whyproof.engine.minimal.result import MinimalSet

from .abductive import FreeInBatches
from .contrastive import SharedTree
from .oracle import NetworkOracle

__all__ = ["NetworkSearch"]


@dataclass(frozen=True)
class NetworkSearch:
    """Shrink contrastive sets by `SharedTree`, abductive ones by `FreeInBatches`.

    Parameters
    ----------
    oracle
        The network oracle behind the predicate.
    seconds
        Processor seconds for the proofs of one explanation.
    """

    oracle: NetworkOracle
    seconds: float = 60.0

    def __call__(
        self, predicate: WeakExplanation, start: Verdict, candidates: Sequence[int]
    ) -> MinimalSet:
        """Shrink `candidates`; as in `Strategy`."""
        if predicate.kind is Kind.CXP:
            search = SharedTree(self.oracle, self.seconds)
            return search(predicate, start, candidates)
        return FreeInBatches(self.oracle, self.seconds)(predicate, start, candidates)
