"""An installation as documents see it, with a moment that stands still: nothing there, everything there."""

from __future__ import annotations

from gemstead.report.controls import ControlBook, Results, load_controls
from gemstead.report.facts import (
    ContentFacts,
    DiskFacts,
    DoorFacts,
    EvidenceFacts,
    Facts,
    Incident,
    KeyFacts,
    ModelFacts,
    PolicyFacts,
    ProgramFacts,
    RuleFacts,
    RunningFacts,
    SettingFact,
)
from gemstead.report.fill import Material
from gemstead.report.questions import NO_ANSWERS, Answers, parse_answers

NOW_S = 1_795_000_000.0
DAY_S = 86_400.0

PROGRAM = ProgramFacts("0.5.0", "3.12.4", "Linux-6.8", "mairie-01")

BARE = Facts(
    at_s=NOW_S,
    program=PROGRAM,
    door=DoorFacts(host="127.0.0.1", port=8484, is_loopback=True, is_locked=False, has_tls=False),
    outside=(("hub", "https://huggingface.co"),),
    config="0" * 64,
)

FULL = Facts(
    at_s=NOW_S,
    program=PROGRAM,
    door=DoorFacts(
        host="0.0.0.0",
        port=8484,
        is_loopback=False,
        is_locked=True,
        has_tls=True,
        certificate_ends_s=NOW_S + 40 * DAY_S,
        issuer="https://login.example.org",
        keeps_responses=True,
        max_idle_s=DAY_S,
    ),
    keys=KeyFacts(
        num_active=12,
        num_expired=2,
        num_revoked=3,
        num_endless=1,
        num_admin=1,
        oldest_active_s=NOW_S - 61 * DAY_S,
        last_used_s=NOW_S - 60,
        groups=("staff",),
    ),
    policy=PolicyFacts(
        path="policy.toml",
        sha256="ab" * 32,
        rules=(
            RuleFacts("staff", "allow", ("staff",), ("*",), (), ("public", "internal"), ("tokens_per_day 500000",)),
            RuleFacts("no-secrets", "deny", (), (), (), ("secret",), ()),
        ),
        default_label="internal",
        num_versions=4,
    ),
    evidence=EvidenceFacts(
        is_on=True,
        is_there=True,
        num_records=12_345,
        first_s=NOW_S - 90 * DAY_S,
        last_s=NOW_S - 30,
        num_checkpoints=13,
        checkpoint_s=NOW_S - 1800,
        second_place="/mnt/elsewhere/checkpoints",
        keep_days=365,
        durability="process",
        verdict="ok",
    ),
    content=ContentFacts(is_on=True, days_by_label=(("internal", 30),), num_subjects=7),
    disk=DiskFacts(True, "dm-crypt, dm-0"),
    settings=(SettingFact("server.host", '"0.0.0.0"', "file gemstead.toml"),),
    running=(RunningFacts("gemma4:e2b", "llama.cpp b9999", "https://127.0.0.1:8484", NOW_S - 18_000),),
    models=(
        ModelFacts(
            name="gemma4:e2b",
            quant="Q4_0",
            place="google/gemma-4-e2b/model.gguf",
            sha256="cd" * 32,
            licence="Apache-2.0",
            licence_url="https://www.apache.org/licenses/LICENSE-2.0",
            accepted_s=NOW_S - 17 * DAY_S,
            accepted_position=3,
            is_digest_published=True,
        ),
    ),
    outside=(
        ("hub", "https://huggingface.co"),
        ("issuer", "https://login.example.org"),
        ("second_place", "/mnt/elsewhere/checkpoints"),
    ),
    backup_s=NOW_S - 3 * DAY_S,
    incidents=(
        Incident(NOW_S - 5 * DAY_S, "sign_in", 41, "203.0.113.0/24 unknown"),
        Incident(NOW_S - 2 * DAY_S, "crash", 1, "llama.cpp out of memory"),
        Incident(NOW_S - DAY_S, "cut", 3),
        Incident(NOW_S - DAY_S / 2, "refused", 120, "policy_refused k1"),
        Incident(NOW_S - DAY_S / 4, "error", 2, "engine_failed"),
    ),
    config="f" * 64,
)

BROKEN_POLICY = PolicyFacts(path="policy.toml", fault="rules.1.modles: Extra inputs are not permitted")
BAD_EVIDENCE = EvidenceFacts(is_on=True, is_there=True, num_records=9, verdict="findings", findings=("7: edited",))

ANSWERS_TOML = """
[controller]
name = "Commune d'Exemple-sur-Œuvre"
contact = "1, place de l'Hôtel-de-Ville, 00000 Exemple — contact@exemple.test"

[processing]
name = "Aide à la rédaction"
purposes = ["Rédiger des courriers", "Résumer des délibérations"]

[assessment]
access_severity = "limited"

[use]
role = "deployer"

[[incidents]]
on = "2026-11-12"
what = "Clé publiée par erreur | dans un dépôt <interne>"
assessment = "Aucun accès constaté."
"""

ANSWERS = Answers(parse_answers(ANSWERS_TOML.encode()), "report.toml", NOW_S - 10 * DAY_S)


def book(results: Results | None = None) -> ControlBook:
    """The shipped controls, with results that do not change: every test passed, every control proven."""
    shipped = load_controls()
    placed = [control for control in shipped.controls if control.state == "in place"]
    outcomes = {test: "passed" for control in placed for test in control.tests}
    made = Results(NOW_S - DAY_S, "0123456789ab", outcomes, tuple(control.id for control in placed))
    return ControlBook(shipped.risks, shipped.controls, results or made)


def full_material() -> Material:
    return Material(FULL, ANSWERS, book())


def bare_material() -> Material:
    return Material(BARE, NO_ANSWERS, book(Results()))
