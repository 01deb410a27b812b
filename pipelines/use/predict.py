"""Predict: what a classifier says of texts of somebody's own, cleaned and cut as the text was that it has learned from.

reads   predictions   of any row of classify whose inputs come down to tokens; and the tokenizer.json of each row of them

Nothing that it was trained on is needed. The importance of a token is by how much the log-odds of the predicted class, log(p / (1 - p)), fall
when that token is unknown: erasure (Li, Monroe, Jurafsky 2016, of log-likelihoods), by a measure that still tells words apart where the
classifier is certain, and no probability moves. Of a number it is by how much that falls.
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipelines import layout, params
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import UNKNOWN_ID
from pipelines.errors import Fault
from pipelines.method import Run
from pipelines.told import named
from pipelines.use.cutting import Cut, Cutter

LONGEST = 2**20  # tokens that are read at a time, of copies of a text
LEAST = 1e-37  # no probability counts as less: about the smallest that float32 holds
NEXT_TO_ONE = 2.0**-24  # what a float32 that is 1 may have been short of it, at most


class Classifier:
    """A row of classify, ready to be asked.

    Raises:
        Fault: the row, or one that it is made of, has not been run, keeps no model that can be asked, or its tokens have no tokenizer.json.
    """

    def __init__(self, root: Path, row: str, threads: int = 1):
        self.model = Model(root, row)
        self.classes = self.model.classes
        self.run = Run(root, name=f"classify/{row}", threads=threads)
        self.cutters = {name: Cutter(root, name) for name in sorted({name for name, _ in self.model.vocabularies()})}
        for name, words in self.model.vocabularies():
            vocabulary = self.cutters[name].tokenizer.get_vocab()
            if len(vocabulary) != len(words) or any(vocabulary.get(word) != i for i, word in enumerate(words)):
                raise Fault(
                    f"predictions/{row} was trained with another vocabulary than tokens/{name} has now. Run: dvc repro classify-{row}"
                )

    @property
    def cutter(self) -> Cutter:
        """Raises Fault for a row that is made of some that cut texts in several ways."""
        if len(self.cutters) > 1:
            raise Fault(
                f"classify.{self.model.row.name} reads {len(self.cutters)} rows of tokens, {', '.join(self.cutters)}, and this takes one. "
                "Name a row that it is made of"
            )
        return next(iter(self.cutters.values()))

    def cut(self, texts: Sequence[str]) -> list[Cut]:
        """One for each row of tokens, in their order."""
        return [cutter.cut(texts) for cutter in self.cutters.values()]

    def probabilities(self, *cuts: Cut) -> np.ndarray:
        """(n, C) float32; of a row whose answers are numbers (n, 1), these."""
        return self.model.probabilities(dict(zip(self.cutters, cuts, strict=True)), self.run)

    def texts(self, cut: Cut) -> tuple[list[str], np.ndarray]:
        """Of a row whose answers are texts: these, and the probability of each."""
        return self.model.method.texts_of(cut.values, cut.offsets, *self.model.kept, self.run)

    def names(self, probabilities: np.ndarray) -> list[str]:
        """What is predicted: the most probable class, all of several that are more probable than not, or the number."""
        return named(self.model.answer, self.classes, probabilities)

    def importance(self, cut: Cut, text: int) -> np.ndarray:
        """(n_tokens,) float64: by how much the log-odds of one text's most probable class fall when a token is unknown, or the number does."""
        ids = cut.values[cut.offsets[text] : cut.offsets[text + 1]]
        n_rows = max(LONGEST // max(len(ids), 1), 1)
        parts = []
        for start in range(0, len(ids) + 1, n_rows):
            at = np.arange(start, min(start + n_rows, len(ids) + 1))  # the last row is the text itself
            without = np.tile(ids, (len(at), 1))
            gone = at[at < len(ids)]
            without[gone - start, gone] = UNKNOWN_ID
            parts.append(self.probabilities(Cut(without.ravel(), np.arange(len(at) + 1) * len(ids), [])))
        p = np.concatenate(parts)
        if self.model.answer == "number":
            worth = p[:, 0].astype(np.float64)
        else:
            worth = log_odds(p, int(p[-1].argmax()), self.model.answer == "several")
        return worth[-1] - worth[:-1]

    def attention(self, cut: Cut) -> list[np.ndarray] | None:
        """(n_tokens,) float32 for each text, summing to 1; None of a model that has none."""
        explain = getattr(self.model.method, "explain", None)
        return explain and explain(cut.values, cut.offsets, *self.model.kept, self.run)


def log_odds(p: np.ndarray, of: int, alone: bool = False) -> np.ndarray:
    """(n,) float64 of column `of` of (n, C) probabilities, against the others' sum: next to 1, one less a float32 has no digit left.

    Args:
        alone: the classes are answers of their own, whose probabilities do not sum to 1.
    """
    mine = p[:, of].astype(np.float64)
    others = np.maximum(1 - mine, NEXT_TO_ONE) if alone or p.shape[1] == 1 else np.delete(p, of, axis=1).sum(axis=1, dtype=np.float64)
    return np.log(np.maximum(mine, LEAST)) - np.log(np.maximum(others, LEAST))


class Model:
    """What a row of classify keeps, and the rows that it puts together, where it is one that does."""

    def __init__(self, root: Path, row: str):
        self.row = params.read_row(root, "classify", row)
        made = Predictions(root / layout.artifact("predictions", row))
        if not (made.folder / "predictions.parquet").exists():
            raise Fault(f"{made.name} is not there. Run: dvc repro classify-{row}")
        self.answer = made.answer()
        self.method = importlib.import_module(self.row.method.module)
        self.members = [Model(root, name) for name in self.row.inputs.get("predictions", [])]
        wanted = "combined" if self.members else "texts_of" if self.answer == "text" else "probabilities_of"
        if not hasattr(self.method, wanted):
            raise Fault(
                f"classify.{row}: a row of {self.row.method.name} cannot be asked of a text, since it reads {', '.join(self.row.inputs)}. "
                "Name a row that reads tokens alone, or with vectors"
            )
        self.kept = made.model()
        self.classes = made.classes()

    def vocabularies(self) -> list[tuple[str, list[str]]]:
        """Of it, or of each of its members: the row of tokenize that it reads, and the words that it knows."""
        if self.members:
            return [found for member in self.members for found in member.vocabularies()]
        return [(self.row.inputs["tokens"][0], self.kept[0]["words"])]

    def probabilities(self, cuts: Mapping[str, Cut], run: Run) -> np.ndarray:
        """(n, C) float32 of the same documents, cut by each row of tokens; of a row whose answers are numbers (n, 1), these."""
        if self.members:
            return self.method.combined([member.probabilities(cuts, run) for member in self.members], *self.kept)
        [(name, _)] = self.vocabularies()
        try:
            return self.method.probabilities_of(cuts[name].values, cuts[name].offsets, *self.kept, run)
        except (KeyError, ValueError, RuntimeError) as err:  # settings or weights that this method does not write
            told = " ".join(f"{type(err).__name__}: {err}".split())[:140]
            raise Fault(
                f"predictions/{self.row.name} cannot be asked ({told}). Perhaps another version of Wordloom made it. "
                f"Run: dvc repro classify-{self.row.name}"
            ) from err


def continued(root: Path, row: str, prompt: str, n_tokens: int, n: int, temperature: float, seed: int) -> list[str]:
    """A text and how a language model goes on with it, n times. Raises Fault for a row of another kind."""
    classifier = Classifier(root, row)
    go_on = getattr(classifier.model.method, "continued", None)
    if go_on is None:
        raise Fault(
            f"classify.{row} is made by {classifier.model.row.method.name}, and a text is gone on with by next_word. Name a row of it"
        )
    settings, weights = classifier.model.kept
    values = classifier.cutter.cut([prompt]).values.tolist()
    told = [go_on(settings, weights, values, n_tokens, temperature, seed + i) for i in range(n)]
    between = settings["between"] if prompt and not prompt[-1].isspace() else ""
    return [prompt + (between if text else "") + text for text in told]
