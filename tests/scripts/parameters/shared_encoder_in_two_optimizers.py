"""An encoder in the actor's and in the critic's optimizer: one gradient moves it twice."""

import torch
from torch import nn

torch.manual_seed(0)
encoder, actor, critic = nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(4, 1)
actor_optimizer = torch.optim.Adam([*encoder.parameters(), *actor.parameters()])
critic_optimizer = torch.optim.Adam([*encoder.parameters(), *critic.parameters()])
for _ in range(5):
    h = encoder(torch.randn(8, 4)).relu()
    loss = critic(h).square().mean() - actor(h).log_softmax(1)[:, 0].mean()
    actor_optimizer.zero_grad()
    critic_optimizer.zero_grad()
    loss.backward()
    actor_optimizer.step()
    critic_optimizer.step()  # bites: a-parameter-held-by-two-optimizers-is-moved-by-the-step-of-each
