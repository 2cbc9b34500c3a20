// Package transcript plays dialogues between a peer and a session machine from
// text files that a postmaster can read, in the notation of the RFCs. It is test
// support: only tests import it.
//
// # A transcript
//
// A file is one scenario. Its first line is a comment that names the RFC section
// or the incident.
//
//	# RFC 1939 section 5: QUIT in the TRANSACTION state enters the UPDATE state.
//	set messages 120,200
//	C: USER mrose
//	S: +OK
//	C: PASS secret
//	E: login mrose secret
//	A: yes
//	S: +OK logged in
//
// The lines are:
//
//	#            a comment
//	set K V      a setting for the machine; before the first C:, A: or T:
//	C: text      octets from the peer
//	A: text      the answer to the open question, in words of the machine's test
//	T:           the peer's time limit has passed
//	S: text      one line of a reply, without its CRLF
//	E: text      an effect: a question with its facts, body octets, drop, close
//
// C: and A: and T: are written by hand. S: and E: are written by
// "go test -rewrite"; commit its output only when you understand it.
//
// Where the machine is a client (PlayClient), S: and C: change places: S: lines
// are what the peer sends and are written by hand, C: lines are written by -rewrite.
//
// In C: and S: lines \r \n \t \\ and \xNN mean octets, and \{600*text} in
// C: lines means text 600 times. A C: line has CRLF appended, unless it ends
// with \c. S: lines show \c where a reply does not end with CRLF.
//
// C: lines in a row are one burst, given to the machine at once. A comment does
// not end a burst; a blank line and every other line does. The output of a step
// follows it: first the replies, then the effects in their order. Body
// octets of one step are shown as one effect.
//
// # What is checked
//
// Each file is played whole, and the result compared with the S: and E: lines.
// Then it is played with each burst cut every 1 to 7 octets, as a network may do
// it: what the machine leaves is presented again with more after it. The result
// must be the same. Each input buffer is overwritten after the call that it was
// given to, so that a slice kept too long shows. Input after a question
// stays unread until its A: line, as in the event loop.
package transcript
