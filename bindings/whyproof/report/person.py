"""The sheet for the person: at most four reasons, each proved, and the nearest change in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .findings import Person, Reason, left_out, reasons_of
from .values import listed, shown, transition
from .wording import Wording

__all__ = ["PersonSheet", "change_in_words", "person_sheet"]


@dataclass(frozen=True)
class PersonSheet:
    """What one person is told.

    Parameters
    ----------
    person
        What the store shows.
    outcome
        The decision, as it is called.
    reasons
        Principal reasons.
    also_necessary
        Further factors each of which can change the decision alone: named, not left out.
    change
        The nearest change, in a sentence.
    two_sided
        What is proved about the list of reasons, in sentences.
    certificate
        File that `whyproof check` verifies; empty without one.
    """

    person: Person
    outcome: str
    reasons: Sequence[Reason]
    also_necessary: Sequence[str]
    change: str
    two_sided: Sequence[str]
    certificate: str = ""

    def as_json(self) -> dict[str, object]:
        """Return the sheet as JSON-ready data."""
        stored = self.person.stored
        return {
            "row": stored.row,
            "outcome": self.outcome,
            "decided_at": stored.record.get("at"),
            "input_hash": stored.input_hash,
            "reasons": [reason.as_json() for reason in self.reasons],
            "also_necessary": list(self.also_necessary),
            "proved": list(self.two_sided),
            "not_proved": self.person.not_proved,
            "change": self.change,
            "counterfactual": None
            if self.person.counterfactual is None
            else self.person.counterfactual.hash,
            "certificate": self.certificate or None,
        }


def person_sheet(person: Person, wording: Wording, certificate: str = "") -> PersonSheet:
    """Write the sheet of one person.

    Parameters
    ----------
    person
        What the store shows.
    wording
        How factors and outcomes are called.
    certificate
        File that `whyproof check` verifies.

    Raises
    ------
    DataError
        If the wording lacks a factor that has to be named.
    """
    reasons = reasons_of(person, wording)
    others = [wording.factor(name) for name in left_out(person, reasons)]
    return PersonSheet(
        person,
        wording.outcome(person.stored.record.get("prediction")),
        reasons,
        others,
        change_in_words(person, wording),
        _two_sided(person, reasons, others),
        certificate,
    )


def change_in_words(person: Person, wording: Wording) -> str:
    """Say the recorded nearest counterfactual as a person would."""
    change = person.change
    if change is None:
        return ""
    status = change["status"]
    if status == "none":
        conflict = change.get("conflict")
        rules = [] if conflict is None else list(conflict["rules"])
        because = f" The rules that exclude every one: {'; '.join(rules)}." if rules else ""
        return f"No change that the rules allow leads to another decision (proved).{because}"
    if status == "already":
        return "Nothing has to change."
    moves: list[Mapping[str, Any]] = list(change.get("changes", ()))
    if not moves:
        return ""
    said = [_move(move, wording) for move in moves if not move.get("effect")]
    effects = [_move(move, wording) for move in moves if move.get("effect")]
    outcomes = [wording.outcome(label) for label in dict.fromkeys(change.get("outcomes", ()))]
    then = f"the decision would be {listed(outcomes, 'or')}" if outcomes else "it would change"
    proof = (
        "No smaller change leads there (proved)."
        if status == "optimal"
        else "That no smaller change leads there is not proved."
    )
    follows = f", from which follows {listed(effects)}" if effects else ""
    return f"With {listed(said)}{follows}, all else as it is, {then}. {proof}"


def _move(move: Mapping[str, Any], wording: Wording) -> str:
    old, new = transition(move["from"], move["to"], str(move.get("unit") or ""))
    name = wording.factor(str(move["feature"])) if wording.factors is None else move["column"]
    return f"{name} {new} instead of {old}"


def _two_sided(person: Person, reasons: Sequence[Reason], others: Sequence[str]) -> list[str]:
    said: list[str] = []
    if reasons:
        said.append(
            "Each reason was used: it belongs to a set of values that forces the decision and "
            "from which nothing can be left out."
        )
    if person.is_complete:
        if others:
            said.append(
                f"Besides the reasons above, {listed(list(others))} can change the decision alone."
            )
        else:
            said.append(
                "No factor is left out that could change the decision alone: all sets of reasons "
                f"are known ({len(person.axps)})."
            )
    return said


def value_words(person: Person) -> list[tuple[str, str]]:
    """Return all values of the person, in words."""
    return [(name, shown(value)) for name, value in person.values.items()]
