"""Answers: how right texts are that a classifier says, tags, spellings or continuations, on the validation split.

reads   predictions   a text and its probability per document
writes  scores    exact_match; character_errors, edits over the characters of the truth; tokens_right, the share of its tokens that stand at
                  their place; of tags of entities (IOB1, IOB2, BIOES) entity_f1, entity_precision and entity_recall; of a language model
                  perplexity, one over the geometric mean of the documents' probabilities of a token
        beside it entities.csv: of, kind, precision, recall, f1, n; wrong.csv: of, doc_id, label, predicted, of some that are
source  Levenshtein 1966; Tjong Kim Sang, De Meulder 2003 (entities, as conlleval counts them); Efron, Tibshirani 1993, ch. 13
"""

from pipelines import scoring
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.scores import Scores, columns
from pipelines.kernels.answers import are_tags, by_kind
from pipelines.kernels.classification import precision_recall_f1
from pipelines.method import Run

SHOWN = 50  # wrong answers of each


class Params(scoring.OnValid):
    pass


def evaluate(predictions: list[Predictions], params: Params, run: Run) -> Scores:
    asked = scoring.labelled(predictions, params.on, "texts")
    entities, wrong = [], []
    with run.open(Scores) as out:
        for artifact, (frame, probabilities) in zip(predictions, asked, strict=True):
            actual, predicted = frame["label"].to_list(), frame["predicted"].to_list()
            figures = scoring.figures(artifact, actual, predicted, probabilities, params.n_bootstrap, run.seed)
            rows = ({"metric": metric, "value": value, "low": low, "high": high} for metric, (value, low, high) in figures.items())
            out.append(**columns({"of": artifact.name, "on": params.on, "n": len(frame), **row} for row in rows))
            if are_tags(actual, predicted):
                entities += _kinds(artifact.name, actual, predicted)
            errors = frame[frame["label"] != frame["predicted"]].head(SHOWN)
            wrong += [{"of": artifact.name, **row} for row in errors.to_dict("records")]
            run.say(f"{artifact.name}: " + ", ".join(f"{metric} {value:.4f}" for metric, (value, _, _) in figures.items()))
        for name, rows in (("entities", entities), ("wrong", wrong)):
            if rows:
                out.csv(name, rows)
    return out.artifact


def _kinds(name: str, actual: list[str], predicted: list[str]) -> list[dict]:
    rows = []
    for kind, counts in by_kind(actual, predicted).items():
        figures = {key: round(float(value), 4) for key, value in precision_recall_f1(*counts).items()}
        rows.append({"of": name, "kind": kind, **figures, "n": counts[2]})
    return rows
