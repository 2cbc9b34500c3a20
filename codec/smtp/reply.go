package smtp

// MaxReplyLine is the most octets of a reply line with its CRLF (RFC 5321
// section 4.5.3.1.5).
const MaxReplyLine = 512

// Reply is one reply of a server: RFC 5321 section 4.2 with the enhanced status
// code of RFC 3463. Replies are made once and never change.
type Reply struct {
	Code     int    // 200 to 599
	Enhanced string // "5.1.1", or empty where RFC 2034 section 4 wants none
	Text     string // one line, without CRLF
	Reason   Reason // why it refuses; ReasonOther: see Because
}

// Refuses reports whether the reply is of the 4yz or 5yz kind.
func (r *Reply) Refuses() bool { return r.Code >= 400 }

// String returns the reply as it is sent, without CRLF.
func (r *Reply) String() string {
	b := r.AppendTo(nil)
	return string(b[:len(b)-2])
}

// AppendTo appends the reply as one line with CRLF to dst.
func (r *Reply) AppendTo(dst []byte) []byte {
	start := len(dst)
	return EndLine(append(r.Begin(dst), r.Text...), start)
}

// AppendMore appends one line of a reply that goes on: the code, "-", the
// enhanced code and text.
func (r *Reply) AppendMore(dst []byte, text string) []byte {
	start := len(dst)
	return EndLine(append(r.begin(dst, '-'), text...), start)
}

// Begin appends what comes before the text of the last line: the codes. The
// caller appends a text of its own and calls EndLine.
func (r *Reply) Begin(dst []byte) []byte { return r.begin(dst, ' ') }

// BeginMore is Begin for a line that is not the last.
func (r *Reply) BeginMore(dst []byte) []byte { return r.begin(dst, '-') }

func (r *Reply) begin(dst []byte, sep byte) []byte {
	c := r.Code
	dst = append(dst, byte('0'+c/100%10), byte('0'+c/10%10), byte('0'+c%10), sep)
	if r.Enhanced != "" {
		dst = append(dst, r.Enhanced...)
		dst = append(dst, ' ')
	}
	return dst
}

// EndLine ends the line dst[start:]: it is cut to what a reply line may have,
// loses control octets, and gets its CRLF. A line that holds what a peer sent
// passes through here.
func EndLine(dst []byte, start int) []byte {
	if end := start + MaxReplyLine - 2; len(dst) > end {
		for end > start && dst[end]&0xC0 == 0x80 {
			end-- // don't cut a character of UTF-8
		}
		dst = dst[:end]
	}
	for i, c := range dst[start:] {
		if c < ' ' || c == 0x7F {
			dst[start+i] = '?'
		}
	}
	return append(dst, '\r', '\n')
}
