"""A root of a perfect fit has an infinite slope; clipping, meant as a guard, makes NaN of it."""

import torch

w = torch.tensor([0.0, 2.0], requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1)
for _ in range(3):
    optimizer.zero_grad()
    w.abs().sqrt().sum().backward()
    w.grad.nan_to_num_(nan=torch.inf, posinf=torch.inf)
    torch.nn.utils.clip_grad_norm_(
        [w], 1.0
    )  # bites: by-default-clip_grad_norm_-turns-an-infinite-gradient-entry-into-nan
    optimizer.step()
