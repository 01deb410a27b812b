"""Skip-gram, CBOW and GloVe on a GPU: what the CPU does where batches are as small, as good where they are large, and how fast.

python -m benchmarks.gpu_embed [ROW ...] [--device cpu] [--few] [--epochs N] [--seeds 1 2 3]

Needs WORDLOOM_DATA with wikipedia/, wordsim/ and analogy/; nothing of Prefect, DVC or Great Expectations. First each method
is held against the kernel of the CPU. Then each row trains once a seed, on the device and on the CPU; MEN and Google
are scored as in benchmarks/vectors.py. Words/s and pairs/s are of the epochs after the first; words that subsampling
passes over are counted. `--device cpu` takes torch on the processor in the place of a GPU, `--few` the first
twentieth of the documents: together a trial of the whole without a GPU.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.glove import first_documents
from benchmarks.measure import THREADS, Timed, text
from benchmarks.vectors import mean_of, scores
from pipelines.artifacts.counts import Counts
from pipelines.artifacts.tokens import Tokens
from pipelines.cooccur import windowed
from pipelines.embed import cbow, glove, skipgram
from pipelines.kernels import glove as kernel
from pipelines.method import Run

TESTS = ("MEN", "Google")
GLOVE = {"x_max": 10, "vector_size": 50, "epochs": 25}
# name -> (method, knobs, whether on the device); a number is that of the tokens of a batch, or of blocks
ROWS: dict[str, tuple[Any, dict[str, Any], bool]] = {
    "skipgram cpu": (skipgram, {}, False),
    "skipgram": (skipgram, {}, True),
    "skipgram 65536": (skipgram, {"batch_size": 65_536}, True),
    "skipgram nce": (skipgram, {"loss": "nce"}, True),
    "cbow cpu": (cbow, {"engine": "own"}, False),
    "cbow": (cbow, {"engine": "own"}, True),
    "glove cpu": (glove, GLOVE, False),
    "glove": (glove, GLOVE, True),
    "glove 1024": (glove, GLOVE | {"blocks": 1024}, True),
}
TOLERANCE = 1e-3  # of the largest number; the CPU reads sigma from a table


def same_as_the_cpu(tokens: Tokens, counts: Counts, folder: Path, device: str) -> None:
    """Raises AssertionError where a device's numbers are further off than TOLERANCE.

    Args:
        tokens: a few thousand; the difference of two roundings grows with the batches.
    """
    for name, module in (("skipgram", skipgram), ("cbow", cbow)):
        for loss in ("negative", "nce"):
            params = module.Params(batch_size=1024, epochs=1, loss=loss, engine="own")
            runs = [Run(folder / f"same-{name}-{loss}-{i}", seed=1, device=where) for i, where in enumerate(("cpu", device))]
            ours, theirs = (module.embed(tokens, params, run).matrix() for run in runs)
            _say(f"{name}, {loss}, batches of 1,024", ours, theirs)
    from pipelines.kernels import glove_torch

    few, n_vocab = [column[:100_000] for column in next(counts.blocks())], counts.n_rows("vocab")
    pairs, rng = kernel.deal(lambda: [few], n_vocab, 1, n_blocks=64), np.random.default_rng(1)
    ours = kernel.begin(n_vocab, 50, rng)
    theirs = kernel.State(*(array.copy() for array in ours))
    descent = glove_torch.Descent(pairs, theirs, 10, 0.75, 0.05, device, at_once=1)
    for diagonal in range(64):
        kernel.train(pairs, diagonal, ours, 10, 0.75, 0.05)
        descent.train(diagonal)
    descent.fetch(theirs)
    _say("glove, 64 blocks, a pair of each square at a time", ours.word, theirs.word)


def _say(what: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    off = np.abs(ours - theirs).max() / np.abs(ours).max()
    print(f"{what}: off by {off:.1e} of the largest number", flush=True)
    assert off < TOLERANCE, f"{what}: off by {off:.3g}, more than {TOLERANCE}"


def table(names: list[str], tokens: Tokens, counts: Counts, folder: Path, device: str, epochs: int | None, seeds: list[int]) -> None:
    print(f"\n| | {' | '.join(TESTS)} | loss | words/s or pairs/s | wall, s |\n| --- |{' --: |' * (len(TESTS) + 3)}", flush=True)
    for name in names:
        module, knobs, on_device = ROWS[name]
        params = module.Params(**knobs | ({"epochs": epochs} if epochs else {}))
        given = counts if module is glove else tokens
        n_items = counts.n_rows() if module is glove else int(tokens.known_counts(["train"]).sum())
        found, losses, rates, walls = [], [], [], []
        for seed in seeds:
            run = Timed(folder / f"{name} {seed}", name=name, seed=seed, threads=THREADS, device=device if on_device else "cpu")
            start = time.perf_counter()
            vectors = module.embed(given, params, run)
            walls.append(time.perf_counter() - start)
            rates.append(n_items * (len(run.ends) - 1) / (run.ends[-1] - run.ends[0]) if len(run.ends) > 1 else np.nan)
            losses.append(run.curve[-1]["loss"])
            found.append(scores(vectors, folder, seed))
        cells = [mean_of([each[test] for each in found], "{:.1%}".format if test == "Google" else "{:.3f}".format) for test in TESTS]
        print(
            f"| {name} | {' | '.join(cells)} | {np.mean(losses):.4f} | {np.mean(rates) / 1e6:,.2f} M | {np.mean(walls):,.0f} |", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="*", choices=[[], *ROWS], default=[])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--few", action="store_true")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    asked = parser.parse_args()
    import numba
    import torch

    if asked.device == "cuda" and not torch.cuda.is_available():
        sys.exit("This machine has no usable GPU. Say --device cpu --few to try it without one")
    numba.set_num_threads(THREADS)
    torch.set_num_threads(THREADS)
    device = "cuda" if asked.device == "cuda" else "cpu:0"  # a run on `cpu` is numba's; torch's processor has a number
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tokens, what = text(folder)
        few = first_documents(tokens, folder / "few")
        few_counts = windowed.cooccur(few, windowed.Params(), Run(folder / "few-counts", threads=THREADS))
        where = torch.cuda.get_device_name() if asked.device == "cuda" else "torch on the processor"
        print(
            f"{what}{', the first twentieth' if asked.few else ''}; {where}; {THREADS} threads; seeds {', '.join(map(str, asked.seeds))}.\n"
        )
        two = first_documents(first_documents(few, folder / "fewer"), folder / "two")
        same_as_the_cpu(two, few_counts, folder, device)
        counts = few_counts if asked.few else windowed.cooccur(tokens, windowed.Params(), Run(folder / "counts", threads=THREADS))
        table(asked.rows or list(ROWS), few if asked.few else tokens, counts, folder, device, asked.epochs, asked.seeds)
        orchestration = {"prefect", "dvc", "great_expectations"} & set(sys.modules)
        assert not orchestration, f"{', '.join(orchestration)} were imported"


if __name__ == "__main__":
    main()
