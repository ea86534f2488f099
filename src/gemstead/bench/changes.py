"""What a setting under test changes of a plan. Pure."""

from __future__ import annotations

import msgspec

from gemstead.core.plan import FlashAttention, KvCacheDtype, Plan, Speculation

_NAMES = {
    "num_threads": "threads",
    "ubatch_tokens": "ubatch",
    "batch_tokens": "batch",
    "flash_attention": "flash attention",
    "kv_cache_dtype": "KV cache",
    "num_slots": "slots",
    "speculation": "speculation",
}
"""The fields of a plan that may be changed, as people read them."""


class Changes(msgspec.Struct, frozen=True, omit_defaults=True):
    """What differs from the plan; None: as planned. `label` is the setting as the user wrote it."""

    label: str = ""
    num_threads: int | None = None
    ubatch_tokens: int | None = None
    batch_tokens: int | None = None
    flash_attention: FlashAttention | None = None
    kv_cache_dtype: KvCacheDtype | None = None
    num_slots: int | None = None
    speculation: Speculation | None = None
    extra_args: tuple[str, ...] = ()

    def stated(self) -> dict[str, int | str]:
        """The fields of a plan that are changed, with their new values."""
        return {name: value for name in _NAMES if (value := getattr(self, name)) is not None}

    def applied(self, plan: Plan) -> Plan:
        """`plan` with the changes; its memory and speed stay those of the plan."""
        return msgspec.structs.replace(plan, **self.stated())

    def with_one(self, name: str, value: int | str) -> Changes:
        """These changes and one more. The label is left out: it names the changes no more."""
        return msgspec.structs.replace(self, label="", **{name: value})

    def describe(self) -> str:
        """`threads 2, speculation ngram`; "as planned" where nothing is changed."""
        parts = [f"{_NAMES[name]} {value}" for name, value in self.stated().items()]
        return ", ".join((*parts, *self.extra_args)) or "as planned"
