"""Trains the finder of features (`src/pipeline/intent/entity/finder.rs`): which words of an order name what the thing shall have.

Called by `intents.py`. A linear chain of conditional probabilities that tags each word as outside, first or further word of a
feature, over hashed features of the words around it and of the thing that is spoken of; the best sequence counts. The word lists
are those of `entity/listed.rs` and `entity/finder.rs`, read from there, so that both see the same.
"""
import functools, random, re, zlib
from pathlib import Path
import numpy as np

ENTITY = Path(__file__).resolve().parent.parent / "src/pipeline/intent/entity"
LISTED = (ENTITY / "listed.rs").read_text()
BUCKETS = 65536
EPOCHS, BATCH, RATE = 12, 64, 0.1
# Draws weights to nothing.
SHRINK = 1e-3
# A feature missed costs more than one too many, up to here.
BIAS = 0.45
TAGS = 3
NEVER = -1e4


def table(name):
    return set(re.findall(r'"([^"]+)"', re.search(name + r": &\[&str\] =\s*&\[(.*?)\];", LISTED, re.S).group(1)))


OPENS, CLOSES, REFUSES, EMPTY, NO_FEATURE = map(table, ("OPENS", "CLOSES", "REFUSES", "EMPTY", "NO_FEATURE"))
KNOWN = {word: key for key, words in re.findall(r'\("([^"]+)", &\[([^\]]*)\]\)', LISTED)
         for word in re.findall(r'"([^"]+)"', words)}
THINGS = {word: key for key, words in re.findall(r'\("(.)", &\[([^\]]*)\]\)', (ENTITY / "finder.rs").read_text())
          for word in re.findall(r'"([^"]+)"', words)}


# The same as `token.rs` and `finder.rs`, word for word.

def tokens(text):
    out, word = [], ""
    def flush():
        nonlocal word
        plain = word.strip("'")
        if plain:
            out.append(plain)
        word = ""
    for k, c in enumerate(text):
        c = "'" if c == "\u2019" else c
        after = text[k + 1] if k + 1 < len(text) else " "
        last = word[-1:]
        if c.isalnum() or c == "'" or c == "," and last.isdigit() and after.isdigit() \
                or c == "." and last.isalnum() and (after.isdigit() or "a" <= after <= "z") or c in "+#" and last:
            word += c
        elif c in "$\u20ac\u00a3\u00a5\u20b9":
            flush()
            out.append(c)
        else:
            spelled = c == "." and len(word) == 1 and word.isalpha()
            flush()
            pause = "," if c in ',:()"\u2013\u2014' else "." if c in ".!?;\n" and not spelled else ""
            if pause and out and out[-1] not in (",", "."):
                out.append(pause)
    flush()
    return out


def kind(word):
    if word in (",", "."):
        return word
    for sign, words in (("K", KNOWN), ("E", EMPTY), ("O", OPENS), ("C", CLOSES), ("N", NO_FEATURE), ("R", REFUSES)):
        if word in words:
            return sign
    return "&" if word in ("and", "or") else "#" if word[0] in "0123456789" else "s" if word.endswith("s") else "x"


@functools.cache
def bucket(feature):
    h = 0x811C9DC5
    for byte in feature.encode():
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return h % BUCKETS


PARTS = (",", ".", "and", "or")


def seen(low):
    """Per word: the buckets of what does not depend on the tag before, and of what does."""
    kinds = [kind(word) for word in low]
    w = lambda k: "<" if k < 0 else ">" if k >= len(low) else low[k]
    c = lambda k: "<" if k < 0 else ">" if k >= len(low) else kinds[k]
    # The piece between two pauses or "and"s that each word is in, and the lengths of its neighbours.
    first = [0] * len(low)
    end = [0] * len(low)
    for k in range(len(low)):
        first[k] = first[k - 1] if k and low[k] not in PARTS and low[k - 1] not in PARTS else k
    for k in reversed(range(len(low))):
        end[k] = end[k + 1] if k + 1 < len(low) and low[k] not in PARTS and low[k + 1] not in PARTS else k + 1
    thing = next((THINGS[word] for word in low if word in THINGS), "-")
    out = []
    opened, opener = "", ""
    for i, word in enumerate(low):
        b, e = min(i - first[i], 6), min(end[i] - 1 - i, 6)
        length = min(end[i] - first[i], 7)
        before = first[i] - 2
        left = 9 if before < 0 else 0 if low[before] in PARTS else min(before + 1 - first[before], 4)
        behind = end[i] + 1
        right = 9 if behind >= len(low) else 0 if low[behind] in PARTS else min(end[behind] - behind, 4)
        rows = [
            f"a {word}", f"b {w(i - 1)}", f"c {w(i + 1)}", f"d {c(i)}", f"e {c(i - 1)} {c(i)}", f"f {c(i)} {c(i + 1)}",
            f"g {c(i - 2)} {c(i - 1)} {c(i)}", f"h {c(i)} {c(i + 1)} {c(i + 2)}", f"i {c(i - 1)} {c(i)} {c(i + 1)}",
            f"j {w(i - 2)} {w(i - 1)}", f"k {w(i - 1)} {c(i)}", f"l {w(i + 1)} {w(i + 2)}", f"m {word[-3:]}", f"n {word[-2:]}",
            f"o {c(i - 2)} {c(i - 1)} {c(i)} {c(i + 1)} {c(i + 2)}", f"p {b} {e}", f"q {length} {c(i)}",
            f"r {w(first[i] - 1)} {w(end[i])} {length}", f"s {left} {length} {right}", f"t {opener}", f"u {opened} {c(i)}",
            f"v {thing} {c(i)}", f"w {thing} {word}", f"x {thing} {opener}",
        ]
        tagged = [f"A {c(i)}", f"B {word}", f"C {c(i - 1)} {c(i)}", "D"]
        out.append(([bucket(row) for row in rows], [[bucket(f"{row} {tag}") for row in tagged] for tag in range(3)]))
        if kinds[i] in "OCR":
            opened, opener = kinds[i], word
        elif word == ".":
            opened, opener = "", ""
    return np.array([row for row, _ in out]).reshape(len(low), -1), np.array([row for _, row in out]).reshape(len(low), 3, -1)


def barred(low):
    """What no sequence has: a further word behind none, a pause in a feature."""
    out = np.zeros((len(low), TAGS, TAGS), np.float32)
    out[:, 0, 2] = NEVER
    if low:
        out[0, 1:] = NEVER
    out[[k for k, word in enumerate(low) if word in (",", ".")], :, 1:] = NEVER
    return out


def scores(rows, tagged, bars, w):
    """By word, tag before and tag."""
    return w[tagged].sum(axis=2) + w[rows].sum(axis=1)[:, None, :] + bars


def best(low, w):
    """The tags: 0 outside, 1 first, 2 further."""
    if not low:
        return []
    score, back = None, []
    for by_tags in scores(*seen(low), barred(low), w):
        total = by_tags if score is None else score[:, None] + by_tags
        back.append(total.argmax(axis=0))
        score = total[0] if score is None else total.max(axis=0)
    tag, out = int(score.argmax()), []
    for from_tags in reversed(back):
        out.append(tag)
        tag = int(from_tags[tag])
    return out[::-1]


def summed(x, axis):
    """The logarithm of the sum."""
    top = x.max(axis=axis, keepdims=True)
    return (top + np.log(np.exp(x - top).sum(axis=axis, keepdims=True))).squeeze(axis)


def train(examples):
    """Of (low-case words, tags)."""
    data = [(np.array(tags), *seen(low), barred(low)) for low, tags in examples if low]
    lengths = np.array([len(tags) for tags, *_ in data])
    w, squares = np.zeros((BUCKETS, TAGS), np.float32), np.zeros((BUCKETS, TAGS), np.float32)
    dice = np.random.default_rng(5)
    steps, step = (len(data) + BATCH - 1) // BATCH * EPOCHS, 0
    for _ in range(EPOCHS):
        # Together what is of about one length.
        order = np.lexsort((dice.random(len(data)), lengths + dice.integers(0, 4, len(data))))
        batches = [order[k:k + BATCH] for k in range(0, len(order), BATCH)]
        dice.shuffle(batches)
        for picked in batches:
            some, count, ends = [data[k] for k in picked], len(picked), lengths[picked]
            longest = ends.max()
            by_tags = np.zeros((count, longest, TAGS, TAGS), np.float32)
            for k, (_, *turn) in enumerate(some):
                by_tags[k, :ends[k]] = scores(*turn, w)
            before = np.full((count, longest, TAGS), NEVER, np.float32)
            before[:, 0] = by_tags[:, 0, 0]
            for t in range(1, longest):
                before[:, t] = summed(before[:, t - 1][:, :, None] + by_tags[:, t], 1)
            behind = np.zeros((count, longest, TAGS), np.float32)
            for t in range(longest - 2, -1, -1):
                behind[:, t] = summed(by_tags[:, t + 1] + behind[:, t + 1][:, None, :], 2) * (t + 1 < ends)[:, None]
            whole = summed(before[np.arange(count), ends - 1], 1)
            at, by = [], []
            for k, (tags, rows, tagged, _) in enumerate(some):
                end = ends[k]
                g = np.zeros((end, TAGS, TAGS), np.float32)
                g[0, 0] = np.exp(by_tags[k, 0, 0] + behind[k, 0] - whole[k])
                g[1:] = np.exp(before[k, :end - 1][:, :, None] + by_tags[k, 1:end] + behind[k, 1:end][:, None, :] - whole[k])
                g[np.arange(end), np.append(0, tags[:-1]), tags] -= 1
                at += [rows.ravel(), tagged.ravel()]
                by += [np.repeat(g.sum(axis=1), rows.shape[1], 0), np.repeat(g.reshape(-1, TAGS), tagged.shape[2], 0)]
            at, by = np.concatenate(at), np.concatenate(by)
            used, column = np.unique(at, return_inverse=True)
            g = np.stack([np.bincount(column, by[:, tag], len(used)) for tag in range(TAGS)], axis=1) / count + SHRINK * w[used]
            squares[used] += g * g
            w[used] -= RATE * (1 - 0.9 * step / steps) * g / (np.sqrt(squares[used]) + 1e-4)
            step += 1
    for tag in range(TAGS):
        w[bucket(f"D {tag}"), 0] -= BIAS
    return w


def tagged_turn(text, features):
    words = [word.lower() for word in tokens(text)]
    tags = [0] * len(words)
    for feature in features:
        name = [word.lower() for word in tokens(feature)]
        for i in range(len(words) - len(name) + 1):
            if name and words[i:i + len(name)] == name and not any(tags[i:i + len(name)]):
                tags[i:i + len(name)] = [1] + [2] * (len(name) - 1)
                break
    return words, tags


def of_patterns(lines, lists, expand, count=3):
    """Orders written out of patterns with $feat, so that the names of what it puts in are known."""
    out = []
    for label, text in lines:
        if label.startswith("$") or "$feat" not in text or not (label.startswith("build") or label.startswith("amend")):
            continue
        dice = random.Random(zlib.crc32((label + text).encode()))
        for _ in range(count):
            names, left = [], text.strip()
            while "$feat" in left:
                name = dice.choice(lists["feat"])
                names.append(re.sub("^(a|an|the) ", "", name))
                left = left.replace("$feat", name, 1)
            out.append(tagged_turn(expand(left, lists, dice), names))
    return out


def unpunctuated(words, tags):
    """As a recogniser might write it: without a comma."""
    kept = [k for k, word in enumerate(words) if word not in (",", ".")]
    return [words[k] for k in kept], [tags[k] for k in kept]


def found(low, w):
    tags, out = best(low, w), []
    for word, tag in zip(low, tags):
        if tag == 1:
            out.append(word)
        elif tag == 2:
            out[-1] += " " + word
    return out


def canonical(name):
    name = name.replace("-", " ")
    return KNOWN.get(name) or KNOWN.get(name.rsplit(" ", 1)[-1]) or name


def quantised(w):
    return np.clip(np.round(w * (127 / np.abs(w).max())), -127, 127).astype(np.int8)
