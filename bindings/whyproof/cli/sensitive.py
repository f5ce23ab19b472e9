"""``whyproof sensitive``: whether changing only these features can flip a decision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from whyproof.engine.budget import Budget
from whyproof.engine.errors import DataError, InputError

from .failures import ANSWERED, PARTIAL
from .output import json_line, line, paragraph
from .request import Request, Subject, row_numbers

if TYPE_CHECKING:
    from whyproof.encodings.recourse.sensitive import Affected

__all__ = ["sensitive_command"]


def sensitive_command(
    request: Request,
    features: str,
    *,
    rows: str,
    near: float | None,
    monotone: str | None,
    count: bool,
    seconds: float | None,
    as_json: bool,
) -> int:
    """Ask about pairs of people who differ in some features alone."""
    from whyproof.recourse.sensitivity import count_flips, find_pair, is_monotone, near_rows

    if near is not None and not near > 0:
        raise InputError(f"--near is a positive distance, found {near!r}")
    subject = request.open()
    names = [name.strip() for name in features.split(",") if name.strip()]
    if not names:
        raise DataError("--features names no feature; write --features sex,race")
    chosen = subject.features(names)
    meter = Budget(seconds=seconds).start()
    if monotone is not None:
        if monotone not in ("up", "down"):
            raise InputError(f"--monotone is up or down, found {monotone!r}")
        found = is_monotone(subject.model, subject.explainer.space, chosen, monotone, meter)
        return _monotone(subject, names, monotone, found, as_json=as_json)
    space, numbers = subject.explainer.space, row_numbers(rows, subject.table.n_rows)
    points = subject.table.points(space, numbers)
    answer = find_pair(subject.model, space, chosen, points, meter)
    said: dict[str, object] = {
        "features": names,
        "rows": len(numbers),
        "flips": [numbers[i] for i in np.flatnonzero(answer.affected.flips).tolist()],
        "share": list(answer.affected.share),
        "anywhere": "witness" if answer.pair else "none" if answer.proved else "unknown",
        "pair": None
        if answer.pair is None
        else {
            "one": space.decode(answer.pair.one),
            "other": space.decode(answer.pair.other),
            "outcomes": [subject.model.classes[int(o)] for o in answer.pair.outcomes],
        },
    }
    decided = answer.pair is not None or answer.proved
    if near is not None:
        around = near_rows(subject.model, space, chosen, points, near, meter)
        said["near"] = {
            "epsilon": near,
            "flips": [numbers[i] for i in np.flatnonzero(around.flips).tolist()],
            "share": list(around.share),
        }
        decided = decided and bool(around.decided.all())
    if count:
        interval = count_flips(subject.model, space, chosen, meter)
        said["space_share"] = list(interval)
        # A stated interval is an answer; that it is one is said.
    if as_json:
        json_line(said)
    else:
        _in_words(subject, names, said, answer.affected)
    return ANSWERED if decided and bool(answer.affected.decided.all()) else PARTIAL


def _in_words(
    subject: Subject, names: Sequence[str], said: dict[str, object], affected: Affected
) -> None:
    from whyproof.recourse.answers import shown

    what = " and ".join(names)
    low, high = affected.share
    n, flips = len(affected.flips), int(affected.flips.sum())
    if low == high:
        line(f"Changing only {what} flips the decision about {flips} of {n} rows ({low:.2%}).")
    else:
        line(
            f"Changing only {what} flips the decision about {low:.2%} to {high:.2%} of {n} rows; "
            "the rest was not decided in time."
        )
    pair = said["pair"]
    if isinstance(pair, dict):
        one, other = pair["one"], pair["other"]
        differ = [k for k in one if one[k] != other[k]]
        paragraph(
            "Two people who differ in this alone: "
            + ", ".join(f"{k} {shown(one[k])} or {shown(other[k])}" for k in differ)
            + f"; the model says {pair['outcomes'][0]} or {pair['outcomes'][1]}."
        )
        rest = ", ".join(f"{k} {shown(v)}" for k, v in one.items() if k not in differ)
        paragraph(f"Otherwise both have: {rest}.", "  ")
    elif said["anywhere"] == "none":
        line(f"Nowhere in the space does changing only {what} flip a decision (proved).")
    else:
        line("No pair was found in time, and that there is none was not shown.")
    near = said.get("near")
    if isinstance(near, dict):
        least, most = near["share"]
        between = f"{least:.2%}" if least == most else f"{least:.2%} to {most:.2%}"
        line(f"Within {near['epsilon']:g} of a row there is such a pair for {between} of the rows.")
    share = said.get("space_share")
    if isinstance(share, list):
        exact = share[0] == share[1]
        text = f"{share[0]:.6g}" if exact else f"between {share[0]:.6g} and {share[1]:.6g}"
        line(f"Share of the space where it can flip the decision (proved): {text}.")


def _monotone(
    subject: Subject, names: Sequence[str], way: str, found: object, *, as_json: bool
) -> int:
    from whyproof.encodings.recourse.pairs import PairAnswer

    if not isinstance(found, PairAnswer):
        raise DataError("monotonicity was not decided")
    space, classes = subject.explainer.space, subject.model.classes
    verdict = "no" if found.pair else "yes" if found.proved else "unknown"
    if as_json:
        pair = None
        if found.pair is not None:
            pair = {
                "one": space.decode(found.pair.one),
                "other": space.decode(found.pair.other),
                "outcomes": [classes[int(o)] for o in found.pair.outcomes],
            }
        json_line({"features": list(names), "monotone": way, "holds": verdict, "pair": pair})
    else:
        what = " and ".join(names)
        never, keep = ("lowers", "raise") if way == "up" else ("raises", "lower")
        text = {
            "yes": f"Raising {what} never {never} the class (proved).",
            "no": f"Raising {what} does not always keep or {keep} the class; here is a pair:",
            "unknown": "It was not decided in time.",
        }[verdict]
        line(text)
        if found.pair is not None:
            for point, outcome in zip(
                (found.pair.one, found.pair.other), found.pair.outcomes, strict=True
            ):
                values = ", ".join(f"{k} {v}" for k, v in space.decode(point).items())
                paragraph(f"{classes[int(outcome)]}: {values}", "  ")
    return PARTIAL if verdict == "unknown" else ANSWERED
