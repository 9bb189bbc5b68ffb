"""SimCLR as it is written most often: positives first, labels of zeros, and a softmax for the accuracy: right."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
encoder = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
optimizer = torch.optim.Adam(encoder.parameters())
for _ in range(6):
    x = torch.randn(6, 8)
    z = F.normalize(encoder(torch.cat([x, x + 0.1 * torch.randn_like(x)])), dim=1)
    index = torch.arange(6).repeat(2)
    same, other = index[:, None] == index, ~torch.eye(12, dtype=torch.bool)
    similarity, positive = (z @ z.T)[other].view(12, -1), same[other].view(12, -1)
    logits = torch.cat([similarity[positive].view(12, -1), similarity[~positive].view(12, -1)], 1) / 0.07
    loss = F.cross_entropy(logits, torch.zeros(12, dtype=torch.int64))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print((logits.softmax(1).argmax(1) == 0).float().mean() >= 0)
