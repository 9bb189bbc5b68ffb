"""Two optimizers over one module take turns; one group rests at a rate of 0; a dual variable has a negative rate."""

import torch
from torch import nn

torch.manual_seed(0)
model, dual = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)), nn.Parameter(torch.zeros(()))
all_of_it = torch.optim.SGD([{"params": model[0].parameters(), "lr": 0.0}, {"params": model[2].parameters()}], lr=0.1)
head = torch.optim.Adam([{"params": model[2].parameters()}, {"params": [dual], "lr": -0.01}], lr=1e-3)
for i in range(8):
    x = torch.randn(8, 3)
    optimizer = head if i % 2 else all_of_it
    loss = nn.functional.mse_loss(model(x), x[:, :1]) + dual * model[2].weight.square().sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    model.zero_grad()
