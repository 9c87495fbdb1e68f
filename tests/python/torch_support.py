"""A small network for the tests of ravine.torch."""
import torch

torch.set_num_threads(1)  # the networks are tiny

X = torch.linspace(-2, 2, 32 * 5, dtype=torch.float64).reshape(32, 5).sin()
Y = (X @ torch.linspace(-1, 1, 10, dtype=torch.float64).reshape(5, 2)).cos()


def net(dtype=torch.float64, seed=1):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 8), torch.nn.LayerNorm(8),
                               torch.nn.Linear(8, 2)).to(dtype)


def loss_of(model):
    dtype = next(model.parameters()).dtype
    return ((model(X.to(dtype)) - Y.to(dtype)) ** 2).mean()


def train(model, opt, steps, *after):
    """steps of opt; everything in after is called at the end of each."""
    def closure():
        opt.zero_grad()
        loss = loss_of(model)
        loss.backward()
        return loss

    for _ in range(steps):
        loss = opt.step(closure)
        for call in after:
            call()
    return loss.item()


def difference(a, b):
    """The largest difference of two models' weights."""
    return max((p - q).abs().max().item() for p, q in zip(a.parameters(), b.parameters(), strict=True))


def bits(model):
    return [p.detach().numpy().tobytes() for p in model.parameters()]
