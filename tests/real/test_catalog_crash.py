"""A pull killed with SIGKILL before every single rename it makes: the store is as before or after, never between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from real.hub_server import HubServer, Repo
from real.pull_worker import FILE, REPO, sha256_of, trial_store
from small_gguf import gguf_bytes

pytestmark = pytest.mark.real

CONTENT = gguf_bytes(300_000)
WORKER = Path(__file__).with_name("pull_worker.py")
MAX_RENAMES = 20


def pull_in_a_process(root: Path, endpoint: str, kill_at: int | None) -> int:
    """The exit status; -SIGKILL if the process killed itself before rename number `kill_at`."""
    command = [sys.executable, str(WORKER), "--root", str(root), "--endpoint", endpoint]
    command += ["--kill-at-rename", str(kill_at)] if kill_at is not None else []
    return subprocess.run(command, stdout=subprocess.DEVNULL, timeout=60, check=False).returncode


def test_a_kill_before_any_rename_leaves_a_store_that_the_next_pull_completes(tmp_path: Path) -> None:
    survived = []
    with HubServer({REPO: Repo({FILE: CONTENT})}) as hub:
        for number in range(1, MAX_RENAMES):
            root = tmp_path / str(number)
            status = pull_in_a_process(root, hub.endpoint, kill_at=number)
            store = trial_store(root)
            assert all(store.is_complete(manifest) for manifest in store.list())
            if status == 0:
                break
            assert status == -signal.SIGKILL
            survived.append(number)
            assert pull_in_a_process(root, hub.endpoint, kill_at=None) == 0
            manifest = store.verify("trial:small")
            assert manifest.files[0].sha256 == sha256_of(CONTENT)
            path = store.path_of(manifest)
            assert path is not None
            assert path.read_bytes() == CONTENT
            assert store.leftovers() == ()
    # the note, the part, the digest record, the blob, the manifest, the view: at least these six
    assert len(survived) >= 6
    assert len(survived) < MAX_RENAMES - 1


def test_a_damaged_lock_file_of_a_dead_process_does_not_block(tmp_path: Path) -> None:
    with HubServer({REPO: Repo({FILE: CONTENT})}) as hub:
        pull_in_a_process(tmp_path, hub.endpoint, kill_at=1)
        for lock in (tmp_path / "locks").glob("*"):
            lock.write_text(f"{os.getpid()} junk")
        assert pull_in_a_process(tmp_path, hub.endpoint, kill_at=None) == 0
