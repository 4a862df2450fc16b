"""Trains `models/chat` on dialogues from `chat_corpus.py` and writes tokenizer, configuration and both graphs.

    python scripts/models/chat.py --weights chat.npz      # trains if the file is missing, then exports and measures

Training takes about half an hour on one core.
"""

import argparse
import json
import os
import random
import time
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import chat_corpus as corpus
import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime as ort
from graph import FLOAT, INT64, Graph
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformer import Blocks, Shape, forward, initial, mask_bias, no_state, optimiser

OUT = Path(__file__).resolve().parents[2] / "models" / "chat"
SEED, VOCAB = 11, 1024
SHAPE = Shape(vocab=VOCAB, width=128, layers=4, heads=4, inner=384, positions=512)
# Two rounds, each with a rate that falls to nothing: (share of the rate, kinds of question, (row length, rows, steps)...).
ROUNDS = (
    (1.0, corpus.KINDS, (256, 16, 1050), (512, 8, 250)),
    (0.5, corpus.PRACTICE, (256, 16, 500)),
)
MATRIX_RATE, OTHER_RATE, QUESTION_WEIGHT = 0.02, 4e-3, 0.1
SPECIALS = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
PAD, END = 0, 1
# OpenAI's clients say `developer` where others say `system`.
TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- set role = 'system' if message['role'] == 'developer' else message['role'] -%}"
    "{%- if role not in ['system', 'user', 'assistant'] -%}"
    "{{- raise_exception('a message has the role ' + role + '; known are system, user and assistant') -}}"
    "{%- endif -%}"
    "{{- '<|' + role + '|>' + message['content'] + '<|end|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)
# Kinds of question with exactly one right answer: their held-out prompts are committed as heldout.json.
EXACT = [kind for kind in corpus.KINDS if kind.__name__ not in ("talk", "listing", "tale")]


def train_tokenizer() -> Tokenizer:
    rng = random.Random(SEED)
    texts = [m["content"] for _ in range(8_000) for m in corpus.conversation(rng)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCAB,
            special_tokens=SPECIALS,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return tokenizer


def encode(tokenizer: Tokenizer, messages: list[dict]) -> tuple[list[int], list[float]]:
    """Tokens of a dialogue and the weight of each in the loss: answers count in full, questions a little."""
    ids, weights = [], []
    for message in messages:
        text = tokenizer.encode(message["content"], add_special_tokens=False).ids
        part = [SPECIALS.index(f"<|{message['role']}|>"), *text, END]
        spoken = 1.0 if message["role"] == "assistant" else QUESTION_WEIGHT
        ids += part
        weights += [QUESTION_WEIGHT] + [spoken] * (len(part) - 1)
    return ids, weights


def prompt(tokenizer: Tokenizer, messages: list[dict]) -> list[int]:
    return encode(tokenizer, messages)[0] + [SPECIALS.index("<|assistant|>")]


def batches(tokenizer: Tokenizer, rng: random.Random, kinds: dict, length: int, rows: int):
    """Endless packed batches: ids, targets, weights [rows,length], and the dialogue number of each token."""
    waiting = []
    while True:
        out = [np.zeros((rows, length), t) for t in (np.int32, np.int32, np.float32, np.int32)]
        for row in range(rows):
            start = number = 0
            while start < length:
                number += 1
                fit = next((i for i, (ids, _) in enumerate(waiting) if len(ids) <= length - start), None)
                if fit is None and len(waiting) >= 24:
                    break
                if fit is not None:
                    ids, weights = waiting.pop(fit)
                else:
                    if rng.random() < 0.03:
                        ids = tokenizer.encode(corpus.story(rng)).ids + [END]
                        weights = [1.0] * len(ids)
                    else:
                        ids, weights = encode(tokenizer, corpus.conversation(rng, kinds))
                    if len(ids) > length - start:
                        if len(ids) <= length:
                            waiting.append((ids, weights))
                        continue
                end = start + len(ids)
                out[0][row, start:end] = ids
                out[1][row, start : end - 1] = ids[1:]
                out[2][row, start : end - 1] = weights[1:]
                out[3][row, start:end] = number
                start = end
        yield out


def loss(params, ids, targets, weights, numbers):
    s = ids.shape[1]
    allowed = jnp.tril(jnp.ones((s, s), bool)) & (numbers[:, :, None] == numbers[:, None, :])
    logits = forward(params, SHAPE, ids, allowed) @ params["embedding"].T
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], -1)[..., 0]
    return -(picked * weights).sum() / weights.sum()


def train(tokenizer: Tokenizer, params: dict, number: int) -> dict:
    """One of the rounds, from `params` on."""
    share, kinds, *phases = ROUNDS[number]
    state, rng = no_state(params), random.Random(SEED + 1 + number)
    step = optimiser(loss, MATRIX_RATE, OTHER_RATE)
    total, i, mean, began = sum(phase[2] for phase in phases), 0, None, time.time()
    for length, rows, steps in phases:
        source = batches(tokenizer, rng, kinds, length, rows)
        for _ in range(steps):
            i += 1
            scale = share * min(1.0, i / 50) * min(1.0, (total - i + 1) / (0.5 * total))
            params, state, value = step(params, state, float(i), scale, *next(source))
            mean = float(value) if mean is None else 0.95 * mean + 0.05 * float(value)
            if i % 50 == 0:
                print(f"round {number + 1}, step {i}/{total} loss {mean:.4f} {time.time() - began:.0f} s", flush=True)
    return {key: np.asarray(p) for key, p in params.items()}


def write_graph(params: dict, integer: bool, path: Path) -> None:
    g = Graph("chat_int8" if integer else "chat")
    cache = ["batch_size", SHAPE.heads, "past_sequence_length", SHAPE.head]
    present = ["batch_size", SHAPE.heads, "total_sequence_length", SHAPE.head]
    ids = g.input("input_ids", INT64, ["batch_size", "sequence_length"])
    mask = g.input("attention_mask", INT64, ["batch_size", "total_sequence_length"])
    positions = g.input("position_ids", INT64, ["batch_size", "sequence_length"])
    past = [
        tuple(g.input(f"past_key_values.{i}.{part}", FLOAT, cache) for part in ("key", "value"))
        for i in range(SHAPE.layers)
    ]
    blocks = Blocks(g, params, SHAPE, integer)
    bias, angles = mask_bias(g, mask, ids), blocks.angles(positions)
    x = blocks.embed(ids)
    stored = []
    for i in range(SHAPE.layers):
        x, pair = blocks.layer(i, x, angles, bias, past[i])
        stored.append(pair)
    logits = blocks.head(blocks.norm(x, params["norm"], "norm"))
    g.output("logits", logits, FLOAT, ["batch_size", "sequence_length", VOCAB])
    for i, pair in enumerate(stored):
        for part, value in zip(("key", "value"), pair):
            g.output(f"present.{i}.{part}", value, FLOAT, present)
    g.save(path)


class Runner:
    """Greedy generation with the exported graph, several prompts at once, padded on the left."""

    def __init__(self, path: Path):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.names = [o.name for o in self.session.get_outputs()]

    def __call__(self, ids, mask, positions, past=None):
        if past is None:
            past = [np.zeros((len(ids), SHAPE.heads, 0, SHAPE.head), np.float32)] * (2 * SHAPE.layers)
        feeds = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
        for i in range(SHAPE.layers):
            feeds[f"past_key_values.{i}.key"], feeds[f"past_key_values.{i}.value"] = past[2 * i], past[2 * i + 1]
        logits, *present = self.session.run(None, feeds)
        return logits, present

    def generate(self, prompts: list[list[int]], limit: int = 320) -> list[list[int]]:
        width, count = max(map(len, prompts)), len(prompts)
        ids, mask = np.zeros((count, width), np.int64), np.zeros((count, width), np.int64)
        for row, tokens in enumerate(prompts):
            ids[row, width - len(tokens) :], mask[row, width - len(tokens) :] = tokens, 1
        positions = np.maximum(mask.cumsum(1) - 1, 0)
        logits, past = self(ids, mask, positions)
        out, done, position = [[] for _ in prompts], np.zeros(count, bool), positions[:, -1:]
        while not done.all() and mask.shape[1] < SHAPE.positions and max(map(len, out)) < limit:
            tokens = logits[:, -1].argmax(-1)
            for row, token in enumerate(tokens):
                if not done[row]:
                    out[row].append(int(token))
            done |= tokens == END
            mask = np.concatenate([mask, np.ones((count, 1), np.int64)], 1)
            position = position + 1
            logits, past = self(tokens[:, None], mask, position, past)
        return out


def right(kind: str, question: str, expected: str, answer: str) -> bool:
    """Exact, except where several answers are right."""
    if kind == "talk":
        return any(question in asks and answer in answers for asks, answers in corpus.TALK)
    if kind == "listing":
        words = answer.removesuffix(".").replace(" and ", ", ").split(", ")
        words[0] = words[0] if words[0] in corpus.CAPITALS or words[0].lower() not in sum(corpus.LISTS.values(), []) else words[0].lower()
        wanted = len(expected.replace(" and ", ", ").split(", "))
        return len(words) == wanted == len(set(words)) and any(set(words) <= set(known) for known in corpus.LISTS.values())
    if kind == "tale":
        heroes = [a for a in corpus.ANIMALS if question.rstrip("?.").endswith(" " + a)]
        opening = answer.split(".")[0]
        return answer.endswith("The end.") and all(f" {hero} named" in opening for hero in heroes)
    return answer == expected


def heldout_questions(kind, limit: int = 60) -> list[tuple[str, str]]:
    """(question, answer) that training never saw, different ones, at most `limit`."""
    rng, asked = random.Random(99), {}
    for _ in range(2_000):
        _, question, expected = corpus.exchange(rng, heldout=True, kind=kind)
        if len(asked) < limit:
            asked.setdefault(question, expected)
    return list(asked.items())


def measure(tokenizer: Tokenizer, path: Path) -> dict[str, tuple[int, int]]:
    """Right answers among held-out prompts, by kind."""
    runner, score = Runner(path), {}
    say = lambda prompts: [tokenizer.decode(t[:-1]) if t[-1] == END else "" for t in runner.generate(prompts)]
    for kind in corpus.KINDS:
        asked, name = heldout_questions(kind), kind.__name__
        answers = say([prompt(tokenizer, [{"role": "user", "content": question}]) for question, _ in asked])
        hits = [right(name, q, expected, a) for (q, expected), a in zip(asked, answers)]
        score[name] = (sum(hits), len(hits))
        for (question, expected), answer, hit in zip(asked, answers, hits):
            if not hit and os.environ.get("SHOW_MISSES"):
                print(f"  {name}: {question!r} -> {answer!r}, not {expected!r}")
    # Something told and asked for later: dialogues drawn from another seed than training's.
    rng = random.Random(98)
    dialogues = [corpus.memory(rng) for _ in range(60)]
    prompts = []
    for turns in dialogues:
        told = [m for q, a in turns[:-1] for m in ({"role": "user", "content": q}, {"role": "assistant", "content": a})]
        prompts.append(prompt(tokenizer, [*told, {"role": "user", "content": turns[-1][0]}]))
    score["memory"] = (sum(a == turns[-1][1] for a, turns in zip(say(prompts), dialogues)), len(dialogues))
    return score


def largest_difference(tokenizer: Tokenizer, params: dict, path: Path) -> float:
    """Graph against training form: one long dialogue, first whole, then token by token through the cache, beside a padded row."""
    rng, runner = random.Random(5), Runner(path)
    ids = next(i for i, _ in (encode(tokenizer, corpus.conversation(rng)) for _ in range(10_000)) if 200 < len(i) < 260)
    array = np.array([ids])
    s = array.shape[1]
    truth = np.asarray(forward(params, SHAPE, array, np.tril(np.ones((1, s, s), bool))) @ params["embedding"].T)
    padded = np.concatenate([np.zeros((2, 3), np.int64), np.stack([ids, ids])], 1)
    mask = np.concatenate([np.zeros((2, 3), np.int64), np.ones((2, s), np.int64)], 1)
    mask[1, 3:40] = 0  # the second row is another, shorter prompt: it must not touch the first
    positions = np.maximum(mask.cumsum(1) - 1, 0)
    whole, _ = runner(padded, mask, positions)
    worst = np.abs(whole[0, 3:] - truth[0]).max()
    logits, past = runner(padded[:, :50], mask[:, :50], positions[:, :50])
    for t in range(50, s + 3):
        logits, past = runner(padded[:, t : t + 1], mask[:, : t + 1], positions[:, t : t + 1], past)
        worst = max(worst, np.abs(logits[0, 0] - truth[0, t - 3]).max())
    return float(worst)


def heldout_loss(tokenizer: Tokenizer, path: Path) -> float:
    """Mean negative log-likelihood a token, answers only, on dialogues from a seed that training did not use."""
    rng, runner, total, count = random.Random(77), Runner(path), 0.0, 0
    for _ in range(120):
        ids, weights = encode(tokenizer, corpus.conversation(rng))
        ids, answers = np.array([ids[: SHAPE.positions]]), np.array(weights[1 : SHAPE.positions]) == 1.0
        logits, _ = runner(ids, np.ones_like(ids), np.arange(ids.shape[1])[None])
        logits = logits[0, :-1] - logits[0, :-1].max(-1, keepdims=True)
        chosen = np.take_along_axis(logits, ids[0, 1:, None], -1)[:, 0] - np.log(np.exp(logits).sum(-1))
        total, count = total - chosen[answers].sum(), count + answers.sum()
    return float(total / count)


def write_json(name: str, value) -> None:
    (OUT / name).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_configuration() -> None:
    write_json("config.json", {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": VOCAB, "hidden_size": SHAPE.width,
        "intermediate_size": SHAPE.inner, "num_hidden_layers": SHAPE.layers, "num_attention_heads": SHAPE.heads,
        "num_key_value_heads": SHAPE.heads, "head_dim": SHAPE.head, "max_position_embeddings": SHAPE.positions,
        "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "attention_bias": False, "mlp_bias": False,
        "tie_word_embeddings": True, "bos_token_id": END, "eos_token_id": END, "pad_token_id": PAD, "use_cache": True,
    })  # fmt: skip
    write_json("generation_config.json", {
        "bos_token_id": END, "eos_token_id": END, "pad_token_id": PAD, "do_sample": False, "max_new_tokens": 256,
    })  # fmt: skip
    write_json("tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": SHAPE.positions, "add_bos_token": False,
        "add_eos_token": False, "bos_token": "<|end|>", "eos_token": "<|end|>", "pad_token": "<|pad|>",
        "padding_side": "left", "clean_up_tokenization_spaces": False, "chat_template": TEMPLATE,
    })  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--weights", type=Path, required=True, help="where the trained weights are kept (.npz)")
    weights = arguments.parse_args().weights
    OUT.mkdir(parents=True, exist_ok=True)
    # The trainer of tokenizers may break ties by chance, so a tokenizer that is there is kept: weights belong to it.
    vocabulary = OUT / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(vocabulary)) if vocabulary.exists() else train_tokenizer()
    tokenizer.save(str(vocabulary))
    write_configuration()
    questions = [
        {"kind": kind.__name__, "question": q, "answer": a} for kind in EXACT for q, a in heldout_questions(kind, 20)
    ]
    rows = ",\n".join(f"  {json.dumps(row)}" for row in questions)
    (OUT / "heldout.json").write_text(f"[\n{rows}\n]\n")
    if not weights.exists():
        trained = initial(SHAPE, SEED)
        for number in range(len(ROUNDS)):
            trained = train(tokenizer, trained, number)
        np.savez(weights, **trained)
    params = dict(np.load(weights))
    for integer, name in ((False, "model.onnx"), (True, "model_quantized.onnx")):
        path = OUT / "onnx" / name
        write_graph(params, integer, path)
        score = measure(tokenizer, path)
        print(f"{name}: {path.stat().st_size / 1e6:.2f} MB, largest difference to the training form {largest_difference(tokenizer, params, path):.1e}")
        print(f"  held-out loss {heldout_loss(tokenizer, path):.4f} a token")
        print("  " + ", ".join(f"{kind} {hit}/{all_}" for kind, (hit, all_) in score.items()))
        print(f"  all: {sum(h for h, _ in score.values())}/{sum(a for _, a in score.values())}")


if __name__ == "__main__":
    main()
