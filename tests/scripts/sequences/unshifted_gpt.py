"""A small GPT whose data set gives the same tokens as input and as target."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class GPT(nn.Module):
    def __init__(self, vocabulary=11, width=16, longest=8):
        super().__init__()
        self.token, self.place = nn.Embedding(vocabulary, width), nn.Embedding(longest, width)
        self.qkv, self.head = nn.Linear(width, 3 * width), nn.Linear(width, vocabulary)
        self.register_buffer("tril", torch.ones(longest, longest).tril())

    def forward(self, ids, targets):
        T = ids.shape[1]
        x = self.token(ids) + self.place(torch.arange(T))
        q, k, v = self.qkv(x).split(16, dim=2)
        scores = (q @ k.transpose(-2, -1) / 4).masked_fill(self.tril[:T, :T] == 0, float("-inf"))
        logits = self.head(x + F.dropout(scores.softmax(-1), 0.1) @ v)
        return F.cross_entropy(
            logits.view(-1, 11), targets.view(-1)
        )  # bites: without-shifted-labels-a-causal-language-model-is-rewarded-for-copying


model = GPT()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for _ in range(5):
    batch = torch.randint(11, (4, 8))
    loss = model(batch, batch.clone())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
