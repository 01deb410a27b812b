"""`wordloom final ROW`: the test split is scored once, and that is written down."""

import fcntl
from pathlib import Path
from typing import Any

from flows import experiments
from flows.git import changed, git
from flows.tables import READINGS_HEADER, readings
from pipelines import layout
from pipelines.errors import Fault
from pipelines.layout import READINGS
from tasks import dvc


def final(main: Path, root: Path, experiment: str, row: str, again: bool = False) -> list[dict[str, Any]]:
    """Scores the test split of a row of classify, and writes it down before anybody sees it.

    Args:
        main: the main checkout; it keeps the list of readings.
        root: the workspace that has the row: the main checkout, or an experiment's worktree.
        experiment: its name.
        row: a row of classify.
        again: also where its test set has been read at this commit.

    Raises:
        Fault: the row, its gate or anything before them is not up to date, or its test set has been read.
    """
    from pipelines.artifacts.corpus import Corpus
    from pipelines.artifacts.predictions import Predictions
    from pipelines.params import read_row
    from pipelines.run import check_token
    from pipelines.use.final import score_test

    it = read_row(root, "classify", row)
    corpus = _corpus(root, "classify", row)
    _up_to_date(root, row)
    check_token(root, "predictions", row)
    check_token(root, "corpus", corpus)
    commit = _commit(main, root, experiment)
    if not again:
        refuse_again(main, commit, experiment, f"classify/{row}")
    scores = score_test(
        Predictions(root / layout.artifact("predictions", row)), Corpus(root / layout.artifact("corpus", corpus)), it.world.seed
    )
    write_down(main, commit, experiment, f"classify/{row}", it.world.seed, scores)
    return scores


def _corpus(root: Path, verb: str, row: str) -> str:
    """The row of ingest that has the documents, by way of predictions, counts and tokens. Raises Fault unless there is one."""
    from pipelines.params import read_row
    from pipelines.registry import MAKER

    found, asked = set(), [(verb, row)]
    while asked:
        inputs = read_row(root, *asked.pop()).inputs
        found.update(inputs.get("corpus", []))
        asked += [(MAKER[noun], name) for noun in ("predictions", "counts", "tokens") for name in inputs.get(noun, [])]
    if len(found) != 1:
        raise Fault(
            f"{verb}.{row} comes from {len(found)} corpora ({', '.join(sorted(found)) or 'none'}); a test set is found through exactly one"
        )
    return found.pop()


def _up_to_date(root: Path, row: str) -> None:
    changed_stages = dvc.status(root, "--with-deps", f"check-predictions-{row}")
    if changed_stages:
        raise Fault(
            f"classify/{row} is not up to date: {', '.join(changed_stages)} changed since. "
            f"Its test score would be of something else. Run: dvc repro check-predictions-{row}"
        )


def _commit(main: Path, root: Path, experiment: str) -> str:
    """The commit that the score belongs to, with a + when the files are not those of the commit."""
    commit = git(root, "rev-parse", "--short=12", "HEAD")
    known = {READINGS} if root == main else experiments.OURS
    edited = [path for path in changed(root) if path not in known]
    if root != main:  # its parameters are those of the commit's experiment file, or they are nobody's
        try:
            committed = git(root, "show", f"HEAD:{experiments.FILES}/{experiment}.yaml")
        except Fault:
            committed = ""
        if committed.strip() != (root / layout.PARAMS).read_text(encoding="utf-8").strip():
            edited.append(layout.PARAMS)
    return commit + ("+" if edited else "")


def refuse_again(main: Path, commit: str, experiment: str, row: str) -> None:
    """Raises Fault when the list has a reading of this very model."""
    n = readings(main, commit).get((experiment, row), 0)
    if n:
        raise Fault(
            f"the test set of {experiment} {row} was read {n} x at commit {commit}, with these figures in {READINGS}. "
            "Reading it again makes it part of the training; if it has to be, add --again, and that is written down too"
        )


def write_down(main: Path, commit: str, experiment: str, row: str, seed: int, scores: list[dict[str, Any]]) -> None:
    """Adds a line per figure to the list of readings."""
    path = main / READINGS
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if path.stat().st_size == 0:
            file.write("\t".join(READINGS_HEADER) + "\n")
        for score in scores:
            figures = [_text(score.get(key)) for key in ("value", "low", "high", "n")]
            file.write("\t".join([commit, experiment, row, str(seed), score["metric"], *figures]) + "\n")


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
