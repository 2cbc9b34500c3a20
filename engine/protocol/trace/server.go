package trace

import (
	"bytes"
	"fmt"
)

// Server takes octets that the server has written.
func (d *Dialogue) Server(octets []byte) {
	d.endMessage()
	if d.joined { // it may be anything
		d.fromServer(fmt.Sprintf("(%d octets)", len(octets)))
		return
	}
	other := 0 // octets of lines that are no reply
	for len(octets) > 0 {
		if d.now != single {
			octets = d.part(octets)
			continue
		}
		line, rest, _ := bytes.Cut(octets, []byte{'\n'})
		octets = rest
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if d.protocol == POP3 && !d.status(line) {
			other += len(line)
			continue
		}
		d.asked = d.asked || bytes.HasPrefix(line, []byte("334"))
		if isPlain(line) && !bytes.HasPrefix(line, []byte("334 ")) && !bytes.HasPrefix(line, []byte("+ ")) {
			d.plain(line)
			continue
		}
		d.fromServer(reply(line))
	}
	if other > 0 {
		d.fromServer(fmt.Sprintf("(%d octets)", other))
	}
}

// plain writes a line of the server that is shown as it is, with one allocation: most are.
func (d *Dialogue) plain(line []byte) {
	if d.tls {
		d.emit("<~  " + string(line))
	} else {
		d.emit("<-  " + string(line))
	}
}

// status notes what follows a status line of POP3, and reports whether it is one.
func (d *Dialogue) status(line []byte) bool {
	ok := bytes.HasPrefix(line, []byte("+OK"))
	switch {
	case bytes.HasPrefix(line, []byte("+ ")), bytes.Equal(line, []byte("+")):
		return true // a challenge
	case !ok && !bytes.HasPrefix(line, []byte("-ERR")):
		return false
	}
	if len(d.pending) > 0 {
		if ok {
			d.now = d.pending[0]
			d.retr = text{listing: d.now == listing}
		}
		d.pending = append(d.pending[:0], d.pending[1:]...)
	}
	return true
}

// part takes what belongs to a message or a listing, and returns what follows it.
func (d *Dialogue) part(octets []byte) (rest []byte) {
	end := d.retr.dot(octets)
	if end < 0 {
		d.retr.add(octets, d.fromServer)
		return nil
	}
	d.retr.add(octets[:end], d.fromServer)
	d.retr.end(d.fromServer)
	d.now = single
	return octets[end:]
}

// reply is a line of the server as it is shown: without the challenges of AUTH, except those
// that are the same for each login.
func reply(line []byte) string {
	for _, prefix := range []string{"334 ", "+ "} {
		challenge, is := bytes.CutPrefix(line, []byte(prefix))
		if is && len(challenge) > 0 && string(challenge) != "VXNlcm5hbWU6" && string(challenge) != "UGFzc3dvcmQ6" {
			return notShown(prefix[:len(prefix)-1])
		}
	}
	return clean(line)
}
