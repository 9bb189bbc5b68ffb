"""The truth first, as in scikit-learn: the labels stand in the place of the probabilities."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid())
criterion = nn.BCELoss()
y_true = torch.tensor([[1.0], [0.0], [1.0]])
for _ in range(3):
    y_pred = model(torch.randn(3, 3))
    loss = criterion(y_true, y_pred)  # bites: with-input-and-01-labels-swapped-bceloss-has-infinite-gradients
    loss.backward()
    model.zero_grad()
