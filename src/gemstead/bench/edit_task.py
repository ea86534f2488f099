"""The code-edit task: a source file, its first edit, and the file once more with a second one. No two are alike. Pure.

The text to go on with is a raw prompt, so that it means the same to a model with any chat template, or with none. Two
earlier versions stand before it, as in a session of editing, which is what makes small models copy as large ones do.
"""

from __future__ import annotations

import random
from functools import cache
from importlib.resources import files

STOP = "```"
"""Ends the answer: the file is fenced."""

_NOUNS = (("row", "rows"), ("article", "articles"), ("order", "orders"), ("parcel", "parcels"), ("ticket", "tickets"))
_FILE = "LIMIT = {limit}\n\n\n{body}\n"
_COUNTS = ("count", "amount", "quantity", "pieces")
_PRICES = ("price", "cost", "fee", "charge")


def edit_prompt(seed: int) -> str:
    """A prompt whose answer is nearly all of the file in it; each seed has names of its own and an order of its own.

    The edit is one number near the top. A model that is in doubt about an edit (is this the name to change?) has two
    answers that are nearly as likely, and then the order of a sum decides, whatever guesses ahead.
    """
    rng = random.Random(seed)  # noqa: S311 a choice of words, no secret
    row, rows = rng.choice(_NOUNS)
    body = _source().format(row=row, rows=rows, count=rng.choice(_COUNTS), price=rng.choice(_PRICES))
    functions = body.strip().split("\n\n\n")
    rng.shuffle(functions)
    limit = rng.randrange(100, 900)
    versions = [_FILE.format(limit=limit + step, body="\n\n\n".join(functions)) for step in (0, 1)]
    return (
        f"The file:\n```python\n{versions[0]}```\n\n"
        f"The file, with LIMIT set to {limit + 1}:\n```python\n{versions[1]}```\n\n"
        f"The file, with LIMIT set to {limit + 2}:\n```python\n"
    )


@cache
def _source() -> str:
    return files("gemstead.bench").joinpath("edit_file.txt").read_text(encoding="utf-8")
