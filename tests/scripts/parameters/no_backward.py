"""A trainer that computes its loss and steps, and has no line with `backward`."""

import torch
from torch import nn


class Trainer:
    def __init__(self, model):
        self.model, self.optimizer = model, torch.optim.SGD(model.parameters(), lr=0.1)

    def train(self, steps):
        for _ in range(steps):
            self.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(self.model(torch.randn(8, 4)), torch.randint(3, (8,)))
            self.optimizer.step()  # bites: a-check-after-step-says-why-a-parameter-did-not-move
        return loss.item()


torch.manual_seed(0)
Trainer(nn.Linear(4, 3)).train(6)
