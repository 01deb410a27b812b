r"""Patterns with Unicode's general categories, \p{L} for letters, \p{M} for marks or \p{Nd} for decimal digits, which Python's re has not."""

import re
import unicodedata
from functools import lru_cache

# a category of Unicode, \p{L} or \p{Mn}, alone or in [...]; and an escaped character, which is none
CATEGORY = re.compile(r"\\p\{(\w+)\}|\\.", re.DOTALL)
CATEGORIES = re.compile(rf"\[(?:[^\]\\]|\\.)+\]|{CATEGORY.pattern}", re.DOTALL)


@lru_cache(maxsize=16)
def compiled(pattern: str) -> re.Pattern[str]:
    r"""The pattern, with the categories of Unicode spelled out, \p{L} for letters and \p{M} for marks, which Python's re has not. Raises re.error."""

    def one(found: re.Match[str]) -> str:
        name = found[1]
        return _of_category(name) or found[0] if name else found[0]

    def part(found: re.Match[str]) -> str:
        return CATEGORY.sub(one, found[0]) if found[0].startswith("[") else f"[{one(found)}]" if found[1] else found[0]

    return re.compile(CATEGORIES.sub(part, pattern))


@lru_cache(maxsize=16)
def _of_category(name: str) -> str:
    """The ranges of its characters, as they stand in [...]; nothing where there is no such category."""
    is_in = "".join("x" if unicodedata.category(chr(point)).startswith(name) else " " for point in range(0x110000))
    return "".join(rf"\U{run.start():08x}-\U{run.end() - 1:08x}" for run in re.finditer("x+", is_in))
