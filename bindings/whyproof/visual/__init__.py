"""Region-constrained visual counterfactuals, joined to the symbolic engine.

    from whyproof import visual

    bridge = visual.load_bridge("bridge.safetensors")
    classifier = visual.ImageClassifier("net.onnx")
    image = visual.read_image("digit.png")
    region = visual.attributed_regions(classifier, image, [7], area=0.3, cell=4)
    (found,) = visual.repaint(bridge, classifier, image, region, targets=[9])

Names are looked up when they are first used: importing this package loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .bridge import Bridge as Bridge
    from .classifiers import ImageClassifier as ImageClassifier
    from .judges import load_judge as load_judge
    from .judges import save_judge as save_judge
    from .judges import train_judge as train_judge
    from .pixels import as_pixels as as_pixels
    from .pixels import read_image as read_image
    from .pixels import write_image as write_image
    from .repainting import Attempts as Attempts
    from .repainting import Repainting as Repainting
    from .repainting import repaint as repaint
    from .sampler import SamplerOptions as SamplerOptions
    from .schedule import Schedule as Schedule
    from .training import TrainingOptions as TrainingOptions
    from .training import train_bridge as train_bridge
    from .weights import load_bridge as load_bridge
    from .weights import save_bridge as save_bridge

_HOMES = {
    "Attempts": ".repainting",
    "Bridge": ".bridge",
    "ImageClassifier": ".classifiers",
    "Repainting": ".repainting",
    "SamplerOptions": ".sampler",
    "Schedule": ".schedule",
    "TrainingOptions": ".training",
    "as_pixels": ".pixels",
    "load_bridge": ".weights",
    "load_judge": ".judges",
    "read_image": ".pixels",
    "repaint": ".repainting",
    "save_bridge": ".weights",
    "save_judge": ".judges",
    "train_bridge": ".training",
    "train_judge": ".judges",
    "write_image": ".pixels",
}

__all__ = [
    "Attempts",
    "Bridge",
    "ImageClassifier",
    "Repainting",
    "SamplerOptions",
    "Schedule",
    "TrainingOptions",
    "as_pixels",
    "load_bridge",
    "load_judge",
    "read_image",
    "repaint",
    "save_bridge",
    "save_judge",
    "train_bridge",
    "train_judge",
    "write_image",
]


def __getattr__(name: str) -> object:
    """Import a public name from its home when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'whyproof.visual' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(_HOMES[name], __name__), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        from whyproof.engine.errors import MissingExtraError

        raise MissingExtraError("torch", "visual", "repaint images") from error


def __dir__() -> list[str]:
    return __all__
