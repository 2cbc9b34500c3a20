"""Sends one message with smtplib within TLS:
secure_send.py HOST PORT implicit|upgraded CA MECHANISM USER PASSWORD FROM FILE RCPT...
Without a mechanism it does not log in. It fails if anybody is refused."""

import smtplib
import ssl
import sys

host, port, mode, ca, mechanism, user, password, sender, file = sys.argv[1:10]
trusted = ssl.create_default_context(cafile=ca)
if mode == "implicit":
    session = smtplib.SMTP_SSL(host, int(port), context=trusted)
else:
    session = smtplib.SMTP(host, int(port))
    session.starttls(context=trusted)
with session:
    session.ehlo("client.example")
    if mechanism:
        session.user, session.password = user, password
        session.auth(mechanism, getattr(session, "auth_" + mechanism.lower().replace("-", "_")))
    with open(file, "rb") as message:
        refused = session.sendmail(sender, sys.argv[10:], message.read())
    sys.exit(1 if refused else 0)
