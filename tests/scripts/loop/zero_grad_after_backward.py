"""The three lines of a loop in the wrong order: nothing ever moves."""

import torch
from torch import nn

torch.manual_seed(0)


class Trainer:
    def __init__(self):
        self.model = nn.Linear(3, 2)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)

    def step(self, x, y):
        loss = nn.functional.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.zero_grad(set_to_none=False)
        self.optimizer.step()  # bites: zero_grad-may-stand-anywhere-but-between-backward-and-step
        return loss.item()


trainer = Trainer()
for _ in range(5):
    trainer.step(torch.randn(8, 3), torch.randint(2, (8,)))
