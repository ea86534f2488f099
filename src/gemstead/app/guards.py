"""Which guards stand in the path of a server here, from its settings."""

from __future__ import annotations

from gemstead.access.policy_file import PolicyFile
from gemstead.core.plugins import plugin_names
from gemstead.guardrails.base import PACKAGE
from gemstead.guardrails.registry import every_guard
from gemstead.pipeline.screen import GuardRules
from gemstead.settings.model import Settings


def guard_rules(settings: Settings) -> GuardRules:
    """Raises: NameUnknown for a guard that is not here, before anything is served."""
    chosen = settings.guards
    rules = GuardRules(every_guard(), chosen.actions, chosen.on_failure, chosen.canaries, chosen.domains)
    rules.stationed(None)
    return rules


def unknown_guards(file: PolicyFile) -> list[str]:
    """Rules of a policy that name a guard that is not here: one sentence each."""
    known = plugin_names(PACKAGE)
    return [
        f"rule {rule.id}: there is no guard {name!r} here, so every request is refused"
        for rule in file.rules
        for name in rule.guards
        if name not in known
    ]
