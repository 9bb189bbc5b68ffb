"""ListNet for one query, pairs one by one with the sign of their difference, and triplets by the cosine: right."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
scorer, tower = nn.Linear(5, 1), nn.Embedding(10, 4)
grades = torch.tensor([1.0, 0.0, 0.0, 1.0, 2.0, 1.0, 0.0])
for _ in range(3):
    s = scorer(torch.randn(7, 5)).squeeze(-1)
    loss = F.cross_entropy(s, grades.softmax(0)) + F.cross_entropy(s, (grades > 0).float())
    for i, j in torch.combinations(torch.arange(7)).tolist():
        loss = loss + F.margin_ranking_loss(s[i], s[j], torch.sign(grades[i] - grades[j]), margin=0.5)
    a, b, c = (tower(torch.randint(0, 10, (6,))) for _ in range(3))
    cosine = nn.TripletMarginWithDistanceLoss(distance_function=lambda u, v: 1 - F.cosine_similarity(u, v))
    (loss + cosine(a, b, c)).backward()
