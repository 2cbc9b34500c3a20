package web

import (
	"net/mail"
	"strings"

	"golang.org/x/net/html"
)

// list returns addresses as a field of the form has them, without the ones met before
// and the ones that leave reports.
func list(as []*mail.Address, met map[string]bool, leave func(address string) bool) string {
	var words []string
	for _, a := range as {
		key := strings.ToLower(a.Address)
		if a.Address == "" || met[key] || leave(a.Address) {
			continue
		}
		met[key] = true
		words = append(words, shownAddress(a))
	}
	return strings.Join(words, ", ")
}

// shownAddress is an address for a form: as mail.Address.String writes it, but with
// names that are not ASCII as they are.
func shownAddress(a *mail.Address) string {
	if a.Name == "" {
		return a.Address
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(a.Name) + `" <` + a.Address + ">"
}

// withoutTags is the text of HTML, to be quoted.
func withoutTags(src []byte) string {
	var b strings.Builder
	skip := 0
	for z := html.NewTokenizer(strings.NewReader(string(src))); ; {
		switch z.Next() {
		case html.ErrorToken:
			return strings.TrimSpace(blankLines.ReplaceAllString(b.String(), "\n\n"))
		case html.TextToken:
			if skip == 0 {
				b.WriteString(strings.Join(strings.Fields(string(z.Text())), " ") + " ")
			}
		case html.StartTagToken:
			name, _ := z.TagName()
			switch string(name) {
			case "style", "script", "head", "title":
				skip++
			case "br", "p", "div", "tr", "li", "h1", "h2", "h3", "blockquote":
				b.WriteByte('\n')
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			switch string(name) {
			case "style", "script", "head", "title":
				skip = max(skip-1, 0)
			case "p", "h1", "h2", "h3", "ul", "ol", "table":
				b.WriteByte('\n')
			}
		}
	}
}
