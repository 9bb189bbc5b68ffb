"""Log-softmax and NLL, cross-entropy of a log-softmax, the log of a softmax, and a focal loss by nll_loss: right."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(4, 3)
weight = torch.tensor([1.0, 2.0, 3.0])
for _ in range(3):
    x, y = torch.randn(8, 4), torch.randint(0, 3, (8,))
    F.nll_loss(F.log_softmax(model(x), dim=1), y, weight=weight).backward()
    F.cross_entropy(model(x).log_softmax(-1), y).backward()
    F.nll_loss(torch.log(model(x).softmax(1) + 1e-8), y).backward()
    log_p = F.log_softmax(model(x), dim=1)
    F.nll_loss((1 - log_p.exp()) ** 2 * log_p, y, weight=weight).backward()
    z = model(x)
    (z.logsumexp(1).mean() + F.nll_loss(z, y)).backward()  # cross-entropy by hand
    F.cross_entropy(z.detach() * nn.Parameter(torch.ones(())), y, label_smoothing=0.1, weight=weight).backward()
