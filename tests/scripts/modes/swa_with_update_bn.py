"""Stochastic weight averaging from the third epoch on, with BatchNorm's averages made anew before the evaluation."""

import torch
from torch import nn
from torch.optim.swa_utils import SWALR, AveragedModel, update_bn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
averaged, optimizer = AveragedModel(model), torch.optim.SGD(model.parameters(), lr=0.1)
scheduler = SWALR(optimizer, swa_lr=0.05)
loader = [torch.randn(8, 4) for _ in range(3)]
for epoch in range(4):
    model.train()
    for x in loader:
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), x[:, :1]).backward()
        optimizer.step()
    averaged.eval()
    with torch.no_grad():
        averaged(loader[0])
    if epoch >= 2:
        averaged.update_parameters(model)
        scheduler.step()
update_bn(loader, averaged)
