"""The log of a softmax in which padded scores are -inf, times the mask."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 5)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
mask = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0])
for _ in range(3):
    p = model(torch.randn(8, 3)).masked_fill(mask == 0, -torch.inf).softmax(-1)
    loss = -(torch.log(p)[:, mask > 0]).mean()
    optimizer.zero_grad()
    loss.backward()  # bites: logx--mask-and-logxmask-have-nan-gradients-at-a-masked-0
    optimizer.step()
