"""Repainting: bit-exact outside, state per sample, retries, controls, bad input."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("safetensors")

import torch
from tiny_visual import SIDE, bars, bridge, classifier, module

from whyproof.engine.errors import (
    DataError,
    InputError,
    UnsupportedError,
    WhyproofWarning,
)
from whyproof.visual.baselines import change_within, gradient_attack
from whyproof.visual.bridge import Bridge
from whyproof.visual.classifiers import ImageClassifier
from whyproof.visual.devices import interleaved, repaint_across, start_fabric
from whyproof.visual.diffusion import Diffusion, load_diffusion, walk_diffusion
from whyproof.visual.guidance import Stabiliser
from whyproof.visual.pixels import as_pixels, as_signed, read_image, write_image
from whyproof.visual.repainting import Attempts, repaint
from whyproof.visual.sampler import Moment, SamplerOptions, walk
from whyproof.visual.views import Views

QUICK = SamplerOptions(steps=6, start_step=600)
IMAGES = bars()[0][:, :, :, None]


def wanted(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images and the class that each is to become."""
    images = IMAGES[:count]
    return images, 1 - classifier().predict(images).clip(0, 1)


@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_nothing_changes_outside_the_region(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 4))
    images, targets = wanted(count)
    bits = data.draw(st.lists(st.booleans(), min_size=count * 64, max_size=count * 64))
    regions = np.array(bits).reshape(count, SIDE, SIDE)
    regions[:, 0, 0] = True
    options = SamplerOptions(
        scale=data.draw(st.sampled_from([0.0, 1.5, 6.0])),
        steps=data.draw(st.integers(2, 5)),
        start_step=data.draw(st.integers(50, 1000)),
        noisy=data.draw(st.booleans()),
        narrow_to=data.draw(st.sampled_from([None, 0.1])),
        anchored=data.draw(st.booleans()),
        through_network=data.draw(st.booleans()),
        cell=2,
    )
    for result in repaint(
        bridge(),
        classifier(),
        images,
        regions,
        targets,
        options=options,
        attempts=Attempts.single(),
    ):
        assert np.array_equal(result.image[~result.region], result.original[~result.region])
        assert result.outside == 0
        assert not (result.moved & ~result.region).any()
        assert result.outcome == classifier().predict(result.image[None])[0]
        assert result.control is not None
        assert np.array_equal(result.control[~result.region], result.original[~result.region])


def test_guidance_makes_the_flips() -> None:
    images, targets = wanted(24)
    regions = np.ones(images.shape[:3], dtype=bool)
    options = SamplerOptions(scale=3.0, start_step=600, steps=12)
    found = repaint(bridge(), classifier(), images, regions, targets, options=options)
    assert np.mean([r.reached for r in found]) >= 0.9
    assert np.mean([r.control_outcome == r.target for r in found]) <= 0.5


def test_results_do_not_depend_on_the_batch() -> None:
    images, targets = wanted(7)
    regions = np.zeros(images.shape[:3], dtype=bool)
    regions[:, 2:7, 1:6] = True
    together = repaint(bridge(), classifier(), images, regions, targets, options=QUICK, copies=2)
    for batch in (1, 3):
        apart = repaint(
            bridge(),
            classifier(),
            images,
            regions,
            targets,
            options=QUICK,
            copies=2,
            attempts=Attempts(batch=batch),
        )
        for one, other in zip(together, apart, strict=True):
            # Sums in another order may round a pixel to the other side.
            difference = np.abs(one.image.astype(int) - other.image.astype(int))
            assert difference.max() <= 1
            assert one.copy == other.copy
    assert not np.array_equal(together[0].image, together[1].image)


def test_two_walks_at_once_do_not_disturb_each_other() -> None:
    images, targets = wanted(3)
    regions = np.ones(images.shape[:3], dtype=bool)
    alone = repaint(bridge(), classifier(), images, regions, targets, options=QUICK)

    def inner(moment: Moment) -> None:
        repaint(bridge(), classifier(), images[:1], regions[:1], targets[:1], options=QUICK)

    noise = torch.randn(3, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    args = (
        bridge(),
        classifier().logits,
        as_signed(images),
        torch.from_numpy(regions)[:, None],
        torch.from_numpy(targets),
        noise,
        QUICK,
    )
    assert torch.equal(walk(*args), walk(*args, watch=inner))
    again = repaint(bridge(), classifier(), images, regions, targets, options=QUICK)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(alone, again, strict=True))


def test_a_walk_without_guidance_never_asks_the_classifier() -> None:
    def angry(images: torch.Tensor) -> torch.Tensor:
        raise AssertionError("asked")

    images = as_signed(IMAGES[:2])
    noise = torch.zeros_like(images)
    region = torch.ones(2, 1, SIDE, SIDE, dtype=torch.bool)
    options = SamplerOptions(scale=0.0, steps=3)
    walk(bridge(), angry, images, region, torch.tensor([0, 1]), noise, options)


def test_a_walk_of_a_perfect_generator_returns_the_image() -> None:
    images = as_signed(IMAGES[:2])
    kept: list[torch.Tensor] = [images]

    def predict(current: torch.Tensor, times: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        step = round((float(times[0]) / 1000 - 1e-4) / (1 - 1e-4) * 999)
        return (current - kept[0]) / float(told.schedule.deviation[step])

    told = Bridge(predict, (1, SIDE, SIDE))
    region = torch.ones(2, 1, SIDE, SIDE, dtype=torch.bool)
    options = SamplerOptions(scale=0.0, steps=10, start_step=1000)
    noise = torch.randn(images.shape)
    found = walk(told, classifier().logits, images, region, torch.tensor([0, 1]), noise, options)
    # The grid ends at the first step, which still holds that step's share of noise.
    assert float((found - images).abs().max()) < 0.02


def test_the_first_step_has_length_one_and_later_ones_are_relative() -> None:
    steady = Stabiliser()
    gradient = torch.randn(3, 1, 4, 4) * torch.tensor([1e-6, 1.0, 1e6]).view(-1, 1, 1, 1)
    first = steady(gradient)
    assert torch.allclose(first.flatten(1).norm(dim=1)[1:], torch.ones(2), atol=1e-4)
    plain = Stabiliser(adam=False)
    assert torch.allclose(plain(gradient).flatten(1).norm(dim=1), torch.ones(3), atol=1e-4)
    assert torch.allclose(plain(2 * gradient).flatten(1).norm(dim=1), 2 * torch.ones(3), atol=1e-3)


def test_adam_agrees_with_that_of_torch() -> None:
    own = Stabiliser(pooled=False, normalise=False)
    weight = torch.zeros(1, 1, 2, 2, requires_grad=True)
    optimiser = torch.optim.Adam([weight], lr=1.0)
    random = torch.Generator().manual_seed(1)
    for _ in range(5):
        gradient = torch.randn(weight.shape, generator=random)
        before = weight.detach().clone()
        weight.grad = gradient
        optimiser.step()
        assert torch.allclose(own(gradient), before - weight.detach(), atol=1e-5)


def test_narrowing_only_shrinks_and_ends_at_the_area() -> None:
    images, targets = wanted(4)
    regions = np.ones(images.shape[:3], dtype=bool)
    seen: list[np.ndarray] = []
    walk(
        bridge(),
        classifier().logits,
        as_signed(images),
        torch.from_numpy(regions)[:, None],
        torch.from_numpy(targets),
        torch.randn(4, 1, SIDE, SIDE),
        replace(QUICK, narrow_to=0.25, cell=2),
        watch=lambda moment: seen.append(moment.region.numpy().copy()),
    )
    for one, other in pairwise(seen):
        assert not (other & ~one).any()
    assert np.allclose(seen[-1].mean(axis=(1, 2, 3)), 0.25)


def test_views_are_the_same_for_every_image_of_a_batch() -> None:
    images = torch.rand(5, 1, SIDE, SIDE)
    targets = torch.tensor([0, 1, 2, 0, 1])
    views = Views(3)
    for fading in (False, True):
        whole = views.belief(classifier().logits, images, targets, 4, fading=fading)
        parts = [
            views.belief(classifier().logits, images[i, None], targets[i, None], 4, fading=fading)
            for i in range(5)
        ]
        assert torch.allclose(whole, torch.cat(parts), atol=1e-5)


def test_log_odds_rise_in_the_same_direction_and_do_not_fade() -> None:
    images = torch.rand(4, 1, SIDE, SIDE)
    targets = torch.tensor([0, 1, 2, 0])
    slopes = []
    for fading in (False, True):
        origin = images.clone().requires_grad_()
        belief = Views().belief(classifier().logits, origin, targets, 0, fading=fading)
        (slope,) = torch.autograd.grad(belief.sum(), origin)
        slopes.append(slope)
    likely = classifier().logits(images).softmax(1)[torch.arange(4), targets]
    assert torch.allclose(slopes[0] * (1 - likely).view(-1, 1, 1, 1), slopes[1], atol=1e-5)


def test_one_mean_square_per_sample_keeps_the_direction() -> None:
    drawn = torch.rand(3, 2, 4, 4, generator=torch.Generator().manual_seed(4)) - 0.5
    gradient = (drawn + 0.1 * drawn.sign()) * torch.tensor([1e-3, 1.0, 1e3]).view(-1, 1, 1, 1)
    step = Stabiliser(normalise=False)(gradient)
    power = gradient.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    assert torch.allclose(step, gradient / power, rtol=1e-3)
    signs = Stabiliser(pooled=False, normalise=False)(gradient)
    assert torch.allclose(signs, gradient.sign(), atol=1e-3)


@pytest.mark.slow
def test_an_anchored_walk_without_a_push_returns_the_original() -> None:
    images = as_signed(IMAGES[:3])
    region = torch.ones(3, 1, SIDE, SIDE, dtype=torch.bool)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(3))
    args = (bridge(), classifier().logits, images, region, torch.tensor([0, 1, 0]), noise)
    far = {}
    for anchored in (True, False):
        options = SamplerOptions(scale=1e-9, anchored=anchored, steps=12)
        far[anchored] = float((walk(*args, options) - images).abs().max())
    # The grid ends at the first step, which still holds that step's share of noise.
    assert far[True] < 0.02 < far[False]
    # The control without guidance is the network alone.
    control = SamplerOptions(scale=0.0, steps=12)
    plain = replace(control, anchored=False)
    assert torch.equal(walk(*args, control), walk(*args, plain))


def test_guidance_as_published_is_guidance_through_the_network() -> None:
    options = SamplerOptions(scale=3.0, steps=4).as_published()
    assert options == SamplerOptions(
        scale=3.0,
        steps=4,
        pooled=False,
        fading=True,
        through_network=True,
        anchored=False,
        views=Views(0),
    )
    images, targets = wanted(4)
    regions = np.ones(images.shape[:3], dtype=bool)
    found = repaint(
        bridge(), classifier(), images, regions, targets, options=options, control=False
    )
    assert any(r.reached for r in found) and all(r.outside == 0 for r in found)


def test_an_attempt_that_fails_is_followed_by_a_stronger_one() -> None:
    images, targets = wanted(6)
    regions = np.ones(images.shape[:3], dtype=bool)
    weak = SamplerOptions(scale=1e-6, steps=4, start_step=200)
    attempts = Attempts(scales=(1.0, 4e6))
    found = repaint(
        bridge(), classifier(), images, regions, targets, options=weak, attempts=attempts
    )
    assert {r.attempts for r in found} == {2}
    assert any(r.reached for r in found)
    assert all(r.scale == pytest.approx(4.0) for r in found if r.reached)


def test_memory_that_runs_out_makes_smaller_batches_and_says_so() -> None:
    inner = bridge()
    sizes: list[int] = []

    def hungry(images: torch.Tensor, times: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        sizes.append(len(images))
        if len(images) > 3:
            raise torch.OutOfMemoryError("out of memory")
        return inner.network(images, times, mask)

    small = Bridge(hungry, inner.shape, inner.schedule)
    images, targets = wanted(5)
    regions = np.ones(images.shape[:3], dtype=bool)
    with pytest.warns(WhyproofWarning, match="going on with 2"):
        found = repaint(small, classifier(), images, regions, targets, options=QUICK)
    whole = repaint(inner, classifier(), images, regions, targets, options=QUICK)
    for one, other in zip(found, whole, strict=True):
        assert np.abs(one.image.astype(int) - other.image).max() <= 1
    assert max(sizes) == 5


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    def broken(images: torch.Tensor, times: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("sizes differ")

    images, targets = wanted(3)
    regions = np.ones(images.shape[:3], dtype=bool)
    with pytest.raises(RuntimeError, match="sizes differ"):
        repaint(Bridge(broken, (1, SIDE, SIDE)), classifier(), images, regions, targets)


def test_an_imported_network_and_its_module_agree() -> None:
    own = ImageClassifier(module(), shape=(1, SIDE, SIDE))
    assert np.allclose(own.scores(IMAGES[:9]), classifier().scores(IMAGES[:9]), atol=1e-5)
    gradients = []
    for net in (own, classifier()):
        images = torch.from_numpy(IMAGES[:3].transpose(0, 3, 1, 2)).float().div(255)
        images.requires_grad_()
        net.logits(images)[:, 1].sum().backward()
        gradients.append(images.grad)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-5)


def test_gradients_inside_a_region_stay_there() -> None:
    images, targets = wanted(5)
    regions = np.zeros(images.shape[:3], dtype=bool)
    regions[:, :, 3:6] = True
    for norm in ("linf", "l2"):
        found = gradient_attack(classifier(), images, regions, targets, steps=3, norm=norm)
        assert np.array_equal(found[~regions], images[~regions])
        assert (found != images).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize(("norm", "size"), [("linf", 0.02), ("l2", 0.1)])
def test_an_attack_stops_at_the_change_that_is_asked_for(norm: str, size: float) -> None:
    images, targets = wanted(5)
    regions = np.zeros(images.shape[:3], dtype=bool)
    regions[:, 2:6] = True
    change = np.array([0.01, 0.02, 0.05, 0.1, 2.0])
    found = gradient_attack(
        classifier(),
        images,
        regions,
        targets,
        steps=60,
        size=size,
        norm=norm,  # type: ignore[arg-type]
        change=change,
    )
    made = change_within(found, images, regions)
    # One step, and the rounding to 8 bits, is the most that it may overshoot.
    assert (made[:4] >= change[:4]).all() and (made[:4] <= change[:4] + 0.02).all()
    free = gradient_attack(
        classifier(),
        images,
        regions,
        targets,
        steps=60,
        size=size,
        norm=norm,  # type: ignore[arg-type]
    )
    assert np.array_equal(found[4], free[4])


@pytest.mark.parametrize("bad", [{"steps": 0}, {"size": 0.0}, {"norm": "l1"}])
def test_attacks_that_are_none(bad: dict[str, object]) -> None:
    images, targets = wanted(1)
    with pytest.raises(InputError):
        gradient_attack(
            classifier(),
            images,
            np.ones((1, SIDE, SIDE), bool),
            targets,
            **bad,  # type: ignore[arg-type]
        )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"regions": np.zeros((2, SIDE, SIDE), bool)}, "is empty"),
        ({"regions": np.ones((2, SIDE, SIDE + 1), bool)}, "do not fit"),
        ({"targets": [0, 9]}, "class index 9 does not exist"),
        ({"targets": [0]}, "1 targets for 2 images"),
        ({"copies": 0}, "copies"),
        ({"bridge": Bridge(lambda i, t, m: i, (3, SIDE, SIDE))}, "the bridge paints"),
        (
            {"images": np.zeros((2, 4, 4, 1), np.uint8), "regions": np.ones((2, 4, 4), bool)},
            "fit|images of",
        ),
    ],
)
def test_bad_input_is_refused(change: dict[str, object], told: str) -> None:
    images, targets = wanted(2)
    given = {
        "bridge": bridge(),
        "classifier": classifier(),
        "images": images,
        "regions": np.ones(images.shape[:3], bool),
        "targets": targets,
    }
    with pytest.raises(InputError, match=told):
        repaint(**{**given, **change})  # type: ignore[arg-type]


def test_a_target_that_is_predicted_already_is_refused() -> None:
    images, targets = wanted(2)
    with pytest.raises(DataError, match="already says"):
        repaint(bridge(), classifier(), images, np.ones(images.shape[:3], bool), 1 - targets)


@pytest.mark.parametrize(
    "bad", [{"scale": -1.0}, {"steps": 0}, {"start_step": 1}, {"narrow_to": 0.0}]
)
def test_options_out_of_range(bad: dict[str, float]) -> None:
    with pytest.raises(InputError):
        SamplerOptions(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [{"scales": ()}, {"draws": 0}, {"batch": 0}, {"scales": (0.0,)}])
def test_attempts_out_of_range(bad: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Attempts(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.full((8, 8), 256), "0 to 255"),
        (np.full((8, 8), -1), "0 to 255"),
        (np.full((8, 8), 0.5), "multiply by 255"),
        (np.full((8, 8), np.nan), "0 to 255"),
        (np.zeros((2, 8, 9), np.uint8), "8 x 9"),
        (np.zeros((2, 3, 8, 8, 1), np.uint8), "no image"),
        (np.array([["a"]]), "hold numbers"),
    ],
)
def test_arrays_that_are_no_images(values: np.ndarray, told: str) -> None:
    with pytest.raises(DataError, match=told):
        as_pixels(values, (1, 8, 8))


def test_image_files(tmp_path) -> None:  # noqa: ANN001
    from PIL import Image

    write_image(tmp_path / "a.png", IMAGES[0])
    assert np.array_equal(read_image(tmp_path / "a.png", (1, SIDE, SIDE))[0], IMAGES[0])
    Image.fromarray(np.repeat(IMAGES[0], 3, 2)).save(tmp_path / "rgb.png")
    assert np.array_equal(read_image(tmp_path / "rgb.png", (1, SIDE, SIDE))[0], IMAGES[0])
    colour = np.repeat(IMAGES[0], 3, 2).copy()
    colour[0, 0] = (9, 200, 30)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    (tmp_path / "text.png").write_text("no image")
    Image.fromarray(np.full((SIDE, SIDE), 40000, np.uint16)).save(tmp_path / "deep.png")
    for name, told in (
        ("colour.png", "a colour image where a grey one"),
        ("text.png", "no image that can be read"),
        ("deep.png", "0 to 255"),
        ("none.png", "there is no image"),
    ):
        with pytest.raises(DataError, match=told):
            read_image(tmp_path / name, (1, SIDE, SIDE))
    with pytest.raises(DataError, match=r"a\.png: an image of 8 x 8 with 1"):
        read_image(tmp_path / "a.png", (1, 28, 28))


def test_classifiers_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="give the shape"):
        ImageClassifier(module())
    with pytest.raises(InputError, match="deviation must be positive"):
        ImageClassifier(module(), shape=(1, SIDE, SIDE), deviation=0.0)
    with pytest.raises(InputError, match="2 values of mean"):
        ImageClassifier(module(), shape=(1, SIDE, SIDE), mean=[0.1, 0.2])
    with pytest.raises(DataError, match="2 class names"):
        ImageClassifier(module(), shape=(1, SIDE, SIDE), classes=["a", "b"])
    own = ImageClassifier(module(), shape=(1, SIDE, SIDE), classes=["bar", "beam", "none"])
    with pytest.raises(InputError, match="no class 'beem'"):
        own.class_index("beem")
    with pytest.raises(UnsupportedError, match="imported network"):
        own.points(IMAGES[:1])


def gaussian() -> Diffusion:
    """Return the exact diffusion of images whose pixels are normal around 0.2 with width 0.5."""
    kept = np.cumprod(1 - np.linspace(1e-4, 0.02, 200))

    def predict(images: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        share = float(kept[int(steps[0])])
        total = share * 0.25 + 1 - share
        return (1 - share) ** 0.5 / total * (images - share**0.5 * 0.2)

    return Diffusion(predict, (1, SIDE, SIDE), kept, repeats=2)


def test_a_diffusion_model_paints_its_own_distribution() -> None:
    images = torch.zeros(400, 1, SIDE, SIDE)
    region = torch.zeros(400, 1, SIDE, SIDE, dtype=torch.bool)
    region[..., 4:] = True
    options = SamplerOptions(scale=0.0, start_step=1000, steps=199)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(2))
    targets = torch.zeros(400, dtype=torch.int64)
    found = walk_diffusion(
        gaussian(), classifier().logits, images, region, targets, noise, options, seed=5
    )
    assert torch.equal(found[~region], images[~region])
    # The noise within the walk is shared by the batch: compare over the pixels.
    assert float(found[region].mean()) == pytest.approx(0.2, abs=0.15)


@pytest.mark.slow
def test_a_diffusion_model_serves_as_generator() -> None:
    images, targets = wanted(6)
    regions = np.ones(images.shape[:3], dtype=bool)
    options = SamplerOptions(scale=20.0, start_step=800, steps=20)
    found = repaint(gaussian(), classifier(), images, regions, targets, options=options)
    assert all(r.outside == 0 for r in found)
    assert np.mean([r.reached for r in found]) >= 0.5


def test_diffusion_models_that_are_not_there(tmp_path) -> None:  # noqa: ANN001
    with pytest.raises(InputError, match="never downloaded"):
        load_diffusion(tmp_path)
    with pytest.raises(InputError, match="fall"):
        Diffusion(lambda i, t: i, (1, 8, 8), np.array([0.1, 0.5]))


class Rank:
    """One of several processes."""

    def __init__(self, rank: int, world: int) -> None:
        self.global_rank, self.world_size = rank, world


@pytest.mark.slow
def test_devices_share_images_and_put_them_in_order() -> None:
    images, targets = wanted(5)
    regions = np.ones(images.shape[:3], dtype=bool)
    options = {"options": QUICK, "copies": 2}
    whole = repaint_across(Rank(0, 1), bridge(), classifier(), images, regions, targets, **options)
    parts = [
        repaint(bridge(), classifier(), images[r::2], regions[r::2], targets[r::2], **options)
        for r in range(2)
    ]
    for one, other in zip(whole, interleaved(parts, 2), strict=True):
        assert np.array_equal(one.original, other.original) and one.copy == other.copy


def test_extras_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "lightning", None)
    monkeypatch.setitem(sys.modules, "lightning.fabric", None)
    with pytest.raises(ImportError, match=r"whyproof\[devices\]"):
        start_fabric()
