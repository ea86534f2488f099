"""`gemstead keys`: who may use the models. A new key is shown once, alone on stdout."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemstead.cli import options
from gemstead.core.moments import utc_text

if TYPE_CHECKING:
    from gemstead.access.keys import NewKey
    from gemstead.access.records import KeyRecord

Which = Annotated[str, typer.Argument(help="The key's id, or its name.")]
To = Annotated[Path | None, typer.Option("--to", help="Write the key to this new file, readable by you alone.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Make, list, rotate and revoke access keys.", no_args_is_help=True)
    for name, command in (
        ("create", create),
        ("list", list_keys),
        ("show", show),
        ("rotate", rotate),
        ("revoke", revoke),
        ("failures", failures),
    ):
        group.command(name)(command)
    app.add_typer(group, name="keys")


def create(
    name: Annotated[str, typer.Option("--name", help="What the key is called in listings.")],
    owner: Annotated[str, typer.Option("--owner", help="The person or team it is for.")] = "",
    group: Annotated[list[str] | None, typer.Option("--group", help="A group of the policy; several: a,b.")] = None,
    expires: Annotated[
        str, typer.Option("--expires", help="A span (90d, 12h), a date (2027-01-31), or never.")
    ] = "90d",
    scopes: Annotated[
        list[str] | None, typer.Option("--scopes", help="use: ask models; metrics: read them; admin: change models.")
    ] = None,
    models: Annotated[list[str] | None, typer.Option("--models", help="Patterns it is limited to: gemma4:*.")] = None,
    tools: Annotated[list[str] | None, typer.Option("--tools", help="Patterns of tools it is limited to.")] = None,
    labels: Annotated[list[str] | None, typer.Option("--labels", help="Data labels it is limited to.")] = None,
    quota: Annotated[
        list[str] | None, typer.Option("--quota", help="A limit: tokens_per_day=100000; may be given several times.")
    ] = None,
    to: To = None,
    json: options.Json = False,
) -> None:
    """Make a key. It is shown this once: the database keeps only a hash of it."""
    import time

    from gemstead.access.records import KeyFields
    from gemstead.app import keys

    fields = KeyFields(
        name=keys.read_name("--name", name),
        owner=keys.read_name("--owner", owner) if owner else "",
        groups=keys.read_words("--group", group or []),
        scopes=keys.read_scopes(scopes or ["use"]),
        models=keys.read_words("--models", models or []),
        tools=keys.read_words("--tools", tools or []),
        labels=keys.read_words("--labels", labels or []),
        quota=keys.read_quota(quota or []),
        expires_at_s=keys.read_moment(expires),
    )
    target = _Target(to)
    with keys.key_store(options.load()) as store:
        key, record = store.create(fields, now_s=time.time(), created_by=keys.this_user())
    target.give(key, record, is_json=json)


def list_keys(
    every: Annotated[bool, typer.Option("--all", help="Those that are revoked or expired, too.")] = False,
    json: options.Json = False,
) -> None:
    """List the keys."""
    import time

    from gemstead.app.keys import key_store
    from gemstead.cli.output import note, print_json, print_table

    now_s = time.time()
    with key_store(options.load()) as store:
        found = store.list()
    records = [record for record in found if every or record.state(now_s) == "active"]
    if json:
        print_json("keys/1", [_plain(record, now_s) for record in records])
        return
    headers = ("id", "name", "owner", "groups", "scopes", "state", "ends", "last used")
    print_table(headers, [_row(record, now_s) for record in records])
    if len(records) < len(found):
        note(f"{len(found) - len(records)} more are revoked or expired: --all")
    if not found:
        note("no keys yet: everybody on this machine may ask (gemstead keys create --name NAME)")


def show(which: Which, json: options.Json = False) -> None:
    """Show what a key may do. The key itself is nowhere to be shown from."""
    import time

    from gemstead.app.keys import key_store
    from gemstead.cli.output import print_json, print_table

    now_s = time.time()
    with key_store(options.load()) as store:
        record = store.find(which)
    plain = _plain(record, now_s)
    if json:
        print_json("key/1", plain)
        return
    print_table(("field", "value"), [(name, _text(value)) for name, value in plain.items()])


def rotate(
    which: Which,
    overlap: Annotated[str, typer.Option("--overlap", help="How long the old key goes on: 24h, 30m, 0.")] = "24h",
    to: To = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Make a key with the same rights, and let the old one end."""
    import time

    from gemstead.app import keys
    from gemstead.cli.output import note
    from gemstead.core.errors import RequestInvalid

    try:
        overlap_s = keys.read_span_s(overlap)
    except ValueError as exc:
        raise RequestInvalid(f"--overlap {overlap[:40]!r} is no span", param="overlap", hint="--overlap 24h") from exc
    target = _Target(to)
    with keys.key_store(options.load()) as store:
        old = store.find(which)
        if dry_run:
            note(f"would make a new key like {old.id} ({old.fields.name}), and end that one after {overlap}")
            return
        key, record = store.rotate(old.id, overlap_s=overlap_s, now_s=time.time(), created_by=keys.this_user())
    note(f"{old.id} ends {'now' if not overlap_s else f'in {overlap}'}")
    target.give(key, record, is_json=json)


def revoke(which: Which, dry_run: options.DryRun = False, json: options.Json = False) -> None:
    """End a key, at once and for good; running servers know within a second."""
    import time

    from gemstead.app.keys import key_store
    from gemstead.cli.output import note, print_json

    with key_store(options.load()) as store:
        record = store.find(which)
        if not dry_run:
            record = store.revoke(record.id, now_s=time.time())
    if json:
        print_json("key/1", _plain(record, time.time()))
    else:
        note(f"{'would revoke' if dry_run else 'revoked'} {record.id} ({record.fields.name})")


def failures(
    since: Annotated[str, typer.Option("--since", help="How far back: 24h, 7d.")] = "7d", json: options.Json = False
) -> None:
    """Show failed sign-ins, by hour, network and reason."""
    import time

    from gemstead.app import keys
    from gemstead.cli.output import print_json, print_table
    from gemstead.core.errors import RequestInvalid

    try:
        since_s = time.time() - keys.read_span_s(since)
    except ValueError as exc:
        raise RequestInvalid(f"--since {since[:40]!r} is no span", param="since", hint="--since 7d") from exc
    rows = keys.failures(options.load(), since_s)
    if json:
        print_json("sign-in-failures/1", rows)
    else:
        cells = [(utc_text(row.hour_s), row.network or "-", row.reason, row.number) for row in rows]
        print_table(("hour", "network", "reason", "number"), cells)


class _Target:
    """Where a new key goes. Looked at before the key is made: one that cannot be given would be lost."""

    def __init__(self, path: Path | None) -> None:
        from gemstead.core.errors import RequestInvalid

        self._path = path
        if path is not None and path.exists():
            raise RequestInvalid(f"{path} exists", param="to", hint="choose a new file")
        if path is not None and not path.parent.is_dir():
            raise RequestInvalid(f"the folder {path.parent} does not exist", param="to")

    def give(self, key: NewKey, record: KeyRecord, *, is_json: bool) -> None:
        """stdout has the key and nothing else, so that it can be piped; notes go to stderr."""
        import os
        import time

        from gemstead.cli.output import note, print_json

        plain = _plain(record, time.time())
        if self._path is not None:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(f"{key.text}\n")
            note(f"key {key.id} ({record.fields.name}) written to {self._path}")
            if is_json:
                print_json("key/1", plain)
            return
        if is_json:
            print_json("new-key/1", {**plain, "key": key.text})
            return
        note(f"key {key.id} ({record.fields.name}), {_ends(record)}; shown this once:")
        print(key.text)
        sys.stdout.flush()


def _text(value: Any) -> str:
    if isinstance(value, dict):
        value = [f"{name}={number}" for name, number in value.items()]
    return (" ".join(value) if isinstance(value, list | tuple) else str(value or "")) or "-"


def _row(record: KeyRecord, now_s: float) -> tuple[str, ...]:
    fields = record.fields
    end_s = record.end_s()
    used_s = record.last_used_at_s
    return (
        record.id,
        fields.name,
        fields.owner or "-",
        ",".join(fields.groups) or "-",
        ",".join(fields.scopes) or "-",
        record.state(now_s),
        "never" if end_s is None else utc_text(end_s),
        "never" if used_s is None else utc_text(used_s),
    )


def _plain(record: KeyRecord, now_s: float) -> dict[str, Any]:
    """As `--json` shows it; moments as ISO 8601."""
    import msgspec

    own: dict[str, Any] = msgspec.to_builtins(record)
    fields = own.pop("fields")
    plain = {"id": own.pop("id"), "state": record.state(now_s), **fields, **own}
    moments = {name: value for name, value in plain.items() if name.endswith("_at_s")}
    for name, value in moments.items():
        plain[name.removesuffix("_s")] = None if value is None else utc_text(value)
        del plain[name]
    return plain


def _ends(record: KeyRecord) -> str:
    end_s = record.end_s()
    return "never expires" if end_s is None else f"ends {utc_text(end_s)}"
