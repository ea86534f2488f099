"""`gemstead policy`: the rules of who may do what, checked, asked and compared before a server takes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.access.policy import Decision

File = Annotated[Path | None, typer.Option("--file", help="A policy file; default: the one a server here would use.")]

NOT_AS_EXPECTED = 5
"""Exit code of `test` and `explain` where the answer is no."""


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Check, explain, compare and test the rules of who may do what.", no_args_is_help=True)
    for name, command in (
        ("init", init),
        ("check", check),
        ("show", show),
        ("explain", explain),
        ("test", run_test),
        ("diff", diff),
        ("versions", versions),
    ):
        group.command(name)(command)
    app.add_typer(group, name="policy")


def init(
    file: File = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print it and write nothing.")] = False,
) -> None:
    """Write a commented policy to start from. A file that is there already is left alone."""
    from gemstead.access.policy_starter import STARTER
    from gemstead.app import policies
    from gemstead.cli.output import note

    if dry_run:
        print(STARTER, end="")
        return
    path = policies.write_new(policies.path_of(options.load(), file), STARTER)
    print(path)
    note("a server here now refuses what no rule in it allows; one that is running does within a second")


def check(file: File = None, json: options.Json = False) -> None:
    """Read the policy as a server would; say what is wrong with it, and what it asks for that nothing enforces yet."""
    from gemstead.access.policy_file import unenforced
    from gemstead.app import policies
    from gemstead.app.guards import unknown_guards
    from gemstead.cli.output import print_json

    path, text = policies.read(options.load(), file)
    notes = unenforced(text.file) + unknown_guards(text.file)
    if json:
        report = {"path": str(path), "sha256": text.sha256, "rules": len(text.file.rules), "not_enforced": notes}
        print_json("policy_check/1", report)
        return
    print(f"ok: {path}, {len(text.file.rules)} rules, sha256 {text.sha256}")
    for line in notes:
        print(f"not enforced: {line}")


def show(file: File = None, json: options.Json = False) -> None:
    """List the rules in order, with their limits."""
    from gemstead.app import policies
    from gemstead.cli.output import print_json, print_table

    path, policy = policies.policy(options.load(), file)
    if json:
        rules = [part.model_dump(exclude_defaults=True) for part in policy.file.rules]
        print_json("policy/1", {"path": str(path), "sha256": policy.sha256, "rules": rules})
        return
    print("no policy file: the keys alone decide" if path is None else f"{path}, sha256 {policy.sha256}")
    rows = []
    for rule in policy.rules:
        part, limits = rule.part, rule.limits.named()
        lists = [", ".join(one) or "*" for one in (part.groups, part.actions, part.models, part.tools, part.labels)]
        counted = ", ".join(f"{name} {value}" for name, value in limits.items())
        rows.append((part.id, part.effect, *lists, f"{counted} per {part.per}" if counted else ""))
    print_table(("rule", "effect", "groups", "actions", "models", "tools", "labels", "limits"), rows)


def explain(
    model: Annotated[str, typer.Option("--model", help="The model that is asked for.")],
    key: Annotated[str | None, typer.Option("--key", help="A key's id or name; its groups and limits count.")] = None,
    group: Annotated[list[str] | None, typer.Option("--group", help="A group of the caller, instead of a key.")] = None,
    label: Annotated[str | None, typer.Option("--label", help="public, internal, confidential or secret.")] = None,
    tool: Annotated[list[str] | None, typer.Option("--tool", help="A tool offered to the model.")] = None,
    action: Annotated[str, typer.Option("--action", help="chat, embed, rag, tool or admin.")] = "chat",
    dialect: Annotated[str, typer.Option("--dialect", help="openai, anthropic, ollama ...")] = "",
    file: File = None,
    json: options.Json = False,
) -> int:
    """Say whether a caller may do that, and which rules decide. Exit code 5: it may not."""
    from gemstead.app import policies
    from gemstead.cli.output import print_json

    asked = policies.Question(
        model=model,
        key=key,
        groups=tuple(group or ()),
        label=label,
        tools=tuple(tool or ()),
        action=action,
        dialect=dialect,
    )
    answer = policies.explain(options.load(), file, asked)
    if json:
        print_json("policy_decision/1", answer)
    else:
        _print_decision(answer.decision)
        for limit in answer.limits:
            print(f"  {limit.name} {limit.value} per {limit.per} (rule {limit.rule_id})")
    return 0 if answer.decision.is_allowed else NOT_AS_EXPECTED


def run_test(
    cases: Annotated[Path, typer.Argument(help="A TOML table of questions and the answers they should get.")],
    file: File = None,
    json: options.Json = False,
) -> int:
    """Ask the policy a table of questions. Exit code 5: an answer is not as expected."""
    from gemstead.access.policy_compare import read_cases, run_cases
    from gemstead.app import policies
    from gemstead.cli.output import print_json

    _path, policy = policies.policy(options.load(), file)
    results = run_cases(policy, read_cases(cases))
    wrong = [result for result in results if result.problem is not None]
    if json:
        print_json("policy_test/1", {"passed": len(results) - len(wrong), "failed": len(wrong), "cases": results})
    else:
        for result in wrong:
            print(f"case {result.number} ({result.query.action} {result.query.model}): {result.problem}")
        print(f"{len(results) - len(wrong)} of {len(results)} as expected")
    return NOT_AS_EXPECTED if wrong else 0


def diff(
    before: Annotated[Path, typer.Argument(help="The policy as it is.")],
    after: Annotated[Path, typer.Argument(help="The policy as it would be.")],
    json: options.Json = False,
) -> None:
    """Show which decisions change, over the groups, models, labels, tools and dialects that either file names."""
    from gemstead.access.policy import policy_of
    from gemstead.access.policy_compare import differences
    from gemstead.access.policy_file import read_policy
    from gemstead.cli.output import print_json, print_table

    changes = list(differences(policy_of(read_policy(before)), policy_of(read_policy(after))))
    if json:
        print_json("policy_diff/1", changes)
        return
    print(f"{len(changes)} decisions change" if changes else "no decision changes")
    rows = []
    for change in changes:
        query = change.query
        tools = ", ".join(query.tools)
        rows.append((query.groups[0], query.action, query.model, query.label, tools, query.dialect, change.words()))
    if rows:
        print_table(("group", "action", "model", "label", "tool", "dialect", "change"), rows)


def versions(json: options.Json = False) -> None:
    """List every policy that a server here has applied; the database keeps them all."""
    from datetime import UTC, datetime

    from gemstead.app import policies
    from gemstead.cli.output import print_json, print_table

    found = policies.versions(options.load())
    if json:
        print_json("policy_versions/1", found)
        return
    moments = [datetime.fromtimestamp(one.applied_at_s, UTC).isoformat(timespec="seconds") for one in found]
    rows = [(one.number, moment, one.sha256, one.source) for one, moment in zip(found, moments, strict=True)]
    print_table(("number", "applied", "sha256", "source"), rows)


def _print_decision(decision: Decision) -> None:
    print(f"{'allowed' if decision.is_allowed else 'denied'}: {decision.why}")
    print(f"  policy {decision.sha256}")
