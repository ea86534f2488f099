"""`gemstead subject`: what is kept of a person's prompts and replies: seen, handed out, destroyed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemstead.cli import options
from gemstead.core.moments import utc_text

if TYPE_CHECKING:
    from gemstead.app.erasure import Erasure
    from gemstead.evidence.vault.vault import KeptSubject

Which = Annotated[str, typer.Argument(help="An id (s-...), an owner of keys, OWNER/USER, or a USER of requests.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Show, export and erase what is kept of a person.", no_args_is_help=True)
    for name, command in (
        ("list", list_subjects),
        ("show", show),
        ("export", export),
        ("erase", erase),
        ("expire", expire),
    ):
        group.command(name)(command)
    app.add_typer(group, name="subject")


def list_subjects(json: options.Json = False) -> None:
    """List the people of whom prompts and replies are kept."""
    from gemstead.app import subjects
    from gemstead.cli.output import note, print_json, print_table
    from gemstead.core.units import format_bytes

    found = subjects.list_subjects(options.load())
    if json:
        print_json("subjects/1", [_plain(one) for one in found])
        return
    rows = [
        (one.id, one.subject, one.num, format_bytes(one.num_bytes), _day(one.first_at_ms), _day(one.last_at_ms))
        for one in found
    ]
    print_table(("id", "subject", "texts", "size", "oldest", "newest"), rows)
    if not found:
        note("nothing is kept: a rule of the policy has to say so (keeps_content = true)")


def show(which: Which, json: options.Json = False) -> None:
    """Show what there is of one person, without the texts themselves."""
    from gemstead.app.subjects import held
    from gemstead.cli.output import note, print_json, print_table
    from gemstead.core.units import format_bytes

    found = held(options.load(), which)
    contents = [
        {
            "exchange": one.place.exchange,
            "at": _moment(one.place.at_ms),
            "label": one.place.label,
            "expires_at": _moment(one.expires_at_ms),
            "num_bytes": len(one.ciphertext),
            "sha256": one.sha256,
        }
        for one in found.contents
    ]
    keys = [key.id for key in found.keys]
    if json:
        own = {**_plain(found.kept), "keys": keys, "num_records": found.num_records}
        print_json("subject/1", {**own, "contents": contents})
        return
    rows = [
        (one["exchange"], one["at"], one["label"], one["expires_at"], format_bytes(len(kept.ciphertext)))
        for one, kept in zip(contents, found.contents, strict=True)
    ]
    print_table(("exchange", "at", "label", "kept until", "size"), rows)
    note(f"{found.kept.subject} ({found.kept.id}): {_all_of(len(rows), found.num_records, len(keys))}")


def export(
    which: Which,
    to: Annotated[Path, typer.Option("--to", help="Write the export to this new file, readable by you alone.")],
    json: options.Json = False,
) -> None:
    """Write everything of one person to a JSON file: texts, records, keys."""
    from gemstead.app import subjects
    from gemstead.cli.output import note, print_json

    found = subjects.export(options.load(), which, to)
    if json:
        counts = {"contents": len(found.contents), "records": found.num_records, "keys": len(found.keys)}
        print_json("subject-exported/1", {"subject": found.kept.id, "file": str(to), **counts})
        return
    note(f"{_all_of(len(found.contents), found.num_records, len(found.keys))} written to {to}")


def erase(
    which: Which,
    below: Annotated[
        bool, typer.Option("--below", help="With everybody whom requests with this owner's keys named.")
    ] = False,
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> int:
    """Destroy a person's key and everything that was kept under it. For good."""
    from gemstead.app.erasure import erase as erase_subject
    from gemstead.app.erasure import would_erase
    from gemstead.cli.output import note, print_json

    loaded = options.load()
    found = would_erase(loaded, which, has_below=below)
    if not dry_run:
        if not yes:
            note(_sentence(found))
            typer.confirm("Destroy this for good?", abort=True, err=True)
        found = erase_subject(loaded, which, has_below=below)
    if json:
        print_json("erasure/1", {**_built(found), "is_complete": found.is_complete})
    else:
        _print_erasure(found)
    return 0 if found.is_dry_run or found.is_complete else 4


def expire(
    label: Annotated[str | None, typer.Option("--label", help="Only texts with this data label.")] = None,
    older_than: Annotated[
        int | None, typer.Option("--older-than", min=0, help="Days: these go too, before their time.")
    ] = None,
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Remove what has been kept long enough; a running server does that by itself, every minute."""
    from gemstead.access.policy_file import LABELS
    from gemstead.app.retention import expire as remove_due
    from gemstead.cli.output import note, print_json

    if label is not None:
        options.check_word("--label", label, list(LABELS))
    loaded = options.load()
    found = remove_due(loaded, label=label, older_than_days=older_than, is_dry_run=True)
    if not dry_run and found.num:
        if older_than is not None and not yes:
            note(f"{_number(found.num, 'text')} would go")
            typer.confirm("Destroy them for good?", abort=True, err=True)
        found = remove_due(loaded, label=label, older_than_days=older_than)
    if json:
        print_json("content-expired/1", {**_built(found), "num": found.num, "is_dry_run": dry_run})
        return
    words = ", ".join(f"{number} {name or 'unlabelled'}" for name, number in sorted(found.labels.items()))
    note(f"{'would remove' if dry_run else 'removed'} {_number(found.num, 'text')}{f': {words}' if words else ''}")


def _print_erasure(found: Erasure) -> None:
    from gemstead.cli.output import note

    note(_sentence(found))
    if found.num_below:
        note(f"left: {found.num_below} subjects that requests with these keys named (--below)")
    for file in found.key_files:
        state = (
            "would be written anew" if found.is_dry_run else f"NOT written anew: {file.why}" if file.why else "renewed"
        )
        note(f"key file for backups {file.path}: {state}")
    for server in found.servers:
        state = "would forget" if found.is_dry_run else "has forgotten" if server.has_forgotten else "has NOT forgotten"
        note(f"server {server.pid} on port {server.port}: {state} what it and its engine had in memory")
    for sentence in found.left:
        note(f"not reached: {sentence}")
    if not found.is_dry_run and not found.is_scrubbed:
        note("the database's log is in use; it is emptied with the next expiry or erasure")


def _sentence(found: Erasure) -> str:
    verb = "would destroy" if found.is_dry_run else "destroyed"
    people = "" if found.num_subjects == 1 else f" of {found.num_subjects} people"
    keys = "the key" if found.num_subjects == 1 else "their keys"
    return f"{verb} {_number(found.num_texts, 'text')}{people} and {keys}: {found.name} ({found.subject})"


def _all_of(num_texts: int, num_records: int, num_keys: int) -> str:
    return f"{_number(num_texts, 'text')}, {_number(num_records, 'record')}, {_number(num_keys, 'key')}"


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _plain(one: KeptSubject) -> dict[str, Any]:
    return {
        "id": one.id,
        "owner": one.subject.owner,
        "user": one.subject.user,
        "num_texts": one.num,
        "num_bytes": one.num_bytes,
        "oldest_at": None if one.first_at_ms is None else _moment(one.first_at_ms),
        "newest_at": None if one.last_at_ms is None else _moment(one.last_at_ms),
        "num_below": one.num_below,
    }


def _built(value: Any) -> dict[str, Any]:
    import msgspec

    built: dict[str, Any] = msgspec.to_builtins(value)
    return built


def _day(at_ms: int | None) -> str:
    return "-" if at_ms is None else _moment(at_ms)[:10]


def _moment(at_ms: int) -> str:
    return utc_text(at_ms / 1000)
