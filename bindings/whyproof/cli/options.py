"""The options that several commands share, each with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Certify",
    "Classes",
    "Data",
    "Domain",
    "Down",
    "Encoding",
    "Epsilon",
    "Features",
    "Floor",
    "Immutable",
    "Integers",
    "Interval",
    "Isolation",
    "Jobs",
    "Json",
    "Label",
    "Limit",
    "MilpSolver",
    "Model",
    "Models",
    "MustContain",
    "MustNotContain",
    "Nearness",
    "Norm",
    "Picture",
    "Proofs",
    "Ranges",
    "Row",
    "Rules",
    "Scale",
    "Seen",
    "Share",
    "Space",
    "Step",
    "Strategy",
    "Support",
    "Target",
    "TimeLimit",
    "Up",
    "Vote",
    "Weights",
    "Within",
    "WorldFile",
]

Model = Annotated[
    Path,
    typer.Argument(
        help="Model file: ONNX (trees, linear models, networks), XGBoost .json/.ubj, LightGBM "
        ".txt, learnt rules or a decision graph .json, a binarised network.",
        metavar="MODEL",
    ),
]
Data = Annotated[
    Path,
    typer.Argument(
        help="Table of rows: CSV (.gz too) or Parquet; images for networks: .npy, .npz[:NAME].",
        metavar="DATA",
    ),
]
Row = Annotated[int, typer.Option("--row", help="Row to explain, counted from 0.", metavar="N")]
Label = Annotated[
    str | None,
    typer.Option("--label", help="Column of labels, which the model does not see.", metavar="COL"),
]
Space = Annotated[
    Path | None,
    typer.Option("--space", help="Feature space: domains, groups, immutable.", metavar="FILE.toml"),
]
Ranges = Annotated[
    str,
    typer.Option(
        "--ranges",
        help="What a free number may be: any, or data (within the table's range).",
        metavar="any|data",
    ),
]
Integers = Annotated[bool, typer.Option("--integers", help="Columns of whole numbers stay whole.")]
Features = Annotated[
    str | None,
    typer.Option(
        "--features",
        help="For networks: what is one feature; cells:4 are blocks of 4 by 4 pixels.",
        metavar="pixels|channels|cells:N|values",
    ),
]
Domain = Annotated[
    str | None,
    typer.Option(
        "--domain",
        help="For networks: lowest and highest input; 0:1 for images that fit.",
        metavar="LOW:HIGH",
    ),
]
Picture = Annotated[
    Path | None,
    typer.Option("--picture", help="Draw what was found over the image (PNG).", metavar="FILE.png"),
]
Immutable = Annotated[
    list[str] | None,
    typer.Option("--immutable", help="A feature that never changes; repeatable.", metavar="NAME"),
]
Vote = Annotated[
    str | None,
    typer.Option("--vote", help="Vote of a forest, if free.", metavar="majority|average"),
]
Certify = Annotated[
    Path | None,
    typer.Option(
        "--certify", help="Write a certificate that 'whyproof check' verifies.", metavar="FILE"
    ),
]
Proofs = Annotated[
    str,
    typer.Option(
        "--proofs",
        help="How --certify proves: by boxes, by clauses with DRAT, or by what is short.",
        metavar="auto|boxes|drat",
    ),
]
Classes = Annotated[
    str | None,
    typer.Option("--classes", help="Labels by class index, with commas.", metavar="A,B,..."),
]
Target = Annotated[
    str | None,
    typer.Option("--target", help="Only this class counts as a change.", metavar="CLASS"),
]
Interval = Annotated[
    str | None,
    typer.Option(
        "--interval",
        help="For regressors: the value changes when it leaves this interval.",
        metavar="LOW:HIGH",
    ),
]
Floor = Annotated[
    float | None,
    typer.Option(
        "--floor", help="The decision changes when its lead falls below this.", metavar="M"
    ),
]
Epsilon = Annotated[
    float | None,
    typer.Option("--epsilon", help="Stay this near to the row; else everywhere.", metavar="E"),
]
Norm = Annotated[
    str | None,
    typer.Option("--norm", help="Distance for --epsilon.", metavar="linf|l1|l2|l0"),
]
Strategy = Annotated[
    str,
    typer.Option(
        "--strategy",
        help="Search: witness, deletion, dichotomic, quickxplain, progression or swift.",
        metavar="S",
    ),
]
Encoding = Annotated[
    str,
    typer.Option(
        "--encoding",
        help="Who decides: search (fast), or as a second opinion clauses (all rival classes at "
        "once), program, gurobi or asp.",
        metavar="E",
    ),
]
Rules = Annotated[
    list[Path] | None,
    typer.Option(
        "--rules", help="Constraints that every row satisfies; repeatable.", metavar="FILE.lp"
    ),
]
MustContain = Annotated[
    list[str] | None,
    typer.Option("--must-contain", help="A feature that has to occur; repeatable.", metavar="NAME"),
]
MustNotContain = Annotated[
    list[str] | None,
    typer.Option(
        "--must-not-contain", help="A feature that must not occur; repeatable.", metavar="NAME"
    ),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", help="Most explanations; all without it.", metavar="N"),
]
TimeLimit = Annotated[
    float | None,
    typer.Option("--time-limit", help="Stop after so many seconds.", metavar="S"),
]
Jobs = Annotated[
    int,
    typer.Option("--jobs", help="Number of processes; 0 for every core.", metavar="N", min=0),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]
Nearness = Annotated[
    str, typer.Option("--norm", help="Distance that is minimised.", metavar="l0|l1|l2|linf")
]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", help="Weight by feature, TOML or JSON.", metavar="FILE"),
]
Scale = Annotated[
    str,
    typer.Option(
        "--scale", help="Unit of steps: as they are, range, or MAD.", metavar="none|range|mad"
    ),
]
Up = Annotated[
    list[str] | None,
    typer.Option("--up", help="A feature that only rises; repeatable.", metavar="NAME"),
]
Down = Annotated[
    list[str] | None,
    typer.Option("--down", help="A feature that only falls; repeatable.", metavar="NAME"),
]
Step = Annotated[
    list[str] | None,
    typer.Option("--step", help="A feature moves in steps; repeatable.", metavar="NAME=V"),
]
Within = Annotated[
    list[str] | None,
    typer.Option("--within", help="Where a feature ends; repeatable.", metavar="NAME=LOW:HIGH"),
]
Models = Annotated[
    list[Path] | None,
    typer.Option("--models", help="Further models to convince.", metavar="MODEL ..."),
]
Share = Annotated[
    float, typer.Option("--share", help="Share of the models to convince.", metavar="S")
]
Seen = Annotated[
    list[str] | None,
    typer.Option(
        "--seen", help="Features whose combination occurs in DATA; repeatable.", metavar="A,B"
    ),
]
Support = Annotated[
    float | None,
    typer.Option("--support", help="Least mean share of DATA in the point's leaves.", metavar="S"),
]
Isolation = Annotated[
    float | None,
    typer.Option(
        "--isolation",
        help="Not among the share S of DATA that an isolation forest tells apart first.",
        metavar="S",
    ),
]
WorldFile = Annotated[
    Path | None,
    typer.Option(
        "--world", help="Causal world: effects cost nothing, actions do.", metavar="WORLD.toml"
    ),
]
MilpSolver = Annotated[
    str,
    typer.Option("--solver", help="Who solves the programs.", metavar="highs|cpsat|gurobi"),
]
