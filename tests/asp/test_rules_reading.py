"""Published dialects are read; errors say where."""

from __future__ import annotations

import pytest

from whyproof.asp.rules import RuleError, RuleSet, Table, read_heads, read_rules
from whyproof.asp.rules.parse import parse_program
from whyproof.engine.errors import InputError

MUSHROOM = """
label(X,'p') :- not odor(X,'n'), not ab1(X,'True'), not ab2(X,'True'), not ab3(X,'True').
label(X,'p') :- spore_print_color(X,'r').
ab1(X,'True') :- not bruises(X,'f'), stalk_root(X,'c').
ab2(X,'True') :- not bruises(X,'f'), stalk_root(X,'r').
ab3(X,'True') :- not gill_spacing(X,'c'), not bruises(X,'f').
"""

WINE = """
% wine dataset (178, 14)
label(X,'1') :- rule2(X), not rule1(X).
label(X,'2') :- rule1(X).
label(X,'2') :- rule4(X), not rule1(X), not rule2(X), not rule3(X).
label(X,'3') :- rule3(X), not rule1(X), not rule2(X).
rule1(X) :- color_intensity(X,N9), N9=<3.4.
rule2(X) :- flavanoids(X,N6), N6>2.03, not ab1(X).
rule3(X) :- flavanoids(X,N6), N6=<1.57, not ab2(X).
rule4(X) :- alcohol(X,N0), N0>11.56.
ab1(X) :- proline(X,N12), N12=<678.0.
ab2(X) :- hue(X,N10), N10>0.96.
% acc 0.9722
"""

# The rule sets of the causal-path literature, in the programs' own positional style.
CAR = """
#show rule_1/1, rule_2/1.
rule_1(A):- A = '2'.
rule_2(B):- B = low.
rule_3(C,D):- C = vhigh, D = vhigh.
rule_4(C,D):- C \\= low, C \\= med, D = vhigh.
rule_5(C,D):- C = vhigh, D = high.
    #show lite_reject/4, not lite_reject/4.
\tlite_reject(A,_,_,_):- rule_1(A).
\tlite_reject(_,B,_,_):- rule_2(B).
\tlite_reject(_,_,C,D):- rule_3(C,D).
\tlite_reject(_,_,C,D):- rule_4(C,D).
\tlite_reject(_,_,C,D):- rule_5(C,D).
reject(A,B,C,D):- pre_persons(A), pre_safety(B), pre_buying(C), pre_maint(D), lite_reject(A,B,C,D).
"""

ADULT = """
:- use_module(library(clpfd)).
#include('other.pl').
f_domain(marital_status, never_married).
f_domain(capital_gain, X):-  X #>= 0, X #=< 99999.
is_member(H,[_|T]):- is_member(H,T).
message(X):- X = '<-C: Marital Status & Relationship'.
anti_member(X,[state(_,H)|T]):- X \\= H, anti_member(X,T).
measure(Z1,Z2, X):- f_domain(control,Z1), Q2 #= Z2*Z2, X #= Z1+Q2.
lite_le_50K(X,Y,_) :- X \\= married_civ_spouse, Y #=< 6849.0.
lite_le_50K(X,Y,Z) :- X = married_civ_spouse, Y .=<. 5013.0, Z #=< 12.0.%, comment
get_path(A,B,C,[state(time(T),[A,B,C]),Symbol|Acc]):- f_domain(marital_status, A),
  f_domain(capital_gain, B), f_domain(education_num, C), not lite_le_50K(A,B,C).
?- A = never_married,B #= 6000, get_path(A,B,7,[state(time(1),[A,B,7])]).
"""


def shown(rules: RuleSet) -> list[str]:
    return [str(rule) for rule in rules.rules]


def test_the_published_mushroom_rules_load() -> None:
    rules = read_rules(MUSHROOM)
    assert len(rules.rules) == 2 and rules.target == "label"
    assert [len(rule.body.exceptions) for rule in rules.rules] == [3, 0]
    row = {
        "odor": ["f", "f", "n", "n"],
        "bruises": ["f", "t", "t", "t"],
        "stalk_root": ["c", "c", "c", "c"],
        "gill_spacing": ["c", "c", "c", "c"],
        "spore_print_color": ["b", "b", "b", "r"],
    }
    assert rules.predict(Table.of(row)).tolist() == ["p", None, None, "p"]


def test_ranked_lists_get_their_order_back() -> None:
    rules = read_rules(WINE)
    assert shown(rules) == [
        "label = 2 if color_intensity <= 3.4",
        "label = 1 if flavanoids > 2.03 and not proline <= 678",
        "label = 3 if flavanoids <= 1.57 and not hue > 0.96",
        "label = 2 if alcohol > 11.56",
    ]


def test_positional_programs_are_read_by_name() -> None:
    rules = read_rules(CAR, target="lite_reject")
    assert shown(rules) == [
        "lite_reject = true if persons = 2",
        "lite_reject = true if safety = low",
        "lite_reject = true if buying = vhigh and maint = vhigh",
        "lite_reject = true if buying != low and buying != med and maint = vhigh",
        "lite_reject = true if buying = vhigh and maint = high",
    ]
    assert rules.default is False


def test_whole_programs_with_directives_lists_and_queries_are_read() -> None:
    rules = read_rules(ADULT, target="lite_le_50K")
    assert shown(rules) == [
        "lite_le_50K = true if marital_status != married_civ_spouse and capital_gain <= 6849",
        "lite_le_50K = true if marital_status = married_civ_spouse and capital_gain <= 5013 "
        "and education_num <= 12",
    ]


def test_names_of_positions_can_be_given_and_are_needed() -> None:
    text = "lite(X,Y) :- X = a, Y #=< 3."
    rules = read_rules(text, arguments={"lite": ["colour", "size"]})
    assert shown(rules) == ["lite = true if colour = a and size <= 3"]
    with pytest.raises(RuleError, match=r"nothing says which features.*argument 1, 2"):
        read_rules(text)
    with pytest.raises(RuleError, match="2 arguments but 1 names"):
        read_rules(text, arguments={"lite": ["colour"]})
    with pytest.raises(RuleError, match="is age and also size"):
        read_rules(text + "p(X,Y):- f_domain(size,Y), f_domain(age,Y), size(T,X), lite(X,Y).")


def test_constants_in_heads_are_conditions() -> None:
    text = """
    constraint(married,Y,Z):- Y = husband.
    constraint(never,Y,Z):- Y \\= husband, Z #=<29.
    ok(A,B,C):- f_domain(ms,A), f_domain(rel,B), f_domain(age,C), constraint(A,B,C).
    """
    assert shown(read_rules(text, target="constraint")) == shown(
        read_rules(text, target="constraint", arguments={"constraint": ["ms", "rel", "age"]})
    )


@pytest.mark.parametrize(
    "text",
    [
        "label(X,'p') :- cap(X,N1), not(N1=<3.0).",
        "label(X,'p') :- not(cap(X,N1), N1=<3.0).",
        "label(X,'p') :- not (cap(X,N1), N1 #=< 3.0).",
        "label(X,p) :- \\+ (cap(X,N1), 3 >= N1).",
        "label = p :- not cap =< 3.",
        "label = p :- not cap <= 3.0.",
        "label = 'p' :- not 3 >= cap.",
        "label(X,'p') :- not ab(X). ab(X) :- cap(X,N), N =< 3.",
        "label = p :- not ab. ab :- cap =< 3.",
        "/* c */ label = p %* inner *% :- not ( cap =< 3 ). % done",
    ],
)
def test_spellings_of_one_rule(text: str) -> None:
    assert shown(read_rules(text)) == ["label = p if not cap <= 3"]


@pytest.mark.parametrize(
    "text",
    [
        "label = p :- colour in {red, 'deep blue'}.",
        "label = p :- colour in ['deep blue', red].",
        "label = p :- colour = ('deep blue'; red).",
        "label(X,p) :- colour(X,C), C in {red, 'deep blue'}.",
    ],
)
def test_spellings_of_membership(text: str) -> None:
    assert shown(read_rules(text)) == ["label = p if colour in {deep blue, red}"]


def test_alternatives_become_rules() -> None:
    text = "label(X,p) :- odd(X), a(X,1). odd(X) :- b(X,2). odd(X) :- c(X,3), not d(X,4)."
    assert shown(read_rules(text)) == [
        "label = p if b = 2 and a = 1",
        "label = p if c = 3 and d != 4 and a = 1",
    ]


def test_causal_heads_in_both_forms() -> None:
    both = read_heads(
        """
        credit_score >= 620 :- debt = 0.
        credit_score(X,N) :- debt(X,0), N >= 620.
        relationship(X,'Wife') :- sex(X,'Female').
        status in {single, widowed} :- not relationship in {'Wife', 'Husband'}.
        """
    )
    assert [str(rule) for rule in both] == [
        "credit_score >= 620 if debt = 0",
        "credit_score >= 620 if debt = 0",
        "relationship = Wife if sex = Female",
        "status in {single, widowed} if relationship not in {Husband, Wife}",
    ]
    assert both[1].position is not None and both[1].position.line == 3


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("label(X,'p') :- odor(X,'n)", "1:24", "quote is not closed"),
        ("a.\nlabel = p :- odor ! n.", "2:19", "expected ',' or '.'"),
        ("label(X,'p') :- cap(X,N), N=<.", "1:30", "found '.'"),
        ("label(X,'p') :- odor(X,'n')", "1:28", "end of the text"),
        ("label(X,'p') :- odor(X,'n'", "1:27", "bracket opened at rules.lp:1:21"),
        ("label = p :- age =< old.", "1:14", "not a finite number"),
        ("label = p :- §.", "1:14", "starts nothing"),
        ("label = p.\n/* open", "2:1", "comment is not closed"),
        ("label = p :- 3 < 4.", "1:14", "compares a feature with a value"),
        ("label(X,p) :- N < 4.", "1:15", "not the value of any feature"),
        ("label(X,p) :- a(X,N), b(X,N), N < 4.", "1:27", "already stands for feature 'a'"),
        ("label(X,p) :- a(X,N), b(X,M), N < M.", "1:31", "compared with feature 'b'"),
        ("label(X,p) :- a(X,N), N < 2+3.", "1:28", "where a value is expected"),
        ("label = p :- not abn1. ab1 :- a = 1.", "1:18", "did you mean 'ab1'"),
        ("label = p :- ab1. ab1 :- not ab2. ab2 :- ab1.", "1:42", "recursive (ab1 -> ab2 -> ab1)"),
        ("label = p :- colour < (a;b).", "1:14", "allows = and != only"),
        ("not label = p :- a = 1. label = q.", "1:1", "does not decide 'label'"),
        ("label = p :- colour = red, X.", "1:29", "expected a comparison"),
    ],
)
def test_errors_say_where(text: str, place: str, message: str) -> None:
    with pytest.raises(RuleError) as caught:
        read_rules(text, file="rules.lp")
    assert str(caught.value).startswith(f"rules.lp:{place}: "), str(caught.value)
    assert message in str(caught.value)
    assert isinstance(caught.value, InputError)
    assert "\n" not in str(caught.value)


def test_unknown_features_are_named_with_a_suggestion() -> None:
    with pytest.raises(RuleError, match=r"r.lp:2:16: no feature 'odr'; did you mean 'odor'"):
        read_rules("\nlabel(X,'p') :-odr(X,'n').", file="r.lp", features=["odor", "cap"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no rules"),
        ("a = 1 :- b = 2. c = 3 :- d = 4.", r"several targets \(a, c\)"),
    ],
)
def test_the_target_must_be_clear(text: str, message: str) -> None:
    with pytest.raises(RuleError, match=message):
        read_rules(text)
    with pytest.raises(RuleError, match="no rule concludes 'x'"):
        read_rules("a = 1 :- b = 2.", target="x")


def test_deep_nesting_and_explosions_are_refused() -> None:
    with pytest.raises(RuleError, match="nested deeper"):
        parse_program("a :- " + "not (" * 500 + "b" + ")" * 500 + ".")
    long = "".join(f"p{k} :- not p{k + 1}, a = 1. " for k in range(2000)) + "p2000 :- a = 2."
    with pytest.raises(RuleError, match="nested deeper than 100"):
        read_rules(f"label = 1 :- p0. {long}")
    chain = "".join(f"p{k}(X) :- a{k}(X,1). p{k}(X) :- b{k}(X,1)." for k in range(20))
    body = ", ".join(f"p{k}(X)" for k in range(20))
    with pytest.raises(RuleError, match="more than 10000 rules"):
        read_rules(f"label(X,1) :- {body}. {chain}")


def test_annotations_carry_support_and_name() -> None:
    [rule] = read_rules("%@ name old rule\n%@ support 90 of 100\nlabel = p :- a = 1.").rules
    assert rule.name == "old rule"
    assert rule.support is not None and rule.support.confidence == 0.9
    with pytest.raises(RuleError, match="expected two numbers"):
        read_rules("%@ support many\nlabel = p :- a = 1.")
