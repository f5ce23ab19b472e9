"""Importers and tables on the real files that WHYPROOF_DATA names."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
from model_probes import assert_agrees, probes

from whyproof.models import load_model
from whyproof.spaces import infer_space
from whyproof.tables import read_table

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("WHYPROOF_DATA", ROOT.parent / "shared" / "data"))

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no data at {DATA}; set WHYPROOF_DATA"),
]

DUMPS = sorted((DATA / "xreason_aaai22" / "models").glob("*.mod.txt"))
TABLES = {
    "tabular/adult_train.csv.gz": (32561, 14),
    "tabular/german_credit.csv": (1000, 20),
    "tabular/car.csv": (1728, 6),
    "tabular/mushroom.csv": (8124, 22),
}


def logged_instances(dump: Path) -> np.ndarray:
    log = dump.parents[1] / "logs_mx" / dump.name.replace(".mod.txt", ".log")
    candidates = [log, *log.parent.glob(f"{dump.name.split('_nbestim')[0]}*")]
    text = next(path for path in candidates if path.is_file()).read_text()
    lines = re.findall(r"(?m)^i: (.+)$", text)
    return np.array([[float(value) for value in line.split(",")] for line in lines])


@pytest.mark.parametrize("dump", DUMPS, ids=lambda path: path.name.split("_nbestim")[0])
def test_the_peers_dumps_load_and_decide(dump: Path) -> None:
    instances = logged_instances(dump)
    text = dump.read_text()
    rounds = text.count("booster[") // 50
    names = [f"f{i}" for i in range(instances.shape[1])]
    model = load_model(dump, classes=range(max(2, rounds)), names=names)
    assert len(model.structure.trees) == 50 * rounds
    outcomes = model.predict(instances)
    assert len(set(outcomes.tolist())) > 1
    assert_agrees(model, instances)
    assert_agrees(model, probes(model, rows=20)[:400], exact=20)


@pytest.mark.parametrize("name", TABLES)
def test_tables_become_points(name: str) -> None:
    rows, columns = TABLES[name]
    table = read_table(DATA / name, "label")
    assert (table.n_rows, table.n_columns) == (rows, columns)
    assert table.labels is not None
    space = infer_space(table)
    chosen = range(0, rows, max(1, rows // 200))
    points = table.points(space, chosen)
    for row, point in zip(chosen, points, strict=True):
        assert tuple(space.decode(point).values()) == table.row(row)
