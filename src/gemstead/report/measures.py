"""The security measures that the program can see, each with the state it has now."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gemstead.report.blocks import Mark, State
from gemstead.report.facts import Facts
from gemstead.report.parts import SHOWN_HASH_CHARS, outside_in_words
from gemstead.report.words import Words, day, days_between, joined, moment, same, sayer

say = sayer("security_measures")


class Measure(msgspec.Struct, frozen=True):
    """`id` names its sentence. `where` is the command or setting that shows the same."""

    id: str
    mark: Mark
    where: str

    @property
    def name(self) -> Words:
        return say(self.id)


def measures(facts: Facts) -> tuple[Measure, ...]:
    return (
        *_door(facts),
        *_keys(facts),
        *_policy(facts),
        _files(facts),
        *_evidence(facts),
        *_content(facts),
        _disk(facts),
        _backup(facts),
        _models(facts),
        *_connections(facts),
    )


def _door(facts: Facts) -> Iterator[Measure]:
    door = facts.door
    locked = Mark("yes", say("locked_yes")) if door.is_locked else Mark("no", say("locked_no"))
    yield Measure("locked", locked, "gemstead keys list")
    place = {"host": door.host, "port": str(door.port)}
    if door.is_loopback:
        exposure = Mark("yes", say("exposure_loopback", **place))
    else:
        is_guarded = door.is_locked and (door.has_tls or door.allows_plain_http)
        exposure = Mark("partly" if is_guarded else "no", say("exposure_open", **place))
    yield Measure("exposure", exposure, "server.host")
    yield Measure("tls", _tls(facts), "server.tls_cert")


def _tls(facts: Facts) -> Mark:
    door = facts.door
    if door.has_tls:
        if door.certificate_ends_s is None:
            return Mark("yes", say("tls_yes_unknown"))
        if door.certificate_ends_s < facts.at_s:
            return Mark("no", say("tls_ended", day=day(door.certificate_ends_s)))
        return Mark("yes", say("tls_yes", day=day(door.certificate_ends_s)))
    if door.is_loopback:
        return Mark("yes", say("tls_local"))
    return Mark("unknown", say("tls_proxy")) if door.allows_plain_http else Mark("no", say("tls_no"))


def _keys(facts: Facts) -> Iterator[Measure]:
    keys = facts.keys
    if keys.oldest_active_s is None:
        mark = Mark("no" if not facts.door.is_locked else "yes", say("keys_none"))
    else:
        age = days_between(keys.oldest_active_s, facts.at_s)
        words = say(
            "keys_are",
            active=keys.num_active,
            days=age,
            endless=keys.num_endless,
            expired=keys.num_expired,
            revoked=keys.num_revoked,
        )
        mark = Mark("partly" if keys.num_endless else "yes", words)
    yield Measure("keys", mark, "gemstead keys list --all")
    yield Measure("hashes", Mark("yes", say("hashes_are")), "docs/keys.md")


def _policy(facts: Facts) -> Iterator[Measure]:
    policy = facts.policy
    if policy.fault is not None:
        mark = Mark("no", say("policy_fault", fault=policy.fault))
    elif policy.sha256 is None:
        mark = Mark("no", say("policy_no"))
    else:
        mark = Mark("yes", say("policy_yes", rules=len(policy.rules), sha256=policy.sha256[:SHOWN_HASH_CHARS]))
    yield Measure("policy", mark, "gemstead policy check")
    limited = [rule.id for rule in policy.rules if rule.limits]
    limits = Mark("yes", say("limits_yes", rules=", ".join(limited))) if limited else Mark("no", say("limits_no"))
    yield Measure("limits", limits, "gemstead policy show")


def _files(facts: Facts) -> Measure:
    paths = facts.open_files
    mark = Mark("no", say("files_no", paths=", ".join(paths))) if paths else Mark("yes", say("files_yes"))
    return Measure("files", mark, "gemstead doctor")


def _evidence(facts: Facts) -> Iterator[Measure]:
    evidence = facts.evidence
    yield Measure("evidence", _evidence_mark(facts), "gemstead evidence verify")
    if evidence.second_place is None:
        mark = Mark("no", say("second_place_no"))
    elif evidence.checkpoint_s is None:
        mark = Mark("partly", say("second_place_none_yet", place=evidence.second_place))
    else:
        at = moment(evidence.checkpoint_s)
        mark = Mark("yes", say("second_place_yes", place=evidence.second_place, at=at))
    yield Measure("second_place", mark, "evidence.second_place")


def _evidence_mark(facts: Facts) -> Mark:
    evidence = facts.evidence
    if evidence.verdict == "findings":
        number, findings = evidence.num_records, "; ".join(evidence.findings[:3])
        return Mark("no", say("evidence_bad", number=number, findings=findings))
    if not evidence.is_on:
        return Mark("no", say("evidence_off"))
    if evidence.last_s is None:
        return Mark("partly", say("evidence_empty"))
    name = "evidence_ok" if evidence.verdict == "ok" else "evidence_unread"
    state: State = "yes" if evidence.verdict == "ok" else "partly"
    return Mark(state, say(name, number=evidence.num_records, last=moment(evidence.last_s)))


def _content(facts: Facts) -> Iterator[Measure]:
    content = facts.content
    if not content.is_on:
        words = say("content_off")
    else:
        labels = joined(same(f"{label} ({days})") for label, days in content.days_by_label)
        subjects = say("unknown") if content.num_subjects is None else same(str(content.num_subjects))
        words = say("content_on", labels=labels, subjects=subjects)
    yield Measure("content", Mark("yes", words), "gemstead policy show")


def _disk(facts: Facts) -> Measure:
    disk = facts.disk
    if disk.is_encrypted is None:
        mark = Mark("unknown", say("disk_unknown"))
    elif disk.is_encrypted:
        mark = Mark("yes", say("disk_yes", how=disk.how))
    else:
        mark = Mark("unknown", say("disk_no", how=disk.how))
    return Measure("disk", mark, "/sys/dev/block")


def _backup(facts: Facts) -> Measure:
    if facts.backup_s is None:
        mark = Mark("unknown", say("backup_no"))
    else:
        age = days_between(facts.backup_s, facts.at_s)
        mark = Mark("yes", say("backup_yes", at=moment(facts.backup_s), days=age))
    return Measure("backup", mark, "gemstead backup list")


def _models(facts: Facts) -> Measure:
    if not facts.models:
        return Measure("models", Mark("unknown", say("models_none")), "gemstead models list")
    published = sum(model.is_digest_published for model in facts.models)
    words = say("models_yes", number=len(facts.models), published=published)
    return Measure("models", Mark("yes", words), "gemstead models verify")


def _connections(facts: Facts) -> Iterator[Measure]:
    words = outside_in_words(facts, say)
    state: State = "partly" if facts.outside else "yes"
    shown = say("outside_some", list=words) if facts.outside else words
    yield Measure("outside", Mark(state, shown), say("where_settings").en)
