"""Weights loaded again when the loss is NaN, under the Adam that took the bad step."""

import copy

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(2, 1)
optimizer = torch.optim.Adam(model.parameters())
good = copy.deepcopy(model.state_dict())
for i in range(4):
    x = torch.randn(4, 2)
    if i == 1:
        x[0, 0] = torch.nan
    optimizer.zero_grad()
    loss = model(x).square().mean()
    loss.backward()  # bites: with-mse-one-nan-input-makes-all-relu-mlp-weights-nan-in-one-sgd-step
    optimizer.step()  # bites: a-nan-in-adams-state-makes-restored-weights-nan-restore-the-state-too
    if not loss.isfinite():
        model.load_state_dict(good)
