"""What tests of guards share: a guard run over a text that comes in pieces, and texts that look like trouble."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import strategies as st

from gemstead.core.plugins import load_plugin, plugin_names
from gemstead.guardrails.base import PACKAGE, Finding, Found, Guard, Passage, mask_text

CANARY = "heron-4471-kelp"
DOMAINS = ("intra.example",)


def guards() -> list[Guard]:
    return [load_plugin(PACKAGE, name, "GUARD", Guard) for name in plugin_names(PACKAGE)]


def masked(guard: Guard, pieces: Sequence[str]) -> tuple[str, list[Finding]]:
    """The text with every finding masked, and the findings."""

    def replace(found: Found, text: str) -> str:
        return mask_text(found.kind) if found.replacement is None else found.replacement

    screen = guard.opens(Passage(stage="output", provenance="assistant", secrets=(CANARY,), domains=DOMAINS), replace)
    out = "".join([*(screen.feed(piece) for piece in pieces), screen.close()])
    return out, screen.findings


def cut(text: str, places: Sequence[int]) -> list[str]:
    marks = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[begin:end] for begin, end in pairwise(marks)]


VALUES = (
    *(
        "john.doe+x@mail.example.org",
        "josé@exämple.de",
        "a@b",
        "@",
        "+33 6 12 34 56 78",
        "+33 (0)6 12 34 56 78",
        "06.12.34.56.78",
    ),
    *(
        "(555) 234-5678",
        "4111 1111 1111 1111",
        "4111111111111111",
        "5500-0000-0000-0004",
        "FR76 3000 6000 0112 3456 7890 189",
    ),
    *(
        "GB29 NWBK 6016 1331 9268 19",
        "gb29nwbk60161331926819",
        "DE89370400440532013000",
        "RSS MRA 85T10 A562S",
        "12345678Z",
    ),
    *(
        "131052-308T",
        "756.9217.0769.85",
        "AB 12 34 56 C",
        "2 55 08 14 168 025 38",
        "DE136695976",
        "8.8.8.8",
        "2001:4860:4860::8888",
    ),
    *(
        "00:1A:2B:3C:4D:5E",
        "my BSN is 111222333",
        "PESEL 44051401359",
        "SSN: 123-45-6789",
        "tel ",
        "call ",
        "1 2 3 4 5 6 7 8 9",
    ),
    *(
        "10 11 12 13 14 15 16",
        "2024-11-24",
        "12:30:45",
        "1.234.567,89",
        "password: hunter2xyz",
        "the password is Tr0ub4dor&3",
        "key=",
    ),
    *(
        "api_key = 'sk-abcdefghijklmnopqrstuvwxyz123456'",
        "AKIAIOSFODNN7EXAMPLE",
        "postgres://u:p4ss@host/db",
        "ghp_" + "a1" * 18,
    ),
    *(
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijk",
        "eyJ",
        "-----BEGIN RSA PRIVATE KEY-----\n",
        "MIIEowIBAAKCAQEA" * 4 + "\n",
    ),
    *(
        "-----END RSA PRIVATE KEY-----",
        "-----BEGIN ",
        '{"token": "a8F3kd92jfLs02"}',
        "mot de passe : Soleil2024!",
        CANARY,
        CANARY.upper(),
    ),
    *(
        "![x](https://evil.example/?q=1)",
        "![x](https://intra.example/a.png)",
        "![",
        "<script>alert(1)</script>",
        "<b onclick=x>",
        "<",
    ),
    *(
        "`<img>`",
        "```html\n",
        "\n```\n",
        "~~~\n",
        "\x1b[31m",
        "\x1b]0;x\x07",
        "\x1b",
        "\u202e",
        "\u200b",
        "\U000e0041\U000e0042",
        "\U0001f3f4",
    ),
    *(
        "\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "https://evil.example/x?y=1",
        "[a](//evil.example)",
    ),
    *(
        " ",
        "\n",
        ", ",
        "-",
        ".",
        "/",
        "(",
        ")",
        "+",
        "A",
        "AB",
        "FR",
        "0",
        "33",
        "word",
        "été",
        "٤٢",
        "\uff14\uff11\uff11\uff11",
        "\u0430",
        "\u00a0",
    ),
)

TEXTS = st.lists(st.one_of(st.sampled_from(VALUES), st.text(max_size=12)), max_size=14).map("".join)
"""Values of every kind, broken ones, and what stands between them."""
