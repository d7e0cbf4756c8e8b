"""Trains the second look of the finder of features (`src/pipeline/intent/entity/span.rs`): whether a whole span is one.

Called by `intents.py`. The chain of `intent_features.py` sees a few words at a time; what it finds at all probable is weighed again
by a logistic regression over the span and its turn: how probable it and what overlaps it are, what else the turn names, which
word opens the clause, the span's edges, and how often its words are words of features. It learns from spans of authors whom the
chain that found them did not know, and the words' odds are counted without that author, for so will a caller be; from turns with
and without commas, or it finds less in what was heard. Of an author by others features F1 rose from 0.833 to 0.840, in five
of six groups of authors (in one, of one author, it fell from 0.895 to 0.889), where the chains from whose spans it learnt did not
know that author either (fifteen more chains). Where they did it unlearns what they had from him, so what `intents.py` prints is too
low by half a hundredth. Gained nothing: neurons instead, pieces between commas, the other words of the turn, the sentence, the
intent, spans that are a word longer or shorter, and odds of pairs of words. Without the odds half of the gain is lost.
"""
import math
import numpy as np
import intent_features as finder

BUCKETS, WORDS = 65536, 32768
# What the chain finds less probable is not looked at.
LOOKED_AT = 0.04
# What a feature counts beside a number.
FEATURE = 0.5
EPOCHS, BATCH, RATE, SHRINK = 8, 64, 0.15, 3e-3
# Steps of a word's odds in one.
ODDS_STEP = 32


def odds(turns):
    """By bucket of a word how much more often it is in a feature than not, of (words, tags); nothing of words that none said."""
    inside, beside = np.zeros(WORDS), np.zeros(WORDS)
    for low, tags in turns:
        for word, tag in zip(low, tags):
            (inside if tag else beside)[finder.hashed("word " + word.removeprefix("-")) % WORDS] += 1
    value = np.log((inside + 0.5) / (beside + 0.5)) / 3
    return np.where(inside + beside > 0, np.clip(np.round(value * ODDS_STEP), -127, 127), 0).astype(np.int8)


# The same as `span.rs`, number by number.

def logit(p):
    p = min(max(p, 1e-4), 1 - 1e-4)
    return math.log(p / (1 - p)) / 3


def spans(low, likely, odds):
    """The spans to look at: where each begins and ends, its numbers, the buckets of its features."""
    words, kinds, *_ = finder.untied(low)
    count = len(words)
    w = lambda k: "<" if k < 0 else ">" if k >= count else words[k]
    c = lambda k: "<" if k < 0 else ">" if k >= count else kinds[k]
    all_of = [(start, start + more + 1, float(likely[start, more])) for start, more in zip(*np.nonzero(likely > LOOKED_AT))]
    total = sum(p for *_, p in all_of)
    of_word = [odds[finder.hashed("word " + word) % WORDS] / ODDS_STEP for word in words]
    out = []
    for start, end, p in all_of:
        across = [q for s, e, q in all_of if s < end and start < e and (s, e) != (start, end)]
        before = [(e, q) for s, e, q in all_of if e <= start]
        after = [(s, q) for s, e, q in all_of if s >= end]
        others = total - p - sum(across)
        alone = float(others < 0.5)
        numbers = [
            1.0, logit(p), logit(p) ** 2, logit(max(across, default=0.0)), logit(min(0.999, p + sum(across))),
            max((q for _, q in before), default=0.0), max((q for _, q in after), default=0.0),
            max((q for e, q in before if e >= start - 2), default=0.0), max((q for s, q in after if s <= end + 2), default=0.0),
            min(others, 6.0) / 3, alone, alone * logit(p), (end - start) / 5, sum(of_word[start:end]) / (end - start), of_word[end - 1],
        ]
        opener = next((words[k] for k in reversed(range(start)) if kinds[k] in "OCR"), "-")
        first, head, fifth = words[start], words[end - 1], int(p * 5)
        rows = [
            f"a {w(start - 1)}", f"b {w(end)}", f"c {head}", f"d {first}", f"e {opener}", f"f {c(start - 1)} {c(end)}",
            f"g {' '.join(kinds[start:end])}", f"h {min(end - start, 6)}", f"i {head[-3:]}", f"j {first[-3:]}",
            f"k {int(p * 8)} {min(int(others + 0.5), 3)}", f"l {fifth} {w(start - 1)}", f"m {fifth} {opener}",
            f"n {fifth} {min(end - start, 5)}",
        ]
        out.append((start, end, numbers, [finder.hashed(row) % BUCKETS for row in rows]))
    return out


def probable(low, likely, model):
    """By first word and length less one, as `likely` is."""
    features, numbers, odds = model
    out = np.zeros_like(likely)
    for start, end, values, buckets in spans(low, likely, odds):
        says = sum(n * v for n, v in zip(numbers.tolist(), values)) + FEATURE * sum(features[buckets].tolist())
        out[start, end - start - 1] = 1 / (1 + math.exp(-says))
    return out


def train(turns):
    """Of (words, tags, what the chain found likely, odds), the last two by what did not know the turn: weights of features as read from
    the file, and of numbers."""
    buckets, numbers, wanted = [], [], []
    for low, tags, likely, odds in turns:
        ends = [k + 1 for k, tag in enumerate(tags) if tag and (k + 1 == len(tags) or tags[k + 1] != 2)]
        meant = set(zip((k for k, tag in enumerate(tags) if tag == 1), ends))
        for start, end, values, at in spans(low, likely, odds):
            buckets.append(at)
            numbers.append(values)
            wanted.append((start, end) in meant)
    buckets, numbers, wanted = np.array(buckets), np.array(numbers), np.array(wanted, float)
    w, squares = np.zeros(BUCKETS), np.zeros(BUCKETS)
    n, of_numbers = np.zeros(numbers.shape[1]), np.zeros(numbers.shape[1])
    dice, order = np.random.default_rng(1), np.arange(len(wanted))
    for epoch in range(EPOCHS):
        dice.shuffle(order)
        rate = RATE * (1 - 0.9 * epoch / EPOCHS)
        for k in range(0, len(order), BATCH):
            picked = order[k:k + BATCH]
            at, x = buckets[picked], numbers[picked]
            off = 1 / (1 + np.exp(-(x @ n + FEATURE * w[at].sum(axis=1)))) - wanted[picked]
            used, column = np.unique(at, return_inverse=True)
            g = np.bincount(column.ravel(), np.repeat(off * FEATURE, at.shape[1])) / len(picked) + SHRINK * w[used]
            squares[used] += g * g
            w[used] -= rate * g / (np.sqrt(squares[used]) + 1e-4)
            g = x.T @ off / len(picked) + SHRINK * n
            of_numbers += g * g
            n -= rate * g / (np.sqrt(of_numbers) + 1e-4)
    return finder.as_read(w.astype(np.float32)), n.astype(np.float32)


def written(chain, model, path):
    """Writes the file that `finder.rs` and `span.rs` describe."""
    features, numbers, odds = model
    parts = [part for table in (chain, features) for part in finder.quantised(table)]
    path.write_bytes(b"".join(part.tobytes() for part in (*parts, numbers, odds)))
