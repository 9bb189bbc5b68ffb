"""A training that validates after each epoch and never calls `model.train()` again."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))
optimizer = torch.optim.Adam(model.parameters())


def evaluate(net):
    net.eval()  # bites: eval-leaves-gradients-on-and-no_grad-leaves-dropout-on
    with torch.no_grad():
        return (net(torch.randn(16, 4)).argmax(1) == 0).float().mean().item()


model.train()
for epoch in range(3):
    for _ in range(4):
        optimizer.zero_grad()
        F.cross_entropy(model(torch.randn(8, 4)), torch.randint(2, (8,))).backward()
        optimizer.step()
    evaluate(model)
