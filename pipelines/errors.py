"""The one kind of error that a user is meant to read."""

from collections.abc import Iterable


class Fault(Exception):
    """Something a person has to mend: names the thing, what it was, what it had to be, the next step.

    Holds every fault that was found, one per line, so that a file is mended in one go. The command
    line prints the text without a traceback and exits with 2.
    """

    def __init__(self, faults: str | Iterable[str]):
        self.faults = [faults] if isinstance(faults, str) else list(faults)
        super().__init__("\n".join(self.faults))


def too_few_words(where: str, n_words: int) -> Fault:
    """For a text, or counts of one, with fewer words than two: a vector says how a word stands to others."""
    what = "one known word only" if n_words else "no known word"
    return Fault(f"{where} hold {what}, and a word is learned from others. Lower min_count of the tokenize row, or name other splits")


def nearest(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the known name closest to `word`, or nothing when none is close."""
    from difflib import get_close_matches

    match = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean {match[0]!r}?" if match else ""
