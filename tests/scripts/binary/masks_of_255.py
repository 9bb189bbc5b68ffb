"""A segmentation mask as it was read from the file, 0 and 255: the loss falls without end."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model, bce = nn.Conv2d(3, 1, 3, padding=1), F.binary_cross_entropy_with_logits
optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
for _ in range(6):
    mask = 255.0 * (torch.rand(2, 1, 6, 6) > 0.5)
    logits = model(torch.randn(2, 3, 6, 6))
    loss = bce(logits, mask)  # bites: bcewithlogitsloss-can-fall-without-end-on-targets-below-0-or-above-1
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
