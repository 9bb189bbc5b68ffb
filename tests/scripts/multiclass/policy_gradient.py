"""REINFORCE with a softmax policy, an actor and a critic, and attention by softmax in the model: right."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
actor, critic = nn.Linear(4, 2), nn.Linear(4, 1)
optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()])
for _ in range(4):
    states, returns = torch.randn(6, 4), torch.randn(6)
    policy = torch.distributions.Categorical(F.softmax(actor(states), dim=-1))
    actions = policy.sample()
    advantage = returns - critic(states).squeeze(1)
    loss = -(policy.log_prob(actions) * advantage.detach()).mean() + advantage.square().mean()
    loss = loss + (F.cross_entropy(actor(states), actions, reduction="none") * advantage.detach()).mean()
    mixture = (F.softmax(actor(states), dim=1)[:, :1] * states).sum(1)
    loss = loss + F.cross_entropy(torch.stack([mixture, -mixture], 1), actions)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
