"""The softmax over a vocabulary that language models share: a full one, or one that is cheap where words are many.

source  Grave et al. 2017 (adaptive: the vocabulary's first words have to be its most frequent)
shapes  n states of H numbers, V words
"""

import torch
from torch import Tensor, nn

Softmax = nn.Linear | nn.AdaptiveLogSoftmaxWithLoss
ROWS = 4096  # states that are judged at a time: each takes as many numbers as there are words


def softmax_over(n_words: int, size: int, adaptive: bool, cutoffs: tuple[int, ...]) -> Softmax:
    """
    Args:
        size: H.
        cutoffs: words at which the adaptive one's clusters end; those that the vocabulary has, else its half.
    """
    if not adaptive:
        return nn.Linear(size, n_words)
    within = [cut for cut in cutoffs if cut < n_words] or [max(n_words // 2, 1)]
    return nn.AdaptiveLogSoftmaxWithLoss(size, n_words, within, div_value=2)


def surprise(softmax: Softmax, states: Tensor, words: Tensor) -> Tensor:
    """(n, H) and (n,) int64, the words that follow -> (n,) minus the logarithm of their probability."""
    if len(words) > ROWS and not torch.is_grad_enabled():
        return torch.cat([surprise(softmax, *part) for part in zip(states.split(ROWS), words.split(ROWS), strict=True)])
    if isinstance(softmax, nn.Linear):
        return nn.functional.cross_entropy(softmax(states), words, reduction="none")
    return -softmax(states, words).output if len(words) else states.sum(dim=1)  # the adaptive one takes no empty batch
