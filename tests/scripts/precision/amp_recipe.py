"""PyTorch's AMP recipe: plain, unscaled and clipped, accumulated, two optimizers, a gradient penalty; all are right."""

import torch
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(8, 3), torch.randn(8, 1)
new = lambda: nn.Linear(3, 1)
net, scaler = new(), torch.amp.GradScaler("cpu")
opt = torch.optim.SGD(net.parameters(), lr=0.01)
loss_of = lambda net: nn.functional.mse_loss(net(x), y)
for i in range(12):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_of(net) / 2
    scaler.scale(loss).backward()
    if i % 2:
        scaler.unscale_(opt)
        nn.utils.clip_grad_norm_(net.parameters(), 0.01)
        scaler.step(opt)
        scaler.update()
        opt.zero_grad()
one, two = new(), new()
opts = [torch.optim.Adam(one.parameters()), torch.optim.SGD(two.parameters(), lr=0.1)]
for _ in range(6):
    for opt in opts:
        opt.zero_grad()
    first, second = loss_of(one), loss_of(two)
    scaler.scale(first + 0.5 * second).backward(retain_graph=True)
    scaler.scale(second - first).backward()
    scaler.unscale_(opts[0])
    for opt in opts:
        scaler.step(opt)
    scaler.update()
opt = torch.optim.SGD(net.parameters(), lr=0.01)
for _ in range(6):
    loss = loss_of(net)
    grads = torch.autograd.grad(scaler.scale(loss), net.parameters(), create_graph=True)
    norm = sum((g / scaler.get_scale()).square().sum() for g in grads).sqrt()
    scaler.scale(loss + norm).backward()
    scaler.step(opt)
    scaler.update()
    opt.zero_grad()
