"""The search as a whole: levels, constraints, other models, and what bad input gets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from sklearn.datasets import make_moons  # noqa: E402

from whyproof.encodings.constraints.constraint import linear  # noqa: E402
from whyproof.encodings.recourse.actions import Actions  # noqa: E402
from whyproof.engine.domain import Boolean, Integers, Real  # noqa: E402
from whyproof.engine.errors import DataError, InputError, UnsupportedError  # noqa: E402
from whyproof.engine.space import FeatureSpace  # noqa: E402
from whyproof.plausible.cards import cards_page  # noqa: E402
from whyproof.plausible.metrics import Measures  # noqa: E402
from whyproof.plausible.perceptron import Perceptron  # noqa: E402
from whyproof.plausible.repair import Outcome  # noqa: E402
from whyproof.plausible.result import Counterfactuals  # noqa: E402
from whyproof.plausible.search import PlausibleSearch  # noqa: E402
from whyproof.plausible.settings import Settings  # noqa: E402

NAMES = ["age", "income", "debt"]


def people(count: int = 240, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.stack(
        [
            random.integers(18, 70, count),
            random.integers(10, 100, count),
            random.integers(0, 50, count),
        ],
        axis=1,
    ).astype(float)


def space(**constraints: object) -> FeatureSpace:
    plain = FeatureSpace.of(
        NAMES,
        {
            "age": Integers(lower=18, upper=80),
            "income": Integers(lower=0, upper=120),
            "debt": Integers(lower=0, upper=60),
        },
    )
    rules = constraints.get("rules")
    if rules is None:
        return plain
    return FeatureSpace(plain.columns, plain.features, tuple(rules(plain)))  # type: ignore[operator]


class Linear(torch.nn.Module):
    """Good where income - debt exceeds 40."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        lead = 0.2 * (x[:, 1] - x[:, 2] - 40.0)
        return torch.stack([-lead, lead], dim=1)


def fitted(**options: object) -> PlausibleSearch:
    chosen: dict[str, object] = {"space": space(), "density": "mixture", "target": "good"}
    chosen.update(options)
    return PlausibleSearch.fit(Linear(), people(), classes=("bad", "good"), **chosen)  # type: ignore[arg-type]


def at_level(search: PlausibleSearch, rows: np.ndarray, level: str) -> Counterfactuals:
    if level == "group":
        return search.groups(rows, 3)
    return search.local(rows) if level == "local" else search.everyone(rows)


@pytest.mark.parametrize("level", ["local", "group", "global"])
def test_every_level_keeps_every_promise(level: str) -> None:
    rules = Actions.of(space(), up=["age"], down=["debt"])
    search = fitted(actions=rules)
    rows = people(60, seed=1)
    found = at_level(search, rows, level)
    said = np.asarray(rows[:, 1] - rows[:, 2] > 40)
    assert found.skipped == tuple(np.flatnonzero(said).tolist())
    assert found.rows.tolist() == np.flatnonzero(~said).tolist()
    assert found.valid.all() and found.admissible.all()
    # Each promise again, by other means.
    assert (found.points[:, 1] - found.points[:, 2] > 40).all()
    assert (found.points[:, 0] >= found.origin[:, 0]).all()
    assert (found.points[:, 2] <= found.origin[:, 2]).all()
    assert np.array_equal(found.points, np.rint(found.points))
    moved = found.points != found.origin
    low, high = people().min(axis=0), people().max(axis=0)
    assert (((found.points >= low) & (found.points <= high)) | ~moved).all()
    assert found.plausible.mean() > 0.5
    if level == "group":
        assert found.n_groups == 3
        assert sum(len(group.members) for group in found.groups) == len(found)
    if level == "global":
        assert found.n_groups == 1


def test_a_search_is_repeatable_by_its_seed() -> None:
    search, rows = fitted(), people(30, seed=2)
    first, again = search.groups(rows, 2), search.groups(rows, 2)
    assert np.array_equal(first.points, again.points)


def test_local_points_are_nearer_than_shared_ones() -> None:
    search, rows = fitted(), people(60, seed=1)
    local, shared = search.local(rows), search.everyone(rows)
    far = [
        np.linalg.norm(search.scale.to_unit(f.points) - search.scale.to_unit(f.origin), axis=1)
        for f in (local, shared)
    ]
    assert far[0].mean() <= far[1].mean() + 1e-9


def test_the_number_of_groups_may_be_left_to_the_rows() -> None:
    found = fitted().groups(people(60, seed=1))
    assert 1 <= found.n_groups <= 8


def test_a_higher_aim_gives_denser_points() -> None:
    search, rows = fitted(), people(60, seed=1)
    plain = search.local(rows)
    dense = search.local(rows, settings=Settings(aim=0.7))
    assert dense.log_density.mean() > plain.log_density.mean()


def test_relations_hold_at_the_end() -> None:
    own = space(rules=lambda s: [linear(s, {"income": 1, "age": -2}, "<=", 0)])
    data = people()
    data = data[data[:, 1] <= 2 * data[:, 0]]
    search = PlausibleSearch.fit(
        Linear(), data, classes=("bad", "good"), space=own, density="mixture"
    )
    found = search.local(data[:40])
    assert found.valid.mean() > 0.9
    assert (found.points[found.valid][:, 1] <= 2 * found.points[found.valid][:, 0]).all()


def test_one_hot_blocks_end_with_exactly_one() -> None:
    random = np.random.default_rng(0)
    kind = np.eye(3)[random.integers(3, size=200)]
    data = np.hstack([kind, random.random((200, 1))])
    own = FeatureSpace.of(
        ["a", "b", "c", "x"],
        {"a": Boolean(), "b": Boolean(), "c": Boolean(), "x": Real(lower=0, upper=1)},
        groups={"kind": ["a", "b", "c"]},
    )

    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            lead = 4 * x[:, 2] + 2 * x[:, 3] - 2.5
            return torch.stack([-lead, lead], dim=1)

    search = PlausibleSearch.fit(Model(), data, space=own, density="kernel")
    found = search.local(data[:60])
    assert found.valid.all()
    assert (found.points[:, :3].sum(axis=1) == 1).all()
    assert np.isin(found.points[:, :3], (0.0, 1.0)).all()


def test_a_tree_model_is_followed_by_a_surrogate_and_checked_itself() -> None:
    from sklearn.ensemble import RandomForestClassifier

    data = people()
    labels = (data[:, 1] - data[:, 2] > 40).astype(int)
    forest = RandomForestClassifier(20, max_depth=5, random_state=0).fit(data, labels)
    search = PlausibleSearch.fit(forest, data, space=space(), density="mixture")
    found = search.local(data[:50])
    assert "surrogate" in found.notes[0]
    assert found.valid.all()
    assert (forest.predict(found.points) == 1).all()


def test_what_no_point_reaches_is_proved_impossible() -> None:
    # Income may not move and debt only falls to 0: rows with an income below 41 are stuck.
    rules = Actions.of(space(), stay=["income"], down=["debt"])
    rows = people(40, seed=3)
    found = fitted(actions=rules).local(rows)
    for i in range(len(found)):
        possible = found.origin[i, 1] > 40
        assert found.valid[i] == possible
        if not possible:
            assert found.outcomes[i] in (Outcome.IMPOSSIBLE, Outcome.NOT_FOUND)
    stuck = [o for o, x in zip(found.outcomes, found.origin, strict=True) if x[1] < 40]
    assert Outcome.IMPOSSIBLE in stuck


def test_frames_json_and_cards_tell_the_same() -> None:
    pytest.importorskip("pandas")
    found = fitted().groups(people(60, seed=1), 2)
    frame, document, page = found.to_frame(), found.as_json(), cards_page(found)
    assert len(frame) == len(found)
    assert set(frame["group"]) == {0, 1}
    assert document["rows"] == len(found)
    assert {line["group"] for line in document["counterfactuals"]} == {0, 1}  # type: ignore[union-attr,index]
    assert f"{len(found.groups[0].members)} rows" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert set(found.groups_frame()["group"]) == {0, 1}


def test_a_page_claims_no_more_than_was_found() -> None:
    search, rows = fitted(), people(60, seed=1)
    found = search.everyone(rows)
    for share in (0, len(found) // 2, len(found)):
        plausible = np.arange(len(found)) < share
        page = cards_page(replace(found, plausible=plausible))
        lead = page.split('class="lead">')[1].split("</p>")[0]
        assert f"{len(found)} of {len(found)} rows have a point near by" in lead
        if share == 0:
            assert "None of these points lies where such rows occur" in lead
        elif share == len(found):
            assert "All these points lie where such rows occur" in lead
        else:
            percent = f"{100 * share / len(found):.0f} %"
            assert f"{share} of these points ({percent}) lie where such rows occur" in lead
    none = replace(found, valid=np.zeros(len(found), dtype=np.bool_))
    assert "No point that the model decides as good was found." in cards_page(none)
    unasked = fitted(density="none").everyone(rows)
    assert "Whether such rows occur was not asked." in cards_page(unasked)


def test_measures_agree_with_a_count_by_hand() -> None:
    search, rows = fitted(), people(60, seed=1)
    found = search.local(rows)
    measured = Measures(search, people()).of(found)
    unit = search.scale.to_unit(found.points) - search.scale.to_unit(found.origin)
    assert measured["validity_all"] == 1.0
    assert measured["l2"] == pytest.approx(np.linalg.norm(unit, axis=1).mean())
    assert measured["sparsity"] == pytest.approx((found.points != found.origin).sum(1).mean())
    assert measured["plausibility"] == pytest.approx(found.plausible.mean())
    broken = found.points.copy()
    broken[0] = found.origin[0]
    again = Measures(search, people()).of_points(found.origin, broken)
    assert again["validity_all"] == pytest.approx(1 - 1 / len(found))


# A classifier that is sure to the last digit has flat probabilities: a regression.


def test_a_classifier_that_is_sure_to_the_last_digit_is_still_left() -> None:
    rows, _ = make_moons(100, noise=0.05, random_state=0)
    steep = Perceptron([(torch.tensor([[-400.0, 0.0], [400.0, 0.0]]), torch.tensor([200.0, -200]))])
    search = PlausibleSearch.fit(steep, rows, density="kernel")
    found = search.local(rows)
    assert found.valid_relaxed.all() and found.valid.all()


# Bad input


def test_missing_values_are_named() -> None:
    data = people()
    data[3, 1] = np.nan
    with pytest.raises(DataError, match=r"column 'income' of row 3 holds nan"):
        PlausibleSearch.fit(Linear(), data, space=space())
    rows = people(5)
    rows[2, 0] = np.nan
    with pytest.raises(DataError, match=r"column 'age' of row 12 is missing"):
        fitted().local(rows, numbers=[10, 11, 12, 13, 14])


def test_constant_columns_are_named() -> None:
    data = people()
    data[:, 0] = 30
    with pytest.raises(DataError, match=r"column 'age' has the same value in all 240 rows"):
        PlausibleSearch.fit(Linear(), data, space=space())


def test_data_of_one_class_are_refused() -> None:
    data = people()
    data = data[data[:, 1] - data[:, 2] <= 40]
    with pytest.raises(DataError, match=r"says bad about all .* rows"):
        PlausibleSearch.fit(Linear(), data, space=space(), classes=("bad", "good"))


def test_a_class_that_is_unknown_or_never_said_is_refused() -> None:
    with pytest.raises(DataError, match=r"no class goood; did you mean 'good'"):
        fitted(target="goood")

    class Three(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            two = Linear()(x)
            return torch.cat([two, torch.full((len(x), 1), -1e3)], dim=1)

    with pytest.raises(DataError, match=r"says 2 about none of the 240 rows"):
        PlausibleSearch.fit(Three(), people(), space=space(), target=2)
    with pytest.raises(DataError, match="say which class to reach"):
        PlausibleSearch.fit(Three(), people(), space=space())


def test_more_groups_than_rows_are_refused() -> None:
    with pytest.raises(InputError, match=r"50 groups of \d+ rows to explain"):
        fitted().groups(people(10), 50)


def test_rows_that_are_all_there_leave_nothing_to_do() -> None:
    rows = people(200)
    rows = rows[rows[:, 1] - rows[:, 2] > 40]
    for found in (fitted().local(rows), fitted().groups(rows), fitted().everyone(rows)):
        assert len(found) == 0
        assert len(found.skipped) == len(rows)
        assert "0" in cards_page(found)


def test_regressors_shapes_and_devices_are_refused() -> None:
    from sklearn.linear_model import LinearRegression

    regressor = LinearRegression().fit(people(), people()[:, 0])
    with pytest.raises(UnsupportedError, match=r"needs? a classifier"):
        PlausibleSearch.fit(regressor, people(), space=space())
    with pytest.raises(DataError, match="do not fit 3 columns"):
        fitted().local(np.zeros((2, 5)))
    with pytest.raises(DataError, match="no rows to explain"):
        fitted().local(np.zeros((0, 3)))
    with pytest.raises(InputError, match="no device 'gpu'"):
        fitted(device="gpu")
    with pytest.raises(InputError, match="no density 'foo'"):
        fitted(density="foo")


def test_unseen_categories_are_named_with_their_line(tmp_path: Path) -> None:
    from whyproof.engine.domain import Categories
    from whyproof.tables import read_table

    file = tmp_path / "people.csv"
    file.write_text("job,income\nclerk,3\nking,4\n")
    own = FeatureSpace.of(["job", "income"], {"job": Categories(values=("clerk", "cook"))})
    with pytest.raises(DataError, match=r"line 3, column 'job': 'king' is not in \{clerk, cook\}"):
        read_table(file).points(own)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA here")
@pytest.mark.parametrize("level", ["local", "group", "global"])
def test_cuda_finds_what_the_processor_finds(level: str) -> None:
    search, rows = fitted(device="cuda"), people(60, seed=1)
    assert search.device.type == "cuda"
    found = at_level(search, rows, level)
    other = at_level(fitted(), rows, level)
    assert found.valid.all() and found.admissible.all()
    assert found.plausible.mean() > other.plausible.mean() - 0.1


def test_cuda_where_there_is_none_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("torch sees CUDA here")
    with pytest.raises(InputError, match="torch sees no CUDA here; use 'cpu' or 'auto'"):
        fitted(device="cuda")
    assert fitted(device="auto").device.type == "cpu"
