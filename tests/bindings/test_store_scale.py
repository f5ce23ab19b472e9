"""Stores at scale: merged, packed, sampled, exported and shown page by page."""

from __future__ import annotations

import json
import sqlite3
import tracemalloc
from pathlib import Path

import pytest
from small_world import BruteExplainer, grid

from whyproof.auditing import audit_rows
from whyproof.auditing.recheck import recheck
from whyproof.cli import main
from whyproof.engine.errors import DataError, MissingExtraError, StoreError
from whyproof.report.paging import write_pages
from whyproof.store import (
    RowStatus,
    Store,
    StoreWriter,
    export,
    exported,
    merge,
    vacuum,
    verify,
)

ROWS = {row: grid()[row * 7] for row in range(6)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


def told(path: Path) -> list[str]:
    with Store.read(path) as store:
        assert verify(store).sound
        keys = ("run", "at", "record_hash", "number")
        return sorted(
            json.dumps({k: v for k, v in line.items() if k not in keys}, sort_keys=True)
            for line in exported(store)
        )


def test_a_batch_is_stored_whole_or_not_at_all(path: Path) -> None:
    with StoreWriter.open(path, {"model": "x"}) as store:
        run = store.begin_run({})
        count = store.head().count
        with pytest.raises(ZeroDivisionError), store.batch():
            store.open_row(run, 0, {"a": 1}, {})
            assert store.head().count == count + 1
            raise ZeroDivisionError
        assert store.head().count == count
        assert not store.rows()
        with store.batch():
            store.open_row(run, 0, {"a": 1}, {})
            found = {"kind": "axp", "indices": [0], "status": "minimal"}
            assert store.add(run, 0, found)
            assert not store.add(run, 0, found)
            store.close_row(run, 0, RowStatus.OPEN, "limit")
        assert store.progress(0) == (RowStatus.OPEN, "limit", 1, 0)
        assert store.progress(1) is None
        assert store.summary() == {
            "rows": 1, "open": 1, "complete": 0, "skipped": 0, "failed": 0, "axp": 1, "cxp": 0
        }  # fmt: skip
        assert verify(store).sound


def test_stores_of_several_machines_become_one(path: Path) -> None:
    whole, left, right = path, path.with_name("left.db"), path.with_name("right.db")
    audit_rows(BruteExplainer(), ROWS, whole)
    audit_rows(BruteExplainer(), {row: ROWS[row] for row in range(4)}, left)
    audit_rows(BruteExplainer(), {row: ROWS[row] for row in range(2, 6)}, right, limit=2)
    audit_rows(BruteExplainer(), {5: ROWS[5]}, right)
    both = path.with_name("both.db")
    merged = merge(both, [left, right])
    assert (merged.stores, merged.rows) == (2, 6)
    assert merge(both, [left, right]).explanations == 0
    audit_rows(BruteExplainer(), ROWS, both)  # and an audit goes on from there
    assert told(both) == told(whole)
    with Store.read(both) as store:
        assert {row.status for row in store.rows()} == {RowStatus.COMPLETE}
        record = next(iter(store.explanations())).record
        assert "merged_from" in record


def test_stores_that_do_not_fit_are_not_merged(path: Path) -> None:
    audit_rows(BruteExplainer(), {0: ROWS[0]}, path)
    target = path.with_name("target.db")
    with pytest.raises(DataError, match="nothing to merge"):
        merge(target, [])
    with pytest.raises(StoreError, match="no store"):
        merge(target, [path.with_name("none.db")])
    other = BruteExplainer()
    other.model.threshold, other.model.fingerprint = 3.0, "sha256:other"
    strange = path.with_name("strange.db")
    audit_rows(other, {0: ROWS[0]}, strange)
    with pytest.raises(StoreError, match="another model"):
        merge(target, [path, strange])
    assert not target.exists()
    merge(target, [path])
    with pytest.raises(DataError, match="name it once"):
        merge(target, [target])
    shifted = path.with_name("shifted.db")
    audit_rows(BruteExplainer(), {0: ROWS[1]}, shifted)
    with pytest.raises(DataError, match="row 0"):
        merge(target, [shifted])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE journal SET payload = replace(payload, 'axp', 'cxp')")
    connection.close()
    with pytest.raises(StoreError, match="not sound"):
        merge(path.with_name("new.db"), [path])


def test_a_packed_store_says_the_same(path: Path) -> None:
    audit_rows(BruteExplainer(), ROWS, path)
    before = told(path)
    done = vacuum(path)
    assert done.after <= done.before
    assert told(path) == before


def test_duckdb_holds_what_the_store_holds(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb = pytest.importorskip("duckdb")
    audit_rows(BruteExplainer(), ROWS, path)
    out = path.with_name("audit.duckdb")
    with Store.read(path) as store:
        count = export(store, out, "duckdb")
        lines = list(exported(store))
    with duckdb.connect(str(out)) as database:
        found = database.execute("SELECT row, kind, indices, features FROM explanations").fetchall()
    assert len(found) == count == len(lines)
    expected = [(line["row"], line["kind"], line["indices"], line["features"]) for line in lines]
    assert sorted(found) == sorted(expected)
    assert {entry.name for entry in path.parent.iterdir()} == {"audit.db", "audit.duckdb"}
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    with Store.read(path) as store, pytest.raises(MissingExtraError, match="duckdb"):
        export(store, path.with_name("b.duckdb"), "duckdb")


def test_a_sample_is_the_same_for_equal_seeds(path: Path) -> None:
    audit_rows(BruteExplainer(), ROWS, path)
    with Store.read(path) as store:
        one, two = ([s.hash for s in store.sample(5, seed=3)] for _ in range(2))
        assert one == two
        assert len(set(one)) == 5
        every = {s.hash for s in store.explanations()}
        assert {s.hash for s in store.sample(10_000)} == every


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    xgboost = pytest.importorskip("xgboost")
    datasets = pytest.importorskip("sklearn.datasets")
    folder = tmp_path_factory.mktemp("files")
    x, y = datasets.load_wine(return_X_y=True, as_frame=True)
    xgboost.XGBClassifier(n_estimators=4, max_depth=2, n_jobs=1).fit(x, y).save_model(
        folder / "wine.json"
    )
    x.to_csv(folder / "wine.csv", index=False)
    return folder


def test_a_sample_is_asked_again_and_a_lie_is_found(files: Path) -> None:
    store, model = files / "wine.db", files / "wine.json"
    arguments = ["audit", str(model), str(files / "wine.csv"), "--rows", "0:8", "--limit", "4"]
    assert main([*arguments, "--store", str(store)]) == 0
    with Store.read(store) as opened:
        found = recheck(opened, model, 12)
        identity = opened.identity
        honest = [s for s in opened.explanations() if s.record["kind"] == "axp"]
    assert found.explanations == 12
    assert found.faults == ()
    assert found.proved > 12
    assert found.certified == 12
    assert found.replayed > 0
    lying = files / "lying.db"
    lying.unlink(missing_ok=True)
    with StoreWriter.open(lying, identity) as writer, Store.read(store) as source:
        run = writer.begin_run({})
        row = source.row(honest[0].row)
        writer.open_row(run, row.row, row.record["input"], {"prediction": 0})  # type: ignore[arg-type]
        record = {k: v for k, v in honest[0].record.items() if k not in ("run", "row", "at")}
        spared = record["features"][1:]  # type: ignore[index]
        indices = record["indices"][1:]  # type: ignore[index]
        evidence = {**record["evidence"], "core": spared}  # type: ignore[dict-item]
        writer.add(
            run,
            row.row,
            {**record, "features": spared, "indices": indices, "evidence": evidence},
        )
    with Store.read(lying) as opened:
        assert verify(opened).sound  # the chain cannot see it
        assert any("an oracle answers" in fault for fault in recheck(opened, model, 5).faults)


@pytest.mark.slow
def test_the_commands_of_a_store(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, model = str(files / "c.db"), str(files / "wine.json")
    audit = ["audit", model, str(files / "wine.csv"), "--store", store, "--one-each"]
    assert main([*audit, "--rows", "0:30", "--progress", "lines"]) == 0
    progress = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert progress[-1]["done"] == progress[-1]["rows"] == 30
    assert main(["store", "info", store]) == 0
    shown = capsys.readouterr().out
    assert "10 more rows" in shown
    assert "found 30 AXps, 30 CXps" in shown
    assert main(["store", "verify", store, "--sample", "4", "--model", model, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sample"]["certified"] == 4
    assert main(["store", "verify", store, "--sample", "4"]) == 2
    assert "--model" in capsys.readouterr().err
    assert main(["store", "merge", store, "--out", str(files / "m.db"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["explanations"] == 60
    assert main(["store", "vacuum", store]) == 0
    assert main(["report", store, "--out", str(files / "pages"), "--pages", "12"]) == 0
    assert len(list((files / "pages").glob("page-*.html"))) == 3
    assert main(["report", store, "--out", str(files / "pages"), "--pages", "12"]) == 2
    assert "name a new folder" in capsys.readouterr().err
    for options, words in (
        (["--scheduler", "a", "--ray", "b"], "two places"),
        (["--max-memory", "lots"], "understood"),
        (["--progress", "loud"], "--progress"),
        (["--log", str(files / "no" / "log")], "cannot be written"),
        (["--limit", "2"], "leave limit out"),
        (["--jobs", "-2"], "--jobs"),
    ):
        assert main([*audit, "--rows", "0:2", *options]) == 2
        assert words in capsys.readouterr().err


def test_pages_hold_every_row_and_the_index_adds_up(path: Path) -> None:
    audit_rows(BruteExplainer(), ROWS, path)
    with Store.read(path) as store:
        index = write_pages(store, path.with_name("pages"), rows=4)
        counts = store.summary()
    text = index.read_text()
    assert "page-00001.html" in text
    assert "page-00002.html" in text
    assert f"<strong>{counts['axp']}</strong>" in text
    pages = "".join(page.read_text() for page in sorted(index.parent.glob("page-*.html")))
    for row in ROWS:
        assert f'id="row-{row}"' in pages
    with Store.read(path) as store, pytest.raises(DataError, match="at least one"):
        write_pages(store, path.with_name("more"), rows=0)


@pytest.mark.slow
def test_pages_and_checks_of_a_large_store_need_little_memory(path: Path) -> None:
    """Twice the rows take hardly more memory: nothing grows with the store."""
    peaks: list[int] = []
    space = BruteExplainer()
    audit_rows(space, {0: ROWS[0]}, path)
    with Store.read(path) as store:
        row, found = store.row(0), [s.record for s in store.explanations()]
        identity = store.identity
    for number, count in enumerate((600, 1200)):
        large = path.with_name(f"large{number}.db")
        with StoreWriter.open(large, identity) as writer:
            with Store.read(path) as store:
                run = writer.begin_run(store.runs()[0].record)
            with writer.batch():
                for copy in range(count):
                    about = {"prediction": row.record["prediction"]}
                    writer.open_row(run, copy, row.record["input"], about)  # type: ignore[arg-type]
                    for record in found:
                        writer.add(run, copy, record)
                    writer.close_row(run, copy, RowStatus.COMPLETE)
        with Store.read(large) as store:
            tracemalloc.start()
            write_pages(store, path.with_name(f"pages{number}"), rows=50)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
