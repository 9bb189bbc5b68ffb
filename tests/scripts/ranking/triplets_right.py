"""Triplets from a head of zeros, satisfied ones, and an SVM whose margins are met: they learn, or may stop."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))
nn.init.zeros_(model[2].weight)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for _ in range(6):
    x = torch.randn(5, 2)
    loss = F.triplet_margin_loss(model(x), model(x + 0.1), model(x + 2))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
svm = nn.Linear(2, 3)
x, y = 5 * torch.eye(3, 2), torch.tensor([0, 1, 2])
for _ in range(8):
    F.multi_margin_loss(svm(x), y).backward()
listed = torch.tensor([[0, 1, -1], [1, 0, 2], [0, -1, 1]])
F.multilabel_margin_loss(svm(x), listed).backward()
F.multilabel_margin_loss(svm(x)[:, :2], torch.tensor([[1, 0], [0, 1], [0, -1]])).backward()
