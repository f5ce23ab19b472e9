"""The store: what is written is there, what is touched is found, what is refused is left alone."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_world import BruteExplainer, Lender, lending_space

from whyproof.engine.answers import Counterexample, Entailed
from whyproof.engine.errors import DataError, ReplayError, StoreError
from whyproof.engine.question import AnyOther, ReachClass
from whyproof.engine.region import Region
from whyproof.store import RowStatus, RunOutcome, Store, StoreWriter, identity, restore, verify
from whyproof.store.canonical import GENESIS, canonical, jsonable

INSTANCE = np.array([2.0, 1.0, 1.0, 0.0, 1.0])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


def who(model: Lender | None = None, **changed: object) -> dict[str, object]:
    parts = {"space": lending_space(), "region": Region.everywhere(), "question": AnyOther()}
    return identity(model or Lender(), **{**parts, **changed})  # type: ignore[arg-type]


def fill(path: Path, rows: int = 2) -> int:
    """Store every explanation of some rows; return how many."""
    explainer = BruteExplainer()
    count = 0
    with StoreWriter.open(path, who()) as store:
        run = store.begin_run({"strategy": "witness", "seed": 0})
        for number in range(rows):
            instance = INSTANCE - np.array([0, 0, 0, 0, number])
            store.open_row(run, number, explainer.space.decode(instance), {"prediction": "x"})
            for explanation in explainer.all(instance):
                count += store.add(run, number, explanation.as_json())
            store.close_row(run, number, RowStatus.COMPLETE)
        store.end_run(run, RunOutcome.FINISHED)
    return count


def tamper(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_everything_comes_back(path: Path) -> None:
    count = fill(path)
    explainer = BruteExplainer()
    expected = [e.as_json() for e in explainer.all(INSTANCE)]
    with Store.read(path) as store:
        assert store.identity == json.loads(canonical(who()))
        assert [r.outcome for r in store.runs()] == [RunOutcome.FINISHED]
        rows = store.rows()
        assert [(r.row, r.status) for r in rows] == [(0, "complete"), (1, "complete")]
        assert sum(r.axps + r.cxps for r in rows) == count == len(list(store.explanations()))
        assert rows[0].record["input"] == jsonable(explainer.space.decode(INSTANCE))
        stored = list(store.explanations(0))
        assert [{k: s.record[k] for k in expected[0]} for s in stored] == jsonable(expected)
        assert [s.record["number"] for s in stored] == list(range(len(stored)))
        assert verify(store).sound
        assert verify(store).explanations == count


def test_an_explanation_is_stored_once(path: Path) -> None:
    assert fill(path) > 0
    with Store.read(path) as store:
        before = [s.hash for s in store.explanations()]
    assert fill(path) == 0
    with Store.read(path) as store:
        assert [s.hash for s in store.explanations()] == before
        assert len(store.runs()) == 2
        assert verify(store).sound


def test_a_weak_explanation_gives_way_to_its_proof(path: Path) -> None:
    weak = {"kind": "axp", "indices": [1], "status": "weak"}
    with StoreWriter.open(path, who()) as store:
        run = store.begin_run({})
        store.open_row(run, 0, {"a": 1}, {})
        assert store.add(run, 0, weak)
        assert not store.add(run, 0, weak)
        assert store.add(run, 0, {**weak, "status": "minimal"})
        assert not store.add(run, 0, weak)
        assert [s.record["status"] for s in store.explanations()] == ["minimal"]
        assert verify(store).sound


def test_restored_explanations_say_the_same(path: Path) -> None:
    fill(path, rows=1)
    explainer = BruteExplainer()
    problem = explainer.problem(INSTANCE)
    with Store.read(path) as store:
        restored = [restore(problem, s.record) for s in store.explanations(0)]
    originals = explainer.all(INSTANCE)
    assert [e.as_json() for e in restored] == [e.as_json() for e in originals]
    for old, new in zip(originals, restored, strict=True):
        match old.evidence, new.evidence:
            case Counterexample(), Counterexample():
                assert (old.evidence.point == new.evidence.point).all()
            case Entailed(), Entailed():
                assert old.evidence.core == new.evidence.core
            case _:
                pytest.fail("the evidence changed its kind")


def test_a_stored_counterexample_that_fails_its_replay_is_refused(path: Path) -> None:
    fill(path, rows=1)
    problem = BruteExplainer().problem(INSTANCE)
    with Store.read(path) as store:
        record = next(s.record for s in store.explanations(0) if s.record["kind"] == "cxp")
    forged = json.loads(canonical(record))
    name = forged["evidence"]["moved"][0]
    forged["evidence"]["point"][name] = problem.space.decode(problem.instance)[name]
    with pytest.raises(ReplayError):
        restore(problem, forged)
    del forged["evidence"]["point"]
    with pytest.raises(StoreError, match="cannot be read back"):
        restore(problem, forged)


EDITS: dict[str, tuple[list[str], str]] = {
    "an edited record": (
        ["UPDATE journal SET payload = replace(payload, 'minimal', 'weak') WHERE seq = 5"],
        "record 5 was changed",
    ),
    "a removed record": (["DELETE FROM journal WHERE seq = 6"], "record 6 is missing"),
    "two records swapped": (
        [
            "UPDATE journal SET seq = -1 WHERE seq = 7",
            "UPDATE journal SET seq = 7 WHERE seq = 8",
            "UPDATE journal SET seq = 8 WHERE seq = -1",
        ],
        "record 7 was changed",
    ),
    "a cut end": (
        ["DELETE FROM journal WHERE seq > (SELECT max(seq) - 3 FROM journal)"],
        "the store says that it ends with",
    ),
    "a removed explanation": (
        ["DELETE FROM explanations WHERE seq = 5"],
        "the table of explanations does not follow",
    ),
    "an edited status": (["UPDATE rows SET status = 'open' WHERE row = 1"], "the table of rows"),
    "an edited outcome": (["UPDATE runs SET outcome = 'budget'"], "the table of runs"),
    "another identity": (
        ["UPDATE meta SET value = '{\"model\":\"x\"}' WHERE key = 'identity'"],
        "record 1 cannot be read",
    ),
    "a record that is no JSON": (
        ["UPDATE journal SET payload = 'x' WHERE seq = 5"],
        "record 5 was changed",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_verify_finds(path: Path, name: str) -> None:
    fill(path)
    statements, fault = EDITS[name]
    tamper(path, *statements)
    with Store.read(path) as store:
        found = verify(store)
    assert not found.sound
    assert any(fault in sentence for sentence in found.faults), found.faults


def test_a_consistent_rewrite_is_found_only_by_a_noted_head(path: Path) -> None:
    fill(path)
    with Store.read(path) as store:
        noted = store.head().hash
    path.unlink()
    fill(path, rows=1)
    with Store.read(path) as store:
        assert verify(store).sound
        assert verify(store, noted=store.head().hash).sound
        assert "noted head" in verify(store, noted=noted).faults[0]


def test_a_noted_head_stays_good_while_the_store_grows(path: Path) -> None:
    fill(path, rows=1)
    with Store.read(path) as store:
        noted = store.head().hash
    fill(path, rows=2)
    with Store.read(path) as store:
        assert verify(store, noted=noted).sound
        assert verify(store, noted=GENESIS).sound


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "audit.db"
    fill(path, rows=1)
    return path


@settings(max_examples=40, deadline=None)
@given(record=st.integers(0, 10**6), at=st.integers(0, 10**6), shift=st.integers(1, 94))
def test_any_changed_character_in_the_journal_is_found(
    sound: Path, record: int, at: int, shift: int
) -> None:
    path = sound.with_name("changed.db")
    path.write_bytes(sound.read_bytes())
    with Store.read(path) as store:
        records = list(store.journal())
    seq, payload, _ = records[record % len(records)]
    at %= len(payload)
    other = chr(32 + (ord(payload[at]) - 32 + shift) % 95)
    connection = sqlite3.connect(path)
    changed = payload[:at] + other + payload[at + 1 :]
    connection.execute("UPDATE journal SET payload = ? WHERE seq = ?", (changed, seq))
    connection.commit()
    connection.close()
    with Store.read(path) as store:
        assert not verify(store).sound


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (who(Lender(threshold=5.0)), "another model"),
        (who(space=lending_space(immutable=["age"])), "another feature space"),
        (who(region=Region.ball(1.0)), "another region"),
        (who(question=ReachClass(1)), "another question"),
    ],
)
def test_a_store_of_something_else_is_refused_and_left_alone(
    path: Path, other: dict[str, object], words: str
) -> None:
    fill(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=words):
        StoreWriter.open(path, other)
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.iterdir()) == ["audit.db"]


def test_other_files_are_refused_and_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database" * 100)
    other = tmp_path / "other.db"
    tamper(other, "CREATE TABLE t (x)")
    future = tmp_path / "future.db"
    fill(future)
    tamper(future, "PRAGMA user_version = 99")
    for file, words in ((text, "not a whyproof store"), (other, "not a"), (future, "version 99")):
        before = file.read_bytes()
        with pytest.raises(StoreError, match=words):
            StoreWriter.open(file, who())
        with pytest.raises(StoreError, match=words):
            Store.read(file)
        assert file.read_bytes() == before


def test_absent_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store"):
        Store.read(tmp_path / "none.db")
    with pytest.raises(StoreError, match="folder"):
        StoreWriter.open(tmp_path / "no" / "audit.db", who())
    with pytest.raises(StoreError):
        StoreWriter.open(tmp_path, who())
    empty = tmp_path / "empty.db"
    empty.touch()
    StoreWriter.open(empty, who()).close()
    with Store.read(empty) as store:
        assert verify(store).sound


def test_a_row_with_other_values_is_refused(path: Path) -> None:
    fill(path)
    with StoreWriter.open(path, who()) as store:
        run = store.begin_run({})
        count = store.head().count
        with pytest.raises(DataError, match="row 0"):
            store.open_row(run, 0, {"age": 99}, {})
        assert store.head().count == count


def test_a_full_disk_keeps_what_was_stored(path: Path) -> None:
    fill(path, rows=1)
    with Store.read(path) as store:
        before = store.head()
    with StoreWriter.open(path, who()) as store:
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match="disk is full"):
            for number in range(1000):
                store.begin_run({"seed": number, "filler": "x" * 5000})
        assert verify(store).sound
    with Store.read(path) as store:
        assert store.head().count >= before.count
        assert verify(store, noted=before.hash).sound
    fill(path, rows=2)  # and it goes on when there is room again


READ_ONLY = """
from test_store import *
if os.getuid() == 0:  # file permissions do not apply to root
    os.setgid(65534)
    os.setuid(65534)
path = Path(sys.argv[1])
with Store.read(path) as store:
    assert verify(store).sound and len(store.rows()) == 2
for file in (path, path.with_name("new.db")):
    try:
        StoreWriter.open(file, who())
    except StoreError as error:
        print(error)
"""


def test_a_read_only_store_is_readable_and_not_writable() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "audit.db")
        fill(path)
        path.chmod(0o444)
        path.parent.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, path],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
            check=False,
        )
        path.parent.chmod(0o755)
        assert done.returncode == 0, done.stderr
        first, second = done.stdout.splitlines()
        assert "read-only" in first
        assert "cannot be opened" in second
        assert [entry.name for entry in path.parent.iterdir()] == ["audit.db"]
        with Store.read(path) as store:
            assert verify(store).sound


def test_two_writers_share_one_chain(path: Path) -> None:
    with StoreWriter.open(path, who()) as one, StoreWriter.open(path, who()) as two:
        runs = [store.begin_run({}) for store in (one, two, one)]
        assert runs == [1, 2, 3]
        one.open_row(1, 0, {"a": 1}, {})
        two.open_row(2, 0, {"a": 1}, {})
        assert one.add(1, 0, {"kind": "axp", "indices": [], "status": "minimal"})
        assert not two.add(2, 0, {"kind": "axp", "indices": [], "status": "minimal"})
        assert verify(two).sound


@pytest.mark.parametrize(
    "value",
    [float("nan"), [np.float64("inf")], {1: np.int64(2)}, {"s": {"b", "a"}}, np.arange(3.0), None],
)
def test_canonical_json_is_strict_and_stable(value: object) -> None:
    text = canonical(value)
    assert canonical(json.loads(text)) == text


def refuse(constant: str) -> Callable[[], None]:
    raise AssertionError(constant)


def test_infinities_are_texts() -> None:
    assert json.loads(canonical([float("inf"), -float("inf")]), parse_constant=refuse) == [
        "inf",
        "-inf",
    ]
