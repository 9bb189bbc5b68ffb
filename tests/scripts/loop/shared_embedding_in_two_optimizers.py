"""A translation model: encoder and decoder share an embedding, and each has its own optimizer, which both move it."""

import torch
from torch import nn

torch.manual_seed(0)
embedding = nn.Embedding(5, 3)
encoder = nn.ModuleList([embedding, nn.Linear(3, 3)])
decoder = nn.ModuleList([embedding, nn.Linear(3, 5)])
one, two = (torch.optim.SGD(module.parameters(), lr=0.1) for module in (encoder, decoder))
for _ in range(4):
    tokens = torch.randint(5, (6,))
    one.zero_grad()
    two.zero_grad()
    h = torch.tanh(encoder[1](embedding(tokens))) + embedding(tokens)
    nn.functional.cross_entropy(decoder[1](h), tokens).backward()
    one.step()
    two.step()  # bites: a-parameter-held-by-two-optimizers-is-moved-by-the-step-of-each
