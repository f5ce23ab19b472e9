"""Adapters of optional packages, run with the packages themselves where they are installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

import torch
from safetensors.torch import save_file
from tiny_visual import SIDE, bars, classifier, onnx_file

from whyproof.cli.failures import run
from whyproof.engine.errors import InputError, ModelError
from whyproof.visual.diffusion import load_diffusion
from whyproof.visual.metrics.perceptual import lpips_distance
from whyproof.visual.pixels import write_image
from whyproof.visual.repainting import Attempts, repaint
from whyproof.visual.sampler import SamplerOptions

IMAGES = bars()[0][:4, :, :, None]


def saved_diffusion(folder: Path, prediction: str = "epsilon") -> Path:
    """Save a small model of random weights as diffusers does."""
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=SIDE,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
    )
    unet.save_pretrained(folder / "unet")
    scheduler = diffusers.DDPMScheduler(num_train_timesteps=100, prediction_type=prediction)
    scheduler.save_pretrained(folder / "scheduler")
    return folder


def test_a_model_saved_by_diffusers_paints(tmp_path: Path) -> None:
    model = load_diffusion(saved_diffusion(tmp_path), repeats=2)
    assert model.shape == (1, SIDE, SIDE) and len(model.kept) == 100
    regions = np.zeros(IMAGES.shape[:3], dtype=bool)
    regions[:, 2:6] = True
    targets = 1 - classifier().predict(IMAGES).clip(0, 1)
    found = repaint(
        model,
        classifier(),
        IMAGES,
        regions,
        targets,
        options=SamplerOptions(steps=5, scale=6.0),
        attempts=Attempts.single(),
    )
    assert all(r.outside == 0 and r.moved.any() for r in found)
    assert [r.outcome for r in found] == classifier().predict(
        np.stack([r.image for r in found])
    ).tolist()


def test_a_folder_of_diffusers_serves_on_the_command_line(tmp_path: Path) -> None:
    model = saved_diffusion(tmp_path / "model")
    image, out = tmp_path / "bar.png", tmp_path / "out"
    write_image(image, IMAGES[0])
    told = ["repaint", str(image), "--classifier", str(onnx_file()), "--bridge", str(model)]
    assert run([*told, "--out", str(out), "--cell", "2", "--steps", "4"]) == 0
    assert (out / "bar.json").is_file() and (out / "sheet.html").is_file()


def test_models_that_do_not_predict_noise_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="v_prediction, not noise"):
        load_diffusion(saved_diffusion(tmp_path, "v_prediction"))


@pytest.mark.slow
def test_two_processes_of_fabric_share_the_images(tmp_path: Path) -> None:
    pytest.importorskip("lightning.fabric")
    program = tmp_path / "two.py"
    program.write_text(
        dedent(
            f"""
            import sys
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            import numpy as np
            from tiny_visual import bars, bridge, classifier
            from whyproof.visual.devices import repaint_across, start_fabric
            from whyproof.visual.repainting import repaint

            def main():
                fabric = start_fabric("cpu", 2)
                images = bars()[0][:5, :, :, None]
                regions = np.ones(images.shape[:3], dtype=bool)
                targets = 1 - classifier().predict(images).clip(0, 1)
                given = (bridge(), classifier(), images, regions, targets)
                shared, alone = repaint_across(fabric, *given), repaint(*given)
                far = [
                    np.abs(a.image.astype(int) - b.image).max() for a, b in zip(shared, alone)
                ]
                same = all((a.original == b.original).all() for a, b in zip(shared, alone))
                told = f"{{fabric.world_size}} {{len(shared)}} {{same}} {{max(far) <= 1}};"
                sys.stdout.write(told)

            if __name__ == "__main__":
                main()
            """
        ),
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("2 5 True True;") >= 1


def test_lpips_with_weights_from_a_file(tmp_path: Path) -> None:
    pytest.importorskip("lpips")
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    state = torchvision.models.alexnet(weights=None).state_dict()
    kept = {k: v.contiguous() for k, v in state.items() if k.startswith("features.")}
    place = tmp_path / "alex.safetensors"
    save_file(kept, place)
    distance = lpips_distance(place)
    random = np.random.default_rng(0)
    one, two = (random.integers(0, 256, (3, 64, 64, 1), dtype=np.uint8) for _ in range(2))
    assert np.allclose(distance(one, one), 0)
    assert (distance(one, two) > 0).all() and distance(one, two).shape == (3,)
    del kept["features.0.bias"]
    save_file(kept, place)
    with pytest.raises(ModelError, match=r"missing: 0\.bias"):
        lpips_distance(place)


def test_backbones_that_are_not_known() -> None:
    with pytest.raises(InputError, match="no backbone 'squeeze'"):
        lpips_distance("none.safetensors", "squeeze")
