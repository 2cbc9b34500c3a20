package tidy

import (
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
	"strings"
)

// plainFolders have comments and texts in plain English.
var plainFolders = []string{"bench", "cmd", "codec", "engine", "storage"}

// A wording is a habit that slows a reader, and what to write instead.
type wording struct {
	form    *regexp.Regexp
	instead string
}

// inComments are the wordings that comments don't have, checked line by line.
var inComments = []wording{
	{regexp.MustCompile(`(?i)\bbehind\b`), `write "after"`},
	{regexp.MustCompile(`(?i)\bstands?\b`), `write "is", "has", "means" or "comes"`},
	{regexp.MustCompile(`(?i)\b(no|some|any|every)body\b`), `write a noun with it: "no client", "any user", "all callers"`},
	{regexp.MustCompile(`(?i)\b(whom|whoever|whomever)\b`), "name it with a noun: the user, the client, the recipient"},
	{regexp.MustCompile(`(^|[.,;:(] )[Ww]ho\b`), `write a noun before it: "a client that"`},
	{regexp.MustCompile(`(?i)\b(he|him|his)\b`), "name it with a noun: the user, the operator"},
	{regexp.MustCompile(`(?i)\bthose (of|that|which|who|whose|in|with|from|there|after|before)\b`), "repeat the noun"},
	{regexp.MustCompile(`(?i)\banew\b`), `write "again"`},
	{regexp.MustCompile(`\bsays whether\b`), `write "reports whether", as Go's library does`},
	{regexp.MustCompile(`^[oO]f `), "begin with a noun that says what it is"},
}

// inTexts are the wordings that errors, logs and help texts don't have.
var inTexts = []wording{
	{regexp.MustCompile(`(?i)\bbehind\b`), `write "after"`},
	{regexp.MustCompile(`(?i)\bstands?\b`), `write "is", "has" or "means"`},
	{regexp.MustCompile(`(?i)\b(nobody's|whom|whoever|whomever)\b|\bnobody (is|has|can)\b`), "name it with a noun: the user, the client, the recipient"},
	{regexp.MustCompile(`(?i)\banew\b`), `write "again"`},
	{regexp.MustCompile(`(?i)\b(is|are) wanted\b`), `write "expected ..., got ..."`},
	{regexp.MustCompile(`(?i)^there (is|are) no\b`), `write "no ...", "no such ..." or "unknown ..."`},
	{regexp.MustCompile(`%q is no \w`), `write "unknown ...", "not a ..." or "invalid ..."`},
}

// english checks the wordings of comments, and of the texts outside of tests.
func english(f *file) (found []finding) {
	if !in(f.folder, plainFolders...) {
		return nil
	}
	for _, group := range f.syntax.Comments {
		for i, c := range group.List {
			if strings.HasPrefix(c.Text, "//go:") || strings.HasPrefix(c.Text, "//nolint") {
				continue
			}
			for n, line := range strings.Split(c.Text, "\n") {
				line = strings.TrimLeft(line, "/* \t")
				if i+n > 0 || isDocOf(f, group, "of") {
					line = " " + line // no opening of a comment, or the doc comment of a function "of"
				}
				found = append(found, wordings(f, c.Pos(), n, line, inComments)...)
			}
		}
	}
	if !f.isTest {
		found = append(found, texts(f)...)
	}
	return found
}

// texts checks the string literals that are more than a word.
func texts(f *file) (found []finding) {
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if _, ok := n.(*ast.Field); ok {
			return false // with its tag
		}
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if text, err := strconv.Unquote(literal.Value); err == nil && strings.Contains(text, " ") {
				found = append(found, wordings(f, literal.Pos(), 0, text, inTexts)...)
			}
		}
		return true
	})
	return found
}

// wordings finds the rules that a text breaks. down is the number of lines from pos.
func wordings(f *file, pos token.Pos, down int, text string, rules []wording) (found []finding) {
	for _, rule := range rules {
		if words := strings.TrimSpace(rule.form.FindString(text)); words != "" {
			one := f.at(pos, "%q: %s", words, rule.instead)
			one.line += down
			found = append(found, one)
		}
	}
	return found
}

// isDocOf reports whether a comment is the doc comment of a function with this name, in
// any case.
func isDocOf(f *file, group *ast.CommentGroup, name string) bool {
	for _, decl := range f.syntax.Decls {
		if d, ok := decl.(*ast.FuncDecl); ok && d.Doc == group {
			return strings.EqualFold(d.Name.Name, name)
		}
	}
	return false
}
