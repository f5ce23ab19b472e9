"""Exports: the same explanations in every format, under keys that stay."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from small_world import BruteExplainer, grid

from whyproof.auditing import audit_rows
from whyproof.engine.errors import DataError, MissingExtraError, StoreError
from whyproof.store import Store, export, exported
from whyproof.store.export import EXPORT_KEYS

# Keys that readers of older exports rely on: a change here breaks them.
STABLE_KEYS = (
    "model row input_hash row_status number kind features indices size status open prediction "
    "outcome changes margin run at record_hash"
).split()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "audit.db"
    audit_rows(BruteExplainer(), {row: grid()[row * 7] for row in range(4)}, path)
    return path


def lines(path: Path) -> list[dict[str, object]]:
    with Store.read(path) as store:
        return list(exported(store))


def test_keys_are_those_promised(path: Path) -> None:
    assert list(EXPORT_KEYS) == STABLE_KEYS
    assert all(list(line) == STABLE_KEYS for line in lines(path))


def test_json_lines_hold_every_explanation(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with Store.read(path) as store:
        count = export(store, out)
        records = {s.hash: s.record for s in store.explanations()}
    read = [json.loads(text) for text in out.read_text(encoding="utf-8").splitlines()]
    assert read == lines(path)
    assert len(read) == count == len(records)
    for line in read:
        record = records[line["record_hash"]]
        assert {k: line[k] for k in ("kind", "features", "row")} == {
            k: record[k] for k in ("kind", "features", "row")
        }


def test_changes_name_what_the_counterexample_moves(path: Path) -> None:
    with Store.read(path) as store:
        rows = {row.row: row.record["input"] for row in store.rows()}
    for line in lines(path):
        if line["kind"] == "axp":
            assert line["changes"] is None
            assert line["outcome"] is None
            continue
        assert set(line["changes"]) == set(line["features"])  # type: ignore[arg-type, call-overload]
        for name, (old, new) in line["changes"].items():  # type: ignore[attr-defined]
            assert old == rows[line["row"]][name] != new  # type: ignore[index]


def test_csv_says_the_same(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with Store.read(path) as store:
        export(store, out, "csv")
    with out.open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    for text, line in zip(read, lines(path), strict=True):
        for key, value in line.items():
            if isinstance(value, list | dict):
                assert json.loads(text[key]) == value
            else:
                assert text[key] == ("" if value is None else str(value))


def test_parquet_says_the_same(path: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "out.parquet"
    with Store.read(path) as store:
        export(store, out, "parquet")
    for read, line in zip(parquet.read_table(out).to_pylist(), lines(path), strict=True):
        assert list(read) == STABLE_KEYS
        assert {k: read[k] for k in ("row", "features", "indices", "size", "margin")} == {
            k: line[k] for k in ("row", "features", "indices", "size", "margin")
        }
        assert (read["changes"] and json.loads(read["changes"])) == line["changes"]


def test_refusals_leave_no_file(path: Path, tmp_path: Path) -> None:
    with Store.read(path) as store:
        with pytest.raises(DataError, match="xlsx"):
            export(store, tmp_path / "out.xlsx", "xlsx")
        with pytest.raises(StoreError, match="cannot write"):
            export(store, tmp_path / "none" / "out.csv", "csv")
        with pytest.raises(DataError, match="the store itself"):
            export(store, path)
        with pytest.raises(StoreError, match="cannot write"):
            export(store, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_absent_extra_names_its_command(path: Path, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from whyproof.store import Store, export\n"
        "try: export(Store.read(sys.argv[1]), sys.argv[2], 'parquet')\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    out = tmp_path / "out.parquet"
    done = subprocess.run(
        [sys.executable, "-c", program, path, out], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(MissingExtraError.__name__)
    assert "pip install 'whyproof[parquet]'" in done.stdout
    assert not out.exists()
