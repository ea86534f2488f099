"""The policy in force: read at the start, and again when its file changes; never replaced by a broken one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

from gemstead.access.policy import Policy, built_in_policy, policy_of
from gemstead.access.policy_file import PolicyText, read_policy
from gemstead.core.errors import GemsteadError, SettingInvalid

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0

ReloadResult: TypeAlias = Literal["applied", "refused"]


class PolicyWatch:
    """`path` None: the built-in policy. A file missing at the start is none; one that goes later stays in force.

    `keep` keeps a version where it can be found again, and is called before it is in force: what cannot be kept is not
    applied. `on_reload` is told of each change of the file that was looked at.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        keep: Callable[[PolicyText], object] = lambda _text: None,
        on_reload: Callable[[ReloadResult, str], None] = lambda _result, _sha256: None,
    ) -> None:
        self._path = path
        self._keep = keep
        self._on_reload = on_reload
        self._seen: object = None
        self.policy: Policy = built_in_policy()
        self.has_file = False

    def start(self) -> None:
        """Raises: SettingInvalid for a broken file: nothing is served under rules that nobody can read."""
        if self._path is not None and self._path.exists():
            self._seen = self._signature()
            self._apply(read_policy(self._path))

    def current(self) -> Policy:
        return self.policy

    async def keep_watching(self) -> None:
        """Looks at the file every second, until cancelled."""
        while self._path is not None:
            await asyncio.sleep(LOOK_EVERY_S)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Applies the file if it changed, whole or not at all; what is wrong with it is in the log and the metrics."""
        signature = self._signature()
        if self._path is None or signature == self._seen:
            return
        self._seen = signature
        if signature is None:
            self._refuse(SettingInvalid(f"the policy file {self._path} is gone"))
            return
        try:
            self._apply(read_policy(self._path))
        except GemsteadError as exc:
            self._refuse(exc)
            return
        logger.info("policy %s is in force", self.policy.sha256[:12])
        self._on_reload("applied", self.policy.sha256)

    def _apply(self, text: PolicyText) -> None:
        policy = policy_of(text)
        self._keep(text)
        self.policy = policy
        self.has_file = True

    def _refuse(self, exc: GemsteadError) -> None:
        why = f"{exc.what}: {exc.why}" if exc.why else exc.what
        logger.error("the policy was not changed, %s stays in force: %s", self.policy.sha256[:12], why)
        self._on_reload("refused", self.policy.sha256)

    def _signature(self) -> object:
        """Changes when the file does."""
        try:
            found = self._path.stat() if self._path is not None else None
        except OSError:
            return None
        return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)
