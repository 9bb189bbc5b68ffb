"""A trainer that copies the model after its optimizer was made: no step moves the copy."""

import copy

import torch
from torch import nn


def train(epochs):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)  # bites: after-model--deepcopymodel-an-older-optimizer-holds-the-old-weights
    model = copy.deepcopy(model)
    for _ in range(epochs):
        x = torch.randn(16, 4)
        loss = nn.functional.mse_loss(model(x), x.sum(1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


train(8)
