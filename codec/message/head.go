package message

import "bytes"

// maxMessageID is how many octets Head keeps of the Message-ID.
const maxMessageID = 200

// maxDelivered is how many Delivered-To fields Head remembers. Mail that has more is
// taken for mail in a loop (see DeliveredTo).
const maxDelivered = 32

// Head reads the header of one message in wire form while it passes. The zero
// Head is ready for a message; Reset makes it ready for the next. It holds no
// slice of its input. It is a value of about half a kilobyte: keep it in the transaction.
type Head struct {
	octets int64 // whole lines of the header so far
	line   int64 // octets of the line that is being read
	at     headState
	field  fieldKind // the field that is being read, with its continuation lines
	dotted bool      // the stuffed dot of this line was passed
	hops   int

	name    [len("delivered-to")]byte // in lower case
	nameLen int                       // may be larger than name: no field of interest

	idSeen bool
	id     [maxMessageID]byte // the beginning of the first Message-ID, unfolded
	idLen  int

	delivered  [maxDelivered]uint64 // hashes of addresses
	deliveries int                  // the number of Delivered-To fields; fields past maxDelivered are only counted
}

// headState is what Head expects next.
type headState uint8

const (
	atLine     headState = iota // the first octet of a line
	atEmpty                     // LF after a CR that began the line
	inName                      // a field's name
	afterName                   // white space, then the colon
	inValue                     // anything up to LF
	pastHeader                  // nothing: the header has ended
)

// fieldKind is what Head does with a field's value.
type fieldKind uint8

const (
	fieldMessageID fieldKind = iota
	fieldDeliveredTo
	fieldOther
	fieldNone // no field has begun: there is nothing to continue
)

// Reset makes h ready for the next message.
func (h *Head) Reset() { *h = Head{} }

// Feed takes the next octets of the message, cut anywhere.
func (h *Head) Feed(run []byte) {
	for len(run) > 0 && h.at != pastHeader {
		switch h.at {
		case inValue:
			run = run[h.value(run):]
		case inName:
			run = run[h.nameOctets(run):]
		default:
			h.octet(run[0])
			run = run[1:]
		}
	}
}

// Done reports whether the header has ended. A message that is all header never
// gets there.
func (h *Head) Done() bool { return h.at == pastHeader }

// Octets is the length of the header in wire form with its empty line; before
// Done, that of the lines that were read whole.
func (h *Head) Octets() int64 { return h.octets }

// Hops is the number of Received fields so far (RFC 5321 section 6.3).
func (h *Head) Hops() int { return h.hops }

// MessageID is the beginning of the first Message-ID, at most maxMessageID octets, with its
// angle brackets: unfolded, without CR and LF, as it came otherwise (a UTF-8 sequence may be
// cut). It is nil without the field and belongs to h until the next Reset.
func (h *Head) MessageID() []byte {
	if !h.idSeen {
		return nil
	}
	return bytes.TrimRight(h.id[:h.idLen], " \t")
}

// Deliveries is the number of Delivered-To fields so far.
func (h *Head) Deliveries() int { return h.deliveries }

// DeliveredTo reports whether the header has a Delivered-To field with this address,
// compared without regard to ASCII case: the message has been there before, and going
// there again would be a loop. It compares 64-bit hashes. Of a header with more than
// maxDelivered such fields it is said of every address: no mail is forwarded so often
// but in a loop.
func (h *Head) DeliveredTo(addr []byte) bool {
	if h.deliveries > maxDelivered {
		return true
	}
	want := hashAddress(hashStart, addr)
	for _, sum := range h.delivered[:h.deliveries] {
		if sum == want {
			return true
		}
	}
	return false
}

// octet is one octet where each may change what comes next.
func (h *Head) octet(c byte) {
	h.line++
	switch {
	case h.at == afterName && c == ':':
		h.beginValue()
	case h.at == afterName && isWSP(c):
	case h.at == atEmpty && c == '\n', h.at == atLine && c == '\n':
		h.octets += h.line
		h.at = pastHeader
	case h.at == atLine && c == '\r':
		h.at = atEmpty
	case h.at == atLine && c == '.' && !h.dotted:
		h.dotted = true
	case h.at == atLine && isWSP(c) && h.continues():
		h.at = inValue
		h.keep(c)
	case h.at == atLine && isNameOctet(c):
		h.at, h.nameLen = inName, 0
		h.keepName(c)
	default:
		h.at = pastHeader // the line is no field: it is the body's first
	}
}

// continues reports whether there is a field before the line that begins now.
func (h *Head) continues() bool { return h.octets > 0 }

// nameOctets reads a field's name up to its colon and returns how much it took.
func (h *Head) nameOctets(run []byte) int {
	for i, c := range run {
		if isNameOctet(c) {
			h.keepName(c)
			continue
		}
		h.line += int64(i + 1)
		switch {
		case c == ':':
			h.beginValue()
		case isWSP(c):
			h.at = afterName
		default:
			h.at = pastHeader
		}
		return i + 1
	}
	h.line += int64(len(run))
	return len(run)
}

func (h *Head) keepName(c byte) {
	if h.nameLen < len(h.name) {
		h.name[h.nameLen] = lower(c)
	}
	h.nameLen++
}

// beginValue comes after the colon: the name is whole.
func (h *Head) beginValue() {
	h.at, h.field = inValue, fieldOther
	if h.nameLen > len(h.name) {
		return
	}
	switch string(h.name[:h.nameLen]) {
	case "received":
		h.hops++
	case "message-id":
		if !h.idSeen {
			h.idSeen, h.field = true, fieldMessageID
		}
	case "delivered-to":
		if h.deliveries++; h.deliveries <= maxDelivered {
			h.delivered[h.deliveries-1] = hashStart
			h.field = fieldDeliveredTo
		}
	}
}

// value reads up to the end of the line and returns how much it took.
func (h *Head) value(run []byte) int {
	n := bytes.IndexByte(run, '\n')
	if n < 0 {
		h.keepAll(run)
		h.line += int64(len(run))
		return len(run)
	}
	h.keepAll(run[:n])
	h.octets += h.line + int64(n+1)
	h.line, h.at, h.dotted = 0, atLine, false
	return n + 1
}

func (h *Head) keepAll(piece []byte) {
	switch h.field {
	case fieldDeliveredTo:
		at := &h.delivered[h.deliveries-1]
		*at = hashAddress(*at, piece)
	case fieldMessageID:
		for _, c := range piece {
			h.keep(c)
		}
	}
}

// keep adds an octet of the value to the Message-ID. White space before the value is dropped
// here, after it when the Message-ID is read.
func (h *Head) keep(c byte) {
	if h.field != fieldMessageID || c == '\r' || h.idLen == 0 && isWSP(c) || h.idLen == maxMessageID {
		return
	}
	h.id[h.idLen] = c
	h.idLen++
}

// hashStart and hashAddress are FNV-1a over the address in lower case, without
// white space, line ends and angle brackets.
const hashStart uint64 = 14695981039346656037

func hashAddress(sum uint64, s []byte) uint64 {
	for _, c := range s {
		switch c {
		case ' ', '\t', '\r', '\n', '<', '>':
			continue
		}
		sum = (sum ^ uint64(lower(c))) * 1099511628211
	}
	return sum
}

func isWSP(c byte) bool { return c == ' ' || c == '\t' }

// isNameOctet is ftext of RFC 5322 section 3.6.8.
func isNameOctet(c byte) bool { return '!' <= c && c <= '~' && c != ':' }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
