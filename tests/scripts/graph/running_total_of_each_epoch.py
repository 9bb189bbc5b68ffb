"""`running += loss` in each epoch of a few batches: the graphs of a whole epoch stay alive."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
data = DataLoader(TensorDataset(torch.randn(40, 4), torch.randint(2, (40,))), 4, shuffle=True)
model = nn.Linear(4, 2)
optimizer = torch.optim.Adam(model.parameters())
for _ in range(4):
    running = 0.0
    for x, y in data:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()  # bites: a-recorded-sum-of-losses-keeps-the-graph-of-each-sum-item-instead
        optimizer.step()
        running += loss
    print(float(running) > 0)
