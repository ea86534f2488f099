import logging
import os
from pathlib import Path

import pytest

from gemstead.access.policy_file import PolicyText
from gemstead.access.policy_watch import PolicyWatch
from gemstead.core.errors import LimitsUnavailable, SettingInvalid
from policy_makers import query

ALLOW = 'version = 1\n[[rules]]\nid = "a"\neffect = "allow"\n'
DENY = 'version = 1\n[[rules]]\nid = "a"\neffect = "deny"\n'


class Watched:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept: list[str] = []
        self.results: list[str] = []
        self.watch = PolicyWatch(path, keep=self.keep, on_reload=lambda result, _sha256: self.results.append(result))
        self.is_broken = False

    def keep(self, text: PolicyText) -> None:
        if self.is_broken:
            raise LimitsUnavailable("the disk is full")
        self.kept.append(text.text)

    def write(self, text: str) -> None:
        self.path.write_text(text)
        os.utime(self.path, ns=(len(self.results), len(self.kept) + 7 * len(self.results) + 1))
        self.watch.look()

    def allows(self) -> bool:
        return self.watch.current().decide(query()).is_allowed


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    path = tmp_path / "policy.toml"
    path.write_text(ALLOW)
    found = Watched(path)
    found.watch.start()
    return found


def test_a_changed_file_is_applied_whole_and_kept(watched: Watched) -> None:
    assert watched.allows()
    watched.write(DENY)
    assert not watched.allows()
    assert watched.kept == [ALLOW, DENY]
    assert watched.results == ["applied"]


def test_a_broken_file_is_not_applied_and_said_once(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        watched.write(DENY + "effect = 3")
        watched.watch.look()
    assert watched.allows()
    assert watched.results == ["refused"]
    assert "stays in force" in caplog.text
    watched.write(DENY)
    assert not watched.allows()


def test_a_file_that_goes_leaves_its_rules_in_force(watched: Watched) -> None:
    watched.write(DENY)
    watched.path.unlink()
    watched.watch.look()
    assert not watched.allows()
    assert watched.results == ["applied", "refused"]


def test_what_cannot_be_kept_is_not_applied(watched: Watched) -> None:
    watched.is_broken = True
    watched.write(DENY)
    assert watched.allows()
    assert watched.results == ["refused"]


def test_a_server_does_not_start_under_rules_it_cannot_read(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("version = ")
    with pytest.raises(SettingInvalid):
        PolicyWatch(path).start()


def test_without_a_file_the_keys_decide_until_there_is_one(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "policy.toml")
    watched.watch.start()
    assert watched.allows()
    assert not watched.watch.has_file
    watched.write(DENY)
    assert not watched.allows()
