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
    from .baselines import gradient_attack as gradient_attack
    from .bridge import Bridge as Bridge
    from .cells import Grid as Grid
    from .classifiers import ImageClassifier as ImageClassifier
    from .diffusion import Diffusion as Diffusion
    from .diffusion import load_diffusion as load_diffusion
    from .generators import load_generator as load_generator
    from .join import generator_first as generator_first
    from .join import minimal_regions as minimal_regions
    from .join import region_statement as region_statement
    from .judges import load_judge as load_judge
    from .judges import save_judge as save_judge
    from .judges import train_judge as train_judge
    from .metrics.cout import cout as cout
    from .metrics.features import frechet_distance as frechet_distance
    from .metrics.features import judge_features as judge_features
    from .metrics.flips import summarise as summarise
    from .networks.adm import AdmShape as AdmShape
    from .oracle import GeneratorOracle as GeneratorOracle
    from .oracle import image_problem as image_problem
    from .pixels import as_pixels as as_pixels
    from .pixels import read_image as read_image
    from .pixels import write_image as write_image
    from .published import load_adm_bridge as load_adm_bridge
    from .regions.attribution import attributed_regions as attributed_regions
    from .regions.attribution import attribution as attribution
    from .regions.choice import best_cells as best_cells
    from .regions.choice import random_cells as random_cells
    from .regions.painted import read_mask as read_mask
    from .regions.symbolic import RegionSearch as RegionSearch
    from .regions.symbolic import Shape as Shape
    from .repainting import Attempts as Attempts
    from .repainting import Repainting as Repainting
    from .repainting import repaint as repaint
    from .sampler import SamplerOptions as SamplerOptions
    from .schedule import Schedule as Schedule
    from .sheet import SheetRow as SheetRow
    from .sheet import write_sheet_page as write_sheet_page
    from .sheet import write_sheet_picture as write_sheet_picture
    from .training import TrainingOptions as TrainingOptions
    from .training import train_bridge as train_bridge
    from .views import Views as Views
    from .weights import load_bridge as load_bridge
    from .weights import save_bridge as save_bridge

_HOMES = {
    "AdmShape": ".networks.adm",
    "Attempts": ".repainting",
    "Bridge": ".bridge",
    "Diffusion": ".diffusion",
    "GeneratorOracle": ".oracle",
    "Grid": ".cells",
    "ImageClassifier": ".classifiers",
    "RegionSearch": ".regions.symbolic",
    "Repainting": ".repainting",
    "SamplerOptions": ".sampler",
    "Schedule": ".schedule",
    "Shape": ".regions.symbolic",
    "SheetRow": ".sheet",
    "TrainingOptions": ".training",
    "Views": ".views",
    "as_pixels": ".pixels",
    "attributed_regions": ".regions.attribution",
    "attribution": ".regions.attribution",
    "best_cells": ".regions.choice",
    "cout": ".metrics.cout",
    "frechet_distance": ".metrics.features",
    "generator_first": ".join",
    "gradient_attack": ".baselines",
    "image_problem": ".oracle",
    "judge_features": ".metrics.features",
    "load_adm_bridge": ".published",
    "load_bridge": ".weights",
    "load_diffusion": ".diffusion",
    "load_generator": ".generators",
    "load_judge": ".judges",
    "minimal_regions": ".join",
    "random_cells": ".regions.choice",
    "read_image": ".pixels",
    "read_mask": ".regions.painted",
    "region_statement": ".join",
    "repaint": ".repainting",
    "save_bridge": ".weights",
    "save_judge": ".judges",
    "summarise": ".metrics.flips",
    "train_bridge": ".training",
    "train_judge": ".judges",
    "write_image": ".pixels",
    "write_sheet_page": ".sheet",
    "write_sheet_picture": ".sheet",
}

__all__ = [
    "AdmShape",
    "Attempts",
    "Bridge",
    "Diffusion",
    "GeneratorOracle",
    "Grid",
    "ImageClassifier",
    "RegionSearch",
    "Repainting",
    "SamplerOptions",
    "Schedule",
    "Shape",
    "SheetRow",
    "TrainingOptions",
    "Views",
    "as_pixels",
    "attributed_regions",
    "attribution",
    "best_cells",
    "cout",
    "frechet_distance",
    "generator_first",
    "gradient_attack",
    "image_problem",
    "judge_features",
    "load_adm_bridge",
    "load_bridge",
    "load_diffusion",
    "load_generator",
    "load_judge",
    "minimal_regions",
    "random_cells",
    "read_image",
    "read_mask",
    "region_statement",
    "repaint",
    "save_bridge",
    "save_judge",
    "summarise",
    "train_bridge",
    "train_judge",
    "write_image",
    "write_sheet_page",
    "write_sheet_picture",
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
