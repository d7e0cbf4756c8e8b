#!/usr/bin/env python3
"""Trains which of the sums, times, counts and names of an order its caller means (`src/pipeline/intent/entity/meant.rs`).

    python3 models/intent_slots.py            # needs numpy and cargo; some minutes; the same bytes for the same inputs
    python3 models/intent_slots.py --measure  # what authors who are left out would get, beside the grammar alone

Reads the orders of `intents_strangers*.txt`, `intents_orders.txt`, `intents_manners.txt` and `intents_wishes_*.txt` as the product
itself reads them: the test `for_the_trainer` writes of every turn, as written and as an ear would have it, what may be meant and
what is seen of it, so that nothing is read in two ways. Logistic regression over hashed features, 8 bits a weight. Turns of the
authors before `intents_wishes_1.txt` count twice: they marked with more care. Gained nothing: sums beside sums, the sentences before
and after, words of the clause alone beside those of the sentence.
"""
import argparse, json, os, struct, subprocess, tempfile
from pathlib import Path
import numpy as np

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "src/pipeline/intent/entity/meant.bin"
FILES = ("intents_strangers.txt", "intents_strangers_more.txt", "intents_strangers_orders.txt", "intents_orders.txt",
         "intents_manners.txt", *(f"intents_wishes_{n}.txt" for n in range(1, 5)))
ORDERS = ("build_", "component_mockup", "amend")
BUCKETS = 32768
EPOCHS, BATCH, RATE, SHRINK = 6, 64, 0.15, 1e-3
# Kinds that a turn has several of.
LISTS = "Ti"
LEFT_OUT = ("agm", "bhn", "cio", "djp", "ekq", "f", "ABC", "DEF", "GHI", "JKLM")


def turns():
    """What the product sees of every order, as written and as heard in turn."""
    lines = [line for file in FILES for line in (HERE / file).read_text().splitlines()
             if line.startswith("# -- author ") or line and not line.startswith("#")]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        told = subprocess.run(["cargo", "test", "--locked", "--lib", "--", "--ignored", "--nocapture", "for_the_trainer"],
                              cwd=HERE.parent, env={**os.environ, "CALLWRIGHT_TURNS": file.name}, check=True,
                              stdout=subprocess.PIPE, text=True).stdout
    found = [json.loads(line[line.index("{"):]) for line in told.splitlines() if '"rows"' in line]
    return [{**turn, "heard": n % 2} for n, turn in enumerate(found) if turn["label"].startswith(ORDERS)]


def train(turns):
    """Weights by bucket; the last is of nothing, for rows are of different lengths."""
    rows = [(row[5], row[3], 2.0 if turn["author"].islower() else 1.0) for turn in turns for row in turn["rows"]]
    longest = max(len(seen) for seen, *_ in rows)
    at = np.full((len(rows), longest), BUCKETS, np.int32)
    for k, (seen, *_) in enumerate(rows):
        at[k, :len(seen)] = seen
    meant, counts = (np.array([row[n] for row in rows], float) for n in (1, 2))
    w, squares = np.zeros(BUCKETS + 1), np.zeros(BUCKETS + 1)
    dice, order = np.random.default_rng(1), np.arange(len(rows))
    for epoch in range(EPOCHS):
        dice.shuffle(order)
        rate = RATE * (1 - 0.9 * epoch / EPOCHS)
        for k in range(0, len(order), BATCH):
            picked = order[k:k + BATCH]
            seen = at[picked]
            off = (1 / (1 + np.exp(-w[seen].sum(axis=1))) - meant[picked]) * counts[picked]
            used, column = np.unique(seen, return_inverse=True)
            g = np.bincount(column.ravel(), np.repeat(off, longest)) / len(picked) + SHRINK * w[used]
            squares[used] += g * g
            w[used] -= rate * g / (np.sqrt(squares[used]) + 1e-4)
            w[BUCKETS] = 0
    return w


def quantised(w):
    """What one step is worth, and the steps."""
    step = float(np.abs(w[:BUCKETS]).max() / 127)
    return step, np.clip(np.round(w[:BUCKETS] / step), -127, 127).astype(np.int8)


def written(w):
    step, steps = quantised(w)
    OUT.write_bytes(struct.pack("<f", step) + steps.tobytes())


def judged(w, turn):
    """The rows that are meant, as `meant.rs` takes them; names known by their sound are none."""
    rows, out = turn["rows"], []
    likely = [1 / (1 + np.exp(-w[row[5]].sum())) for row in rows]
    for n in sorted((n for n in range(len(rows)) if likely[n] >= rows[n][6]), key=lambda n: (-likely[n], -n)):
        kind, (start, end) = rows[n][0], rows[n][4]
        if not any(m[4][0] < end and start < m[4][1] or kind not in LISTS and m[0] == kind for m in out):
            out.append(rows[n])
    return out


def measure(turns):
    """F1 of all slots but features, of authors by others."""
    def model(group):
        step, steps = quantised(train([turn for turn in turns if turn["author"] not in group]))
        return step * steps.astype(float)

    models = {group: model(group) for group in LEFT_OUT}
    for heard in (0, 1):
        for groups, who in ((LEFT_OUT[:6], "strangers"), (LEFT_OUT[6:], "who order in whole sentences")):
            for how in ("grammar", "judge"):
                right = said = meant = 0
                for group in groups:
                    for turn in (turn for turn in turns if turn["author"] in group and turn["heard"] == heard):
                        taken = [row for row in turn["rows"] if row[2]] if how == "grammar" else judged(models[group], turn)
                        found = {(row[0], row[1]): row[3] for row in taken}
                        right, said = right + sum(found.values()), said + len(found)
                        meant += len({(row[0], row[1]) if row[0] in LISTS else row[0] for row in turn["rows"] if row[3]})
                        meant += len(turn["missed"])
                print(f"{who}, {('as written', 'as heard')[heard]}, by the {how}: precision {right / said:.3f}, "
                      f"recall {right / meant:.3f}, F1 {2 * right / (said + meant):.3f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true", help="of authors who are left out")
    of_all = turns()
    measure(of_all) if parser.parse_args().measure else written(train(of_all))
