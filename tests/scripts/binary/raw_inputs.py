"""Inputs in the hundreds, a sigmoid and BCELoss: the probabilities round to 1, and the wrong ones have no gradient."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
nn.init.constant_(model[0].weight, 0.5)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = 300 + torch.rand(8, 2)
y = torch.tensor([[0.0], [1.0]] * 4)
for _ in range(4):
    optimizer.zero_grad()
    loss = nn.BCELoss()(model(x), y)  # bites: sigmoid-and-bceloss-stop-learning-from-the-worst-mistakes
    loss.backward()
    optimizer.step()
