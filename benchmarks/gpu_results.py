"""What runs of gpu_imdb have left, as a table: `python -m benchmarks.gpu_imdb table --out DIR`, of all DIR/*/result.json.

Seeds of one method and of the same knobs are one line, with their number; the interval is of the mean over seeds (Student's t), of a single
seed over the reviews.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import Fault
from pipelines.kernels.intervals import of_mean

PROTOCOL = (
    "\nProtocol: IMDb alone; what stands in test is taken out of train and of the reviews without labels; epochs and weights chosen on "
    "validation, a fifth of train, which seed 1 draws for all, as it does word vectors; test read when training was over, its first reading is "
    "shown. ± is half of the 95 % interval of the mean over seeds (Student's t), [ ] the interval over the reviews."
)


def table(out: Path) -> str:
    """Lines of Markdown. Raises Fault where there is no result."""
    found = [json.loads(path.read_text()) for path in sorted(out.glob("*/result.json"))]
    if not found:
        raise Fault(f"{out} holds no */result.json. Name the folder that holds the --out of the runs")
    of: dict[str, list[dict[str, Any]]] = {}
    for one in found:
        if "valid" in one:
            key = [one[name] for name in ("method", "few", "labels", "settings", "device", "begun")]
            of.setdefault(json.dumps(key, sort_keys=True), []).append(one)
    lines = [
        "| method | labels | seeds | valid, % | test, % | device | minutes a seed | begun |",
        "| --- | --: | --: | --: | --: | --- | --: | --- |",
    ]
    for seeds in of.values():
        first, numbers = seeds[0], [it["seed"] for it in seeds]
        if twice := sorted({it for it in numbers if numbers.count(it) > 1}):
            raise Fault(f"{out}: {first['method']} has seed {twice[0]} more than once, with the same knobs. Remove the copies")
        cells = [
            ", ".join([first["method"], *(f"{name} {value}" for name, value in sorted(first["knobs"].items()))])
            + ", a trial" * first["few"],
            f"{first['labels']:,}",
            str(len(seeds)),
            mean(seeds, "valid"),
            mean(seeds, "test"),
            first["device"],
        ]
        minutes = f"{np.mean([it['minutes'] for it in seeds]):.0f}"
        lines.append(f"| {' | '.join([*cells, minutes, first['begun']])} |")
    for one in found:
        name = f"\n{one['method']}, seed {one['seed']}"
        if "faults" in one:
            lines.append(f"{name}: {'; '.join(one['faults'])}")
        elif not one["done"]:
            lines.append(f"{name}: not done, {one['epochs']} epochs so far")
        elif one["method"] == "language":
            lines.append(f"{name}: perplexity of valid {one['perplexity']:.1f} after {one['epochs']} epochs, {one['minutes']:.0f} minutes")
        if (n_readings := one.get("readings of test", 0)) > 1:
            lines.append(f"{name}: test was read {n_readings} times")
    return "\n".join([*lines, PROTOCOL])


def mean(seeds: list[dict[str, Any]], split: str) -> str:
    """Accuracy in %, of the seeds that were judged by the split."""
    judged = [it[split] for it in seeds if split in it]
    values = np.array([100 * it["accuracy"] for it in judged])
    if not judged:
        return ""
    if len(judged) == 1:
        return f"{values[0]:.2f} [{100 * judged[0]['low']:.2f}, {100 * judged[0]['high']:.2f}]"
    low, _ = of_mean(values)
    half = "" if low is None else f" ± {values.mean() - low:.2f}"
    return f"{values.mean():.2f}{half}{f', n = {len(values)}' * (len(values) < len(seeds))}"
