"""Ask any other verifier that reads ONNX and VNN-LIB; believe its witnesses, quote its proofs.

The question "can the decision change when these columns are free" is written as two files: the
network with the fixed inputs substituted, so that nothing has to be said about them (some
verifiers answer wrongly for inputs with equal bounds, Marabou issue 670), and a VNN-LIB
specification over the free ones.  A command line is run on them, and its verdict is read as
in the verification contests: the first word of its result, then the witness.

Every witness is replayed on onnxruntime; one that does not change the decision is `Unknown`.
A verdict of "unsat" is that program's word: it carries no certificate.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.errors import DataError, InputError, UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from .classifier import NetworkClassifier
from .graph import Array
from .neighbourhood import Neighbourhood
from .verification import Outcome, Verification
from .vnnlib import BoxQuery, Condition

__all__ = [
    "CommandVerifier",
    "ExternalOracle",
    "ForeignVerdict",
    "Verifier",
    "restricted_model",
    "verify_by",
    "write_vnnlib",
]

_WORDS = {"sat": "sat", "violated": "sat", "unsat": "unsat", "holds": "unsat", "verified": "unsat"}
_VALUE = re.compile(r"\(\s*X_(\d+)\s+([^\s()]+)\s*\)")


@dataclass(frozen=True, eq=False)
class ForeignVerdict:
    """What another verifier said.

    Parameters
    ----------
    word
        ``sat``, ``unsat`` or ``unknown``.
    point
        For sat: the inputs, shape ``(inputs,)``, if it gave them.
    detail
        For unknown.
    """

    word: str
    point: Array | None = None
    detail: str = ""


class Verifier(Protocol):
    """Anything that decides a box query about a network."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def ask(self, model: onnx.ModelProto, query: BoxQuery, seconds: float) -> ForeignVerdict:
        """Decide whether some input of the box satisfies one of the cases."""
        ...


@dataclass(frozen=True)
class CommandVerifier:
    """A verifier behind a command line.

    Parameters
    ----------
    command
        With ``{onnx}``, ``{vnnlib}``, ``{timeout}`` (seconds) and, if the program writes its
        result to a file, ``{result}``; otherwise its standard output is read.  It is split
        as a shell would and run without one.
    name
        For messages.

    Raises
    ------
    InputError
        If a placeholder for a file is missing.

    Examples
    --------
    >>> CommandVerifier("abcrown --onnx {onnx} --spec {vnnlib} --time {timeout}").name
    'abcrown'
    """

    command: str
    label: str = ""

    def __post_init__(self) -> None:
        for part in ("{onnx}", "{vnnlib}"):
            if part not in self.command:
                raise InputError(f"the verifier's command needs {part}: {self.command!r}")

    @property
    def name(self) -> str:
        """Its label, or the program's name."""
        return self.label or Path(shlex.split(self.command)[0]).name

    def ask(self, model: onnx.ModelProto, query: BoxQuery, seconds: float) -> ForeignVerdict:
        """Write the two files, run the command, read its result."""
        with tempfile.TemporaryDirectory(prefix="whyproof-") as folder:
            files = {name: Path(folder) / name for name in ("onnx", "vnnlib", "result")}
            files["onnx"] = files["onnx"].with_name("network.onnx")
            files["vnnlib"] = files["vnnlib"].with_name("question.vnnlib")
            files["onnx"].write_bytes(model.SerializeToString())
            files["vnnlib"].write_text(write_vnnlib(query))
            words = {name: str(path) for name, path in files.items()}
            words["timeout"] = str(max(1, round(seconds)))
            parts = [_filled(part, words) for part in shlex.split(self.command)]
            try:
                done = subprocess.run(
                    parts,
                    capture_output=True,
                    text=True,
                    timeout=seconds + 5,
                    cwd=folder,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return ForeignVerdict("unknown", detail="timeout")
            except OSError as error:
                raise InputError(f"{parts[0]} cannot be run: {error.strerror}") from error
            written = files["result"]
            text = written.read_text() if written.exists() else done.stdout
            found = _read(text, len(query.lower))
            if found.word == "unknown" and done.returncode and not found.detail:
                last = (done.stderr.strip().splitlines() or ["no message"])[-1]
                return ForeignVerdict("unknown", detail=f"exit code {done.returncode}: {last}")
            return found


class ExternalOracle:
    """Decides free sets of a network by another verifier.

    Parameters
    ----------
    problem
        Its classifier is a `NetworkClassifier`, its region a box.
    verifier
        Whom to ask.
    seconds
        Limit for each question.

    Raises
    ------
    UnsupportedError
        For regions that are no boxes.
    """

    def __init__(
        self, problem: ExplanationProblem, verifier: Verifier, *, seconds: float = 60.0
    ) -> None:
        if not isinstance(problem.classifier, NetworkClassifier):
            raise UnsupportedError("other verifiers are asked about networks from ONNX files")
        if not problem.region.is_box:
            raise UnsupportedError("VNN-LIB knows boxes; this region is none")
        self.problem = problem
        self.verifier = verifier
        self.seconds = seconds
        self.place = Neighbourhood(problem)
        self._classifier = problem.classifier

    @property
    def name(self) -> str:
        """Of the verifier."""
        return self.verifier.name

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Ask about one set after the other."""
        answers: list[Answer] = []
        for free in free_sets:
            reason = meter.exhausted()
            answers.append(Unknown(reason) if reason is not None else self._decide(free, meter))
        return answers

    def _decide(self, free: FeatureSet, meter: Meter) -> Answer:
        place = self.place
        play = place.play(place.mask([free])[0])
        columns = play.columns.cpu().numpy()
        if not len(columns):
            (same,) = place.replay(self.problem.instance[None].copy())
            return same or Entailed(core=self.problem.universe - free)
        center = place.center.cpu().numpy()
        model = restricted_model(self._classifier.model, columns, center)
        low, high = place.low32[columns], place.high32[columns]
        cases = tuple(Condition(c.rows, c.offset) for c in place.target.cases)
        query = BoxQuery(low, high, cases)
        found = self.verifier.ask(model, query, min(self.seconds, meter.remaining))
        if found.word == "unsat":
            return Entailed(core=self.problem.universe - free)
        if found.word == "sat" and found.point is not None:
            return self._replayed(found.point, columns)
        reason = UnknownReason.TIME if "timeout" in found.detail else UnknownReason.INCOMPLETE
        return Unknown(reason, f"{self.name}: {found.detail or 'no witness'}")

    def _replayed(self, values: Array, columns: npt.NDArray[Any]) -> Answer:
        point = self.problem.instance.copy()
        low, high = self.place.low32[columns], self.place.high32[columns]
        moved = np.clip(values.astype(np.float32).astype(np.float64), low, high)
        home = self.place.center.cpu().numpy()[columns]
        point[columns] = np.where(moved == home, point[columns], moved)
        (witness,) = self.place.replay(point[None])
        if isinstance(witness, Counterexample):
            return witness
        return Unknown(
            UnknownReason.PRECISION, f"the witness of {self.name} does not change the decision"
        )


def verify_by(
    verifier: Verifier,
    classifier: NetworkClassifier,
    queries: Sequence[BoxQuery],
    *,
    seconds: float = 60.0,
) -> Verification:
    """Ask another verifier about a specification; its witness is replayed.

    Parameters are those of `whyproof.encodings.networks.verification.verify`.
    """
    reason = ""
    for query in queries:
        columns = np.flatnonzero(query.upper > query.lower)
        model = restricted_model(classifier.model, columns, query.lower)
        asked = BoxQuery(query.lower[columns], query.upper[columns], query.cases)
        found = verifier.ask(model, asked, seconds)
        if found.word == "sat" and found.point is not None:
            point = query.lower.astype(np.float32)
            point[columns] = found.point.astype(np.float32)
            wide = point.astype(np.float64)
            inside = bool(((wide >= query.lower) & (wide <= query.upper)).all())
            outputs = classifier.outputs(wide[None])[0]
            hit = any(
                bool((case.rows @ outputs.astype(np.float64) + case.offset <= 0).all())
                for case in query.cases
            )
            if inside and hit:
                return Verification(Outcome.SAT, point, outputs)
            reason = f"the witness of {verifier.name} does not hold on onnxruntime"
        elif found.word != "unsat":
            reason = reason or f"{verifier.name}: {found.detail or 'no answer'}"
    if reason:
        return Verification(Outcome.UNKNOWN, reason=reason)
    return Verification(Outcome.UNSAT)


def restricted_model(
    model: onnx.ModelProto, columns: npt.NDArray[Any], center: Array
) -> onnx.ModelProto:
    """Return the network as a function of some of its inputs, the others substituted.

    Parameters
    ----------
    model
        With one input.
    columns
        Positions of the inputs that stay, shape ``(k,)``.
    center
        Values of all inputs; those of `columns` do not matter.

    Returns
    -------
    onnx.ModelProto
        Its input ``free`` has shape ``(1, k)``.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    constants = {tensor.name for tensor in graph.initializer}
    (entry,) = [value for value in graph.input if value.name not in constants]
    dims = [d.dim_value or 1 for d in entry.type.tensor_type.shape.dim]
    k, n = len(columns), len(center)
    spread = np.zeros((k, n), dtype=np.float32)
    spread[np.arange(k), columns.astype(np.int64)] = 1.0
    fixed = center.astype(np.float32).copy()
    fixed[columns.astype(np.int64)] = 0.0
    names = [f"whyproof_{part}" for part in ("spread", "fixed", "shape", "wide", "whole")]
    graph.initializer.extend(
        [
            numpy_helper.from_array(spread, names[0]),
            numpy_helper.from_array(fixed[None], names[1]),
            numpy_helper.from_array(np.array(dims, dtype=np.int64), names[2]),
        ]
    )
    nodes = [
        helper.make_node("MatMul", ["free", names[0]], [names[3]]),
        helper.make_node("Add", [names[3], names[1]], [names[4]]),
        helper.make_node("Reshape", [names[4], names[2]], [entry.name]),
        *graph.node,
    ]
    del graph.node[:]
    graph.node.extend(nodes)
    others = [value for value in graph.input if value.name in constants]
    del graph.input[:]
    free = helper.make_tensor_value_info("free", onnx.TensorProto.FLOAT, [1, k])
    graph.input.extend([free, *others])
    return made


def write_vnnlib(query: BoxQuery) -> str:
    """Write a query as VNN-LIB 1.0; `read_vnnlib` reads it back.

    Raises
    ------
    DataError
        If a bound is not finite.

    Examples
    --------
    >>> case = Condition(np.array([[1.0, -1.0]]), np.array([0.5]))
    >>> text = write_vnnlib(BoxQuery(np.zeros(1), np.ones(1), (case,)))
    >>> text.splitlines()[-1]
    '(assert (or (and (<= (+ (* 1.0 Y_0) (* -1.0 Y_1)) -0.5))))'
    """
    if not bool(np.isfinite([query.lower, query.upper]).all()):
        raise DataError("VNN-LIB needs finite bounds for every input")
    outputs = max(case.rows.shape[1] for case in query.cases)
    lines = [f"(declare-const X_{i} Real)" for i in range(len(query.lower))]
    lines += [f"(declare-const Y_{i} Real)" for i in range(outputs)]
    for i, (low, high) in enumerate(zip(query.lower, query.upper, strict=True)):
        lines += [f"(assert (>= X_{i} {_plain(low)}))", f"(assert (<= X_{i} {_plain(high)}))"]
    cases: list[str] = []
    for case in query.cases:
        rows = [
            f"(<= {_combined(row)} {_plain(-offset)})"
            for row, offset in zip(case.rows, case.offset, strict=True)
        ]
        cases.append(f"(and {' '.join(rows)})")
    return "\n".join([*lines, f"(assert (or {' '.join(cases)}))"])


def _combined(row: Array) -> str:
    terms = [f"(* {_plain(value)} Y_{i})" for i, value in enumerate(row) if value]
    return terms[0] if len(terms) == 1 else f"(+ {' '.join(terms)})"


def _plain(value: float) -> str:
    """Write a number without an exponent where that is short; readers differ about it."""
    text = repr(float(value) + 0.0)
    return np.format_float_positional(float(value), trim="0") if "e" in text else text


def _filled(part: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        part = part.replace(f"{{{name}}}", value)
    return part


def _read(text: str, n: int) -> ForeignVerdict:
    first = re.search(r"\b(sat|violated|unsat|holds|verified|unknown|timeout|error)\b", text)
    if first is None:
        return ForeignVerdict("unknown", detail="")
    word = _WORDS.get(first.group(1), "unknown")
    if word != "sat":
        return ForeignVerdict(word, detail="" if word == "unsat" else first.group(1))
    point = np.full(n, np.nan)
    for index, value in _VALUE.findall(text):
        try:
            point[int(index)] = float(value)
        except (IndexError, ValueError):
            return ForeignVerdict("unknown", detail="a witness that cannot be read")
    if not bool(np.isfinite(point).all()):
        return ForeignVerdict("unknown", detail="sat without a complete witness")
    return ForeignVerdict("sat", point)
