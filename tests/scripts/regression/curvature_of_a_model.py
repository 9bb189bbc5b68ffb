"""A natural gradient: the divergence of a model from itself, for its curvature alone. Both sides are equal on purpose."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(3, 4)
parameters = list(model.parameters())
optimizer = torch.optim.SGD(parameters, lr=0.1)
for _ in range(12):
    x, labels = torch.randn(8, 3), torch.randint(4, (8,))
    slopes = torch.autograd.grad(F.cross_entropy(model(x), labels), parameters)
    log_p = model(x).log_softmax(1)
    divergence = F.kl_div(log_p, log_p.exp().detach(), reduction="batchmean")
    first = torch.autograd.grad(divergence, parameters, create_graph=True)
    product = sum((one * other).sum() for one, other in zip(first, slopes))
    curvature = torch.autograd.grad(product, parameters)
    for parameter, slope, bend in zip(parameters, slopes, curvature):
        parameter.grad = slope + 0.1 * bend
    optimizer.step()
