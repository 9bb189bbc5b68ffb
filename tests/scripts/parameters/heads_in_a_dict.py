"""A head for each task in a plain dict: the trunk learns, the heads do not."""

import torch
from torch import nn


class MultiTask(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Linear(4, 8)
        self.heads = {"age": nn.Linear(8, 1), "size": nn.Linear(8, 1)}

    def forward(self, x):
        h = self.trunk(x).relu()
        return {name: head(h) for name, head in self.heads.items()}


torch.manual_seed(0)
model = MultiTask()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)  # bites: layers-held-by-a-python-list-alone-are-not-in-a-modules-parameters
for _ in range(5):
    out = model(torch.randn(8, 4))
    optimizer.zero_grad()
    sum(value.square().mean() for value in out.values()).backward()
    optimizer.step()
