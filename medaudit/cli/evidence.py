"""Commands that hand on: report, release, verify, demo."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from medaudit.cli.given import check_given
from medaudit.cli.keys import PassphraseFile, passphrase_of
from medaudit.cli.options import (
    CopyNetwork,
    Device,
    Forbid,
    IdentityFile,
    Json,
    LedgerOption,
    Out,
    Quiet,
    RecordedBy,
    Seed,
    SiteKey,
    Synthetic,
    WithRelease,
    refuse_unused,
    refuse_without_ledger,
)
from medaudit.cli.screen import carry_out


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the program."""
    app.command("report", rich_help_panel="Evidence")(report)
    app.command("release", rich_help_panel="Evidence")(release)
    app.command("verify", rich_help_panel="Evidence")(verify)
    app.command("demo", rich_help_panel="Evidence")(demo)


def report(
    findings: Annotated[
        list[Path], typer.Argument(metavar="FINDINGS...", help="Folders of audit or extract.")
    ],
    out: Out,
    edition: Annotated[
        Literal["shareable", "confidential"],
        typer.Option("--edition", help="The shareable one names nobody."),
    ] = "shareable",
    train: Annotated[
        Path | None, typer.Option("--train", help="T, for pictures (confidential only).")
    ] = None,
    synthetic: Annotated[
        Path | None, typer.Option("--synthetic", help="S, for pictures (confidential only).")
    ] = None,
    institution: Annotated[str, typer.Option("--institution", help="Named in the header.")] = "",
    protocol: Annotated[str, typer.Option("--protocol", help="Protocol number, named in the header.")] = "",
    date: Annotated[str, typer.Option("--date", help="YYYYMMDD, named in the header.")] = "",
    review_by: Annotated[str, typer.Option("--review-by", help="YYYYMMDD: when to look again.")] = "",
    signer_key: Annotated[
        str, typer.Option("--signer-key", help="Fingerprint of the key that signs the release.")
    ] = "",
    release: Annotated[
        Path | None, typer.Option("--release", help="The release under this audit, named in the header.")
    ] = None,
    previous: Annotated[
        Path | None, typer.Option("--previous", help="The audit before this one, to show what changed.")
    ] = None,
    cohort: Annotated[
        list[Path] | None,
        typer.Option(
            "--cohort",
            help="T, H or S, once each: for the data section, and for the linter, which then knows films and names.",
        ),
    ] = None,
    forbid: Forbid = None,
    identities: IdentityFile = None,
    review: Annotated[
        Path | None, typer.Option("--review", help="Folder of `review --apply`: names the flags it cleared.")
    ] = None,
    key: SiteKey = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the report a review board acts on: HTML, PDF and JSON.

    Example: medaudit report work/A --out work/report
    """
    check_given(
        cohorts=(train, synthetic, *(cohort or ())), findings=(*findings, previous),
        others=(("release", release), ("reviewed", review)), files=(forbid,), out=out,
    )  # fmt: skip
    from medaudit.stages import report as stage
    from medaudit.stages.site import Site

    carry_out(
        "report",
        lambda screen: stage.run(
            findings,
            out,
            edition=edition,
            train=train,
            synthetic=synthetic,
            site=Site(
                institution,
                protocol,
                date,
                review_by,
                signer_key,
                release,
                previous,
                tuple(cohort or ()),
                key,
            ),
            forbid=forbid,
            identities=identities,
            review=review,
            key=key,
            progress=screen,
        ),
        as_json=as_json,
        quiet=quiet,
    )


def release(
    ctx: typer.Context,
    synthetic: Synthetic,
    audit: Annotated[Path, typer.Option("--audit", help="The audit of this very cohort.")],
    out: Out,
    form: Annotated[
        Literal["dicom", "png", "npz"], typer.Option("--format", help="Of the released images.")
    ] = "dicom",
    modality: Annotated[Literal["DX", "CR", "SC"], typer.Option("--modality", help="Of DICOM files.")] = "DX",
    transfer_syntax: Annotated[
        Literal["explicit", "jpeg-ls", "jpeg-2000", "rle"],
        typer.Option("--transfer-syntax", help="Of DICOM files; all are lossless."),
    ] = "explicit",
    date: Annotated[str, typer.Option("--date", help="YYYYMMDD for the files and the certificate.")] = "",
    withhold_flagged: Annotated[
        bool,
        typer.Option(
            "--withhold-flagged", help="Leave flagged images out and audit the rest again (needs T, H)."
        ),
    ] = False,
    train: Annotated[
        Path | None,
        typer.Option(
            "--train",
            help="T, with --withhold-flagged, or for the linter, which then knows films and names.",
        ),
    ] = None,
    holdout: Annotated[Path | None, typer.Option("--holdout", help="H, for the same.")] = None,
    sign: Annotated[
        Path | None, typer.Option("--sign", metavar="KEY", help="Secret key of keygen; signs the release.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    expires: Annotated[
        str,
        typer.Option(
            "--expires", help="YYYYMMDD or never; of a signed release, two years after --date if not given."
        ),
    ] = "",
    text: Annotated[
        Literal["auto", "off", "require"],
        typer.Option(
            "--text", help="Look for letters in the images; auto: if the extra `text` is installed."
        ),
    ] = "auto",
    withhold_text: Annotated[
        bool,
        typer.Option(
            "--withhold-text", help="Leave images with letters out and audit the rest again (needs T, H)."
        ),
    ] = False,
    copy_network: CopyNetwork = None,
    forbid: Forbid = None,
    identities: IdentityFile = None,
    review: Annotated[
        Path | None, typer.Option("--review", help="Folder of `review --apply`: flags that people cleared.")
    ] = None,
    ledger: LedgerOption = None,
    with_release: WithRelease = None,
    receiver: Annotated[
        list[str] | None,
        typer.Option("--receiver", help="Who gets it, for the ledger: told when it is withdrawn."),
    ] = None,
    by: RecordedBy = "",
    key: SiteKey = None,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the cleared images, marked as synthetic; refuses what was not cleared.

    Example: medaudit release --synthetic work/S --audit work/A --out work/release
    """
    from functools import partial

    refuse_without_ledger(ledger, with_release=with_release, receiver=receiver)
    if ledger is None:
        refuse_unused(ctx, "is for the ledger; give --ledger as well", "by")
    if sign is None:
        refuse_unused(ctx, "is of the key that signs; give --sign as well", "passphrase_file")
    if not (withhold_flagged or withhold_text):
        again = "is for auditing the rest again; give --withhold-flagged or --withhold-text as well, or leave it out"
        refuse_unused(ctx, again, "with_release", "copy_network")
    encoder = Path(copy_network) if copy_network else None
    check_given(
        cohorts=(synthetic, train, holdout, *(with_release or ())), findings=(audit,), others=(("reviewed", review),),
        files=(forbid, encoder), signing=sign, out=out, device=device, ledger=ledger,
    )  # fmt: skip
    from medaudit.stages import recorded
    from medaudit.stages import release as stage

    run = stage.run
    if ledger is not None:
        book = recorded.Book(ledger, by, date)
        run = partial(recorded.release, book, with_release or (), receiver or ())
    carry_out(
        "release",
        lambda screen: run(
            synthetic,
            audit,
            out,
            format=form,
            modality=modality,
            transfer_syntax=transfer_syntax,
            date=date,
            expires=expires,
            text=text,
            withhold_text=withhold_text,
            sign=sign,
            passphrase=passphrase_of(passphrase_file),
            withhold_flagged=withhold_flagged,
            train=train,
            holdout=holdout,
            copy_network=copy_network,
            forbid=forbid,
            identities=identities,
            review=review,
            key=key,
            device=device,
            seed=seed,
            progress=screen,
        ),
        as_json=as_json,
        quiet=quiet,
    )


def verify(
    folder: Annotated[Path, typer.Argument(metavar="RELEASE", help="A released folder.")],
    key: Annotated[
        str, typer.Option("--key", help="The sender's public key (file or line) or its fingerprint.")
    ] = "",
    on: Annotated[
        str, typer.Option("--on", help="YYYYMMDD: is it valid on that day? Today if not given.")
    ] = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check a released folder on the receiver's own machine: signature, every hash, every mark, nothing added.

    Example: medaudit verify work/release --key site.pub
    """
    from medaudit.stages import verify as stage

    carry_out(
        "verify",
        lambda screen: stage.run(folder, key=key, on=on, progress=screen),
        as_json=as_json,
        quiet=quiet,
    )


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")] = Path("demo-out"),
    real: Annotated[
        Path | None, typer.Option("--real", help="Use these films (npz or folder with patient ids) instead.")
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the main job from end to end, in minutes on two cores, and explain each step.

    Example: medaudit demo
    """
    check_given(files=(real,), device=device)
    from medaudit.stages import demo as stage

    carry_out(
        "demo",
        lambda screen: stage.run(out, real=real, device=device, seed=seed, progress=screen),
        as_json=as_json,
        quiet=quiet,
    )
