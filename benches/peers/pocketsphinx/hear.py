"""Stock PocketSphinx as a peer of `make bench-speech`: the wheel of the package index with its own model, its general
language model and its own settings. Reads utterances from standard input (sample count as 32 bit little endian, then
16 kHz samples of 16 bit), writes one JSON line each: text, CPU seconds, milliseconds from the end of the audio to the text.
"""

import json
import resource
import struct
import sys
import time

from pocketsphinx import Decoder

CHUNK = 2048 * 2  # octets: what the package's own examples read at once


def resident_mib():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def answer(**fields):
    print(json.dumps(fields), flush=True)


def main():
    before = resident_mib()
    began = time.monotonic()
    decoder = Decoder(samprate=16000, loglevel="FATAL")
    answer(ready=True, load_ms=(time.monotonic() - began) * 1000, memory_mib=resident_mib() - before)
    source = sys.stdin.buffer
    while True:
        header = source.read(4)
        if len(header) < 4:
            return
        (samples,) = struct.unpack("<I", header)
        audio = source.read(samples * 2)
        before = cpu()
        decoder.start_utt()
        for at in range(0, len(audio), CHUNK):
            decoder.process_raw(audio[at : at + CHUNK])
        ended = time.monotonic()
        decoder.end_utt()
        found = decoder.hyp()
        final_ms = (time.monotonic() - ended) * 1000
        answer(text=found.hypstr if found else "", cpu_s=cpu() - before, final_ms=final_ms)


main()
