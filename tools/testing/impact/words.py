"""Words of a text without their endings, so that `Charged` in an issue meets `charge` in a test."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z_]\w+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
STOP = frozenset(
    re.findall(
        r"\w+",
        """
    the and for with that this from into when then than have has had not but are was were will would
    should could can may must one two three its our your their there here what which who whom how why
    all any some each every more most less least very just only also too use used uses using test tests
    testing case cases fail fails failed failing error errors issue bug wrong right work works working
    expected actual result results value values get gets got set return returns returned give gives
    given make makes made call calls called code line lines file files function method class example
    output input after before instead like same new old true false none self import def assert python
    version problem way time does did doing been being still even first last other over under about out
    off
    """,
    )
)
"""Words that every issue and every test may have."""


def stem_of(word: str) -> str:
    """Lower case, without the commonest endings: `Charged`, `charges` and `charge` are one."""
    word = word.lower()
    for ending in ("ations", "ation", "ings", "ing", "ies", "ied", "ed", "es", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def stems_of(text: str) -> frozenset[str]:
    """Stems of the words of a text, identifiers taken apart; words that say nothing left out."""
    words = {part.lower() for name in _NAME.findall(text) for part in _PART.findall(name)}
    return frozenset(stem_of(word) for word in words if len(word) > 2 and word not in STOP)
