"""The front door: one model, one space, one question, any number of instances.

explainer = Explainer(model, space)
why = explainer.explain(row, "axp")
for explanation in explainer.enumerate(row):
    ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from whyproof.encodings.constraints.core import with_constraint_core
from whyproof.encodings.oracles import OracleFactory, prepare_oracles, under_constraints
from whyproof.encodings.queries.cover import Cover, cover
from whyproof.encodings.queries.inflated import Inflated, inflate
from whyproof.encodings.queries.probabilistic import (
    Probabilistic,
    TreeProbability,
    probabilistic_axp,
)
from whyproof.engine.answers import Unknown, UnknownReason
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.classifier import Classifier
from whyproof.engine.domain import Boolean, Domain
from whyproof.engine.enumerate import Enumeration, enumerate_explanations
from whyproof.engine.errors import InputError
from whyproof.engine.explanation import Explanation, Kind, Status
from whyproof.engine.facts import Facts
from whyproof.engine.hitting.smallest import Smallest, smallest_explanation
from whyproof.engine.minimise import minimise, strategy_named
from whyproof.engine.oracle import Oracle
from whyproof.engine.preferred import preferred_explanation
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, Question
from whyproof.engine.region import Region
from whyproof.engine.relevancy import Finding, is_necessary, is_relevant
from whyproof.engine.space import FeatureSet, FeatureSpace, Point, Points
from whyproof.engine.such_that import Chosen, explanation_such_that
from whyproof.margins import with_margin

__all__ = ["Explainer", "Row", "set_property"]

Row = Point | Sequence[object] | Mapping[str, object]
"""An instance: codes as an array, or values in order, or values by column name."""


class Explainer:
    """Explains decisions of one model.

    Parameters
    ----------
    model
        The model that runs; see `whyproof.load_model`.
    space
        Its inputs.  Without one a column may hold what the model demands, or any number.
    region
        Where counterexamples are looked for.
    question
        What counts as a change; any other class by default.  Regressors need one.
    strategy
        How weak explanations are shrunk; a name in `whyproof.engine.minimal.STRATEGIES`.
    encoding
        How tree ensembles are decided: ``"search"`` (the fast one), ``"clauses"`` (one
        satisfiability check for all rival classes at once), ``"program"`` (mixed-integer,
        by HiGHS) or ``"gurobi"``.

    Raises
    ------
    UnsupportedError
        If there is no exact oracle for the model.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from whyproof.models import load_model
    >>> x, y = load_iris(return_X_y=True)
    >>> tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(x, y)
    >>> explainer = Explainer(load_model(tree), FeatureSpace.of("abcd"))
    >>> explainer.explain(x[0], "axp").features
    ('d',)
    """

    def __init__(
        self,
        model: Classifier,
        space: FeatureSpace | None = None,
        *,
        region: Region | None = None,
        question: Question | None = None,
        strategy: str = "witness",
        encoding: str = "search",
    ) -> None:
        strategy_named(strategy)
        self.model = model
        self.space = space or default_space(model)
        self.region = region or Region.everywhere()
        self.question = question or AnyOther()
        self.strategy = strategy
        self.encoding = encoding
        self._oracles: OracleFactory | None = None

    def __getstate__(self) -> dict[str, object]:
        """Leave compiled programs behind: workers build their own."""
        return {**self.__dict__, "_oracles": None}

    def problem(self, instance: Row) -> ExplanationProblem:
        """Return what is to be explained about an instance.

        Raises
        ------
        DataError
            If the instance is not in the space.
        """
        point = instance if isinstance(instance, np.ndarray) else self.space.encode(instance)
        return ExplanationProblem(self.model, self.space, point, self.region, self.question)

    def oracle(self, problem: ExplanationProblem) -> Oracle:
        """Return the exact oracle of a problem."""
        if self._oracles is None:
            # Constraints change what an oracle is asked, not what is compiled for it.
            plain = replace(self.space, constraints=())
            self._oracles = prepare_oracles(self.model.structure, plain, self.encoding)
        return under_constraints(problem, self._oracles)

    def explain(
        self,
        instance: Row,
        kind: Kind | str = Kind.AXP,
        *,
        smallest: bool = False,
        weights: Mapping[int, int] | None = None,
        must_contain: Iterable[int] = (),
        must_not_contain: Iterable[int] = (),
        order: Sequence[int] | None = None,
        budget: Budget | None = None,
        jobs: int = 1,
    ) -> Explanation | None:
        """Find one explanation.

        Parameters
        ----------
        instance
            Whose decision.
        kind
            ``"axp"`` (why) or ``"cxp"`` (why not).
        smallest
            Look for the least size, or weight; `smallest` also says how far that is proved.
        weights
            Weight of each feature index with `smallest`, positive; 1 where none is given.
        must_contain, must_not_contain
            Feature indices that have to, that must not occur.
        order
            Feature indices, those to leave out first in front.
        budget
            Limits.
        jobs
            Processes for this one decision, 0 for every core: ``swift`` asks so many questions
            at once, other strategies race.  Not with the options above, budget aside.

        Returns
        -------
        Explanation or None
            `None` if it is proved that there is none; if that stayed open, an explanation
            of status `UNKNOWN`.  An AXp carries the lead that it
            guarantees as `Explanation.margin`, if the budget allowed to bound it.
        """
        if jobs != 1:
            if smallest or weights or must_contain or must_not_contain or order is not None:
                raise InputError(f"{_JOBS} any one explanation, without further wishes")
            from whyproof.auditing.inside import explain_with_processes

            problem, meter = self.problem(instance), (budget or Budget()).start()
            first = explain_with_processes(
                self, problem.instance, kind_named(kind), _jobs(jobs), meter=meter
            )
            return None if first is None else self.completed(first, self.oracle(problem), meter)
        if smallest or weights:
            least = self.smallest(
                instance,
                kind,
                weights=weights,
                must_contain=must_contain,
                must_not_contain=must_not_contain,
                order=order,
                budget=budget,
            )
            if least is None or least.explanation is not None:
                return None if least is None else least.explanation
            # The budget ended before the first one: not known, which is not "none".
            problem, kind = self.problem(instance), kind_named(kind)
            reason = Unknown(UnknownReason.TIME, "the budget ended before one was found")
            return Explanation(problem, kind, problem.universe, reason, problem.universe)
        problem, kind = self.problem(instance), kind_named(kind)
        oracle, meter = self.oracle(problem), (budget or Budget()).start()
        must, must_not = tuple(must_contain), tuple(must_not_contain)
        if must or must_not:
            found = preferred_explanation(
                problem,
                oracle,
                kind,
                must_contain=must,
                must_not_contain=must_not,
                strategy=self.strategy,
                order=order,
                meter=meter,
            )
        else:
            found = minimise(
                problem, oracle, kind, strategy=self.strategy, order=order, meter=meter
            )
        return None if found is None else self.completed(found, oracle, meter)

    def smallest(
        self,
        instance: Row,
        kind: Kind | str = Kind.AXP,
        *,
        weights: Mapping[int, int] | None = None,
        must_contain: Iterable[int] = (),
        must_not_contain: Iterable[int] = (),
        order: Sequence[int] | None = None,
        budget: Budget | None = None,
    ) -> Smallest | None:
        """Find the explanation of least size or weight, and say how far that is proved.

        Parameters are those of `explain`; `None` if it is proved that there is none.
        """
        problem = self.problem(instance)
        oracle, meter = self.oracle(problem), (budget or Budget()).start()
        least = smallest_explanation(
            problem,
            oracle,
            kind_named(kind),
            weights=weights or {},
            must_contain=must_contain,
            must_not_contain=must_not_contain,
            strategy=self.strategy,
            order=order,
            meter=meter,
        )
        if least is None or least.explanation is None:
            return least
        return replace(least, explanation=self.completed(least.explanation, oracle, meter))

    def completed(self, found: Explanation, oracle: Oracle, meter: Meter) -> Explanation:
        """Add the lead that an AXp guarantees, and the constraints on which it rests."""
        return with_constraint_core(with_margin(found, oracle, meter=meter), self.oracle, meter)

    def enumerate(
        self,
        instance: Row,
        *,
        kinds: Sequence[Kind | str] = (Kind.AXP, Kind.CXP),
        bias: Kind | str | None = None,
        smallest_first: bool = False,
        must_contain: Iterable[int] = (),
        must_not_contain: Iterable[int] = (),
        known: Iterable[Explanation] = (),
        order: Sequence[int] | None = None,
        budget: Budget | None = None,
        facts: Facts | None = None,
        jobs: int = 1,
    ) -> Enumeration:
        """Find all explanations, one after the other.

        Parameters
        ----------
        instance
            Whose decision.
        kinds
            What to hand out.
        bias
            Which kind comes cheaply.
        smallest_first
            In the order of size, for one kind.
        must_contain, must_not_contain
            Feature indices that have to, that must not occur, for one kind.
        known
            Explanations from an earlier run, which are not handed out again.
        order
            Feature indices, those to leave out first in front.
        budget
            Limits; `count` limits the number of explanations.
        facts
            Evidence to start from and to add to.
        jobs
            Processes for this one decision, 0 for every core, which share what they find: the
            same set in another order.  With ``kinds``, ``known`` and ``budget`` only.

        Under constraints each AXp names an irreducible set of those that it rests on.
        """
        problem = self.problem(instance)
        meter = (budget or Budget()).start()

        def finish(found: Explanation) -> Explanation:
            return with_constraint_core(found, self.oracle, meter)

        if jobs != 1:
            wishes = (bias, order, facts)
            if (
                smallest_first
                or must_contain
                or must_not_contain
                or any(wish is not None for wish in wishes)
            ):
                raise InputError(f"{_JOBS} all explanations, in any order")
            from whyproof.auditing.inside import enumerate_with_processes

            return enumerate_with_processes(
                self,
                problem.instance,
                _jobs(jobs),
                kinds=[kind_named(kind) for kind in kinds],
                known=tuple(known),
                meter=meter,
                finish=finish if problem.space.constraints else None,
            )
        return enumerate_explanations(
            problem,
            self.oracle(problem),
            kinds=[kind_named(kind) for kind in kinds],
            bias=None if bias is None else kind_named(bias),
            smallest_first=smallest_first,
            strategy=self.strategy,
            must_contain=must_contain,
            must_not_contain=must_not_contain,
            known=known,
            order=order,
            meter=meter,
            facts=facts,
            finish=finish if problem.space.constraints else None,
        )

    def necessary(
        self,
        instance: Row,
        feature: int | str,
        kind: Kind | str = Kind.AXP,
        *,
        budget: Budget | None = None,
    ) -> Finding:
        """Tell whether a feature stands in every explanation of a kind, by one question."""
        problem = self.problem(instance)
        (index,) = self._indices([feature])
        return is_necessary(problem, self.oracle(problem), index, kind_named(kind), budget=budget)

    def relevant(
        self,
        instance: Row,
        features: Iterable[int | str],
        kind: Kind | str = Kind.AXP,
        *,
        budget: Budget | None = None,
    ) -> Finding:
        """Tell whether some explanation contains all these features, and show one."""
        problem, indices = self.problem(instance), self._indices(features)
        return is_relevant(problem, self.oracle(problem), indices, kind_named(kind), budget=budget)

    def such_that(
        self,
        instance: Row,
        accepts: str | Callable[[FeatureSet], bool],
        kind: Kind | str = Kind.AXP,
        *,
        smallest: bool = True,
        budget: Budget | None = None,
    ) -> Chosen:
        """Find the least explanation whose set of features has a property.

        Parameters
        ----------
        instance
            Whose decision.
        accepts
            Tells of feature indices whether they will do; or rules over the features'
            names, each of them true if it stands in the explanation, such as
            ``":- age, income."`` (not both) or ``"debt :- income."``.
        kind
            ``"axp"`` or ``"cxp"``.
        smallest
            Of the least size; else the first that comes.
        budget
            Limits.
        """
        problem = self.problem(instance)
        if isinstance(accepts, str):
            accepts = set_property(accepts, problem.space.names)
        return explanation_such_that(
            problem,
            self.oracle(problem),
            kind_named(kind),
            accepts,
            smallest=smallest,
            budget=budget,
        )

    def inflate(
        self,
        explanation: Explanation,
        *,
        order: Sequence[int] = (),
        budget: Budget | None = None,
    ) -> Inflated:
        """Give each feature of an explanation the largest set of values that still does.

        Parameters
        ----------
        explanation
            From `explain` or `enumerate`.
        order
            Feature indices, those to inflate first in front.
        budget
            Limits.
        """
        return inflate(explanation, self.oracle, order=order, meter=(budget or Budget()).start())

    def probabilistic(
        self,
        instance: Row,
        probability: float,
        *,
        data: Points | None = None,
        order: Sequence[int] = (),
        budget: Budget | None = None,
    ) -> Probabilistic:
        """Find few features that make the decision of a tree model at least this likely.

        An AXp, which makes it certain, is shrunk as far as the probability allows.

        Parameters
        ----------
        instance
            Whose decision.
        probability
            Above 0, at most 1.
        data
            Rows by whose values columns are weighed; uniform over the domains without.
        order
            Feature indices, those to leave out first in front.
        budget
            Limits.
        """
        meter = (budget or Budget()).start()
        problem = self.problem(instance)
        count = TreeProbability(problem, data)
        oracle = self.oracle(problem)
        why = minimise(problem, oracle, Kind.AXP, order=order or None, meter=meter)
        start = None if why is None else why.members
        return probabilistic_axp(count, probability, start=start, order=order, meter=meter)

    def cover(self, instances: Sequence[Row], *, budget: Budget | None = None) -> Cover:
        """Find few rules, inflated AXps of some instances, that cover all of them.

        An instance that an earlier rule covers is not explained again; when the budget
        ends the others stay uncovered.
        """
        meter = (budget or Budget()).start()
        points = np.stack([self.problem(instance).instance for instance in instances])
        rules: list[Inflated] = []
        for row in range(len(points)):
            if any(bool(rule.covers(points[row : row + 1])[0]) for rule in rules):
                continue
            if meter.exhausted() is not None:
                break
            problem = self.problem(points[row])
            oracle = self.oracle(problem)
            why = minimise(problem, oracle, Kind.AXP, strategy=self.strategy, meter=meter)
            if why is not None and why.status is not Status.UNKNOWN:
                rules.append(inflate(why, self.oracle, meter=meter))
        return cover(rules, points, meter)

    def _indices(self, features: Iterable[int | str]) -> list[int]:
        return [self.space.index(f) if isinstance(f, str) else f for f in features]


_JOBS = "several processes (jobs) find"


def _jobs(jobs: int) -> int:
    if jobs < 0:
        raise InputError(f"jobs is a number of processes, or 0 for every core; found {jobs}")
    return jobs


def set_property(text: str, names: Sequence[str]) -> Callable[[FeatureSet], bool]:
    """Read rules about a set of features: each name is true if it belongs to the set.

    Raises
    ------
    RuleError
        With line and column of what is wrong.

    Examples
    --------
    >>> not_both = set_property(":- age, income.", ["age", "income"])
    >>> not_both(frozenset({0})), not_both(frozenset({0, 1}))
    (True, False)
    """
    from whyproof.asp.rules.constraints import read_constraints

    space = FeatureSpace.of(names, {name: Boolean() for name in names})
    ended = text if text.rstrip().endswith(".") else f"{text}."
    rules = read_constraints(ended, space, file="--such-that")

    def accepts(members: FeatureSet) -> bool:
        point = np.zeros((1, len(names)))
        point[0, list(members)] = 1.0
        return all(bool(rule.holds(point)[0]) for rule in rules)

    return accepts


def kind_named(kind: Kind | str) -> Kind:
    """Return a kind by its name.

    Raises
    ------
    InputError
        If it is neither ``axp`` nor ``cxp``.
    """
    try:
        return Kind(kind)
    except ValueError:
        raise InputError(f"no kind of explanation {kind!r}; known are 'axp' and 'cxp'") from None


def column_names(model: Classifier) -> Sequence[str]:
    """Return the names that a model has for its columns, or ``x0``, ``x1``, ..."""
    names: Sequence[str] = getattr(model, "names", ()) or ()
    return names or [f"x{i}" for i in range(model.n_columns)]


def default_space(model: Classifier) -> FeatureSpace:
    """Return the space of all that a model takes: its own domains, else any number."""
    names = column_names(model)
    domains: Mapping[int, Domain] = getattr(model, "domains", {})
    return FeatureSpace.of(names, {names[i]: domain for i, domain in domains.items()})


def _as_html(explanation: Explanation) -> str:
    """Show an explanation in a notebook; pages are imported when one is shown."""
    from whyproof.report import explanation_html

    return explanation_html(explanation)


Explanation.as_html = _as_html
