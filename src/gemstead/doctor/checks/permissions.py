"""Who may read and write our folders, the settings file and the engines' sockets."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gemstead.doctor.check import Check
from gemstead.doctor.finding import Finding
from gemstead.doctor.subject import Subject

OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
OTHERS_MAY_ANYTHING = stat.S_IRWXG | stat.S_IRWXO


def look(subject: Subject) -> Iterator[Finding]:
    if not hasattr(os, "getuid"):
        yield Finding("note", "permissions are looked at on Linux and macOS only")
        return
    complaints = [*_look_at_folders(subject), *_look_at_sockets(subject), *_look_at_settings(subject)]
    yield from complaints
    if not complaints:
        yield Finding("ok", "only this user can write our folders and reach the engines' sockets")


def _look_at_folders(subject: Subject) -> Iterator[Finding]:
    """Who can replace a program or weights runs code as this user, or answers in the model's name."""
    paths = subject.loaded.paths
    folders = (paths.data, paths.models, paths.models / "blobs", paths.engines, paths.config, paths.servers)
    for folder in dict.fromkeys(folders):
        found = _status(folder)
        if found is None:
            continue
        if found.st_uid != os.getuid():
            fix = f"sudo chown -R $USER {folder}"
            yield Finding("error", f"{folder} belongs to user {found.st_uid}, not to this one", fix=fix)
        elif found.st_mode & OTHERS_MAY_WRITE and not found.st_mode & stat.S_ISVTX:
            why = "whoever replaces an engine or weights there runs as this user"
            evidence = {"mode": oct(stat.S_IMODE(found.st_mode))}
            yield Finding("error", f"others can write to {folder}", why, f"chmod go-w {folder}", evidence)


def _look_at_sockets(subject: Subject) -> Iterator[Finding]:
    for folder in (*subject.loaded.paths.servers.glob("[0-9]*"), subject.loaded.paths.logs):
        found = _status(folder)
        if found is not None and found.st_mode & OTHERS_MAY_ANYTHING:
            why = "engines' sockets and logs are for this user alone"
            yield Finding("warning", f"others can look into {folder}", why, f"chmod 700 {folder}")


def _look_at_settings(subject: Subject) -> Iterator[Finding]:
    origin = subject.loaded.origins["sources.hf_token"]
    if subject.loaded.settings.sources.hf_token is None or origin.kind != "file":
        return
    found = _status(Path(origin.where))
    if found is not None and found.st_mode & OTHERS_MAY_ANYTHING:
        yield Finding(
            "error",
            f"others can read the token in {origin.where}",
            "whoever has it can use the account at the model hub",
            f"chmod 600 {origin.where}",
        )


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


CHECK = Check(
    name="permissions",
    group="service",
    looks_at="owner and mode of the folders for models, engines, settings, sockets and logs; a token in the settings",
    complains_when="others can write where programs and weights lie, or read sockets, logs or the token",
    look=look,
)
