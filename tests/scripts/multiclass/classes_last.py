"""A sequence model returns (batch, time, classes), with one-hot targets alike: the softmax runs over time."""

import torch
from torch import nn

torch.manual_seed(0)
rnn, head = nn.GRU(3, 6, batch_first=True), nn.Linear(6, 4)
for _ in range(3):
    logits = head(rnn(torch.randn(2, 5, 3))[0])
    target = nn.functional.one_hot(torch.randint(0, 4, (2, 5)), 4).float()
    loss = nn.functional.cross_entropy(  # bites: cross-entropy-reads-batches-of-sequences-as-n-c-t-not-as-n-t-c
        logits, target
    )
    square = head(rnn(torch.randn(2, 4, 3))[0])
    labels = torch.randint(0, 4, (2, 4))
    loss = loss + nn.functional.cross_entropy(  # bites: cross-entropy-reads-batches-of-sequences-as-n-c-t-not-as-n-t-c
        square, labels
    )
    loss.backward()
