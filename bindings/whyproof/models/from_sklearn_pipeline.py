"""Scikit-learn's pipelines: explanations speak of the columns that come in.

Whatever the preprocessing derives from one original column (scaled numbers, one-hot
blocks, codes, filled gaps) is put back into one column, so that no explanation can free
half a one-hot block or ask for a scaled value.  Counterexamples are replayed by the whole
pipeline, words and gaps included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.encodings.linear.additive import AdditiveModel
from whyproof.encodings.neighbours.model import NeighbourModel
from whyproof.encodings.trees.ensemble import TreeEnsemble
from whyproof.engine.classifier import Predictions
from whyproof.engine.domain import Categories, Domain
from whyproof.engine.errors import DataError, ModelError, UnsupportedError
from whyproof.engine.space import Points

from .column_maps import Chain, Fill, Lookup, Present
from .compose import Original, compose_additive, compose_trees
from .from_sklearn_neighbours import compose_neighbours, verify_neighbours
from .model import Model, Structure
from .sklearn_preprocessing import chains_through
from .sklearn_runtime import class_indices, column_names_of

__all__ = ["PipelineRuntime", "load_sklearn_pipeline"]


@dataclass(frozen=True, eq=False)
class PipelineRuntime:
    """A pipeline that predicts for itself, from codes turned back into what it was fitted on.

    Parameters
    ----------
    pipeline
        Fitted.
    final
        The last step as a model over the derived columns, for scores.
    originals
        The columns that come in.
    types
        Numpy type of each column that holds words.
    framed
        Whether it was fitted on a table with column names.
    version
        Of scikit-learn.
    """

    pipeline: Any
    final: Model
    originals: tuple[Original, ...]
    types: Mapping[int, str]
    framed: bool
    version: str

    @property
    def name(self) -> str:
        """Name the library and its version."""
        return f"scikit-learn {self.version}"

    def rows(self, points: Points) -> Any:  # noqa: ANN401
        """Turn points into rows for the pipeline."""
        gaps = np.asarray(np.isnan(points).any(axis=0))
        for i, original in enumerate(self.originals):
            if gaps[i] and not original.takes_missing:
                raise DataError(f"the model does not take missing values in {original.name!r}")
        if not self.types and not self.framed:
            return points
        columns = [self._column(i, points[:, i]) for i in range(len(self.originals))]
        if self.framed:
            import pandas

            return pandas.DataFrame(
                {o.name: column for o, column in zip(self.originals, columns, strict=True)}
            )
        mixed = np.empty(points.shape, dtype=object)
        for i, column in enumerate(columns):
            mixed[:, i] = column
        return mixed

    def _column(self, i: int, codes: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        words = self.originals[i].words
        if not words:
            return codes
        values = np.empty(len(codes), dtype=object)
        values[:] = [math.nan if math.isnan(c) else words[int(c)] for c in codes.tolist()]
        typed = self.types[i] != "O" and not bool(np.isnan(codes).any())
        return values.astype(self.types[i]) if typed else values

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return the scores of the last step."""
        derived = self.rows(points)
        for _, step in self.pipeline.steps[:-1]:
            if step is not None and not isinstance(step, str):
                derived = step.transform(derived)
        dense = derived.toarray() if hasattr(derived, "toarray") else derived
        return self.final.runtime.sums(np.asarray(dense, dtype=np.float64))

    def predict(self, points: Points) -> Predictions:
        """Return class indices, or values, of the whole pipeline."""
        found = self.pipeline.predict(self.rows(points))
        if self.final.is_regressor:
            return np.asarray(found, dtype=np.float64).reshape(len(points))
        return class_indices(np.asarray(self.pipeline.classes_), found)


def load_sklearn_pipeline(source: Any, load: Callable[[object], Model]) -> Model:  # noqa: ANN401
    """Import a fitted pipeline of scikit-learn.

    Parameters
    ----------
    source
        Its last step is any supported model, the others are supported preprocessing.
    load
        Imports the last step.

    Raises
    ------
    UnsupportedError
        Naming the step that is not supported.
    ModelError
        If it is not fitted.
    """
    import sklearn

    steps = list(source.steps)
    if not steps or steps[-1][1] is None or isinstance(steps[-1][1], str):
        raise UnsupportedError("a pipeline has to end with a model")
    final = load(steps[-1][1])
    n = _width(source, final)
    chains: list[Chain] = [Chain(i) for i in range(n)]
    for _, step in steps[:-1]:
        chains = chains_through(step, chains)
    if len(chains) != final.n_columns:
        raise ModelError(
            f"the preprocessing makes {len(chains)} columns, the last step takes {final.n_columns}"
        )
    names = column_names_of(source) or _first_names(steps)
    originals = tuple(_original(i, names[i] if names else f"x{i}", chains, final) for i in range(n))
    structure: Structure
    if isinstance(final.structure, TreeEnsemble):
        structure = compose_trees(final.structure, chains, originals)
    elif isinstance(final.structure, AdditiveModel):
        structure = compose_additive(final.structure, chains, originals)
    elif isinstance(final.structure, NeighbourModel):
        structure = compose_neighbours(final.structure, chains, originals)
    else:
        raise UnsupportedError(f"a pipeline cannot end with a {final.source}")
    domains: dict[int, Domain] = {
        i: Categories(values=original.words)
        for i, original in enumerate(originals)
        if original.words
    }
    for derived, domain in final.domains.items():
        if chains[derived].is_plain:
            domains[chains[derived].source] = domain
    runtime = PipelineRuntime(
        pipeline=source,
        final=final,
        originals=originals,
        types={i: _type_of(o.words) for i, o in enumerate(originals) if o.words},
        framed=bool(names),
        version=sklearn.__version__,
    )
    model = Model(
        structure=structure,
        runtime=runtime,
        library="scikit-learn",
        version=sklearn.__version__,
        names=names,
        domains=domains,
        accepts_missing=any(original.takes_missing for original in originals),
        source=f"Pipeline with {final.source}",
        notes=final.notes,
    )
    _verify(model, originals)
    return model


def _width(source: Any, final: Model) -> int:  # noqa: ANN401
    for _, step in source.steps:
        found = getattr(step, "n_features_in_", None)
        if found is not None:
            return int(found)
    return final.n_columns


def _first_names(steps: Sequence[tuple[str, Any]]) -> tuple[str, ...]:
    return column_names_of(steps[0][1])


def _original(i: int, name: str, chains: Sequence[Chain], final: Model) -> Original:
    own = [(k, chain) for k, chain in enumerate(chains) if chain.source == i]
    words: list[Hashable] = []
    for _, chain in own:
        for number, step in enumerate(chain.steps):
            if not isinstance(step, Lookup):
                continue
            if any(not isinstance(earlier, Fill | Present) for earlier in chain.steps[:number]):
                raise UnsupportedError(
                    f"column {name!r} is encoded after it was scaled; encode it first"
                )
            words += [word for word in step.categories if word not in words]
    taken = bool(own) and all(_takes_missing(chain, k, final) for k, chain in own)
    return Original(name, tuple(words), taken)


def _takes_missing(chain: Chain, derived: int, final: Model) -> bool:
    for step in chain.steps:
        if isinstance(step, Fill | Present):
            return isinstance(step, Fill)
        if isinstance(step, Lookup):
            return step.missing is not None and (
                not math.isnan(step.missing) or final.accepts_missing
            )
    return final.accepts_missing


def _type_of(words: Sequence[Hashable]) -> str:
    kind = np.array(list(words)).dtype.kind
    return kind if kind in "ifb" else "O"


def _verify(model: Model, originals: Sequence[Original]) -> None:
    """Compare the composed model with the pipeline, each column at its words and boundaries."""
    if isinstance(model.structure, NeighbourModel):
        verify_neighbours(model)
        return
    points, slack, _ = model.probes(48)
    random = np.random.default_rng(1)
    for i, original in enumerate(originals):
        if original.words:
            points[:, i] = random.integers(0, len(original.words), len(points))
        if original.takes_missing:
            points[random.random(len(points)) < 0.125, i] = np.nan
        else:
            points[:, i] = np.nan_to_num(points[:, i])
    expected, found = model.structure.sums(points), model.runtime.sums(points)
    allowed = slack + 1e-9 * np.abs(expected).max(initial=1.0)
    if not float(np.abs(expected - found).max(initial=0.0)) <= allowed:
        raise UnsupportedError(
            f"the {model.source} computes other scores than its steps say; "
            "a step has an option that is not supported"
        )
