"""The guards of one passage, one behind the other: what one lets pass, the next sees."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import msgspec

from gemstead.core.errors import GuardFailed, GuardRefused, HeldForReview
from gemstead.core.types import Span, Verdict
from gemstead.guardrails.base import Action, Finding, Found, Passage, Replace, Screen, mask_text
from gemstead.guardrails.registry import Post
from gemstead.guardrails.vault import Vault

_VERDICT: dict[Action, str] = {
    "report": "allow",
    "mask": "redact",
    "tokenise": "redact",
    "hold": "hold",
    "refuse": "refuse",
}


class Failure(msgspec.Struct, frozen=True):
    """A guard that could not look, where a policy says that this is only reported."""

    guard: str
    reason: str


class Chain:
    """One passage, in pieces, past its guards. What was found is in `findings`, as each guard saw the text.

    Time is that of this thread's processor for our own guards, so that a busy machine refuses nothing; a guard that may
    block runs in a thread of its own and is given up at its budget.
    """

    def __init__(self, stationed: tuple[Post, ...], passage: Passage, vault: Vault) -> None:
        self.failures: list[Failure] = []
        self.passage = passage
        self._links = [_Link(post, _opened(post, passage, vault, self.failures)) for post in stationed]
        self._num_chars = 0

    async def feed(self, text: str) -> str:
        """What may go on. Raises: GuardRefused, HeldForReview, GuardFailed."""
        self._num_chars += len(text)
        for link in self._links:
            if not text:
                return ""
            text = await self._run(link, text, lambda screen, piece: screen.feed(piece))
        return text

    async def close(self) -> str:
        """The rest. Raises: as `feed`."""
        text = ""
        for link in self._links:
            text = await self._run(
                link, text, lambda screen, piece: (screen.feed(piece) if piece else "") + screen.close()
            )
        return text

    def verdicts(self) -> tuple[Verdict, ...]:
        """One for each guard that found something."""
        return tuple(link.verdict(self.passage) for link in self._links if link.findings)

    async def _run(self, link: _Link, text: str, work: Callable[[Screen, str], str]) -> str:
        screen = link.screen
        if screen is None:
            return text
        budget_s = link.post.guard.budget_s * (1 + self._num_chars / 1024)
        try:
            if link.post.guard.is_blocking:
                begin_s = time.perf_counter()
                given = await asyncio.wait_for(
                    asyncio.to_thread(work, screen, text), max(0.001, budget_s - link.spent_s)
                )
                link.spent_s += time.perf_counter() - begin_s
            else:
                begin_s = time.thread_time()
                given = work(screen, text)
                link.spent_s += time.thread_time() - begin_s
        except TimeoutError as exc:
            return self._failed(link, text, "it took longer than its budget", exc)
        except Exception as exc:  # noqa: BLE001 (whatever a guard raises, it has not looked)
            return self._failed(link, text, f"it raised {type(exc).__name__}", exc)
        if link.spent_s > budget_s:
            return self._failed(link, given, f"it took longer than its budget of {budget_s:.3f} s", None)
        link.findings = screen.findings
        if screen.findings:
            link.stop_if_asked(self.passage)
        return given

    def _failed(self, link: _Link, text: str, reason: str, cause: Exception | None) -> str:
        """`text` as far as it may go on. Raises: GuardFailed, unless the policy says otherwise."""
        name = link.post.guard.name
        if link.post.on_failure == "refuse":
            raise _guard_failed(name, reason) from cause
        self.failures.append(Failure(name, reason))
        link.screen = None
        return text


class _Link:
    def __init__(self, post: Post, screen: Screen | None) -> None:
        self.post = post
        self.screen = screen
        self.findings: list[Finding] = []
        self.spent_s = 0.0

    def stop_if_asked(self, passage: Passage) -> None:
        name, action = self.post.guard.name, self.post.action
        if action in ("refuse", "hold"):
            what = f"the guard {name} found {counted(self.findings)} in {passage.field or passage.provenance}"
            if action == "hold":
                raise HeldForReview(what, hint="somebody has to look at it first: ask who runs this server")
            raise GuardRefused(what, guard=name, hint="leave it out and ask again, or ask who runs this server")

    def verdict(self, passage: Passage) -> Verdict:
        return Verdict(
            rule=self.post.guard.name,
            action=_VERDICT[self.post.action],  # type: ignore[arg-type]
            reason=f"{counted(self.findings)} in {passage.field or passage.provenance}",
            spans=tuple(Span(finding.start, finding.end, finding.kind) for finding in self.findings),
            elapsed_s=self.spent_s,
        )


def counted(findings: list[Finding]) -> str:
    """`2 email, 1 card`: never what was found."""
    return ", ".join(f"{number} {kind}" for kind, number in sorted(Counter(f.kind for f in findings).items()))


def replacing(action: Action, vault: Vault) -> Replace:
    """What an action puts in the place of what was found."""

    def mask(found: Found, _text: str) -> str:
        return mask_text(found.kind) if found.replacement is None else found.replacement

    def tokenise(found: Found, text: str) -> str:
        return vault.issue(found.kind, text) if found.replacement is None else found.replacement

    if action == "mask":
        return mask
    return tokenise if action == "tokenise" else lambda _found, text: text


def _opened(post: Post, passage: Passage, vault: Vault, failures: list[Failure]) -> Screen | None:
    try:
        return post.guard.opens(passage, replacing(post.action, vault))
    except Exception as exc:  # (whatever a guard raises, it will not look)
        reason = f"it could not begin: {type(exc).__name__}"
        if post.on_failure == "refuse":
            raise _guard_failed(post.guard.name, reason) from exc
        failures.append(Failure(post.guard.name, reason))
        return None


def _guard_failed(name: str, reason: str) -> GuardFailed:
    what = f"the guard {name} could not look at the text, so it goes no further"
    return GuardFailed(what, guard=name, why=reason, hint=f"gemstead guard show {name}")
