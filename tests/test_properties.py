"""What holds of the losses for all inputs: symmetry, translation, scaling, convexity, bounds, order of the batch."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

numbers = st.floats(-30, 30).map(lambda number: round(number, 3))
vectors = st.lists(numbers, min_size=3, max_size=3).map(lambda v: torch.tensor(v, dtype=torch.float64))
factors = st.floats(0.1, 10)
LABELS, SIGNS = torch.tensor([1]), torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)
SOFT = torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64)
COUNTS = torch.tensor([0.0, 1.0, 4.0], dtype=torch.float64)
HARD = torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64)
FAR, NEAR = torch.tensor([[0.0, 1.0, 1.0], [2.0, -1.0, 0.5]], dtype=torch.float64)[:, None]


def close(actual: Tensor, expected: Tensor | float) -> None:
    """Equal but for float64 rounding."""
    torch.testing.assert_close(actual, torch.as_tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-9)


def gradient(loss: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The gradient of the loss at x."""
    x = x.clone().requires_grad_()
    loss(x).backward()
    return x.grad


# Losses of three numbers that are convex in them, by name.
CONVEX: dict[str, Callable[[Tensor], Tensor]] = {
    "mse": lambda x: F.mse_loss(x, HARD),
    "l1": lambda x: F.l1_loss(x, HARD),
    "huber": lambda x: F.huber_loss(x, HARD, delta=2.0),
    "smooth l1": lambda x: F.smooth_l1_loss(x, HARD, beta=2.0),
    "bce": lambda x: F.binary_cross_entropy((x / 60 + 0.5), HARD),
    "bce with logits": lambda x: F.binary_cross_entropy_with_logits(x, HARD, pos_weight=COUNTS + 1),
    "soft margin": lambda x: F.soft_margin_loss(x, SIGNS),
    "multilabel soft margin": lambda x: F.multilabel_soft_margin_loss(x[None], HARD[None]),
    "cross-entropy": lambda x: F.cross_entropy(x[None], LABELS),
    "cross-entropy, smoothed": lambda x: F.cross_entropy(x[None], LABELS, label_smoothing=0.1),
    "cross-entropy, probabilities": lambda x: F.cross_entropy(x[None], SOFT),
    "nll": lambda x: F.nll_loss(x[None], LABELS),
    "kl": lambda x: F.kl_div(x[None], SOFT, reduction="batchmean"),
    "poisson": lambda x: F.poisson_nll_loss(x / 3, COUNTS),
    "gaussian in the mean": lambda x: F.gaussian_nll_loss(x, HARD, COUNTS + 1),
    "margin ranking": lambda x: F.margin_ranking_loss(x, HARD, SIGNS, margin=1.0),
    "hinge embedding": lambda x: F.hinge_embedding_loss(x, SIGNS),
    "multi margin": lambda x: F.multi_margin_loss(x[None], LABELS),
    "multi margin, squared": lambda x: F.multi_margin_loss(x[None], LABELS, p=2),
    "multilabel margin": lambda x: F.multilabel_margin_loss(x[None], torch.tensor([[1, 2, -1]])),
    "triplet in the positive": lambda x: F.triplet_margin_loss(FAR, x[None], NEAR),
}
# Of these the ones that are never negative, whatever they are given here.
NEVER_NEGATIVE = sorted(set(CONVEX) - {"nll", "kl", "poisson", "gaussian in the mean", "hinge embedding"})
# Of these the ones that see logits or scores of classes: only their differences count.
CLASSES = [name for name in CONVEX if name.startswith(("cross-entropy", "multi margin", "multilabel margin"))]


@pytest.mark.parametrize("name", CONVEX)
@given(x=vectors, y=vectors, share=st.floats(0, 1))
def test_losses_are_convex(name: str, x: Tensor, y: Tensor, share: float) -> None:
    """On the way between two predictions no loss is above the mixture of theirs."""
    loss = CONVEX[name]
    mixture = share * loss(x) + (1 - share) * loss(y)
    assert loss(share * x + (1 - share) * y) <= mixture + 1e-9 * (1 + abs(mixture))


@pytest.mark.parametrize("name", NEVER_NEGATIVE)
@given(x=vectors)
def test_losses_are_never_negative(name: str, x: Tensor) -> None:
    """Zero is the least that these losses can be."""
    assert CONVEX[name](x) >= 0


@pytest.mark.parametrize("name", CLASSES)
@given(x=vectors, shift=numbers)
def test_a_common_shift_of_all_classes_changes_nothing(name: str, x: Tensor, shift: float) -> None:
    """Only differences of logits or scores count, and the pulls on them cancel."""
    close(CONVEX[name](x + shift), CONVEX[name](x))
    assert abs(gradient(CONVEX[name], x).sum().item()) < 1e-9


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.huber_loss, F.smooth_l1_loss], ids=lambda f: f.__name__)
@given(x=vectors, y=vectors, shift=numbers)
def test_regression_losses_see_only_the_size_of_differences(loss: Callable, x: Tensor, y: Tensor, shift: float) -> None:
    """They are symmetric, unchanged by a common shift, and zero only where prediction and target agree."""
    close(loss(y, x), loss(x, y))
    close(loss(x + shift, y + shift), loss(x, y))
    assert (loss(x, y) == 0) == torch.equal(x, y)


@given(x=vectors, y=vectors, factor=factors)
def test_scaling_errors(x: Tensor, y: Tensor, factor: float) -> None:
    """A factor on prediction and target is squared by MSE, and kept by MAE; Huber keeps it if delta has it squared."""
    close(F.mse_loss(factor * x, factor * y), factor**2 * F.mse_loss(x, y))
    close(F.l1_loss(factor * x, factor * y), factor * F.l1_loss(x, y))
    close(F.huber_loss(factor * x, factor * y, delta=factor), factor**2 * F.huber_loss(x, y))
    close(F.smooth_l1_loss(factor * x, factor * y, beta=factor), factor * F.smooth_l1_loss(x, y))


@given(x=vectors, factor=factors)
def test_scaling_targets_scales_losses_that_are_linear_in_them(x: Tensor, factor: float) -> None:
    """Cross-entropy is linear in its probabilities, weights and masses."""
    close(F.cross_entropy(x[None], factor * SOFT), factor * F.cross_entropy(x[None], SOFT))
    weight = torch.full((3,), factor, dtype=torch.float64)
    plain = F.binary_cross_entropy_with_logits(x, HARD)
    close(F.binary_cross_entropy_with_logits(x, HARD, weight=weight), factor * plain)
    close(F.cross_entropy(x[None], LABELS, weight=weight), F.cross_entropy(x[None], LABELS))


@given(z=vectors)
def test_losses_that_are_one_loss_under_two_names(z: Tensor) -> None:
    """Binary cross-entropy, soft margin and two-class cross-entropy agree, and so do Huber and SmoothL1, CE and NLL."""
    bce = F.binary_cross_entropy_with_logits(z, HARD)
    close(F.soft_margin_loss(z, 2 * HARD - 1), bce)
    close(F.multilabel_soft_margin_loss(z[None], HARD[None]), bce)
    close(F.cross_entropy(torch.stack([torch.zeros_like(z), z], 1), HARD.long()), bce)
    close(F.cross_entropy(z[None], LABELS), F.nll_loss(z[None].log_softmax(1), LABELS))
    divergence = F.kl_div(z[None].log_softmax(1), SOFT, reduction="batchmean")
    close(divergence, F.cross_entropy(z[None], SOFT) + (SOFT * SOFT.log()).sum())
    close(F.huber_loss(z, HARD, delta=3.0), 3 * F.smooth_l1_loss(z, HARD, beta=3.0))
    close(F.gaussian_nll_loss(z, HARD, torch.ones_like(z)), F.mse_loss(z, HARD) / 2)


@given(z=vectors)
def test_divergence_is_never_negative_between_distributions(z: Tensor) -> None:
    """Gibbs' inequality."""
    assert F.kl_div(z[None].log_softmax(1), SOFT, reduction="batchmean") >= -1e-12


@given(z=vectors)
def test_pulls_on_logits_are_bounded(z: Tensor) -> None:
    """However wrong an answer is, cross-entropy pulls on the logits with 2 in sum, and BCE with 1 on each."""
    assert gradient(CONVEX["cross-entropy"], z).abs().sum() <= 2 + 1e-12
    assert gradient(CONVEX["soft margin"], z).abs().max() <= 1 / 3 + 1e-12


@given(a=vectors, b=vectors, factor=factors)
def test_cosine_embedding_sees_directions_alone(a: Tensor, b: Tensor, factor: float) -> None:
    """The loss is that of the unit vectors, between 0 and 2 for equal and 0 and 1 for unequal pairs."""
    if min(a.norm(), b.norm()) < 0.1:
        return
    for label, largest in ((1.0, 2.0), (-1.0, 1.0)):
        y = torch.tensor([label], dtype=torch.float64)
        value = F.cosine_embedding_loss(a[None], b[None], y)
        torch.testing.assert_close(F.cosine_embedding_loss(factor * a[None], b[None], y), value, rtol=0, atol=1e-7)
        assert -1e-9 <= value <= largest + 1e-9


@given(a=vectors, p=vectors, n=vectors, margin=factors)
def test_triplets_and_swaps(a: Tensor, p: Tensor, n: Tensor, margin: float) -> None:
    """A swap never lowers the loss, and the loss grows with the margin by no more than the margin."""
    rows = a[None], p[None], n[None]
    plain = F.triplet_margin_loss(*rows, margin=margin)
    assert F.triplet_margin_loss(*rows, margin=margin, swap=True) >= plain
    assert 0 <= F.triplet_margin_loss(*rows, margin=margin + 1) - plain <= 1 + 1e-9


@given(
    order=st.permutations(range(4)),
    logits=st.lists(vectors, min_size=4, max_size=4),
    labels=st.lists(st.integers(0, 2), min_size=4, max_size=4),
)
def test_the_order_of_the_batch_does_not_matter(order: list[int], logits: list[Tensor], labels: list[int]) -> None:
    """Rows in another order have the same mean, and the same gradients in that order."""
    z, y = torch.stack(logits), torch.tensor(labels)
    weight = COUNTS + 1
    for loss in (
        lambda z, y: F.cross_entropy(z, y, weight=weight, label_smoothing=0.1),
        lambda z, y: F.multi_margin_loss(z, y, weight=weight),
        lambda z, y: F.mse_loss(z, F.one_hot(y, 3).double()),
        lambda z, y: F.multilabel_soft_margin_loss(z, F.one_hot(y, 3).double()),
        lambda z, y: F.kl_div(z, F.one_hot(y, 3).double(), reduction="batchmean"),
        lambda z, y: F.margin_ranking_loss(z[:, 0], z[:, 1], 2.0 * (y > 0) - 1, margin=1.0),
    ):
        close(loss(z[order], y[order]), loss(z, y))
        close(gradient(partial(loss, y=y[order]), z[order]), gradient(partial(loss, y=y), z)[order])
