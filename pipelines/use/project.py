"""Project: what a run has made, as a notebook asks for it. `import wordloom` gives it.

The examples are of experiments/using.yaml, once it has run; tests/use/test_project.py runs them.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipelines import layout
from pipelines.errors import Fault

if TYPE_CHECKING:  # each takes time to import, which a function spends that needs it
    import numpy as np
    import pandas as pd

    from pipelines.use.space import Space


class Project:
    """A folder that holds params.yaml, and what has been run there. Nothing is trained, and nothing in it is changed.

    >>> import wordloom
    >>> project = wordloom.Project(".")

    What a row holds is read when it is first asked, and kept: after another run, open the project anew.

    Raises:
        Fault: there is no project. What is asked for and is not there is a Fault, too, which says what to do.
    """

    def __init__(self, path: str | Path = "."):
        self.root = Path(path)
        if not (self.root / layout.PARAMS).exists():
            raise Fault(f"no project here, in {self.root.resolve()}: name the folder that holds {layout.PARAMS}")
        self._space = cache(self._open_space)

    def vectors(self, row: str) -> "tuple[list[str], np.ndarray]":
        """The items of a row of embed, and (n, D) float32 their vectors, on disk.

        >>> items, matrix = project.vectors("given")
        >>> items[:3], matrix.shape
        (['the', 'sea', 'boat'], (7, 4))
        """
        space = self._space(row)
        return list(space.items), space.held

    def neighbours(self, row: str, words: str | Sequence[str], k: int = 10) -> "pd.DataFrame":
        """The k words nearest to each word: word, neighbour, cosine, the nearest first. Unknown words too, by rows of fasttext.

        >>> project.neighbours("given", "sea", k=2)
          word neighbour  cosine
        0  sea      boat  0.9958
        1  sea       the -0.2537
        """
        from pandas import DataFrame

        from pipelines.use.neighbours import neighbours

        found = neighbours(self._space(row), [words] if isinstance(words, str) else list(words), at_least_one(k))
        lines = [(it.word, item, round(cosine, 4)) for it in found for item, cosine in it.near]
        return DataFrame(lines, columns=["word", "neighbour", "cosine"])

    def analogy(self, row: str, a: str, b: str, c: str, k: int = 10, method: Literal["add", "mul"] = "add") -> "pd.DataFrame":
        """What is to c as b is to a: word, score, the best first; by 3CosAdd, or 3CosMul.

        >>> project.analogy("given", "dog", "sheep", "boat", k=2, method="mul")
              word   score
        0      sea  0.8114
        1  unheard  0.4007
        """
        from pandas import DataFrame

        from pipelines.use.analogy import analogy

        if method not in ("add", "mul"):
            raise Fault(f"method is {method!r}; it has to be add or mul")
        found = analogy(self._space(row), a, b, c, at_least_one(k), method)
        return DataFrame([(word, round(score, 4)) for word, score in found], columns=["word", "score"])

    def similar(self, row: str, a: str, b: str) -> float:
        """The cosine of two words.

        >>> round(project.similar("given", "sea", "boat"), 4)
        0.9958
        """
        from pipelines.use.analogy import similar

        return similar(self._space(row), a, b)

    def search(self, row: str, query: str, k: int = 10, approximate: bool = False) -> "pd.DataFrame":
        """The k documents nearest to a text, by a row of mean_of_words, lsa, bags or doc2vec: doc_id, label, cosine, text.

        >>> project.search("topics", "The farmer counts the sheep.", k=1).label.tolist()
        ['farm']
        """
        from pandas import DataFrame

        from pipelines.use.search import Hit, search

        return DataFrame([hit.record() for hit in search(self.root, row, query, at_least_one(k), approximate)], columns=list(Hit._fields))

    def predict(self, row: str, texts: str | Iterable[str]) -> "pd.DataFrame":
        """What a row of classify says of texts: text, predicted, and a column p(CLASS) for each class, or number.

        >>> project.predict("tfidf", ["the crew of the boat sees fish", "a horse in the barn"]).predicted.tolist()
        ['sea', 'farm']
        """
        from pandas import DataFrame

        from pipelines.use.asking import answers

        texts = [texts] if isinstance(texts, str) else list(texts)
        for strange in (text for text in texts if not isinstance(text, str)):
            raise Fault(f"a text is {strange!r}, of type {type(strange).__name__}; texts are str")
        lines = [
            {key: it[key] for key in ("text", "predicted", "number", "probability") if key in it}
            | {f"p({name})": share for name, share in it.get("probabilities", {}).items()}
            for it in answers(self.root, row, texts)
        ]
        return DataFrame(lines)

    def scores(self) -> "pd.DataFrame":
        """Every figure that rows of evaluate have made: row, of, metric, on, value, low, high, n, note.

        >>> project.scores().query("metric == 'accuracy' and on == 'valid'").of.tolist()
        ['predictions/tfidf']
        """
        import pandas

        from pipelines.artifacts.scores import Scores

        folder = self.root / layout.DATA["scores"]
        frames = [Scores(path.parent).frame().assign(row=path.parent.name) for path in sorted(folder.glob("*/scores.parquet"))]
        if not frames:
            raise Fault(f"no scores in {folder}. Run: wordloom run")
        return pandas.concat(frames, ignore_index=True)[["row", *Scores.tables["scores"].fields]]

    def _open_space(self, row: str) -> "Space":
        from pipelines.use.space import Space

        return Space(self.root, row, hold=True)


def at_least_one(k: int) -> int:
    if k < 1:
        raise Fault(f"k is {k}; it has to be 1 or more")
    return k
