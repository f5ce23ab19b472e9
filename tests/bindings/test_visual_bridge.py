"""The bridge: its identities, its training, its files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyproof.engine.errors import InputError, ModelError
from whyproof.visual.schedule import Schedule

torch = pytest.importorskip("torch")

from whyproof.visual.bridge import Bridge  # noqa: E402
from whyproof.visual.networks.small import SmallUNet, SmallUNetShape  # noqa: E402
from whyproof.visual.training import Progress, TrainingOptions, train_bridge  # noqa: E402
from whyproof.visual.training_masks import random_masks  # noqa: E402
from whyproof.visual.weights import (  # noqa: E402
    load_bridge,
    read_tensors,
    save_bridge,
    write_tensors,
)

SIZES = SmallUNetShape(width=8, time_width=8, heads=2)


@pytest.mark.parametrize(
    ("step", "clean", "deviation"),
    [(100, 0.950, 0.109), (350, 0.723, 0.222), (500, 0.499, 0.249), (999, 0.0004, 0.010)],
)
def test_published_values_of_the_schedule(step: int, clean: float, deviation: float) -> None:
    schedule = Schedule()
    assert schedule.clean_weight[step] == pytest.approx(clean, abs=6e-4)
    assert schedule.variance[step] ** 0.5 == pytest.approx(deviation, abs=6e-4)
    assert schedule.from_clean[-1] == pytest.approx(0.2469, abs=1e-4)


@given(
    steps=st.integers(2, 200).map(lambda n: 2 * n),
    beta=st.floats(0.05, 3.0),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_a_step_back_reproduces_the_marginal(steps: int, beta: float, data: st.DataObject) -> None:
    schedule = Schedule(steps, beta)
    assert np.allclose(schedule.rates, schedule.rates[::-1])
    earlier = data.draw(st.integers(1, steps - 2))
    current = data.draw(st.integers(earlier + 1, steps - 1))
    posterior = schedule.posterior(current, earlier)
    assert posterior.clean + posterior.current == pytest.approx(1.0, abs=1e-12)
    # Both gathered variances count the step's own noise: that much the two may differ by.
    slack = 2 * schedule.rates.max() / schedule.from_clean[-1]
    # Mean: x0 gets the posterior's clean share, and the marginal's share of the rest.
    weight = posterior.clean + posterior.current * schedule.clean_weight[current]
    assert weight == pytest.approx(schedule.clean_weight[earlier], abs=slack)
    variance = posterior.variance + posterior.current**2 * schedule.variance[current]
    assert variance == pytest.approx(
        schedule.variance[earlier], abs=slack * schedule.from_clean[-1]
    )


def test_a_noisy_walk_has_the_marginal_of_every_step() -> None:
    schedule = Schedule()
    bridge = Bridge(SmallUNet(SIZES), (1, 4, 4), schedule)
    random = torch.Generator().manual_seed(0)
    clean = torch.full((20000, 1, 1, 1), 0.4)
    degraded = torch.full_like(clean, -0.8)
    grid = schedule.grid(1000, 10)
    start = torch.full((len(clean),), grid[0])
    current = bridge.between(clean, degraded, start, torch.randn(clean.shape, generator=random))
    for step, earlier in pairwise(grid[:-1]):
        noise = torch.randn(clean.shape, generator=random)
        current = bridge.back(current, clean, step, earlier, noise)
        weight = schedule.clean_weight[earlier]
        assert float(current.mean()) == pytest.approx(0.4 * weight - 0.8 * (1 - weight), abs=0.01)
        assert float(current.var()) == pytest.approx(schedule.variance[earlier], rel=0.06)


@pytest.mark.parametrize("bad", [(3, 1.0), (0, 1.0), (10, -1.0), (10, 0.0)])
def test_schedules_that_are_none(bad: tuple[int, float]) -> None:
    with pytest.raises(InputError):
        Schedule(*bad)


def test_grids_and_steps_out_of_range() -> None:
    schedule = Schedule(100)
    assert schedule.grid(60, 59) == tuple(range(59, -1, -1))
    for start, calls in ((1, 1), (101, 5), (60, 0), (60, 60)):
        with pytest.raises(InputError):
            schedule.grid(start, calls)
    with pytest.raises(InputError):
        schedule.posterior(5, 5)


def test_a_perfect_prediction_returns_the_clean_image() -> None:
    clean = torch.rand(3, 1, 4, 4)
    bridge = Bridge(lambda images, times, mask: images, (1, 4, 4))
    degraded = torch.randn(3, 1, 4, 4)
    steps = torch.tensor([400, 400, 400])
    current = bridge.between(clean, degraded, steps)
    answer = bridge.direction(clean, current, steps)
    told = Bridge(lambda images, times, mask: answer, (1, 4, 4))
    assert torch.allclose(told.denoise(current, 400, clean), clean, atol=1e-5)
    ones = torch.ones(3, 1, 4, 4)
    assert float(told.loss(clean, ones, steps, degraded)) == pytest.approx(0.0, abs=1e-9)


def test_masks_cover_a_part_and_repeat() -> None:
    masks = random_masks(300, 28, 28, np.random.default_rng(5))
    shares = masks.mean(axis=(1, 2))
    assert shares.min() > 0.01 and shares.max() < 0.75
    assert np.array_equal(masks, random_masks(300, 28, 28, np.random.default_rng(5)))


IMAGES = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)


@pytest.mark.slow
def test_an_interrupted_training_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    options = TrainingOptions(iterations=6, batch=4)
    whole = train_bridge(IMAGES, options, network=SIZES)

    class Stopped(Exception):
        pass

    def stop(progress: Progress) -> None:
        raise Stopped

    place = tmp_path / "state.safetensors"
    with pytest.raises(Stopped):
        train_bridge(IMAGES, options, network=SIZES, checkpoint=place, every=3, report=stop)
    resumed = train_bridge(IMAGES, options, network=SIZES, checkpoint=place, every=3)
    for key, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[key]), key
    with pytest.raises(ModelError, match="other options"):
        train_bridge(IMAGES, TrainingOptions(iterations=7), network=SIZES, checkpoint=place)


@pytest.mark.slow
def test_training_lowers_the_loss() -> None:
    stripes = np.zeros((64, 8, 8), dtype=np.uint8)
    stripes[:, ::2] = 255
    losses: list[float] = []
    train_bridge(
        stripes,
        TrainingOptions(iterations=120, batch=16),
        network=SIZES,
        every=20,
        report=lambda progress: losses.append(progress.loss),
    )
    assert losses[-1] < 0.85 * losses[0]


def test_weights_travel_through_a_file(tmp_path: Path) -> None:
    bridge = train_bridge(IMAGES, TrainingOptions(iterations=2, batch=2), network=SIZES)
    place = tmp_path / "bridge.safetensors"
    save_bridge(bridge, place, {"iteration": 2})
    again = load_bridge(place)
    assert again.shape == (1, 8, 8) and again.schedule == bridge.schedule
    image, mask = torch.rand(2, 1, 8, 8), torch.ones(2, 1, 8, 8)
    assert torch.equal(again.denoise(image, 300, mask), bridge.denoise(image, 300, mask))


def test_a_checkpoint_with_missing_extra_and_odd_keys_lists_them(tmp_path: Path) -> None:
    bridge = train_bridge(IMAGES, TrainingOptions(iterations=1, batch=2), network=SIZES)
    place = tmp_path / "bridge.safetensors"
    save_bridge(bridge, place)
    tensors, header = read_tensors(place)
    del tensors["enter.bias"]
    tensors["stranger"] = torch.zeros(1)
    tensors["leave.0.weight"] = torch.zeros(3)
    write_tensors(place, tensors, header)
    with pytest.raises(ModelError) as told:
        load_bridge(place)
    for name in ("missing: enter.bias", "unexpected: stranger", "leave.0.weight is (3,)"):
        assert name in str(told.value)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    bridge = train_bridge(IMAGES, TrainingOptions(iterations=1, batch=2), network=SIZES)
    place = tmp_path / "bridge.safetensors"
    save_bridge(bridge, place)
    tensors, header = read_tensors(place)
    tensors["enter.bias"] = torch.full_like(tensors["enter.bias"], torch.nan)
    write_tensors(place, tensors, header)
    with pytest.raises(ModelError, match=r"not finite: enter\.bias"):
        load_bridge(place)


def test_files_that_are_no_bridges(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="never downloaded"):
        load_bridge(tmp_path / "none.safetensors")
    odd = tmp_path / "odd.safetensors"
    odd.write_bytes(b"no safetensors at all")
    with pytest.raises(ModelError, match="no safetensors file"):
        load_bridge(odd)
    write_tensors(odd, {"a": torch.zeros(1)}, {})
    with pytest.raises(ModelError, match="holds no bridge"):
        load_bridge(odd)
    write_tensors(odd, {"a": torch.zeros(1)}, {"format": "whyproof-bridge-1", "network": 3})
    with pytest.raises(ModelError, match="header"):
        load_bridge(odd)


@pytest.mark.parametrize(
    "images",
    [np.zeros((4, 8, 8)), np.zeros((8, 8), dtype=np.uint8), np.zeros((0, 8, 8), dtype=np.uint8)],
)
def test_training_images_that_are_none(images: np.ndarray) -> None:
    with pytest.raises(InputError, match="8-bit"):
        train_bridge(images, TrainingOptions(iterations=1))


def test_images_whose_sides_do_not_fold_are_refused() -> None:
    with pytest.raises(InputError, match="multiples of 4"):
        SmallUNet(SIZES)(torch.zeros(1, 1, 10, 10), torch.zeros(1), torch.zeros(1, 1, 10, 10))


@pytest.mark.parametrize("options", [{"iterations": 0}, {"batch": 0}, {"learning_rate": 2.0}])
def test_training_options_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(InputError):
        TrainingOptions(**options)  # type: ignore[arg-type]
