"""Association: counts turned into how much more often two tokens were seen together than chance would have it.

reads   counts   pairs of words, or of documents and words; its numbers are counts, not a measure already
writes  counts   the same pairs in the same order, but for those that become 0, with the measure in the place of the
                 count; measure.csv says which. Of pmi, numbers may be below 0: the gate asks their size
source  Church, Hanks 1990; Levy, Goldberg, Dagan 2015. Formulas: pipelines/kernels/association.py
shapes  P pairs, V words. In memory: a block of pairs, and 16 bytes a word; the counts are read twice
"""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from pipelines.artifacts.counts import Counts
from pipelines.errors import Fault
from pipelines.kernels import association as kernel
from pipelines.method import Knobs, Progress, Run


class Params(Knobs):
    # with the shares p of a pair, its row and its column: ratio is p(i,j) / (p(i) p(j)); pmi its natural logarithm; ppmi that
    # where it is above 0; shifted_ppmi is max(pmi - log(shift), 0); log is log(1 + count)
    measure: Literal["ppmi", "pmi", "shifted_ppmi", "log", "ratio"] = "ppmi"
    smoothing: float = Field(1.0, gt=0, le=1)  # exponent of the contexts' sums, .75 is usual; 1 leaves them. None of log
    shift: float = Field(1.0, ge=1)  # k: as skip-gram with k noise words; 5 is usual. Of shifted_ppmi alone

    @model_validator(mode="after")
    def _shifts(self) -> Self:
        kernel.check_shift(self.measure, self.shift)
        return self


def cooccur(counts: Counts, params: Params, run: Run) -> Counts:
    counts.sightings_only()
    n_rows, n_columns = counts.n_rows("documents") or counts.n_rows("vocab"), counts.n_rows("vocab")
    of = kernel.sums(counts.blocks(), n_rows, n_columns)
    if of.first:
        raise counts.refused(of.wrong, of.first)
    n_kept, by = 0, kernel.chance(of, params.smoothing)
    with run.open(Counts) as out, run.progress(counts.n_rows(), "pairs") as bar:
        for table in ("vocab", "documents"):
            for batch in counts.batches(table=table):
                out.append(table, **dict(zip(batch.schema.names, batch.columns, strict=True)))
        for row, col, value in kernel.associated(_told(counts.blocks(), bar), by, params.measure, params.shift):
            out.append(row=row, col=col, count=value)
            n_kept += len(row)
        if not n_kept:
            raise Fault(
                f"{counts.name}: of its {counts.n_rows():,} pairs none is left by {params.measure}. Lower shift, or count more text"
            )
        out.csv("measure", [{"measure": params.measure, "smoothing": params.smoothing, "shift": params.shift}])
    run.say(f"{n_kept:,} of {counts.n_rows():,} pairs are other than 0")
    return out.artifact


def _told(blocks: Iterator[kernel.Block], bar: Progress) -> Iterator[kernel.Block]:
    for block in blocks:
        yield block
        bar.advance(len(block[0]))
