"""Perturbations of word vectors: small ones that change most what is said of a document, and what they cost.

    adversarial   r = epsilon g / |g|,  g the gradient of the loss by the vectors of the document
    virtual       r = epsilon g / |g|,  g the gradient of KL(p(. | x) || p(. | x + xi d)) by d, at a random direction d, and there again

A norm is of a document as a whole, all its words together. A perturbation is a constant to the descent: no gradient goes through it; so one
pass back through an LSTM is enough, and cuDNN's can be used.

source  Miyato, Dai, Goodfellow 2017 (eq. 3 to 5, and the normalised vectors, eq. 1); Miyato, Maeda, Koyama, Ishii 2018 (power iteration);
        Goodfellow, Shlens, Szegedy 2015
shapes  T tokens of the longest of B documents, D numbers a word, C classes; x is (T, B, D), scores are (B, C)
"""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Read = Callable[[Tensor], Tensor]  # (T, B, D) vectors -> (B, C) scores
SMALLEST = 1e-12  # of a norm; a document whose gradient is zero has no worst direction


def unit(x: Tensor) -> Tensor:
    """(T, B, D), each document's numbers with a norm of 1 in all."""
    return x / x.square().sum(dim=(0, 2), keepdim=True).sqrt().clamp(min=SMALLEST)


def adversarial(losses: Tensor, x: Tensor, inside: Tensor, epsilon: float) -> Tensor:
    """The perturbation that raises the losses, (B,), fastest.

    Args:
        inside: (T, B), false for padding, which is left as it is.
    """
    (gradient,) = torch.autograd.grad(losses.sum(), x, retain_graph=True)
    return epsilon * unit(gradient.detach() * inside[:, :, None])


def virtual(read: Read, scores: Tensor, x: Tensor, inside: Tensor, epsilon: float, xi: float, n_steps: int) -> Tensor:
    """The perturbation that changes most what is said, by `n_steps` steps of power iteration.

    In float32 throughout, also where training is mixed: a step of xi, spread over a whole document, is less than bfloat16 can tell apart, and
    half of the perturbation's effect was lost to its rounding; TF32 has two bits more, which are too few, too.

    Args:
        scores: read(x).
        xi: length of the step from x at which the gradient is taken.
    """
    device = x.device.type
    x, rounded = x.detach(), rounds(device)
    with torch.autocast(device, enabled=False), without_tf32():
        with torch.no_grad():
            logs = (read(x) if rounded else scores).log_softmax(dim=1)
        d = torch.randn_like(x) * inside[:, :, None]
        for _ in range(n_steps):
            d = (xi * unit(d)).requires_grad_()
            (gradient,) = torch.autograd.grad(divergence(logs, read(x + d)).sum(), d)
            d = gradient.detach() * inside[:, :, None]
        return epsilon * unit(d)


def rounds(device: str) -> bool:
    """Whether products on this device are of fewer digits than float32 has."""
    tf32 = torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32
    return torch.is_autocast_enabled(device) or (device == "cuda" and tf32)


@contextlib.contextmanager
def without_tf32() -> Iterator[None]:
    """A GPU multiplies float32 as it is."""
    products = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [it.allow_tf32 for it in products]
    try:
        for it in products:
            it.allow_tf32 = False
        yield
    finally:
        for it, allowed in zip(products, before, strict=True):
            it.allow_tf32 = allowed


def divergence(logs: Tensor, scores: Tensor) -> Tensor:
    """(B,) KL(p || q), in nats; logs are those of p."""
    return (logs.exp() * (logs - scores.log_softmax(dim=1))).sum(dim=1)


def entropy(scores: Tensor) -> Tensor:
    """(B,) in nats."""
    logs = scores.log_softmax(dim=1)
    return -(logs.exp() * logs).sum(dim=1)


def normalised(vectors: Tensor, share: Tensor) -> Tensor:
    """(V, D) with mean 0 and variance 1 in each column, each word counted by its share, (V,), of the text: else vectors could grow
    until perturbations of one length mean nothing."""
    with torch.autocast(vectors.device.type, enabled=False):  # products in bfloat16 would miss a variance by a hundredth
        mean = share @ vectors
        return (vectors - mean) / (share @ (vectors - mean).square()).clamp(min=SMALLEST).sqrt()
