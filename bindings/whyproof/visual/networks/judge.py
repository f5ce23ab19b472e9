"""A small convolutional classifier: judge of other people's images, or a model to explain.

Its features, the vector before the last layer, are the default for distances between sets
of images where no larger network's weights are at hand.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from torch import Tensor, nn

__all__ = ["Judge", "JudgeShape"]


@dataclass(frozen=True, slots=True)
class JudgeShape:
    """Sizes of a judge.

    Parameters
    ----------
    channels, height, width
        Of the images; the sides are multiples of 4.
    classes
        Number of classes.
    filters
        Of the first convolution; the second has twice as many.
    features
        Length of the feature vector.
    pooled
        Two convolutions of side 3 and a maximum per level, or one of side 5 and a stride.
    """

    channels: int = 1
    height: int = 28
    width: int = 28
    classes: int = 10
    filters: int = 16
    features: int = 64
    pooled: bool = True

    def as_json(self) -> dict[str, int | bool]:
        """Return the sizes by name."""
        return asdict(self)


class Judge(nn.Module):
    """Classifies images with values in 0 to 1.

    Parameters
    ----------
    shape
        Its sizes.

    Examples
    --------
    >>> import torch
    >>> Judge()(torch.zeros(3, 1, 28, 28)).shape
    torch.Size([3, 10])
    """

    def __init__(self, shape: JudgeShape | None = None) -> None:
        super().__init__()
        self.shape = shape if shape is not None else JudgeShape()
        size = self.shape
        layers: list[nn.Module] = []
        inside = size.channels
        for outside in (size.filters, 2 * size.filters):
            if size.pooled:
                layers += [nn.Conv2d(inside, outside, 3, padding=1), nn.ReLU()]
                layers += [nn.Conv2d(outside, outside, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            else:
                layers += [nn.Conv2d(inside, outside, 5, stride=2, padding=2), nn.ReLU()]
            inside = outside
        flat = 2 * size.filters * (size.height // 4) * (size.width // 4)
        layers += [nn.Flatten(), nn.Linear(flat, size.features), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(size.features, size.classes)

    def features(self, images: Tensor) -> Tensor:
        """Return feature vectors, shape ``(batch, features)``."""
        found: Tensor = self.body(images * 2 - 1)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape ``(batch, classes)``."""
        found: Tensor = self.head(self.features(images))
        return found
