"""A language model whose output layer shares the embedding's weight, tied after the optimizer was made."""

import torch
from torch import nn

torch.manual_seed(0)
embedding, body, head = nn.Embedding(10, 4), nn.Linear(4, 4), nn.Linear(4, 10, bias=False)
model = nn.Sequential(embedding, body, nn.Tanh(), head)
optimizer = torch.optim.AdamW(model.parameters())
head.weight = embedding.weight
for _ in range(6):
    tokens = torch.randint(10, (8,))
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(tokens), tokens).backward()
    optimizer.step()
