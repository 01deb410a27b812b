"""The strong LSTMs on IMDb, on a GPU: train as long as there is time, go on later, read test only when told to.

python -m benchmarks.gpu_imdb {mixed_lstm,lm_lstm} --state DIR --out DIR [--seed 1] [--minutes 18] [--knob lr=0.002 ...] [--test]
python -m benchmarks.gpu_imdb mixed_lstm --device cpu --few --state DIR --out DIR        a trial of the whole without a GPU
python -m benchmarks.gpu_imdb table --out DIR                                            of all DIR/*/result.json, a line a method

Nothing of Prefect, DVC or Great Expectations. WORDLOOM_DATA names the folder with imdb/. What stands in test is taken out of train and of the
reviews without labels first, and counted; validation is a fifth of train, drawn by seed; word vectors are skip-gram's of train and the reviews
without labels.

--minutes: a training whose next epoch would end later stops when its state is kept; the same command goes on from there, to the bytes of a run
that was not stopped. --state keeps what that needs, for one method, seed and knobs: with others it is refused, and the differences are
named. --out gets curve.csv, language.csv, result.json and model.bf16.safetensors, the weights of the best epoch so far. --begin takes such a
snapshot where the state is lost: labels are learned from its weights on, the optimiser and its rate begin anew, and result.json says so.
table: seeds of one method and of the same knobs are one line, with their number; the interval is of the mean over seeds (Student's t), of
a single seed over the reviews.
"""

import argparse
import csv
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from scipy import stats
from torch import nn

from benchmarks.measure import THREADS
from pipelines import mixed
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.classify import lm_lstm, mixed_lstm
from pipelines.embed import skipgram
from pipelines.errors import Fault
from pipelines.fit import ADAM
from pipelines.ingest import imdb
from pipelines.kernels.classification import class_ids, score
from pipelines.method import Checkpoint, Run
from pipelines.tokenize import words

# name -> (method, knobs beyond its own defaults)
METHODS: dict[str, tuple[Any, dict[str, Any]]] = {
    "mixed_lstm": (mixed_lstm, {"max_tokens": 400, "batch_size": 48, "epochs": 15, "patience": 3, "mixed": True}),
    "lm_lstm": (
        lm_lstm,
        {
            "hidden_size": 1024, "vector_size": 256, "lm_streams": 256, "lm_steps": 400, "lm_epochs": 30, "lm_softmax": "sampled",
            "max_tokens": 400, "keep": "tail", "epochs": 30, "patience": 5, "ema": 0.999, "mixed": True,
        },
    ),
}  # fmt: skip
# for a trial: an epoch or two of little networks on few reviews
FEW = {"epsilon": 0.5, "hidden_size": 16, "max_tokens": 40, "epochs": 2, "n_train": 400, "mixed": False}
FEW_LANGUAGE = {"vector_size": 16, "lm_streams": 32, "lm_steps": 50, "lm_epochs": 1, "lm_softmax": "sampled", "n_sampled": 64}


class OutOfTime(Exception):
    pass


class Timekeeper(Checkpoint):
    """Ends the run when a state is kept and another one would come too late."""

    until, last, longest = float("inf"), 0.0, 0.0

    def save(self, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None:
        super().save(arrays, state)
        now = time.monotonic()
        Timekeeper.longest, Timekeeper.last = max(self.longest, now - self.last), now
        if now + self.longest > self.until:
            raise OutOfTime


def prepare(state: Path, device: str, few: bool) -> tuple[Tokens, Vectors]:
    """Tokens and word vectors, made once in a state's folder."""
    folder = state / "data"
    if not (folder / "done").exists():
        knobs = {"source": str(Path(os.environ["WORDLOOM_DATA"]) / "imdb"), **({"limit": 1500} if few else {})}
        corpus = imdb.ingest(imdb.Params(**knobs), Run(folder / "corpus", "ingest/imdb", seed=1, threads=THREADS, show=True))
        tokens = words.tokenize(
            corpus, words.Params(min_count=5, max_vocab=80_000), Run(folder / "tokens", "tokenize/words", threads=THREADS)
        )
        knobs = {"vector_size": 16, "epochs": 1} if few else {"vector_size": 300, "window": 8, "epochs": 5}
        skipgram.embed(tokens, skipgram.Params(**knobs), Run(folder / "vectors", "embed/skipgram", 1, THREADS, device, show=True))
        (folder / "done").touch()
    return Tokens(folder / "tokens"), Vectors(folder / "vectors")


def same_settings(state: Path, settings: dict[str, Any]) -> None:
    """Raises Fault where a folder holds the state of other settings."""
    path = state / "settings.json"
    if path.exists():
        before = json.loads(path.read_text())
        differ = [
            f"{key} was {before.get(key)!r} and is {settings.get(key)!r}"
            for key in {**before, **settings}
            if before.get(key) != settings.get(key)
        ]
        if differ:
            raise Fault(f"{state} keeps the state of other settings: {'; '.join(differ)}. Name another folder, or the same settings")
    state.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n")


def curve(path: Path, rows: list[dict[str, float]]) -> None:
    if rows:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)


def snapshot(path: Path, weights: dict[str, np.ndarray]) -> None:
    tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
    save_file({name: it.bfloat16() if it.is_floating_point() else it for name, it in tensors.items()}, path)


def from_snapshot(path: Path) -> Callable[[nn.Module], None]:
    """What gives a new network the weights of a snapshot. Raises Fault for a file that is none, or of another network."""
    try:
        weights = {name: it.float() if it.is_floating_point() else it for name, it in load_file(path).items()}
    except (OSError, SafetensorError) as err:
        raise Fault(f"--begin {path}: {err}. Name a model.bf16.safetensors of this method") from err

    def before(model: nn.Module) -> None:
        try:
            model.load_state_dict(weights)
        except RuntimeError as err:
            raise Fault(f"--begin {path} is of another network than these settings make: {err}") from err

    return before


def figures(made: Predictions, corpus: Corpus, split: str) -> dict[str, Any]:
    """Accuracy with its interval over documents; of test by the corpus' labels, which no method saw."""
    frame, p = made.frame(split)
    labels = frame["label"]
    if split == "test":
        table = corpus.read(columns=["doc_id", "label"])
        truth = dict(zip(table["doc_id"].to_pylist(), table["label"].to_pylist(), strict=True))
        labels = [truth[name] for name in frame["doc_id"]]
    classes = made.classes()
    value, low, high = score(class_ids(labels, classes), class_ids(frame["predicted"], classes), p, len(classes), 1000, 1)["accuracy"]
    return {"accuracy": value, "low": low, "high": high, "n": len(frame)}


def table(out: Path) -> str:
    """Lines of Markdown. Raises Fault where there is no result."""
    found = [json.loads(path.read_text()) for path in sorted(out.glob("*/result.json"))]
    if not found:
        raise Fault(f"{out} holds no */result.json. Name the folder that holds the --out of the runs")
    of: dict[str, list[dict[str, Any]]] = {}
    for one in found:
        if one["done"]:
            of.setdefault(
                json.dumps([one[key] for key in ("method", "few", "labels", "settings", "device", "begun")], sort_keys=True), []
            ).append(one)
    lines = [
        "| method | labels | seeds | valid, % | test, % | device | minutes a seed | begun |",
        "| --- | --: | --: | --: | --: | --- | --: | --- |",
    ]
    for seeds in of.values():
        first, numbers = seeds[0], [it["seed"] for it in seeds]
        if twice := sorted({it for it in numbers if numbers.count(it) > 1}):
            raise Fault(f"{out}: {first['method']} has seed {twice[0]} more than once, with the same knobs. Remove the copies")
        cells = [
            first["method"] + ", a trial" * first["few"],
            f"{first['labels']:,}",
            str(len(seeds)),
            mean(seeds, "valid"),
            mean(seeds, "test"),
            first["device"],
        ]
        minutes = f"{np.mean([it['minutes'] for it in seeds]):.0f}"
        lines.append(f"| {' | '.join([*cells, minutes, first['begun']])} |")
    lines += [f"\n{one['method']}, seed {one['seed']}: not done, {one['epochs']} epochs so far" for one in found if not one["done"]]
    return "\n".join(lines)


def mean(seeds: list[dict[str, Any]], split: str) -> str:
    """Accuracy in %, of the seeds that were judged by the split."""
    values = [100 * it[split]["accuracy"] for it in seeds if split in it]
    if not values:
        return ""
    if len(values) == 1:
        (one,) = (it[split] for it in seeds if split in it)
        return f"{values[0]:.2f} [{100 * one['low']:.2f}, {100 * one['high']:.2f}]"
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.2f} ± {half:.2f}{f', n = {len(values)}' * (len(values) < len(seeds))}"


def knob(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    return name, json.loads(value)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("method", choices=[*METHODS, "table"])
    parser.add_argument("--state", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--knob", type=knob, action="append", default=[], metavar="NAME=JSON")
    parser.add_argument("--few", action="store_true")
    parser.add_argument("--begin", type=Path, metavar="SNAPSHOT")
    parser.add_argument("--test", action="store_true", help="read test, once training is over, and write that down in result.json")
    asked = parser.parse_args()
    if asked.method == "table":
        print(table(asked.out))
        return 0
    if asked.state is None:
        parser.error("the following arguments are required: --state")
    begun = time.monotonic()
    if asked.device == "cuda" and not torch.cuda.is_available():
        sys.exit("This machine has no usable GPU. Say --device cpu --few to try it without one")
    if not (Path(os.environ.get("WORDLOOM_DATA", "/nowhere")) / "imdb").is_dir():
        sys.exit("WORDLOOM_DATA names no folder with imdb/ in it")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    module, knobs = METHODS[asked.method]
    few = (FEW | (FEW_LANGUAGE if asked.method == "lm_lstm" else {})) if asked.few else {}
    try:
        params = module.Params(**(knobs | few | dict(asked.knob)))
    except ValidationError as err:
        raise Fault([f"--knob {it['loc'][0]}: {it['msg']}" for it in err.errors()]) from err
    begin = (
        hashlib.sha256(asked.begin.read_bytes()).hexdigest() if asked.begin and asked.begin.is_file() else asked.begin and str(asked.begin)
    )
    settings = {"method": asked.method, "seed": asked.seed, "few": asked.few, "device": asked.device, "begin": begin, **params.model_dump()}
    same_settings(asked.state, settings)
    tokens, vectors = prepare(asked.state, asked.device, asked.few)

    run = Run(asked.state / "predictions", f"classify/{asked.method}", asked.seed, THREADS, asked.device, show=True)
    run.checkpoint = Timekeeper(asked.state / "checkpoint")
    Timekeeper.until, Timekeeper.last = begun + 60 * asked.minutes, time.monotonic()
    given = {"vectors": vectors} if asked.method == "mixed_lstm" else {}
    before = from_snapshot(asked.begin) if asked.begin else None
    asked.out.mkdir(parents=True, exist_ok=True)
    done = True
    try:
        if before:
            optimiser = mixed_lstm.ADAM if asked.method == "mixed_lstm" else ADAM
            mixed.classify(asked.method, tokens, params, run, given.get("vectors"), None, optimiser, before)
        else:
            module.classify(tokens, params, run, **given)
    except OutOfTime:
        done = False
        kept = run.checkpoint.load()  # none while a language model is learned
        if best := {name.removeprefix("best."): it for name, it in kept[0].items() if name.startswith("best.")} if kept else {}:
            snapshot(asked.out / "model.bf16.safetensors", best)
    curve(asked.out / "curve.csv", run.curve)
    spent = (time.monotonic() - begun) / 60
    with (asked.state / "minutes.txt").open("a") as file:
        file.write(f"{spent:.3f}\n")
    device = torch.cuda.get_device_name() if asked.device == "cuda" else "CPU"
    result: dict[str, Any] = {
        "method": asked.method, "seed": asked.seed, "few": asked.few, "device": device, "done": done, "epochs": len(run.curve),
        "labels": params.n_train or len(tokens.ids(["train"])[1]) - 1, "settings": params.model_dump(),
        "begun": f"from the snapshot {asked.begin.name}, with a new optimiser" if asked.begin else "anew",
        "minutes": round(sum(map(float, (asked.state / "minutes.txt").read_text().split())), 2),  # of all runs of this state
    }  # fmt: skip
    if not done:
        print(f"stopped after {spent:.2f} minutes; the same command goes on")
    else:
        made, corpus = Predictions(run.folder), Corpus(asked.state / "data" / "corpus")
        result["valid"] = figures(made, corpus, "valid")
        for beside in made.folder.glob("*.csv"):  # what the language models learned, and how fast
            shutil.copy(beside, asked.out)
        snapshot(asked.out / "model.bf16.safetensors", made.model()[1])
        readings_of_test = asked.state / "test.jsonl"  # a line a reading; none is taken back
        if asked.test:
            with readings_of_test.open("a") as file:
                file.write(json.dumps(figures(made, corpus, "test")) + "\n")
        if readings_of_test.exists():
            readings = readings_of_test.read_text().splitlines()
            result |= {"test": json.loads(readings[0]), "readings of test": len(readings)}
    (asked.out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Fault as fault:
        sys.exit("\n".join(f"fault: {line}" for line in fault.faults))
