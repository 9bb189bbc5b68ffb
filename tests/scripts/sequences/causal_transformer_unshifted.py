"""nn.TransformerEncoder with a causal mask, padding ignored, and labels that are the inputs."""

import torch
from torch import nn

torch.manual_seed(0)
layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
model = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
embedding, head = nn.Embedding(9, 16, padding_idx=0), nn.Linear(16, 9)
optimizer = torch.optim.Adam([*model.parameters(), *embedding.parameters(), *head.parameters()])
mask = nn.Transformer.generate_square_subsequent_mask(6)
for _ in range(3):
    tokens = torch.randint(1, 9, (4, 6))
    tokens[0, 4:] = 0
    logits = head(model(embedding(tokens), mask=mask, is_causal=True))
    loss = nn.CrossEntropyLoss(ignore_index=0)(
        logits.transpose(1, 2), tokens
    )  # bites: without-shifted-labels-a-causal-language-model-is-rewarded-for-copying
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
