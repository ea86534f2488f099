"""`gemstead models`: what is here, what there is, bringing it in and taking it out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemstead.cli import options
from gemstead.cli.models_compare import compare

if TYPE_CHECKING:
    from collections.abc import Callable

    from gemstead.app.setup import Setup
    from gemstead.catalog.manifests import Manifest
    from gemstead.core.progress import Progress

Name = Annotated[str, typer.Argument(help="A model name, such as gemma4:e4b or gemma4:e4b-q8_0.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="List, pull, import, generate, check and remove models.", no_args_is_help=True)
    commands: dict[str, Callable[..., None]] = {
        "list": list_models,
        "show": show,
        "pull": pull,
        "import": import_model,
        "rm": remove,
        "verify": verify,
        "clean": clean,
        "synth": synth,
        "compare": compare,
    }
    for name, command in commands.items():
        group.command(name)(command)
    app.add_typer(group, name="models")


def list_models(
    available: Annotated[bool, typer.Option("--available", help="List what the catalogue has instead.")] = False,
    json: options.Json = False,
) -> None:
    """List the models in the store."""
    from gemstead.cli.output import note, print_json, print_table
    from gemstead.core.units import format_bytes

    store = _setup().store
    if available:
        _list_available(json)
        return
    manifests = store.list()
    if json:
        print_json("models/1", manifests)
        return
    rows = [(m.name, m.quant, format_bytes(m.size_bytes), m.licence or "", m.place) for m in manifests]
    print_table(("name", "quant", "size", "licence", "from"), rows)
    if not rows:
        note("no model is here yet: gemstead up, or gemstead models list --available")


def _list_available(is_json: bool) -> None:
    from gemstead.catalog.entries import load_catalog
    from gemstead.cli.output import print_json, print_table
    from gemstead.core.units import format_bytes

    entries = load_catalog().models
    if is_json:
        print_json("catalogue/1", list(entries))
        return
    rows = [
        (f"{entry.name}-{artefact.tag}", artefact.quant, _size(artefact.size_bytes, format_bytes), artefact.place)
        for entry in entries
        for artefact in entry.choices()
    ]
    print_table(("name", "quant", "size", "from"), rows)


def _size(num_bytes: int | None, show: Any) -> str:
    return "?" if num_bytes is None else show(num_bytes)


def show(name: Name, json: options.Json = False) -> None:
    """Show one model of the store: files, digests, dimensions, licence."""
    from gemstead.app.describe import describe_model
    from gemstead.cli.output import print_json, print_table

    description = describe_model(_setup().store, name)
    if json:
        print_json("model/1", description)
        return
    print_table(("what", "value"), description.rows())


def pull(
    name: Annotated[str, typer.Argument(help="A catalogue name, hf:OWNER/REPO[:QUANT], or the URL of a .gguf file.")],
    mmproj: Annotated[bool, typer.Option("--mmproj", help="Also pull what the model sees and hears with.")] = False,
    accept_licence: options.AcceptLicence = False,
    accept_new_digest: Annotated[
        bool, typer.Option("--accept-new-digest", help="Take the file though its digest changed at the source.")
    ] = False,
    offline: options.Offline = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Bring a model into the store; resumes where a cut pull ended."""
    from gemstead.app.setup import source_options
    from gemstead.catalog.pull import pull_first, requests_for
    from gemstead.cli.output import note, print_json, print_table
    from gemstead.cli.progress import shown_progress
    from gemstead.core.units import format_bytes

    with shown_progress() as progress:
        setup = _setup(progress, sources__is_offline=offline)
        requests = requests_for(
            setup.store, name, with_mmproj=mmproj, accepts_new_digest=accept_new_digest, formats=_formats(setup)
        )
        if dry_run:
            rows = [
                (str(request.name), artefact.place, _size(artefact.size_bytes, format_bytes))
                for request in requests
                for artefact in (request.artefact, *request.companions)
            ]
            print_table(("tried in this order", "from", "size"), rows)
            return
        if accept_licence and requests[0].entry is not None:
            setup.store.accept(setup.store.catalog.licence(requests[0].entry.licence))
        manifest = pull_first(setup.store, requests, source_options(setup.loaded), progress)
    _print_done(manifest, json, print_json, note)


def _formats(setup: Setup) -> tuple[str, ...]:
    return setup.kind.artefact_formats


def _print_done(manifest: Manifest, is_json: bool, print_json: Any, note: Any) -> None:
    if is_json:
        print_json("model/1", manifest)
    else:
        note(f"{manifest.name} is here: gemstead run --model {manifest.name} hello")


def import_model(
    path: Annotated[Path, typer.Argument(help="A GGUF file, one part of a split one, or a folder with one model.")],
    name: Annotated[str, typer.Option("--name", help="What to call it; a catalogue name for a known file.")],
    how: Annotated[
        str, typer.Option("--how", help="copy; link (no second copy); or move (the file given is removed).")
    ] = "copy",
    mmproj: Annotated[Path | None, typer.Option("--mmproj", help="The projector that goes with it.")] = None,
    accept_new_digest: Annotated[
        bool, typer.Option("--accept-new-digest", help="Take a file that differs from the published one.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Take a model file that is already on this machine into the store."""
    from gemstead.catalog.local_import import How, ImportRequest
    from gemstead.catalog.local_import import import_model as take_in
    from gemstead.cli.output import note, print_json
    from gemstead.cli.progress import shown_progress

    ways: dict[str, How] = {"copy": "copy", "link": "link", "move": "move"}
    options.check_word("--how", how, list(ways))
    request = ImportRequest(path, name, ways[how], mmproj, accepts_new_digest=accept_new_digest)
    with shown_progress() as progress:
        manifest = take_in(_setup(progress).store, request, progress)
    _print_done(manifest, json, print_json, note)


def remove(
    names: Annotated[list[str], typer.Argument(help="Models to remove.")],
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Remove models; files that other models use stay."""
    from gemstead.cli.output import note, print_json
    from gemstead.core.units import format_bytes

    store = _setup().store
    removals = [store.remove(name, is_dry_run=dry_run) for name in names]
    if json:
        print_json("removals/1", [{"name": r.manifest.name, "freed_bytes": r.freed_bytes} for r in removals])
        return
    for removal in removals:
        note(f"{'would remove' if dry_run else 'removed'} {removal.manifest.name}: {format_bytes(removal.freed_bytes)}")


def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Models to check; none: every one.")] = None,
    json: options.Json = False,
) -> None:
    """Read every file through and compare it with its digest."""
    from gemstead.cli.output import note, print_json
    from gemstead.cli.progress import shown_progress

    with shown_progress() as progress:
        store = _setup(progress).store
        wanted = names or [manifest.name for manifest in store.list()]
        checked = [store.verify(name, progress) for name in wanted]
    if json:
        print_json("verified/1", [{"name": manifest.name, "is_intact": True} for manifest in checked])
    else:
        note(f"{len(checked)} checked, all intact")


def clean(dry_run: options.DryRun = False, json: options.Json = False) -> None:
    """Remove what no model needs: cut pulls, quarantine, bytes without a record."""
    from gemstead.catalog.clean import clean_store
    from gemstead.cli.output import note, print_json
    from gemstead.core.units import format_bytes

    cleaning = clean_store(_setup().store, is_dry_run=dry_run)
    if json:
        print_json("cleaning/1", cleaning)
        return
    for path in cleaning.removed:
        print(path)
    what = f"{len(cleaning.removed)} leftovers, {format_bytes(cleaning.freed_bytes)}"
    note(f"{'would remove' if dry_run else 'removed'} {what}")
    if cleaning.kept:
        note(f"{len(cleaning.kept)} stay: something is being fetched just now")


def synth(
    name: Annotated[str, typer.Argument(help="A Gemma 4 variant, such as gemma4:e2b.")],
    quant: Annotated[str, typer.Option("--quant", help="q4_0, q4_k_m, q8_0, bf16 ...")] = "q4_0",
    tiny: Annotated[bool, typer.Option("--tiny", help="Every feature at toy size: a few MB.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same bytes.")] = 0,
    json: options.Json = False,
) -> None:
    """Generate a model of the exact shapes, with weights that mean nothing: will it run here, and how fast?"""
    from gemstead.app.synthesize import synthesize
    from gemstead.cli.output import note, print_json
    from gemstead.cli.progress import shown_progress

    with shown_progress() as progress:
        manifest = synthesize(_setup(progress), name, quant, is_tiny=tiny, seed=seed)
    _print_done(manifest, json, print_json, note)


def _setup(progress: Progress | None = None, **flags: Any) -> Setup:
    from gemstead.app.setup import make_setup
    from gemstead.cli.output import note
    from gemstead.core.progress import no_progress

    return make_setup(options.load(**flags), progress=progress or no_progress, say=note)
