"""The LSTM classifier on a GPU: tokens/s of its training, beside those of cuDNN's LSTM alone.

python -m benchmarks.gpu_classify [ROW ...] [--device cpu] [--few]

Nothing of Prefect, DVC or Great Expectations. Made-up documents, as long as film reviews are (log-normal, 174 tokens in the middle, cut
at 400), words by a Zipf law, labels that say nothing; 1,024 states, 256 numbers a word. `lstm` trains for four epochs of 100 steps, by its own
batches, with all that a step has: documents padded and sent, words looked up, dropout, pooling, the loss, clipping, Adam. Then
torch.nn.LSTM alone goes over the padded batches that `lstm` had, forwards and backwards, in the precision of the row: a GPU's own clock
counts its two calls and nothing else, and it need not be deterministic, as `lstm` is. The first epoch is not timed, of neither; padding is
no token. `--device cpu --few` is a trial of the whole without a GPU.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from benchmarks.measure import THREADS, Timed
from pipelines.artifacts.tokens import UNKNOWN, Tokens
from pipelines.classify import lstm
from pipelines.method import Run
from pipelines.recurrence import Recurrent

EPOCHS, LONGEST, N_WORDS = 4, 400, 40_000
MIDDLE, SPREAD = 174, 0.76  # of the lengths: of a log-normal law the median, and the deviation of the logarithm
SIZES = {"hidden_size": 1024, "vector_size": 256}
FEW = {"hidden_size": 64, "vector_size": 16}
ROWS: dict[str, dict[str, Any]] = {
    f"batches of {size}{', mixed' * mixed}": {"batch_size": size, "mixed": mixed} for size in (64, 256, 512) for mixed in (False, True)
}


def documents(folder: Path, n: int) -> Tokens:
    """n of train; the last one stands in test again, since a classifier wants something to answer."""
    rng = np.random.default_rng(0)
    lengths = np.minimum(rng.lognormal(np.log(MIDDLE), SPREAD, n).astype(np.int64) + 1, LONGEST)
    share = 1 / np.arange(1, N_WORDS + 1)
    ids = rng.choice(N_WORDS, lengths.sum(), p=share / share.sum()).astype(np.int32) + 1
    offsets = np.concatenate([[0], lengths.cumsum()])
    with Run(folder).open(Tokens) as out:
        out.append(doc_id=[f"d{i}" for i in range(n)], split=["train"] * n, label=["ab"[i % 2] for i in range(n)], token_ids=(ids, offsets))
        out.append(doc_id=["last"], split=["test"], label=["a"], token_ids=[ids[offsets[-2] :]])
        vocab = [UNKNOWN, *(f"w{i}" for i in range(1, N_WORDS + 1))]
        out.append("vocab", token_id=np.arange(N_WORDS + 1), token=vocab, count=np.bincount(ids, minlength=N_WORDS + 1))
    return out.artifact


def ours(tokens: Tokens, params: lstm.Params, run: Timed) -> tuple[float, list[tuple[Tensor, Tensor]]]:
    """Seconds of the epochs after the first; the (T, B) token ids and (B,) lengths of all steps, as they lie on the device."""
    batches = []

    def seen(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        if isinstance(module, Recurrent) and module.training:
            batches.append(given)

    with register_module_forward_pre_hook(seen):
        lstm.classify(tokens, params, run)
    return run.ends[-1] - run.ends[0], batches


def alone(batches: list[tuple[Tensor, Tensor]], params: lstm.Params, device: str) -> list[float]:
    """Seconds of nn.LSTM, forwards and backwards, on each batch."""
    torch.use_deterministic_algorithms(False)
    dtype = torch.bfloat16 if params.mixed else torch.float32
    layer = nn.LSTM(params.vector_size, params.hidden_size).to(device, dtype)
    table = torch.randn(N_WORDS + 1, params.vector_size, device=device, dtype=dtype)
    marks = []
    for ids, _ in batches:
        x = table[ids.long()].requires_grad_()  # as `lstm` learns the words' vectors, too
        slope = torch.ones(*ids.shape, params.hidden_size, device=device, dtype=dtype)
        begun = now(device)
        layer(x)[0].backward(slope)
        marks.append((begun, now(device)))
        layer.zero_grad()
    if device == "cuda":
        torch.cuda.synchronize()
        return [begun.elapsed_time(ended) / 1000 for begun, ended in marks]
    return [ended - begun for begun, ended in marks]


def now(device: str) -> Any:
    if device != "cuda":
        return time.perf_counter()
    mark = torch.cuda.Event(enable_timing=True)
    mark.record()
    return mark


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="*", choices=[[], *ROWS], default=[])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--few", action="store_true")
    asked = parser.parse_args()
    if asked.device == "cuda" and not torch.cuda.is_available():
        sys.exit("This machine has no usable GPU. Say --device cpu --few to try it without one")
    names, steps, sizes = asked.rows or list(ROWS), 5 if asked.few else 100, FEW if asked.few else SIZES
    where = torch.cuda.get_device_name() if asked.device == "cuda" else "torch on the processor"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        print(f"{sizes['hidden_size']:,} states; {where}; {EPOCHS - 1} epochs of {steps} steps.\n")
        print("| | `lstm`, tokens/s | nn.LSTM alone, tokens/s | lost | padding |\n| --- | --: | --: | --: | --: |", flush=True)
        for name in names:
            params = lstm.Params(epochs=EPOCHS, max_tokens=LONGEST, **sizes, **ROWS[name])
            tokens = documents(folder / "tokens", steps * params.batch_size)
            run = Timed(folder / "predictions", seed=1, threads=THREADS, device=asked.device)
            seconds, batches = ours(tokens, params, run)
            assert len(batches) == EPOCHS * steps, f"{len(batches)} batches: the device has too little memory for {name}"
            rival = sum(alone(batches, params, asked.device)[steps:])
            n_tokens = sum(int(lengths.sum()) for _, lengths in batches[steps:])
            padding = 1 - n_tokens / sum(ids.numel() for ids, _ in batches[steps:])
            print(
                f"| {name} | {n_tokens / seconds:,.0f} | {n_tokens / rival:,.0f} | {1 - rival / seconds:.1%} | {padding:.1%} |", flush=True
            )
        orchestration = {"prefect", "dvc", "great_expectations"} & set(sys.modules)
        assert not orchestration, f"{', '.join(orchestration)} were imported"


if __name__ == "__main__":
    main()
