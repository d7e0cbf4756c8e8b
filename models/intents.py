#!/usr/bin/env python3
"""Trains what reads a turn: the intent classifier (`src/pipeline/intent/classifier.rs`) and the finder of features
(`src/pipeline/intent/entity/finder.rs`, by `intent_features.py`), and writes their weights.

    python3 models/intents.py            # needs numpy; some minutes of two cores; the same bytes for the same inputs
    python3 models/intents.py --report   # also which turns of each author the classifier of others mistakes
    python3 models/intents.py --without a   # no turn of author a trains: what a new caller like that would get
    python3 models/intents.py --folds DIR   # also writes the weights by which each author was measured
    python3 models/intents.py --features    # the finder of features alone

Reads `intents_sentences.txt`, `intents_others.txt`, `intents_more.txt`, `intents_idioms.txt` (patterns), `intents_strangers.txt`,
`intents_strangers_more.txt`, `intents_strangers_orders.txt` (turns by sixteen authors), `intents_orders.txt` and
`intents_manners.txt` (orders by two more, for features) and `intents_wishes_1.txt` to `_4` (by thirteen more, for features) beside it, and `lexicon.txt` and `classes.txt` beside the classifier. The temperature, by which a confidence is a probability, is fitted to what the classifier says of each
author's turns when others trained it (two or three are left out at a time). Softmax regression over hashed features: of some 76,000 that
occur twice those that say most train again, alone, and are written with 4 bits a weight; a table of 40,960 buckets in the same
space was a hundredth worse (0.899 against 0.909 of an author by others), for what it does not know disturbs what it does. More
kinds of features (words at a distance, three words, first and last words) gained nothing that could be told from chance. The
finder of features is a linear chain of conditional probabilities over words, their neighbours, the lengths of the pieces
between commas and whether a list goes on (the mean of two: those who say a wish in a whole sentence teach one of them alone), and
a second look at each span that may be one (`intent_spans.py`). The held-out turns
of the tests are not read here, nor are those of `intents_dev.txt` and `intents_guarded.txt`.
What our own recogniser made of 700 of the sentences did not help when it trained, too: of patterns that were left out, 0.687 of
what was heard was right with it and 0.683 without.
"""
import argparse, functools, multiprocessing, random, struct, zlib
from pathlib import Path
import numpy as np
import intent_features as finder
import intent_spans as spans

HERE = Path(__file__).resolve().parent
INTENT = HERE.parent / "src/pipeline/intent"
# So many features have weights, those that count most; keys of 24 bits and 14 octets each keep the file below 500 KB.
FEATURES = 35000
LABELS = ("build_crm build_website build_ecommerce build_api build_dashboard build_blockchain component_mockup status metrics "
          "progress problems history amend approve reject cancel rollback delete knowledge_question transfer repeat hangup "
          "other").split()
EPOCHS, BATCH, RATE = 10, 256, 0.03
# After so many it is chosen which features count.
EPOCHS_ALL = 4
# Doubt over and above what the left-out authors ask for: what fires in vain costs more than what is asked back. The labels
# stay as right.
DOUBT = 1.1
# How much a turn that somebody thought up counts beside one written out of a pattern.
NATURAL = 8.0
AUTHORS = "abcdefghijklmnopqrstuvwxyz"
# Those whose turns the classifier learns; the finder of features learns from all. The others were asked for orders: with them more
# of what is wanted fires (0.73 to 0.77 of an author by others), but also more that is not, in sets that never train.
CLASSIFIED = "abcdefghijk"
# Those that are left out together, so that it takes minutes; the rest knew how these had written and are no measure.
LEFT_OUT = ("agm", "bhn", "cio", "djp", "ekq", "f")
STRANGERS = ("intents_strangers.txt", "intents_strangers_more.txt", "intents_strangers_orders.txt", "intents_orders.txt",
             "intents_manners.txt")
# Orders by authors who tell what they want in whole sentences: for features alone.
WISHES = tuple(f"intents_wishes_{n}.txt" for n in range(1, 5))
WISHERS = "ABCDEFGHIJKLM"
LEFT_OUT_WISHERS = ("ABC", "DEF", "GHI", "JKLM")


# The same as `vectorise.rs`, word for word.

def tokens(text):
    out, word = [], ""
    for c in text.lower().replace("\u2019", "'") + " ":
        if c.isalnum() or c == "'":
            word += c
            continue
        word = word.strip("'")
        if word:
            out.append("#" if any(d in "0123456789" for d in word) else word)
        word = ""
    return out


def rows(name):
    for line in (INTENT / name).read_text().splitlines():
        if line and not line.startswith("# ") and line != "#":
            yield line


LEXICON = {}
for row in rows("lexicon.txt"):
    left, right = row.split(" = ")
    for phrase in left.split():
        LEXICON[tuple(phrase.split("_"))] = right.split()
LEXICON_MAX = max(map(len, LEXICON))


def normalise(text):
    words, out, i = tokens(text), [], 0
    while i < len(words):
        for n in range(min(LEXICON_MAX, len(words) - i), 0, -1):
            found = LEXICON.get(tuple(words[i:i + n]))
            if found is not None:
                out += found
                i += n
                break
        else:
            out.append(words[i])
            i += 1
    return out


CLASSES, KEEP = {}, set()
for row in rows("classes.txt"):
    name, members = row.split(": ")
    for member in members.split():
        words = tuple(normalise(member.replace("_", " "))) or (member,)
        if name == "keep":
            KEEP.update(words)
        else:
            CLASSES.setdefault(words, name)
CLASSES_MAX = max(map(len, CLASSES))


def classes(words):
    out, i = ["<s>"], 0
    while i < len(words):
        for n in range(min(CLASSES_MAX, len(words) - i), 0, -1):
            name = CLASSES.get(tuple(words[i:i + n]))
            if name is not None:
                out.append("<" + name + ">")
                i += n
                break
        else:
            word = words[i] if words[i] in KEEP else "<x>"
            if word != "<x>" or out[-1] != "<x>":
                out.append(word)
            i += 1
    return out + ["</s>"]


# Say too little at a distance.
FILLING = set("the this that it is am are was be been do does did to with of in on at by from up about and or so then please "
              "there here now just really okay well hello hi good thanks out off over has have".split())
# Of so many words of a sentence, the first, pairs at any distance count.
MARKS_MAX = 16


@functools.cache
def key(feature):
    h = 0x811C9DC5
    for byte in feature.encode():
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return h & 0xFFFFFF


def features(text):
    words = normalise(text)
    found = {}
    def add(feature, value):
        at = key(feature)
        found[at] = max(found.get(at, 0.0), value)
    edged = ["<s>"] + words + ["</s>"]
    for n in (1, 2):
        for i in range(len(edged) - n + 1):
            add("w" + str(n) + " " + " ".join(edged[i:i + n]), 1.0)
    stream = classes(words)
    for n in (1, 2, 3):
        for i in range(len(stream) - n + 1):
            add("c" + str(n) + " " + " ".join(stream[i:i + n]), 1.0)
    marks = [t for t in stream[1:-1] if t != "<x>" and t not in FILLING][:MARKS_MAX]
    for i, first in enumerate(marks):
        for second in marks[i + 1:]:
            add("p " + first + " " + second, 0.5)
    for word in words:
        if len(word) < 3 or word in KEEP:
            continue
        edged = "_" + word + "_"
        for n in (3, 4, 5):
            for i in range(len(edged) - n + 1):
                add("h " + edged[i:i + n], 0.7)
    length = sum(v * v for v in found.values()) ** 0.5
    return {k: v / length for k, v in found.items()}


# Patterns.

def expand(pattern, lists, dice):
    while True:
        at = pattern.rfind("{")
        if at >= 0:
            to = pattern.index("}", at)
            pattern = pattern[:at] + dice.choice(pattern[at + 1:to].split("|")) + pattern[to + 1:]
            continue
        at = pattern.find("$")
        if at < 0:
            return " ".join(pattern.split()).replace(" ,", ",")
        to = at + 1
        while to < len(pattern) and pattern[to].isalpha():
            to += 1
        pattern = pattern[:at] + dice.choice(lists[pattern[at + 1:to]]) + pattern[to:]


# The things that are built, by the list of their names.
THINGS = {"build_crm": "$crm", "build_website": "$site", "build_ecommerce": "$shop", "build_api": "$api",
          "build_dashboard": "$dash", "build_blockchain": "$chain"}


def of_each(head, text):
    """A pattern for all things that are built, as one for each of them."""
    label, star, count = head.partition(" *")
    if label != "build_all":
        return [(head, text)]
    return [(label + star + count, text.replace("$thing", name).replace("a $api", "an $api"))
            for label, name in THINGS.items()]


FILES = ("intents_sentences.txt", "intents_others.txt", "intents_more.txt", "intents_idioms.txt")


def of_files():
    """(label or list, pattern), and the lists."""
    lines = [part for file in FILES
             for line in (HERE / file).read_text().splitlines() if line and not line.startswith("#")
             for part in of_each(*line.split(":", 1))]
    return lines, {head[1:]: text.strip().split("|") for head, text in lines if head.startswith("$")}


def sentences():
    """(label, pattern number, text), the same on every run."""
    lines, lists = of_files()
    out, seen = [], set()
    for number, (head, text) in enumerate(lines):
        if head.startswith("$"):
            continue
        label, _, count = head.partition(" *")
        assert label in LABELS, head
        dice = random.Random(zlib.crc32((head + text).encode()))
        for _ in range(int(count or 6) * 2):
            written = expand(text.strip(), lists, dice)
            if written and (label, written) not in seen:
                seen.add((label, written))
                out.append((label, number, written))
    return out


FRAGILE = {"not", "never", "no", "if", "without", "said", "told", "used", "suppose", "might", "may", "last", "ago", "already"}


def worn(text, dice):
    """As a recogniser might write it: without a word or two."""
    words = [w for w in text.replace(",", "").split()
             if w.lower() in FRAGILE or "n't" in w or dice.random() > 0.12]
    return " ".join(words)


def strangers(files=STRANGERS):
    """(author, label, text, slots)"""
    out, author = [], ""
    for line in (line for file in files for line in (HERE / file).read_text().splitlines()):
        if line.startswith("# -- author "):
            author = line[-1]
        elif line and not line.startswith("#"):
            label, text, *slots = [part.strip() for part in line.split(" | ")]
            assert label in LABELS and author in AUTHORS + WISHERS, line
            found = dict(slot.split("=", 1) for slot in ";".join(slots).split(";") if "=" in slot)
            out.append((author, label, text, found))
    return out


@functools.cache
def vector(text):
    found = features(text)
    return np.fromiter(found.keys(), np.int32), np.fromiter(found.values(), np.float32)


def weighed(data):
    """What each turn counts: rare labels more."""
    wanted = np.array([LABELS.index(label) for label, _, _ in data])
    weight = np.array([weight for _, _, weight in data])
    counts = np.bincount(wanted, weights=weight, minlength=len(LABELS))
    of_label = (counts.max() / counts) ** 0.4
    of_label[LABELS.index("other")] *= 1.3
    weight = weight * of_label[wanted]
    return wanted, (weight / weight.mean()).astype(np.float32)


def fitted(inputs, wanted, weight, columns, epochs):
    """Weights (columns x labels) and biases, of turns as (columns, values)."""
    w, b = np.zeros((columns, len(LABELS)), np.float32), np.zeros(len(LABELS), np.float32)
    m, v, mb, vb, step = np.zeros_like(w), np.zeros_like(w), np.zeros_like(b), np.zeros_like(b), 0
    change = np.zeros_like(w)
    order = np.arange(len(inputs))
    shuffle = np.random.default_rng(7)
    for epoch in range(epochs):
        shuffle.shuffle(order)
        rate = RATE * (1 - epoch / epochs)
        for start in range(0, len(order), BATCH):
            picked = order[start:start + BATCH]
            used, column = np.unique(np.concatenate([inputs[at][0] for at in picked]), return_inverse=True)
            row = np.repeat(np.arange(len(picked)), [len(inputs[at][0]) for at in picked])
            x = np.zeros((len(picked), len(used)), np.float32)
            x[row, column] = np.concatenate([inputs[at][1] for at in picked])
            p = softmax(x @ w[used] + b)
            target = np.full_like(p, 0.02 / len(LABELS))
            target[np.arange(len(picked)), wanted[picked]] += 0.98
            g = (p - target) * weight[picked][:, None] / len(picked)
            step += 1
            fix1, fix2 = 1 - 0.9 ** step, 1 - 0.999 ** step
            gw = x.T @ g
            m *= 0.9
            m[used] += 0.1 * gw
            v *= 0.999
            v[used] += 0.001 * gw * gw
            np.sqrt(v, out=change)
            change *= fix2 ** -0.5
            change += 1e-6
            np.divide(m, change, out=change)
            change *= rate / fix1
            w -= change
            gb = g.sum(axis=0)
            mb[:] = 0.9 * mb + 0.1 * gb
            vb[:] = 0.999 * vb + 0.001 * gb * gb
            b -= (rate * (mb / fix1) / (np.sqrt(vb / fix2) + 1e-6)).astype(np.float32)
    return w, b


def only(inputs, keys):
    """The turns by the columns of sorted keys alone."""
    out = []
    for found, values in inputs:
        at = np.minimum(np.searchsorted(keys, found), len(keys) - 1)
        known = keys[at] == found
        out.append((at[known], values[known]))
    return out


def train(data):
    """Sorted keys, their weights (keys x labels) and biases, of (label, text, weight)."""
    inputs = [vector(text) for _, text, _ in data]
    wanted, weight = weighed(data)
    keys, count = np.unique(np.concatenate([found for found, _ in inputs]), return_counts=True)
    keys = keys[count >= 2]
    of_keys = only(inputs, keys)
    w, _ = fitted(of_keys, wanted, weight, len(keys), EPOCHS_ALL)
    # How much a feature says, and of how many turns.
    of_turns = np.bincount(np.concatenate([at for at, _ in of_keys]), minlength=len(keys),
                           weights=np.concatenate([values * by for (_, values), by in zip(of_keys, weight)]))
    says = np.sqrt((w * w).sum(axis=1)) * np.sqrt(of_turns)
    keys = np.sort(keys[np.argsort(-says, kind="stable")[:FEATURES]])
    return keys, *fitted(only(inputs, keys), wanted, weight, len(keys), EPOCHS)


def quantised(w):
    """4 bits, of which the few greatest are cut."""
    scale = np.maximum(np.quantile(np.abs(w), 0.999, axis=0), 1e-9) / 7
    return np.clip(np.round(w / scale), -7, 7).astype(np.int8), scale.astype(np.float32)


def logits(model, texts):
    keys, w, b = model
    out = np.empty((len(texts), len(LABELS)))
    for row, (at, values) in enumerate(only([vector(text) for text in texts], keys)):
        out[row] = values.astype(np.float64) @ w[at] + b
    return out


def softmax(z):
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def temperature(z, wanted):
    """That gives the least loss."""
    loss = lambda t: -np.log(softmax(z / t)[np.arange(len(wanted)), wanted] + 1e-12).mean()
    return min((loss(t), t) for t in np.arange(0.3, 3.01, 0.02))[1]


def macro_f1(wanted, said):
    scores = [2 * np.sum((wanted == k) & (said == k)) / max(1, np.sum(wanted == k) + np.sum(said == k)) for k in set(wanted)]
    return float(np.mean(scores))


def written(model, t, path):
    """Writes the file that `classifier.rs` describes; the weights as they are read from it."""
    keys, w, b = model
    q, scale = quantised(w)
    ends = np.searchsorted(keys >> 16, np.arange(256), side="right").astype(np.uint16)
    nibbles = np.zeros((len(keys), len(LABELS) + 1), np.uint8)
    nibbles[:, :len(LABELS)] = q + 8
    out = (b"CWI2" + struct.pack("<HHIf", len(LABELS), 0, len(keys), t) + scale.tobytes() + b.astype(np.float32).tobytes()
           + ends.tobytes() + (keys & 0xFFFF).astype(np.uint16).tobytes() + (nibbles[:, ::2] | nibbles[:, 1::2] << 4).tobytes())
    path.write_bytes(out)
    print(f"{path.name}: {len(out)} octets")
    return keys, q * scale, b.astype(np.float32)


def side_by_side(work, each):
    """What is made of each, in their order, by two processes."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        yield from pool.imap(work, each)


def likely_of(turns, w):
    w = finder.as_read(w)
    return {low: finder.likely(low, w).astype(np.float32).astype(float) for low, _ in turns}


def trained_features(options, natural, lines, lists):
    """Writes the weights of the finder of features, and what it says of some orders; how it fares with a new author."""
    patterns = finder.of_patterns(lines, lists, expand)
    turns = [(author, *map(tuple, finder.tagged_turn(text, found.get("features", "").split(","))), found)
             for author, _, text, found in natural if found]
    wishes = [(author, *map(tuple, finder.tagged_turn(text, found.get("features", "").split(","))), found)
              for author, _, text, found in strangers(WISHES) if found and author != options.without]
    both = lambda examples: examples + [finder.unpunctuated(*example) for example in examples]
    every = turns + wishes
    for low, tags in both(patterns + [(low, tags) for _, low, tags, _ in every]):
        finder.prepared(tuple(low), tuple(tags))
    without = lambda turns, left_out: [(low, tags) for who, low, tags, _ in turns if who not in left_out]
    within = lambda group: [(tuple(low), tuple(tags)) for low, tags in
                            both([(low, tags) for who, low, tags, _ in every if who in group])]
    groups = (*LEFT_OUT, *LEFT_OUT_WISHERS)
    left_out = ["", *groups]
    # The mean of two: of all, and of those alone who say what they want in a few words. Two at once, each the same as alone.
    few, of_all = ["", *LEFT_OUT], left_out
    made = list(side_by_side(finder.train, [both(patterns + without(turns, group)) for group in few]
                             + [both(patterns + without(every, group)) for group in of_all]))
    of_few, of_all = dict(zip(few, made)), dict(zip(of_all, made[len(few):]))
    chains = {group: (of_few.get(group, of_few[""]) + of_all[group]) / 2 for group in left_out}
    odds = {group: spans.odds(without(every, group)) for group in left_out}
    likely = {group: likely_of(within(group), chains[group]) for group in groups}

    def second_look(left_out):
        """Of the spans that each chain sees in turns of authors it did not know."""
        return *spans.train([(low, tags, likely[group][low], odds[group]) for group in groups if group != left_out
                             for low, tags in within(group)]), odds[left_out]

    # That of all first; then those that measure it, of chains that knew who is left out: half a hundredth worse than it is.
    looks = {group: second_look(group) for group in ["", *LEFT_OUT]}
    spans.written(chains[""], looks[""], INTENT / "entity/finder.bin")
    counts = {"words": np.zeros(3), "words and spans": np.zeros(3)}
    for group in LEFT_OUT:
        for _, low, _, found in (turn for turn in turns if turn[0] in group):
            wanted = {finder.canonical(name.lower()) for name in found.get("features", "").split(",") if name}
            for how, probable in zip(counts, (likely[group][low], spans.probable(low, likely[group][low], looks[group]))):
                names = {finder.canonical(name) for name in finder.found(low, probable)}
                counts[how] += len(names & wanted), len(names), len(wanted)
        if options.folds:
            for author in group:
                spans.written(chains[group], looks[group], options.folds / (author + ".finder"))
    for how, (right, said, meant) in counts.items():
        print(f"features of an author by others, by {how}: precision {right / said:.3f}, recall {right / meant:.3f}, "
              f"F1 {2 * right / (said + meant):.4f}", flush=True)
    shipped = finder.as_read(chains[""])
    orders = ["build me a CRM with contacts and deals", "a website for my law firm, attorney bios, practice areas and a map",
              "an online shop, gift vouchers and delivery slots being the main things", "what a nice day it is",
              "Can you make a shop, gift cards, um, also a size guide, plus an order cut-off and pickup slots by Friday?",
              "so add parking info too, and get rid of the map", "a dashboard for footfall", "a dashboard for my bakery",
              "I want people to be able to book a tour, read about the whisky, and find the bus",
              "Bread, cakes and pies is what we sell, and a website is what we need, with the prices on.",
              "Kér\u0151 bl\u0151cks, well, a smart contract that locks the deposit, pays the plumber when both agree, with a do-not-mail flag"]
    lows = [[word.lower() for word in finder.tokens(text)] for text in orders]
    found = [", ".join(finder.found(low, spans.probable(low, finder.likely(low, shipped), looks[""]))) for low in lows]
    (HERE.parent / "tests/fixtures/intents/features.txt").write_text(
        "".join(f"{text} | {names.replace(', ', ',')}\n" for text, names in zip(orders, found)))
    print("\n".join(found))


def asked():
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--features", action="store_true")
    parser.add_argument("--without", metavar="AUTHOR")
    parser.add_argument("--folds", metavar="DIR", type=Path)
    return parser.parse_args()


def main():
    options = asked()
    patterns = sentences()
    dice = random.Random(11)
    data = [(label, text, 1.0) for label, _, text in patterns]
    data += [(label, worn(text, dice), 1.0) for label, text, _ in data if dice.random() < 0.4 and len(text.split()) > 3]
    natural = [turn for turn in strangers() if turn[0] != options.without]
    trained_features(options, natural, *of_files())
    if options.features:
        return
    natural = [turn for turn in natural if turn[0] in CLASSIFIED]
    print(len(data), "of patterns,", len(natural), "natural")
    wanted = np.array([LABELS.index(label) for _, label, _, _ in natural])
    z = np.zeros((len(natural), len(LABELS)))
    each = []
    models = side_by_side(train, [data + [(label, text, NATURAL) for who, label, text, _ in natural if who not in group]
                                  for group in LEFT_OUT])
    for group, model in zip(LEFT_OUT, models):
        for author in group:
            mine = [k for k, turn in enumerate(natural) if turn[0] == author]
            if not mine:
                continue
            z[mine] = logits(model, [natural[k][2] for k in mine])
            said = z[mine].argmax(axis=1)
            each.append(macro_f1(wanted[mine], said))
            print(f"author {author} by others: right {np.mean(said == wanted[mine]):.3f}, macro-F1 {each[-1]:.3f}", flush=True)
            if options.report:
                for k, best in zip(mine, said):
                    if best != wanted[k]:
                        print(f"  {natural[k][1]:18} {LABELS[best]:18} {natural[k][2]}")
            if options.folds:
                written(model, 0.72, options.folds / author)
    print(f"macro-F1 of an author by others: {np.mean(each):.3f}")
    t = temperature(z, wanted) * DOUBT
    print(f"macro-F1 {macro_f1(wanted, z.argmax(axis=1)):.3f}, temperature {t:.2f}")
    model = written(train(data + [(label, text, NATURAL) for _, label, text, _ in natural]), t, INTENT / "weights.bin")
    golden = ["build me a CRM with contacts and deals", "How's the shop doing?", "don't build a website", "put me through to a human",
              "Caf\u00e9 d\u00e9j\u00e0 vu 24/7", "we'd like a see our em for 200 users", "", "go ahead"]
    z = logits(model, golden)
    lines = [f"{LABELS[r.argmax()]} {r.max():.4f} {text}\n" for r, text in zip(softmax(z / t), golden)]
    (HERE.parent / "tests/fixtures/intents/classifier.txt").write_text("".join(lines))
    print("".join(lines), end="")


if __name__ == "__main__":
    main()
