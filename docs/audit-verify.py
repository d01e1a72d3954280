#!/usr/bin/env python3
"""Verifies an exported audit log: audit-verify.py LOG.jsonl CHECKPOINTS.txt VERIFIER-KEY

Prints one line; ends with 0 when all is well, 1 otherwise. CHECKPOINTS.txt holds one signed note or several, as a
witness's file does. Needs nothing but Python 3.8; docs/audit.md is the format.
"""
import base64, functools, hashlib, itertools, json, re, sys

def sha256(data):
    return hashlib.sha256(data).digest()

# Ed25519 as in RFC 8032 section 5.1, points as (X, Y, Z, T). Slow, and only ever given what is public.
P, Q = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, ROOT = -121665 * pow(121666, P - 2, P) % P, pow(2, (P - 1) // 4, P)
def add(a, b):
    m, n, c = (a[1] - a[0]) * (b[1] - b[0]), (a[1] + a[0]) * (b[1] + b[0]), 2 * a[3] * b[3] * D
    e, f, g, h = (n - m) % P, (2 * a[2] * b[2] - c) % P, (2 * a[2] * b[2] + c) % P, (n + m) % P
    return e * f % P, g * h % P, f * g % P, e * h % P
def times(k, a):
    half = times(k >> 1, add(a, a)) if k else (0, 1, 1, 0)
    return add(half, a) if k & 1 else half
def point(raw):
    y, sign = int.from_bytes(raw, "little") & (2**255 - 1), raw[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * ROOT % P
    if len(raw) != 32 or y >= P or (x * x - square) % P or (x == 0 and sign):
        fault("a key or signature is not a point of the curve")
    return (x, y, 1, x * y % P) if x & 1 == sign else (P - x, y, 1, (P - x) * y % P)
def signed(key, text, sig):
    r, s, a = point(sig[:32]), int.from_bytes(sig[32:], "little"), point(key)
    k = int.from_bytes(hashlib.sha512(sig[:32] + key + text).digest(), "little") % Q
    left, right = times(s, point(b"\x58" + b"\x66" * 31)), add(r, times(k, a))
    return s < Q and all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1))

def checkpoints(raw, vkey):
    name, key_id, key = vkey.split("+", 2)
    kind = base64.b64decode(key, validate=True)
    if kind[:1] != b"\1" or len(kind) != 33 or sha256(name.encode() + b"\n" + kind).hex()[:8] != key_id:
        fault("this is not a verifier key")
    for note in re.findall(r"((?:(?!\u2014 ).+\n){3,})\n((?:\u2014 .+\n)+)", raw):
        for line in note[1].splitlines():
            sig = base64.b64decode(line.split(" ")[2], validate=True)
            if line.split(" ")[1] == name and sig[:4].hex() == key_id:
                origin, size, root = note[0].split("\n")[:3]
                if len(sig) != 68 or origin != name or not signed(kind[1:], note[0].encode(), sig[4:]):
                    fault("a checkpoint's signature is wrong")
                yield int(size), base64.b64decode(root, validate=True)

def fault(why):
    sys.exit(print(f"FAULT: {why}") or 1)

def root_of(peaks):
    nodes = [peak for _, peak in peaks] or [sha256(b"")]
    return functools.reduce(lambda right, left: sha256(b"\1" + left + right), reversed(nodes))

def link(line):
    found = re.fullmatch(rb'\{"seq":(0|[1-9][0-9]*),.*,"prev":"([0-9a-f]{64})"\}', line)
    try:
        return (int(found[1]), found[2].decode()) if found and json.loads(line) else (None, None)
    except (ValueError, RecursionError):
        return None, None

def first_wrong(line, behind, size, sound, prev, prev2):
    # `line` is not the one whose turn it is; `behind` may tell which of two entries is the wrong one.
    (seq, said), follower = link(line), link(behind)[1]
    mended = sha256(b"\0" + line[:-66] + prev.encode() + b'"}').hex()
    if size == sound or follower in (prev, mended):
        return size
    twice = seq == size - 1 and said == prev2 and follower == sha256(b"\0" + line).hex()
    return size - 1 if seq == size or twice else size

def verify(lines, marks):
    prev2, prev, peaks, size, sound = "", "0" * 64, [], 0, 0
    for line in itertools.chain([None], lines):
        if line is not None:
            line = line.rstrip(b"\n")
            if link(line) != (size, prev):
                at = first_wrong(line, next(lines, b"").rstrip(b"\n"), size, sound, prev, prev2)
                fault(f"entry {at} is wrong: altered, missing, inserted, or another in its place")
            leaf = sha256(b"\0" + line)
            prev2, prev, size, height = prev, leaf.hex(), size + 1, 0
            while peaks and peaks[-1][0] == height:
                leaf, height = sha256(b"\1" + peaks.pop()[1] + leaf), height + 1
            peaks.append((height, leaf))
        while marks and marks[0][0] == size:
            if marks.pop(0)[1] != root_of(peaks):
                fault(f"entries from {sound} on do not match the checkpoint of {size} entries")
            sound = size
    if marks:
        fault(f"entry {size} is wrong: the log ends there, a checkpoint was made of {marks[0][0]} entries")
    print(f"OK: {size} entries, the first {sound} as witnessed, root {base64.b64encode(root_of(peaks)).decode()}")

if __name__ == "__main__":
    log, notes, key = sys.argv[1:] if len(sys.argv) == 4 else sys.exit(__doc__)
    try:
        found = sorted(checkpoints(open(notes, encoding="utf-8", newline="").read(), key))
        verify(open(log, "rb"), found or fault("there is no checkpoint that is signed with this key"))
    except (OSError, ValueError) as why:
        fault(f"something cannot be read: {why}")
