"""A speech model whose last layer is linear, and no log_softmax before CTC."""

import torch
from torch import nn

torch.manual_seed(0)
rnn, head = nn.GRU(5, 8, bidirectional=True), nn.Linear(16, 6)
optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()])
ctc = nn.CTCLoss(zero_infinity=True)
for _ in range(4):
    x, y = torch.randn(12, 3, 5), torch.randint(1, 6, (3, 4))
    logits = head(rnn(x)[0])
    loss = ctc(
        logits, y, torch.full((3,), 12), torch.full((3,), 4)
    )  # bites: ctcloss-accepts-raw-logits-as-log-probabilities-and-can-be-negative
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
