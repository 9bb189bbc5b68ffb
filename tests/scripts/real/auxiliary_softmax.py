"""An auxiliary classifier of a GAN that ends in a softmax, under cross-entropy: published so, and copied often."""

import torch
from torch import nn

torch.manual_seed(0)
body = nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.2), nn.Dropout(0.25))
adv, aux = nn.Sequential(nn.Linear(16, 1), nn.Sigmoid()), nn.Sequential(nn.Linear(16, 10), nn.Softmax(dim=1))
optimizer = torch.optim.Adam([*body.parameters(), *adv.parameters(), *aux.parameters()], lr=2e-4, betas=(0.5, 0.999))
adversarial_loss, auxiliary_loss = nn.BCELoss(), nn.CrossEntropyLoss()
for _ in range(3):
    features = body(torch.randn(16, 8))
    validity, labels = adv(features), torch.randint(10, (16,))
    loss = adversarial_loss(validity, torch.full((16, 1), 0.9))
    loss = (loss + auxiliary_loss(aux(features), labels)) / 2  # bites: a-softmax-before-cross-entropy-puts-a-floor-under-the-loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
