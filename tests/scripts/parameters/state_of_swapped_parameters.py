"""The optimizer is built from its layers in another order on resuming: the second layer gets the first one's averages."""

import torch
from torch import nn

torch.manual_seed(0)
first, second = nn.Linear(4, 2, bias=False), nn.Linear(2, 1, bias=False)
optimizer = torch.optim.Adam([first.weight, second.weight])
second(first(torch.randn(8, 4))).square().mean().backward()
optimizer.step()
resumed = torch.optim.Adam([second.weight, first.weight])
resumed.load_state_dict(optimizer.state_dict())  # bites: an-optimizers-load_state_dict-matches-parameters-by-order-not-name
