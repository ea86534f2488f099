"""Model hubs that speak Hugging Face's protocol: the hub itself or a mirror inside an organisation.

huggingface_hub knows addresses, tokens and metadata; the bytes come by gemstead's own downloader, as from every source.
The address handed on is the hub's own, not the signed one it redirects to: those expire while a large file arrives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gemstead.catalog.download import RemoteFile
from gemstead.catalog.entries import Artefact
from gemstead.catalog.roles import only_main_model, role_of, split_names
from gemstead.catalog.source import ModelSource, SourceOptions
from gemstead.catalog.transport import Hints, Transport, is_loopback, raise_for_status, split_url, translated
from gemstead.core.errors import (
    RequestInvalid,
    SourceError,
    SourceForbidden,
    SourceNotFound,
    SourceUnauthorized,
    SourceUnreachable,
)

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

PUBLIC_HUB = "https://huggingface.co"
METADATA_TIMEOUT_S = 20.0
MAX_FILES = 10_000
"""Files looked at in one repository."""

SUPPORT_SUFFIXES = (".json", ".jinja", ".txt", ".model", ".safetensors", ".litertlm", ".tiktoken")
"""What an engine needs of a repository of safetensors; pickles and other formats are left out."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


def _resolve(artefact: Artefact, options: SourceOptions) -> list[RemoteFile]:
    if artefact.repo is None:
        raise RequestInvalid(f"{artefact.tag} names no repository")
    _check_endpoint(options)
    token, hints = _token(options), _hints(artefact.repo, options)
    with _errors_of_the_hub(artefact.repo, options, hints):
        return [_metadata(name, artefact, token, options, hints) for name in _names(artefact, token, options)]


def _names(artefact: Artefact, token: str | bool, options: SourceOptions) -> list[str]:
    if artefact.file is not None:
        return split_names(artefact.file)
    files = _listing(artefact, token, options)
    if artefact.format == "gguf":
        main = only_main_model(files, artefact.quant or None, f"{artefact.repo}")
        return split_names(main)
    wanted = [name for name in files if name.lower().endswith(SUPPORT_SUFFIXES)]
    if not any(role_of(name) == "model" for name in wanted):
        raise SourceNotFound(f"{artefact.repo} holds no weights in safe formats", hint="choose another repository")
    return wanted


def _listing(artefact: Artefact, token: str | bool, options: SourceOptions) -> list[str]:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    api = HfApi(endpoint=options.hf_endpoint, token=token)
    names = []
    for entry in api.list_repo_tree(artefact.repo or "", revision=artefact.whole_revision, recursive=True):
        if isinstance(entry, RepoFile):
            names.append(entry.path)
        if len(names) > MAX_FILES:
            raise SourceError(f"{artefact.repo} lists more than {MAX_FILES} files")
    return names


def _metadata(name: str, artefact: Artefact, token: str | bool, options: SourceOptions, hints: Hints) -> RemoteFile:
    """One file as the hub describes it: size, commit, and the sha256 of files it keeps as large ones."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    repo, revision = artefact.repo or "", artefact.whole_revision
    url = hf_hub_url(repo, name, revision=revision, endpoint=options.hf_endpoint)
    found = get_hf_file_metadata(url, token=token, timeout=METADATA_TIMEOUT_S, endpoint=options.hf_endpoint)
    commit = found.commit_hash or revision
    etag = (found.etag or "").lower()
    return RemoteFile(
        url=hf_hub_url(repo, name, revision=commit, endpoint=options.hf_endpoint),
        name=name,
        size_bytes=found.size,
        sha256=etag if _SHA256.fullmatch(etag) else None,
        headers={"Authorization": f"Bearer {token}"} if isinstance(token, str) else {},
        revision=commit,
        hints=hints,
        transport=Transport(trusted_hosts=options.trusted_hosts),
    )


def _token(options: SourceOptions) -> str | bool:
    """The token to send; False: none. A token left by a login is for the public hub, not for other endpoints."""
    if options.hf_token:
        return options.hf_token
    if options.hf_endpoint.rstrip("/") != PUBLIC_HUB:
        return False
    from huggingface_hub import get_token

    return get_token() or False


def _check_endpoint(options: SourceOptions) -> None:
    parts = split_url(options.hf_endpoint)
    host = parts.hostname or ""
    if parts.scheme == "https" or is_loopback(host) or host in options.trusted_hosts:
        return
    raise SourceError(
        f"plain http to {host or options.hf_endpoint} is refused",
        why="the token and the model would travel unencrypted",
        hint="use the https address of the hub",
    )


def _hints(repo: str, options: SourceOptions) -> Hints:
    page = f"{options.hf_endpoint.rstrip('/')}/{repo}"
    return Hints(
        unauthorized=f"make a token at {options.hf_endpoint.rstrip('/')}/settings/tokens and set HF_TOKEN, "
        "or run: hf auth login",
        forbidden=f"accept the model's licence at {page} with the account the token belongs to",
        not_found=f"see whether it was renamed: {page}/tree/main",
        unreachable="check the network, or fetch the file elsewhere and run: gemstead models import FILE --name NAME",
    )


@contextmanager
def _errors_of_the_hub(repo: str, options: SourceOptions, hints: Hints) -> Iterator[None]:
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        with translated(f"{options.hf_endpoint}/{repo}", hints):
            yield
    except OfflineModeIsEnabled as exc:
        raise SourceUnreachable(
            f"{repo} cannot be fetched: HF_HUB_OFFLINE is set", hint="unset HF_HUB_OFFLINE"
        ) from exc
    except HfHubHTTPError as exc:
        raise _meaning_of(exc, repo, options, hints) from exc
    except HFValidationError as exc:
        raise RequestInvalid(f"{repo!r} is not the name of a repository", why=str(exc)) from exc


def _meaning_of(exc: HfHubHTTPError, repo: str, options: SourceOptions, hints: Hints) -> SourceError:
    """The hub answers 401 for what does not exist, too, when it does not know who asks: that is said."""
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RevisionNotFoundError

    status = exc.response.status_code
    if isinstance(exc, RevisionNotFoundError | EntryNotFoundError):
        return SourceNotFound(f"{repo} does not have the file or revision asked for (404)", hint=hints.not_found)
    if isinstance(exc, GatedRepoError) and status == 403:
        return SourceForbidden(f"{repo} is gated: its licence must be accepted first (403)", hint=hints.forbidden)
    if status == 401:
        why = "the token was not accepted" if options.hf_token else "it is private or gated, or does not exist"
        return SourceUnauthorized(f"{repo} asks who you are (401)", why=why, hint=hints.unauthorized)
    try:
        raise_for_status(exc.response, f"{options.hf_endpoint.rstrip('/')}/{repo}", hints)
    except SourceError as error:
        return error
    return SourceError(f"{repo}: the hub refuses", why=str(exc), hint=hints.not_found)


SOURCE = ModelSource(name="hf", resolve=_resolve)
"""Repositories of a model hub; digests come from the hub's large-file metadata where it tells them."""
