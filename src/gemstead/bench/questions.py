"""Questions with known answers: from a file of JSON lines, our own, and the regression set with its needles. Pure
but for the files read.

A line: {"prompt": "..."} or {"messages": [{"role": "user", "content": "..."}]}, with "answer" and "match"
(exact, contains, number, regex), and, if need be, "name" and "max_tokens".
"""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from gemstead.core.errors import RequestInvalid

Match: TypeAlias = Literal["exact", "contains", "number", "regex"]

MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_TASKS = 5000
MAX_ANSWER_TOKENS = 4096
MAX_JUDGED_CHARS = 20_000
"""A pattern of the user's is not let loose on more."""

NEEDLE = "The word for the store room is heron-{number}."
NEEDLE_QUESTION = "What is the word for the store room? Answer with that word only."
NEEDLES = ((300, 0.5), (1500, 0.1), (1500, 0.5), (1500, 0.9))
"""Words around the needle, and where in them it lies: one short, three long enough for a sliding window to matter."""

_NUMBER = re.compile(r"[-+]?\d[\d,_]*(?:\.\d+)?")
_EDGES = " \t\n\r\"'`*_.,:;!?()[]"


class Turn(msgspec.Struct, frozen=True):
    role: Literal["system", "user", "assistant"]
    content: str


class Task(msgspec.Struct, frozen=True):
    """One question. `answer` None: nothing is right or wrong, the text is kept to be compared."""

    name: str
    messages: tuple[Turn, ...]
    answer: str | None = None
    match: Match = "exact"
    max_tokens: int = 64


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    answer: str | int | float | None = None
    prompt: str | None = None
    messages: tuple[Turn, ...] = ()
    match: Match = "exact"
    name: str | None = None
    max_tokens: int = 64


def normalised(text: str) -> str:
    """Without case, runs of white space, and the marks and points around it: what does not change an answer."""
    return " ".join(text.casefold().split()).strip(_EDGES)


def is_right(task: Task, text: str) -> bool | None:
    """None for a task without an answer."""
    wanted, text = task.answer, text[:MAX_JUDGED_CHARS]
    if wanted is None:
        return None
    match task.match:
        case "exact":
            return normalised(text) == normalised(wanted)
        case "contains":
            return normalised(wanted) in normalised(text)
        case "number":
            found = _NUMBER.findall(text)
            return bool(found) and _decimal(found[-1]) == _decimal(wanted)
        case "regex":
            return re.search(wanted, text) is not None


def read_tasks(path: Path) -> tuple[Task, ...]:
    """Raises: RequestInvalid, with the number of the line that is wrong."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise RequestInvalid(f"{path} cannot be read: {exc.strerror}", param="tasks") from exc
    if len(content) > MAX_FILE_BYTES:
        raise RequestInvalid(f"{path} is larger than {MAX_FILE_BYTES:,} bytes", param="tasks")
    return parse_tasks(content, str(path))


def parse_tasks(content: bytes, place: str) -> tuple[Task, ...]:
    """`place` names where `content` is from. Raises: as `read_tasks`."""
    lines = [(number, line) for number, line in enumerate(content.splitlines(), 1) if line.strip()]
    if not lines or len(lines) > MAX_TASKS:
        raise RequestInvalid(f"{place} holds {len(lines)} tasks; 1 to {MAX_TASKS} can be asked", param="tasks")
    tasks = tuple(_task(line, number, place) for number, line in lines)
    if len({task.name for task in tasks}) < len(tasks):
        raise RequestInvalid(f"{place}: two tasks have the same name", param="tasks")
    return tasks


@cache
def own_tasks() -> tuple[Task, ...]:
    """Arithmetic, facts, formats: a model that is whole gets nearly all of them."""
    return parse_tasks(files("gemstead.bench").joinpath("tasks.jsonl").read_bytes(), "tasks.jsonl")


@cache
def regression_tasks() -> tuple[Task, ...]:
    """What is asked to be held against other builds and quantizations: greedy answers, and needles in long texts."""
    greedy = parse_tasks(files("gemstead.bench").joinpath("regression.jsonl").read_bytes(), "regression.jsonl")
    return greedy + tuple(_needle(num_words, depth) for num_words, depth in NEEDLES)


def tasks_sha256(tasks: tuple[Task, ...]) -> str:
    """Equal for two runs that asked the same."""
    return hashlib.sha256(msgspec.json.encode(tasks)).hexdigest()


def _task(line: bytes, number: int, place: str) -> Task:
    try:
        read = msgspec.json.decode(line, type=_Line)
    except msgspec.DecodeError as exc:
        hint = 'a line is {"prompt": "2 + 3?", "answer": "5", "match": "number"}'
        raise RequestInvalid(f"{place}, line {number}: {exc}", param="tasks", hint=hint) from exc
    if (read.prompt is None) == (not read.messages):
        raise RequestInvalid(f"{place}, line {number}: give prompt or messages, one of them", param="tasks")
    if not 1 <= read.max_tokens <= MAX_ANSWER_TOKENS:
        raise RequestInvalid(f"{place}, line {number}: max_tokens must be 1 to {MAX_ANSWER_TOKENS}", param="tasks")
    messages = read.messages or (Turn("user", read.prompt or ""),)
    answer = None if read.answer is None else str(read.answer)
    task = Task(read.name or f"{number}", messages, answer, read.match, read.max_tokens)
    _check_answer(task, f"{place}, line {number}")
    return task


def _check_answer(task: Task, where: str) -> None:
    if task.answer is None:
        return
    if task.match == "number" and _decimal(task.answer) is None:
        raise RequestInvalid(f"{where}: {task.answer!r} is no number", param="tasks")
    if task.match == "regex":
        try:
            re.compile(task.answer)
        except re.error as exc:
            raise RequestInvalid(f"{where}: {task.answer!r} is no pattern: {exc}", param="tasks") from exc


def _needle(num_words: int, depth: float) -> Task:
    sentences = files("gemstead.bench").joinpath("corpus.txt").read_text(encoding="utf-8").splitlines()
    # Beside each other in the store of results they must not be mistaken for one another.
    number = num_words + round(10 * depth)
    hay: list[str] = []
    while sum(len(sentence.split()) for sentence in hay) < num_words:
        hay.append(sentences[len(hay) % len(sentences)])
    hay.insert(round(depth * len(hay)), NEEDLE.format(number=number))
    text = f"{' '.join(hay)}\n\n{NEEDLE_QUESTION}"
    name = f"needle-{num_words}-{depth:.0%}"
    return Task(name, (Turn("user", text),), f"heron-{number}", "contains", 24)


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text.replace(",", "").replace("_", ""))
    except InvalidOperation:
        return None
