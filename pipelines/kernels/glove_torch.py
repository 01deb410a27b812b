"""GloVe's descent in strata on a device of torch's: the squares of a diagonal are one step, or as many as are asked for.

The pairs of a step read the numbers as they were before it, what they change is summed row by row, and a row's sum is divided
by its curvature where that is above 1: no row goes further than where, the others standing still, the loss is sure to be
lower. With one pair of each square at a time it is what kernels/glove.py does, in the same order.

A step has the same few launches whatever its size. Sums are by `index_put_`, which sorts its rows on a GPU: the same bytes
each time, and but for rounding those of the CPU.
"""

import itertools

import torch
from torch import Tensor

from pipelines.kernels.glove import CLIP, Pairs, State


class Descent:
    """The pairs and the numbers on a device: 16 bytes a pair, and 16 V (D + 2) bytes.

    Args:
        pairs, state, x_max, alpha, lr: as kernels.glove.train has them.
        device: as torch names it.
        at_once: pairs of a square that are in one step; None: all.
    """

    def __init__(self, pairs: Pairs, state: State, x_max: float, alpha: float, lr: float, device: str, at_once: int | None = None):
        self.lr = lr
        # a bias is one more number of a vector, which meets a 1 in the other; AdaGrad leaves that 1 where it is, as if it had come far
        word, context, word_bias, context_bias, *squares = (torch.tensor(array, device=device) for array in state)
        one, far = torch.ones_like(word_bias), torch.full_like(word_bias, torch.inf)
        self.word, self.word_squares = _columns(word, word_bias, one), _columns(squares[0], squares[2], far)
        self.context, self.context_squares = _columns(context, one, context_bias), _columns(squares[1], far, squares[3])

        first = torch.tensor(pairs.first, device=device)
        square = torch.repeat_interleave(first.diff())
        diagonal = (square - square // pairs.n_blocks) % pairs.n_blocks
        step = (torch.arange(len(square), device=device) - first[square]) // (at_once or len(square))
        longest = int(step.max()) + 1
        step += diagonal * longest
        order = step.argsort(stable=True)
        self.row, self.col, count = (torch.tensor(column, device=device)[order] for column in pairs[:3])
        self.log_count, self.weight = count.log(), (count / x_max).clamp_(max=1) ** alpha
        sizes = step.bincount(minlength=pairs.n_blocks * longest).reshape(-1, longest)
        self.sizes = [[n for n in steps if n] for steps in sizes.tolist()]  # of the steps of each diagonal
        self.starts = [0, *sizes.sum(1).cumsum(0).tolist()]

    def fetch(self, state: State) -> None:
        """Copies the numbers to where NumPy has them."""
        size = state.word.shape[1]
        for prefix, bias, numbers, squares in (
            ("word", size, self.word, self.word_squares), ("context", size + 1, self.context, self.context_squares),
        ):  # fmt: skip
            for suffix, matrix in (("", numbers), ("_squares", squares)):
                matrix = matrix.cpu().numpy()
                getattr(state, f"{prefix}{suffix}")[:] = matrix[:, :size]
                getattr(state, f"{prefix}_bias{suffix}")[:] = matrix[:, bias]

    @torch.no_grad()
    def train(self, diagonal: int) -> Tensor:
        """One step for each pair of a diagonal; gives their summed loss, each as it was before its step, in float64."""
        ends = itertools.accumulate(self.sizes[diagonal], initial=self.starts[diagonal])
        losses = [self._step(slice(start, end)) for start, end in itertools.pairwise(ends)]
        return sum(losses, torch.zeros((), dtype=torch.float64, device=self.word.device))

    def _step(self, pairs: slice) -> Tensor:
        row, col, weight = self.row[pairs], self.col[pairs], self.weight[pairs]
        word, context = self.word[row], self.context[col]
        miss = (word * context).sum(1) - self.log_count[pairs]
        pull = weight * miss
        _add(self.word, self.word_squares, row, context, pull, weight, self.lr)
        _add(self.context, self.context_squares, col, word, pull, weight, self.lr)
        return 0.5 * (pull * miss).sum()


def _columns(vectors: Tensor, *more: Tensor) -> Tensor:
    return torch.column_stack([vectors, *more])


def _add(numbers: Tensor, squares: Tensor, rows: Tensor, other: Tensor, pull: Tensor, weight: Tensor, lr: float) -> None:
    """The step of each row (n,) by AdaGrad, where `other` (n, D + 2) are the vectors that it met."""
    root = squares[rows].rsqrt_()
    step = (pull[:, None] * other).clamp_(-float(CLIP), float(CLIP)).mul_(lr)
    curve = (other * other).mul_(root).sum(1).mul_(weight).mul_(lr)
    total = torch.zeros(len(numbers), device=rows.device).index_put_((rows,), curve, accumulate=True).clamp_(min=1)
    squares.index_put_((rows,), step * step, accumulate=True)
    numbers.index_put_((rows,), step.mul_(root).div_(-total[rows][:, None]), accumulate=True)
