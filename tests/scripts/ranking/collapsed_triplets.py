"""An embedding behind a dead layer: the triplet loss stays at its margin."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))
nn.init.constant_(model[0].bias, -100.0)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(6):
    anchor, positive, negative = model(torch.randn(3, 5, 2))
    loss = nn.TripletMarginLoss(margin=0.3)(  # bites: if-all-embeddings-coincide-the-mean-triplet-loss-is-its-margin
        anchor, positive, negative
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
