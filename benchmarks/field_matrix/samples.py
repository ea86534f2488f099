"""The samples: for each field a value that asks for something, and how to see in the answer that it was done."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from gemstead.api.dialect import Handling

FOLDER = Path(__file__).parent / "samples"

ModelRole: TypeAlias = Literal["small", "gemma4"]
"""Small real weights; or Gemma 4's own template, for what only it shows: the toy weights behind it answer nonsense."""

MODELS: dict[ModelRole, str] = {"small": "smollm2:135m", "gemma4": "gemma4:e2b@tiny"}


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"also": "with"}):
    """One request. `seen` are effects by name, each with what it takes; `unseen` says why none can be seen.

    `with` is what else the request has, `without` what the request it is compared with has instead of the field.
    `about` tells samples of one field apart; `expect` is what the table's note promises for this value, if that is not
    the table's own word. `needs`: a model that lacks it may refuse the request without naming the field.
    """

    field: str
    value: Any
    about: str = ""
    expect: Handling | None = None
    seen: dict[str, Any] = {}
    unseen: str = ""
    also: dict[str, Any] = {}
    without: dict[str, Any] = {}
    model: ModelRole = "small"
    needs: str = ""


class Sheet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The samples of one endpoint. `base` is a good request; `inside` is the object in it that holds the fields."""

    path: str
    base: dict[str, Any]
    samples: tuple[Sample, ...]
    inside: str = ""
    is_form: bool = False

    @property
    def endpoint(self) -> str:
        return f"{self.path} {self.inside}".rstrip()

    def name_of(self, field: str) -> str:
        """As errors and warnings call it."""
        return f"{self.inside}.{field}" if self.inside else field

    def body(self, changes: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
        """`base` with `changes`, and with `fields` where this sheet's fields are."""
        body = self.base | changes
        if self.inside:
            return body | {self.inside: body.get(self.inside, {}) | fields}
        return body | fields


def load_sheets() -> dict[str, Sheet]:
    """By endpoint. Raises: msgspec.ValidationError for a sheet that is not one."""
    sheets = (msgspec.toml.decode(path.read_bytes(), type=Sheet) for path in sorted(FOLDER.glob("*.toml")))
    return {sheet.endpoint: sheet for sheet in sheets}
