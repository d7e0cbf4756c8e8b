#!/usr/bin/env python3
"""Makes what words say of the end of a turn: prints the table of src/turn/endpoint/table.rs.

Every proper prefix of a sentence is a hold, the whole sentence an end; a prefix that is a whole sentence of the texts
itself is an end that counts half. Logistic regression on word classes (src/turn/endpoint/word.rs, read from there) with a
ridge. Texts, all of this repository: everyday talk, the domain's templates (src/conversation), the requests of the tests,
and the sentences of endpoint_sentences.txt, where a "|" is a place where people stop to think. None is of benches/turns.

People stop at junctures more than within phrases (about two pauses in three: Goldman-Eisler, "Psycholinguistics", 1968), so
prefixes before a conjunction, preposition, subject or question word count for more than the others.

Needs numpy and scipy. Usage: models/endpoint_words.py [judge FILE]: FILE has a text a line; tells what the table makes of it.
"""
import pathlib
import random
import re
import sys

import numpy as np
from scipy import sparse
from scipy.optimize import minimize

ROOT = pathlib.Path(__file__).parent.parent
RIDGE = {"bias": 0.0, "last": 1.0, "before": 2.0, "pair": 5.0, "third": 6.0, "shape": 1.0}
# What the last word says before anything is learnt.
PRIORS = {f"last {name}": weight for weight, names in {
    -3.5: ("Article", "Coordinator", "Filler"), -2.5: ("Subordinator", "Preposition", "Subject", "Possessive", "To"),
    -2.0: ("Contracted", "Modal", "Not", "Degree", "Opener"), -1.5: ("Be", "Do", "Have", "Give", "Say", "Wh", "Quantifier"),
    -1.0: ("Verb", "Tens", "Unit", "Letter"), -0.5: ("Adjective", "Gerund"), 0.5: ("Adverb", "Thing"), 1.5: ("Polite",),
}.items() for name in names}
SURE = {
    "shape asks without verb": -2.0, "shape asked before": 1.5, "shape asked who it is": 3.0, "shape subordinate without verb": -2.0, "shape asks of nothing": -2.0,
    "shape gives nothing": -2.0, "shape is something": 1.0, "shape preposition alone": -1.0, "shape ends in be": -1.0,
    # Recognisers write it for "too".
    "pair Noun To": 1.5,
    # "that was all"; "is that …".
    # Nobody has finished with these.
    "last Filler": -3.5, "last Coordinator": -3.5, "last Article": -3.5,
    "pair Be Quantifier": 1.5, "pair Be Demonstrative": -1.5,
}
PRIORS |= SURE
# These are grammar, not taste: the texts move them little.
SURE_RIDGE = 8.0
# Weight of a table's row below which it is left out.
LEAST = 0.12
JUNCTURE = 3.0

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


def features(words):
    """As `completeness::features`: names of what is true of the words."""
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
    return made


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


def sources():
    requests = [re.sub(r"^\W+|\|.*$", "", line) for path in ("crm_requests", "spoken_requests")
                for line in read(f"tests/fixtures/{path}.txt").splitlines() if line.strip() and not line.startswith("#")]
    return {
        "everyday": (1.0, read("src/conversation/everyday.txt").splitlines()),
        "domain": (0.6, templates()),
        "requests": (0.5, requests),
        "hesitant": (2.0, HESITANT.strip().splitlines()),
    }


def rows(names=None):
    """(source, words, over, weight)."""
    made = []
    taken = {name: text for name, text in sources().items() if names is None or name in names}
    whole = {tuple(word for word in plain(line) if word != "|") for _, lines in taken.values() for line in lines}
    # However it began: what ends in the same words is as whole.
    whole |= {words[-4:] for words in whole if len(words) >= 4}
    for source, (worth, lines) in taken.items():
        ends, holds = {}, {}
        for line in lines:
            words, marks = [], set()
            for word in plain(line):
                if word == "|":
                    marks.add(len(words))
                else:
                    words.append(word)
            if not words:
                continue
            ends[tuple(words)] = 1.0
            for n in range(1, len(words)):
                part = tuple(words[:n])
                follows = class_of(words[n])
                juncture = follows in ("Coordinator", "Subordinator", "Preposition", "Subject", "Wh", "To", "Filler", "Article", "Contracted")
                weight = JUNCTURE if juncture else 1.0
                if marks:
                    weight = 8.0 if n in marks else 0.5
                if not marks and (part in whole or part[-4:] in whole):
                    ends[part] = max(ends.get(part, 0), 0.5)
                else:
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
SILENCES = 2500


def fit(made):
    names, seen = {}, []
    for _, words, _, _ in made:
        seen.append(features(words))
        for name in seen[-1]:
            names.setdefault(name, len(names))
    for name in ["bias", *PRIORS]:
        names.setdefault(name, len(names))
    matrix = sparse.lil_matrix((len(made), len(names)))
    for n, row in enumerate(seen):
        for name in row:
            matrix[n, names[name]] = 1
        matrix[n, names["bias"]] = 1
    matrix = matrix.tocsr()
    over = np.array([row[2] for row in made])
    weight = np.array([row[3] for row in made])
    weight *= SILENCES / weight.sum()
    ridge = np.zeros(len(names))
    prior = np.array([PRIORS.get(name, 0.0) for name in names])
    for name, n in names.items():
        ridge[n] = SURE_RIDGE if name in SURE else RIDGE[name.split()[0]]

    def loss(w):
        z = matrix @ w
        away = w - prior
        value = np.sum(weight * (np.logaddexp(0, z) - over * z)) + 0.5 * np.sum(ridge * away * away)
        chance = 1 / (1 + np.exp(-z))
        return value, matrix.T @ (weight * (chance - over)) + ridge * away

    w = minimize(loss, prior, jac=True, method="L-BFGS-B", options={"maxiter": 400}).x
    return {name: round(float(w[n]), 2) for name, n in names.items() if abs(w[n]) >= LEAST or name == "bias"}


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
    print(f"// {what}: {len(made)} texts, log loss {loss:.3f}, area under the curve {area:.3f}")


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


def main():
    made = rows()
    if sys.argv[1:2] == ["check"]:
        for left_out in sources():
            rest = [row for row in made if row[0] != left_out]
            report(fit(rest), [row for row in made if row[0] == left_out], f"{left_out}, not trained on")
    table = fit(made)
    report(table, made, "all")
    if sys.argv[1:2] == ["judge"]:
        for line in open(sys.argv[2]):
            print(f"{judge(table, plain(line)):6.2f} {line.rstrip()}")
        return
    print_table(table)

if __name__ == "__main__":
    main()
