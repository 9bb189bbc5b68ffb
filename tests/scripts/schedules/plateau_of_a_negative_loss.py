"""A log-likelihood below 0, which rises slowly, and a rate that is never cut."""

import torch

optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
for loss in -100.0, -99.9999, -99.9995, -99.999, -99.9985:
    optimizer.step()
    scheduler.step(loss)  # bites: by-default-reducelronplateau-wants-a-loss-below-09999-times-the-best
