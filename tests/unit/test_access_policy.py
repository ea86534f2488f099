from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.access.limit_values import LIMIT_NAMES, Limits, limits_of, smallest
from gemstead.access.policy import MAX_REMEMBERED, Policy, Query, built_in_policy, glob, highest
from gemstead.access.policy_compare import all_limits, differences
from gemstead.access.policy_file import LABELS, LimitsPart, RulePart, unenforced
from gemstead.access.policy_starter import STARTER
from gemstead.core.errors import RequestInvalid, SettingInvalid
from policy_makers import policy, query, rule, steady, toml_policy, toml_text

NAMES = st.sampled_from(["a", "b", "c"])
LISTS = st.lists(NAMES, max_size=2).map(tuple)
PATTERNS = st.lists(st.sampled_from(["a", "b*", "*", "?"]), max_size=2).map(tuple)


@st.composite
def rules(draw: st.DrawFn, effect: str | None = None) -> dict[str, Any]:
    chosen = effect or draw(st.sampled_from(["allow", "deny"]))
    fields: dict[str, Any] = {
        "effect": chosen,
        "groups": draw(LISTS),
        "models": draw(PATTERNS),
        "tools": draw(PATTERNS),
        "labels": draw(st.lists(st.sampled_from(LABELS), max_size=2).map(tuple)),
        "actions": draw(st.lists(st.sampled_from(["chat", "embed"]), max_size=1).map(tuple)),
    }
    if chosen == "allow" and draw(st.booleans()):
        fields["limits"] = {draw(st.sampled_from(["max_output_tokens", "tokens_per_day"])): draw(st.integers(1, 9))}
    return fields


QUERIES = st.builds(
    Query,
    action=st.sampled_from(["chat", "embed"]),
    model=NAMES,
    label=st.sampled_from(LABELS),
    groups=LISTS,
    tools=LISTS,
)


def made(parts: list[dict[str, Any]]) -> Policy:
    return policy(*(rule(f"r{number}", **fields) for number, fields in enumerate(parts)))


@steady
@given(st.lists(rules(), max_size=6), rules("deny"), QUERIES)
def test_adding_a_deny_never_widens_access(parts: list[dict[str, Any]], deny: dict[str, Any], asked: Query) -> None:
    before, after = made(parts).decide(asked), made([*parts, deny]).decide(asked)
    assert before.is_allowed or not after.is_allowed


@steady
@given(st.lists(rules("deny"), max_size=6), QUERIES)
def test_where_no_rule_allows_the_answer_is_no(parts: list[dict[str, Any]], asked: Query) -> None:
    assert not made(parts).decide(asked).is_allowed


@steady
@given(st.lists(rules(), max_size=6), rules("allow"), QUERIES)
def test_adding_a_rule_never_loosens_a_limit(parts: list[dict[str, Any]], more: dict[str, Any], asked: Query) -> None:
    before, after = made(parts).decide(asked), made([*parts, more]).decide(asked)
    if not before.is_allowed or not after.is_allowed:
        return
    old, new = all_limits(before), all_limits(after)
    for name in LIMIT_NAMES:
        if (limit := getattr(old, name)) is not None:
            assert getattr(new, name) <= limit


@steady
@given(st.lists(rules(), max_size=6), QUERIES)
def test_a_decision_that_is_remembered_is_the_same(parts: list[dict[str, Any]], asked: Query) -> None:
    rules_ = made(parts)
    assert rules_.decide(asked) is rules_.decide(asked)
    assert rules_.decide(asked) == made(parts).decide(asked)


@pytest.mark.parametrize(
    ("fields", "is_allowed"),
    [
        ({}, True),
        ({"groups": ("guests",)}, False),
        ({"groups": ("guests", "staff")}, True),
        ({"groups": ()}, False),
        ({"action": "embed"}, False),
        ({"model": "gemma4:31b"}, False),
        ({"label": "confidential"}, False),
        ({"dialect": "ollama"}, False),
        ({"tools": ("read_file",)}, True),
        ({"tools": ("read_file", "send_mail")}, False),
    ],
)
def test_a_rule_allows_what_all_of_its_lists_name(fields: dict[str, Any], is_allowed: bool) -> None:
    rules_ = policy(
        rule(
            groups=("staff",),
            actions=("chat",),
            models=("gemma4:e?b*",),
            tools=("read_*",),
            labels=("public", "internal"),
            dialects=("openai",),
        )
    )
    asked = query(**({"model": "gemma4:e2b", "dialect": "openai"} | fields))
    assert rules_.decide(asked).is_allowed is is_allowed


def test_a_deny_wins_and_is_named() -> None:
    rules_ = policy(rule("all"), rule("no-secrets", "deny", labels=("secret",)))
    decision = rules_.decide(query(label="secret"))
    assert (decision.is_allowed, decision.rule_ids) == (False, ("no-secrets",))
    assert "no-secrets" in decision.why
    assert rules_.decide(query()).rule_ids == ("all",)


def test_a_deny_of_tools_concerns_only_requests_with_one_of_them() -> None:
    rules_ = policy(rule("all"), rule("no-mail", "deny", tools=("send_*",)))
    assert rules_.decide(query()).is_allowed
    assert rules_.decide(query(tools=("read",))).is_allowed
    assert not rules_.decide(query(tools=("read", "send_mail"))).is_allowed


def test_a_star_among_the_groups_is_everybody_and_no_group_is_anonymous() -> None:
    assert policy(rule(groups=("*",))).decide(query(groups=())).is_allowed
    assert policy(rule(groups=("anonymous",))).decide(query(groups=())).is_allowed
    assert not policy(rule(groups=("anonymous",))).decide(query()).is_allowed


@pytest.mark.parametrize(
    "fields",
    [
        {"key_models": ("gemma4:*",)},
        {"key_tools": ("read",), "tools": ("write",)},
        {"key_labels": ("public",)},
    ],
)
def test_what_the_key_itself_is_limited_to_narrows_the_rules(fields: dict[str, Any]) -> None:
    decision = policy(rule()).decide(query(**fields))
    assert (decision.is_allowed, decision.rule_ids) == (False, ("key",))


def test_without_a_file_the_keys_alone_decide() -> None:
    assert built_in_policy().decide(query()).is_allowed
    assert not built_in_policy().decide(query(key_models=("other",))).is_allowed


def test_limits_of_one_request_combine_to_the_smallest_and_those_over_time_are_all_kept() -> None:
    rules_ = policy(
        rule("a", limits={"max_output_tokens": 100, "tokens_per_day": 1000}),
        rule("b", limits={"max_output_tokens": 50, "tokens_per_day": 9000}, per="group", groups=("staff",)),
    )
    decision = rules_.decide(query())
    assert decision.limits.max_output_tokens == 50
    assert [(quota.rule_id, quota.per, quota.limits.tokens_per_day) for quota in decision.quotas] == [
        ("a", "key", 1000),
        ("b", "group", 9000),
    ]


def test_obligations_combine_to_the_strictest() -> None:
    rules_ = policy(
        rule("a", guards={"personal_data": "mask"}, retention_days=30, cloud={"allow": True, "providers": ["x", "y"]}),
        rule("b", guards={"personal_data": "report"}, requires_approval=True, keeps_content=False, retention_days=7),
        rule("c", cloud={"allow": True, "providers": ["y"]}),
    )
    found = rules_.decide(query()).obligations
    assert (found.guards, found.requires_approval, found.keeps_content) == ({"personal_data": "mask"}, True, False)
    assert (found.retention_days, found.may_leave, found.cloud_providers) == (7, True, ("y",))
    assert not policy(rule("a", cloud={"allow": True}), rule("b", cloud={})).decide(query()).obligations.may_leave


def test_memory_for_decisions_is_bounded() -> None:
    rules_ = policy(rule())
    for number in range(MAX_REMEMBERED + 10):
        rules_.decide(query(model=f"m{number}"))
    assert len(rules_._remembered) <= MAX_REMEMBERED


def test_a_name_too_long_to_be_matched_is_refused() -> None:
    assert not policy(rule()).decide(query(model="a" * 300)).is_allowed


@steady
@given(st.text(alphabet="ab*?.[", max_size=8), st.text(alphabet="ab.[", max_size=8))
def test_patterns_know_only_star_and_question_mark(pattern: str, text: str) -> None:
    found = glob([pattern]) if pattern else None
    assert (found is not None and found.fullmatch(text) is not None) == (bool(pattern) and like(pattern, text))


def like(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return like(pattern[1:], text) or (bool(text) and like(pattern, text[1:]))
    return bool(text) and pattern[0] in ("?", text[0]) and like(pattern[1:], text[1:])


def test_the_label_of_several_sources_is_the_highest() -> None:
    assert highest(["internal", "secret", "public"]) == "secret"
    assert highest([]) == "public"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("version = 2", "version"),
        ("version = 1\nversoin = 1", "versoin"),
        ('version = 1\n[[rules]]\nid = "a"\neffect = "alow"', "rules.1.effect"),
        ('version = 1\n[[rules]]\nid = "a"\neffect = "allow"\nmodel = ["x"]', "rules.1.model"),
        ('version = 1\n[[rules]]\nid = "a"\neffect = "allow"\nlabels = ["hidden"]', "rules.1.labels.1"),
        ('version = 1\n[[rules]]\nid = "a"\neffect = "deny"\n[rules.limits]\ntokens_per_day = 1', "a deny rule"),
        ('version = 1\n[[rules]]\nid = "a"\neffect = "allow"\n[rules.limits]\ntokens_per_day = -1', "tokens_per_day"),
        ('version = 1\n[[rules]]\nid = "a"\neffect = "allow"\n[[rules]]\nid = "a"\neffect = "deny"', "two rules"),
        ("version = ", "no TOML"),
    ],
)
def test_a_broken_file_is_refused_with_the_place(text: str, place: str) -> None:
    with pytest.raises(SettingInvalid, match=place):
        toml_text(text)


def test_the_starter_is_a_policy_that_lets_the_local_command_line_in() -> None:
    rules_ = toml_policy(STARTER)
    assert rules_.decide(query(groups=("local",))).is_allowed
    assert rules_.decide(query(groups=("staff",))).is_allowed
    assert not rules_.decide(query(groups=("staff",), label="secret")).is_allowed
    assert not unenforced(rules_.file)


def test_what_no_part_of_the_program_enforces_is_said() -> None:
    file = policy(rule("a", guards={"secrets": "hold"}, actions=("admin", "chat")), rule("b")).file
    said = unenforced(file)
    assert len(said) == 2
    assert all(line.startswith("rule a: ") for line in said)


def test_limits_have_the_same_names_in_rules_keys_and_listings() -> None:
    assert tuple(LimitsPart.model_fields) == LIMIT_NAMES
    assert limits_of({"tokens_per_day": 5}) == Limits(tokens_per_day=5)
    assert smallest([Limits(weight=2), Limits(weight=1, tokens_per_day=3)]) == Limits(weight=1, tokens_per_day=3)


@pytest.mark.parametrize("quota", [{"token_per_day": 5}, {"tokens_per_day": -1}, {"weight": 0}])
def test_a_limit_that_is_none_is_refused(quota: dict[str, int]) -> None:
    with pytest.raises(RequestInvalid):
        limits_of(quota)


def test_a_rule_may_not_cap_the_line_of_a_group() -> None:
    with pytest.raises(ValueError, match="waiting_requests"):
        RulePart.model_validate({"id": "a", "effect": "allow", "per": "group", "limits": {"waiting_requests": 1}})


def test_a_difference_names_what_changes() -> None:
    before = policy(rule("a", groups=("staff",), limits={"tokens_per_day": 10}))
    after = policy(rule("a", groups=("staff",), limits={"tokens_per_day": 20}), rule("b", "deny", labels=("secret",)))
    changes = list(differences(before, after))
    words = {(change.query.groups[0], change.query.label): change.words() for change in changes}
    assert words["staff", "secret"] == "allow -> deny"
    assert words["staff", "public"] == "tokens_per_day 10 -> 20"
    assert not list(differences(before, before))
