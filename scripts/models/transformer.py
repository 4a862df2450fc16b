"""The transformer of `chat`: RMSNorm, rotary positions, SwiGLU, tied embedding; and the optimiser of `chat` and `embed`.

`forward` is the training form in JAX; `Blocks` writes the same arithmetic as an ONNX graph, in fp32 or with integer
matrix products.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from graph import BOOL, FLOAT, UINT8, Graph

EPSILON, THETA = 1e-5, 10_000.0
MATRICES = ("q", "k", "v", "o", "gate", "up", "down")


@dataclass(frozen=True)
class Shape:
    vocab: int
    width: int
    layers: int
    heads: int
    inner: int
    positions: int

    @property
    def head(self) -> int:
        return self.width // self.heads


def initial(shape: Shape, seed: int) -> dict:
    rng = np.random.default_rng(seed)
    d, f, n = shape.width, shape.inner, shape.layers
    matrix = lambda rows, columns: rng.normal(0, rows**-0.5, (n, rows, columns)).astype(np.float32)
    return {
        "embedding": rng.normal(0, 0.02, (shape.vocab, d)).astype(np.float32),
        "q": matrix(d, d), "k": matrix(d, d), "v": matrix(d, d), "o": matrix(d, d) * 0.1,
        "gate": matrix(d, f), "up": matrix(d, f), "down": matrix(f, d) * 0.1,
        "norm1": np.ones((n, d), np.float32), "norm2": np.ones((n, d), np.float32), "norm": np.ones(d, np.float32),
    }  # fmt: skip


def rotary(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin, [positions, head], the halves repeated as Llama does."""
    rate = THETA ** (-np.arange(0, shape.head, 2, dtype=np.float64) / shape.head)
    angle = np.arange(shape.positions)[:, None] * rate
    both = np.concatenate([angle, angle], axis=1)
    return np.cos(both).astype(np.float32), np.sin(both).astype(np.float32)


def rms(x, weight):
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + EPSILON) * weight


def forward(params: dict, shape: Shape, ids, allowed):
    """Hidden states [B,S,width] after the last norm; `allowed` [B,S,S] says which position may look at which."""
    b, s = ids.shape
    cos, sin = (jnp.asarray(t[:s])[None, :, None] for t in rotary(shape))
    turn = lambda x: x * cos + jnp.concatenate([-x[..., shape.head // 2 :], x[..., : shape.head // 2]], -1) * sin
    bias = jnp.where(allowed, 0.0, -1e9)[:, None]
    split = lambda x: x.reshape(b, s, shape.heads, shape.head)
    x = params["embedding"][ids]
    for i in range(shape.layers):
        h = rms(x, params["norm1"][i])
        q, k, v = turn(split(h @ params["q"][i])), turn(split(h @ params["k"][i])), split(h @ params["v"][i])
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) * shape.head**-0.5 + bias
        mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores, -1), v).reshape(b, s, -1)
        x = x + mixed @ params["o"][i]
        h = rms(x, params["norm2"][i])
        x = x + (jax.nn.silu(h @ params["gate"][i]) * (h @ params["up"][i])) @ params["down"][i]
    return rms(x, params["norm"])


def orthogonal(g):
    """Newton-Schulz steps towards the nearest orthogonal matrix (the Muon optimiser, K. Jordan 2024)."""
    wide = g.shape[-2] > g.shape[-1]
    x = jnp.swapaxes(g, -1, -2) if wide else g
    x = x / (jnp.linalg.norm(x, axis=(-2, -1), keepdims=True) + 1e-7)
    for _ in range(5):
        a = x @ jnp.swapaxes(x, -1, -2)
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return jnp.swapaxes(x, -1, -2) if wide else x


def optimiser(loss, matrix_rate: float, other_rate: float, decay: float = 0.01):
    """A jitted step(params, state, i, scale, *batch) -> params, state, loss: Muon for matrices, Adam for the rest."""

    @jax.jit
    def step(params, state, i, scale, *batch):
        value, grads = jax.value_and_grad(loss)(params, *batch)
        new, m, v = {}, {}, {}
        for key, p in params.items():
            g = grads[key]
            if key in MATRICES:
                m[key], v[key] = 0.95 * state[0][key] + g, state[1][key]
                size = max(1.0, p.shape[-1] / p.shape[-2]) ** 0.5
                rate = matrix_rate * scale
                new[key] = p * (1 - rate * decay) - rate * size * orthogonal(g + 0.95 * m[key])
            else:
                m[key] = 0.9 * state[0][key] + 0.1 * g
                v[key] = 0.98 * state[1][key] + 0.02 * g * g
                unbiased = jnp.sqrt(v[key] / (1 - 0.98**i)) + 1e-8
                new[key] = p - other_rate * scale * (m[key] / (1 - 0.9**i)) / unbiased
        return new, (m, v), value

    return step


def no_state(params: dict):
    zeros = {key: np.zeros_like(p) for key, p in params.items()}
    return zeros, zeros


# --- ONNX ----------------------------------------------------------------------------------------------------------

# Integer products: each row of activations gets a scale of its own and 8 bits, each column of weights a scale and 7 bits.
# Row scales make the product of a row independent of the others in its batch; 2 * 255 * 63 < 2^15 keeps kernels that
# add pairs in 16 bits from saturating; integer sums come out equal in any order.
ROW_MAX, ROW_ZERO, WEIGHT_MAX = 127, 128, 63


def columns_to_integers(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = (np.maximum(np.abs(w).max(0), 1e-9) / WEIGHT_MAX).astype(np.float32)
    return np.round(w / scale).astype(np.int8), scale


class Blocks:
    """Writes the layers into a graph. Weights are those of the training form; `integer` chooses the matrix products."""

    def __init__(self, g: Graph, params: dict, shape: Shape, integer: bool):
        self.g, self.params, self.shape, self.integer = g, params, shape, integer
        scalar = lambda v, dtype=np.float32: g.const(np.array(v, dtype))
        self.epsilon, self.two, self.row_zero = scalar(EPSILON), scalar(2), scalar(ROW_ZERO, np.uint8)
        self.row_max, self.row_shift, self.tiny = scalar(ROW_MAX), scalar(ROW_ZERO), scalar(1e-12)
        self.axis1, self.weight_zero = g.const(np.array([1])), scalar(0, np.int8)

    def norm(self, x: str, weight: np.ndarray, name: str) -> str:
        g = self.g
        power = g.op("ReduceMean", g.op("Pow", x, self.two), axes=[-1], keepdims=1)
        scaled = g.op("Div", x, g.op("Sqrt", g.op("Add", power, self.epsilon)))
        return g.op("Mul", scaled, g.const(weight, name))

    def linear(self, x: str, w: np.ndarray, name: str) -> str:
        if not self.integer:
            return self.g.op("MatMul", x, self.g.const(w, name))
        q, scale = columns_to_integers(w)
        return self.product(x, self.g.const(q, name), scale, name)

    def product(self, x: str, q: str, scale: np.ndarray, name: str) -> str:
        g = self.g
        peak = g.op("Max", g.op("ReduceMax", g.op("Abs", x), axes=[-1], keepdims=1), self.tiny)
        unit = g.op("Div", peak, self.row_max)
        row = g.op("Cast", g.op("Add", g.op("Round", g.op("Div", x, unit)), self.row_shift), to=UINT8)
        sums = g.op("Cast", g.op("MatMulInteger", row, q, self.row_zero, self.weight_zero), to=FLOAT)
        return g.op("Mul", g.op("Mul", sums, unit), g.const(scale, f"{name}.scale"))

    def embed(self, ids: str) -> str:
        g, table = self.g, self.params["embedding"]
        if not self.integer:
            return g.op("Gather", g.const(table, "embedding"), ids)
        q, scale = columns_to_integers(table.T)
        rows = g.op("Cast", g.op("Gather", g.const(np.ascontiguousarray(q.T), "embedding"), ids), to=FLOAT)
        return g.op("Mul", rows, g.op("Gather", g.const(scale[:, None], "embedding.scale"), ids))

    def head(self, x: str) -> str:
        """Logits from the tied embedding; call `embed` first."""
        g, table = self.g, self.params["embedding"]
        turned = g.op("Transpose", "embedding", perm=[1, 0])
        if not self.integer:
            return g.op("MatMul", x, turned)
        return self.product(x, turned, columns_to_integers(table.T)[1], "head")

    def angles(self, positions: str) -> tuple[str, str]:
        return tuple(
            self.g.op("Unsqueeze", self.g.op("Gather", self.g.const(table, name), positions), self.axis1)
            for table, name in zip(rotary(self.shape), ("rotary.cos", "rotary.sin"))
        )

    def layer(self, i: int, x: str, angles: tuple[str, str], bias: str, past=None) -> tuple[str, tuple[str, str]]:
        """One layer; returns x and the keys and values [B,heads,T,head], with `past` (keys, values) before the new ones."""
        g, p, s = self.g, self.params, self.shape
        h = self.norm(x, p["norm1"][i], f"layers.{i}.norm1")
        # The scale of the scores goes into the query weights.
        wide = np.concatenate([p["q"][i] * s.head**-0.5, p["k"][i], p["v"][i]], 1)
        parts = g.op("Reshape", self.linear(h, wide, f"layers.{i}.qkv"), g.const(np.array([0, 0, 3 * s.heads, s.head])))
        parts = g.op("Transpose", parts, perm=[0, 2, 1, 3])
        turned, v = g.op("Split", parts, g.const(np.array([2 * s.heads, s.heads])), outputs=2, axis=1)
        low, high = g.op("Split", turned, g.const(np.array([s.head // 2] * 2)), outputs=2, axis=-1)
        swapped = g.op("Concat", g.op("Neg", high), low, axis=-1)
        turned = g.op("Add", g.op("Mul", turned, angles[0]), g.op("Mul", swapped, angles[1]))
        q, k = g.op("Split", turned, g.const(np.array([s.heads, s.heads])), outputs=2, axis=1)
        if past:
            k, v = g.op("Concat", past[0], k, axis=2), g.op("Concat", past[1], v, axis=2)
        scores = g.op("Add", g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2])), bias)
        mixed = g.op("Transpose", g.op("MatMul", g.op("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
        mixed = g.op("Reshape", mixed, g.const(np.array([0, 0, s.width])))
        x = g.op("Add", x, self.linear(mixed, p["o"][i], f"layers.{i}.out"))
        h = self.norm(x, p["norm2"][i], f"layers.{i}.norm2")
        wide = self.linear(h, np.concatenate([p["gate"][i], p["up"][i]], 1), f"layers.{i}.gate_up")
        gate, up = g.op("Split", wide, g.const(np.array([s.inner, s.inner])), outputs=2, axis=-1)
        active = g.op("Mul", g.op("Mul", gate, g.op("Sigmoid", gate)), up)
        return g.op("Add", x, self.linear(active, p["down"][i], f"layers.{i}.down")), (k, v)


def mask_bias(g: Graph, mask: str, ids: str) -> str:
    """Additive causal bias [B,1,S,T] from `attention_mask` [B,T] and `ids` [B,S]; the S tokens are the last of T."""
    zero, one = g.const(np.array(0)), g.const(np.array(1))
    total, new = (g.op("Gather", g.op("Shape", name), one) for name in (mask, ids))
    key = g.op("Range", zero, total, one)
    query = g.op("Unsqueeze", g.op("Range", g.op("Sub", total, new), total, one), g.const(np.array([1])))
    known = g.op("Unsqueeze", g.op("Cast", mask, to=BOOL), g.const(np.array([1, 2])))
    allowed = g.op("And", known, g.op("LessOrEqual", key, query))
    return g.op("Where", allowed, g.const(np.float32(0)), g.const(np.float32(-1e9)))

