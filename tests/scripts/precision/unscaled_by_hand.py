"""Gradients divided by the scale by hand, and the first steps skipped while the scale comes down: both are right."""

import torch

w = torch.ones(2, requires_grad=True)
opt, scaler = torch.optim.SGD([w], lr=0.1), torch.amp.GradScaler("cpu")
for _ in range(8):
    opt.zero_grad()
    scaler.scale((w.half() * 3).sum()).backward()
    scaler.step(opt)
    scaler.update()
for _ in range(6):
    opt.zero_grad()
    scaler.scale(w.square().sum()).backward()
    w.grad /= scaler.get_scale()
    torch.nn.utils.clip_grad_norm_([w], 0.1)
    opt.step()
