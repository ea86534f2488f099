"""`gemstead backup`: everything but models in one sealed file; made while a server runs, looked at before it counts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.app.backup_seal import Opener, Sealer

File = Annotated[Path, typer.Argument(help="The backup.")]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="A private file with the passphrase, 16 characters or more.")
]
IdentityFile = Annotated[
    Path | None,
    typer.Option("--identity", help="A private file with the private key (gemstead backup key, age-keygen)."),
]
ContentKeys = Annotated[
    Path | None,
    typer.Option("--content-keys", help="The file with the keys of kept prompts and replies, apart from backups."),
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Back up keys, limits, evidence, content, secrets, settings.", no_args_is_help=True)
    for name, command in (
        ("create", create),
        ("list", list_backups),
        ("check", check),
        ("key", key),
        ("keys", keys),
    ):
        group.command(name)(command)
    app.add_typer(group, name="backup")


def create(
    file: Annotated[Path, typer.Argument(help="The new file (convention: NAME.tar.gz.age).")],
    to: Annotated[list[str] | None, typer.Option("--to", help="A public key (age1...) it is sealed to.")] = None,
    identity: IdentityFile = None,
    passphrase_file: PassphraseFile = None,
    content_keys: ContentKeys = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Make a backup. With --identity or a passphrase it is opened again and checked; --to alone leaves no way to."""
    from gemstead.app import backup
    from gemstead.cli.output import note, print_json
    from gemstead.core.units import format_bytes

    order = backup.Order(file, *_locks(to or [], identity, passphrase_file), content_keys)
    loaded = options.load()
    if dry_run:
        planned = backup.plan_backup(loaded, order)
        if json:
            print_json("backup-plan/1", planned)
            return
        for name, num_bytes in planned.files:
            note(f"would take {name} ({format_bytes(num_bytes)})")
        _print_left_out(planned.left_out)
        return
    made = backup.create_backup(loaded, order)
    if json:
        print_json("backup/1", made)
        return
    looked = "opened again and checked" if made.is_checked else "checked before it was sealed"
    note(f"{made.path}: {format_bytes(made.num_bytes)}, {looked}, sha256 {made.sha256}")
    _print_left_out(made.left_out)


def list_backups(json: options.Json = False) -> None:
    """List the backups that were made here, and whether they are still where they were put."""
    from gemstead.app import backup
    from gemstead.cli.output import note, print_json, print_table
    from gemstead.core.units import format_bytes

    found = backup.list_backups(options.load())
    states = [_state(one.path, one.num_bytes) for one in found]
    if json:
        import msgspec

        print_json(
            "backups/1", [{**msgspec.to_builtins(one), "state": s} for one, s in zip(found, states, strict=True)]
        )
        return
    rows = [
        (one.made_at, one.path, format_bytes(one.num_bytes), "yes" if one.has_content else "no", state)
        for one, state in zip(found, states, strict=True)
    ]
    print_table(("made", "file", "size", "content", "state"), rows)
    if not found:
        note("no backup yet: gemstead backup create FILE --passphrase-file FILE")


def check(
    file: File,
    identity: IdentityFile = None,
    passphrase_file: PassphraseFile = None,
    json: options.Json = False,
) -> None:
    """Open a backup and look at it as a restore would: every file, every database, the chain of the evidence."""
    from gemstead.app.backup import check_backup
    from gemstead.cli.output import note, print_json, print_table
    from gemstead.core.units import format_bytes

    manifest = check_backup(options.load(), file, opener_of(identity, passphrase_file))
    if json:
        print_json("backup-check/1", manifest)
        return
    print_table(("file", "size", "sha256"), [(f.name, format_bytes(f.num_bytes), f.sha256) for f in manifest.files])
    note(f"{file} is good: made {manifest.made_at} by {manifest.made_by}")
    _print_left_out(manifest.left_out)


def key(
    to: Annotated[Path, typer.Option("--to", help="Write the private key to this new file.")],
    json: options.Json = False,
) -> None:
    """Make a key pair for backups: the private key to a file, to be kept elsewhere; the public one is printed."""
    import os

    from gemstead.app.backup_seal import new_identity
    from gemstead.cli.output import note, print_json
    from gemstead.core.errors import RequestInvalid

    private, public = new_identity()
    try:
        descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as exc:
        raise RequestInvalid(f"{to} exists", param="to", hint="choose a new file") from exc
    with os.fdopen(descriptor, "w") as written:
        written.write(f"# public key: {public}\n{private}\n")
    if json:
        print_json("backup-key/1", {"public_key": public, "file": str(to)})
        return
    note(f"the private key is in {to}: keep it where this machine's backups are not; the public key:")
    print(public)


def keys(
    file: Annotated[Path, typer.Argument(help="The key file; what it had is replaced.")],
    forget: Annotated[
        bool, typer.Option("--forget", help="Write nothing: this file is no more, erasures need not reach it.")
    ] = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Write the keys of kept prompts and replies anew: the file that the content of every backup is opened with."""
    from gemstead.app.backup import forget_content_keys, write_content_keys
    from gemstead.cli.output import note, print_json

    if dry_run:
        note(f"would {'forget' if forget else 'write'} {file}")
        return
    if forget:
        forget_content_keys(options.load(), file)
        note(f"{file} is not written any more")
        return
    num = write_content_keys(options.load(), file)
    if json:
        print_json("content-keys/1", {"file": str(file), "num_subjects": num})
    else:
        note(f"the keys of {num} people written to {file}; erasing one writes it anew")


def opener_of(identity: Path | None, passphrase_file: Path | None) -> Opener:
    """Raises: RequestInvalid unless one of the two is given; SettingInvalid if it cannot be read."""
    from gemstead.app.backup_seal import Opener, read_secret
    from gemstead.core.errors import RequestInvalid

    if (identity is None) == (passphrase_file is None):
        raise RequestInvalid("say what opens the backup", hint="--passphrase-file FILE, or --identity FILE")
    if identity is not None:
        return Opener(identity=read_secret(identity, "the private key"))
    assert passphrase_file is not None, "one of the two is given"
    return Opener(passphrase=read_secret(passphrase_file, "the passphrase file"))


def _locks(to: list[str], identity: Path | None, passphrase_file: Path | None) -> tuple[Sealer, Opener | None]:
    """How a new backup is sealed, and with what it can be opened here."""
    from gemstead.app.backup_seal import Sealer, public_of
    from gemstead.core.errors import RequestInvalid

    if to and passphrase_file is not None:
        raise RequestInvalid("a backup is sealed to keys or with a passphrase, not both", hint="leave --to out")
    if to and identity is None:
        return Sealer(recipients=tuple(to)), None
    opener = opener_of(identity, passphrase_file)
    if opener.identity is None:
        return Sealer(passphrase=opener.passphrase), opener
    return Sealer(recipients=(*to, public_of(opener.identity))), opener


def _state(path: str, num_bytes: int) -> str:
    """There, gone, or another size than it had: whether it is good, `backup check` says."""
    found = Path(path)
    if not found.is_file():
        return "gone"
    return "there" if found.stat().st_size == num_bytes else "changed"


def _print_left_out(left_out: tuple[str, ...]) -> None:
    from gemstead.cli.output import note

    for sentence in left_out:
        note(f"not in it: {sentence}")
