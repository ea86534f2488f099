"""Every setting, its type, its default and what it is for. `gemstead config show` prints this as commented TOML."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gemstead.core.plan import KvCacheDtype


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ModelSettings(Section):
    name: str = "auto"
    """The model `up`, `run`, `chat` and `serve` use when none is named; "auto" is the best Gemma 4 that fits."""
    fallback: str | None = None
    """Used, and said so, when "auto" chose a model whose weights cannot be pulled from here."""
    context_length: Annotated[int, Field(ge=256, le=1_048_576)] | None = None
    """Tokens one slot holds, prompt and answer together; unset: 8192, or less where memory is short."""
    num_slots: Annotated[int, Field(ge=1, le=256)] = 1
    """Sequences at once."""
    kv_cache_dtype: KvCacheDtype = "f16"
    """Precision of the KV cache; q8_0 halves its memory."""
    is_thinking: bool = False
    """Whether the model thinks before it answers, where a request does not say."""


class EngineSettings(Section):
    kind: str = "llama_cpp"
    """Which engine runs the model (`gemstead engine list`)."""
    program: str | None = None
    """Path of an engine program to use instead of the installed one."""
    start_timeout_s: Annotated[float, Field(gt=0)] = 600.0
    """How long loading a model may take."""
    keep_alive_s: Annotated[float, Field(ge=0)] | None = None
    """Unloads the model so long after its last answer, to load it again on demand; unset: it stays loaded."""
    speculation: Literal["auto", "off", "ngram", "draft"] = "auto"
    """Tokens guessed ahead and checked in one batch; "auto": as `gemstead tune` found, else off."""
    uses_tuned: bool = True
    """Whether what `gemstead tune` found for this model, engine and machine is used."""
    extra_args: tuple[str, ...] = ()
    """More flags for the engine, from the list it allows."""


class ServerSettings(Section):
    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback needs access keys (`gemstead keys create`) and TLS."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8484
    """Port to listen on; 0 takes a free one."""
    max_concurrent_requests: Annotated[int, Field(ge=1)] = 64
    """Requests in work or waiting for a slot; one more is answered 503 with Retry-After."""
    max_body_bytes: Annotated[int, Field(ge=1024)] = 32 * 1024 * 1024
    """Largest request body, images included."""
    drain_s: Annotated[float, Field(ge=0)] = 30.0
    """How long `stop` lets running answers finish."""
    tls_cert: str | None = None
    """Certificate with its chain, a PEM file; with `tls_key` the server speaks HTTPS and nothing else."""
    tls_key: str | None = None
    """Key of the certificate, a PEM file without a passphrase."""
    allows_plain_http: bool = False
    """True: others may reach it without TLS, because a proxy in front does that."""
    host_names: tuple[str, ...] = ()
    """Names besides localhost under which it is called; a request for another is refused (DNS rebinding)."""
    allowed_origins: tuple[str, ...] = ()
    """Web pages that may call it from a browser, as origins ("https://chat.example.org"); none, unless named."""
    max_connections: Annotated[int, Field(ge=1, le=65_536)] = 512
    """Open connections, half of them at most from one address that is not this machine."""


class DoorSettings(Section):
    context_policy: Literal["refuse", "drop_oldest"] = "refuse"
    """What happens to a conversation that is too long: an error, or its oldest turns are left out and said so."""
    allows_model_changes: bool = True
    """Whether API clients may pull, copy, create and delete models; false leaves that to the command line."""


class MediaSettings(Section):
    max_images: Annotated[int, Field(ge=0, le=256)] = 16
    """Pictures in one request."""
    max_image_bytes: Annotated[int, Field(ge=1024)] = 20 * 1024 * 1024
    """Largest picture, as it is encoded."""
    max_image_pixels: Annotated[int, Field(ge=1, le=170_000_000)] = 36_000_000
    """Largest picture once decoded; each pixel takes 4 bytes of memory for a moment."""
    image_budget_tokens: Literal[70, 140, 280, 560, 1120] = 280
    """Prompt tokens a picture gets from Gemma 4 where the request does not say: more shows finer detail."""
    max_sounds: Annotated[int, Field(ge=0, le=64)] = 4
    """Sounds in one request."""
    max_audio_bytes: Annotated[int, Field(ge=1024)] = 25 * 1024 * 1024
    """Largest sound, as it is encoded."""
    max_audio_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Longest sound; Gemma 4 hears 30 s at once."""


class EmbeddingSettings(Section):
    context_length: Annotated[int, Field(ge=64, le=8192)] = 512
    """Longest text to embed, in tokens. Once embeddings are asked for, each takes memory: 2 MiB with Gemma 4."""


class ResponsesSettings(Section):
    keep: Literal["memory", "off"] = "memory"
    """Where answers of /v1/responses are kept to be gone on from: in memory, gone when the server stops; or nowhere."""
    max_kept: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """Responses kept at most; the least recently used goes first."""
    max_bytes: Annotated[int, Field(ge=1024)] = 128 * 1024 * 1024
    """Content kept at most, pictures and sounds included."""
    max_idle_s: Annotated[float, Field(gt=0)] = 86_400.0
    """How long a response is kept after it was last used."""


class SourceSettings(Section):
    hf_endpoint: str = "https://huggingface.co"
    """The model hub, or a mirror of it."""
    hf_token: SecretStr | None = None
    """Token for gated repositories. Better in HF_TOKEN than in a file."""
    is_offline: bool = False
    """True: never open a network connection; only what is in the store is used."""


class PlanSettings(Section):
    headroom: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of memory the plan leaves to everything else."""


class AccessSettings(Section):
    requires_key: bool | None = None
    """Whether callers need a key; unset: from the first key on, for good. False is for loopback only."""
    pepper: SecretStr | None = None
    """What keys are hashed with, 32 characters or more; unset: a private file in the data folder."""


class PolicySettings(Section):
    file: str | None = None
    """The rules of who may do what; unset: policy.toml beside gemstead.toml, if there is one."""


class GuardSettings(Section):
    actions: dict[str, Literal["off", "report", "mask", "tokenise", "hold", "refuse"]] = {}
    """What each guard does at least ({ personal_data = "tokenise" }); unset: its default (`gemstead guard list`)."""
    on_failure: dict[str, Literal["refuse", "report"]] = {}
    """What it means when a guard cannot look; unset: the text is refused."""
    canaries: tuple[str, ...] = ()
    """Texts from your system prompts, 8 characters or more, that no answer may have in it."""
    domains: tuple[str, ...] = ()
    """Hosts that pictures and links in answers may point to, with all below them."""


class AdminSettings(Section):
    listen: Annotated[str, Field(pattern=r"^(off|unix:/.+|.+:\d{1,5})$")] = "off"
    """Where the admin API listens, apart from the door: "off", "127.0.0.1:8485", or "unix:/path/of/socket"."""


class OidcSettings(Section):
    issuer: str | None = None
    """An identity provider whose tokens open the door, besides keys ("https://login.example.org/realms/main")."""
    audience: tuple[str, ...] = ()
    """Names of this service; a token made for none of them is refused."""
    algorithms: tuple[Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"], ...] = (
        "RS256",
        "ES256",
    )
    """How tokens may be signed."""
    owner_claim: str = "sub"
    """The claim that says who asks."""
    groups_claim: str = "groups"
    """The claim that lists groups; a path if need be ("realm_access.roles")."""
    use_groups: tuple[str, ...] = ()
    """Whose members may ask models; empty: whoever has a token."""
    admin_groups: tuple[str, ...] = ()
    """Whose members may change models and read metrics, too."""


class EvidenceSettings(Section):
    is_on: Literal["auto", "on", "off"] = "auto"
    """Whether each exchange leaves a record, and is not answered without one; "auto": once there are keys or tokens."""
    durability: Literal["process", "power"] = "process"
    """What a record outlives when its answer leaves: gemstead's death, and power loss 0.1 s later; or both at once."""
    checkpoint_every: Annotated[int, Field(ge=1, le=10_000_000)] = 1000
    """Records until the next signed checkpoint, if `checkpoint_s` is not over before."""
    checkpoint_s: Annotated[float, Field(ge=1, le=604_800)] = 3600.0
    """Longest time between two checkpoints, as long as there is something new to sign."""
    second_place: str | None = None
    """Where checkpoints also go: a file, best on another machine, or a URL; without it a cut of the end is not seen."""
    keep_days: Annotated[int, Field(ge=1, le=36_500)] = 365
    """How long records are kept. CNIL advises 6 to 12 months for logs of security."""


class ContentSettings(Section):
    retention_days: Annotated[int, Field(ge=0, le=36_500)] = 30
    """How long prompts and replies are kept where a rule of the policy keeps them and does not say; 0: not at all."""
    key_from: Literal["file", "keyring"] = "file"
    """Where the master key is: a private file in the data folder, or the system's keyring (gemstead[keyring])."""
    master_key: SecretStr | None = None
    """The master key itself, 32 characters or more; in GEMSTEAD_CONTENT_MASTER_KEY, never in a file."""


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    """How much the server writes to its own log."""


class Settings(Section):
    model: ModelSettings = ModelSettings()
    engine: EngineSettings = EngineSettings()
    server: ServerSettings = ServerSettings()
    door: DoorSettings = DoorSettings()
    media: MediaSettings = MediaSettings()
    embeddings: EmbeddingSettings = EmbeddingSettings()
    responses: ResponsesSettings = ResponsesSettings()
    sources: SourceSettings = SourceSettings()
    plan: PlanSettings = PlanSettings()
    access: AccessSettings = AccessSettings()
    policy: PolicySettings = PolicySettings()
    guards: GuardSettings = GuardSettings()
    admin: AdminSettings = AdminSettings()
    oidc: OidcSettings = OidcSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    content: ContentSettings = ContentSettings()
    log: LogSettings = LogSettings()
