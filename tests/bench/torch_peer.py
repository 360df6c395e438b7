#!/usr/bin/env python3
"""Times PyTorch on the work that `isotape bench` measures, on one thread.

    /usr/bin/python3 tests/bench/torch_peer.py --list
    /usr/bin/python3 tests/bench/torch_peer.py --only polar-256,cayley-256 --repetitions 5

Needs Debian's python3-torch and nothing of this project. Prints JSON: milliseconds of CPU time of
the process (user and system), the minimum over repetitions, and the median.

The nets are those that LConvNet [Li 2019] builds, with free weights: circular padding by
torch.cat, strides by pixel unshuffle, MaxMin by torch.max and torch.min of the two halves of the
channels, multi-margin loss, Adam.
"""

import argparse
import json
import os
import sys
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

import torch  # noqa: E402: it reads the variables when it is loaded
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

torch.set_num_threads(1)


# ---- layers


class CircularPad(nn.Module):
    """Before and after on both axes, by concatenation."""

    def __init__(self, before, after):
        super().__init__()
        self.before, self.after = before, after

    def forward(self, x):
        for dim in (2, 3):
            parts = [x]
            if self.before:
                parts.insert(0, x.narrow(dim, x.size(dim) - self.before, self.before))
            if self.after:
                parts.append(x.narrow(dim, 0, self.after))
            x = torch.cat(parts, dim)
        return x


class PixelUnshuffle(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.s = s

    def forward(self, x):
        n, c, h, w = x.shape
        s = self.s
        x = x.view(n, c, h // s, s, w // s, s).permute(0, 1, 3, 5, 2, 4)
        return x.contiguous().view(n, c * s * s, h // s, w // s)


class MaxMin(nn.Module):
    def forward(self, x):
        a, b = x.split(x.size(1) // 2, 1)
        return torch.cat([torch.max(a, b), torch.min(a, b)], 1)


def convolution(c_in, c_out, kernel, stride):
    k = kernel // stride
    layers = [PixelUnshuffle(stride)] if stride > 1 else []
    layers += [CircularPad(k // 2, (k - 1) // 2), nn.Conv2d(c_in * stride * stride, c_out, k)]
    return layers + [MaxMin()]


def small():
    return nn.Sequential(*convolution(1, 16, 4, 2), *convolution(16, 32, 4, 2), nn.Flatten(),
                         nn.Linear(1568, 100), MaxMin(), nn.Linear(100, 10))


def large():
    return nn.Sequential(*convolution(3, 32, 3, 1), *convolution(32, 32, 4, 2),
                         *convolution(32, 64, 3, 1), *convolution(64, 64, 4, 2), nn.Flatten(),
                         nn.Linear(4096, 512), MaxMin(), nn.Linear(512, 512), MaxMin(),
                         nn.Linear(512, 10))


# ---- work: each function prepares a call and returns it


def training_step(make_net, image, batch=128):
    def prepare():
        torch.manual_seed(0)
        net = make_net()
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
        x, y = torch.rand(batch, *image), torch.randint(10, (batch,))

        def step():
            loss = F.multi_margin_loss(net(x), y, margin=2.12)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        return step

    return prepare


def conditioned(m, n, kappa):
    """Singular values that fall geometrically from 1 to 1/kappa."""
    torch.manual_seed(0)
    k = min(m, n)
    u, _ = torch.linalg.qr(torch.randn(m, k, dtype=torch.float64))
    v, _ = torch.linalg.qr(torch.randn(n, k, dtype=torch.float64))
    sigma = kappa ** -torch.linspace(0, 1, k, dtype=torch.float64)
    return ((u * sigma) @ v.t()).float()


def polar_autograd(n, kappa):
    """20 steps of Bjorck's iteration of order 1, differentiated by autograd."""
    def prepare():
        w = conditioned(n, n, kappa).requires_grad_()
        dy = torch.randn(n, n)

        def call():
            q = w
            for _ in range(20):
                q = 1.5 * q - 0.5 * q.mm(q.t().mm(q))
            w.grad = None
            q.backward(dy)

        return call

    return prepare


def polar_direct(m, n, kappa):
    """The same 20 steps for m < n, their gradient written by hand: no autograd."""
    def prepare():
        w = conditioned(m, n, kappa)
        dy = torch.randn(m, n)

        def call():
            q, kept = w, []
            for _ in range(20):
                gram = q.mm(q.t())
                kept.append((q, gram))
                q = torch.addmm(q, gram, q, beta=1.5, alpha=-0.5)
            grad = dy
            for before, gram in reversed(kept):
                inner = grad.mm(before.t())
                grad = torch.addmm(grad, gram, grad, beta=1.5, alpha=-0.5).addmm_(
                    inner + inner.t(), before, alpha=-0.5)
            return grad

        return call

    return prepare


def cayley(n):
    def prepare():
        torch.manual_seed(0)
        w = (torch.randn(n, n) / n**0.5).requires_grad_()
        dy, eye = torch.randn(n, n), torch.eye(n)

        def call():
            a = w - w.t()
            w.grad = None
            torch.linalg.solve(eye + a, eye - a).backward(dy)

        return call

    return prepare


def max_min():
    """On 4 MiB of activations, [128, 128, 8, 8]."""
    def prepare():
        torch.manual_seed(0)
        x = torch.randn(128, 128, 8, 8, requires_grad=True)
        dy = torch.randn(128, 128, 8, 8)
        layer = MaxMin()

        def call():
            x.grad = None
            layer(x).backward(dy)

        return call

    return prepare


def sgemm():
    def prepare():
        a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
        return lambda: torch.mm(a, b)

    return prepare


WORK = {"sgemm-1024": sgemm(),
        "plain-small": training_step(small, (1, 28, 28)),
        "plain-large": training_step(large, (3, 32, 32)),
        "polar-64": polar_autograd(64, 10),
        "polar-256": polar_autograd(256, 10),
        "polar-512": polar_autograd(512, 10),
        "polar-512x4096": polar_direct(512, 4096, 10),
        "polar-256-kappa-300": polar_autograd(256, 300),
        "polar-512-kappa-300": polar_autograd(512, 300),
        "cayley-256": cayley(256),
        "cayley-512": cayley(512),
        "max_min-4MB": max_min()}


# ---- time


class Measurement:
    """A piece of work, prepared and warm; sample() appends the CPU time of one call in ms."""

    def __init__(self, name):
        self.name = name
        self.call = WORK[name]()
        self.samples = []
        self.call()
        started = time.process_time()
        self.call()
        once = max(time.process_time() - started, 1e-6)
        self.calls = max(1, min(1000, round(5e-3 / once)))

    def sample(self):
        started = time.process_time()
        for _ in range(self.calls):
            self.call()
        self.samples.append(1e3 * (time.process_time() - started) / self.calls)

    def result(self):
        ordered = sorted(self.samples)
        return {"min_ms": ordered[0], "median_ms": ordered[len(ordered) // 2],
                "repetitions": len(ordered)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--list", action="store_true", help="print the names of the work and stop")
    parser.add_argument("--only", metavar="NAME,...", help="some of the work [all]")
    parser.add_argument("--repetitions", type=int, default=10, metavar="N",
                        help="of each, in turn with the others [10]")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(WORK))
        return 0
    names = arguments.only.split(",") if arguments.only else list(WORK)
    unknown = [name for name in names if name not in WORK]
    if unknown or arguments.repetitions < 1:
        parser.error(f"expected names of {', '.join(WORK)}, got {unknown[0]}" if unknown else
                     "--repetitions: expected an integer >= 1")
    measurements = [Measurement(name) for name in names]
    for _ in range(arguments.repetitions):
        for measurement in measurements:
            measurement.sample()
    print(json.dumps({"torch": torch.__version__, "threads": 1,
                      "results": {m.name: m.result() for m in measurements}}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
