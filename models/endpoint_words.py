#!/usr/bin/env python3
"""Makes what words say of the end of a turn: the table of src/turn/endpoint/table.rs and wording.bin beside it.

Every proper prefix of a sentence is a hold, the whole sentence an end; a prefix that is a whole sentence of the texts
itself is an end that counts half. Logistic regression with a ridge, on word classes (src/turn/endpoint/word.rs, read from
there) and on the words themselves (src/turn/endpoint/wording.rs). Texts, all of this repository: everyday talk, the domain's
templates (src/conversation), the requests of the tests, the turns of the strangers who train the intents, and the sentences of
endpoint_sentences.txt and endpoint_callers.txt, where a "|" is a place where people stop to think: the latter are sixteen
authors', who had seen no sentence of this repository. What the measured callers of benches/turns say in the same three words or
more is left out.

People stop at junctures more than within phrases (about two pauses in three: Goldman-Eisler, "Psycholinguistics", 1968), so
prefixes before a conjunction, preposition, subject or question word count for more than the others, and for still more those
after which the text has a comma or a full stop.

Needs numpy and scipy; a minute of one core. Prints the table of src/turn/endpoint/table.rs, and writes wording.bin beside it.
Usage: models/endpoint_words.py [judge FILE | check]: FILE has a text a line, and it tells what the table makes of it; "check"
tells how well callers are judged of whose author nothing was trained on.
"""
import collections
import pathlib
import random
import re
import sys

import numpy as np
from scipy import sparse
from scipy.optimize import minimize

ROOT = pathlib.Path(__file__).parent.parent
RIDGE = {"bias": 0.0, "last": 1.0, "before": 2.0, "pair": 5.0, "third": 6.0, "shape": 1.0}
# Of words themselves.
WORDING = {"word": 4.0, "words": 6.0, "class-word": 6.0, "word-class": 6.0, "begins": 6.0, "has": 6.0, "length": 3.0, "long": 2.0}
RIDGE |= WORDING
# What the last word says before anything is learnt.
PRIORS = {f"last {name}": weight for weight, names in {
    -3.5: ("Article", "Coordinator", "Filler"), -2.5: ("Subordinator", "Preposition", "Subject", "Possessive", "To"),
    -2.0: ("Contracted", "Modal", "Not", "Degree", "Opener"), -1.5: ("Be", "Do", "Have", "Give", "Say", "Wh", "Quantifier"),
    -1.0: ("Verb", "Tens", "Unit", "Letter"), -0.5: ("Adjective", "Gerund"), 0.5: ("Adverb", "Thing"), 1.5: ("Polite",),
}.items() for name in names}
SURE = {
    "shape asks without verb": -2.0, "shape asked before": 1.5, "shape asked who it is": 3.0,
    "shape subordinate without verb": -4.0, "shape asks of nothing": -2.0,
    "shape gives nothing": -2.0, "shape is something": 1.0, "shape preposition alone": -1.0, "shape ends in be": -1.0,
    # Recognisers write it for "too".
    "pair Noun To": 1.5,
    # Nobody has finished with these.
    "last Filler": -3.5, "last Coordinator": -3.5, "last Article": -3.5,
    # "that was all"; "is that …".
    "pair Be Quantifier": 1.5, "pair Be Demonstrative": -1.5,
}
PRIORS |= SURE
# These are grammar, not taste: the texts move them little.
SURE_RIDGE = 64.0
# Weight of a table's row below which it is left out.
LEAST = 0.12
JUNCTURE = 3.0
PUNCTUATED = 6.0
# One step of wording.bin, and the least that is written.
STEP = 0.04
LEAST_STEPS = 2
# Words that one text alone has say nothing of others.
SEEN = 2

HESITANT = (pathlib.Path(__file__).parent / "endpoint_sentences.txt").read_text()
def read(path):
    return (ROOT / path).read_text()


def constants(source):
    """Every list of words in a Rust file."""
    found = {}
    for name, body in re.findall(r"const (\w+): (?:&\[&str\]|Words)\s*=\s*&\[(.*?)\];", source, re.S):
        found[name] = re.findall(r'"([^"]*)"', body)
    return found


WORD = read("src/turn/endpoint/word.rs")
LISTS = constants(WORD)
NUMBER = read("src/conversation/spoken/number.rs")
for name, of in ("UNIT", "SMALL"), ("TENS", "TENS"):
    LISTS[name] += [word for word in re.findall(r'"([^"]*)"', re.search(rf"pub const {of}:[^=]*= \[(.*?)\];", NUMBER, re.S).group(1)) if word]
CLASSES = [name for name in re.findall(r"^    (\w+),$", WORD.split("enum Class {")[1].split("\n}")[0], re.M)]
ORDER = re.findall(r"\((\w+), Class::(\w+)\)", WORD.split("const LISTS")[1])
ENDINGS = [(end, int(n), name) for end, n, name in re.findall(r'\("([^"]+)", (\d+), Class::(\w+)\)', WORD)]
VERBS = set(re.findall(r"Self::(\w+)", WORD.split("fn is_verb")[1]))


def class_of(word):
    """As `Class::of`."""
    for constant, name in ORDER:
        if word in LISTS[constant]:
            return name
    if word.isdigit():
        return "Unit"
    if len(word) == 1:
        return "Letter"
    if word.endswith("'s") and word[:-2] in LISTS["IS"]:
        return "Contracted"
    for end, before, name in ENDINGS:
        if word.endswith(end) and len(word) >= len(end) + before:
            return name
    return "Noun"


def wording(words, classes):
    """As `wording::odds`: names of what is true of the words themselves."""
    last, before = words[-1], words[-2] if len(words) > 1 else None
    made = [f"word {last}", f"length {min(len(words), 30)}", f"long {min(len(words) // 3, 8)}", *(f"has {word}" for word in sorted(set(words)))]
    if before is not None:
        made += [f"words {before} {last}", f"class-word {classes[-2]} {last}", f"word-class {before} {classes[-1]}", f"begins {words[0]} {words[1]}"]
    return made


def features(words):
    """As `completeness::completeness`: names of what is true of the words."""
    classes = [class_of(word) for word in words]
    at = lambda n: classes[-n] if len(classes) >= n else "Start"
    made = [f"last {at(1)}", f"before {at(2)}", f"pair {at(2)} {at(1)}", f"third {at(3)} {at(1)}"]
    # The clause begins after the last word that joins two; hesitation and openings are no part of it.
    opening = ("Filler", "Opener", "Answer", "Coordinator")
    begin = next((n for n, name in enumerate(classes) if name not in opening), len(classes))
    joints = [n for n, name in enumerate(classes) if n > begin and name in ("Coordinator", "Subordinator")]
    start = joints[-1] + 1 if joints else begin
    clause = classes[start:]
    made.append(f"shape words {min(len(classes) - begin, 8)}")
    made.append(f"shape clause {min(len(clause), 6)}")
    verbs = [n for n, name in enumerate(clause) if name in VERBS]
    since = min(len(clause) - 1 - verbs[-1], 4) if verbs else None
    made.append("shape no verb" if since is None else f"shape since verb {since}")
    if begin < len(classes):
        first = classes[begin]
        made.append(f"shape first {first}")
        if first == "Subordinator" and not joints:
            made.append("shape only subordinate")
        if since is not None and first not in VERBS and len(verbs) == 1:
            made.append("shape one verb")
    # "how many companies", "i know who": what was begun has no verb yet. "who my guests are" has.
    asked = False
    wh = max((n for n, name in enumerate(classes) if name == "Wh" or n and words[n] == "who"), default=None)
    if wh is not None:
        after = classes[wh + 1 :]
        if not any(name in VERBS for name in after):
            made.append("shape asks without verb")
        elif len(after) > 1 and after[0] not in VERBS and at(1) in VERBS | {"Preposition"}:
            asked = True
            made.append("shape asked who it is" if at(1) == "Be" else "shape asked before")
    # "because my contacts".
    if (joints and classes[joints[-1]] == "Subordinator" or not joints and clause[:1] == ["Subordinator"]) and not verbs:
        made.append("shape subordinate without verb")
    # "is the door", "can the others": of a question there is only who it is about.
    ask = classes[begin:]
    if ask[:1] and ask[0] in ("Be", "Do", "Modal", "Have") and len(ask) > 1:
        rest = ask[2:] if ask[1] in ("Pronoun", "Subject", "Demonstrative", "Thing") else ask[1:]
        named = ("Article", "Noun", "Possessive", "Quantifier", "Demonstrative", "Letter", "Subject", "Pronoun")
        if all(name in named for name in rest) and not (ask[0] == "Be" and len(rest) >= 1 and rest != ask[1:]):
            made.append("shape asks of nothing")
    # "make me": what, is still to be said.
    if at(1) == "Object" and at(2) in ("Give", "Say"):
        made.append("shape gives nothing")
    # "it has to be quick".
    if at(1) in ("Adjective", "Past", "Answer") and "Be" in (at(2), at(3)):
        made.append("shape is something")
    # "for the restaurant": nothing is said of it.
    if begin < len(classes) and classes[begin] == "Preposition" and not any(name in VERBS for name in classes):
        made.append("shape preposition alone")
    if at(1) == "Be" and since == 0 and not asked:
        made.append("shape ends in be")
    return made + wording(words, classes)


def plain(line):
    line = re.sub(r"\b([A-Za-z])\.(?=[A-Za-z]\.)|\.(?=\s*[A-Z]\.)", r"\1", line)
    return re.findall(r"[a-z0-9']+|\|", line.lower().replace("\u2019", "'").replace("c.r.m.", "crm"))


def templates():
    """Sentences of the domain's templates."""
    lists = constants(read("src/conversation/classes.rs"))
    source = read("src/conversation/domain.rs").split("const TEMPLATES")[1].split("\n];")[0]
    pick, made = random.Random(4711), []
    for body, most in re.findall(r"t\(&\[(.*)\], (\d+)\),", source):
        parts = re.findall(r"&\[([^\]]*)\]|\b([A-Z_]+)\b", body)
        parts = [re.findall(r'"([^"]*)"', words) if not name else lists[name] for words, name in parts]
        for _ in range(int(most)):
            made.append(" ".join(" ".join(pick.choice(part) for part in parts).split()))
    return made


def strangers():
    """Turns of the authors who train the intents, as they wrote them."""
    for name in ("strangers", "strangers_more", "strangers_orders", "orders", "manners"):
        for line in read(f"models/intents_{name}.txt").splitlines():
            if " | " in line and not line.startswith("#"):
                yield line.split(" | ")[1].strip()


def words_of(line):
    return tuple(word for word in plain(line) if word != "|")


def measured():
    """What the callers say by whom the ends of turns are measured, three words or more."""
    said = re.findall(r'"([^"]*)"', read("benches/turns/held_out.rs"))
    return {words for words in map(words_of, said) if len(words) >= 3}


def sources():
    left_out = measured()
    return {name: (worth, [line for line in lines if words_of(line) not in left_out]) for name, (worth, lines) in texts().items()}


def texts():
    requests = [re.sub(r"^\W+|\|.*$", "", line) for path in ("crm_requests", "spoken_requests")
                for line in read(f"tests/fixtures/{path}.txt").splitlines() if line.strip() and not line.startswith("#")]
    return {
        "everyday": (1.0, read("src/conversation/everyday.txt").splitlines()),
        "domain": (0.6, templates()),
        "requests": (0.5, requests),
        "hesitant": (2.0, HESITANT.strip().splitlines()),
        "strangers": (6.0, list(strangers())),
        "callers": (16.0, [line for lines in callers().values() for line in lines]),
    }


def callers():
    """Lines of endpoint_callers.txt, by author."""
    made = {}
    for line in read("models/endpoint_callers.txt").splitlines():
        if line.startswith("# "):
            made[line[2:]] = []
        elif line.strip():
            made[list(made)[-1]].append(line)
    return made


def marked(line):
    """Words, the places marked with "|", and those after which there is punctuation."""
    line = re.sub(r"\b([A-Za-z])\.(?=[A-Za-z]\.)|\.(?=\s*[A-Z]\.)", r"\1", line)
    words, marks, punctuated = [], set(), set()
    for part in re.findall(r"[a-z0-9']+|[|,;:\u2014.?!\u2026]", line.lower().replace("\u2019", "'").replace("c.r.m.", "crm")):
        if re.match(r"[a-z0-9']", part):
            words.append(part)
        else:
            (marks if part == "|" else punctuated).add(len(words))
    return words, marks, punctuated


def rows(names=None, taken=None):
    """(source, words, over, weight)."""
    made = []
    taken = taken or {name: text for name, text in sources().items() if names is None or name in names}
    for source, (worth, lines) in taken.items():
        texts = [text for text in map(marked, lines) if text[0]]
        written_by_strangers = source in ("strangers", "callers")
        # Of a few sources: however it began, what ends in the same words is as whole.
        counts = lambda name: name == source if written_by_strangers else name not in ("strangers", "callers")
        whole = {tuple(words) for name, (_, lines) in taken.items() if counts(name) for words, _, _ in map(marked, lines)}
        alike_whole = set() if written_by_strangers else {words[-4:] for words in whole if len(words) >= 4}
        ends, holds = {}, {}
        for words, marks, punctuated in texts:
            ends[tuple(words)] = 1.0
            for n in range(1, len(words)):
                part = tuple(words[:n])
                follows = class_of(words[n])
                juncture = follows in ("Coordinator", "Subordinator", "Preposition", "Subject", "Wh", "To", "Filler", "Article", "Contracted")
                weight = PUNCTUATED if n in punctuated and source == "strangers" else JUNCTURE if juncture else 1.0
                if marks or source == "callers":
                    weight = 8.0 if n in marks else 0.5
                elif part in whole or part[-4:] in alike_whole:
                    ends[part] = max(ends.get(part, 0), 0.5)
                    continue
                holds[part] = max(holds.get(part, 0), weight)
        # Of many that end alike one tells as much.
        def share(of):
            alike = {}
            for words in of:
                alike[words[-4:]] = alike.get(words[-4:], 0) + 1
            scaled = {words: weight / alike[words[-4:]] ** 0.7 for words, weight in of.items()}
            total = sum(scaled.values())
            return {words: worth * weight / total for words, weight in scaled.items()}
        made += [(source, words, 1.0, weight) for words, weight in share(ends).items()]
        made += [(source, words, 0.0, weight) for words, weight in share(holds).items()]
    return made


# Silences that all of the weight counts for: how far the ridge gives way.
SILENCES = 20000


def fit(made):
    seen = [features(words) for _, words, _, _ in made]
    often = collections.Counter(name for names in seen for name in names)
    names = {name: n for n, name in enumerate(["bias", *PRIORS])}
    columns, begins = [], [0]
    for row in seen:
        columns.append(names["bias"])
        columns += [names.setdefault(name, len(names)) for name in row if name in names or often[name] >= SEEN]
        begins.append(len(columns))
    matrix = sparse.csr_matrix((np.ones(len(columns)), columns, begins), shape=(len(made), len(names)))
    over = np.array([row[2] for row in made])
    weight = np.array([row[3] for row in made])
    weight *= SILENCES / weight.sum()
    prior = np.array([PRIORS.get(name, 0.0) for name in names])
    ridge = np.array([SURE_RIDGE if name in SURE else RIDGE[name.split()[0]] for name in names])

    def loss(w):
        z = matrix @ w
        away = w - prior
        value = np.sum(weight * (np.logaddexp(0, z) - over * z)) + 0.5 * np.sum(ridge * away * away)
        chance = 1 / (1 + np.exp(-z))
        return value, matrix.T @ (weight * (chance - over)) + ridge * away

    w = minimize(loss, prior, jac=True, method="L-BFGS-B", options={"maxiter": 400}).x
    table = {}
    for name, n in names.items():
        if name.split()[0] in WORDING:
            steps = int(np.clip(round(w[n] / STEP), -127, 127))
            if abs(steps) >= LEAST_STEPS:
                table[name] = steps * STEP
        elif abs(w[n]) >= LEAST or name == "bias":
            table[name] = round(float(w[n]), 2)
    return table


def key(name):
    """As `wording::Key`: FNV-1a, 32 bits."""
    value = 0x811C9DC5
    for byte in name.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def write_wording(table):
    """Keys that rise, then a step each."""
    steps = {}
    for name, weight in table.items():
        if name.split()[0] in WORDING:
            steps[key(name)] = steps.get(key(name), 0) + round(weight / STEP)
    rows = sorted((key, max(-127, min(127, step))) for key, step in steps.items())
    packed = b"".join(key.to_bytes(4, "little") for key, _ in rows) + bytes(step & 0xFF for _, step in rows)
    (ROOT / "src/turn/endpoint/wording.bin").write_bytes(packed)
    return len(rows)


def judge(table, words):
    return table["bias"] + sum(table.get(name, 0.0) for name in features(words))


def report(table, made, what):
    z = np.array([judge(table, row[1]) for row in made])
    over = np.array([row[2] for row in made])
    weight = np.array([row[3] for row in made])
    loss = np.sum(weight * (np.logaddexp(0, z) - over * z)) / weight.sum()
    order = np.argsort(z)
    below = np.cumsum((weight * (1 - over))[order])
    area = np.sum((weight * over)[order] * below) / ((weight * over).sum() * (weight * (1 - over)).sum())
    print(f"// {what}: {len(made)} texts, log loss {loss:.3f}, area under the curve {area:.3f}", file=sys.stderr)


def print_table(table):
    """As Rust."""
    rows = lambda kind: sorted((name.split()[1:], weight) for name, weight in table.items() if name.startswith(kind + " "))
    odds = lambda name: f"{table.get(name, 0.0):.2f}"
    print("//! The constants of `completeness`, log odds. Printed by `models/endpoint_words.py`. Deliberately absent: code.")
    print("\nuse super::word::Class::{self, *};\n")
    print(f"pub(super) const BIAS: f32 = {odds('bias')};")
    for kind, what in (("last", "Of the last word."), ("before", "Of the word before it.")):
        print(f"/// {what}\n#[rustfmt::skip]\npub(super) const {kind.upper()}: &[(Class, f32)] = &[")
        print("\n".join(f"    ({name}, {weight:.2f})," for (name,), weight in rows(kind)) + "\n];")
    for kind, what in (("pair", "Of the last two."), ("third", "Of the last but two with the last.")):
        print(f"/// {what}\n#[rustfmt::skip]\npub(super) const {kind.upper()}: &[(Class, Class, f32)] = &[")
        print("\n".join(f"    ({a}, {b}, {weight:.2f})," for (a, b), weight in rows(kind)) + "\n];")
    print("/// Of the first word that is no opening.\n#[rustfmt::skip]\npub(super) const FIRST: &[(Class, f32)] = &[")
    print("\n".join(f"    ({name[1]}, {weight:.2f})," for name, weight in rows("shape") if name[0] == "first") + "\n];")
    for const, kind, count, what in (
        ("WORDS", "words", 9, "Of the number of words, openings left out; the last holds for more."),
        ("CLAUSE", "clause", 7, "Of the words of the last clause."),
        ("SINCE_VERB", "since verb", 5, "Of the words after its last verb."),
    ):
        values = ", ".join(odds(f"shape {kind} {n}") for n in range(count))
        print(f"/// {what}\npub(super) const {const}: [f32; {count}] = [{values}];")
    for const in ("NO_VERB", "ONLY_SUBORDINATE", "ONE_VERB", "ASKS_WITHOUT_VERB", "ASKED_BEFORE", "ASKED_WHO_IT_IS", "SUBORDINATE_WITHOUT_VERB", "ASKS_OF_NOTHING", "GIVES_NOTHING", "IS_SOMETHING", "PREPOSITION_ALONE", "ENDS_IN_BE"):
        print(f"pub(super) const {const}: f32 = {odds('shape ' + const.lower().replace('_', ' '))};")


def check():
    """Authors by whom nothing was trained, two at a time."""
    by_author = callers()
    authors = list(by_author)
    for left_out in zip(authors[::2], authors[1::2]):
        worth = sources()
        kept = [line for author in authors if author not in left_out for line in by_author[author]]
        worth["callers"] = (worth["callers"][0], kept)
        table = fit(rows(taken=worth))
        asked = []
        for author in left_out:
            for words, marks, _ in map(marked, by_author[author]):
                asked += [("left out", words[:n], 0.0, 1.0) for n in sorted(marks)] + [("left out", words, 1.0, 1.0)]
        report(table, asked, f"{' and '.join(left_out)}, not trained on")


def main():
    if sys.argv[1:2] == ["check"]:
        check()
        return
    made = rows()
    table = fit(made)
    if sys.argv[1:2] == ["judge"]:
        for line in open(sys.argv[2]):
            print(f"{judge(table, plain(line)):6.2f} {line.rstrip()}")
        return
    report(table, made, "all")
    print(f"// {write_wording(table)} rows of wording.bin", file=sys.stderr)
    print_table(table)

if __name__ == "__main__":
    main()
