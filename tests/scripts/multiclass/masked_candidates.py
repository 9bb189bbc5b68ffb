"""A pointer over five candidates, of which the absent ones are masked by -inf, and the first is right: no collapse."""

import torch
from torch import nn

torch.manual_seed(0)
score = nn.Linear(8, 1)
optimizer = torch.optim.SGD(score.parameters(), lr=0.05)
for _ in range(8):
    candidates = torch.randn(6, 5, 8)
    absent = torch.arange(5) >= torch.randint(1, 5, (6, 1))
    scores = score(candidates).squeeze(-1).masked_fill(absent, float("-inf"))
    loss = nn.functional.cross_entropy(scores, torch.zeros(6, dtype=torch.long))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
