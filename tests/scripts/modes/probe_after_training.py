"""A model is trained and validated; then a probe is trained on it in eval, and an input is attacked."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2))
model, probe = nn.Sequential(body, nn.Linear(8, 2)), nn.Linear(8, 3)
delta = torch.zeros(1, 4, requires_grad=True)


def fit(parameters, loss):
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        loss(torch.randn(8, 4)).backward()
        optimizer.step()


fit(model.parameters(), lambda x: F.cross_entropy(model(x), torch.randint(2, (8,))))
model.eval()
with torch.no_grad():
    model(torch.randn(8, 4))
fit(probe.parameters(), lambda x: F.cross_entropy(probe(body(x)), torch.randint(3, (8,))))
fit([delta], lambda x: -F.cross_entropy(model(x + delta), torch.randint(2, (8,))))
