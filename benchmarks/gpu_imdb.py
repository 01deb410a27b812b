"""The strong LSTMs on IMDb, on a GPU: train as long as there is time, go on later, read test only when told to.

python -m benchmarks.gpu_imdb mixed_lstm --state DIR --out DIR [--seed 1] [--minutes 18] [--knob lr=0.002 ...] [--test]
python -m benchmarks.gpu_imdb language --state DIR --out DIR ...                   the language model of lm_lstm
python -m benchmarks.gpu_imdb lm_lstm --begin SNAPSHOT --state DIR --out DIR ...   classes, from a language model on; --knob virtual=0 without VAT
python -m benchmarks.gpu_imdb together --of STATE ... --state DIR --out DIR [--test]      with NB-SVM and doc2vec, weights by validation
python -m benchmarks.gpu_imdb table --out DIR                                      of all DIR/*/result.json, a line a method
python -m benchmarks.gpu_imdb mixed_lstm --device cpu --few --state DIR --out DIR  a trial of the whole without a GPU

Nothing of Prefect, DVC or Great Expectations. WORDLOOM_DATA names the folder with imdb/. What stands in test is taken out of train and of the
reviews without labels first, and counted; validation is a fifth of train, drawn by seed; word vectors are skip-gram's of train and the reviews
without labels.

--minutes: a training whose next epoch would end later stops when its state is kept; the same command goes on from there, to the bytes of a run
that was not stopped. Texts and word vectors are prepared whole, and an epoch is the least that is done then. --state keeps what that needs, for
one method, seed and knobs: with others it is refused, and the differences are named. --data keeps the texts, tokens and word vectors, which are
the same for all: one folder for all states saves their preparation. --out gets curve.csv, language.csv, result.json and
model.bf16.safetensors, the weights of the best epoch so far. --begin takes such a snapshot: of a language model, or, where the state is lost, of
the method itself, whose optimiser and rate then begin anew; result.json says which. tokens/s are of an epoch with its validation, each token
counted once, however many passes its terms take.
table: see gpu_results.py.
"""

import argparse
import fcntl
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from benchmarks.gpu_results import table
from benchmarks.measure import THREADS
from pipelines import mixed, scoring
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.classify import document_vectors, ensemble, lm_lstm, mixed_lstm, nb_svm
from pipelines.embed import doc2vec, skipgram
from pipelines.errors import Fault
from pipelines.fit import arrays
from pipelines.ingest import imdb
from pipelines.layout import hash_path
from pipelines.method import Checkpoint, Run
from pipelines.tokenize import ngrams, words
from pipelines.use.final import N_BOOTSTRAP, score_test

SNAPSHOT = "model.bf16.safetensors"
OF_LANGUAGE = {
    "hidden_size": 1024, "vector_size": 256, "lm_streams": 256, "lm_steps": 400, "lm_epochs": 30, "lm_softmax": "sampled", "lm_mixed": True,
    "max_tokens": 400, "keep": "tail", "epochs": 30, "patience": 5, "ema": 0.999, "mixed": True,
}  # fmt: skip
# name -> (method, knobs beyond its own defaults)
METHODS: dict[str, tuple[Any, dict[str, Any]]] = {
    "mixed_lstm": (mixed_lstm, {"max_tokens": 400, "batch_size": 48, "epochs": 15, "patience": 3, "mixed": True}),
    "lm_lstm": (lm_lstm, OF_LANGUAGE),
    "language": (lm_lstm, OF_LANGUAGE),
}
# for a trial: a few epochs of little networks on few reviews
FEW = {"epsilon": 1.0, "hidden_size": 32, "max_tokens": 80, "epochs": 4, "batch_size": 16, "lr": 0.005, "entropy": 0.0, "ema": 0.98}
FEW_LANGUAGE = {"vector_size": 32, "lm_streams": 32, "lm_steps": 50, "lm_epochs": 2, "lm_lr": 0.01, "n_sampled": 64}


class OutOfTime(Exception):
    pass


class Learned(Exception):
    """A language model has been, and nothing comes after it."""


class Timekeeper(Checkpoint):
    """Ends the run when a state is kept and another one would come too late."""

    until, last = float("inf"), 0.0
    spans: list[float] = []  # noqa: RUF012 -- seconds between two states, of all parts of the run
    curves: dict[str, list[dict[str, float]]] = {}  # noqa: RUF012 -- of each part

    def load(self) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        if found := super().load():
            self.curves[self.folder.name] = found[1]["curve"]
        return found

    def save(self, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None:
        super().save(arrays, state)
        self.curves[self.folder.name] = state["curve"]
        now = time.monotonic()
        self.spans.append(now - self.last)
        Timekeeper.last = now
        if now + max(self.spans) > self.until:
            raise OutOfTime


def once(folder: Path, make: Callable[[], object]) -> None:
    """Makes what lies in a folder, unless it is there whole; waits where another run is at it."""
    done = folder.with_name(f"{folder.name}.done")
    with folder.with_name(f"{folder.name}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not done.exists():
            make()
            done.touch()


def prepare(data: Path, device: str, few: bool, with_vectors: bool) -> tuple[Corpus, Tokens, Vectors | None]:
    """Texts, tokens, and word vectors where they are asked for."""
    source = Path(os.environ["WORDLOOM_DATA"]) / "imdb"
    same_settings(data, {"few": few, "imdb": hash_path(source)})
    knobs = {"source": str(source), **({"limit": 1500} if few else {})}
    run = Run(data / "corpus", "ingest/imdb", seed=1, threads=THREADS, show=True)
    once(run.folder, lambda: imdb.ingest(imdb.Params(**knobs), run))
    cut = Run(data / "tokens", "tokenize/words", threads=THREADS)
    once(cut.folder, lambda: words.tokenize(Corpus(run.folder), words.Params(min_count=5, max_vocab=80_000), cut))
    corpus, tokens = Corpus(run.folder), Tokens(cut.folder)
    if not with_vectors:
        return corpus, tokens, None
    of_words = {"vector_size": 32, "epochs": 3} if few else {"vector_size": 300, "window": 8, "epochs": 5}
    embed = Run(data / "vectors", "embed/skipgram", 1, THREADS, device, show=True)
    once(embed.folder, lambda: skipgram.embed(tokens, skipgram.Params(**of_words), embed))
    return corpus, tokens, Vectors(embed.folder)


def bags(state: Path, data: Path, seed: int, few: bool, n_train: int) -> list[Predictions]:
    """What NB-SVM says, and doc2vec over n-grams, of as many labels."""
    corpus, tokens, _ = prepare(data, "cpu", few, with_vectors=False)
    cut = Run(data / "ngrams", "tokenize/ngrams", threads=THREADS)
    once(cut.folder, lambda: ngrams.tokenize(corpus, ngrams.Params(n_max=3, min_count=10, max_vocab=1_000_000), cut))
    embed = Run(data / f"doc2vec-{seed}", "embed/doc2vec", seed, THREADS, show=True)
    of_documents = doc2vec.Params(vector_size=100, **({"epochs": 2, "infer_epochs": 2} if few else {}))
    once(embed.folder, lambda: doc2vec.embed(Tokens(cut.folder), of_documents, embed))
    by_bags, by_vectors = (Run(state / name, f"classify/{name}", seed, THREADS) for name in ("nb_svm", "document_vectors"))
    once(by_bags.folder, lambda: nb_svm.classify(tokens, nb_svm.Params(n_train=n_train), by_bags))
    knobs = document_vectors.Params(l2=30.0, n_train=n_train)
    once(by_vectors.folder, lambda: document_vectors.classify(tokens, knobs, by_vectors, vectors=Vectors(embed.folder)))
    return [Predictions(by_bags.folder), Predictions(by_vectors.folder)]


def same_settings(state: Path, settings: dict[str, Any]) -> None:
    """Raises Fault where a folder holds the state of other settings, or is none."""
    if before := settings_of(state):
        differ = [
            f"{key} was {before.get(key)!r} and is {settings.get(key)!r}"
            for key in {**before, **settings}
            if before.get(key) != settings.get(key)
        ]
        if differ:
            raise Fault(f"{state} keeps the state of other settings: {'; '.join(differ)}. Name another folder, or the same settings")
    try:
        state.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as err:
        raise Fault(f"{state} is no folder ({err}). Name another") from err
    aside = state / f"settings.{os.getpid()}"
    aside.write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n")
    aside.replace(state / "settings.json")


def settings_of(state: Path) -> dict[str, Any]:
    """Those that a folder keeps the state of; none, where it is new. Raises Fault where they cannot be read."""
    path = state / "settings.json"
    try:
        return json.loads(path.read_text()) if path.exists() else {}
    except ValueError as err:
        raise Fault(f"{path} cannot be read ({err}). Delete {state}, or name another folder") from err


def snapshot(folder: Path, weights: dict[str, np.ndarray], of: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
    tensors = {name: it.bfloat16() if it.ndim > 1 else it for name, it in tensors.items()}  # the words' shares are to go on adding up to 1
    save_file(tensors, folder / SNAPSHOT, metadata={"of": of})


def best_so_far(kept: Checkpoint, part: str) -> dict[str, np.ndarray]:
    """The network's weights in a checkpoint, which are those that begin so."""
    arrays, _ = kept.load() or ({}, {})
    return {name.removeprefix(part): array for name, array in arrays.items() if name.startswith(part)}


def from_snapshot(path: Path) -> tuple[str, Callable[[nn.Module], None]]:
    """Of what method it is, and what gives a new network its weights. Raises Fault for a file that is none, or of another network."""
    try:
        with safe_open(path, "pt") as file:
            of = file.metadata()["of"]
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError) as err:
        raise Fault(f"--begin {path}: {err}. Name a {SNAPSHOT} of this method or of language") from err

    def before(model: nn.Module) -> None:
        try:
            model.load_state_dict({name: it.float() if it.is_floating_point() else it for name, it in weights.items()})
        except RuntimeError as err:
            raise Fault(f"--begin {path} is of another network than these settings make: {err}") from err

    return of, before


def accuracy(made: Predictions, corpus: Corpus, split: str) -> dict[str, Any]:
    """With its interval over documents; of test by the corpus' labels, which no method saw."""
    if split == "test":
        (found,) = (it for it in score_test(made, corpus, seed=1) if it["metric"] == "accuracy")
        return {"accuracy": found["value"]} | {key: found[key] for key in ("low", "high", "n")}
    frame, p = made.frame(split)
    value, low, high = scoring.figures(made, frame["label"], frame["predicted"], p, N_BOOTSTRAP, 1)["accuracy"]
    return {"accuracy": value, "low": low, "high": high, "n": len(frame)}


def knob(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:  # a word
        return name, value


def number(kind: type, least: float, most: float) -> Callable[[str], Any]:
    """Of an option; argparse says what was wrong with another."""

    def read(text: str) -> Any:
        if not least <= (value := kind(text)) <= most:  # nor what is no number
            raise argparse.ArgumentTypeError(f"{text} must be from {least:g} to {most:g}")
        return value

    return read


def train(asked: argparse.Namespace) -> dict[str, Any]:
    """Goes on with a training; what came of it so far."""
    begun = time.monotonic()
    if asked.device == "cuda" and not torch.cuda.is_available():
        raise Fault("This machine has no usable GPU. Say --device cpu --few to try it without one")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    name, (module, knobs) = asked.method, METHODS[asked.method]
    few = (FEW | (FEW_LANGUAGE if module is lm_lstm else {})) if asked.few else {}
    try:
        params = module.Params(**(knobs | few | dict(asked.knob)))
    except ValidationError as err:
        raise Fault([f"--knob {' '.join(map(str, it['loc']))}: {it['msg']}" for it in err.errors()]) from err
    of, given = from_snapshot(asked.begin) if asked.begin else ("", None)
    settings = {"method": name, "seed": asked.seed, "few": asked.few, "device": asked.device}
    same_settings(asked.state, settings | {"begin": asked.begin and hash_path(asked.begin)} | params.model_dump())
    data = asked.data or asked.state / "data"
    corpus, tokens, vectors = prepare(data, asked.device, asked.few, name == "mixed_lstm")

    run = Run(asked.state / name, f"classify/{name}", asked.seed, THREADS, asked.device, show=True)
    run.checkpoint = Timekeeper(asked.state / "curve")
    Timekeeper.until, Timekeeper.last = begun + 60 * asked.minutes, time.monotonic()
    asked.out.mkdir(parents=True, exist_ok=True)

    def before(model: mixed.Reader) -> None:
        if given:
            given(model)
        if name == "language" or (name == "lm_lstm" and not given):
            lm_lstm.language(tokens, model, params, run)
        if name == "language":
            snapshot(asked.out, arrays(model), name)
            raise Learned

    over = (run.folder / "predictions.parquet").exists()
    done, fault = True, None
    try:
        if Timekeeper.last > Timekeeper.until and not over:
            raise OutOfTime
        mixed.classify(name, tokens, params, run, vectors, None, module.ADAM, before)
    except Learned:
        pass
    except (OutOfTime, Fault) as err:
        done, fault = False, err if isinstance(err, Fault) else None
        if best := best_so_far(run.checkpoint, "best."):
            snapshot(asked.out, best, name)
        elif best := best_so_far(run.part("language").checkpoint, "best.reader."):
            snapshot(asked.out, best, "language")
    for part, rows in Timekeeper.curves.items():
        pd.DataFrame(rows).to_csv(asked.out / f"{part}.csv", index=False)
    epochs = len(Timekeeper.curves.get("language" if name == "language" else "curve", []))
    if not over:
        spend(asked.state, begun)
    result: dict[str, Any] = {
        "method": name, "seed": asked.seed, "few": asked.few, "done": done,
        "device": torch.cuda.get_device_name() if asked.device == "cuda" else "CPU",
        "epochs": epochs,
        "labels": 0 if name == "language" else params.n_train or len(tokens.ids(["train"])[1]) - 1,
        "settings": params.model_dump(), "knobs": dict(asked.knob),
        "begun": "anew" if not of else "with a language model" if (of, name) == ("language", "lm_lstm") else "from a snapshot, with a new optimiser",
        "minutes": spent(asked.state),
    }  # fmt: skip
    speed = asked.state / "speed.txt"  # what is done goes no faster when it is looked at again
    if spans := Timekeeper.spans[-epochs:] if epochs else []:
        speed.write_text(f"{tokens_read(tokens, params, name) / float(np.median(spans)):.0f}\n")
    if speed.exists():
        result["tokens/s"] = int(speed.read_text())
    if fault:
        result["faults"] = fault.faults
    elif not done:
        print("out of time; the same command goes on")
    elif name == "language":
        result["perplexity"] = min(row["valid_perplexity"] for row in Timekeeper.curves["language"])
    else:
        made = Predictions(run.folder)
        snapshot(asked.out, made.model()[1], name)
        result |= judged(made, asked.state, corpus, asked.test)
    return result


def together(asked: argparse.Namespace) -> dict[str, Any]:
    """The mean of what several trainings say, of NB-SVM and of doc2vec, with weights that are chosen on validation."""
    begun = time.monotonic()
    several: dict[Path, dict[str, Any]] = {}
    for state in map(Path.resolve, asked.of):
        if state in several:
            raise Fault(f"--of names {state} twice, which would count twice. Name each once")
        if not (found := settings_of(state)):
            raise Fault(f"--of {state} is no --state of a training. Name one whose training is done")
        several[state] = found
        if not (state / several[state]["method"] / "predictions.parquet").exists():
            raise Fault(f"--of {state} holds no predictions: its training is not done. Call its command again")
    if len(labels := {it["n_train"] for it in several.values()}) > 1:
        raise Fault(f"--of names trainings of different numbers of labels, n_train {sorted(labels)}. Name those of one")
    if any(labels) and (seeds := {asked.seed, *(it["seed"] for it in several.values())}) > {asked.seed}:
        raise Fault(f"seeds draw the labels that n_train leaves, and these are {sorted(seeds)}. Name trainings of one seed, and --seed")
    few, (n_train,) = any(it["few"] for it in several.values()), labels
    same_settings(asked.state, {"method": "together", "seed": asked.seed, "few": few, "of": [several[state] for state in asked.of]})
    data = asked.data or next(iter(several)) / "data"
    corpus, tokens, _ = prepare(data, "cpu", few, with_vectors=False)
    members = [Predictions(state / it["method"]) for state, it in several.items()]
    members += bags(asked.state, data, asked.seed, few, n_train)
    made = ensemble.classify(
        members,
        ensemble.Params(weights="chosen", pool="logarithmic"),
        Run(asked.state / "together", "classify/together", asked.seed, show=True),
    )
    spend(asked.state, begun)
    asked.out.mkdir(parents=True, exist_ok=True)
    weights = made.model()[1]["weights"].tolist()
    return {
        "method": "together", "seed": asked.seed, "few": few, "done": True, "device": ", ".join(sorted({it["device"] for it in several.values()})),
        "epochs": 0, "labels": n_train or len(tokens.ids(["train"])[1]) - 1, "knobs": {},
        "settings": {"of": [{key: value for key, value in it.items() if key not in ("seed", "begin")} for it in several.values()]},
        "weights": [[one.row, round(weight, 3)] for one, weight in zip(members, weights, strict=True)],
        "begun": "anew", "minutes": round(sum(map(spent, [asked.state, *asked.of])), 2),
    } | judged(made, asked.state, corpus, asked.test)  # fmt: skip


def spend(state: Path, begun: float) -> None:
    with (state / "minutes.txt").open("a") as file:
        file.write(f"{(time.monotonic() - begun) / 60:.3f}\n")


def spent(state: Path) -> float:
    """Minutes of all runs of a state."""
    return round(sum(map(float, (state / "minutes.txt").read_text().split())), 2)


def tokens_read(tokens: Tokens, params: lm_lstm.Params | mixed_lstm.Params, name: str) -> float:
    """Tokens of an epoch and its validation."""

    def lengths(splits: list[str], most: float) -> np.ndarray:
        return np.minimum(np.diff(tokens.ids(splits)[1]), most)

    if name == "language":
        return lengths([*params.lm_splits, "valid"], np.inf).sum()
    train, others = lengths(["train"], params.max_tokens), lengths(params.splits, params.max_tokens)
    share = params.n_unlabelled * bool(len(others) and (params.virtual or params.entropy))
    return (
        params.passes * (params.n_train or len(train)) * (train.mean() + (share * others.mean() if share else 0))
        + lengths(["valid"], params.max_tokens).sum()
    )


def judged(made: Predictions, state: Path, corpus: Corpus, test: bool) -> dict[str, Any]:
    """Accuracy on valid, and on test where that was read: now, or before, which is not taken back."""
    found: dict[str, Any] = {"valid": accuracy(made, corpus, "valid")}
    readings = state / "test.jsonl"  # a line each
    if test:
        with readings.open("a") as file:
            file.write(json.dumps(accuracy(made, corpus, "test")) + "\n")
    if readings.exists():
        lines = readings.read_text().splitlines()
        found |= {"test": json.loads(lines[0]), "readings of test": len(lines)}
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("method", choices=[*METHODS, "together", "table"])
    parser.add_argument("--state", type=Path)
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=number(int, 0, 2**32 - 1), default=1)
    parser.add_argument("--minutes", type=number(float, 0, float("inf")), default=float("inf"))
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--knob", type=knob, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--few", action="store_true")
    parser.add_argument("--begin", type=Path, metavar="SNAPSHOT")
    parser.add_argument("--of", type=Path, nargs="+", default=[], metavar="STATE")
    parser.add_argument("--test", action="store_true", help="read test, once training is over, and write that down in result.json")
    asked = parser.parse_args()
    if asked.method == "table":
        print(table(asked.out))
        return 0
    if asked.state is None:
        parser.error("the following arguments are required: --state")
    if bool(asked.of) != (asked.method == "together"):
        parser.error("--of names the states that together puts together, and is for nothing else")
    if not (Path(os.environ.get("WORDLOOM_DATA", "/nowhere")) / "imdb").is_dir():
        raise Fault("WORDLOOM_DATA names no folder with imdb/ in it")
    result = together(asked) if asked.method == "together" else train(asked)
    (asked.out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    if "faults" in result:
        raise Fault(result["faults"])
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Fault as fault:
        sys.exit("\n".join(f"fault: {line}" for line in fault.faults))
