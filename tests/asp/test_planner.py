"""The published examples, the defects of the reference programs, and bad input."""

from __future__ import annotations

from dataclasses import replace

import pytest
from published_worlds import LOAN, adult, car, german, loan

from whyproof.asp.planning import (
    FunctionJudge,
    Objective,
    Path,
    Planner,
    PlanOptions,
    PlanStatus,
    StartPolicy,
    goal_states,
)
from whyproof.asp.rules import RuleError, read_rules
from whyproof.asp.worlds import Change, Goal, World, read_world_rules, world_from_toml
from whyproof.engine.budget import Budget
from whyproof.engine.errors import DataError, InputError, UnsupportedError

JANE = {"debt": 5000, "balance": 40000, "credit_score": 619, "age": 30}
JOHN = {"debt": 0, "balance": 40000, "credit_score": 620, "age": 28}
BOB = {
    "marital_status": "Never-married",
    "relationship": "Unmarried",
    "sex": "Male",
    "capital_gain": 6000,
    "education_num": 7,
    "age": 28,
}


def steps(path: Path) -> list[tuple[dict, dict]]:
    return [(s.as_json()["direct"], s.as_json()["causal"]) for s in path.steps]


def test_loan_example_1_has_one_path_of_length_1() -> None:
    plan = Planner(loan()).plan(JOHN)
    assert (plan.status, plan.length) == (PlanStatus.MINIMAL, 1)
    assert [steps(path) for path in plan.paths] == [[({"balance": [40000, 60000]}, {})]]
    assert plan.paths[0].steps[0].direct.cell.describe() == "60000 .. 1000000000"


def test_loan_example_2_has_two_paths_of_length_2() -> None:
    plan = Planner(loan()).plan(JANE)
    assert (plan.status, plan.length, plan.complete) == (PlanStatus.MINIMAL, 2, True)
    debt = ({"debt": [5000, 0]}, {"credit_score": [619, 620]})
    balance = ({"balance": [40000, 60000]}, {})
    assert sorted((steps(p) for p in plan.paths), key=str) == [[balance, debt], [debt, balance]]
    assert {path.time_points for path in plan.paths} == {3}


def test_adult_with_full_domains_finds_the_published_path() -> None:
    plan = Planner(adult()).plan(BOB)
    assert plan.length == 1
    published = [
        (
            {"relationship": ["Unmarried", "Husband"]},
            {"marital_status": ["Never-married", "Married-civ-spouse"]},
        )
    ]
    assert published in [steps(path) for path in plan.paths]
    assert len(plan.paths) == 2


def test_adult_withdrawing_the_cause_withdraws_the_effect() -> None:
    married = BOB | {"marital_status": "Married-civ-spouse", "relationship": "Husband"}
    world = adult()
    world = world.with_decisions(world.rules(), Goal(desired=("<=50K",)))
    plan = Planner(world).plan(married | {"capital_gain": 5500, "education_num": 13})
    for path in plan.paths:
        assert not world.violated(path.end)
    assert all(
        step.causal for p in plan.paths for step in p.steps if step.direct.feature == "relationship"
    )


def test_car_features_are_matched_by_name() -> None:
    """The reference swaps two arguments and counts 78."""
    assert len(goal_states(car())[1]) == 54


CREDIT = {
    "checking_account_status": "lt_0",
    "credit_history": "paid_duly",
    "property": "real_estate",
    "duration_months": 36,
    "credit_amount": 3000,
    "present_employment_since": "1_to_4",
    "job": "skilled",
}


@pytest.mark.parametrize(
    "goal", [Goal(desired=("good",)), Goal(undesired=(None,)), Goal()], ids=str
)
def test_german_rules_describe_the_wanted_class(goal: Goal) -> None:
    plan = Planner(german(goal)).plan(CREDIT)
    assert plan.length == 1
    assert {path.changed for path in plan.paths} == {
        frozenset({"checking_account_status"}),
        frozenset({"duration_months"}),
    }
    assert {german(goal).decide(path.end) for path in plan.paths} == {"good"}


def test_german_the_other_way_round() -> None:
    good = CREDIT | {"duration_months": 12}
    plan = Planner(german(Goal(desired=(None,)))).plan(good)
    assert plan.length == 1
    world = german(Goal())
    for path in plan.paths:
        assert world.decide(path.end) is None
    # a small amount is no reason any more: 428 is the threshold, 427 and 428 are one cell
    amounts = [p.end["credit_amount"] for p in plan.paths if p.changed == {"credit_amount"}]
    assert amounts == [428]


def test_losing_the_job_ends_the_employment() -> None:
    world = german(Goal(desired=("good",)))
    plan = Planner(
        world.with_decisions(
            read_rules("label(X,'good') :- present_employment_since(X,'unemployed').")
        )
    ).plan(CREDIT)
    assert [steps(path) for path in plan.paths] == [
        [
            (
                {"job": ["skilled", "unemployed_unskilled"]},
                {"present_employment_since": ["1_to_4", "unemployed"]},
            )
        ]
    ]


REJECTED_CAR = {"persons": "4", "maint": "vhigh", "buying": "vhigh", "safety": "low"}


def test_paths_are_never_padded() -> None:
    """The reference reaches a wished effort by actions that are not needed."""
    plan = Planner(car(), PlanOptions(extra=2, limit=None)).plan(REJECTED_CAR)
    assert plan.length == 2
    assert {path.length for path in plan.paths} == {2, 3}
    world = car()
    for path in plan.paths:
        for left_out in range(path.length):
            state = dict(path.start)
            for k, step in enumerate(path.steps):
                if k != left_out:
                    state[step.direct.feature] = step.direct.new
            assert world.decide(state) == "negative"


def test_a_state_that_two_rules_reject_gives_each_path_once() -> None:
    world = car()
    state = REJECTED_CAR | {"safety": "high"}
    fired = [rule for rule in world.rules().rules if rule.body.accepts(state)]
    assert len(fired) == 2
    cells = [path.cells for path in Planner(world).plan(state).paths]
    assert len(cells) == len(set(cells))


WIFE = BOB | {"relationship": "Wife"}


def test_an_inconsistent_start_is_an_error_by_default() -> None:
    with pytest.raises(DataError, match=r"violates 2 rule\(s\).*Married-civ-spouse"):
        Planner(adult()).plan(WIFE)


def test_an_inconsistent_start_is_repaired_first() -> None:
    plan = Planner(adult(), PlanOptions(start=StartPolicy.REPAIR)).plan(WIFE)
    assert plan.repair is not None
    assert list(plan.repair.changes) == ["relationship"]
    assert plan.repair.alternatives == 4
    assert not adult().violated(plan.start)
    assert "repair" in plan.as_json()


def test_an_inconsistent_start_is_tolerated_until_touched() -> None:
    plan = Planner(adult(), PlanOptions(start=StartPolicy.IGNORE)).plan(WIFE)
    assert len(plan.tolerated) == 2
    gain = [path for path in plan.paths if path.changed == {"capital_gain"}]
    assert len(gain) == 1
    touched = [path for path in plan.paths if path.changed != {"capital_gain"}]
    assert all(not adult().violated(path.end) for path in touched)


def test_a_horizon_of_zero_is_legal() -> None:
    none = Planner(loan(), PlanOptions(horizon=0)).plan(JANE)
    assert (none.status, none.length, none.paths) == (PlanStatus.NONE_WITHIN, None, ())
    assert "length 2" in none.proof
    happy = Planner(loan(), PlanOptions(horizon=0)).plan(
        {"debt": 0, "balance": 60000, "credit_score": 700, "age": 40}
    )
    assert (happy.status, happy.length, len(happy.paths)) == (PlanStatus.MINIMAL, 0, 1)
    assert happy.as_json()["paths"] == [[]]


def test_frozen_is_more_than_immutable() -> None:
    world = loan()
    frozen = replace(
        world,
        features=tuple(
            replace(f, change=Change.FROZEN) if f.name == "credit_score" else f
            for f in world.features
        ),
    )
    plan = Planner(frozen).plan(JANE)
    assert plan.status is PlanStatus.UNREACHABLE
    assert plan.proof.startswith("closure")


def test_none_within_is_not_unreachable() -> None:
    stairs = world_from_toml(
        '[features.level]\ntype = "integers"\nlower = 0\nupper = 9\nmax_change = 1'
    ).with_decisions(read_rules("label = low :- level < 9."))
    near = Planner(stairs, PlanOptions(horizon=5)).plan({"level": 0})
    assert near.status is PlanStatus.NONE_WITHIN
    assert "length 9" in near.proof
    far = Planner(stairs).plan({"level": 0})
    assert (far.status, far.length, len(far.paths)) == (PlanStatus.MINIMAL, 9, 1)
    plan = Planner(stairs, PlanOptions(horizon=5, max_states=3)).plan({"level": 0})
    assert plan.status is PlanStatus.NONE_WITHIN
    assert "visited" in plan.proof


def test_one_path_per_goal_state() -> None:
    every = Planner(loan()).plan(JANE)
    ends = Planner(loan(), PlanOptions(goals=True)).plan(JANE)
    assert len(every.paths) == 2
    assert len(ends.paths) == 1


def test_diverse_paths_differ_in_their_features() -> None:
    plan = Planner(german(Goal(desired=("good",))), PlanOptions(diverse=2)).plan(CREDIT)
    assert len(plan.paths) == 2
    assert not plan.paths[0].changed & plan.paths[1].changed


def test_costs_decide_between_paths() -> None:
    world = adult()
    features = tuple(
        replace(f, cost=0.0, cost_per_unit=0.001) if f.name == "capital_gain" else f
        for f in world.features
    )
    options = PlanOptions(objective=Objective.COST)
    cheap = Planner(replace(world, features=features), options).plan(BOB)
    assert cheap.cost == pytest.approx(0.85)
    assert cheap.paths[0].changed == {"capital_gain"}
    dear = tuple(
        replace(f, cost=0.5, cost_per_unit=0.001) if f.name == "capital_gain" else f
        for f in world.features
    )
    plan = Planner(replace(world, features=dear), options).plan(BOB)
    assert plan.cost == pytest.approx(1.0)
    assert plan.paths[0].changed == {"relationship"}
    assert plan.status is PlanStatus.MINIMAL


def test_the_model_has_the_last_word() -> None:
    """Where the surrogate errs the cell is blocked and the search goes on."""

    def model(states: list[dict]) -> list[str]:
        return [
            "reject" if s["balance"] < 60000 or s["credit_score"] < 620 or s["age"] < 35 else "ok"
            for s in states
        ]

    plan = Planner(loan(), judge=FunctionJudge(model)).plan(JANE)
    assert plan.status is PlanStatus.UNREACHABLE or not plan.paths
    assert plan.rejected
    assert plan.model_start == "reject"

    def scores(states: list[dict]) -> list[str]:
        return ["reject" if s["balance"] < 60000 or s["debt"] else "ok" for s in states]

    confirmed = Planner(loan(), judge=FunctionJudge(scores)).plan(JANE)
    assert confirmed.length == 2
    assert not confirmed.rejected


def test_a_blocked_goal_may_be_passed_through() -> None:
    world = world_from_toml(
        '[features.x]\ntype = "integers"\nlower = 0\nupper = 5\nmax_change = 1'
    ).with_decisions(read_rules("label = low :- x < 2."), Goal(undesired=("low",)))
    judge = FunctionJudge(lambda states: ["low" if s["x"] < 4 else "high" for s in states])
    plan = Planner(world, judge=judge).plan({"x": 0})
    assert plan.length == 4
    assert [r.state["x"] for r in plan.rejected] == [2, 3]
    surrogate = Planner(world).plan({"x": 0})
    assert surrogate.length == 2


def test_multi_class_goals() -> None:
    world = world_from_toml('[features.x]\ntype = "integers"\nlower = 0\nupper = 9')
    rules = read_rules("class = low :- x < 3. class = middle :- x < 6. class = high :- x < 9.")
    for desired, end in (("low", 2), ("middle", 5), ("high", 7)):
        plan = Planner(world.with_decisions(rules, Goal(desired=(desired,)))).plan({"x": 7})
        assert plan.paths[0].end["x"] == end
    two = Planner(world.with_decisions(rules, Goal(desired=("low", "middle")))).plan({"x": 8})
    assert two.paths[0].end["x"] in (2, 5)
    assert len(two.paths) == 2
    nothing = Planner(world.with_decisions(rules, Goal(desired=(None,)))).plan({"x": 8})
    assert nothing.paths[0].end["x"] == 9


def test_missing_values_are_no_targets_unless_allowed() -> None:
    text = '[features.x]\nvalues = ["a", "b"]\nnullable = true\n'
    rules = read_rules("label = no :- x in {a, b}.")
    closed = Planner(world_from_toml(text).with_decisions(rules)).plan({"x": "a"})
    assert closed.status is PlanStatus.UNREACHABLE
    opened = world_from_toml(text + "may_become_missing = true\n").with_decisions(rules)
    plan = Planner(opened).plan({"x": "a"})
    assert plan.paths[0].end["x"] is None
    back = Planner(opened.with_decisions(rules, Goal(desired=("no",)))).plan({"x": None})
    assert {path.end["x"] for path in back.paths} == {"a", "b"}


def test_open_ends_have_readable_witnesses() -> None:
    world = world_from_toml('[features.x]\ntype = "real"\nlower = 0.0').with_decisions(
        read_rules("label = no :- x =< 6849.")
    )
    step = Planner(world).plan({"x": 10.5}).paths[0].steps[0]
    assert step.direct.new == 6850.0
    assert step.direct.cell.describe() == "> 6849"
    grid = world_from_toml('[features.x]\ntype = "real"\nstep = 0.1').with_decisions(
        read_rules("label = no :- x =< 0.3.")
    )
    assert Planner(grid).plan({"x": 0.1}).paths[0].end["x"] == 0.4


def test_bad_states_are_refused() -> None:
    planner = Planner(loan())
    with pytest.raises(DataError, match=r"'balance_'.*did you mean 'balance'"):
        planner.plan(JANE | {"balance_": 3})
    with pytest.raises(DataError, match="no value for 'age'"):
        planner.plan({k: v for k, v in JANE.items() if k != "age"})
    with pytest.raises(DataError, match=r"'age': '?200'? is not in whole numbers 1 \.\. 99"):
        planner.plan(JANE | {"age": 200})
    with pytest.raises(DataError, match="'age': 'old' is not a number"):
        planner.plan(JANE | {"age": "old"})


def test_bad_questions_are_refused() -> None:
    with pytest.raises(DataError, match=r"never decide 'rejected'.*did you mean 'reject'"):
        loan().with_decisions(loan().rules(), Goal(undesired=("rejected",)))
    with pytest.raises(RuleError, match=r"no feature 'ballance'.*did you mean 'balance'"):
        read_world_rules("label = reject :- ballance < 3.", world_from_toml(LOAN).names)
    with pytest.raises(DataError, match="no decision rules"):
        Planner(world_from_toml(LOAN))
    with pytest.raises(InputError, match=r"no objective 'costs'.*did you mean 'cost'"):
        PlanOptions(objective="costs")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="must not be negative"):
        PlanOptions(horizon=-1)
    with pytest.raises(DataError, match="goal is open"):
        goal_states(loan().with_decisions(loan().rules(), Goal()))


def test_arithmetic_effects_need_their_own_planner() -> None:
    world = world_from_toml(
        LOAN + '[[effects]]\naction = "debt"\nfeature = "balance"\nadd = -100\n'
    ).with_decisions(loan().rules())
    with pytest.raises(UnsupportedError, match="arithmetic"):
        Planner(world).plan(JANE)


def test_a_spent_budget_is_not_an_answer() -> None:
    plan = Planner(loan(), budget=Budget(seconds=1e-9)).plan(JANE)
    assert plan.status is PlanStatus.STOPPED
    assert not plan.paths


def test_answers_do_not_vary() -> None:
    texts = {str(Planner(car()).plan(REJECTED_CAR).as_json()["paths"]) for _ in range(3)}
    assert len(texts) == 1


def test_published_rules_of_another_world_are_refused() -> None:
    """One program of the reference ships another data set's rules."""
    with pytest.raises(RuleError, match="no feature 'marital_status'"):
        world: World = car()
        world.with_decisions(adult().rules())
