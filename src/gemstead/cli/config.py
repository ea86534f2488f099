"""`gemstead config`: which settings are in force, and where each comes from."""

from __future__ import annotations

from typing import Annotated

import typer

from gemstead.cli import options


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Show the settings in force and where they come from.", no_args_is_help=True)
    group.command("show")(show)
    group.command("path")(path)
    app.add_typer(group, name="config")


def show(
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value comes from.")] = False,
    json: options.Json = False,
) -> None:
    """Print every setting as commented TOML that can be saved as gemstead.toml."""
    from gemstead.cli.output import print_json
    from gemstead.settings.show import as_rows, as_toml

    loaded = options.load()
    if json:
        print_json("config/1", as_rows(loaded))
    else:
        print(as_toml(loaded, has_origin=origin), end="")


def path(json: options.Json = False) -> None:
    """Print where the settings file, models, engines, cache and logs are."""
    from gemstead.cli.output import print_json, print_table

    paths = options.load().paths
    rows = [
        ("settings", paths.settings_file),
        ("models", paths.models),
        ("engines", paths.engines),
        ("cache", paths.cache),
        ("logs", paths.logs),
    ]
    if json:
        print_json("paths/1", {name: str(folder) for name, folder in rows})
    else:
        print_table(("what", "where"), rows)
