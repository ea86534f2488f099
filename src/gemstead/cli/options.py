"""Options that several commands share, and the ones that stand before the command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gemstead.settings.load import Loaded

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Model = Annotated[
    str | None, typer.Option("--model", "-m", help='A model name, or "auto": the best Gemma 4 that fits.')
]
Context = Annotated[int | None, typer.Option("--context", help="Tokens one slot holds, prompt and answer together.")]
Parallel = Annotated[int | None, typer.Option("--parallel", help="Sequences at once (slots).")]
Kv = Annotated[str | None, typer.Option("--kv", help="Precision of the KV cache: f16, q8_0, q4_0 ...")]
Tuned = Annotated[
    bool | None, typer.Option("--tuned/--no-tuned", help="Use what gemstead tune found here, or leave it out.")
]
Speculation = Annotated[
    str | None, typer.Option("--speculation", help="Guess tokens ahead: auto (as tuned), off, ngram, draft.")
]
Thinking = Annotated[bool | None, typer.Option("--thinking/--no-thinking", help="Let the model think first.")]
Fallback = Annotated[
    str | None, typer.Option("--fallback", help="Model to use, and say so, if the chosen one cannot be pulled.")
]
AcceptLicence = Annotated[
    bool, typer.Option("--accept-licence", help="Accept the model's licence, once; it is recorded.")
]
Host = Annotated[
    str | None, typer.Option("--host", help="Address to listen on; beyond loopback only with keys and TLS.")
]
Port = Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")]
Offline = Annotated[bool | None, typer.Option("--offline", help="Open no network connection.")]

_config_file: list[Path] = []
"""The `--config` of this run, at most one: typer hands it to the callback, and commands read it through `load`."""


def register_global(app: typer.Typer) -> None:
    app.callback()(_before_command)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from gemstead import __version__

        print(f"gemstead {__version__}")
        raise typer.Exit(0)


def _before_command(
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings file to read instead of the usual one.")
    ] = None,
    version: Annotated[  # noqa: ARG001 (its callback acts on it)
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    _config_file[:] = [config] if config else []


def load(**flags: Any) -> Loaded:
    """The settings in force, with a command's flags on top: `load(server__port=9000)` sets server.port."""
    from gemstead.settings.load import load_settings

    named = {name.replace("__", "."): value for name, value in flags.items()}
    return load_settings(named, file=_config_file[0] if _config_file else None)


def check_word(option: str, word: str, valid: list[str]) -> None:
    """Raises: NameUnknown if `word` is none of the words that `option` takes."""
    from gemstead.core.errors import NameUnknown

    if word not in valid:
        raise NameUnknown(f"value of {option}", word, valid)


def config_file() -> str | None:
    """The `--config` of this run."""
    return str(_config_file[0]) if _config_file else None


def with_model(loaded: Loaded, model: str) -> Loaded:
    """The same settings with another model."""
    import msgspec

    changed = loaded.settings.model.model_copy(update={"name": model})
    return msgspec.structs.replace(loaded, settings=loaded.settings.model_copy(update={"model": changed}))


def plan_flags(context: int | None, parallel: int | None, kv: str | None) -> dict[str, Any]:
    return {"model__context_length": context, "model__num_slots": parallel, "model__kv_cache_dtype": kv}


def tuned_flags(tuned: bool | None, speculation: str | None) -> dict[str, Any]:
    return {"engine__uses_tuned": tuned, "engine__speculation": speculation}
