"""A head is warmed up alone on a backbone that is not frozen; then a second optimizer trains all of it."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
model[2] = nn.Linear(8, 2)
criterion = nn.CrossEntropyLoss()
for parameters in (model[2].parameters(), model.parameters()):
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    for _ in range(6):
        model.zero_grad()
        criterion(model(torch.randn(8, 4)), torch.randint(2, (8,))).backward()
        optimizer.step()
