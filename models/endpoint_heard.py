#!/usr/bin/env python3
"""Tells what each sign of a finished turn is worth, in turns that the engines heard: src/turn/endpoint/weights.rs, said.rs.

Reads what `cargo bench --profile dev --bench turns -- 420 0 0 rehearsal` kept (target/bench/turns-rehearsed-*.json): voices
and sentences that benches/turns does not measure, through the recogniser and the end-of-turn model as a call has them. Log
odds that a silence is an end, by logistic regression with a weak ridge, of: what was asked, what the words say (by a table
that was made without these sentences, so that it does not know them by heart), the end-of-turn model, the melody, how the
level fell. Constants lie between their priors, which are of people, and these: a synthesiser's hesitation is a sentence cut
off at a word, which fades less than a person's does, and the model has learnt people.

Needs numpy and scipy. Usage: models/endpoint_heard.py [FILE]
"""
import json
import re
import sys

import endpoint_words
import numpy as np

ANSWER = set(re.findall(r'"([^"]+)"', endpoint_words.read("src/turn/endpoint/said.rs").split("const ANSWER:")[1].split("];")[0]))
NAMES = ["bias", "yes or no", "name", "words", "reply of few words", "answer", "nothing", "model: over", "model: goes on", "end of the melody", "slope", "faded", "pauses before"]


def row(silence, table):
    """None where a count decides."""
    known = silence["known"][-1]
    asked = silence["ask"] if isinstance(silence["ask"], str) else "Digits"
    words = endpoint_words.plain(known["text"])
    if asked == "Digits" or asked == "Name" and words and len(words[-1]) == 1:
        return None
    answer = 0 < len(words) <= 4 and all(word in ANSWER for word in words) and words[-1] not in ("not", "is", "that", "that's")
    odds = float(np.clip(endpoint_words.judge(table, words), -2.4, 3.0)) if words and not answer and asked != "Name" else 0.0
    reply = asked == "YesNo" and 0 < len(words) <= 5 and not answer and odds > -1.5
    sounded = np.clip(known["sounded"] or 0.5, 1e-3, 1 - 1e-3)
    sounded = float(np.log(sounded / (1 - sounded)))
    end, slope, level = known["melody"] or (0, 0, 0)
    return [
        1, asked == "YesNo", asked == "Name", odds, reply, answer, not words, max(sounded, 0), min(sounded, 0),
        np.clip(-end / 4, -1, 1), np.clip(-slope / 30, -1, 1), np.clip(-level / 6, -1.5, 1.5), min(len(silence["before_ms"]), 3),
    ]


def main():
    directory = endpoint_words.ROOT / "target/bench"
    file = sys.argv[1] if len(sys.argv) > 1 else max(directory.glob("turns-rehearsed-*.json"), key=lambda file: file.stat().st_mtime)
    silences = [silence for silence in json.load(open(file)) if silence["known"]]
    table = endpoint_words.fit([one for one in endpoint_words.rows() if one[0] != "hesitant"])
    rows = [(row(silence, table), silence["resumes_ms"] is None) for silence in silences]
    signs = np.array([signs for signs, _ in rows if signs], float)
    over = np.array([over for signs, over in rows if signs], float)
    weights, ridge = np.zeros(len(NAMES)), 0.5
    for _ in range(40):
        chance = 1 / (1 + np.exp(-signs @ weights))
        curve = (signs.T * (chance * (1 - chance))) @ signs + ridge * np.eye(len(NAMES))
        weights += np.linalg.solve(curve, signs.T @ (over - chance) - ridge * weights)
    unsure = np.sqrt(np.diag(np.linalg.inv(curve)))
    area = lambda score: np.mean(score[over == 1][:, None] > score[over == 0]) + np.mean(score[over == 1][:, None] == score[over == 0]) / 2
    print(f"{len(over)} silences, {int(over.sum())} of them ends; area under the curve of all signs {area(signs @ weights):.3f}")
    for name, weight, by, sign in zip(NAMES, weights, unsure, signs.T):
        print(f"{name:20} {weight:6.2f} ± {by:.2f}, alone {area(sign):.3f}")


main()
