"""A CRNN that returns probabilities, transposed for CTC, without their logarithm, in concatenated targets."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 6), nn.Softmax(dim=-1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(4):
    x, y = torch.randn(2, 9, 5), torch.randint(1, 6, (5,))
    loss = F.ctc_loss(
        model(x).permute(1, 0, 2), y, (9, 9), (2, 3)
    )  # bites: ctcloss-accepts-raw-logits-as-log-probabilities-and-can-be-negative
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
