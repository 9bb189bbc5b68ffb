"""A step after every third batch of seven: the last one waits for the next epoch."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
loader = torch.utils.data.DataLoader(torch.randn(28, 3), batch_size=4, shuffle=True)
for epoch in range(3):
    for i, x in enumerate(loader):
        (nn.functional.mse_loss(model(x), x[:, :1]) / 3).backward()
        if (i + 1) % 3 == 0:
            optimizer.step()  # bites: unless-cleared-gradients-left-over-at-an-epochs-end-join-the-next-step
            optimizer.zero_grad()
