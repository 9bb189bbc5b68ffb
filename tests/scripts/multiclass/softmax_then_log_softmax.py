"""A softmax in the model and a log-softmax in the loss, and a softmax over one output, which trains nothing."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model, binary = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1)), nn.Sequential(nn.Linear(4, 1), nn.Softmax(dim=1))
for _ in range(3):
    x, y = torch.randn(8, 4), torch.randint(0, 3, (8,))
    log_p = F.log_softmax(model(x), dim=1)
    loss = F.nll_loss(log_p, y)  # bites: a-softmax-before-cross-entropy-puts-a-floor-under-the-loss
    p = binary(x)
    loss = loss + F.mse_loss(  # bites: cross-entropy-over-a-single-logit-is-0-and-trains-nothing
        p, 0.5 * torch.ones(8, 1)
    )
    loss.backward()
