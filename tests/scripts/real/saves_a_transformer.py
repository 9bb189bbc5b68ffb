"""A language model that keeps functions of torch in its layers, and is pickled whole, as PyTorch's own example does."""

import io

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
layer = nn.TransformerEncoderLayer(16, 2, 16)
assert layer.activation is F.relu
model = nn.Sequential(nn.Embedding(20, 16), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(16, 20))
data, saved = torch.randint(20, (7, 4)), io.BytesIO()
for _ in range(3):
    model.zero_grad()
    loss = F.nll_loss(F.log_softmax(model(data[:-1]), dim=-1).view(-1, 20), data[1:].view(-1))
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.25)
    for p in model.parameters():
        p.data.add_(p.grad, alpha=-0.1)
    torch.save([model, F.cross_entropy], saved)
