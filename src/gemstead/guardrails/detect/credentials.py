"""Finds credentials in one pass: keys by the prefixes their issuers gave them, and values that are called a secret."""

from __future__ import annotations

import math
import re
from collections import Counter

import msgspec

from gemstead.guardrails.base import Found
from gemstead.guardrails.detect.pieces import decided_by_pieces
from gemstead.guardrails.fold import lower_alike

MAX_KEY_CHARS = 640
"""Of every key but the long ones."""

MAX_LONG_CHARS = 9000
"""Of a token (JWT) or a private key in PEM, each with one character behind it."""

_ISSUED = {
    "aws_key": r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}",
    "github_token": r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}",
    "gitlab_token": r"gl(?:pat|ptt|rt|rtr|dt|cbt|soat|ft|imt|agent|oas|feat)-[A-Za-z0-9_.-]{20,300}",
    "slack_token": r"xox[abceoprs]-[A-Za-z0-9-]{10,250}|xapp-\d-[A-Za-z0-9-]{10,250}",
    "google_key": r"AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{28}|ya29\.[A-Za-z0-9_-]{20,500}",
    "hugging_face_token": r"(?:hf|api_org)_[A-Za-z0-9]{30,64}",
    "anthropic_key": r"sk-ant-[A-Za-z0-9_-]{20,300}",
    "openai_key": r"sk-(?:proj-|svcacct-|admin-|None-)?[A-Za-z0-9_-]{20,300}",
    "stripe_key": r"(?:[sr]k_(?:live|test)|whsec)_[A-Za-z0-9]{16,255}",
    "npm_token": r"npm_[A-Za-z0-9]{36}",
    "pypi_token": r"pypi-[A-Za-z0-9_-]{50,500}",
    "sendgrid_key": r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}",
    "digitalocean_token": r"do[opr]_v1_[a-f0-9]{64}",
    "shopify_token": r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",
    "age_key": r"AGE-SECRET-KEY-1[A-Z0-9]{58}",
    "telegram_token": r"\d{8,10}:AA[A-Za-z0-9_-]{33}",
    "gemstead_key": r"gk_[0-9a-z]{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}",
    "jwt": r"eyJ[A-Za-z0-9_-]{8,1000}+\.[A-Za-z0-9_-]{8,6000}+\.[A-Za-z0-9_-]{8,1500}",
    "url_password": r"[a-z][a-z0-9+]{1,20}://[^\s:@/\"'<>]{1,80}:[^\s@/\"'<>]{1,120}@",
}
_STARTS = (
    "A(?:KIA|SIA|BIA|CCA|Iza|GE-S)|api_org_|do[opr]_v1_|eyJ|g(?:h[pousr]_|ithub_pat_|k_|l[a-z]{2,5}-)|GOCSPX-|hf_|npm_"
    r"|pypi-|[sr]k_|sk-|SG\.|shp|whsec_|xox|xapp-|ya29\.|\d{8,10}:AA|[a-z][a-z0-9+]{1,20}://"
)
_FIRST = r"[^\s\"'`,;<>{}\[\]()]"
_VALUE = "|".join(rf"(?<={mark}){_FIRST}" for mark in ("[:=]", "[:=] ", "[:=][\"'`]", "[:=] [\"'`]"))
_SAYING = (" is ", "est ", "ist ", " es ", " è ", "tet ", "ord ", "ort ", "ase ", "rer ", "sic ")
_SAID = "|".join(rf"(?<={words})" for words in _SAYING)
_ISSUED_START = rf"(?P<pem>-----BEGIN )|(?<![A-Za-z0-9])(?P<issued>{_STARTS})"
_START = re.compile(_ISSUED_START, re.ASCII)
_VALUE_START = re.compile(rf"{_VALUE}|(?<= )(?:{_SAID}){_FIRST}", re.ASCII)
_NEEDLES = (
    *(
        "-----BEGIN ",
        "eyJ",
        "://",
        ":AA",
        "AKIA",
        "ASIA",
        "ABIA",
        "ACCA",
        "AIza",
        "AGE-S",
        "_v1_",
        "ghp_",
        "gho_",
        "ghu_",
    ),
    *(
        "ghs_",
        "ghr_",
        "github_pat_",
        "gk_",
        "gl",
        "GOCSPX-",
        "hf_",
        "api_org_",
        "npm_",
        "pypi-",
        "sk_",
        "rk_",
        "sk-",
        "SG.",
    ),
    *("shp", "whsec_", "xox", "xapp-", "ya29."),
)
"""A text without any of these has no issued key."""
_KEY = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _ISSUED.items()), re.ASCII)

_LABELS = r"(?:[A-Z][A-Za-z-]{2,20}: [^\r\n\\]{1,80}(?:\r?\n|\\r|\\n){1,2}){0,3}"
_LINE_END = r"(?:\\[rn]|[\s\"'+,\\]){0,8}"
_PEM_HEAD = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,10} ){0,3}PRIVATE KEY(?: BLOCK)?-----" + _LINE_END + _LABELS)
_PEM_LINE = re.compile(rf"[A-Za-z0-9+/=]{{20,80}}+{_LINE_END}")
_PEM_END = re.compile(r"[A-Za-z0-9+/=]{0,24}+" + _LINE_END + r"-----END [A-Z0-9 ]{1,40}-----")
PEM_HEAD_CHARS = 460
"""A header with its labels and the beginning of a line."""

_NAMES = (
    r"pass(?:word|wd|phrase|code)?|pwd|secret|token|api[_ -]?key|apikey|access[_ -]?key|auth(?:orization)?|bearer"
    r"|client[_ -]?secret|private[_ -]?key|credential|account[_ -]?key|signing[_ -]?key|encryption[_ -]?key"
    r"|mot de passe|mdp|clé d'api|clé api|jeton|passwort|kennwort|zugangsdaten|geheim\w*|contraseña|clave|chiave"
    r"|parola d'ordine"
)
_NAMED = re.compile(_NAMES)
NAME_WITHIN_CHARS = 72
"""How far before a value its name may begin."""
_CALLED = re.compile(rf"(?:{_NAMES})[\w-]{{0,24}}[\"'`\]]{{0,2}}\s{{0,2}}(?::?=|:|=>)\s?[\"'`]?\Z", re.IGNORECASE)
_CALLED_IN_WORDS = re.compile(
    rf"(?:{_NAMES})[\"'`]{{0,1}}(?:\s[\w.@'/-]{{1,24}}){{0,4}}\s(?:is|est|ist|lautet|es|è|:)\s\Z", re.IGNORECASE
)
_BEARER = re.compile(r"(?:bearer|basic|password|passwort|passphrase|passe|contraseña)\s\Z", re.IGNORECASE)
_WORD = re.compile(r"[^\s\"'`,;<>{}]{1,256}")
_HARD = frozenset("\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029,;\"'`<>{}")
MIN_SECRET_CHARS = 8
_STAND_INS = re.compile(
    r"[*•x.X_-]+|<.*|\$.*|%.*|\{.*|.*(?:your|example|placeholder|changeme|redacted|process\.env|os\.environ|getenv).*"
    r"|https?://.*|/[\w/.-]*|[a-z]+(?:[._-][a-z]+)*\(.*|\d{1,2}[:/.-]\d.*|\d+(?:[.,]\d+)?",
    re.IGNORECASE,
)
"""What stands where a secret would: a mask, a variable, a path, a date, a number."""

KINDS = (*_ISSUED, "private_key", "secret")


class _Value(msgspec.Struct, frozen=True):
    """The first value that begins before `end`; None: there is none left."""

    end: int
    found: Found | None

    def is_behind(self, place: int) -> bool:
        return self.found is not None and self.found.start < place


class Credentials:
    """Implements `base.Finder`. What it remembers of a text only saves time."""

    def __init__(self) -> None:
        self._text = ""
        self._lower = ""
        self._may_have_issued = False
        self._value: _Value | None = None

    def next(self, text: str, start: int, end: int) -> Found | None:
        if self._text is not text:
            self._read(text)
        value = self._next_value(text, start, end)
        if not self._may_have_issued:
            return value
        limit = end if value is None else min(end, value.start + 1)
        place = start
        while (match := _START.search(text, place)) is not None and match.start() < limit:
            place = match.start()
            if (found := _issued(text, place, match.lastgroup or "")) is not None:
                return found
            place += 1
        return value

    def _next_value(self, text: str, start: int, end: int) -> Found | None:
        """Remembered while it stands ahead, so that many keys before it do not make it be looked for many times."""
        known = self._value
        if known is None or known.end != end or known.is_behind(start):
            self._value = known = _Value(end, _value(text, self._lower, start, end))
        return known.found

    def _read(self, text: str) -> None:
        self._text, self._lower, self._value = text, lower_alike(text), None
        self._may_have_issued = any(needle in text for needle in _NEEDLES)

    def decided(self, text: str, start: int) -> int:
        place = decided_by_pieces(text, start, hard=_HARD, max_piece=MAX_KEY_CHARS, max_joined=1)
        token = text.find("eyJ", max(start, len(text) - MAX_LONG_CHARS), place + 3)
        while 0 <= token < place:
            if _is_open(text, token):
                place = token
            token = text.find("eyJ", token + 1, place + 3)
        return _before_open_pem(text, start, place)


def _is_open(text: str, token: int) -> bool:
    """Whether the piece at `token` still goes on, so that it may become a token."""
    match = _TOKEN_CHARS.match(text, token, token + MAX_LONG_CHARS)
    return match is not None and match.end() == len(text)


_TOKEN_CHARS = re.compile(r"[A-Za-z0-9_.-]*+")


def _before_open_pem(text: str, start: int, place: int) -> int:
    head = text.find("-----BEGIN ", start, place)
    while head >= 0:
        left = len(text) - head
        end = _pem_end(text, head)
        is_over = end is not None and (text.endswith("-----", head + 60, end) or len(text) - end >= PEM_HEAD_CHARS)
        if (left < PEM_HEAD_CHARS and not is_over) or (end is not None and not is_over and left < MAX_LONG_CHARS):
            return head
        head = text.find("-----BEGIN ", head + 1, place)
    return place


def _issued(text: str, start: int, group: str) -> Found | None:
    if group == "pem":
        end = _pem_end(text, start)
        return None if end is None else Found(start, end, "private_key")
    match = _KEY.match(text, start)
    return None if match is None else Found(start, match.end(), match.lastgroup or "secret")


def _value(text: str, lower: str, start: int, end: int) -> Found | None:
    """Looked for behind names only; names before `start` count too."""
    place = start
    for name in _NAMED.finditer(lower, max(0, start - NAME_WITHIN_CHARS), end):
        limit = min(end, name.end() + NAME_WITHIN_CHARS)
        place = max(place, name.end())
        while (match := _VALUE_START.search(text, place, limit + 1)) is not None and match.start() < limit:
            if (found := _value_at(text, match.start())) is not None:
                return found
            place = match.start() + 1
    return None


def _value_at(text: str, start: int) -> Found | None:
    word = _WORD.match(text, start)
    value = word[0].rstrip(".!?)") if word is not None else ""
    if not is_like_a_secret(value):
        return None
    before = text[max(0, start - NAME_WITHIN_CHARS) : start]
    is_called = _CALLED.search(before) or _CALLED_IN_WORDS.search(before) or _BEARER.search(before)
    return Found(start, start + len(value), "secret") if is_called else None


def _pem_end(text: str, start: int) -> int | None:
    head = _PEM_HEAD.match(text, start)
    if head is None:
        return None
    place = head.end()
    limit = start + MAX_LONG_CHARS - 300
    while place < limit and (line := _PEM_LINE.match(text, place)) is not None:
        place = line.end()
    if place == head.end():
        return None
    end = _PEM_END.match(text, place)
    return end.end() if end is not None else place


def is_like_a_secret(value: str) -> bool:
    """Chosen or generated, not a word: at least 8 characters of two kinds or more, and no stand-in."""
    if len(value) < MIN_SECRET_CHARS or _STAND_INS.fullmatch(value):
        return False
    kinds = (any(map(str.islower, value)), any(map(str.isupper, value)), any(map(str.isdigit, value)))
    has_marks = any(not char.isalnum() and char not in "-_." for char in value)
    if len(value) < 20:
        return (kinds[2] or has_marks) and sum(kinds) + has_marks >= 2
    return entropy_bits(value) >= 3.0 and (kinds[2] or sum(kinds) + has_marks >= 3)


def entropy_bits(text: str) -> float:
    """Shannon entropy, in bits for a character."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)
