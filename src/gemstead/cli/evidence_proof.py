"""`gemstead evidence verify | prove | checkpoint | key | rotate-key | expire`: what is not seen cannot be believed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gemstead.cli import options

FOUND_CHANGES = 5
"""Exit code of `verify` where the evidence is not as it was written."""


def verify(
    path: Annotated[
        Path | None, typer.Argument(help="A copy of evidence.db, a bundle (.zip) or a proof (.json); else your own.")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="The verifier key that you know: origin+id+base64.")] = None,
    checkpoint: Annotated[
        list[Path] | None, typer.Option("--checkpoint", help="A file of checkpoints that were kept elsewhere.")
    ] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Look at the indexes too; takes several times as long.")] = False,
    json: options.Json = False,
) -> int:
    """Show that nothing was changed, left out, moved or cut off. Exit code 5: something was."""
    from gemstead.app.evidence_checks import checked
    from gemstead.cli.output import print_json
    from gemstead.evidence.verify import told

    report = checked(options.load(), path, key, checkpoint or [], is_deep=deep)
    if json:
        print_json("evidence-verify/1", {**report.plain(), "is_clean": report.is_clean})
    else:
        print(told(report))
    return 0 if report.is_clean else FOUND_CHANGES


def prove(
    position: Annotated[int, typer.Argument(min=0, help="Where the record stands in the chain.")],
    to: Annotated[Path | None, typer.Option("--to", help="Write it to this new file; its name ends in .json.")] = None,
    json: options.Json = False,  # noqa: ARG001 (a proof is JSON)
) -> None:
    """Print a proof that one record was written, for somebody who has nothing but a checkpoint and the verifier."""
    import json as json_lines

    from gemstead.app.evidence_checks import proof
    from gemstead.cli.output import note
    from gemstead.core.errors import RequestInvalid

    text = json_lines.dumps(proof(options.load(), position), indent=1, ensure_ascii=False)
    if to is None:
        print(text)
        return
    try:
        with to.open("x", encoding="utf-8") as file:
            file.write(f"{text}\n")
    except OSError as exc:
        raise RequestInvalid(f"{to} cannot be written: {exc.strerror}", param="to", hint="choose a new file") from exc
    note(f"{to}: check it with gemstead evidence verify {to}")


def checkpoint(json: options.Json = False) -> None:
    """Sign how much there is and what it holds, now; print it, to be kept where this machine cannot change it."""
    from gemstead.app.evidence_checks import checkpoint_now
    from gemstead.cli.output import note, print_json

    text = checkpoint_now(options.load())
    if json:
        print_json("evidence-checkpoint/1", {"note": text})
        return
    print(text, end="")
    note("keep it elsewhere; gemstead evidence verify --checkpoint FILE compares the evidence with it")


def key(json: options.Json = False) -> None:
    """Print the verifier key, by which others know the signature of this installation."""
    from gemstead.app.evidence_checks import keys
    from gemstead.cli.output import note, print_json

    found = keys(options.load())
    if json:
        print_json("evidence-keys/1", [{"position": position, "verifier_key": text} for position, text in found])
        return
    for position, text in found[:-1]:
        note(f"from position {position} on: {text}")
    print(found[-1][1])


def rotate_key(dry_run: options.DryRun = False, yes: options.Yes = False, json: options.Json = False) -> None:
    """Sign with a new key from now on; the old one signs it, in the chain, and is destroyed."""
    from gemstead.app import evidence_checks
    from gemstead.cli.output import note, print_json

    loaded = options.load()
    before = evidence_checks.keys(loaded)[-1][1]
    if dry_run:
        note(f"would replace {before}")
        return
    if not yes:
        typer.confirm(f"Replace the signing key {before}?", abort=True, err=True)
    text = evidence_checks.rotated(loaded)
    if json:
        print_json("evidence-key/1", {"verifier_key": text, "before": before})
        return
    note("give the new verifier key to those who have the old one:")
    print(text)


def expire(
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="A span: 365d; without it evidence.keep_days.")
    ] = None,
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Empty the records whose time is over. Their hashes stay, so that all others still verify."""
    from gemstead.app import evidence_checks
    from gemstead.app.evidence_query import moment
    from gemstead.cli.output import note, print_json

    loaded = options.load()
    before_ms = evidence_checks.before_ms(loaded, older_than)
    found = evidence_checks.expirable(loaded, before_ms)
    if found is not None and not dry_run:
        if not yes:
            typer.confirm(f"Empty {found.num} records from before {moment(before_ms)} for good?", abort=True, err=True)
        found = evidence_checks.expired(loaded, before_ms)
    if json:
        print_json("evidence-expired/1", {"expired": found, "is_dry_run": dry_run, "before_ms": before_ms})
    elif found is None:
        note(f"no record is from before {moment(before_ms)}")
    else:
        did = "would empty" if dry_run else "emptied"
        note(f"{did} {found.num} records between the positions {found.first} and {found.last}")
        if not dry_run and not found.is_log_clean:
            note("a reader holds the log of the database open: run it again once that is done, to clear older copies")
