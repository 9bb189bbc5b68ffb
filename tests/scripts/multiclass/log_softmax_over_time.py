"""A language model with a log-softmax without dim before NLL over rows of tokens."""

import warnings

import torch
from torch import nn
from torch.nn import functional as F

warnings.simplefilter("ignore")
torch.manual_seed(0)
rnn, head = nn.LSTM(3, 6, batch_first=True), nn.Linear(6, 7)
for _ in range(3):
    scores = F.log_softmax(head(rnn(torch.randn(2, 5, 3))[0]))
    target = torch.randint(0, 7, (2, 5))
    loss = F.nll_loss(  # bites: without-dim-softmax-of-three-dimensional-logits-runs-over-dimension-0
        scores.view(-1, 7), target.view(-1)
    )
    loss.backward()
