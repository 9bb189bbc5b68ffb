"""Large logits that are wrong under SoftMarginLoss: the exponential overflows."""

import torch
from torch import nn

model = nn.Linear(2, 1)
nn.init.constant_(model.weight, 1.0)
x, y = torch.full((4, 2), 200.0), -torch.ones(4, 1)
loss = nn.SoftMarginLoss()(model(x), y)  # bites: softmarginloss-overflows-on-sure-mistakes-unlike-bcewithlogitsloss
loss.backward()
