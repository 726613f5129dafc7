#!/usr/bin/env python3
"""Log in to a Papertape server with a key: python3 login.py HOST:PORT ACCOUNT KEYFILE

A client in Python's standard library alone, written from docs/protocol.md and papertape.proto. It says what the
account holds. KEYFILE is what `papertape keys add --out` wrote: its last line is the id and the secret. A server
without keys needs none.
"""

import base64
import hashlib
import hmac
import os
import socket
import struct
import sys

WELCOME, LOGIN, LOGIN_REPLY, GOODBYE, REJECT = 1, 2, 3, 6, 7
SNAPSHOT = 1


def proof(secret, nonce, client_nonce, account):
    """What proves the secret for one login on one connection: 32 bytes."""
    client_key = hmac.digest(secret, b"papertape-v2 client key", "sha256")
    verifier = hashlib.sha256(client_key).digest()
    message = b"papertape-v2" + nonce + client_nonce + account.to_bytes(8, "big")
    mask = hmac.digest(verifier, message, "sha256")
    return bytes(a ^ b for a, b in zip(client_key, mask))


def read_key(path):
    """The id and the secret's 32 bytes from the last line of a file."""
    with open(path, encoding="utf-8") as file:
        key_id, text = file.read().split()[-2:]
    return key_id, base64.urlsafe_b64decode(text + "=")


# Protobuf: varints, 8 bytes, and bytes with their length. That is all that these messages use.


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out + bytes([n]))


def number(field, n):
    return varint(field << 3) + varint(n)


def data(field, b):
    return varint(field << 3 | 2) + varint(len(b)) + b


def fields(message):
    """A message as a dictionary: the values of each field, in their order."""
    found, at = {}, 0

    def take():
        nonlocal at
        n = shift = 0
        while True:
            byte, at = message[at], at + 1
            n |= (byte & 0x7F) << shift
            if byte < 0x80:
                return n
            shift += 7

    while at < len(message):
        tag = take()
        if tag & 7 == 0:
            value = take()
        else:
            size = {1: 8, 5: 4}.get(tag & 7) or take()
            value, at = message[at : at + size], at + size
        found.setdefault(tag >> 3, []).append(value)
    return found


def send(stream, kind, request, payload):
    stream.write(struct.pack(">IHHQ", 12 + len(payload), kind, 0, request) + payload)
    stream.flush()


def receive(stream):
    """The next frame: its type, and its message."""
    head = stream.read(16)
    if len(head) < 16:
        sys.exit("the server closed the connection")
    length, kind, _flags, _request = struct.unpack(">IHHQ", head)
    message = fields(stream.read(length - 12))
    if kind in (REJECT, GOODBYE):
        sys.exit(f"refused, code {message[1][0]}: {message[2][0].decode()}")
    return kind, message


def main(address, account, key_file=None):
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        stream = connection.makefile("rwb")
        kind, welcome = receive(stream)
        if kind != WELCOME:
            sys.exit(f"the first frame is of type {kind}")
        login = number(1, account) + number(2, SNAPSHOT) + data(5, b"login.py")
        if 5 in welcome:  # a nonce: the server asks for a key
            if welcome[8][0] != 2:
                sys.exit(f"the server asks for a proof of version {welcome[8][0]}")
            if key_file is None:
                sys.exit("this server asks for a key: name its file")
            key_id, secret = read_key(key_file)
            client_nonce = os.urandom(32)
            login += data(6, key_id.encode()) + data(7, client_nonce)
            login += data(8, proof(secret, welcome[5][0], client_nonce, account))
        send(stream, LOGIN, 1, login)
        kind, reply = receive(stream)
        if kind != LOGIN_REPLY:
            sys.exit(f"the answer to LOGIN is of type {kind}")
        holdings = fields(reply[7][0])
        balance = fields(holdings[5][0])[1][0]
        print(f"account {reply[1][0]}, sequence {reply[2][0]}, {len(holdings.get(3, []))} positions, "
              f"cash {balance // 10000}.{balance % 10000 // 100:02}")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
