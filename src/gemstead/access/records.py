"""One access key as it is kept: everything but the secret."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import msgspec

from gemstead.core.caller import Caller

Scope: TypeAlias = Literal["use", "metrics", "admin"]
"""`use`: ask models. `metrics`: read `/metrics`. `admin`: change models and what the door allows; it does not ask."""

SCOPES: tuple[Scope, ...] = get_args(Scope)

KeyChange: TypeAlias = Literal["created", "rotated", "revoked"]
"""What happened to a key; one that is rotated is told by the new one, whose `rotated_from` names the old."""

KeyState: TypeAlias = Literal["active", "expired", "revoked"]


class KeyFields(msgspec.Struct, frozen=True, kw_only=True):
    """What a key's maker says of it. `owner` is a person or a team.

    `models` and `tools` are patterns (`gemma4:*`) it is limited to, `labels` the data labels, `quota` limits by their
    names in `limit_values.Limits`; empty: as the policy says. `expires_at_s` None: it does not expire by itself.
    """

    name: str
    owner: str = ""
    groups: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ("use",)
    models: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    quota: dict[str, int] = {}
    expires_at_s: float | None = None


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Moments are seconds since 1970, UTC. `last_used_at_s` is exact to a minute.

    `ends_at_s` is when a key that was rotated stops, if that is before it expires.
    """

    id: str
    fields: KeyFields
    created_at_s: float
    created_by: str = ""
    last_used_at_s: float | None = None
    revoked_at_s: float | None = None
    rotated_from: str | None = None
    ends_at_s: float | None = None

    def end_s(self) -> float | None:
        """When it stops by itself."""
        ends = [end for end in (self.fields.expires_at_s, self.ends_at_s) if end is not None]
        return min(ends, default=None)

    def state(self, now_s: float) -> KeyState:
        if self.revoked_at_s is not None:
            return "revoked"
        end_s = self.end_s()
        return "active" if end_s is None or now_s < end_s else "expired"

    def caller(self) -> Caller:
        fields = self.fields
        return Caller(
            key_id=self.id,
            owner=fields.owner or None,
            groups=fields.groups,
            scopes=frozenset(fields.scopes),
            models=fields.models,
            tools=fields.tools,
        )


class StoredKey(msgspec.Struct, frozen=True):
    """A record with the hash it is checked by."""

    record: KeyRecord
    hash: bytes

    def __repr__(self) -> str:
        return f"StoredKey({self.record.id})"
