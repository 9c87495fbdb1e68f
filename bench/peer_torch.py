"""PyTorch on the models of bench/train.c: the same shapes, batches and AdamW.

    peer_torch.py MODEL BATCH f32|bf16 THREADS [SETTING...]

makes a training step of every setting (all, where none is named), which compiles it where the setting says so, and
prints one JSON object: {"torch": version, "ready": {setting: seconds of its first step}, "failed": {setting: why}}.
Then every line "SETTING SECONDS" of the input is answered by a measurement, one JSON object a line, until the input
ends.  Compiled code is kept in TORCHINDUCTOR_CACHE_DIR, as PyTorch does by itself.
"""
import json
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, width, heads, bias, post_norm, causal, dropout):
        super().__init__()
        self.heads, self.post_norm, self.causal, self.dropout = heads, post_norm, causal, dropout
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)
        self.mlp_in = nn.Linear(width, 4 * width, bias=bias)
        self.mlp_out = nn.Linear(4 * width, width, bias=bias)
        self.norm1 = nn.LayerNorm(width, bias=bias)
        self.norm2 = nn.LayerNorm(width, bias=bias)

    def attention(self, x):
        b, t, c = x.shape
        q, k, v = (y.view(b, t, self.heads, -1).transpose(1, 2) for y in self.qkv(x).split(c, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal,
                                           dropout_p=self.dropout if self.training else 0)
        return F.dropout(self.out(y.transpose(1, 2).reshape(b, t, c)), self.dropout, self.training)

    def mlp(self, x):
        return F.dropout(self.mlp_out(F.gelu(self.mlp_in(x))), self.dropout, self.training)

    def forward(self, x):
        if self.post_norm:
            x = self.norm1(x + self.attention(x))
            return self.norm2(x + self.mlp(x))
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    def __init__(self, tokens, time_, width, layers, heads, bias, post_norm, tied, last, dropout=0.0):
        super().__init__()
        self.tokens = nn.Embedding(tokens, width)
        self.positions = nn.Parameter(torch.randn(time_, width))
        self.blocks = nn.ModuleList(Block(width, heads, bias, post_norm, True, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width, bias=bias)
        self.head = None if tied else nn.Linear(width, tokens)
        self.last, self.dropout = last, dropout

    def forward(self, ids):
        x = F.dropout(self.tokens(ids) + self.positions, self.dropout, self.training)
        for block in self.blocks:
            x = block(x)
        if self.last:
            x = x[:, -1]
        x = self.norm(x)
        return self.head(x) if self.head is not None else F.linear(x, self.tokens.weight)


class ResBlock(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.stride, self.pad = stride, cout - cin
        self.a = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.b = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.na, self.nb = nn.BatchNorm2d(cout), nn.BatchNorm2d(cout)

    def forward(self, x):
        y = self.nb(self.b(F.relu(self.na(self.a(x)))))
        if self.pad:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.pad))
        return F.relu(x + y)


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        blocks, cin = [], 16
        for stage, cout in enumerate((16, 32, 64)):
            for i in range(3):
                blocks.append(ResBlock(cin, cout, 2 if stage and i == 0 else 1))
                cin = cout
        self.blocks, self.head = nn.Sequential(*blocks), nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.blocks(F.relu(self.norm(self.stem(x)))).mean(dim=(2, 3)))


def make(name, batch):
    if name == "modular-division":
        return (Transformer(99, 4, 128, 2, 4, True, True, False, True),
                torch.randint(0, 99, (batch, 4)), torch.randint(0, 97, (batch,)))
    if name == "char-lm":
        return (Transformer(65, 64, 128, 4, 4, False, False, True, False),
                torch.randint(0, 65, (batch, 64)), torch.randint(0, 65, (batch, 64)))
    if name == "char-lm-large":
        return (Transformer(65, 256, 384, 6, 6, False, False, True, False, 0.2),
                torch.randint(0, 65, (batch, 256)), torch.randint(0, 65, (batch, 256)))
    if name == "mlp":
        net = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
        return net, torch.randn(batch, 784), torch.randint(0, 10, (batch,))
    if name == "resnet20":
        return ResNet20(), torch.randn(batch, 3, 32, 32), torch.randint(0, 10, (batch,))
    raise SystemExit(f"no model {name}")


# All have fused AdamW and scaled_dot_product_attention.  "compiled" is torch.compile with its defaults over the forward pass
# with its loss, and so over the backward pass; it chooses the format of convolutions by itself.  What it leaves out was
# measured and changes little (docs/speed.md).
SETTINGS = ("eager", "eager, channels last", "compiled")
CONVOLUTIONAL = ("resnet20",)
WARM_SECONDS, LEAST_STEPS = 0.05, 3


def settings_of(name):
    return [s for s in SETTINGS if s != "eager, channels last" or name in CONVOLUTIONAL]


def make_step(name, batch, bf16, setting):
    torch.manual_seed(0)
    net, x, y = make(name, batch)
    if setting == "eager, channels last":
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, fused=True)

    def loss_of(x, y):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = net(x)
            return F.cross_entropy(logits.view(-1, logits.shape[-1]), y.view(-1))

    if setting == "compiled":
        loss_of = torch.compile(loss_of)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss_of(x, y).backward()
        optimizer.step()
    return step


def measure(step, seconds):
    warm = time.perf_counter() + WARM_SECONDS  # after our turn; its first step was long ago
    step()
    while time.perf_counter() < warm:
        step()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < LEAST_STEPS:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return {"ms": 1e3 * statistics.median(times), "best_ms": 1e3 * min(times), "steps": len(times)}


def prepare(name, batch, bf16, settings):
    """The steps that work, the seconds of each one's first, and why the others do not work."""
    steps, ready, failed = {}, {}, {}
    for setting in settings:
        start = time.perf_counter()
        try:
            step = make_step(name, batch, bf16, setting)
            step()
        except Exception as fault:  # whatever a compiler of this machine says
            lines = str(fault).strip().splitlines()
            failed[setting] = f"{type(fault).__name__}: {lines[0] if lines else ''}"
            continue
        steps[setting], ready[setting] = step, round(time.perf_counter() - start, 1)
    return steps, ready, failed


def main():
    name, batch, precision, threads = sys.argv[1:5]
    torch.set_flush_denormal(True)  # before the threads are made, which inherit it
    torch.set_num_threads(int(threads))
    steps, ready, failed = prepare(name, int(batch), precision == "bf16", sys.argv[5:] or settings_of(name))
    print(json.dumps({"torch": torch.__version__, "ready": ready, "failed": failed}), flush=True)
    for line in sys.stdin:
        setting, seconds = line.rsplit(maxsplit=1)
        print(json.dumps(measure(steps[setting], float(seconds))), flush=True)


main()
