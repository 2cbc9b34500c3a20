"""Logs in by one mechanism of smtplib: login.py HOST PORT MECHANISM USER PASSWORD"""

import smtplib
import sys

host, port, mechanism, user, password = sys.argv[1:]
with smtplib.SMTP(host, int(port)) as session:
    session.ehlo("client.example")
    session.user, session.password = user, password
    session.auth(mechanism.upper().replace("_", "-"), getattr(session, "auth_" + mechanism))
