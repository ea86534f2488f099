"""What would be started, without starting it."""

from __future__ import annotations

from pathlib import Path

from gemstead.app.choose import choose
from gemstead.app.setup import Setup, find_engine, this_machine
from gemstead.core.errors import EngineMissing, ModelMissing
from gemstead.engines.base import Endpoint
from gemstead.engines.extra_args import check_extra_args


def engine_command(setup: Setup) -> tuple[str, ...]:
    """The engine's exact arguments. The socket's name is a stand-in: a new one is made at each start.

    Raises: EngineMissing or ModelMissing if something would have to be fetched first; as `choose`.
    """
    installation = find_engine(setup)
    if installation is None:
        raise EngineMissing(f"{setup.kind.title} is not installed", hint="gemstead engine install")
    choice = choose(setup, this_machine(setup.loaded), setup.loaded.settings.model.name)
    if choice.plan is None or choice.requests:
        raise ModelMissing(f"{choice.model} is not in the store", hint=f"gemstead models pull {choice.model}")
    endpoint = Endpoint(api_key="", socket_path=Path("engine.sock"))
    command = setup.kind.command(choice.plan, installation, endpoint)
    return (*command.argv, *check_extra_args(setup.kind.allowed_args, setup.loaded.settings.engine.extra_args))
