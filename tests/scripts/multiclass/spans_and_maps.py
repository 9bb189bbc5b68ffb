"""Answer spans over positions, maps with an ignored border and a class of weight 0, the hardest pixels: right."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
answer, maps = nn.Linear(8, 2), nn.Conv2d(3, 5, 1)
weighted = nn.CrossEntropyLoss(ignore_index=255, weight=torch.tensor([0.0, 1.0, 2.0, 1.0, 1.0]))
for _ in range(4):
    first, last = (one.squeeze(-1) for one in answer(torch.randn(3, 7, 8)).split(1, dim=-1))
    spans = nn.CrossEntropyLoss(ignore_index=7)
    loss = (spans(first, torch.tensor([0, 3, 7])) + spans(last, torch.tensor([6, 7, 5]))) / 2
    y = torch.randint(0, 5, (2, 6, 6))
    y[:, 0] = 255
    logits = F.interpolate(maps(torch.randn(2, 3, 3, 3)), size=6, mode="bilinear")
    hardest = F.cross_entropy(logits, y, ignore_index=255, reduction="none").flatten().topk(10).values.mean()
    (loss + weighted(logits, y) + hardest).backward()
