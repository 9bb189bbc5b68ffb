"""A pretrained backbone is frozen, and `model.train()` lets its BatchNorm follow the new data."""

import torch
from torch import nn

torch.manual_seed(0)
backbone = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
for p in backbone.parameters():
    p.requires_grad = False
model = nn.Sequential(backbone, nn.Linear(4, 2))
optimizer = torch.optim.Adam(model[1].parameters())
model.train()
for _ in range(4):
    optimizer.zero_grad()
    output = model(torch.randn(8, 1, 5, 5))  # bites: by-default-a-frozen-batchnorm-in-training-mode-updates-its-statistics
    nn.functional.cross_entropy(output, torch.randint(2, (8,))).backward()
    optimizer.step()
