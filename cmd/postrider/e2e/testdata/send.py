# Sends files with Python's smtplib, all in one session: HOST PORT RCPT FILE...
import smtplib, sys

host, port, rcpt = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with smtplib.SMTP(host, port, local_hostname="client.example") as server:
    for name in sys.argv[4:]:
        with open(name, "rb") as file:
            message = file.read()
        options = ["BODY=8BITMIME"] if any(octet > 127 for octet in message) else []
        server.sendmail("sender@client.example", [rcpt], message, mail_options=options)
