"""Categorisation: do clusters of the vectors bring words of one kind together?

The known words of a set are clustered by k-means, in as many clusters as the set has categories, from several seeded starts.

reads   vectors, codings   one row of float32 numbers per word
writes  scores    purity, the share of the words that are of the most frequent category of their cluster; adjusted_rand, of
                  pairs of words together or apart, less what chance gives; normalised_mutual_information; each the mean over
                  the starts, with the middle 95 % of them; coverage, the share of the words that are known
        beside it categorisation.csv: of, set, cluster, category, word; of the start with the least inertia
source  Baroni, Dinu, Kruszewski 2014 (the task, by purity); Manning, Raghavan, Schütze 2008, 16.3; Hubert, Arabie 1985
shapes  n known words, K categories, D = vector_size
"""

import warnings
from typing import Annotated

import numpy as np
from pydantic import Field
from threadpoolctl import threadpool_limits

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.matrix import Matrix
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.intervals import middle
from pipelines.kernels.nearest import unit
from pipelines.lookup import known
from pipelines.method import Knobs, Run
from pipelines.named_sets import carried_or_file, once, read_each, title_of
from pipelines.sources import paths
from pipelines.told_rows import read, refuse

CARRIED = {
    "everyday": {
        "animal": "dog cat horse cow sheep lion wolf bear mouse elephant",
        "body": "arm leg hand foot head neck shoulder knee finger ear",
        "clothes": "shirt trousers coat hat shoe dress jacket glove scarf sock",
        "family": "mother father sister brother daughter son uncle aunt cousin grandfather",
        "food": "bread cheese butter soup rice meat potato apple egg salad",
        "furniture": "table chair bed sofa desk cupboard shelf wardrobe bench drawer",
        "music": "piano violin guitar drum flute trumpet cello organ harp clarinet",
        "trade": "doctor teacher lawyer farmer baker carpenter nurse engineer judge soldier",
        "vehicle": "car train bus ship bicycle aeroplane lorry boat tram motorcycle",
        "weather": "rain snow wind storm fog thunder frost hail sunshine cloud",
    }
}


class Params(Knobs):
    # or files of yours: word, category on each line
    sets: Annotated[list[str], carried_or_file(CARRIED, "kinds.tsv"), once("a set", title_of)] = Field(["everyday"], min_length=1)
    n_starts: int = Field(20, ge=2)  # of k-means
    max_iter: int = Field(300, ge=1)  # of a start


def sources(params: Params) -> list[str]:
    """The files of the project that the evaluation reads."""
    return paths([name for name in params.sets if name not in CARRIED])


def evaluate(vectors: list[Vectors], params: Params, run: Run, codings: list[Codings] = ()) -> Scores:
    sets = dict(zip(map(title_of, params.sets), read_each(params.sets, _read, run), strict=True))
    table = []
    with run.open(Scores) as out:
        for matrix in [*vectors, *codings]:
            for name, category_of in sets.items():
                figures, lines = _scored(matrix, category_of, params, run.seed)
                out.append(**columns({"of": matrix.name, "on": name, **figure} for figure in figures))
                table += [{"of": matrix.name, "set": name, **line} for line in lines]
                run.say(f"{matrix.name} on {name}: " + ", ".join(f"{figure['metric']} {figure['value']:.3f}" for figure in figures))
        out.csv("categorisation", table or [dict.fromkeys(("of", "set", "cluster", "category", "word"), "")])
    return out.artifact


def _read(name: str) -> dict[str, str]:
    """Word -> its category."""
    if name in CARRIED:
        return {word: category for category, words in CARRIED[name].items() for word in words.split()}
    found: dict[str, str] = {}
    twice = []
    for where, (word, category) in read(name, ("word", "category")):
        if word in found:
            twice.append(f"{where} has {word!r} once more; a word has to stand there once")
        found[word] = category
    refuse(twice, name)
    if len(set(found.values())) < 2:
        raise Fault(f"{name} has one category; clusters are held against two or more")
    return found


def _scored(matrix: Matrix, category_of: dict[str, str], params: Params, seed: int) -> tuple[list[dict], list[dict]]:
    vector = known(matrix, category_of)
    words = list(vector)
    names, category = np.unique([category_of[word] for word in words], return_inverse=True)
    coverage = {"metric": "coverage", "value": len(words) / len(category_of), "n": len(category_of)}
    coverage["note"] = f"{len(words)} of {len(category_of)} words are known"
    if len(names) < 2 or len(words) <= len(names):
        coverage["note"] += "; no purity: it takes two categories with known words, and more words than categories"
        return [coverage], []
    x = unit(np.stack(list(vector.values())))
    starts = [
        clustered(x, len(names), params.max_iter, start) for start in np.random.default_rng(seed).integers(2**31, size=params.n_starts)
    ]
    shuffled = np.random.default_rng(seed).permuted(np.tile(category, (params.n_starts, 1)), axis=1)
    chance = np.mean([purity(other, cluster) for (cluster, _), other in zip(starts, shuffled, strict=True)])
    figures = []
    for metric, agreement in _agreements().items():
        values = np.array([agreement(category, cluster) for cluster, _ in starts])
        low, high = middle(values.mean(), values)
        note = f"k-means of {len(names)} clusters, mean and middle 95 % of {params.n_starts} starts"
        note += f"; {chance:.3f} with the categories shuffled" if metric == "purity" else ""
        figures.append({"metric": metric, "value": values.mean(), "low": low, "high": high, "n": len(words), "note": note})
    best, _ = min(starts, key=lambda start: start[1])
    lines = [
        {"cluster": int(best[i]) + 1, "category": str(names[category[i]]), "word": words[i]}
        for i in np.lexsort((np.arange(len(words)), category, best))
    ]
    return [*figures, coverage], lines


def clustered(x: np.ndarray, k: int, max_iter: int, seed: int) -> tuple[np.ndarray, float]:
    """(n,) cluster of each row of x, and the inertia, by one start of k-means++."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer rows that differ than clusters
        fit = KMeans(k, n_init=1, max_iter=max_iter, random_state=int(seed)).fit(x)
    return fit.labels_, float(fit.inertia_)


def _agreements() -> dict:
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    return {"purity": purity, "adjusted_rand": adjusted_rand_score, "normalised_mutual_information": normalized_mutual_info_score}


def purity(category: np.ndarray, cluster: np.ndarray) -> float:
    """Share of the (n,) words whose category is the most frequent one of their cluster."""
    together = np.zeros((cluster.max() + 1, category.max() + 1), np.int64)
    np.add.at(together, (cluster, category), 1)
    return float(together.max(axis=1).sum() / len(category))
