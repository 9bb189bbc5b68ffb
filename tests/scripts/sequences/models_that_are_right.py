"""Shifted labels, inputs shifted inside, a copy task with a decoder, masked tokens, a sequence that is repeated, tags."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
embedding, head, start = nn.Embedding(9, 16), nn.Linear(16, 9), nn.Parameter(torch.zeros(1, 1, 16))
encoder, decoder = (nn.GRU(16, 16, batch_first=True) for _ in range(2))
every = [p for one in (embedding, head, encoder, decoder) for p in one.parameters()] + [start]
optimizer = torch.optim.Adam(every)


def loss_of(x, labels, causal=True):
    x = F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None], is_causal=causal)[:, 0]
    return F.cross_entropy(head(x).flatten(0, 1), labels.flatten())


for _ in range(6):
    ids = torch.randint(9, (4, 6))
    x = embedding(ids)
    loss = loss_of(embedding(ids[:, :-1]), ids[:, 1:])
    loss = loss + loss_of(torch.cat([start.expand(4, 1, 16), x[:, :-1]], 1), ids)
    memory = F.scaled_dot_product_attention(x, x, x).mean(1, keepdim=True)
    loss = loss + loss_of(memory + embedding(F.pad(ids[:, :-1], (1, 0))), ids)
    masked = ids.masked_fill(torch.rand(4, 6) < 0.3, 0)
    loss = loss + loss_of(embedding(masked), ids, causal=False) + loss_of(x, ids, causal=False)
    _, state = encoder(x)
    loss = loss + F.cross_entropy(head(decoder(torch.zeros(4, 6, 16), state)[0]).flatten(0, 1), ids.flatten())
    loss = loss + loss_of(x, ids % 3)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
