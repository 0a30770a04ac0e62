"""Names of features, short enough to stand beside what they name and still different from each other."""

import re
from collections.abc import Sequence
from itertools import takewhile

from service.explanations.charts.words import short

LONG = 14  # characters that there is room for beside a line


def beginning(names: Sequence[str]) -> str:
    """What all of several names begin with, whole words of it, where it is left out since a name is too long with it;
    else empty.
    """
    if len(names) < 2 or max(map(len, names)) <= LONG:
        return ""
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    found = re.match(r".*[\W_]", "".join(letter for letter, *_ in alike), re.DOTALL)
    return found.group() if found and len(found.group()) < min(map(len, names)) else ""


def labels(names: Sequence[str], most: int = LONG) -> list[str]:
    """The names in so many characters each, without their common beginning."""
    start = len(beginning(names))
    return [short(name[start:], most) for name in names]
