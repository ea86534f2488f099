"""`gemstead restore`: a backup back into a fresh data folder, whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemstead.cli import options
from gemstead.cli.backup import ContentKeys, File, IdentityFile, PassphraseFile, opener_of

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer) -> None:
    app.command("restore")(restore)


def restore(
    file: File,
    identity: IdentityFile = None,
    passphrase_file: PassphraseFile = None,
    content_keys: ContentKeys = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Bring a backup back into a data folder that has none of it yet; it is opened and checked first."""
    from gemstead.app.restore import restore as restore_backup
    from gemstead.cli.output import note, print_json

    opener = opener_of(identity, passphrase_file)
    done = restore_backup(options.load(), file, opener, content_keys=content_keys, is_dry_run=dry_run)
    if json:
        print_json("restored/1", done)
        return
    manifest = done.manifest
    if done.is_finished:
        note(f"a restore that had been cut off is finished now; {file} was not looked at")
    note(f"{'would restore' if dry_run else 'restored'} {len(manifest.files)} files of {manifest.made_at}")
    if manifest.has_content and not done.has_content:
        note("not restored: kept prompts and replies (--content-keys FILE has their keys)")
    if done.num_lost:
        note(f"{done.num_lost} people have been erased since: nothing of theirs came back")
    for sentence in manifest.left_out:
        note(f"not in it: {sentence}")
