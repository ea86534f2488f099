"""`gemstead evidence`: what was recorded, and the proof that it is what was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.app.evidence_query import Filter, Kept

Since = Annotated[str | None, typer.Option("--since", help="Not older than: a span (24h, 7d) or a date (2027-01-31).")]
Until = Annotated[str | None, typer.Option("--until", help="Before: a span that is past, or a date.")]
Kind = Annotated[
    str | None, typer.Option("--kind", help="exchange.closed, or all that begin so: exchange, key, model.")
]
Key = Annotated[str | None, typer.Option("--key", help="A key's id, or its name.")]
Model = Annotated[str | None, typer.Option("--model", "-m", help="A model, or a pattern: gemma4:*.")]
Verdict = Annotated[str | None, typer.Option("--verdict", help="A guard's verdict among those of the exchange.")]
Tool = Annotated[str | None, typer.Option("--tool", help="A tool that was called.")]
Status = Annotated[str | None, typer.Option("--status", help="How it ended: stop, length, error, cancelled ...")]
Exchange = Annotated[str | None, typer.Option("--exchange", help="The id of a request.")]
Actor = Annotated[str | None, typer.Option("--actor", help="The pseudonym of a person (p-...).")]
Position = Annotated[int, typer.Argument(min=0, help="Where the record stands in the chain.")]


def register(app: typer.Typer) -> None:
    from gemstead.cli import evidence_proof

    group = typer.Typer(help="Look into what was recorded; prove it; hand it over.", no_args_is_help=True)
    for name, command in (
        ("list", list_records),
        ("show", show),
        ("verify", evidence_proof.verify),
        ("prove", evidence_proof.prove),
        ("export", export),
        ("checkpoint", evidence_proof.checkpoint),
        ("key", evidence_proof.key),
        ("rotate-key", evidence_proof.rotate_key),
        ("expire", evidence_proof.expire),
    ):
        group.command(name)(command)
    app.add_typer(group, name="evidence")


def list_records(
    since: Since = None,
    until: Until = None,
    kind: Kind = None,
    key: Key = None,
    model: Model = None,
    verdict: Verdict = None,
    tool: Tool = None,
    status: Status = None,
    exchange: Exchange = None,
    actor: Actor = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many, the newest first.")] = 50,
    json: options.Json = False,
) -> None:
    """List records, the newest first."""
    from gemstead.app import evidence_query
    from gemstead.cli.output import note, print_json, print_table

    asked = _filter(since, until, kind, key, model, verdict, tool, status, exchange, actor)
    with evidence_query.opened(options.load()) as connection:
        found = evidence_query.newest(connection, asked, limit + 1)
    some = found[:limit]
    if json:
        print_json("evidence/1", [kept.plain() for kept in some])
        return
    print_table(("position", "time", "kind", "key", "model", "status", "what"), [_row(kept) for kept in some])
    if len(found) > limit:
        note(f"there are more: --limit {limit * 10}, or gemstead evidence export")
    elif not found:
        note("nothing was recorded that is so")


def show(position: Position, json: options.Json = False) -> None:
    """Show one record, what it opens or closes, and the checkpoint that covers it."""
    from gemstead.app import evidence_query
    from gemstead.cli.output import note, print_json, print_table

    with evidence_query.opened(options.load()) as connection:
        shown = evidence_query.shown(connection, position)
    if json:
        other = None if shown.other is None else shown.other.plain()
        print_json(
            "evidence-record/1", {**shown.kept.plain(), "other": other, "checkpoint_size": shown.checkpoint_size}
        )
        return
    for kept in (shown.kept, shown.other):
        if kept is not None:
            record = kept.record()
            rows = [("position", kept.position), ("time", evidence_query.moment(record.get("at_ms")))]
            rows += [(name, _text(value)) for name, value in record.items()]
            print_table(("field", "value"), [*rows, ("hash", kept.hash.hex())])
            print()
    if shown.kept.text is None:
        note("its time was over: only its hash is kept")
    size = shown.checkpoint_size
    note("no checkpoint covers it yet" if size is None else f"the checkpoint of {size} records covers it")


def export(
    since: Since = None,
    until: Until = None,
    kind: Kind = None,
    key: Key = None,
    model: Model = None,
    verdict: Verdict = None,
    tool: Tool = None,
    status: Status = None,
    exchange: Exchange = None,
    actor: Actor = None,
    form: Annotated[str, typer.Option("--format", help="jsonl, or csv for a spreadsheet.")] = "jsonl",
    to: Annotated[Path | None, typer.Option("--to", help="A new file; without it, stdout.")] = None,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", help="A new .zip for an auditor, with proofs and the program to check it."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Write records out, in their order: lines of JSON, CSV, or a signed bundle for an auditor."""
    import time

    from gemstead.app import evidence_bundle, evidence_query
    from gemstead.cli.output import note, print_json

    loaded = options.load()
    asked = _filter(since, until, kind, key, model, verdict, tool, status, exchange, actor)
    options.check_word("--format", form, ["jsonl", "csv"])
    if bundle is None:
        with evidence_query.opened(loaded) as connection:
            number = _write(evidence_query.every(connection, asked), form, to)
        note(f"{number} records{'' if to is None else f' in {to}'}")
        return
    made = evidence_bundle.write_bundle(loaded, asked, bundle, now_ms=round(time.time() * 1000))
    if json:
        print_json("evidence-bundle-made/1", made)
        return
    note(f"{made.path}: {made.num_records} records, {'all there are' if made.is_whole else 'a selection'}")
    note(f"sha256 {made.sha256}; give the verifier key to the auditor over another way:")
    print(made.verifier_key)


def _write(found: Any, form: str, to: Path | None) -> int:
    """Record by record. Returns how many."""
    import csv
    import sys

    from gemstead.app.evidence_query import COLUMNS, cells
    from gemstead.core.errors import RequestInvalid

    number = 0
    try:
        file = sys.stdout if to is None else to.open("x", encoding="utf-8", newline="")
    except OSError as exc:
        raise RequestInvalid(f"{to} cannot be written: {exc.strerror}", param="to", hint="choose a new file") from exc
    try:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\r\n")
        if form == "csv":
            writer.writeheader()
        for kept in found:
            number += 1
            if form == "csv":
                writer.writerow(cells(kept))
            else:
                file.write(_line(kept))
    finally:
        if to is not None:
            file.close()
    return number


def _line(kept: Kept) -> str:
    # The record in its own text, as the bytes of a bundle have it.
    return f'{{"hash":"{kept.hash.hex()}","position":{kept.position},"record":{kept.text or "null"}}}\n'


def _filter(
    since: str | None,
    until: str | None,
    kind: str | None,
    key: str | None,
    model: str | None,
    verdict: str | None,
    tool: str | None,
    status: str | None,
    exchange: str | None,
    actor: str | None,
) -> Filter:
    from gemstead.app import evidence_query

    return evidence_query.Filter(
        since_ms=None if since is None else evidence_query.read_time_ms("--since", since),
        until_ms=None if until is None else evidence_query.read_time_ms("--until", until),
        kind=kind,
        key=None if key is None else evidence_query.key_id(options.load(), key),
        model=model,
        verdict=verdict,
        tool=tool,
        status=status,
        exchange=exchange,
        actor=actor,
    )


def _row(kept: Kept) -> tuple[object, ...]:
    from gemstead.app.evidence_query import moment

    if kept.text is None:
        return kept.position, "", "(its time was over)", "", "", "", ""
    record = kept.record()
    fields = ("kind", "key", "model", "status")
    kind, key, model, status = (_text(record.get(name)) for name in fields)
    return kept.position, moment(record.get("at_ms")), kind, key, model, status, _what(record)


def _what(record: dict[str, Any]) -> str:
    """The one thing to know besides."""
    tokens = record.get("tokens")
    if isinstance(tokens, dict):
        return f"{_text(tokens.get('prompt')) or '?'} + {_text(tokens.get('completion')) or '?'} tokens"
    if record.get("num") is not None:
        return f"{_text(record.get('code') or record.get('reason'))} x {record['num']}".strip()
    return _text(record.get("error") or record.get("why") or record.get("label") or record.get("dialect"))


def _text(value: object) -> str:
    """In one line, without what a terminal would act on: callers choose some of these texts."""
    import json

    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
