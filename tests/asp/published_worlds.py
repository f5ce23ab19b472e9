"""The worlds of the CoGS paper, with their published rules, at full domains where named."""

from __future__ import annotations

from dataclasses import replace

from whyproof.asp.rules import read_rules
from whyproof.asp.worlds import Goal, World, read_world_rules, world_from_toml

LOAN = """
name = "loan"
[goal]
undesired = ["reject"]
[features.debt]
type = "integers"
lower = 0
upper = 1000000
[features.balance]
type = "integers"
lower = 0
upper = 1000000000
[features.credit_score]
type = "integers"
lower = 300
upper = 850
change = "immutable"
[features.age]
type = "integers"
lower = 1
upper = 99
"""

LOAN_RULES = """
label = reject :- balance < 60000.
label = reject :- credit_score =< 619.
credit_score =< 619 :- debt > 0.
credit_score >= 620 :- debt = 0.
"""

MARITAL = (
    "Never-married",
    "Married-civ-spouse",
    "Divorced",
    "Separated",
    "Widowed",
    "Married-spouse-absent",
    "Married-AF-spouse",
)
RELATIONSHIP = (
    "Husband",
    "Wife",
    "Not-in-family",
    "Own-child",
    "Unmarried",
    "Other-relative",
)

ADULT = f"""
name = "adult"
[features.marital_status]
values = {list(MARITAL)}
change = "immutable"
[features.relationship]
values = {list(RELATIONSHIP)}
[features.sex]
values = ["Male", "Female"]
change = "frozen"
[features.capital_gain]
type = "integers"
lower = 0
upper = 99999
[features.education_num]
type = "integers"
lower = 1
upper = 16
change = "up"
[features.age]
type = "integers"
lower = 17
upper = 90
change = "up"
"""

ADULT_CAUSAL = """
marital_status(X,'Married-civ-spouse') :- relationship(X,'Husband').
marital_status(X,'Married-civ-spouse') :- relationship(X,'Wife').
marital_status != 'Married-civ-spouse' :- relationship != 'Husband', relationship != 'Wife'.
marital_status != 'Never-married' :-
    relationship != 'Husband', relationship != 'Wife', age > 29.
relationship != 'Husband' :- sex(X,'Female').
relationship != 'Wife' :- sex(X,'Male').
relationship != 'Husband' :- age(X,N), N =< 27.
"""

ADULT_DECISIONS = """
label(X,'<=50K') :- not marital_status(X,'Married-civ-spouse'), capital_gain(X,N1), N1=<6849.0.
label(X,'<=50K') :- marital_status(X,'Married-civ-spouse'), capital_gain(X,N1), N1=<5013.0,
    education_num(X,N2), N2=<12.0.
"""

CAR = """
name = "car"
[features.persons]
values = ["4", "5more"]
[features.maint]
values = ["med", "high", "vhigh"]
[features.buying]
values = ["low", "med", "high", "vhigh"]
[features.safety]
values = ["low", "med", "high", "vhigh"]
"""

CAR_DECISIONS = """
label(X,'negative') :- persons(X,'2').
label(X,'negative') :- safety(X,'low').
label(X,'negative') :- buying(X,'vhigh'), maint(X,'vhigh').
label(X,'negative') :- not buying(X,'low'), not buying(X,'med'), maint(X,'vhigh').
label(X,'negative') :- buying(X,'vhigh'), maint(X,'high').
"""

GERMAN = """
name = "german"
[features.checking_account_status]
values = ["lt_0", "0_to_200", "ge_200", "no_checking_account"]
[features.credit_history]
values = ["no_credits", "all_paid_here", "paid_duly", "delay", "critical"]
change = "immutable"
[features.property]
values = ["real_estate", "savings", "car_or_other", "unknown"]
[features.duration_months]
type = "integers"
lower = 4
upper = 72
[features.credit_amount]
type = "integers"
lower = 250
upper = 18424
[features.present_employment_since]
values = ["unemployed", "lt_1", "1_to_4", "4_to_7", "ge_7"]
change = "immutable"
[features.job]
values = ["unemployed_unskilled", "unskilled", "skilled", "management"]
"""

GERMAN_DECISIONS = """
label(X,'good') :- checking_account_status(X,'no_checking_account').
label(X,'good') :- not checking_account_status(X,'no_checking_account'),
    not credit_history(X,'all_paid_here'), duration_months(X,N1), N1=<21.0,
    credit_amount(X,N2), not(N2=<428.0), not ab1(X,'True').
ab1(X,'True') :- property(X,'car_or_other'), credit_amount(X,N2), N2=<1345.0.
"""

GERMAN_CAUSAL = """
present_employment_since != unemployed :- job != unemployed_unskilled.
present_employment_since = unemployed :- job = unemployed_unskilled.
"""


def build(toml: str, rules: str, causal: str = "", goal: Goal | None = None) -> World:
    """Build a world from its texts."""
    world = world_from_toml(toml)
    if causal:
        told = read_world_rules(causal, world.names)
        world = replace(world, causal=told.causal)
    return world.with_decisions(read_rules(rules, target="label"), goal)


def loan() -> World:
    world = world_from_toml(LOAN)
    told = read_world_rules(LOAN_RULES, world.names)
    world = replace(world, causal=told.causal)
    return world.with_decisions(told.decisions)


def adult() -> World:
    return build(ADULT, ADULT_DECISIONS, ADULT_CAUSAL, Goal(undesired=("<=50K",)))


def car() -> World:
    return build(CAR, CAR_DECISIONS, goal=Goal(undesired=("negative",)))


def german(goal: Goal) -> World:
    return build(GERMAN, GERMAN_DECISIONS, GERMAN_CAUSAL, goal)
