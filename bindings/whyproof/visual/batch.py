"""Repaint many image files into a folder; run it again and it goes on where it was.

Each image leaves ``STEM.png``, ``STEM-region.png``, and last ``STEM.json``, which holds all
numbers and a hash of everything that they depend on.  An image with a record of the same
hash is not painted again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import DataError, InputError

from .classifiers import ImageClassifier
from .generators import Generator
from .pixels import Pixels, read_image, write_image
from .region_sources import RegionSource
from .regions.painted import write_mask
from .repainting import Attempts, Repainting, repaint
from .sampler import SamplerOptions
from .sheet import SheetRow

__all__ = ["BatchOptions", "Outcome", "image_files", "repaint_files"]

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".npy"}


@dataclass(frozen=True)
class BatchOptions:
    """What to do with each image.

    Parameters
    ----------
    source
        Paint only images of which the model says this class; all by default.
    target
        Class to reach; each image's runner-up by default.
    region
        How regions are made.
    sampler, attempts
        How to walk, and how often.
    copies
        Counterfactuals per image.
    """

    source: str | None = None
    target: str | None = None
    region: RegionSource = field(default_factory=RegionSource)
    sampler: SamplerOptions = field(default_factory=SamplerOptions)
    attempts: Attempts = field(default_factory=Attempts)
    copies: int = 1


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of one image file.

    Parameters
    ----------
    place
        The file.
    record
        As it is written, ready for JSON; `None` if it was skipped.
    rows
        For a contact sheet.
    skipped
        Why nothing was painted.
    resumed
        Whether an earlier run had done it.
    """

    place: Path
    record: dict[str, Any] | None = None
    rows: tuple[SheetRow, ...] = ()
    skipped: str = ""
    resumed: bool = False


def image_files(places: Sequence[Path]) -> list[Path]:
    """Return the image files among files and folders; masks beside images are left out.

    Raises
    ------
    DataError
        If there is none, one is missing, or two have the same stem.
    """
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            inside = sorted(p for p in place.iterdir() if p.suffix.lower() in _SUFFIXES)
            found += [p for p in inside if not p.stem.endswith("_mask")]
        elif place.exists():
            found.append(place)
        else:
            raise DataError(f"there is no image {place}")
    if not found:
        raise DataError(f"there are no images in {', '.join(str(p) for p in places)}")
    stems: dict[str, Path] = {}
    for place in found:
        if stems.setdefault(place.stem, place) != place:
            raise DataError(
                f"{stems[place.stem].name} and {place.name} would write the same files; rename one"
            )
    return found


def repaint_files(
    places: Sequence[Path],
    bridge: Generator,
    classifier: ImageClassifier,
    out: Path,
    options: BatchOptions,
    *,
    identity: str,
    statement: Callable[[Repainting], tuple[str, ...]] | None = None,
) -> Iterator[Outcome]:
    """Repaint image files, a batch at a time.

    Parameters
    ----------
    places
        From `image_files`.
    bridge, classifier
        The generator and the model.
    out
        Folder to write into.
    options
        What to do.
    identity
        Hash of the generator's and the model's files.
    statement
        Sentences to add to each result, such as what is proved about its region.

    Yields
    ------
    Outcome
        For each file.

    Raises
    ------
    DataError
        For a file that is no image of the right size.
    """
    out.mkdir(parents=True, exist_ok=True)
    source = None if options.source is None else classifier.class_index(options.source)
    target = None if options.target is None else classifier.class_index(options.target)
    if source is not None and source == target:
        raise InputError(f"source and target are both {options.source}; choose two classes")
    files = _Files(bridge, classifier, out, options, source, target, identity)
    for begin in range(0, len(places), options.attempts.batch):
        prepared = [files.prepared(p) for p in places[begin : begin + options.attempts.batch]]
        tasks = [task for task in prepared if isinstance(task, _Task)]
        painted = iter(files.painted(tasks, statement))
        for task in prepared:
            yield next(painted) if isinstance(task, _Task) else task


@dataclass(frozen=True, eq=False)
class _Task:
    """An image that is to be painted."""

    place: Path
    image: Pixels
    region: npt.NDArray[np.bool_]
    target: int
    key: str


@dataclass(frozen=True, eq=False)
class _Files:
    """Prepares images, paints them together, and writes what came of it."""

    bridge: Generator
    classifier: ImageClassifier
    out: Path
    options: BatchOptions
    source: int | None
    target: int | None
    identity: str

    def prepared(self, place: Path) -> _Task | Outcome:
        """Return what is to be done about a file, or what became of it already."""
        options, classifier = self.options, self.classifier
        image = read_image(place, classifier.shape)
        scores = classifier.scores(image)[0]
        said, target = int(scores.argmax()), self.target
        names = [str(label) for label in classifier.classes]
        if self.source is not None and said != self.source:
            return Outcome(place, skipped=f"the model says {names[said]}, not {names[self.source]}")
        if said == target:
            return Outcome(place, skipped=f"the model says {names[said]} already")
        if target is None:
            rest = scores.copy()
            rest[said] = -np.inf
            target = int(rest.argmax())
        key = _key(image, options, self.identity, place)
        earlier = _earlier(self.out / f"{place.stem}.json", key)
        if earlier is not None:
            rows = _rows_of(earlier, place, image, self.out)
            if rows is not None:
                return Outcome(place, earlier, rows, resumed=True)
        try:
            region = options.region.region(
                self.bridge, classifier, image, place, said, target, options.sampler
            )
        except InputError as error:
            if options.region.kind == "symbolic":
                return Outcome(place, skipped=str(error))
            raise
        return _Task(place, image, region, target, key)

    def painted(
        self, tasks: Sequence[_Task], statement: Callable[[Repainting], tuple[str, ...]] | None
    ) -> Iterator[Outcome]:
        """Paint several images in one batch; each is written before the next is handed out."""
        if not tasks:
            return
        copies = self.options.copies
        found = repaint(
            self.bridge,
            self.classifier,
            np.concatenate([task.image for task in tasks]),
            np.stack([task.region for task in tasks]),
            [task.target for task in tasks],
            options=self.options.sampler,
            attempts=self.options.attempts,
            copies=copies,
        )
        names = [str(label) for label in self.classifier.classes]
        for i, task in enumerate(tasks):
            stem = task.place.stem
            entries = [
                _write(result, stem, self.out, names, statement(result) if statement else ())
                for result in found[i * copies : (i + 1) * copies]
            ]
            record = {"image": task.place.name, "key": task.key, "counterfactuals": entries}
            place = self.out / f"{stem}.json"
            partial = place.with_name(place.name + ".partial")
            partial.write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")
            partial.replace(place)
            rows = _rows_of(record, task.place, task.image, self.out)
            yield Outcome(task.place, record, rows or ())


def _key(image: Pixels, options: BatchOptions, identity: str, place: Path) -> str:
    told = asdict(options)
    told["attempts"].pop("batch")
    mask = options.region.mask
    parts = [json.dumps(told, sort_keys=True, default=_plain), identity]
    if options.region.kind == "mask":
        from .regions.painted import mask_beside

        beside = mask or mask_beside(place)
        parts.append(hashlib.sha256(beside.read_bytes()).hexdigest() if beside.is_file() else "")
    digest = hashlib.sha256("\n".join(parts).encode())
    digest.update(image.tobytes())
    return "sha256:" + digest.hexdigest()


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)


def _earlier(place: Path, key: str) -> dict[str, Any] | None:
    try:
        record = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and record.get("key") == key else None


def _write(
    result: Repainting, stem: str, out: Path, names: Sequence[str], notes: tuple[str, ...]
) -> dict[str, Any]:
    suffix = "" if result.copy == 0 else f"-{result.copy + 1}"
    files = {
        "image": f"{stem}{suffix}.png",
        "region": f"{stem}{suffix}-region.png",
        "control": f"{stem}{suffix}-control.png",
    }
    write_image(out / files["image"], result.image)
    write_mask(out / files["region"], result.region)
    if result.control is not None:
        write_image(out / files["control"], result.control)
    control = result.control_outcome
    return {
        "source": names[result.source],
        "target": names[result.target],
        "outcome": names[result.outcome],
        "reached": result.reached,
        "before": [float(result.before[i]) for i in (result.source, result.target)],
        "after": [float(result.after[i]) for i in (result.source, result.target)],
        "attempts": result.attempts,
        "scale": result.scale,
        "region_share": float(result.region.mean()),
        "pixels_changed": int(result.moved.sum()),
        "change_in_region": result.change,
        "outside": result.outside,
        "control_outcome": None if control is None else names[control],
        "notes": list(notes),
        "files": files,
    }


def _rows_of(
    record: dict[str, Any], place: Path, image: Pixels, out: Path
) -> tuple[SheetRow, ...] | None:
    """Return a record as rows of a sheet; `None` if its pictures are gone or altered."""
    shape = (image.shape[3], image.shape[1], image.shape[2])
    rows: list[SheetRow] = []
    try:
        for i, entry in enumerate(record["counterfactuals"]):
            files = entry["files"]
            painted = read_image(out / files["image"], shape)[0]
            region = read_image(out / files["region"])[0][..., 0] >= 128
            if not np.array_equal(painted[~region], image[0][~region]):
                return None
            told = entry["control_outcome"]
            rows.append(
                SheetRow(
                    name=place.name if i == 0 else f"{place.name} ({i + 1})",
                    original=image[0],
                    image=painted,
                    region=region,
                    source=entry["source"],
                    target=entry["target"],
                    outcome=entry["outcome"],
                    before=tuple(entry["before"]),
                    after=tuple(entry["after"]),
                    control=None if told is None else read_image(out / files["control"], shape)[0],
                    control_outcome=told,
                    notes=tuple(entry["notes"]),
                )
            )
    except (KeyError, TypeError, IndexError, DataError):
        return None
    return tuple(rows)
