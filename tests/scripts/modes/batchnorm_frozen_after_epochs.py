"""After the first epoch BatchNorm is kept in eval on purpose, one time by the layer and one time by the model."""

import torch
from torch import nn
from torch.nn import functional as F


def freeze(module):
    if isinstance(module, nn.BatchNorm1d):
        module.eval()


for whole in (False, True):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(4):
        if whole:
            model.train(epoch < 1)
        else:
            model.train()
            if epoch >= 1:
                model.apply(freeze)
        for _ in range(4):
            optimizer.zero_grad()
            F.cross_entropy(model(torch.randn(8, 4)), torch.randint(2, (8,))).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            model(torch.randn(16, 4))
