"""A small transformer learns to sort eight digits, trained by Muon from Ravine's wheel."""
import torch
from torch import nn

import ravine.torch


class Sorter(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.digit = nn.Embedding(10, width)
        self.place = nn.Embedding(8, width)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, digits):
        return self.head(self.layers(self.digit(digits) + self.place.weight))


def loss_of(model, digits):
    return nn.functional.cross_entropy(model(digits).flatten(0, 1), digits.sort(1).values.flatten())


torch.manual_seed(0)
torch.set_num_threads(1)
model = Sorter()
opt = ravine.torch.Optimizer(model, "muon", lr=0.01, adamw={"lr": 3e-3}, wrappers="clip_norm(max_norm=1)")
print(opt.table())  # which tensor gets which method

steps = 150
scheduler = torch.optim.lr_scheduler.LambdaLR(opt, ravine.schedule("warmup_cosine", steps, warmup_steps=15))
for step in range(steps):
    opt.zero_grad()
    loss = loss_of(model, torch.randint(10, (128, 8)))
    loss.backward()
    opt.step()
    scheduler.step()

torch.save({"model": model.state_dict(), "opt": opt.state_dict()}, "sorter.pt")

digits = torch.randint(10, (1000, 8))
right = (model(digits).argmax(-1) == digits.sort(1).values).float().mean().item()
print(f"{right:.1%} of the digits stand where they belong")
