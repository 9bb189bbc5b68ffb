"""A DQN whose target network is in no optimizer: the loss sends it gradients that nobody uses."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
q, q_target = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
q_target.load_state_dict(q.state_dict())
optimizer = torch.optim.Adam(q.parameters(), lr=5e-4)
for _episode in range(3):
    for _ in range(6):
        s, a, r = torch.randn(16, 4), torch.randint(2, (16, 1)), torch.randn(16, 1)
        s_prime, done_mask = torch.randn(16, 4), torch.ones(16, 1)
        target = r + 0.98 * q_target(s_prime).max(1)[0].unsqueeze(1) * done_mask
        loss = F.smooth_l1_loss(q(s).gather(1, a), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    q_target.load_state_dict(q.state_dict())
