"""Check certificates about networks; nothing here shares code with the search for proofs.

The network is read from its own file (by the importer, whose graph is compared with
onnxruntime at every point that occurs), boxes and conditions are worked out anew from the
instance, region and question, every witness is run on onnxruntime, and every leaf is bounded
by plain matrix products in numpy, rounding added up (`whyproof.encodings.networks.certificate`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from whyproof.checker import Refused, Verdict
from whyproof.checker.document import digest_of, fields, number
from whyproof.engine.errors import InputError

if TYPE_CHECKING:
    from whyproof.encodings.networks.classifier import NetworkClassifier

__all__ = ["FORMAT", "VERSION", "check_network_certificate", "is_network_certificate"]

FORMAT, VERSION = "whyproof-network-certificate", 1
_AGREE = 1e-3

Floats = npt.NDArray[np.float64]


def is_network_certificate(text: str) -> bool:
    """Tell whether a file says that it is a certificate about a network."""
    return f'"{FORMAT}"' in text[:200]


def check_network_certificate(text: str, model: bytes) -> Verdict:
    """Check a certificate about a network.

    Parameters
    ----------
    text
        The certificate.
    model
        Contents of the ONNX file.

    Raises
    ------
    Refused
        If anything that it claims is not proved by it.
    """
    try:
        content = json.loads(text)
        top = fields(
            content, "the certificate",
            ("format", "version", "model", "space", "decisions", "digest"),
        )  # fmt: skip
        if top["format"] != FORMAT or top["version"] != VERSION:
            raise Refused(f"the certificate is not of format {FORMAT!r}, version {VERSION}")
        if top["digest"] != digest_of(content):
            raise Refused("the digest does not fit: the certificate was changed or damaged")
        return _Check(top, model).run()
    except Refused:
        raise
    except (InputError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise Refused(f"the certificate is damaged or does not hold: {error}") from None


class _Check:
    def __init__(self, top: Mapping[str, Any], payload: bytes) -> None:
        import onnx

        from whyproof.encodings.networks.classifier import NetworkClassifier

        about = fields(top["model"], "the model", ("hash", "classes", "decision", "output"))
        if about["hash"] != "sha256:" + hashlib.sha256(payload).hexdigest():
            raise Refused("the certificate is about another model file: hashes differ")
        self.network: NetworkClassifier = NetworkClassifier(
            onnx.load_model_from_string(payload),
            classes=about["classes"] or None,
            decision=about["decision"],
            output=about["output"],
        )
        space = fields(top["space"], "the space", ("columns", "lower", "upper", "features"))
        self.columns = [str(name) for name in space["columns"]]
        self.low = np.array([number(v) for v in space["lower"]])
        self.high = np.array([number(v) for v in space["upper"]])
        self.features = {
            str(f["name"]): [int(c) for c in f["columns"]]
            for f in space["features"]
            if not f["immutable"]
        }
        owned = [c for f in space["features"] for c in f["columns"]]
        n = self.network.n_columns
        if not (len(self.columns) == len(self.low) == len(self.high) == n):
            raise Refused(f"the space does not have the network's {n} columns")
        if sorted(owned) != list(range(n)):
            raise Refused("the features do not share out the columns")
        self.decisions: Sequence[Mapping[str, Any]] = top["decisions"]
        self.verdict = Verdict()

    def run(self) -> Verdict:
        """Check every claim of every decision."""
        if not self.decisions:
            raise Refused("the certificate claims nothing")
        for decision in self.decisions:
            self._decision(decision)
        self.verdict.semantics = [
            "The model is the ONNX file: real arithmetic over its own constants; ties go to "
            "the lowest class index.",
            "Bounds were computed in float64 with their rounding errors added up and taken off.",
            "Witnesses were run on onnxruntime.",
        ]
        return self.verdict

    def _decision(self, decision: Mapping[str, Any]) -> None:
        given = fields(
            decision, "a decision", ("instance", "prediction", "question", "region", "claims")
        )
        self.instance = np.array([number(v) for v in given["instance"]])
        if self.instance.shape != self.low.shape or not np.isfinite(self.instance).all():
            raise Refused("the instance does not fit the network")
        if not bool(((self.instance >= self.low) & (self.instance <= self.high)).all()):
            raise Refused("the instance is not in the space")
        self.home = self.instance.astype(np.float32).astype(np.float64)
        self.prediction = float(self._run(self.instance[None])[0])
        if self.prediction != float(given["prediction"]):
            raise Refused(f"the network says {self.prediction:g}, not {given['prediction']}")
        self.question = given["question"]
        self.cases = self._cases()
        self._region(fields(given["region"], "the region", ("norm", "epsilon", "lower", "upper")))
        for claim in given["claims"]:
            self._claim(claim)

    def _run(self, points: Floats) -> Floats:
        """Run points on onnxruntime; the graph that proofs are about must agree there."""
        from whyproof.encodings.networks.certificate import evaluate

        found = self.network.outputs(points).astype(np.float64)
        rounded = points.astype(np.float32).astype(np.float64)
        ours = evaluate(self.network.graph, rounded)
        if not bool((np.abs(found - ours) <= _AGREE * (1 + np.abs(found))).all()):
            raise Refused("the imported graph and onnxruntime disagree at a point")
        self.verdict.replayed += len(points)
        return np.asarray(self.network.predict(points), dtype=np.float64)

    def _region(self, region: Mapping[str, Any]) -> None:
        """Work out how far each column may move, as float32 numbers."""
        low, high = self.low.copy(), self.high.copy()
        if region["norm"] not in (None, "linf"):
            raise Refused(f"boxes are checked, not balls of norm {region['norm']!r}")
        if region["epsilon"] is not None:
            epsilon = np.broadcast_to(np.array(region["epsilon"], dtype=np.float64), low.shape)
            if not bool((epsilon >= 0).all()):
                raise Refused("the radius is negative")
            low, high = (
                np.maximum(low, self.instance - epsilon),
                np.minimum(high, self.instance + epsilon),
            )
        for side, given in (("lower", region["lower"]), ("upper", region["upper"])):
            if given is None:
                continue
            limit = np.array([number(v) for v in given])
            if side == "lower":
                low = np.maximum(low, np.nan_to_num(limit, nan=-np.inf))
            else:
                high = np.minimum(high, np.nan_to_num(limit, nan=np.inf))
        self.reach = low, high
        # The model sees float32 numbers: those within the limits, and the instance itself.
        low, high = _least_float32(low), -_least_float32(-high)
        self.box = np.minimum(low, self.home), np.maximum(high, self.home)

    def _cases(self) -> list[tuple[Floats, Floats]]:
        """Return when a point counts as a change: all rows of some case are not positive."""
        n = self.network.graph.n_outputs
        sign = -1.0 if self.network.decision == "smallest" else 1.0
        unit, kept, kind = np.eye(n) * sign, int(self.prediction), self.question["type"]
        if self.network.decision == "value":
            if kind != "leave":
                raise Refused(f"a regressor cannot be asked {kind!r}")
            ends = self.question["lower"], self.question["upper"]
            cases = [(s, v) for s, v in ((1.0, ends[0]), (-1.0, ends[1])) if v is not None]
            return [(np.array([[s]]), np.array([-s * v])) for s, v in cases]
        others = [k for k in range(n) if k != kept]
        if kind == "other":
            return [(unit[[kept]] - unit[[k]], np.zeros(1)) for k in others]
        if kind == "keep":
            floor = float(self.question["floor"])
            return [(unit[[kept]] - unit[[k]], np.array([-floor])) for k in others]
        if kind == "reach":
            target = int(self.question["class"])
            if not 0 <= target < n or target == kept:
                raise Refused("the class to reach is none, or the one predicted")
            rest = [k for k in range(n) if k != target]
            return [(unit[rest] - unit[[target]], np.zeros(n - 1))]
        raise Refused(f"no question {kind!r}")

    # Claims -----------------------------------------------------------------------

    def _claim(self, claim: Mapping[str, Any]) -> None:
        kind = claim.get("kind")
        names = [str(name) for name in claim["features"]]
        unknown = [name for name in names if name not in self.features]
        if unknown or len(set(names)) != len(names):
            raise Refused(f"there is no feature {unknown[0]!r}" if unknown else "a feature twice")
        still = set(claim["open"])
        if not still <= set(names):
            raise Refused("open features are no members")
        if kind == "axp":
            self._abductive(claim, names, still)
        elif kind == "cxp":
            self._contrastive(claim, names, still)
        else:
            raise Refused(f"no kind of claim {kind!r}")

    def _abductive(self, claim: Mapping[str, Any], names: list[str], still: set[str]) -> None:
        from whyproof.encodings.networks.certificate import check_certificate

        fields(claim, "an AXp", ("kind", "features", "open", "proof", "witnesses"))
        free = [name for name in self.features if name not in set(names)]
        lead = check_certificate(self.network.graph, self._proof(claim["proof"], free))
        self.verdict.boxes += len(claim["proof"])
        for name in names:
            if name in claim["witnesses"]:
                self._witness(claim["witnesses"][name], {*free, name})
            elif name not in still:
                raise Refused(f"nothing shows that {name} is needed")
        end = "no element can be left out" if not still else f"{len(still)} may not be needed"
        self.verdict.claims.append(
            f"fixing {len(names)} of {len(self.features)} features forces {self._label()} with a "
            f"lead above {lead:.3g}; {end}"
        )

    def _contrastive(self, claim: Mapping[str, Any], names: list[str], still: set[str]) -> None:
        from whyproof.encodings.networks.certificate import check_deletions

        fields(claim, "a CXp", ("kind", "features", "open", "proof", "witness"))
        self._witness(claim["witness"], set(names))
        needed = [name for name in names if name not in still]
        if needed:
            groups = [self.features[name] for name in needed]
            proof = self._proof(claim["proof"], names)
            lead = check_deletions(self.network.graph, proof, self.home, groups)
            self.verdict.boxes += len(claim["proof"])
            if not bool((lead > 0).all()):
                name = needed[int(lead.argmin())]
                raise Refused(f"it is not proved that {name} is needed")
        end = "no element can be left out" if not still else f"{len(still)} may not be needed"
        self.verdict.claims.append(
            f"freeing {len(names)} of {len(self.features)} features can change {self._label()}; "
            f"{end}"
        )

    def _proof(self, leaves: object, free: Sequence[str]) -> Any:  # noqa: ANN401
        """Return the leaves over the box of a free set, which is worked out here."""
        from whyproof.encodings.networks.certificate import NetworkCertificate

        low, high = self.home.copy(), self.home.copy()
        columns = [c for name in free for c in self.features[name]]
        low[columns], high[columns] = self.box[0][columns], self.box[1][columns]
        if not bool(np.isfinite([low, high]).all()):
            raise Refused("a column may move without limit")
        cases = [[rows.tolist(), offset.tolist()] for rows, offset in self.cases]
        return NetworkCertificate.from_json(
            {
                "model": "", "lower": low.tolist(), "upper": high.tolist(), "cases": cases,
                "leaves": leaves,
            }
        )  # fmt: skip

    def _witness(self, changes: Mapping[str, Any], free: set[str]) -> None:
        """Run a point; it may move free features within the region only."""
        where = {name: i for i, name in enumerate(self.columns)}
        point = self.instance.copy()
        for name, value in changes.items():
            point[where[name]] = number(value)
        allowed = {c for name in free for c in self.features[name]}
        moved = np.flatnonzero(point != self.instance)
        if not set(moved.tolist()) <= allowed:
            raise Refused("a witness moves a feature that is fixed")
        inside = (point >= self.reach[0]) & (point <= self.reach[1]) | (point == self.instance)
        if not bool(inside.all()):
            raise Refused("a witness lies outside the region")
        outcome = float(self._run(point[None])[0])
        scores = self.network.outputs(point[None]).astype(np.float64)[0]
        changed = {
            "other": outcome != self.prediction,
            "reach": outcome == self.question.get("class"),
            "keep": any(bool((r @ scores + o < 0).all()) for r, o in self.cases)
            or outcome != self.prediction,
            "leave": any(bool((r @ scores + o < 0).all()) for r, o in self.cases),
        }[self.question["type"]]
        if not changed:
            raise Refused("a witness does not change the decision")
        self.verdict.witnesses += 1

    def _label(self) -> str:
        classes = self.network.classes
        return str(classes[int(self.prediction)]) if classes else f"{self.prediction:g}"


def _least_float32(values: Floats) -> Floats:
    """Return the least float32 numbers that are not below the values."""
    near = values.astype(np.float32)
    above = np.nextafter(near, np.float32(np.inf), dtype=np.float32)
    return np.where(near < values, above, near).astype(np.float64)
