"""Regions and the join with the symbolic engine: facts checked by brute force and by proof."""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("safetensors")

import torch
from tiny_visual import SIDE, bars, bridge, classifier, module, random_classifier

from whyproof.encodings.networks.oracle import NetworkOracle
from whyproof.engine.answers import Counterexample, Entailed, Unknown
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.enumerate import enumerate_explanations
from whyproof.engine.errors import DataError, InputError, ModelError, UnsupportedError
from whyproof.engine.explanation import Kind, Status
from whyproof.engine.minimise import minimise
from whyproof.engine.toy import toy
from whyproof.visual.cells import Grid
from whyproof.visual.classifiers import ImageClassifier
from whyproof.visual.join import (
    generator_first,
    minimal_regions,
    region_statement,
)
from whyproof.visual.oracle import GeneratorOracle, image_problem
from whyproof.visual.regions.attribution import METHODS, attribution
from whyproof.visual.regions.choice import best_cells, complements, random_cells
from whyproof.visual.regions.painted import read_mask, write_mask
from whyproof.visual.regions.symbolic import RegionSearch, Shape
from whyproof.visual.regions.text import load_lang_sam, text_regions
from whyproof.visual.repainting import Attempts
from whyproof.visual.sampler import SamplerOptions

IMAGES = bars()[0][:, :, :, None]
GRID = Grid(SIDE, SIDE, 2)
STRONG = SamplerOptions(scale=4.0, steps=5)


@given(height=st.integers(1, 9), width=st.integers(1, 9), cell=st.integers(1, 4), data=st.data())
@settings(max_examples=50, deadline=None)
def test_cells_cover_an_image_once(height: int, width: int, cell: int, data: st.DataObject) -> None:
    if cell > min(height, width):
        with pytest.raises(DataError):
            Grid(height, width, cell)
        return
    grid = Grid(height, width, cell)
    total = sum(grid.pixels([i]).astype(int) for i in range(grid.count))
    assert (total == 1).all()
    chosen = data.draw(st.sets(st.integers(0, grid.count - 1)))
    assert grid.cells(grid.pixels(chosen)) == frozenset(chosen)


@given(seed=st.integers(0, 999), area=st.floats(0.07, 0.95))
@settings(max_examples=40, deadline=None)
def test_the_best_cells_are_the_best_and_fit_the_area(seed: int, area: float) -> None:
    maps = np.random.default_rng(seed).normal(size=(2, SIDE, SIDE))
    regions = best_cells(maps, GRID, area)
    shares = regions.mean(axis=(1, 2))
    assert (shares <= area + 1e-9).all() and (shares > area - 1 / GRID.count - 1e-9).all()
    assert np.array_equal(random_cells(2, GRID, area, seed).mean(axis=(1, 2)), shares)
    assert not (complements(regions) & regions).any()
    for image, region in zip(np.abs(maps), regions, strict=True):
        ordered = np.sort(image.ravel())
        top = ordered[np.argmax(ordered.cumsum() >= 0.98 * ordered.sum())]
        sums = GRID.sums(np.minimum(image / top, 1.0)[None])[0]
        inside = sorted(GRID.cells(region))
        rest = [i for i in range(GRID.count) if i not in inside]
        assert sums[inside].min() >= sums[rest].max() - 1e-12


@pytest.mark.parametrize("area", [0.0, 1.0, -0.1, float("nan")])
def test_areas_out_of_range(area: float) -> None:
    with pytest.raises(InputError, match="area"):
        best_cells(np.ones((1, SIDE, SIDE)), GRID, area)


def test_integrated_gradients_are_complete() -> None:
    images, classes = IMAGES[:3], [0, 1, 2]
    maps = attribution(classifier(), images, classes)
    logits = classifier().scores(images) - classifier().scores(np.zeros_like(images))
    # Noise is added to the image: what is completed is the mean over noisy copies.
    assert np.allclose(maps.sum(axis=(1, 2)), logits[[0, 1, 2], classes], atol=0.6)


def test_attributions_agree_between_module_and_network() -> None:
    own = ImageClassifier(module(), shape=(1, SIDE, SIDE))
    for method in METHODS:
        if method == "grad-cam":
            with pytest.raises(UnsupportedError, match="convolutions"):
                attribution(own, IMAGES[:1], [0], method=method)
            with pytest.raises(UnsupportedError, match="convolutions"):
                attribution(classifier(), IMAGES[:1], [0], method=method)
            continue
        pair = [attribution(net, IMAGES[:2], [0, 1], method=method) for net in (own, classifier())]
        assert np.allclose(*pair, atol=1e-4), method
    with pytest.raises(InputError, match="no attribution"):
        attribution(own, IMAGES[:1], [0], method="magic")


def test_grad_cam_sees_the_same_through_both_ways() -> None:
    from whyproof.networks import load_network
    from whyproof.visual.networks.judge import Judge, JudgeShape

    torch.manual_seed(0)
    judge = Judge(JudgeShape(1, SIDE, SIDE, 3, 4, 8, pooled=False)).eval()
    pair = [
        ImageClassifier(judge, shape=(1, SIDE, SIDE)),
        ImageClassifier(load_network(judge, input_shape=(1, 1, SIDE, SIDE))),
    ]
    maps = [attribution(net, IMAGES[:2], [0, 2], method="grad-cam") for net in pair]
    assert np.allclose(*maps, atol=1e-5) and (maps[0] >= 0).all()


def test_masks_travel_through_files(tmp_path: Path) -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[2:4, 1:7] = True
    place = tmp_path / "mask.png"
    write_mask(place, mask)
    assert np.array_equal(read_mask(place, SIDE, SIDE), mask)
    with pytest.raises(DataError, match="mask of 8 x 8 pixels for an image of 9 x 8"):
        read_mask(place, 9, 8)
    for bad, told in ((np.zeros_like(mask), "is empty"), (np.ones_like(mask), "whole image")):
        write_mask(place, bad)
        with pytest.raises(DataError, match=told):
            read_mask(place, SIDE, SIDE)


def test_regions_by_words() -> None:
    def segment(image: np.ndarray, words: str) -> np.ndarray:
        assert image.shape == (SIDE, SIDE, 3)
        return (image[..., 0] > 150).astype(float)

    found = text_regions(segment, IMAGES[:2], "the bar")
    assert np.array_equal(found, IMAGES[:2, :, :, 0] > 150)
    assert (text_regions(segment, IMAGES[:2], "bar", area=0.25, cell=2).mean((1, 2)) <= 0.25).all()
    with pytest.raises(InputError, match="words"):
        text_regions(segment, IMAGES[:1], " ")
    with pytest.raises(InputError, match="nothing called 'fish'"):
        text_regions(lambda image, words: np.zeros((SIDE, SIDE)), IMAGES[:1], "fish")


def test_segmenters_without_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no sam2\.1_hiera_small\.pt .* not downloaded"):
        load_lang_sam(tmp_path)
    (tmp_path / "sam2.1_hiera_tiny.pt").touch()
    with pytest.raises(ModelError, match=r"no grounding/config\.json .* not downloaded"):
        load_lang_sam(tmp_path)
    (tmp_path / "sam2.1_hiera_large.pt").touch()
    with pytest.raises(ModelError, match="more than one SAM checkpoint"):
        load_lang_sam(tmp_path)


def test_the_segmenter_is_told_where_everything_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, object] = {}

    class LangSAM:
        """As released: what is not given a path is downloaded."""

        def __init__(
            self,
            sam_type: str = "sam2.1_hiera_small",
            sam_ckpt_path: str | None = None,
            gdino_model_ckpt_path: str | None = None,
            gdino_processor_ckpt_path: str | None = None,
        ) -> None:
            told.update(sam_type=sam_type, sam=sam_ckpt_path, model=gdino_model_ckpt_path)
            told["processor"] = gdino_processor_ckpt_path

        def predict(
            self,
            images_pil: list[object],
            texts_prompt: list[str],
            box_threshold: float = 0.3,
            text_threshold: float = 0.25,
        ) -> list[dict[str, object]]:
            masks = np.zeros((2, SIDE, SIDE))
            masks[0, :3], masks[1, :, :2] = 1, 1
            return [{"masks": masks if texts_prompt == ["bar"] else []}]

    monkeypatch.setitem(sys.modules, "lang_sam", SimpleNamespace(LangSAM=LangSAM))
    (tmp_path / "sam2.1_hiera_tiny.pt").touch()
    (tmp_path / "grounding").mkdir()
    (tmp_path / "grounding" / "config.json").touch()
    segmenter = load_lang_sam(tmp_path)
    assert told == {
        "sam_type": "sam2.1_hiera_tiny",
        "sam": str(tmp_path / "sam2.1_hiera_tiny.pt"),
        "model": str(tmp_path / "grounding"),
        "processor": str(tmp_path / "grounding"),
    }
    (region,) = text_regions(segmenter, IMAGES[:1], "bar")
    assert region.sum() == 3 * SIDE + 2 * SIDE - 6
    with pytest.raises(InputError, match="nothing called 'fish'"):
        text_regions(segmenter, IMAGES[:1], "fish")


def test_the_segmenter_s_package_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lang_sam", None)
    (tmp_path / "sam2.1_hiera_tiny.pt").touch()
    (tmp_path / "grounding").mkdir()
    (tmp_path / "grounding" / "config.json").touch()
    with pytest.raises(ImportError, match=r"whyproof\[text\]' git\+https"):
        load_lang_sam(tmp_path)


# Symbolic regions -----------------------------------------------------------------------


def is_connected(cells: frozenset[int], grid: Grid) -> bool:
    """Tell whether cells hang together, by flooding."""
    todo, seen = [min(cells)], set()
    while todo:
        cell = todo.pop()
        if cell in seen or cell not in cells:
            continue
        seen.add(cell)
        row, column = divmod(cell, grid.columns)
        for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if 0 <= r < grid.rows and 0 <= c < grid.columns:
                todo.append(grid.at(r, c))
    return seen == cells


def is_rectangle(cells: frozenset[int], grid: Grid) -> bool:
    """Tell whether cells fill a rectangle."""
    rows, columns = {c // grid.columns for c in cells}, {c % grid.columns for c in cells}
    full = (max(rows) - min(rows) + 1) * (max(columns) - min(columns) + 1)
    return len(cells) == full and len(rows) * len(columns) == full


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_regions_of_a_shape_equal_brute_force(data: st.DataObject) -> None:
    grid = Grid(3, 3, 1)
    few = st.frozensets(st.integers(0, 8), min_size=1, max_size=3)
    changing = data.draw(st.lists(few, min_size=1, max_size=4))
    problem, oracle = toy(9, changing)
    must = data.draw(st.frozensets(st.integers(0, 8), max_size=1))
    must_not = data.draw(st.frozensets(st.integers(0, 8), max_size=2)) - must
    shape = Shape(
        connected=data.draw(st.booleans()),
        rectangular=data.draw(st.booleans()),
        must=must,
        must_not=must_not,
        at_most=data.draw(st.sampled_from([None, 4])),
    )

    def fits(cells: frozenset[int]) -> bool:
        return (
            (not shape.connected or is_connected(cells, grid))
            and (not shape.rectangular or is_rectangle(cells, grid))
            and must <= cells
            and not must_not & cells
            and len(cells) <= (shape.at_most or 9)
            and any(change <= cells for change in changing)
        )

    every = [frozenset(cells) for n in range(1, 10) for cells in combinations(range(9), n)]
    valid = [cells for cells in every if fits(cells)]
    expected = {cells for cells in valid if not any(other < cells for other in valid)}
    search = RegionSearch(problem, oracle, grid, shape)
    found = list(search)
    assert {region.cells for region in found} == expected
    assert [len(r.cells) for r in found] == sorted(len(r.cells) for r in found)
    assert search.complete and all(region.proved for region in found)


def test_an_oracle_that_does_not_know_leaves_nothing_proved() -> None:
    problem, inner = toy(4, [{0, 1}, {3}])

    class Shy:
        name = "shy"

        def decide(self, free_sets, meter):  # noqa: ANN001, ANN202
            answers = inner.decide(free_sets, meter)
            return [
                Unknown("incomplete") if free == {3} else answer  # type: ignore[arg-type]
                for free, answer in zip(free_sets, answers, strict=True)
            ]

    search = RegionSearch(problem, Shy(), Grid(2, 2, 1))
    found = list(search)
    assert found and not any(region.proved for region in found)
    assert not search.complete


def test_shapes_that_contradict_themselves() -> None:
    problem, oracle = toy(4, [{0}])
    for shape in (
        Shape(must=frozenset({9})),
        Shape(must=frozenset({1}), must_not=frozenset({1})),
        Shape(at_most=0),
    ):
        with pytest.raises(DataError):
            RegionSearch(problem, oracle, Grid(2, 2, 1), shape)
    with pytest.raises(DataError, match="4 features for"):
        RegionSearch(problem, oracle, Grid(3, 3, 1))


def test_no_region_is_an_answer() -> None:
    problem, oracle = toy(4, [{0, 3}])
    search = RegionSearch(problem, oracle, Grid(2, 2, 1), Shape(must_not=frozenset({0})))
    assert search.smallest() is None and search.complete


# The generator as an oracle ---------------------------------------------------------------


def generator(image: np.ndarray, net: ImageClassifier, **options: object) -> GeneratorOracle:
    """Return the tiny generator as oracle of an image."""
    return GeneratorOracle(
        image_problem(net, image, 2),
        bridge(),
        net,
        image,
        2,
        options=STRONG,
        attempts=Attempts((1.0, 3.0), batch=16),
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_on_the_complement_of_a_verified_axp_the_generator_never_flips(seed: int) -> None:
    net = random_classifier(seed)
    for image in IMAGES[10 * seed : 10 * seed + 3]:
        problem = image_problem(net, image, 2)
        why = minimise(problem, NetworkOracle(problem), Kind.AXP, budget=Budget(seconds=30))
        assert why is not None
        if not isinstance(why.evidence, Entailed):
            continue
        oracle = generator(image, net, targets=[c for c in range(3) if c != problem.prediction])
        (answer,) = oracle.decide([problem.universe - why.members], Meter())
        assert not isinstance(answer, Counterexample)


@pytest.mark.parametrize("seed", range(4))
def test_the_generator_never_says_yes_where_the_exact_oracle_says_no(seed: int) -> None:
    net, image = random_classifier(seed), IMAGES[seed]
    problem = image_problem(net, image, 2)
    random = np.random.default_rng(seed)
    sets = [frozenset(random.permutation(16)[: random.integers(1, 9)].tolist()) for _ in range(12)]
    oracle = generator(image, net)
    for free, ours, exact in zip(
        sets,
        oracle.decide(sets, Meter()),
        NetworkOracle(problem).decide(sets, Meter()),
        strict=True,
    ):
        assert isinstance(ours, Counterexample | Unknown)
        if isinstance(ours, Counterexample):
            assert ours.moved <= free
            problem.replay(ours.point, free)
            assert not isinstance(exact, Entailed)


def test_the_generator_says_yes_where_it_is_easy() -> None:
    image = IMAGES[0]
    oracle = generator(image, classifier())
    (answer, nothing) = oracle.decide([oracle.problem.universe, frozenset()], Meter())
    assert isinstance(answer, Counterexample)
    assert isinstance(nothing, Unknown)


def test_an_exhausted_budget_is_not_an_answer() -> None:
    oracle = generator(IMAGES[0], classifier())
    meter = Budget(calls=1).start()
    meter.spend(1)
    (answer,) = oracle.decide([oracle.problem.universe], meter)
    assert isinstance(answer, Unknown) and answer.reason == "calls"


def test_minimal_regions_and_statements() -> None:
    image = IMAGES[1]
    problem = image_problem(classifier(), image, 2)
    ours, exact = generator(image, classifier()), NetworkOracle(problem)
    found = minimal_regions(problem, ours, exact, budget=Budget(seconds=30))
    assert found.generator is not None and found.exact is not None
    assert found.generator.status is Status.WEAK or len(found.generator) == 0
    assert found.exact.members <= found.generator.members
    assert found.exact.status is Status.MINIMAL
    assert found.beyond == found.generator.members - found.exact.members
    told = region_statement(problem, generator_first(ours, exact), found.generator.members)
    assert told.can_change is True
    assert told.suffices in (True, False)
    assert "can change the decision" in told.sentences()[0]
    alone = region_statement(problem, ours, frozenset({0}))
    assert alone.can_change in (True, None) and alone.suffices in (False, None)


def test_marco_runs_with_the_generator_in_front() -> None:
    image = IMAGES[2]
    net = random_classifier(1)
    problem = image_problem(net, image, 4)
    exact = NetworkOracle(problem)
    ours = GeneratorOracle(problem, bridge(), net, image, 4, options=STRONG)
    both = generator_first(ours, exact)
    mixed = enumerate_explanations(problem, both)
    plain = enumerate_explanations(problem, NetworkOracle(problem))
    sets = [{(e.kind, e.members) for e in run} for run in (mixed, plain)]
    assert sets[0] == sets[1] and mixed.complete and plain.complete


def test_oracles_refuse_other_images_and_grids() -> None:
    problem = image_problem(classifier(), IMAGES[0], 2)
    with pytest.raises(DataError, match="not the one"):
        GeneratorOracle(problem, bridge(), classifier(), IMAGES[1], 2)
    with pytest.raises(DataError, match="features"):
        GeneratorOracle(problem, bridge(), classifier(), IMAGES[0], 4)
    own = ImageClassifier(module(), shape=(1, SIDE, SIDE))
    with pytest.raises(DataError, match="imported network"):
        image_problem(own, IMAGES[0], 2)
