"""`layer.requires_grad = False` on the embedding: an attribute that nobody reads."""

import torch
from torch import nn


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.embedding.requires_grad = False
        self.out = nn.Linear(4, 3)

    def forward(self, tokens):
        return self.out(self.embedding(tokens))


torch.manual_seed(0)
model = Tagger()
optimizer = torch.optim.Adam(model.parameters())
for _ in range(4):
    tokens = torch.randint(10, (6,))
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(tokens), tokens % 3).backward()
    optimizer.step()  # bites: layerrequires_grad--false-freezes-nothing-and-raises-no-error
