"""The command review: a page of flagged pairs for people, and their verdicts back."""

from pathlib import Path
from typing import Annotated

import typer

from medaudit.cli.given import check_given
from medaudit.cli.options import (
    Json,
    LedgerOption,
    Quiet,
    RecordedBy,
    RecordedDate,
    Seed,
    SiteKey,
    refuse_unused,
)
from medaudit.cli.screen import carry_out
from medaudit.errors import UsageProblem


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("review", rich_help_panel="Evidence")(review)


def review(
    ctx: typer.Context,
    audit: Annotated[Path, typer.Argument(metavar="AUDIT", help="Folder of an audit.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write; by default AUDIT.review or AUDIT.reviewed.")
    ] = None,
    train: Annotated[Path | None, typer.Option("--train", help="T, for the page.")] = None,
    synthetic: Annotated[Path | None, typer.Option("--synthetic", help="S, for the page.")] = None,
    apply: Annotated[
        list[Path] | None,
        typer.Option(
            "--apply", metavar="VERDICTS", help="A file that the page saved; once for each reviewer."
        ),
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--page", help="With --apply: the page's folder; by default AUDIT.review.")
    ] = None,
    pairs: Annotated[int, typer.Option("--pairs", help="Flagged pairs on the page, at most.")] = 200,
    controls: Annotated[
        int,
        typer.Option("--controls", help="Planted copies mixed in, and as many pairs of different people."),
    ] = 27,
    reviewers: Annotated[
        int, typer.Option("--reviewers", help="With --apply: how many it takes to clear a flag, at least.")
    ] = 2,
    sensitivity: Annotated[
        float,
        typer.Option("--sensitivity", help="With --apply: lower limit that a reviewer must reach to clear."),
    ] = 0.8,
    ledger: LedgerOption = None,
    by: RecordedBy = "",
    date: RecordedDate = "",
    key: SiteKey = None,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Let people look at the flagged pairs: write the page, or take its verdicts back.

    Example: medaudit review work/A --train work/T --synthetic work/S

    Then: medaudit review work/A --apply verdicts.json --apply second.json
    """
    if apply:
        from functools import partial

        if train is not None or synthetic is not None:
            raise UsageProblem("--train and --synthetic are for making the page; leave them out with --apply")
        refuse_unused(ctx, "is for making the page; leave it out with --apply", "pairs", "controls", "seed")
        if ledger is None:
            refuse_unused(ctx, "is for the ledger; give --ledger as well", "by", "date")
        check_given(findings=(audit,), others=(("review", page),), out=out, ledger=ledger)
        from medaudit.stages import recorded, review_apply

        run = (
            review_apply.run if ledger is None else partial(recorded.review, recorded.Book(ledger, by, date))
        )
        carry_out(
            "review",
            lambda screen: run(
                audit, apply, out, page=page, reviewers=reviewers, sensitivity=sensitivity, site_key=key
            ),
            as_json=as_json,
            quiet=quiet,
        )
    refuse_unused(
        ctx,
        "goes with --apply: a page decides and records nothing",
        "ledger",
        "by",
        "date",
        "reviewers",
        "sensitivity",
    )
    if page is not None:
        raise UsageProblem("--page goes with --apply; a new page is written to --out")
    if train is None or synthetic is None:
        raise UsageProblem("the page shows pairs of two cohorts; give --train and --synthetic")
    check_given(cohorts=(train, synthetic), findings=(audit,), out=out)
    from medaudit.stages import review as stage

    carry_out(
        "review",
        lambda screen: stage.run(
            audit, train, synthetic, out, pairs=pairs, controls=controls, seed=seed, key=key, progress=screen
        ),
        as_json=as_json,
        quiet=quiet,
    )
