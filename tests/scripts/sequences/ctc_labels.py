"""An alphabet counted from 0, with the blank at 0 as well, and one letter more than the model has classes."""

import torch
from torch import nn

torch.manual_seed(0)
letters = "abcde"
model = nn.Linear(4, len(letters))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
criterion = nn.CTCLoss()
for word in "abba", "bead", "ace":
    y = torch.tensor([[letters.index(c) for c in word]])
    log_p = model(torch.randn(10, 1, 4)).log_softmax(2)
    loss = criterion(
        log_p, y, torch.tensor([10]), torch.tensor([len(word)])
    )  # bites: with-the-blank-as-a-label-in-the-target-ctcloss-can-be-negative
    shown = criterion(
        log_p.detach().repeat(1, 2, 1)[:, :1], y + 1, (10,), (len(word),)
    )  # bites: on-the-cpu-ctcloss-checks-no-label-and-can-read-another-samples-score
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
