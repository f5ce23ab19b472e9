"""Tables in, and the spaces inferred from them: right values, or the line and column."""

from __future__ import annotations

import gzip
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whyproof.engine.domain import Boolean, Categories, Domain, Integers, Real
from whyproof.engine.errors import DataError
from whyproof.engine.space import FeatureSpace
from whyproof.space_files import dump_space, load_space, space_as_toml, space_from_toml
from whyproof.spaces import infer_space, match_columns
from whyproof.tables import Table, read_table


def written(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def model(
    n_columns: int,
    names: tuple[str, ...] = (),
    domains: dict[int, Domain] | None = None,
    accepts_missing: bool = True,
) -> SimpleNamespace:
    return SimpleNamespace(
        n_columns=n_columns, names=names, domains=domains or {}, accepts_missing=accepts_missing
    )


class TestCsv:
    def test_numbers_words_and_gaps(self, tmp_path: Path) -> None:
        path = written(tmp_path, "age, job,rate,y\n30,clerk,0.5,no\n,cook,1e3,yes\n41,NA,-2,no\n")
        table = read_table(path, label="y")
        assert table.names == ("age", "job", "rate")
        assert table.labels == ("no", "yes", "no")
        assert table.row(0) == (30, "clerk", 0.5)
        assert table.row(1) == (None, "cook", 1000.0)
        assert table.row(2) == (41, None, -2.0)
        assert isinstance(table.row(0)[0], int)

    def test_gzip_quotes_marks_and_line_ends(self, tmp_path: Path) -> None:
        text = '\ufeffa;"b c"\r\n1;"x;y"\r\n\r\n2;"two\nlines"\r\n'
        path = tmp_path / "data.csv.gz"
        path.write_bytes(gzip.compress(text.encode()))
        table = read_table(path)
        assert table.names == ("a", "b c")
        assert table.column("b c").values == ("x;y", "two\nlines")
        assert table.where(1, "a") == "data.csv.gz, line 5, column 'a'"

    def test_a_table_without_header_matches_by_position(self, tmp_path: Path) -> None:
        table = read_table(written(tmp_path, "1,2\n3,4\n"))
        assert table.n_rows == 2
        assert not table.has_names
        assert match_columns(table, model(2, ("u", "v"))).names == ("u", "v")
        assert read_table(written(tmp_path, "0,1\n3,4\n")).n_rows == 1
        assert read_table(written(tmp_path, "1,2\n"), names=["u", "v"]).names == ("u", "v")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "is empty"),
            ("a,b\n", "has no rows"),
            ("a,b\n1,2\n1,2,3\n", "line 3: 3 cells where 2 are expected"),
            ("a,a\n1,2\n", "two columns named 'a'"),
            ("a,,c\n1,2,3\n", "line 1: column 2 has no name"),
            ("a,b\n1,inf\n", "line 2, column 'b': 'inf' is infinite"),
            ("a,b\n1,1e400\n", "line 2, column 'b': '1e400' is infinite"),
            ('a,b\n1,"x\n', "line 2: unexpected end of data"),
            ("a,b\n1,\0\n", "binary"),
        ],
    )
    def test_damaged_files(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(DataError, match=message) as caught:
            read_table(written(tmp_path, text))
        assert "\n" not in str(caught.value)

    def test_files_that_are_no_tables(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="No such file"):
            read_table(tmp_path / "absent.csv")
        with pytest.raises(DataError, match="folder"):
            read_table(tmp_path)
        path = tmp_path / "data.csv"
        path.write_bytes(b"a,b\n\xff\xfe,1\n")
        with pytest.raises(DataError, match="UTF-8"):
            read_table(path)
        path.write_bytes(gzip.compress(b"a,b\n1,2\n")[:-6])
        with pytest.raises(DataError, match="gzip"):
            read_table(path)
        with pytest.raises(DataError, match="more than the limit of 3"):
            read_table(written(tmp_path, "a,b\n1,2\n"), max_bytes=3)
        path.write_bytes(gzip.compress(b"a\n" + b"1\n" * 10**5))
        with pytest.raises(DataError, match="unpacks to more than 1000 bytes"):
            read_table(path, max_bytes=1000)

    def test_underscores_are_words(self, tmp_path: Path) -> None:
        assert read_table(written(tmp_path, "a\n1_000\n")).row(0) == ("1_000",)

    def test_rows_and_columns_that_do_not_exist(self, tmp_path: Path) -> None:
        table = read_table(written(tmp_path, "age,job\n1,2\n"))
        with pytest.raises(DataError, match=r"row 1 does not exist; data\.csv has rows 0 to 0"):
            table.row(1)
        with pytest.raises(DataError, match="did you mean 'job'"):
            table.with_label("jop")


def test_frames_arrays_and_parquet_are_the_same_table(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "n": [1, 2, 3],
            "x": [0.5, None, 2.0],
            "w": pandas.Categorical(["a", None, "b"]),
            "t": [True, False, True],
            "label": ["u", "v", "u"],
        }
    )
    frame["whole"] = pandas.array([1, None, 3], dtype="Int64")
    tables = [read_table(frame, "label")]
    if pytest.importorskip("pyarrow"):
        frame.to_parquet(tmp_path / "t.parquet")
        tables.append(read_table(tmp_path / "t.parquet", "label"))
    for table in tables:
        assert table.row(0) == (1, 0.5, "a", True, 1)
        assert table.row(1) == (2, None, None, False, None)
        assert table.labels == ("u", "v", "u")
        space = infer_space(table)
        assert [type(c.domain) for c in space.columns] == [Real, Real, Categories, Boolean, Real]
        assert np.array_equal(
            table.points(space),
            [[1, 0.5, 0, 1, 1], [2, np.nan, np.nan, 0, np.nan], [3, 2, 1, 1, 3]],
            equal_nan=True,
        )
    array = read_table(frame[["n", "x"]].to_numpy(), 0)
    assert array.names == ("f1",)
    assert array.labels == (1, 2, 3)
    with pytest.raises(DataError, match="times"):
        read_table(pandas.DataFrame({"d": pandas.to_datetime(["2020-01-01"])}))
    with pytest.raises(DataError, match=r"shape \(3,\)"):
        read_table(np.zeros(3))


def test_columns_match_the_model_by_name() -> None:
    table = Table.of({"b": [1.0], "a": [2.0], "y": ["no"]}).with_label("y")
    assert match_columns(table, model(2, ("a", "b"))).row(0) == (2, 1)
    with pytest.raises(DataError, match="no column 'aa', which the model needs; did you mean 'a'"):
        match_columns(table, model(2, ("aa", "b")))
    with pytest.raises(DataError, match="has a column 'b' that the model does not know"):
        match_columns(table, model(1, ("a",)))
    with pytest.raises(DataError, match="has 2 columns, the model takes 3"):
        match_columns(table, model(3))
    with pytest.raises(DataError, match="labels"):
        match_columns(Table.of({"a": [1.0], "y": ["no"]}), model(1, ("a",)))
    with pytest.raises(DataError, match="labels"):
        match_columns(Table.of({"a": [1.0], "y": ["no"]}), model(1))


def test_default_spaces_speak_about_the_model() -> None:
    table = Table.of({"n": [1.0, 5.0, None], "w": ["b", "a", "b"]})
    space = infer_space(table)
    assert space.columns[0].domain == Real(nullable=True)
    assert space.columns[1].domain == Categories(values=("b", "a"))
    narrow = infer_space(table, ranges="data", integers=True, immutable=["w"])
    assert narrow.columns[0].domain == Integers(nullable=True, lower=1.0, upper=5.0)
    assert narrow.features[1].immutable
    with pytest.raises(DataError, match="ranges"):
        infer_space(table, ranges="all")  # type: ignore[arg-type]


def test_cells_that_the_model_cannot_take(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "age,rate\n30,1\nold,\n"))
    with pytest.raises(DataError, match=r"line 3, column 'age': 'old' is not a number"):
        infer_space(table, model(2))
    table = read_table(written(tmp_path, "age,rate\n30,1\n31,\n"))
    with pytest.raises(DataError, match=r"line 3, column 'rate': the cell is missing"):
        infer_space(table, model(2, accepts_missing=False))
    colours = Categories(values=("red", "blue"))
    table = read_table(written(tmp_path, "c\nred\ngreen\n"))
    with pytest.raises(DataError, match=r"line 3, column 'c': 'green' is not in \{red, blue\}"):
        infer_space(table, model(1, domains={0: colours}))
    with pytest.raises(DataError, match=r"line 2, column 'c': 'red' is not a code"):
        infer_space(table, model(1, domains={0: Integers(lower=0.0)}))
    codes = read_table(written(tmp_path, "c\n2\n7\n"))
    space = infer_space(codes, model(1, domains={0: Integers(lower=0.0)}))
    assert space.columns[0].domain == Integers(lower=0.0, upper=7.0)
    with pytest.raises(DataError, match="line 2"):
        infer_space(read_table(written(tmp_path, "c\n2.5\n7\n")), model(1, domains={0: Integers()}))


def test_points_use_the_codes_of_the_model() -> None:
    table = Table.of({"c": ["blue", None, "red"]})
    space = infer_space(table, model(1, domains={0: Categories(values=("red", "blue"))}))
    assert np.array_equal(table.points(space), [[1.0], [np.nan], [0.0]], equal_nan=True)


def test_points_outside_the_space_name_the_cell(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "age,job\n30,cook\n-1,clerk\n"))
    space = FeatureSpace.of(
        ["age", "job"], {"age": Real(lower=0.0), "job": Categories(values=("cook",))}
    )
    assert table.point(space, 0).tolist() == [30.0, 0.0]
    with pytest.raises(DataError, match=r"line 3, column 'age': -1 is not in 0 .. inf"):
        table.point(space, 1)
    with pytest.raises(DataError, match="no column 'size'"):
        table.points(FeatureSpace.of(["size"]))


SPACE = """
immutable = ["place", "age"]

[columns.age]
type = "integers"
lower = 0
upper = 120
unit = "years"

[columns.street]
values = ["North", "South"]

[columns.town]
values = [1, 2]
nullable = true

[columns."own car"]
type = "boolean"

[groups]
place = ["street", "town"]
"""


class TestSpaceFiles:
    def test_a_whole_file(self, tmp_path: Path) -> None:
        space = load_space(written(tmp_path, SPACE, "space.toml"))
        assert [column.name for column in space.columns] == ["age", "street", "town", "own car"]
        assert space.columns[0].unit == "years"
        assert space.columns[2].domain == Categories(nullable=True, values=(1, 2))
        assert space.names == ("age", "place", "own car")
        assert [feature.immutable for feature in space.features] == [True, True, False]

    def test_plain_columns_may_be_left_out(self) -> None:
        space = space_from_toml("[columns.b]\ntype = 'boolean'", names=["a", "b", "c"])
        assert [type(column.domain) for column in space.columns] == [Real, Boolean, Real]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("[columns.age\n", r"line 1"),
            ("[columns.age]\ntpye = 'real'", r"line 2: no setting 'tpye'.*did you mean 'type'"),
            ("[columns.age]\ntype = 'int'", r"line 1: no type 'int'"),
            ("[columns.age]\nlower = 3\nupper = 1", r"line 1: column 'age': lower bound 3.0"),
            ("[columns.age]\nlower = 'x'", r"line 1: the lower bound of column 'age'"),
            ("[columns.age]\nvalues = []", r"column 'age': a categorical domain needs"),
            ("[columns.age]\nvalues = [[1]]", r"needs a list of values"),
            ("[columns.age]\ntype = 'boolean'\nlower = 1", r"cannot have bounds"),
            ("[columns.age]\ntype = 'real'\nvalues = [1]", r"cannot list values"),
            ("[columns.age]\nnullable = 1", r"true or false"),
            ("[columns.age]\nunit = 1", r"unit"),
            ("columns = 3", r"'columns' must be a table"),
            ("", r"describes no columns"),
            ("[colums.age]\n", r"line 1: no setting 'colums'"),
            ("immutable = ['aeg']\n[columns.age]", r"line 1: immutable: no column 'aeg'"),
            ("immutable = 'age'\n[columns.age]", r"must be a list of names"),
            ("[columns.a]\n[columns.b]\n[groups]\ng = ['a', 'c']", r"line 4: g: no column 'c'"),
            ("immutable=['a']\n[columns.a]\n[columns.b]\n[groups]\ng=['a','b']", "name the group"),
            ("[columns.a]\n[groups]\ng=['a']\nh=['a']", "two groups"),
        ],
    )
    def test_mistakes_are_found(self, text: str, message: str) -> None:
        with pytest.raises(DataError, match=message):
            space_from_toml(text)

    def test_unknown_columns_are_found(self) -> None:
        with pytest.raises(DataError, match="line 1: no column 'aeg'; did you mean 'age'"):
            space_from_toml("[columns.aeg]", names=["age", "job"])

    def test_files_that_cannot_be_read_or_written(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="cannot be read"):
            load_space(tmp_path / "absent.toml")
        with pytest.raises(DataError, match="cannot be written"):
            dump_space(FeatureSpace.of("ab"), tmp_path / "no" / "space.toml")


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=6)
BOUNDS = st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e6)).map(lambda b: (b[0], b[0] + b[1]))
DOMAINS = st.one_of(
    st.builds(Boolean, st.booleans()),
    st.builds(lambda null, b: Real(null, *b), st.booleans(), BOUNDS),
    st.builds(lambda null: Real(null), st.booleans()),
    st.builds(
        lambda null, b: Integers(null, float(int(b[0])), float(int(b[0]) + int(b[1] - b[0]))),
        st.booleans(),
        BOUNDS,
    ),
    st.builds(
        lambda null, values: Categories(null, tuple(values)),
        st.booleans(),
        st.lists(st.one_of(NAMES, st.integers(-5, 5)), min_size=1, max_size=4, unique=True),
    ),
)


@given(st.data())
def test_spaces_survive_their_files(data: st.DataObject) -> None:
    names = data.draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    domains = {name: data.draw(DOMAINS) for name in names}
    grouped = data.draw(st.lists(st.sampled_from(names), max_size=3, unique=True))
    groups = {"the group!": grouped} if grouped and "the group!" not in names else {}
    space = FeatureSpace.of(names, domains, groups=groups)
    frozen = data.draw(st.lists(st.sampled_from(space.names), max_size=2, unique=True))
    space = FeatureSpace.of(names, domains, groups=groups, immutable=frozen)
    assert space_from_toml(space_as_toml(space)) == space
