"""Pulls against a hub-like server: whatever goes wrong, the store is intact and one clear message says what to do."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from huggingface_hub import close_session

from gemstead.catalog import space
from gemstead.catalog.download import RetryPolicy
from gemstead.catalog.licences import accept_licence
from gemstead.catalog.names import ModelName, artefact_of_address
from gemstead.catalog.pull import PullRequest, pull, pull_first, requests_for
from gemstead.catalog.source import SourceOptions
from gemstead.catalog.store import Store
from gemstead.core.errors import (
    DigestMismatch,
    DiskFull,
    FileDamaged,
    GemsteadError,
    PolicyRefused,
    RequestInvalid,
    SourceForbidden,
    SourceNotFound,
    SourceUnauthorized,
    SourceUnreachable,
)
from gemstead.core.progress import ProgressEvent
from real.hub_server import COMMIT, TOKEN, TOKEN_WITHOUT_ACCESS, Fault, HubServer, Repo
from real.pull_worker import FILE, NO_WAITING, REPO, sha256_of, trial_artefact, trial_request, trial_store
from small_gguf import gguf_bytes

pytestmark = pytest.mark.real

CONTENT = gguf_bytes()
WORKER = Path(__file__).with_name("pull_worker.py")


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer({REPO: Repo({FILE: CONTENT, "README.md": b"read me"})}) as server:
        yield server
        close_session()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return trial_store(tmp_path / "models")


def options(hub: HubServer, token: str | None = None) -> SourceOptions:
    return SourceOptions(hf_endpoint=hub.endpoint, hf_token=token)


def worker(store: Store, hub: HubServer) -> subprocess.Popen[str]:
    command = [sys.executable, str(WORKER), "--root", str(store.root), "--endpoint", hub.endpoint]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def outcome(process: subprocess.Popen[str]) -> dict[str, object]:
    answer, _ = process.communicate(timeout=60)
    return json.loads(answer)  # type: ignore[no-any-return]


def assert_empty_and_usable(store: Store, hub: HubServer, token: str | None = None) -> None:
    """No model, no stray blob; and the next pull, with nothing in its way, succeeds."""
    assert store.list() == []
    assert list((store.root / "blobs").glob("*")) == []
    hub.faults.clear()
    manifest = pull(store, trial_request(store), options(hub, token))
    assert store.path_of(manifest).read_bytes() == hub.repos[REPO].files[FILE]  # type: ignore[union-attr]


def test_a_pull_puts_the_file_under_its_own_name_and_records_where_it_came_from(store: Store, hub: HubServer) -> None:
    events: list[ProgressEvent] = []
    manifest = pull(store, trial_request(store), options(hub), events.append)
    assert manifest.name == "trial:small-q4_0"
    assert manifest.revision == COMMIT
    path = store.path_of(manifest)
    assert path is not None
    assert path.name == FILE
    assert path.read_bytes() == CONTENT
    assert manifest.files[0].sha256 == sha256_of(CONTENT)
    assert store.find("trial:small") == manifest
    assert list(store.incoming.glob("*")) == []
    assert events[-1].is_done
    assert events[-1].done == len(CONTENT)


def test_a_model_that_is_here_is_not_asked_for_again(store: Store, hub: HubServer) -> None:
    first = pull(store, trial_request(store), options(hub))
    num_requests = len(hub.log)
    assert pull(store, trial_request(store), SourceOptions(is_offline=True)) == first
    assert len(hub.log) == num_requests


def test_the_token_goes_to_the_hub_and_never_to_the_origin_it_redirects_to(store: Store, hub: HubServer) -> None:
    hub.repos[REPO].is_private = True
    pull(store, trial_request(store), options(hub, TOKEN))
    at_hub, at_bytes = hub.exchanges(FILE, "hub"), hub.exchanges(FILE)
    assert {entry.headers.get("authorization") for entry in at_hub} == {f"Bearer {TOKEN}"}
    assert [entry.headers.get("authorization") for entry in at_bytes] == [None]


def test_a_cut_connection_is_resumed_from_where_it_broke(store: Store, hub: HubServer) -> None:
    hub.faults[FILE] = Fault(cut_after_bytes=2_000_000)
    pull(store, trial_request(store), options(hub))
    first, second = hub.exchanges(FILE)
    assert first.status == 200
    assert second.status == 206
    assert second.headers["range"] == "bytes=2000000-"
    assert second.num_sent == len(CONTENT) - 2_000_000


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_pull_ended_half_way_goes_on_in_the_next_process(store: Store, hub: HubServer, end: signal.Signals) -> None:
    hub.faults[FILE] = Fault(bytes_per_s=2_000_000)
    process = worker(store, hub)
    wait_until(lambda: hub.served(FILE) > 2_200_000, process)
    process.send_signal(end)
    process.communicate(timeout=10)
    assert store.list() == []
    hub.faults.clear()

    assert outcome(worker(store, hub))["name"] == "trial:small-q4_0"
    resumed = hub.exchanges(FILE)[-1]
    assert resumed.status == 206
    assert 0 < resumed.num_sent < len(CONTENT)
    assert store.verify("trial:small").files[0].sha256 == sha256_of(CONTENT)


def test_a_file_that_changed_between_cut_and_resume_is_fetched_anew(store: Store, hub: HubServer) -> None:
    hub.faults[FILE] = Fault(cut_after_bytes=2_000_000)
    with pytest.raises(SourceUnreachable):
        pull(store, trial_request(store, retry=RetryPolicy(attempts=1)), options(hub))
    replacement = gguf_bytes(seed=1)
    hub.repos[REPO] = Repo({FILE: replacement}, commit="f" * 40)
    hub.faults.clear()
    manifest = pull(store, trial_request(store), options(hub))
    assert store.path_of(manifest).read_bytes() == replacement  # type: ignore[union-attr]
    assert "range" not in hub.exchanges(FILE)[-1].headers


def test_wrong_bytes_are_refused_and_quarantined(store: Store, hub: HubServer) -> None:
    hub.faults[FILE] = Fault(is_wrong=True)
    with pytest.raises(DigestMismatch, match="not the file expected") as caught:
        pull(store, trial_request(store), options(hub))
    kept = list(store.quarantine.iterdir())
    assert len(kept) == 1
    assert str(kept[0]) in (caught.value.why or "")
    assert_empty_and_usable(store, hub)


def test_a_published_digest_is_compared_before_anything_is_fetched(tmp_path: Path, hub: HubServer) -> None:
    store = trial_store(tmp_path, trial_artefact(sha256="0" * 64))
    with pytest.raises(DigestMismatch, match="changed") as caught:
        pull(store, trial_request(store), options(hub))
    assert "--accept-new-digest" in (caught.value.hint or "")
    assert hub.served(FILE) == 0
    manifest = pull(store, trial_request(store, accepts_new_digest=True), options(hub))
    assert not manifest.is_digest_published


def test_a_digest_recorded_at_the_first_pull_is_compared_ever_after(store: Store, hub: HubServer) -> None:
    pull(store, trial_request(store), options(hub))
    store.remove("trial:small")
    hub.repos[REPO].files[FILE] = gguf_bytes(seed=2)
    with pytest.raises(DigestMismatch, match="seen before"):
        pull(store, trial_request(store), options(hub))
    pull(store, trial_request(store, accepts_new_digest=True), options(hub))
    store.remove("trial:small")
    assert pull(store, trial_request(store), options(hub)).files[0].sha256 == sha256_of(gguf_bytes(seed=2))


def test_two_pulls_at_once_fetch_the_bytes_once(store: Store, hub: HubServer) -> None:
    hub.faults[FILE] = Fault(bytes_per_s=1_500_000, times=None)
    first = worker(store, hub)
    wait_until(lambda: hub.served(FILE) > 0, first)
    second = worker(store, hub)
    outcomes = [outcome(first), outcome(second)]
    assert [answer["name"] for answer in outcomes] == ["trial:small-q4_0"] * 2
    assert "waiting for it" in str(outcomes[1]["notes"])
    assert hub.served(FILE) == len(CONTENT)


def test_a_disk_that_is_too_small_is_found_before_the_first_byte(
    store: Store, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as fake:
        fake.setattr(space, "free_bytes", lambda _: 1000)
        with pytest.raises(DiskFull) as caught:
            pull(store, trial_request(store), options(hub))
    assert caught.value.missing_bytes == len(CONTENT) - 1000
    assert "GEMSTEAD_DATA_DIR" in (caught.value.hint or "")
    assert hub.served(FILE) == 0
    assert_empty_and_usable(store, hub)


def test_a_disk_that_fills_up_on_the_way_is_named(tmp_path: Path, hub: HubServer) -> None:
    hub.faults[FILE] = Fault(has_length=False)
    with small_disk(tmp_path / "disk", num_bytes=1_000_000) as folder:
        store = trial_store(folder / "models")
        request = url_request(f"{hub.bytes_endpoint}/{REPO}/{FILE}", "trial")
        with pytest.raises(DiskFull, match="is full"):
            pull(store, request, SourceOptions())
        assert store.list() == []
        assert list((store.root / "blobs").glob("*")) == []


@pytest.mark.parametrize(
    ("is_private", "is_gated", "token", "expected", "hint"),
    [
        (True, False, None, SourceUnauthorized, "HF_TOKEN"),
        (False, True, None, SourceUnauthorized, "HF_TOKEN"),
        (False, False, "hf_bad", SourceUnauthorized, "HF_TOKEN"),
        (False, True, TOKEN_WITHOUT_ACCESS, SourceForbidden, f"licence at .*/{REPO}"),
        (True, False, TOKEN_WITHOUT_ACCESS, SourceNotFound, "renamed"),
    ],
)
def test_a_refusal_of_the_hub_says_what_to_do(
    store: Store, hub: HubServer, is_private: bool, is_gated: bool, token: str | None, expected: type, hint: str
) -> None:
    hub.repos[REPO].is_private, hub.repos[REPO].is_gated = is_private, is_gated
    with pytest.raises(expected) as caught:
        pull(store, trial_request(store), options(hub, token))
    assert re.search(hint, caught.value.hint or "")
    assert_empty_and_usable(store, hub, TOKEN)


def test_a_renamed_file_is_named_and_the_next_choice_is_tried(tmp_path: Path, hub: HubServer) -> None:
    gone = msgspec.structs.replace(trial_artefact(), tag="gone", file="gone-Q4_0.gguf")
    store = trial_store(tmp_path, gone, trial_artefact())
    requests = requests_for(store, "trial:small")
    with pytest.raises(SourceNotFound, match="does not have the file") as caught:
        pull(store, requests[0], options(hub))
    assert f"{hub.endpoint}/{REPO}" in (caught.value.hint or "")
    notes: list[ProgressEvent] = []
    assert pull_first(store, requests, options(hub), notes.append).tag == "q4_0"
    assert any("next choice" in (event.note or "") for event in notes)


def test_a_hub_that_is_not_there_says_how_to_bring_the_file_by_hand(store: Store, hub: HubServer) -> None:
    nowhere = SourceOptions(hf_endpoint="http://127.0.0.1:9")
    with pytest.raises(SourceUnreachable) as caught:
        pull(store, trial_request(store), nowhere)
    assert "gemstead models import" in (caught.value.hint or "")
    assert_empty_and_usable(store, hub)


def test_offline_mode_opens_no_connection(store: Store, hub: HubServer) -> None:
    with pytest.raises(SourceUnreachable, match="offline mode"):
        pull(store, trial_request(store), SourceOptions(hf_endpoint=hub.endpoint, is_offline=True))
    assert hub.log == []


def test_plain_http_to_another_machine_is_refused(store: Store) -> None:
    with pytest.raises(GemsteadError, match=r"plain http to hub\.example is refused"):
        pull(store, trial_request(store), SourceOptions(hf_endpoint="http://hub.example", hf_token=TOKEN))


def test_a_server_with_a_passing_fault_is_asked_again(store: Store, hub: HubServer) -> None:
    hub.faults[FILE] = Fault(status=500, retry_after_s=0, times=2)
    pull(store, trial_request(store), options(hub))
    assert [entry.status for entry in hub.exchanges(FILE)] == [500, 500, 200]


def test_a_server_with_a_lasting_fault_is_given_up(store: Store, hub: HubServer) -> None:
    hub.faults[FILE] = Fault(status=503, retry_after_s=0, times=None)
    with pytest.raises(SourceUnreachable, match="fault of its own"):
        pull(store, trial_request(store), options(hub))
    assert len(hub.exchanges(FILE)) == NO_WAITING.attempts
    assert_empty_and_usable(store, hub)


def test_a_server_that_cannot_resume_sends_the_whole_file_again(store: Store, hub: HubServer) -> None:
    hub.faults[FILE] = Fault(cut_after_bytes=1_500_000, has_ranges=False)
    pull(store, trial_request(store), options(hub))
    hub.faults[FILE] = Fault(has_ranges=False, times=None)
    assert store.verify("trial:small").size_bytes == len(CONTENT)


def test_a_licence_that_asks_for_agreement_is_asked_for_once(tmp_path: Path, hub: HubServer) -> None:
    store = trial_store(tmp_path, licence="strict")
    with pytest.raises(PolicyRefused, match="Strict Terms") as caught:
        pull(store, trial_request(store), options(hub))
    assert "--accept-licence" in (caught.value.hint or "")
    accepted = accept_licence(store.licences, store.catalog.licence("strict"))
    assert accept_licence(store.licences, store.catalog.licence("strict")) == accepted
    assert pull(store, trial_request(store), options(hub)).licence == "strict"


def test_a_projector_comes_along_and_is_added_to_a_model_that_is_here(tmp_path: Path, hub: HubServer) -> None:
    eyes = gguf_bytes(1000, "clip")
    hub.repos[REPO].files["mmproj-small-Q8_0.gguf"] = eyes
    projector = msgspec.structs.replace(
        trial_artefact(), tag="mmproj-q8_0", role="mmproj", file="mmproj-small-Q8_0.gguf"
    )
    store = trial_store(tmp_path, trial_artefact(), projector)
    alone = pull(store, requests_for(store, "trial:small")[0], options(hub))
    assert store.path_of(alone, "mmproj") is None
    both = pull(store, requests_for(store, "trial:small", with_mmproj=True)[0], options(hub))
    assert store.path_of(both, "mmproj").read_bytes() == eyes  # type: ignore[union-attr]
    assert hub.served(FILE) == len(CONTENT)
    assert store.list() == [both]


def test_a_repository_is_searched_for_its_main_model(store: Store, hub: HubServer) -> None:
    hub.repos["owner/many"] = Repo(
        {
            "mmproj-many-Q8_0.gguf": gguf_bytes(1000, "clip"),
            "mtp-many-Q8_0.gguf": gguf_bytes(1000),
            "many-Q8_0.gguf": gguf_bytes(2000),
            "many-Q4_K_M-00001-of-00002.gguf": gguf_bytes(3000),
            "many-Q4_K_M-00002-of-00002.gguf": gguf_bytes(4000, seed=3),
        }
    )
    [request] = requests_for(store, "hf:owner/many:q4_k_m")
    manifest = pull(store, request, options(hub))
    first = store.path_of(manifest)
    assert first is not None
    assert first.name == "many-Q4_K_M-00001-of-00002.gguf"
    assert sorted(path.name for path in first.parent.iterdir()) == [file.name for file in manifest.files]
    with pytest.raises(RequestInvalid, match="holds 2 models"):
        pull(store, requests_for(store, "hf:owner/many")[0], options(hub))
    assert manifest.name == "hf:owner/many:q4_k_m"
    assert manifest.quant == "q4_k_m"
    assert store.find("hf:owner/many:q4_k_m") == manifest


def test_of_a_whole_repository_only_safe_formats_are_taken_with_their_folders(tmp_path: Path, hub: HubServer) -> None:
    files = {"config.json": b"{}", "model-00001-of-00001.safetensors": b"weights", "extra/tokenizer.json": b"[]"}
    hub.repos[REPO] = Repo({**files, "pytorch_model.bin": b"pickle", "run.py": b"code", ".gitattributes": b""})
    whole = msgspec.structs.replace(trial_artefact(), tag="bf16", format="safetensors", quant="BF16", file=None)
    store = trial_store(tmp_path, whole)
    [request] = requests_for(store, "trial:small", formats=("safetensors",))
    manifest = pull(store, request, options(hub))
    folder = store.folder_of(manifest)
    assert {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files
    assert [file.name for file in manifest.files_of("model")] == ["model-00001-of-00001.safetensors"]


@pytest.mark.parametrize("name", ["../../escape.gguf", "/etc/escape.gguf"])
def test_a_file_name_that_leads_out_of_the_store_is_refused(tmp_path: Path, hub: HubServer, name: str) -> None:
    hub.repos[REPO] = Repo({name: CONTENT})
    store = trial_store(tmp_path / "models", msgspec.structs.replace(trial_artefact(), file=None))
    with pytest.raises(GemsteadError):
        pull(store, trial_request(store), options(hub))
    assert list(tmp_path.rglob("*escape*")) == []
    assert store.list() == []


def test_a_repository_with_only_a_projector_is_refused(store: Store, hub: HubServer) -> None:
    hub.repos["owner/eyes"] = Repo({"mmproj-eyes-Q8_0.gguf": gguf_bytes(1000, "clip")})
    with pytest.raises(RequestInvalid, match="holds no GGUF model"):
        pull(store, requests_for(store, "hf:owner/eyes")[0], options(hub))


def test_an_address_that_delivers_something_else_than_a_model_is_refused(store: Store, hub: HubServer) -> None:
    hub.repos["owner/page"] = Repo({"page.gguf": b"<html>" + bytes(2000)})
    with pytest.raises(FileDamaged):
        pull(store, url_request(f"{hub.bytes_endpoint}/owner/page/page.gguf", "page"), SourceOptions())
    assert store.list() == []


def test_a_main_model_in_name_only_is_refused_by_what_is_in_it(store: Store, hub: HubServer) -> None:
    hub.repos["owner/eyes"] = Repo({"eyes.gguf": gguf_bytes(1000, "clip")})
    with pytest.raises(RequestInvalid, match=r"eyes\.gguf is a projector"):
        pull(store, requests_for(store, "hf:owner/eyes")[0], options(hub))
    assert list((store.root / "blobs").glob("*")) == []
    assert len(list(store.quarantine.iterdir())) == 1


def test_a_model_comes_from_a_plain_address_too_and_its_secrets_are_not_kept(store: Store, hub: HubServer) -> None:
    url = f"{hub.bytes_endpoint}/{REPO}/{FILE}".replace("://", "://user:secret@") + "?key=secret"
    [request] = requests_for(store, url)
    manifest = pull(store, request, SourceOptions())
    assert (manifest.name, manifest.quant) == ("small-q4_0", "F32")
    assert store.path_of(manifest).read_bytes() == CONTENT  # type: ignore[union-attr]
    kept = [path.read_bytes() for path in store.root.rglob("*.json")]
    assert len(kept) == 2
    assert not any(b"secret" in content for content in kept)
    [other] = requests_for(store, f"{hub.bytes_endpoint}/other/{FILE}")
    with pytest.raises(RequestInvalid, match="is taken by the model from"):
        pull(store, other, SourceOptions())
    assert pull(store, requests_for(store, url, own_name="mine:1b")[0], SourceOptions()).name == "mine:1b"


def url_request(url: str, name: str) -> PullRequest:
    artefact = artefact_of_address(url)
    assert artefact is not None
    return PullRequest(ModelName(name, is_own=True), artefact, retry=NO_WAITING)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Polls for at most 30 s; fails if the process ends first."""
    deadline_s = time.monotonic() + 30
    while not condition():
        assert process.poll() is None, "the pull ended early"
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


@contextmanager
def small_disk(folder: Path, num_bytes: int) -> Iterator[Path]:
    """A file system of its own; needs the right to mount."""
    folder.mkdir()
    size = f"size={num_bytes}"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"needs the right to mount a tmpfs: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
