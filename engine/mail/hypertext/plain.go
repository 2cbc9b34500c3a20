package hypertext

import (
	"io"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxToken bounds a tag, and text between two of them.
const maxToken = 4 << 20

// PlainText reads HTML as text: its words, a line for each block, where links lead. It is
// for letters that come as nothing else, not for beauty.
func PlainText(page io.Reader) io.Reader {
	z := html.NewTokenizer(page)
	z.SetMaxBuf(maxToken)
	return &plainText{z: z, fresh: 2}
}

// Words reads the words of a page without links, hidden ones too.
func Words(page io.Reader) io.Reader {
	t := PlainText(page).(*plainText)
	t.whole = true
	return t
}

// WholeText reads all that a search may look for: Words, and after them where links lead.
func WholeText(page io.Reader) io.Reader {
	t := Words(page).(*plainText)
	t.links = make([]byte, 0, 1<<10)
	return t
}

// maxLinks bounds the links that are kept to the end of a text, in octets.
const maxLinks = 1 << 20

type plainText struct {
	z      *html.Tokenizer
	out    []byte // written last; its memory is used again
	left   []byte // part of out that is not read yet
	hidden int    // depth within what is not shown
	fresh  int    // line ends that were written last
	blank  bool   // a blank is due before the next word
	pre    int
	link   string
	ended  bool

	visible Visible
	whole   bool   // hidden text, too, and no link within it
	links   []byte // that come last; nil: none do
	style   bool   // the next text is a style sheet
}

// Read implements io.Reader.
func (t *plainText) Read(p []byte) (int, error) {
	for len(t.left) == 0 {
		if t.ended {
			return 0, io.EOF
		}
		t.out = t.out[:0]
		if err := t.token(); err != nil && err != io.EOF {
			return 0, err
		}
		t.left = t.out
	}
	n := copy(p, t.left)
	t.left = t.left[n:]
	return n, nil
}

func (t *plainText) token() error {
	switch t.z.Next() {
	case html.ErrorToken:
		t.ended = true
		if t.fresh == 0 {
			t.out = append(t.out, '\n')
		}
		t.out = append(t.out, t.links...)
		if t.z.Err() == html.ErrBufferExceeded {
			t.out = append(t.out, "[The rest of the page can't be read: a tag has no end.]\n"...)
			return nil
		}
		return t.z.Err()
	case html.TextToken:
		switch {
		case t.style:
			t.visible.Style(t.z.Text())
		case t.hidden == 0 && t.shown():
			t.text(string(t.z.Text()))
		}
	case html.StartTagToken, html.SelfClosingTagToken:
		tag := t.z.Token()
		shown := t.visible.Start(&tag)
		t.style = tag.DataAtom == atom.Style
		switch {
		case !shown && !t.whole && !containers[tag.DataAtom]:
		case tag.Type == html.StartTagToken:
			t.begin(tag)
		case tag.DataAtom == atom.Br, tag.DataAtom == atom.Hr:
			t.lines(t.fresh + 1)
		}
		return nil
	case html.EndTagToken:
		tag := t.z.Token()
		if t.visible.End(tag.Data) || t.whole || containers[tag.DataAtom] {
			t.end(tag)
		}
	}
	t.style = false
	return nil
}

func (t *plainText) shown() bool { return t.whole || t.visible.Shown() }

// containers count for what text is, whether they are shown or not.
var containers = map[atom.Atom]bool{atom.Script: true, atom.Style: true, atom.Head: true, atom.Title: true, atom.Template: true, atom.Svg: true, atom.Body: true}

// text writes words. Between two there is one blank, whatever the page has.
func (t *plainText) text(text string) {
	if t.pre > 0 {
		t.out = append(t.out, text...)
		t.fresh = 0
		return
	}
	if strings.TrimLeft(text, " \t\r\n") != text {
		t.blank = true
	}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' }) {
		if t.blank && t.fresh == 0 {
			t.out = append(t.out, ' ')
		}
		t.out = append(t.out, word...)
		t.fresh, t.blank = 0, true
	}
	if strings.TrimRight(text, " \t\r\n") == text {
		t.blank = false
	}
}

// lines sees to n line ends, two at most, after what was written.
func (t *plainText) lines(n int) {
	for ; t.fresh < min(n, 2); t.fresh++ {
		t.out = append(t.out, '\n')
	}
	t.blank = false
}

func (t *plainText) begin(tag html.Token) {
	switch tag.DataAtom {
	case atom.Script, atom.Style, atom.Head, atom.Title, atom.Template, atom.Svg:
		t.hidden++
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Blockquote, atom.Table, atom.Ul, atom.Ol:
		t.lines(2)
	case atom.Div, atom.Tr, atom.Section, atom.Article:
		t.lines(1)
	case atom.Td, atom.Th:
		t.blank = true
	case atom.Li:
		t.lines(1)
		t.out = append(t.out, "* "...)
		t.fresh = 0
	case atom.Body: // whatever was not closed before it
		t.hidden = 0
	case atom.Br, atom.Hr:
		t.lines(t.fresh + 1)
	case atom.Pre:
		t.lines(1)
		t.pre++
	case atom.A:
		t.link = ""
		for _, a := range tag.Attr {
			if a.Key == "href" && (strings.HasPrefix(a.Val, "http") || strings.HasPrefix(a.Val, "mailto:")) {
				t.link = a.Val
			}
		}
	}
}

func (t *plainText) end(tag html.Token) {
	switch tag.DataAtom {
	case atom.Script, atom.Style, atom.Head, atom.Title, atom.Template, atom.Svg:
		t.hidden = max(t.hidden-1, 0)
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Blockquote, atom.Table, atom.Ul, atom.Ol:
		t.lines(2)
	case atom.Div, atom.Tr, atom.Li:
		t.lines(1)
	case atom.Pre:
		t.pre = max(t.pre-1, 0)
		t.lines(1)
	case atom.A:
		switch {
		case t.link == "" || t.hidden > 0:
		case t.links != nil && len(t.links)+len(t.link) < maxLinks:
			t.links = append(append(t.links, t.link...), '\n')
		case !t.whole:
			t.out = append(append(append(t.out, " <"...), t.link...), '>')
		}
		t.link = ""
	}
}
