"""Where gemstead keeps its files. `GEMSTEAD_DATA_DIR` moves everything below one folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

DATA_DIR_VARIABLE = "GEMSTEAD_DATA_DIR"


class Paths(msgspec.Struct, frozen=True):
    """`data`: models and engines. `cache`: may be deleted. `state`: what runs, logs. `config`: settings."""

    data: Path
    cache: Path
    state: Path
    config: Path

    @property
    def models(self) -> Path:
        return self.data / "models"

    @property
    def engines(self) -> Path:
        return self.data / "engines"

    @property
    def database(self) -> Path:
        """Keys, limits, versions of the policy."""
        return self.data / "gemstead.db"

    @property
    def evidence(self) -> Path:
        """What happened: a database of its own, so that no other work waits for it and it can be kept apart."""
        return self.data / "evidence.db"

    @property
    def content(self) -> Path:
        """What was said, encrypted, where the policy keeps it at all."""
        return self.data / "content.db"

    @property
    def secrets(self) -> Path:
        """Private files that open or sign something."""
        return self.data / "secrets"

    @property
    def servers(self) -> Path:
        """One record per running server, and the private folders of their engines' sockets."""
        return self.state / "servers"

    @property
    def chat_history(self) -> Path:
        """What was typed into `gemstead chat`, to be called up again with the arrow keys."""
        return self.state / "chat_history"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def settings_file(self) -> Path:
        return self.config / "gemstead.toml"


def resolve_paths(environ: Mapping[str, str]) -> Paths:
    """The folders for this user; none is created here."""
    if root := environ.get(DATA_DIR_VARIABLE):
        base = Path(root).expanduser().absolute()
        return Paths(data=base, cache=base / "cache", state=base / "state", config=base)
    from platformdirs import PlatformDirs

    dirs = PlatformDirs("gemstead", appauthor=False)
    return Paths(
        data=dirs.user_data_path, cache=dirs.user_cache_path, state=dirs.user_state_path, config=dirs.user_config_path
    )
