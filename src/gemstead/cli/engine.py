"""`gemstead engine`: which engines there are, which is installed, installing one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.app.setup import Setup
    from gemstead.core.progress import Progress

Kind = Annotated[str | None, typer.Argument(help="The engine; none: the one in the settings.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="List, install and show inference engines.", no_args_is_help=True)
    group.command("list")(list_engines)
    group.command("install")(install)
    group.command("show")(show)
    app.add_typer(group, name="engine")


def list_engines(json: options.Json = False) -> None:
    """List the engines gemstead can run, and where each is."""
    from gemstead.app.setup import KINDS
    from gemstead.cli.output import print_json, print_table
    from gemstead.core.plugins import plugin_names

    rows = [_state(name) for name in plugin_names(KINDS)]
    if json:
        print_json("engines/1", rows)
    else:
        headers = ("name", "engine", "formats", "state", "program")
        print_table(headers, [[row[key] for key in ("name", "title", "formats", "state", "program")] for row in rows])


def _state(name: str) -> dict[str, Any]:
    from gemstead.app.setup import find_engine
    from gemstead.core.errors import EngineMissing

    setup = _setup(name)
    try:
        found = find_engine(setup)
    except EngineMissing as exc:
        state, program = f"broken: {exc.what}", None
    else:
        state = f"{found.version}, {found.origin}" if found else "not installed"
        program = str(found.program) if found else None
    formats = " ".join(setup.kind.artefact_formats)
    return {"name": name, "title": setup.kind.title, "formats": formats, "state": state, "program": program}


def install(kind: Kind = None, json: options.Json = False) -> None:
    """Install an engine; at once if it is there. llama.cpp is built from source, which takes minutes."""
    from gemstead.cli.output import note, print_json
    from gemstead.cli.progress import shown_progress

    with shown_progress() as progress:
        setup = _setup(kind, progress)
        installation = setup.kind.install(setup.loaded.paths.engines, setup.loaded.environ, progress)
    if json:
        print_json("engine/1", installation)
    else:
        note(f"{setup.kind.title} {installation.version} is at {installation.program}")


def show(kind: Kind = None, json: options.Json = False) -> None:
    """Show the engine in use: version, program, digest, what it can do."""
    from gemstead.app.setup import find_engine
    from gemstead.cli.output import print_json, print_table
    from gemstead.core.errors import EngineMissing

    setup = _setup(kind)
    found = find_engine(setup)
    if found is None:
        raise EngineMissing(f"{setup.kind.title} is not installed", hint="gemstead engine install")
    if json:
        print_json("engine/1", {"installation": found, "capabilities": setup.kind.capabilities})
        return
    rows = [
        ("engine", f"{setup.kind.title} {found.version}"),
        ("licence", setup.kind.licence),
        ("program", found.program),
        ("how", found.origin),
        ("sha256", found.digest or "unknown"),
        ("extra flags allowed", " ".join(setup.kind.allowed_args)),
    ]
    print_table(("what", "value"), rows)


def _setup(kind: str | None, progress: Progress | None = None) -> Setup:
    from gemstead.app.setup import make_setup
    from gemstead.core.progress import no_progress

    return make_setup(options.load(engine__kind=_plugin_name(kind)), progress=progress or no_progress)


def _plugin_name(kind: str | None) -> str | None:
    """`llama.cpp` and `llama-cpp` mean `llama_cpp`."""
    return kind.lower().replace(".", "_").replace("-", "_") if kind else None
