"""Trains the finder of features (`src/pipeline/intent/entity/finder.rs`): which words of an order name what the thing shall have.

Called by `intents.py`. A linear chain of conditional probabilities that tags each word as outside, first or further word of a
feature, over hashed features of the words around it, of the thing that is spoken of and of whether a list goes on; spans, looked
at again by `intent_spans.py`, count that are probable enough, and none is torn at a hyphen. The word lists are those of
`entity/listed.rs` and `entity/finder.rs`, read from there, so that both see the same. Of an author by others, features F1: 0.812 by
words and kinds alone, 0.825 with what was before, 0.830 with more neighbours, half words and hiding, 0.831 with hyphens, 0.833 with
orders of one more author and spans by their probability, 0.838 with 672 more in nine manners; half of all turns give 0.816, a
quarter 0.793. Of a hundred turns that somebody else tagged by the definition alone 0.93 is the same as the author's: there is more
to be learnt. Gained nothing or less than a quarter of a hundredth: segments with scores of their own, the intent, capitals, words at
a distance of three, how a sentence begins, what opens a list further on, the mean of weights by several seeds or epochs, and 3,800
words by what they are (people, goods, parts of a screen, verbs), which helped with the older authors and harmed with the newer ones.
"""
import functools, random, re, zlib
from pathlib import Path
import numpy as np

ENTITY = Path(__file__).resolve().parent.parent / "src/pipeline/intent/entity"
LISTED = (ENTITY / "listed.rs").read_text()
BUCKETS = 131072
EPOCHS, BATCH, RATE = 12, 64, 0.1
# Of what is seen of a word so much is hidden in training, each time something else: what stands around a word that nobody has said
# before has to do.
HIDDEN = 0.35
# Draws weights to nothing.
SHRINK = 1e-3
# A feature is found that is more probable than this; one that the product knows by name, than this. What is longer than so many
# words is none.
ENOUGH, ENOUGH_KNOWN = 0.45, 0.2
LONGEST = 9
TAGS = 3
# What has been before a word: no feature yet, the first word of one, a further word, a feature and only joints behind it, a feature
# and something else.
NONE, FIRST, FURTHER, JOINED, PAST = STATES = range(5)
NEVER = -1e4


def table(name):
    return set(re.findall(r'"([^"]+)"', re.search(name + r": &\[&str\] =\s*&\[(.*?)\];", LISTED, re.S).group(1)))


OPENS, CLOSES, REFUSES, EMPTY, NO_FEATURE = map(table, ("OPENS", "CLOSES", "REFUSES", "EMPTY", "NO_FEATURE"))
KNOWN = {word: key for key, words in re.findall(r'\("([^"]+)", &\[([^\]]*)\]\)', LISTED)
         for word in re.findall(r'"([^"]+)"', words)}
FINDER = (ENTITY / "finder.rs").read_text()
THINGS = {word: key for key, words in re.findall(r'\("(.)", &\[([^\]]*)\]\)', FINDER) for word in re.findall(r'"([^"]+)"', words)}
JOINTS = set(re.findall(r'"([^"]+)"', re.search(r"JOINTS: &\[&str\] =\s*&\[(.*?)\];", FINDER, re.S).group(1)))


# The same as `token.rs` and `finder.rs`, word for word.

def tokens(text):
    """The words; those that a hyphen ties to the one before begin with it: "check", "-in"."""
    out, word, tie = [], "", ""
    def flush():
        nonlocal word, tie
        plain = word.strip("'")
        if plain:
            out.append(tie + plain)
            tie = ""
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
            ties = c == "-" and word.strip("'") and after.isalnum()
            flush()
            tie = "-" if ties else tie
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
def hashed(feature):
    h = 0x811C9DC5
    for byte in feature.encode():
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return h


def bucket(feature):
    return hashed(feature) % BUCKETS


def untied(low):
    """The words as such, their kinds, which end a piece of a list, and which stand at a hyphen: "do-not-mail flag" refuses nothing."""
    words = [word.removeprefix("-") for word in low]
    inside = [any(word[0] == "-" for word in low[k:k + 2]) for k in range(len(low))]
    kinds = ["x" if tied and sign not in "Ks" else sign for tied, sign in zip(inside, map(kind, words))]
    return words, kinds, [word in PARTS and not tied for word, tied in zip(words, inside)], inside


PARTS = (",", ".", "and", "or")


def seen(low):
    """Per word: the buckets of what does not depend on the tag before, and of what does."""
    low, kinds, parts, _ = untied(low)
    w = lambda k: "<" if k < 0 else ">" if k >= len(low) else low[k]
    c = lambda k: "<" if k < 0 else ">" if k >= len(low) else kinds[k]
    # The piece between two pauses or "and"s that each word is in, and the lengths of its neighbours.
    first = [0] * len(low)
    end = [0] * len(low)
    for k in range(len(low)):
        first[k] = first[k - 1] if k and not parts[k] and not parts[k - 1] else k
    for k in reversed(range(len(low))):
        end[k] = end[k + 1] if k + 1 < len(low) and not parts[k] and not parts[k + 1] else k + 1
    thing = next((THINGS[word] for word in low if word in THINGS), "-")
    out = []
    opened, opener, since = "", "", 0
    for i, word in enumerate(low):
        b, e = min(i - first[i], 6), min(end[i] - 1 - i, 6)
        length = min(end[i] - first[i], 7)
        before = first[i] - 2
        left = 9 if before < 0 else 0 if parts[before] else min(before + 1 - first[before], 4)
        behind = end[i] + 1
        right = 9 if behind >= len(low) else 0 if parts[behind] else min(end[behind] - behind, 4)
        rows = [
            f"a {word}", f"b {w(i - 1)}", f"c {w(i + 1)}", f"d {c(i)}", f"e {c(i - 1)} {c(i)}", f"f {c(i)} {c(i + 1)}",
            f"g {c(i - 2)} {c(i - 1)} {c(i)}", f"h {c(i)} {c(i + 1)} {c(i + 2)}", f"i {c(i - 1)} {c(i)} {c(i + 1)}",
            f"j {w(i - 2)} {w(i - 1)}", f"k {w(i - 1)} {c(i)}", f"l {w(i + 1)} {w(i + 2)}", f"m {word[-3:]}", f"n {word[-2:]}",
            f"o {c(i - 2)} {c(i - 1)} {c(i)} {c(i + 1)} {c(i + 2)}", f"p {b} {e}", f"q {length} {c(i)}",
            f"r {w(first[i] - 1)} {w(end[i])} {length}", f"s {left} {length} {right}", f"t {opener}", f"u {opened} {c(i)}",
            f"v {thing} {c(i)}", f"w {thing} {word}", f"x {thing} {opener}", f"y {word} {w(i + 1)}", f"z {w(i - 1)} {word}",
            f"1 {w(i - 2)}", f"2 {w(i + 2)}", f"3 {w(first[i])} {b}", f"4 {w(end[i] - 1)} {e}", f"5 {word[-4:]}", f"6 {word[:4]}",
            f"7 {opener} {min(since, 8)}", f"8 {w(first[i] - 1)} {w(first[i])} {b}", f"9 {w(first[i])} {w(first[i] + 1)}",
        ]
        tagged = [f"A {c(i)}", f"B {word}", f"C {c(i - 1)} {c(i)}", "D", f"E {length}", f"F {w(i - 1)}", f"G {c(i)} {c(i + 1)}",
                  f"H {thing}", f"I {length} {right}"]
        out.append(([bucket(row) for row in rows], [[bucket(f"{row} {state}") for row in tagged] for state in STATES]))
        since += 1
        if kinds[i] in "OCR":
            opened, opener, since = kinds[i], word, 0
        elif word == ".":
            opened, opener, since = "", "", 0
    rows, tagged = zip(*out)
    return np.array(rows, np.int32), np.array(tagged, np.int32)


def barred(low):
    """By word, state before and tag: no further word behind none, no pause in a feature, none that begins or ends at a hyphen."""
    out = np.zeros((len(low), len(STATES), TAGS), np.float32)
    tied = [k for k, word in enumerate(low) if word[0] == "-"]
    out[tied, :, 1] = NEVER
    out[np.ix_(tied, (FIRST, FURTHER), (0,))] = NEVER
    out[:, (NONE, JOINED, PAST), 2] = NEVER
    out[[k for k, word in enumerate(low) if word in (",", ".")], :, 1:] = NEVER
    return out


def outside(low):
    """By word and state before: the state behind it where it is outside."""
    out = np.full((len(low), len(STATES)), PAST)
    out[:, NONE] = NONE
    words, kinds, _, inside = untied(low)
    joints = [k for k, word in enumerate(words) if not inside[k] and (word in (",", ".") or kinds[k] in "&E" or word in JOINTS)]
    out[np.ix_(joints, (FIRST, FURTHER, JOINED))] = JOINED
    return out


def scores(rows, tagged, bars, w, shown=None):
    """By word, state before and tag."""
    alone = w[rows] if shown is None else w[rows] * shown[:, :, None]
    return w[tagged].sum(axis=2) + alone.sum(axis=1)[:, None, :] + bars


def by_states(by_tags, to):
    """By word, state before and state behind."""
    out = np.full((len(to), len(STATES), len(STATES)), NEVER, np.float32)
    out[:, :, FIRST], out[:, :, FURTHER] = by_tags[:, :, 1], by_tags[:, :, 2]
    np.put_along_axis(out, to[:, :, None], by_tags[:, :, :1], 2)
    return out


def summed(x, axis):
    """The logarithm of the sum."""
    top = x.max(axis=axis, keepdims=True)
    return (top + np.log(np.exp(x - top).sum(axis=axis, keepdims=True))).squeeze(axis)


def likely(low, w):
    """By first word and length less one: how probable it is that just these words are a feature."""
    by_tags, to = scores(*seen(low), barred(low), w).astype(np.float64), outside(low)
    moves, count = by_states(by_tags, to).astype(np.float64), len(low)
    before, behind = np.full((count + 1, len(STATES)), NEVER), np.zeros((count + 1, len(STATES)))
    before[0, NONE] = 0
    for t in range(count):
        before[t + 1] = summed(before[t][:, None] + moves[t], 0)
    for t in reversed(range(count)):
        behind[t] = summed(moves[t] + behind[t + 1], 1)
    out = np.zeros((count, LONGEST))
    for t in range(count):
        inside = summed(before[t] + by_tags[t, :, 1], 0) - behind[0, NONE]
        for more in range(min(LONGEST, count - t)):
            state, after = FURTHER if more else FIRST, t + more + 1
            inside += by_tags[t + more, FIRST if more == 1 else FURTHER, 2] if more else 0.0
            ends = [by_tags[after, state, 0] + behind[after + 1, to[after, state]],
                    by_tags[after, state, 1] + behind[after + 1, FIRST]] if after < count else [0.0]
            out[t, more] = np.exp(inside + summed(np.array(ends), 0))
    return out


def best(low, probable):
    """The tags of the spans that are probable enough, by first word and length less one: 0 outside, 1 first, 2 further."""
    gains, total, length = probable - ENOUGH, [0.0], []
    words = untied(low)[0]
    for start, more in np.ndindex(gains.shape):
        gains[start, more] += (ENOUGH - ENOUGH_KNOWN) * (" ".join(words[start:start + more + 1]) in KNOWN)
    for end in range(1, len(low) + 1):
        ways = [total[-1]] + [total[end - n] + gains[end - n, n - 1] for n in range(1, min(LONGEST, end) + 1)]
        length.append(int(np.argmax(ways)))
        total.append(ways[length[-1]])
    out, end = [0] * len(low), len(low)
    while end:
        n = length[end - 1]
        out[end - n:end] = [1, *[2] * (n - 1)][:n]
        end -= max(n, 1)
    return out


@functools.cache
def prepared(low, tags):
    return np.array(tags), outside(low), *seen(low), barred(low)


def train(examples):
    """Of (low-case words, tags)."""
    data = [prepared(tuple(low), tuple(tags)) for low, tags in examples if low]
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
            # The words of all of them one after the other, and the turn and place of each.
            tags, to, rows, tagged, bars = (np.concatenate(part) for part in zip(*(data[k] for k in picked)))
            count, ends = len(picked), lengths[picked]
            turn, place = np.repeat(np.arange(count), ends), np.concatenate([np.arange(end) for end in ends])
            longest = ends.max()
            shown = (dice.random(rows.shape, np.float32) >= HIDDEN) / np.float32(1 - HIDDEN)
            moves = np.full((count, longest, len(STATES), len(STATES)), NEVER, np.float32)
            moves[turn, place] = by_states(scores(rows, tagged, bars, w, shown), to)
            before = np.full((count, longest + 1, len(STATES)), NEVER, np.float32)
            before[:, 0, NONE] = 0
            for t in range(longest):
                before[:, t + 1] = summed(before[:, t][:, :, None] + moves[:, t], 1)
            behind = np.zeros((count, longest, len(STATES)), np.float32)
            for t in range(longest - 2, -1, -1):
                behind[:, t] = summed(moves[:, t + 1] + behind[:, t + 1][:, None, :], 2) * (t + 1 < ends)[:, None]
            whole = summed(before[np.arange(count), ends], 1)
            likely = np.exp((before[:, :-1][:, :, :, None] + moves + behind[:, :, None, :])[turn, place] - whole[turn][:, None, None])
            g = np.stack([np.take_along_axis(likely, to[:, :, None], 2)[:, :, 0], likely[:, :, FIRST], likely[:, :, FURTHER]], 2)
            state = NONE
            for t, tag in enumerate(tags):
                state = NONE if place[t] == 0 else state
                g[t, state, tag] -= 1
                state = tag or to[t, state]
            at = np.concatenate([rows.ravel(), tagged.ravel()])
            by = np.concatenate([(g.sum(axis=1)[:, None, :] * shown[:, :, None]).reshape(-1, TAGS),
                                 np.repeat(g.reshape(-1, TAGS), tagged.shape[2], 0)])
            used = np.flatnonzero(np.bincount(at, minlength=BUCKETS))
            g = np.stack([np.bincount(at, by[:, tag], BUCKETS)[used] for tag in range(TAGS)], axis=1) / count + SHRINK * w[used]
            squares[used] += g * g
            w[used] -= RATE * (1 - 0.9 * step / steps) * g / (np.sqrt(squares[used]) + 1e-4)
            step += 1
    return w


def tagged_turn(text, features):
    low = [word.lower() for word in tokens(text)]
    words = [word.removeprefix("-") for word in low]
    tags = [0] * len(words)
    for feature in features:
        name = [word.lower().removeprefix("-") for word in tokens(feature)]
        for i in range(len(words) - len(name) + 1):
            if name and words[i:i + len(name)] == name and not any(tags[i:i + len(name)]):
                tags[i:i + len(name)] = [1] + [2] * (len(name) - 1)
                break
    # Where an author has a feature end at a hyphen, it ties nothing.
    return [words[k] if tags[k] == 1 or k and tags[k - 1] and not tags[k] else word for k, word in enumerate(low)], tags


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
    """As a recogniser might write it: without a comma or hyphen."""
    kept = [k for k, word in enumerate(words) if word not in (",", ".")]
    return [words[k].removeprefix("-") for k in kept], [tags[k] for k in kept]


def found(low, probable):
    out = []
    for word, tag in zip((word.removeprefix("-") for word in low), best(low, probable)):
        if tag == 1:
            out.append(word)
        elif tag == 2:
            out[-1] += " " + word
    return out


def canonical(name):
    name = name.replace("-", " ")
    return KNOWN.get(name) or KNOWN.get(name.rsplit(" ", 1)[-1]) or name


def quantised(w):
    """What one step is worth and the steps, 8 bits each."""
    scale = np.float32(np.abs(w).max() / 127)
    return scale, np.clip(np.round(w / scale), -127, 127).astype(np.int8)


def as_read(w):
    """The weights as they are read from the file."""
    scale, steps = quantised(w)
    return steps * scale
