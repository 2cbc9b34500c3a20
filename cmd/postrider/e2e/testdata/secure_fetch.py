"""Prints all messages of a maildrop with poplib within TLS:
secure_fetch.py HOST PORT implicit|upgraded CA USER PASSWORD"""

import poplib
import ssl
import sys

host, port, mode, ca, user, password = sys.argv[1:]
trusted = ssl.create_default_context(cafile=ca)
if mode == "implicit":
    session = poplib.POP3_SSL(host, int(port), context=trusted)
else:
    session = poplib.POP3(host, int(port))
    session.stls(trusted)
session.user(user)
session.pass_(password)
for number in range(1, session.stat()[0] + 1):
    sys.stdout.buffer.write(b"\n".join(session.retr(number)[1]) + b"\n")
session.quit()
