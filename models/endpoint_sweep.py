#!/usr/bin/env python3
"""Sweeps constants of the end-of-turn scorer over the trainers' callers: src/turn/endpoint.rs, endpoint/weights.rs.

Reads what `cargo bench --profile dev --bench turns -- 700 0 0 rehearsal` kept (target/bench/turns-rehearsed-*.json), follows each
silence as benches/turns/sweep.rs does, and prints for one constant after the other what the mean delay is of plain silence's
where 4 to 12 % of the hesitations are cut (mean, 5 %, 10 %): once with the table of words as it stands, which knows these
sentences, once with a table that was made without them. A constant is worth changing where the second says so and the first does
not object. None of the callers that are measured (benches/turns/held_out.rs) is looked at. It follows the Rust code without what
the dialogue makes of the words, and to 80 ms.

Needs numpy and scipy; about a minute. Usage: models/endpoint_sweep.py [FILE]
"""
import json
import re
import sys

import endpoint_words
import numpy as np

SAID = endpoint_words.read("src/turn/endpoint/said.rs")
ELLIPTIC = endpoint_words.constants(endpoint_words.read("src/turn/endpoint/elliptic.rs"))
LISTS = endpoint_words.constants(SAID)
ELLIPSES = re.search(r"const PHRASES[^=]*=\s*&\[(.*?)\];", endpoint_words.read("src/turn/endpoint/elliptic.rs"), re.S)[1]
PHRASES = [re.findall(r'"([^"]+)"', phrase) for phrase in re.findall(r"&\[([^\[\]]+)\]", ELLIPSES)]
DIGITS = "zero one two three four five six seven eight nine".split()
HANGS = ("Article", "Coordinator", "Filler", "Possessive", "Subordinator")
STEPS = np.arange(320, 3001, 80.0)
COSTS = 0.3 * 10 ** (np.arange(10, 125, 4) / 40)
SHARES = [0.04, 0.05, 0.06, 0.07, 0.08, 0.10, 0.12]


def constant(name, path="src/turn/endpoint/weights.rs"):
    return float(re.search(rf"\b{name}(?:: f32 =|:) (-?[0-9.]+)", endpoint_words.read(path).split("WEIGHTS: Weights =")[-1])[1])


NOW = {name: constant(name) for name in ("open", "yes_no", "name", "sounded", "fell", "words", "faded", "length")}
NOW["lacking"] = constant("LACKING", "src/turn/endpoint.rs")
NOW["doubt"] = constant("ANSWERED_DOUBT", "src/turn/endpoint.rs")


def elliptic(words):
    """As `elliptic::odds`."""
    if words in PHRASES:
        return 1.3
    if words[:1] in (["i"], ["we"]) and words[-1] in ("so", "not"):
        rest = words[3:-1] if words[1:3] == ["do", "not"] else words[2:-1] if words[1:2] == ["don't"] else words[1:-1]
        if len(rest) == 1 and rest[0] in ELLIPTIC["OPINION"]:
            return 1.3
    if len(words) < 2 or words[0] not in ELLIPTIC["SUBJECT"] or words[:2] == ["that", "is"] and len(words) == 2:
        return None
    if len(words) == 2:
        return 1.0 if words[1] in ELLIPTIC["AUXILIARY"] else 0.6 if words[1] in ELLIPTIC["NEGATED"] else None
    return 0.6 if len(words) == 3 and words[1] in ELLIPTIC["AUXILIARY"] and words[2] == "not" else None


def complete(words, asked, table):
    """Log odds of the words, and whether they are an answer that is all; as `said::completeness`."""
    if not words:
        return -0.6, False
    answer = LISTS["ANSWER"]
    opening = next((n for n, word in enumerate(words) if word not in answer or word in LISTS["CLAUSE"]), len(words))
    odds = elliptic(words[opening:]) if words[opening:] else None
    if odds is not None and (opening or asked == "YesNo"):
        return odds, True
    if len(words) <= 4 and all(word in answer for word in words) and words[-1] != "not":
        lacks = words[-1] in ("is", "that's", "that")
        return (-1.3, False) if lacks else (1.3, True)
    if asked == "Name" and len(words[-1]) > 1:
        classes = [endpoint_words.class_of(word) for word in words]
        names = sum(name in ("Noun", "Adjective", "Gerund", "Past", "Possessive") and word != "name" for name, word in zip(classes, words))
        announced = classes[-1] in ("Be", "Article", "Contracted", "Coordinator", "Filler")
        return (-2.4 if announced or not names else -0.5 if names == 1 else 0.8), False
    odds = float(np.clip(endpoint_words.judge(table, words), -2.4, 3))
    return (min(odds + 1.4, 3) if asked == "YesNo" and len(words) <= 5 and odds > -1.5 else odds), False


def count(words):
    found, repeat = 0, 1
    for word in words:
        if word in DIGITS + ["oh", "o"] or word.isdigit():
            found, repeat = found + repeat * (len(word) if word.isdigit() else 1), 1
        else:
            repeat = {"double": 2, "triple": 3}.get(word, 1)
    return found


def survival(before_ms):
    logs = np.log(np.array([pause for pause in before_ms if 150 <= pause <= 4000]) / 600)
    n = len(logs) + 8
    mean = logs.sum() / n
    spread = np.sqrt(max((8 * 0.87**2 + (logs**2).sum()) / n - mean**2, 0.25))
    x = np.clip((np.log(STEPS / 600) - mean) / spread, -6, 6)
    return 1 - 1 / (1 + np.exp(-(0.07056 * x**3 + 1.5976 * x)))


class Silences:
    """All silences as columns, one row each time that something became known."""

    def __init__(self, silences, table):
        self.resumes = np.array([np.nan if one["resumes_ms"] is None else one["resumes_ms"] for one in silences])
        self.survival = np.array([survival(one["before_ms"]) for one in silences])
        rows = [self.row(n, one, k, table) for n, one in enumerate(silences) for k in range(len(one["known"]))]
        (self.of, self.at, self.next, self.floor, self.asked, self.said, self.hangs, self.sounded, self.fell, self.faded, self.length,
         self.counted, self.replied) = (np.array(column) for column in zip(*rows))

    @staticmethod
    def row(n, silence, k, table):
        known = silence["known"][k]
        asked = silence["ask"] if isinstance(silence["ask"], str) else "Digits"
        most = silence["ask"]["Digits"] if asked == "Digits" else 0
        words = [word for word in re.split(r"[^\w']+", known["text"].lower().replace("\u2019", "'")) if word]
        odds, answered = complete(words, asked, table)
        digits = count(words)
        letters = next((n for n, word in enumerate(reversed(words)) if len(word) > 1 or not word.isalpha()), len(words))
        spelled = letters >= 2 and "".join(words[len(words) - letters :]) in words[: len(words) - letters]
        sounded, (end, slope, level), voiced = known["sounded"], known["melody"] or (0, 0, 0), silence["voiced_ms"]
        length = float(np.clip(np.log(max(voiced / (1500 if asked in ("Open", "Digits") else 700), 0.01)), -1, 1))
        if length < 0:
            length *= 0.3 if not words else 0.5 if answered else 1
        counted, floor = np.nan, 320 if words else 700
        if asked == "Digits" and (digits or len(words) <= 1):
            counted = min(65 * max(voiced / 1000 / max(most, 1) - 0.18, 0), 5)
            floor = 400 if digits >= most and voiced >= 200 * most else 3000
        elif asked == "Name" and (letters >= 2 or letters == 1 == len(words)):
            floor = 400 if spelled else 1800 if sounded is not None and sounded >= 0.9 else 3000
        elif asked == "YesNo":
            floor = 400
        after = silence["known"][k + 1]["at"] if k + 1 < len(silence["known"]) else np.inf
        sounded = 0.5 if sounded is None else np.clip(sounded, 1e-3, 1 - 1e-3)
        return (n, known["at"], after, floor, asked, odds, bool(words) and endpoint_words.class_of(words[-1]) in HANGS or asked == "Name" or not words,
                np.clip(np.log(sounded / (1 - sounded)), -2, 2), np.clip(-(end / 4 + slope / 30) / 2, -1, 1), np.clip(-level / 6, -1.5, 1.5), length, counted, answered and asked == "YesNo")

    def odds(self, weights):
        said = np.where((self.said < 0) & ~self.hangs, weights["lacking"] * self.said, self.said)
        asked = np.select([self.asked == "YesNo", self.asked == "Name"], [weights["yes_no"], weights["name"]], weights["open"])
        # A caller of whom the model is not yet known to be right: `Pauses::reliability`.
        tone = 0.4 * weights["sounded"] / (1 + (said / np.where((said > 0) & (self.sounded > 0), 2, 1)) ** 2) * self.sounded
        melody = (weights["fell"] * self.fell + weights["faded"] * self.faded) / (1 + (np.minimum(said, 0) / 2) ** 2)
        manner = tone + melody + weights["length"] * self.length
        manner = np.where(self.replied, np.maximum(manner, weights["doubt"]), manner)
        odds = asked + np.where(said > 0, weights["words"], 1) * said + manner
        return np.where(np.isnan(self.counted), odds, self.counted)

    def ratios(self, weights):
        """Mean delay against plain silence's, at each share of hesitations that are cut."""
        over = 1 / (1 + np.exp(-self.odds(weights)))
        allowed = STEPS >= self.floor[:, None]
        delay = np.where(allowed, over[:, None] * STEPS / 1000, np.inf)
        cut = (1 - over)[:, None] * self.survival[self.of]
        holds = ~np.isnan(self.resumes)
        shares, delays = [], []
        for cost in COSTS:
            wait = np.where(self.floor >= 3000, 3000, STEPS[(delay + cost * cut).argmin(1)])
            due = np.maximum(wait, self.at)
            first, row = np.unique(self.of[due < self.next], return_index=True)
            fires = np.full(len(self.resumes), 3000.0)
            fires[first] = due[due < self.next][row]
            shares.append((fires[holds] < self.resumes[holds]).mean())
            delays.append(fires[~holds].mean())
        order = np.argsort(shares)
        plain = [np.quantile(self.resumes[holds], 1 - share) for share in SHARES]
        return np.interp(SHARES, np.array(shares)[order], np.minimum.accumulate(np.array(delays)[order])) / plain


def main():
    directory = endpoint_words.ROOT / "target/bench"
    file = sys.argv[1] if len(sys.argv) > 1 else max(directory.glob("turns-rehearsed-*.json"), key=lambda file: file.stat().st_mtime)
    silences = [silence for silence in json.load(open(file)) if silence["known"]]
    unseen = endpoint_words.fit([one for one in endpoint_words.rows() if one[0] != "hesitant"])
    both = [Silences(silences, table) for table in (endpoint_words.fit(endpoint_words.rows()), unseen)]
    print(f"{len(silences)} silences of {file}; mean, 5 %, 10 %: the table as it is | one that does not know the sentences")

    def show(name, weights):
        print(f"{name:16}", " | ".join(f"{ratios.mean():.3f} {ratios[1]:.3f} {ratios[5]:.3f}" for ratios in (one.ratios(weights) for one in both)))

    show("as it is", NOW)
    for value in (1.0, 0.8, 0.6, 0.5, 0.4, 0.2):
        show(f"lacking {value}", {**NOW, "lacking": value})
    for value in (-3.0, -1.5, -1.2, -1.0, -0.8, -0.6):
        show(f"doubt {value}", {**NOW, "doubt": value})
    for name in NOW:
        for share in (0.6, 1.4):
            show(f"{name} {NOW[name] * share:.2f}", {**NOW, name: NOW[name] * share})


if __name__ == "__main__":
    main()
