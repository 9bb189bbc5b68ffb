"""An optimizer around another one, with the same parameters: Lookahead."""

import torch
from torch import nn


class Lookahead(torch.optim.Optimizer):
    def __init__(self, base, every=2):
        super().__init__(base.param_groups, {})
        self.base, self.every, self.count = base, every, 0
        self.slow = [p.detach().clone() for group in base.param_groups for p in group["params"]]

    @torch.no_grad()
    def step(self, closure=None):
        self.base.step()
        self.count += 1
        if self.count % self.every == 0:
            for slow, p in zip(self.slow, (p for group in self.param_groups for p in group["params"])):
                p.copy_(slow.lerp_(p, 0.5))


torch.manual_seed(0)
model = nn.Linear(4, 1)
optimizer = Lookahead(torch.optim.SGD(model.parameters(), lr=0.1))
for _ in range(6):
    optimizer.zero_grad()
    model(torch.randn(8, 4)).square().mean().backward()
    optimizer.step()
