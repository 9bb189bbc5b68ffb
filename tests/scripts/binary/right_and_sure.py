"""Probabilities of 0 and 1 that are right, labels -1, 0 and 1 where 0 is to teach nothing, and a metric: right."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(1, 1)
nn.init.constant_(model.weight, 300.0)
x = torch.tensor([[1.0], [-1.0], [2.0], [-2.0]])
y = (x > 0).float()
F.binary_cross_entropy(model(x).sigmoid(), y).backward()
scorer = nn.Linear(2, 1)
for _ in range(6):
    a = torch.randn(8, 2)
    preference = torch.randint(-1, 2, (8, 1)).float()
    preference[0] = -1.0
    F.soft_margin_loss(scorer(a), preference).backward()
with torch.no_grad():
    scores = scorer(torch.randn(5, 2)).sigmoid()
    print(F.binary_cross_entropy(scores, torch.ones(5, 1)) > 0, F.binary_cross_entropy_with_logits(scores, scores) > 0)
