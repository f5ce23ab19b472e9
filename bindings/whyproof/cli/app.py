"""The commands and their options; what they do is imported when they are called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options
from .audit_options import audit
from .bundles import bundled
from .counterfactual_options import counterfactual
from .encode_options import encode
from .query import cover, query
from .recourse_commands import diff, nearest, recourse, sensitive
from .repaint_options import repaint
from .request import Request
from .rule_commands import learn, rules_app
from .sections import Sectioned
from .store_commands import StoreFile, store_app
from .visual_options import visual_app
from .world_commands import justify, plan

__all__ = ["app"]

app = typer.Typer(
    help="Explains decisions of machine-learning models with evidence anyone can check.",
    cls=Sectioned,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(store_app, name="store")
app.add_typer(rules_app, name="rules")
app.add_typer(visual_app, name="visual")
app.command()(learn)
app.command()(plan)
app.command()(justify)
app.command()(query)
app.command()(cover)
app.command()(encode)
app.command()(repaint)
app.command()(counterfactual)
app.command()(nearest)
app.command()(sensitive)
app.command()(recourse)
app.command()(diff)
app.command()(audit)


@app.callback(invoke_without_command=True)
def whyproof(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> int:
    """Explain decisions of machine-learning models with evidence anyone can check.

    Exit codes: 0 answered, 1 internal error, 2 bad input, 3 the budget ran out and
    partial results are kept, 130 interrupted.
    """
    if version:
        from whyproof import __version__

        typer.echo(f"whyproof {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
    return 0


@app.command()
@bundled()
def explain(
    row: options.Row,
    request: Request,
    kind: Annotated[
        str, typer.Option("--kind", help="axp: why; cxp: what would change it.", metavar="axp|cxp")
    ] = "axp",
    smallest: Annotated[
        bool, typer.Option("--smallest", help="Of the least size, and prove it.")
    ] = False,
    must_contain: options.MustContain = None,
    must_not_contain: options.MustNotContain = None,
    time_limit: options.TimeLimit = None,
    jobs: options.Jobs = 1,
    certify: options.Certify = None,
    picture: options.Picture = None,
    json: options.Json = False,
) -> int:
    """Explain the decision about one row, once."""
    from whyproof.explainer import kind_named

    from .explain import explain_command

    return explain_command(
        request,
        row,
        kind_named(kind),
        smallest=smallest,
        must_contain=must_contain or (),
        must_not_contain=must_not_contain or (),
        seconds=time_limit,
        jobs=jobs,
        certify=certify,
        picture=picture,
        as_json=json,
    )


@app.command("enumerate")
@bundled()
def enumerate_(
    row: options.Row,
    request: Request,
    kind: Annotated[
        str, typer.Option("--kind", help="Which to list.", metavar="axp|cxp|both")
    ] = "both",
    limit: options.Limit = None,
    by_size: Annotated[
        bool, typer.Option("--by-size", help="Smallest first; for one --kind.")
    ] = False,
    must_contain: options.MustContain = None,
    must_not_contain: options.MustNotContain = None,
    time_limit: options.TimeLimit = None,
    jobs: options.Jobs = 1,
    certify: options.Certify = None,
    picture: options.Picture = None,
    json: options.Json = False,
) -> int:
    """List every explanation of the decision about one row."""
    from whyproof.engine.explanation import Kind
    from whyproof.explainer import kind_named

    from .explain import enumerate_command

    kinds = list(Kind) if kind == "both" else [kind_named(kind)]
    return enumerate_command(
        request,
        row,
        kinds,
        limit=limit,
        must_contain=must_contain or (),
        must_not_contain=must_not_contain or (),
        smallest_first=by_size,
        seconds=time_limit,
        jobs=jobs,
        certify=certify,
        picture=picture,
        as_json=json,
    )


@app.command()
def report(
    store: StoreFile,
    out: Annotated[
        Path, typer.Option("--out", help="HTML file, or folder for persons.", metavar="FILE")
    ],
    show: Annotated[
        int,
        typer.Option("--show", help="Most AXps and CXps written out per row.", metavar="N", min=1),
    ] = 8,
    sections: Annotated[
        int, typer.Option("--sections", help="Most rows written out.", metavar="N", min=0)
    ] = 100,
    title: Annotated[str | None, typer.Option("--title", help="Heading.", metavar="TEXT")] = None,
    pages: Annotated[
        int | None,
        typer.Option("--pages", help="Write a folder, N rows to a page.", metavar="N", min=1),
    ] = None,
    kind: Annotated[
        str,
        typer.Option("--kind", help="For whom it is.", metavar="audit|person|examiner|population"),
    ] = "audit",
    rows: Annotated[
        str | None, typer.Option("--rows", help="Rows, not for audit; all.", metavar="ROWS")
    ] = None,
    wording: Annotated[
        Path | None,
        typer.Option("--wording", help="person: what factors are called.", metavar="FILE.toml"),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="person: the model, for certificates.", metavar="MODEL"),
    ] = None,
    protected: Annotated[
        list[str] | None,
        typer.Option("--protected", help="A feature that must not decide; repeatable."),
    ] = None,
    retain: Annotated[
        int, typer.Option("--retain", help="examiner: months to keep it.", metavar="N")
    ] = 25,
    reviewer: Annotated[
        str, typer.Option("--reviewer", help="examiner: who reviewed.", metavar="NAME")
    ] = "",
) -> int:
    """Write a store's report: HTML that needs nothing else; for persons one file each."""
    if kind != "audit":
        from .reports import report_kind_command

        return report_kind_command(
            store,
            out,
            kind,
            rows=rows,
            wording=wording,
            model=model,
            protected=protected or (),
            months=retain,
            reviewer=reviewer,
        )
    from .stores import report_command

    return report_command(store, out, show, sections, title, pages)


@app.command()
def check(
    certificate: Annotated[
        Path, typer.Argument(help="Certificate that --certify wrote.", metavar="FILE")
    ],
    model: Annotated[
        Path, typer.Option("--model", help="Model file that it is about.", metavar="MODEL")
    ],
    replay: Annotated[
        bool,
        typer.Option("--replay/--no-replay", help="Also run the model's own library, if there."),
    ] = True,
    json: options.Json = False,
) -> int:
    """Verify a certificate without any search: exit 0 if all is proved, 2 if not."""
    from .check import check_command

    return check_command(certificate, model, replay=replay, as_json=json)


@app.command()
def verify(
    model: Annotated[Path, typer.Argument(help="Network, an ONNX file.", metavar="NET")],
    specification: Annotated[
        Path, typer.Argument(help="VNN-LIB 1.0 file, .gz allowed.", metavar="SPEC")
    ],
    time_limit: Annotated[
        float, typer.Option("--time-limit", help="Processor seconds.", metavar="S")
    ] = 60.0,
    verifier: Annotated[
        str | None,
        typer.Option(
            "--verifier",
            help="Ask another program: with {onnx}, {vnnlib}, {timeout} and {result}; or marabou.",
            metavar="COMMAND",
        ),
    ] = None,
    json: options.Json = False,
) -> int:
    """Decide a VNN-LIB specification: sat with a witness, unsat, or unknown (exit 3)."""
    from .verify import verify_command

    return verify_command(model, specification, seconds=time_limit, verifier=verifier, as_json=json)


@app.command()
def recheck(
    model: Annotated[Path, typer.Argument(help="Network, an ONNX file.", metavar="NET")],
    image: Annotated[
        Path, typer.Argument(help="Image or batch of images, a .npy file.", metavar="IMAGE")
    ],
    members: Annotated[
        Path, typer.Argument(help="Pixel numbers from 0, JSON or text.", metavar="SET")
    ],
    epsilon: Annotated[float, typer.Option("--epsilon", help="Distance (linf).", metavar="E")],
    kind: Annotated[
        str, typer.Option("--kind", help="What the set claims to be.", metavar="axp|cxp")
    ] = "axp",
    row: Annotated[int, typer.Option("--row", help="Image of a batch.", metavar="N")] = 0,
    time_limit: Annotated[
        float, typer.Option("--time-limit", help="Processor seconds.", metavar="S")
    ] = 30.0,
    json: options.Json = False,
) -> int:
    """Check somebody else's explanation of an image: proved, refuted or open (exit 3)."""
    from whyproof.explainer import kind_named

    from .recheck import recheck_command

    return recheck_command(
        model,
        image,
        members,
        kind=kind_named(kind),
        epsilon=epsilon,
        row=row,
        seconds=time_limit,
        as_json=json,
    )


@app.command()
def doctor(json: options.Json = False) -> int:
    """Say what is installed, under which licences, and test that it works."""
    from .doctor import doctor_command

    return doctor_command(as_json=json)


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the store and the report.", metavar="FOLDER")
    ] = Path("demo"),
) -> int:
    """Train a model, audit some of its decisions and write a report, in under a minute."""
    from .demo import demo_command

    return demo_command(out)
