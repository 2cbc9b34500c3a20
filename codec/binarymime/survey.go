package binarymime

// Survey reads a message the first time. The zero value is ready.
type Survey struct {
	w    walker
	plan Plan
	open []surveyed
}

// Plan is what is to become of each part, in the order in which they begin.
type Plan struct {
	acts []act
	// Encoded is how many parts become base64.
	Encoded int
	// Broken is what of the message can't be verified any more: "DKIM-Signature",
	// "multipart/signed".
	Broken []string
}

// act is what becomes of a part.
type act struct {
	encoding encoding // it has from now on; notSaid: as it was
	form     form
	// contentType is a Content-Type to be added, or put in the place of what is there;
	// "": none.
	contentType string
	version     bool // MIME-Version is to be added
}

// form is what becomes of the octets of a body.
type form uint8

const (
	asIs      form = iota
	encode         // to base64
	mendLines      // mend line ends in what no reader takes for content, or in an unknown encoding
	mendBase64
	mendQuoted // quoted-printable
)

// surveyed is a part that is open.
type surveyed struct {
	index   int
	head    *head
	class   class
	parts   int  // a multipart's delimiters
	eight   bool // some part inside has octets above 127
	changed bool // it, or some part inside
	isRoot  bool // it is a message
}

// Write takes the next octets of the message. An error wraps ErrLimit, and is final.
func (s *Survey) Write(b []byte) error {
	s.w.h = s
	return s.w.write(b)
}

// End returns the plan for the message.
func (s *Survey) End() (*Plan, error) {
	s.w.h = s
	if err := s.w.finish(); err != nil {
		return nil, err
	}
	return &s.plan, nil
}

func (s *Survey) top() *surveyed { return &s.open[len(s.open)-1] }

func (s *Survey) begin() {
	n := len(s.open)
	isRoot := n == 0 || s.open[n-1].head != nil && s.open[n-1].head.isMessage()
	s.open = append(s.open, surveyed{index: len(s.plan.acts), isRoot: isRoot})
	s.plan.acts = append(s.plan.acts, act{})
}

func (s *Survey) field(f field) {
	if f == signature && len(s.open) == 1 {
		s.broken("DKIM-Signature")
	}
}

func (s *Survey) broken(what string) {
	for _, b := range s.plan.Broken {
		if b == what {
			return
		}
	}
	s.plan.Broken = append(s.plan.Broken, what)
}

func (s *Survey) headerText([]byte) {}
func (s *Survey) headerLineEnd()    {}

func (s *Survey) endHeader(h *head, _ bool) {
	copied := *h
	s.top().head = &copied
}

func (s *Survey) body(b []byte) { s.top().class.add(b) }

func (s *Survey) delimiter([]byte, bool) {
	p := s.top()
	p.parts++
	p.class.endLine()
}

// end decides what becomes of the part.
func (s *Survey) end() {
	p := s.top()
	a := &s.plan.acts[p.index]
	switch h := p.head; {
	case h.isMessage():
	case h.isMultipart() && p.parts > 0:
		if !p.class.isText() {
			a.form = mendLines
		}
		p.eight = p.eight || p.class.eight
	case !h.encoding.identity():
		if !p.class.isText() {
			a.form = map[encoding]form{base64Encoding: mendBase64, quotedPrintable: mendQuoted, unknownEncoding: mendLines}[h.encoding]
		}
		p.eight = p.class.eight
	case p.class.isText():
		p.eight = p.class.eight
	default:
		s.encode(p, a)
	}
	if p.head.encoding == binary && a.encoding == notSaid {
		a.encoding = sevenBit
		if p.eight {
			a.encoding = eightBit
		}
	}
	p.changed = p.changed || a.form != asIs || a.encoding != notSaid
	if p.changed && p.head.mediaType == "multipart/signed" {
		s.broken("multipart/signed")
	}
	s.close()
}

// encode has the part become base64.
func (s *Survey) encode(p *surveyed, a *act) {
	a.form, a.encoding = encode, base64Encoding
	s.plan.Encoded++
	switch {
	case p.head.isMultipart():
		a.contentType = octetStream
	case p.isRoot && !p.head.has[contentType]:
		a.contentType = p.class.textType()
	}
	a.version = p.isRoot && !p.head.has[mimeVersion]
}

// close passes what was found to the enclosing part.
func (s *Survey) close() {
	p := *s.top()
	s.open = s.open[:len(s.open)-1]
	if len(s.open) > 0 {
		around := s.top()
		around.eight = around.eight || p.eight
		around.changed = around.changed || p.changed
	}
}
