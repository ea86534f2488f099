"""Licences that must be agreed to before files are taken: agreed once, with the time, kept in the store."""

from __future__ import annotations

from pathlib import Path

import msgspec

from gemstead.catalog.entries import Licence
from gemstead.catalog.manifests import now_utc, safe_file_name
from gemstead.catalog.partial import write_atomic
from gemstead.core.errors import FileDamaged, PolicyRefused


class Acceptance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    licence: str
    title: str
    url: str
    accepted_at: str


def accept_licence(folder: Path, licence: Licence) -> Acceptance:
    """Records that the owner of this store agrees; an earlier agreement keeps its time."""
    if (earlier := acceptance_of(folder, licence)) is not None:
        return earlier
    acceptance = Acceptance(licence.id, licence.title, licence.url, now_utc())
    write_atomic(_path(folder, licence), msgspec.json.encode(acceptance))
    return acceptance


def acceptance_of(folder: Path, licence: Licence) -> Acceptance | None:
    """Raises: FileDamaged if the record is unreadable."""
    path = _path(folder, licence)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Acceptance)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as exc:
        raise FileDamaged(f"the record {path} is damaged", why=str(exc), hint=f"delete {path}") from exc


def require_acceptance(folder: Path, licence: Licence, model: str) -> None:
    """Raises: PolicyRefused if the licence asks for agreement and none is recorded."""
    if licence.must_accept and acceptance_of(folder, licence) is None:
        raise PolicyRefused(
            f"{model} comes under the {licence.title}, which must be accepted first",
            why=f"read them at {licence.url}",
            hint=f"gemstead models pull {model} --accept-licence",
        )


def _path(folder: Path, licence: Licence) -> Path:
    return folder / f"{safe_file_name(licence.id)}.json"
