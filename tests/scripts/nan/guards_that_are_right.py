"""Roots, logs and masks written safely; batches that are left out for a NaN; masks of -inf; the double where."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 4))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for i in range(12):
    x = torch.randn(6, 3)
    out = model(x)
    safe = torch.where(out > 0, torch.where(out > 0, out, 1.0).sqrt(), out)
    masked = (out.softmax(-1).clamp(min=1e-6).log() * torch.tensor([1.0, 0, 1, 0])).mean()
    distances = (out[:, None] - out[None]).norm(dim=-1) + ((out[:, None] - out[None]).square().sum(-1) + 1e-9).sqrt()
    p = out.masked_fill(torch.eye(6, 4) > 0, -torch.inf).softmax(-1)
    entropy = -(p[p > 0].log() * p[p > 0]).sum() - F.normalize(out.relu() + 1e-3, dim=1).mean()
    ratio = torch.where(out.detach() > 0, out.relu() / out.relu().detach().clamp(min=1e-3), 0.0).mean()
    loss = safe.mean() - masked + distances.mean() + entropy + ratio + x.nan_to_num().mean()
    if i == 5:
        loss = loss * torch.nan
    if i != 7 and not loss.isfinite():
        continue
    optimizer.zero_grad()
    (loss * (torch.nan if i == 7 else 1)).backward()
    if nn.utils.clip_grad_norm_(model.parameters(), 1.0).isfinite():
        optimizer.step()
