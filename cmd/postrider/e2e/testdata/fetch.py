# Fetches a maildrop with Python's poplib into DIR/1, DIR/2 ... and deletes it:
# HOST PORT USER PASSWORD DIR
import os, poplib, sys

poplib._MAXLINE = 1 << 20  # its own limit of 2048 is below what mail may hold
host, port, user, password, directory = sys.argv[1:6]
server = poplib.POP3(host, int(port))
server.user(user)
server.pass_(password)
count, octets = server.stat()
listing = server.list()[1]
uids = server.uidl()[1]
assert len(listing) == len(uids) == count, (count, len(listing), len(uids))
assert len({line.split()[1] for line in uids}) == count, "a UIDL came twice"
assert sum(int(line.split()[1]) for line in listing) == octets, "STAT and LIST differ"
for number in range(1, count + 1):
    _, lines, size = server.retr(number)
    message = b"".join(line + b"\r\n" for line in lines)
    assert int(listing[number - 1].split()[1]) == len(message) == size, number
    head = server.top(number, 0)[1]
    assert head == lines[: len(head)], "TOP %d 0 isn't the header" % number
    with open(os.path.join(directory, str(number)), "wb") as file:
        file.write(message)
    server.dele(number)
server.quit()
