"""SAM around SGD, as an optimizer that calls another one: two backwards, each after its own zero_grad."""

import torch
from torch import nn


class SAM(torch.optim.Optimizer):
    def __init__(self, params, base, rho=0.05, **arguments):
        super().__init__(params, dict(rho=rho, **arguments))
        self.base = base(self.param_groups, **arguments)
        self.param_groups = self.base.param_groups

    @torch.no_grad()
    def step(self, closure):
        held = [p for group in self.param_groups for p in group["params"]]
        climbs = [0.05 * p.grad / (p.grad.norm() + 1e-12) for p in held]
        torch._foreach_add_(held, climbs)
        self.zero_grad()
        with torch.enable_grad():
            closure()
        torch._foreach_sub_(held, climbs)
        self.base.step()
        self.zero_grad()


torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = SAM(model.parameters(), torch.optim.SGD, lr=0.1)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=6)
for _ in range(6):
    x = torch.randn(8, 3)
    nn.functional.mse_loss(model(x), x[:, :1]).backward()
    optimizer.step(lambda x=x: nn.functional.mse_loss(model(x), x[:, :1]).backward())
    schedule.step()
