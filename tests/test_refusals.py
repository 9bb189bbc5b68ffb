"""The words of PyTorch's errors that the book quotes: its examples show only that a call is refused."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

SPEC = " ".join(" ".join(path.read_text() for path in (Path(__file__).parent.parent / "spec").glob("*.md")).split())
PAIR, FOUR = torch.zeros(2, 1), torch.zeros(3, 4)
OLD = tuple(map(int, torch.__version__.split(".")[:2])) < (2, 12)
OF_LABELS = (
    "expected scalar type Long but found Float" if OLD else "expected target dtype to be Long or Byte, but got Float"
)
QUOTED: list[tuple[str, Callable[[], object]]] = [
    ("avg is not a valid value for reduction", lambda: F.mse_loss(PAIR, PAIR, reduction="avg")),
    ("\"mse_cpu\" not implemented for 'Long'", lambda: F.mse_loss(PAIR.long(), PAIR.long())),
    ("with a bool tensor is not supported", lambda: F.l1_loss(PAIR, PAIR.bool())),
    ("Weights and input must have the same size.", lambda: F.mse_loss(PAIR, PAIR, weight=PAIR[:, 0])),
    (
        "Using a target size (torch.Size([2])) that is different to the input size (torch.Size([2, 1])) is deprecated",
        lambda: F.binary_cross_entropy(PAIR, PAIR[:, 0]),
    ),
    (
        "Target size (torch.Size([2])) must be the same as input size (torch.Size([2, 1]))",
        lambda: F.binary_cross_entropy_with_logits(PAIR, PAIR[:, 0]),
    ),
    (
        "output with shape [2, 1] doesn't match the broadcast shape [2, 2]",
        lambda: F.soft_margin_loss(PAIR, PAIR[:, 0]),
    ),
    (
        "Using a target size (torch.Size([4])) that is different to the input size (torch.Size([4, 1]))",
        lambda: F.mse_loss(FOUR[:1].T, FOUR[0]),  # a warning, and an error in the tests
    ),
    (OF_LABELS, lambda: F.cross_entropy(FOUR, FOUR[:, 0])),
    ("Target 3 is out of bounds.", lambda: F.cross_entropy(FOUR[:, :3], torch.tensor([3, 0, 0]))),
    ("multi-target not supported", lambda: F.cross_entropy(FOUR, torch.zeros(3, 1, dtype=torch.int64))),
    ("only p == 1 and p == 2 supported", lambda: F.multi_margin_loss(FOUR, torch.tensor([0, 1, 2]), p=3)),
    ("target out of range", lambda: F.multi_margin_loss(FOUR, torch.tensor([0, 1, -100]))),
    ("inconsistent target size", lambda: F.multilabel_margin_loss(FOUR[:1], torch.tensor([[3, 0]]))),
    (
        "argument #2 'target' is out of range",
        lambda: F.multilabel_margin_loss(FOUR[:1], torch.tensor([[4, -1, -1, -1]])),
    ),
    ("expected scalar type Long but found Float", lambda: F.multilabel_margin_loss(FOUR, FOUR)),
    (
        "margin must be greater than 0, got 0.0",
        lambda: F.triplet_margin_loss(FOUR, FOUR, FOUR, margin=0.0),
    ),
    (
        "All input tensors should have same dimension",
        lambda: F.margin_ranking_loss(PAIR[:, 0], PAIR[:, 0], PAIR),
    ),
    (
        "0D or 1D target tensor expected, multi-target not supported",
        lambda: F.cosine_embedding_loss(FOUR, FOUR, FOUR[:, :1]),
    ),
]


@pytest.mark.parametrize(("words", "call"), QUOTED, ids=[words for words, _ in QUOTED])
def test_the_book_quotes_what_pytorch_says(words: str, call: Callable[[], object]) -> None:
    """A quoted error stands in the book, and the call that it is about stops with it on the CPU."""
    assert words in SPEC
    with torch.device("cpu"), pytest.raises(Exception, match=re.escape(words)):
        call()
