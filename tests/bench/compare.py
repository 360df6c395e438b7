#!/usr/bin/env python3
"""Compares isotape with its peers, on one thread, in one go.

    /usr/bin/python3 tests/bench/compare.py --isotape build/apps/isotape
    /usr/bin/python3 tests/bench/compare.py --isotape build/apps/isotape --only polar,cayley
    /usr/bin/python3 tests/bench/compare.py --isotape build/apps/isotape --data DIR

Needs `isotape bench` and, for the rows marked T, Debian's python3-torch. Each row is measured
`--rounds` times, PyTorch and isotape in turn, and the minima of their CPU times are compared.

Rows marked T measure PyTorch here and now. The others scale a figure of the reference
implementation [Li 2019], measured on another machine, to this one: ratio = (peer's ms x 100 / S) /
ours, with S the larger of two rates of sgemm at n = 1024 on one thread, in GFLOP/s, before and
after. What a retracted step costs falls with the rate and with training: "first steps" are on
random images; with --data, MNIST and the files of CIFAR-10 that are there are trained on, and the
mean over all steps of the run counts.
"""

import argparse
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time

ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}


class Isotape:
    def __init__(self, program):
        self.program = program

    def bench(self, *arguments):
        output = subprocess.run([self.program, "bench", *map(str, arguments), "--json"],
                                env=ONE_THREAD, check=True, capture_output=True, text=True).stdout
        return json.loads(output)

    def train(self, *arguments):
        """The lines of metrics.jsonl that end an epoch."""
        with tempfile.TemporaryDirectory() as folder:
            run = os.path.join(folder, "run")
            subprocess.run([self.program, "train", *map(str, arguments), "--quiet", "--out",
                            run],
                           env=ONE_THREAD, check=True, stdout=subprocess.DEVNULL)
            with open(os.path.join(run, "metrics.jsonl"), encoding="utf-8") as lines:
                return [line for line in map(json.loads, lines) if "epoch" in line]

    def start_ms(self):
        """Time that passes from the start of `isotape --version` to its end."""
        started = time.perf_counter()
        subprocess.run([self.program, "--version"], check=True, stdout=subprocess.DEVNULL)
        return 1e3 * (time.perf_counter() - started)

    def start_mb(self):
        """Peak resident memory of `isotape --version`, read while it waits to print: what the
        system says of a process that ended holds the memory of the one which started it, too."""
        reading, writing = os.pipe()
        size = fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        os.write(writing, bytes(size))
        process = subprocess.Popen([self.program, "--version"], stdout=writing)
        os.close(writing)
        time.sleep(0.5)
        with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
            peak = next(line for line in status if line.startswith("VmHWM:"))
        with open(reading, "rb") as pipe:
            pipe.read()
        if process.wait() != 0:
            raise RuntimeError("isotape --version: expected exit code 0")
        return int(peak.split()[1]) * 1024e-6


def sgemm_gflops(report):
    return report["roof"]["one_thread"]["sgemm_gflops"]


# ---- our figures: each function measures once and returns (figure, GFLOP/s of sgemm)


def step(model, dataset, *flags):
    def measure(isotape):
        report = isotape.bench("step", "--model", model, "--dataset", dataset, "--threads", 1,
                               "--repetitions", 10, *flags)
        return report["step_ms"], sgemm_gflops(report)

    return measure


def run(model, dataset, epochs):
    """Mean over all steps of a retracted run, and its steps of order 1 per matrix and update."""
    def measure(isotape, data):
        roof = ("ops", "--ops", "adam", "--threads", 1)
        before = sgemm_gflops(isotape.bench(*roof))
        lines = isotape.train("--model", model, "--dataset", dataset, "--data", data, "--epochs",
                              epochs, "--threads", 1, *RETRACT)
        scale = max(before, sgemm_gflops(isotape.bench(*roof)))
        steps = [line["retraction_steps"] for line in lines]
        return (1e3 * sum(line["time_train_cpu_s"] for line in lines) / lines[-1]["step"], scale,
                {"mean": sum(step["mean"] for step in steps) / epochs,
                 "max": max(step["max"] for step in steps)})

    return measure


def orthogonalization(shape, method, kappa=10):
    def measure(isotape):
        report = isotape.bench("orthogonalize", "--matrices", shape, "--methods", method,
                               "--kappa", kappa, "--threads", 1, "--repetitions", 10)
        return report["results"][0]["forward_backward_ms"], sgemm_gflops(report)

    return measure


def operation(op, operands):
    def measure(isotape):
        report = isotape.bench("ops", "--ops", op, "--threads", 1, "--repetitions", 20)
        passes = [row for row in report["results"] if row["operands"] == operands]
        if not passes:
            raise RuntimeError(f"bench ops: expected operands {operands} of {op}, got none")
        return sum(row["ms"] for row in passes), sgemm_gflops(report)

    return measure


def evaluation(model, dataset, batch):
    """ms per 1000 images."""
    def measure(isotape):
        report = isotape.bench("eval", "--model", model, "--dataset", dataset, "--batches", batch,
                               "--threads", 1)
        return 1e6 / report["results"][0]["images_per_s"], sgemm_gflops(report)

    return measure


def field(key, *arguments):
    return lambda isotape: (isotape.bench(*arguments)[key], None)


def speedup(*arguments):
    return lambda isotape: (isotape.bench("scaling", "--threads", "1,2", *arguments)
                            ["results"][1]["speedup"], None)


LARGE = ("step", "--model", "bcop-large", "--dataset", "cifar10", "--threads", 1,
         "--repetitions", 3)
RETRACT = ("--orthogonal-update", "retract")

# (name, ours, peer, target): a peer is the name of a torch measurement, ms of the reference, or
# none; a target is the least ratio, or the most (negative) of a figure without a peer.
RATIOS = [
    ("bcop-small MNIST, step", step("bcop-small", "mnist"), 117, 10),
    ("bcop-small MNIST, retracted, first steps", step("bcop-small", "mnist", *RETRACT), 117, 10),
    ("bcop-large CIFAR-10, step", step("bcop-large", "cifar10"), 4262, 8),
    ("bcop-large CIFAR-10, retracted, first steps", step("bcop-large", "cifar10", *RETRACT), 4262, 12),
    ("mlp-3, step", step("mlp-3", "mnist"), 5109, 5),
    ("mlp-3, retracted, first steps", step("mlp-3", "mnist", *RETRACT), 5109, 15),
    ("T plain-small MNIST, step", step("plain-small", "mnist"), "plain-small", 4),
    ("T plain-large CIFAR-10, step", step("plain-large", "cifar10"), "plain-large", 3.5),
    ("T polar 64x64", orthogonalization("64x64", "polar"), "polar-64", 8),
    ("T polar 256x256", orthogonalization("256x256", "polar"), "polar-256", 6),
    ("T polar 512x512", orthogonalization("512x512", "polar"), "polar-512", 7),
    ("T polar 512x4096", orthogonalization("512x4096", "polar"), "polar-512x4096", 12),
    ("T polar 256x256, kappa 300", orthogonalization("256x256", "polar", 300),
     "polar-256-kappa-300", 4),
    ("T polar 512x512, kappa 300", orthogonalization("512x512", "polar", 300),
     "polar-512-kappa-300", 4),
    ("T cayley 256x256", orthogonalization("256x256", "cayley"), "cayley-256", 1.3),
    ("T cayley 512x512", orthogonalization("512x512", "cayley"), "cayley-512", 1.2),
    ("T max_min 4 MB, handed over", operation("max_min", "128x8x8x128, handed over"),
     "max_min-4MB", 60),
    ("T max_min 4 MB, operands kept", operation("max_min", "128x8x8x128"), "max_min-4MB", 25),
    # 1300-1470 images per second: the higher rate is the lower figure in ms.
    ("bcop-large CIFAR-10, 1000 images", evaluation("bcop-large", "cifar10", 256), 1e6 / 1470, 1.8),
]
RUNS = [
    ("bcop-small MNIST, retracted, 5 epochs", run("bcop-small", "mnist", 5), 117, 10),
    ("bcop-large CIFAR-10, retracted, 5 epochs", run("bcop-large", "cifar10", 5), 4262, 12),
    ("mlp-3 MNIST, retracted, 5 epochs", run("mlp-3", "mnist", 5), 5109, 15),
]
FIGURES = [
    ("bcop-large step, peak resident MB", field("peak_resident_mb", *LARGE), -250),
    ("bcop-large step, tensor allocations", field("tensor_allocations", *LARGE), 0),
    ("bcop-large, 2 threads against 1, wall", speedup("--model", "bcop-large", "--dataset",
                                                      "cifar10"), 1.5),
    ("--version, ms", lambda isotape: (min(isotape.start_ms() for _ in range(20)), None), -30),
    ("--version, resident MB", lambda isotape: (isotape.start_mb(), None), -15),
]


def peer_ms(peer, torch_measurements, scale):
    if isinstance(peer, str):
        return min(torch_measurements[peer].samples)
    return peer * 100 / scale


def torch_measurement(name):
    try:
        import torch_peer  # torch is needed for the rows marked T only
    except ImportError as error:
        sys.exit(f"compare.py: expected PyTorch for the rows marked T, got {error}; "
                 "install python3-torch and run /usr/bin/python3")
    return torch_peer.Measurement(name)


def measure_ratio(row, isotape, rounds):
    """Both sides in turn; their minima, and the ratio."""
    _, ours, peer, _ = row
    torch_measurements = {}
    if isinstance(peer, str):
        torch_measurements[peer] = torch_measurement(peer)
    best, scale = float("inf"), 0
    for _ in range(rounds):
        for measurement in torch_measurements.values():
            for _ in range(3):
                measurement.sample()
        figure, rate = ours(isotape)
        best, scale = min(best, figure), max(scale, rate)
    peer_best = peer_ms(peer, torch_measurements, scale)
    return {"peer_ms": peer_best, "ours_ms": best, "ratio": peer_best / best, "sgemm_gflops": scale}


def judged(value, target):
    return value <= -target if target <= 0 else value >= target


def ratio_results(rows, isotape, rounds):
    for row in rows:
        result = measure_ratio(row, isotape, rounds)
        yield {"work": row[0], **result, "target": row[3],
               "met": judged(result["ratio"], row[3])}


def run_results(rows, isotape, data):
    for name, ours, peer, target in rows:
        figure, scale, steps = ours(isotape, data)
        peer_best = peer_ms(peer, {}, scale)
        yield {"work": name, "peer_ms": peer_best, "ours_ms": figure, "ratio": peer_best / figure,
               "sgemm_gflops": scale, "target": target, "retraction_steps": steps,
               "met": judged(peer_best / figure, target)}


def figure_results(rows, isotape, rounds):
    for name, ours, target in rows:
        figures = [ours(isotape)[0] for _ in range(rounds)]
        figure = max(figures) if target > 0 else min(figures)
        yield {"work": name, "figure": figure, "target": abs(target),
               "met": judged(figure, target)}


def print_row(result):
    if "ratio" in result:
        text = (f"{result['peer_ms']:10.2f} {result['ours_ms']:10.3f} {result['ratio']:8.2f} "
                f"{result['target']:8g} {result['sgemm_gflops']:10.1f}")
    else:
        text = f"{'':10} {result['figure']:10.2f} {'':8} {result['target']:8g} {'':10}"
    if "retraction_steps" in result:
        steps = result["retraction_steps"]
        text += f"  {steps['mean']:.2f} steps of order 1, at most {steps['max']},"
    print(f"{result['work']:44} {text}  {'met' if result['met'] else 'missed'}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--isotape", required=True, metavar="FILE", help="the command")
    parser.add_argument("--only", metavar="TEXT,...", help="rows whose name holds one of these")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of each row [3]")
    parser.add_argument("--data", metavar="DIR", help="train on this data for the rows of runs")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds: expected an integer >= 1")
    isotape = Isotape(os.path.abspath(arguments.isotape))
    words = arguments.only.split(",") if arguments.only else [""]

    def chosen(rows):
        return [row for row in rows if any(word in row[0] for word in words)]

    runs = RUNS if arguments.data else []
    if not chosen(RATIOS + runs + FIGURES):
        parser.error(f"--only: expected a part of a row's name, got {arguments.only}")
    if not arguments.json:
        print(f"{'work':44} {'peer ms':>10} {'ours':>10} {'ratio':>8} {'target':>8} {'S':>10}")
    results = []
    for group in (ratio_results(chosen(RATIOS), isotape, arguments.rounds),
                  run_results(chosen(runs), isotape, arguments.data),
                  figure_results(chosen(FIGURES), isotape, arguments.rounds)):
        for result in group:
            results.append(result)
            if not arguments.json:
                print_row(result)
    if arguments.json:
        print(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
