package hypertext

import (
	"io"
	"strings"
	"testing"
)

// plain is the visible text of a page in one line.
func plain(t *testing.T, page string) string {
	t.Helper()
	text, err := io.ReadAll(PlainText(strings.NewReader(page)))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(text)), " ")
}

func TestVisible_Hidden(t *testing.T) {
	f := func(page string) {
		t.Helper()
		if got := plain(t, "<p>before</p>"+page+"<p>after</p>"); got != "before after" {
			t.Errorf("%s\nshows %q", page, got)
		}
	}
	for _, style := range []string{"display:none", "DISPLAY : None !important", "visibility:hidden", "visibility: collapse", "opacity:0", "opacity: 0.0;",
		"max-height:0", "max-height:0px;overflow:hidden", "height:0;overflow:hidden", "text-indent:-9999px", "position:absolute;left:-10000px",
		"font-size:1px;color:#fff;display:none", "display:block;visibility:hidden", "mso-hide:all;max-height:.0em !important", "transform: scale(0)"} {
		f(`<div style="` + style + `">x</div>`)
		f(`<span style='` + style + `'><b>x</b> y</span>`)
	}
	f(`<div hidden>x</div>`)
	f(`<div style="display:none"><div>x</div>y<table><tr><td>z</table></div>`)
	f(`<table><tr><td style="display:none">x<td></td></tr></table>`)
	f(`<table><tr style="display:none"><td>x</td><td>y<tr><td></table>`)
	f(`<ul><li style="display:none">x<ul><li>y</ul></ul>`)
	f(`<p style="display:none">x`)
	f(`<div style="display:none">x</b></i></section></div>`)
	f(`<style>.pre { display: none } </style><div class="a pre b">x</div>`)
	f(`<style><!-- /* { */ @import "x"; #top, td.y{max-height:0}--></style><div id=top>x</div>`)
	f(`<style>@media screen{.m{display:none}}</style><div class=m>x</div>`)
	f(`<style>.m{display:none !important}</style><div class=m style="display:block">x</div>`)
}

func TestVisible_Shown(t *testing.T) {
	f := func(page string) {
		t.Helper()
		if got := plain(t, page); got != "text" {
			t.Errorf("%s\nshows %q", page, got)
		}
	}
	for _, style := range []string{"", "display:block", "display:none;display:inline", "opacity:1", "opacity:.5", "max-height:400px", "font-size:0", "height:0", "overflow:hidden",
		"max-height:0;overflow:visible", "text-indent:-2em", "height:0;overflow:hidden;padding-bottom:56%", "position:absolute;left:-3px", "content:'display:none'"} {
		f(`<div style="` + style + `">text</div>`)
	}
	f(`<td style="font-size:0px"><div style="font-size:13px">text</div></td>`)
	f(`<img style="display:none" src=x><br style="display:none">text`)
	f(`<table><tr><td style="display:none">x</div></p><td>text</table>`)
	f(`<p style="display:none">x<div>text</div>`)
	f(`<dl><dt style="display:none">x<dd>text</dl>`)
	f(`<div><span style="display:none">x</div>text`)
	f(`<style>@media (max-width:600px){.d{display:none}}</style><p class=d>text`)
	f(`<style>@media only screen and (max-width:480px) { .d, #e { display:none !important } .f{} } .f{display:none}</style><p class=d id=e>text</p><p class=f>y`)
	f(`<style>.m{display:none}</style><p class=m style="display:block">text`)
	f(`<style>.a .b{display:none}.c:hover{display:none}p>i{display:none}</style><p class="b c"><i>text`)
	f(`<style>.x{display:none}.x{display:block}</style><p class=x>text`)
}

// Whatever a page is, following it takes time by its length: nothing is timed here, but
// what takes the square would not end before the test's time is over.
func TestVisible_LinearTime(t *testing.T) {
	for _, again := range []string{"<div>", "<p style=display:none>", "</x>", "<td>", "<li>", "<div></p>", "<b></i>", "<style>{</style>", "<style>a{</style>", "<table><td></div>", "<div style='display:none;'>", "<tr>"} {
		plain(t, strings.Repeat(again, 1<<20/len(again)))
	}
	plain(t, "<style>"+strings.Repeat("{", 2<<20)+"</style>")
	plain(t, "<style>"+strings.Repeat(".a{display:none}/*", 1<<17)+"</style>")
	plain(t, "<style>"+strings.Repeat(".a,", 1<<19)+"{display:none}</style>")
	plain(t, `<p style="`+strings.Repeat("opacity:1;", 1<<18)+`">`)
	plain(t, `<style>.x{display:none}</style><p class="`+strings.Repeat("a ", 1<<20)+`">`)
}

func TestWholeText_HasWhatIsHidden(t *testing.T) {
	text, err := io.ReadAll(WholeText(strings.NewReader(`<style>.p{}</style><div style="display:none">early</div><p>late</p>`)))
	if got := strings.Join(strings.Fields(string(text)), " "); got != "early late" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
