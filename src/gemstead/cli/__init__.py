"""The command line: one file per command; it parses, calls one function, prints. The only room that prints or exits."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

COMMANDS = (
    *("up", "run", "chat", "models", "plan", "hardware", "engine", "serve", "ps", "stop", "bench", "tune"),
    *("doctor", "cost", "keys", "policy", "guard", "evidence", "subject", "backup", "restore", "report", "config"),
)
"""In the order in which `--help` lists them; each is a module here that offers `register(app)`."""


def main() -> None:
    """Entry point of the `gemstead` command; exits with a documented code and never with a traceback."""
    sys.exit(run(sys.argv[1:]))


def run(argv: list[str]) -> int:
    """Parse `argv`, run the command, print what went wrong if something did; returns the exit code."""
    from gemstead.cli.errors import exit_code_of, guarded

    with guarded() as outcome:
        outcome.code = exit_code_of(_app()(argv, standalone_mode=False, prog_name="gemstead"))
    return outcome.code


def _app() -> typer.Typer:
    import typer

    app = typer.Typer(
        help="Run Gemma 4 on machines you control, behind one governed door.",
        epilog="Start with: gemstead up   (docs: README.md, docs/)",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in COMMANDS:
        import_module(f"gemstead.cli.{name}").register(app)
    import_module("gemstead.cli.options").register_global(app)
    return app
