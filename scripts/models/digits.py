"""Trains `models/digits` on scikit-learn's handwritten digits and writes the fp32 and the int8 graph.

    python scripts/models/digits.py            # about half a minute on one core

The held-out images (360 of 1,797, stratified, seed 7) are never trained on; hyper-parameters were chosen on a
validation split of the other 1,437.
"""

import json
import os
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime as ort
from graph import FLOAT, Graph
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

OUT = Path(__file__).resolve().parents[2] / "models" / "digits"
SPLIT_SEED, TRAIN_SEED, HELDOUT = 7, 0, 360
HIDDEN, EPOCHS, BATCH, RATE, DECAY, DROPOUT, SMOOTHING = 128, 400, 64, 2e-3, 1e-3, 0.3, 0.05

# Integer form. Pixels 0..1 become 0..64 and hidden units 0..127: with an 8-bit weight no pair of products exceeds
# 2 * 127 * 127 < 2^15, so the kernels that add pairs in 16 bits never saturate. Every scale is a power of two and
# every sum stays below 2^24, so the float steps between the integer ones are exact on any machine.
INPUT_BITS, ACTIVATION_MAX, WEIGHT_MAX = 6, 127, 127


def shifted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Moves each image by up to 0.9 pixel in both directions, with bilinear mixing."""
    count, grid = len(images), np.arange(8)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    dy, dx = rng.uniform(-0.9, 0.9, (2, count)).astype(np.float32)
    iy, ix = np.floor(dy).astype(int), np.floor(dx).astype(int)
    fy, fx = (dy - iy)[:, None, None], (dx - ix)[:, None, None]

    def at(y, x):
        rows = (2 + y)[:, None, None] + grid[None, :, None]
        columns = (2 + x)[:, None, None] + grid[None, None, :]
        return padded[np.arange(count)[:, None, None], rows, columns]

    top = (1 - fx) * at(iy, ix) + fx * at(iy, ix + 1)
    bottom = (1 - fx) * at(iy + 1, ix) + fx * at(iy + 1, ix + 1)
    return (1 - fy) * top + fy * bottom


def forward(params, x, key=None):
    w1, b1, w2, b2 = params
    hidden = jnp.maximum(x @ w1 + b1, 0)
    if key is not None:
        hidden = hidden * jax.random.bernoulli(key, 1 - DROPOUT, hidden.shape) / (1 - DROPOUT)
    return hidden @ w2 + b2


def train(images: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    rng, key = np.random.default_rng(TRAIN_SEED), jax.random.PRNGKey(TRAIN_SEED)
    params = [
        rng.normal(0, (2 / 64) ** 0.5, (64, HIDDEN)).astype(np.float32),
        np.zeros(HIDDEN, np.float32),
        rng.normal(0, (2 / HIDDEN) ** 0.5, (HIDDEN, 10)).astype(np.float32),
        np.zeros(10, np.float32),
    ]
    targets = np.eye(10, dtype=np.float32) * (1 - SMOOTHING) + SMOOTHING / 10

    @jax.jit
    def step(params, m, v, i, rate, x, t, key):
        loss = lambda p: -(jax.nn.log_softmax(forward(p, x, key)) * t).sum(1).mean()
        g = jax.grad(loss)(params)
        m = [0.9 * a + 0.1 * b for a, b in zip(m, g)]
        v = [0.99 * a + 0.01 * b * b for a, b in zip(v, g)]
        moved = [
            p * (1 - rate * DECAY) - rate * (a / (1 - 0.9**i)) / (jnp.sqrt(b / (1 - 0.99**i)) + 1e-8)
            for p, a, b in zip(params, m, v)
        ]
        return moved, m, v

    m = v = [np.zeros_like(p) for p in params]
    batches, i = len(images) // BATCH, 0
    for _ in range(EPOCHS):
        order = rng.permutation(len(images))
        x = shifted(images[order], rng).reshape(-1, 64).astype(np.float32)
        for b in range(batches):
            i += 1
            rate = RATE * 0.5 * (1 + np.cos(np.pi * i / (EPOCHS * batches))) + 1e-5
            part = slice(b * BATCH, (b + 1) * BATCH)
            key, now = jax.random.split(key)
            params, m, v = step(params, m, v, float(i), rate, x[part], targets[labels[order][part]], now)
    return [np.asarray(p) for p in params]


def power_of_two(peak: float, limit: int) -> int:
    """The largest s with peak * 2^s <= limit."""
    return int(np.floor(np.log2(limit / peak)))


def quantise(params, images: np.ndarray) -> dict:
    """Integer weights, biases and shifts; the range of the hidden units is read from training images only."""
    w1, b1, w2, b2 = params
    hidden = np.maximum(images.reshape(-1, 64) @ w1 + b1, 0)
    s1, s2 = power_of_two(np.abs(w1).max(), WEIGHT_MAX), power_of_two(np.abs(w2).max(), WEIGHT_MAX)
    # The rare unit beyond the 99.99th percentile is clipped: a finer step for all the others is worth more.
    h = power_of_two(float(np.quantile(hidden, 0.9999)), ACTIVATION_MAX)
    return {
        "w1": np.round(w1 * 2**s1).astype(np.int8),
        "b1": np.round(b1 * 2.0 ** (s1 + INPUT_BITS)).astype(np.int32),
        "w2": np.round(w2 * 2**s2).astype(np.int8),
        "b2": np.round(b2 * 2.0 ** (s2 + h)).astype(np.int32),
        "shift1": s1 + INPUT_BITS - h,
        "shift2": s2 + h,
    }


def float_graph(params, path: Path) -> None:
    w1, b1, w2, b2 = params
    g = Graph("digits")
    x = g.input("pixel_values", FLOAT, ["batch_size", 1, 8, 8])
    flat = g.op("Reshape", x, g.const(np.array([-1, 64])))
    hidden = g.op("Relu", g.op("Gemm", flat, g.const(w1, "hidden.weight"), g.const(b1, "hidden.bias")))
    logits = g.op("Gemm", hidden, g.const(w2, "output.weight"), g.const(b2, "output.bias"))
    g.output("logits", logits, FLOAT, ["batch_size", 10])
    g.save(path)


def integer_graph(q: dict, path: Path) -> None:
    g = Graph("digits_int8")
    zero, nil, one = g.const(np.uint8(0)), g.const(np.float32(0)), g.const(np.float32(1))
    x = g.input("pixel_values", FLOAT, ["batch_size", 1, 8, 8])
    flat = g.op("Clip", g.op("Reshape", x, g.const(np.array([-1, 64]))), nil, one)
    pixels = g.op("QuantizeLinear", flat, g.const(np.float32(2.0**-INPUT_BITS)), zero)
    sums = g.op("Add", g.op("MatMulInteger", pixels, g.const(q["w1"], "hidden.weight")), g.const(q["b1"], "hidden.bias"))
    # The clip is the ReLU as well; QuantizeLinear then divides by 2^shift and rounds half to even.
    top = g.const(np.float32(ACTIVATION_MAX * 2.0 ** q["shift1"]))
    clipped = g.op("Clip", g.op("Cast", sums, to=FLOAT), nil, top)
    hidden = g.op("QuantizeLinear", clipped, g.const(np.float32(2.0 ** q["shift1"])), zero)
    sums = g.op("Add", g.op("MatMulInteger", hidden, g.const(q["w2"], "output.weight")), g.const(q["b2"], "output.bias"))
    logits = g.op("Mul", g.op("Cast", sums, to=FLOAT), g.const(np.float32(2.0 ** -q["shift2"])))
    g.output("logits", logits, FLOAT, ["batch_size", 10])
    g.save(path)


def integer_forward(q: dict, images: np.ndarray) -> np.ndarray:
    """The integer graph in plain integers (no float at all until the last scale): what a verifier would compute."""
    pixels = np.rint(np.clip(images.reshape(-1, 64), 0, 1) * 2**INPUT_BITS).astype(np.int64)
    sums = pixels @ q["w1"].astype(np.int64) + q["b1"]
    half, k = 1 << (q["shift1"] - 1), q["shift1"]
    clipped = np.clip(sums, 0, ACTIVATION_MAX << k)
    rounded = (clipped + half) >> k
    rounded -= ((clipped & ((1 << k) - 1)) == half) & (rounded & 1)  # ties go to even
    return (rounded @ q["w2"].astype(np.int64) + q["b2"]).astype(np.float32) * np.float32(2.0 ** -q["shift2"])


def run(path: Path, images: np.ndarray) -> np.ndarray:
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"pixel_values": images})[0]


def main() -> None:
    digits = load_digits()
    grey, labels = digits.images.astype(int), digits.target
    images = (digits.images / 16).astype(np.float32)
    chosen, heldout = train_test_split(np.arange(len(labels)), test_size=HELDOUT, stratify=labels, random_state=SPLIT_SEED)

    params = train(images[chosen], labels[chosen])
    q = quantise(params, images[chosen])
    float_path, integer_path = OUT / "onnx" / "model.onnx", OUT / "onnx" / "model_quantized.onnx"
    float_graph(params, float_path)
    integer_graph(q, integer_path)

    batch = images[heldout][:, None]
    floats, integers = run(float_path, batch), run(integer_path, batch)
    truth = labels[heldout]
    correct = lambda logits: int((logits.argmax(1) == truth).sum())
    print(f"hidden shift {q['shift1']}, logit shift {q['shift2']}")
    print(f"graph - training forward: {np.abs(floats - np.asarray(forward(params, batch.reshape(-1, 64)))).max():.1e}")
    print(f"int8 graph - plain integers: {np.abs(integers - integer_forward(q, batch)).max()}")
    for name, logits in (("fp32", floats), ("int8", integers)):
        print(f"{name}: {correct(logits)} of {HELDOUT} held out = {correct(logits) / HELDOUT:.2%}")
    print(f"both precisions agree on {int((floats.argmax(1) == integers.argmax(1)).sum())} of {HELDOUT}")

    rows = ",\n    ".join(json.dumps(grey[i].reshape(64).tolist(), separators=(",", ":")) for i in heldout)
    header = {"source": "scikit-learn load_digits", "maxPixel": 16, "shape": [HELDOUT, 1, 8, 8]}
    head = json.dumps(header, indent=2)[:-2]
    text = (
        f'{head},\n  "rows": {json.dumps(heldout.tolist(), separators=(",", ":"))},\n'
        f'  "labels": {json.dumps(truth.tolist(), separators=(",", ":"))},\n  "images": [\n    {rows}\n  ]\n}}\n'
    )
    (OUT / "heldout.json").write_text(text)


if __name__ == "__main__":
    main()
