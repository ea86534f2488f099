"""What a weight file is for, told by its name; and the parts of a model that was split over several files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, TypeAlias

from gemstead.core.errors import RequestInvalid

Role: TypeAlias = Literal["model", "mmproj", "drafter", "support"]
"""`mmproj`: vision and audio projector. `drafter`: a small model that proposes tokens (MTP, EAGLE, DFlash, DSpark);
useless alone. `support`: configuration, tokenizer, importance matrix."""

ROLE_WORDS: dict[Role, str] = {
    "mmproj": "a projector for images and sound",
    "drafter": "a drafter for speculative decoding",
    "support": "not a weight file",
}

_EDGE = r"(^|[-_./]){}([-_./]|$)"
_MMPROJ = re.compile(_EDGE.format("mmproj"), re.IGNORECASE)
_DRAFTER = re.compile(_EDGE.format(r"(mtp|dflash|dspark|eagle\d*|assistant)"), re.IGNORECASE)
_IMATRIX = re.compile(_EDGE.format("imatrix"), re.IGNORECASE)
_SPLIT = re.compile(r"(?P<stem>.+)-(?P<index>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)

WEIGHT_SUFFIXES = (".gguf", ".safetensors", ".litertlm", ".task")
MAX_SPLITS = 999


def role_of(name: str) -> Role:
    """The role of the file at path `name` in its repository or folder."""
    if not name.lower().endswith(WEIGHT_SUFFIXES) or _IMATRIX.search(name):
        return "support"
    if _MMPROJ.search(name):
        return "mmproj"
    return "drafter" if _DRAFTER.search(name) else "model"


def split_names(name: str) -> list[str]:
    """All parts of the model that `name` is one part of, the first first; `[name]` if it is not split.

    Raises: RequestInvalid if the numbers in the name make no sense.
    """
    match = _SPLIT.fullmatch(name)
    if match is None:
        return [name]
    count, index = int(match["count"]), int(match["index"])
    if not 1 <= index <= count <= MAX_SPLITS:
        raise RequestInvalid(f"{name!r} is not a part of a split model: part {index} of {count}")
    return [f"{match['stem']}-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1)]


def main_models(names: Iterable[str]) -> list[str]:
    """The names that are main models, each split model once, by its first part."""
    return sorted({split_names(name)[0] for name in names if role_of(name) == "model"})


def only_main_model(names: Iterable[str], quant: str | None, place: str) -> str:
    """The one main GGUF model among `names`, of quantization `quant` if that is given.

    Raises: RequestInvalid if there is none or more than one; the message lists what there is.
    """
    known = list(names)
    models = [name for name in main_models(known) if name.lower().endswith(".gguf")]
    fitting = [name for name in models if quant is None or has_quant(name, quant)]
    if len(fitting) == 1:
        return fitting[0]
    if not models:
        others = sorted(name for name in known if role_of(name) in ("mmproj", "drafter"))
        raise RequestInvalid(
            f"{place} holds no GGUF model",
            why=f"{others[0]} is {ROLE_WORDS[role_of(others[0])]}, not a model" if others else None,
            hint="name a place that holds a main model file",
        )
    shown = ", ".join(models[:12]) + (", ..." if len(models) > 12 else "")
    raise RequestInvalid(
        f"{place} holds {len(fitting) or 'no'} models" + (f" of quantization {quant}" if quant else ""),
        why=f"it holds: {shown}",
        hint="name one of these files",
    )


def has_quant(name: str, quant: str) -> bool:
    """Whether the file name carries the quantization, in any spelling of case, `-` and `_`.

    `Q4_K` is not taken for `Q4_K_M`: the word must end at the end of the name or at the number of a split part.
    """
    stem = split_names(name)[0].rpartition("/")[2].lower().removesuffix(".gguf")
    stem = re.sub(r"-\d{5}-of-\d{5}$", "", stem)
    pattern = r"(^|[-_.]){}$".format(re.sub(r"[-_]+", "[-_]", re.escape(quant.lower()).replace(r"\-", "-")))
    return re.search(pattern, stem) is not None
