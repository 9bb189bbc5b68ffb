"""Actor and critic are clipped apart, each sample is clipped and cleared, and one loss adds a gradient by itself."""

import torch
from torch import nn

torch.manual_seed(0)
actor, critic = nn.Linear(3, 2), nn.Linear(3, 1)
optimizer = torch.optim.SGD([*actor.parameters(), *critic.parameters()], lr=0.01)
for _ in range(3):
    x = torch.randn(4, 3)
    optimizer.zero_grad()
    (10 * actor(x).square().mean()).backward()
    nn.utils.clip_grad_norm_(actor.parameters(), 0.1)
    (10 * critic(x).square().mean()).backward()
    nn.utils.clip_grad_norm_(critic.parameters(), 0.1)
    optimizer.step()
for _ in range(3):
    total = [torch.zeros_like(p) for p in actor.parameters()]
    for x in torch.randn(4, 3):
        actor.zero_grad(set_to_none=False)
        (10 * actor(x).square().mean()).backward()
        nn.utils.clip_grad_norm_(actor.parameters(), 0.1)
        for sum_, p in zip(total, actor.parameters()):
            sum_ += p.grad
    for sum_, p in zip(total, actor.parameters()):
        p.grad = sum_ / 4
    optimizer.step()
