package web

import (
	"regexp"
	"strings"
)

var (
	number    = regexp.MustCompile(`^[0-9]{1,4}%?$`)
	align     = regexp.MustCompile(`(?i)^(left|right|center|justify|top|middle|bottom|baseline)$`)
	colour    = regexp.MustCompile(`(?i)^(#[0-9a-f]{3,8}|(rgb|hsl)a?\([0-9., %]{1,40}\)|` + strings.ReplaceAll(colourNames, " ", "|") + `)$`)
	measure   = regexp.MustCompile(`(?i)^(-?[0-9.]{1,8}(px|pt|em|rem|ex|%)?|auto)( (-?[0-9.]{1,8}(px|pt|em|rem|ex|%)?|auto)){0,3}$`)
	direction = regexp.MustCompile(`(?i)^(ltr|rtl|auto)$`)
	border    = regexp.MustCompile(`(?i)^[a-z0-9#., %]{1,60}$`)
	shorthand = regexp.MustCompile(`(?i)^[a-z0-9 .,%'"-]{1,200}$`)
	words     = regexp.MustCompile(`(?i)^[a-z0-9 ,'"-]{1,200}$`)

	// filtered is what filterStyle leaves, once more, for the allow list.
	filtered = regexp.MustCompile(`(?i)^([a-z-]{3,20}: [a-z0-9#., %()'"-]{1,200}(; |$))*$`)
)

// properties are the CSS properties that may be set, and their values. None of them
// can name another document, or move content to another place.
var properties = map[string]*regexp.Regexp{
	"color": colour, "background-color": colour,
	"font-family": words, "font-weight": words, "font-style": words, "text-align": words, "text-decoration": words, "text-transform": words,
	"font": shorthand, "vertical-align": words, "border-collapse": words, "white-space": words, "list-style-type": words,
	"border": border, "border-top": border, "border-right": border, "border-bottom": border, "border-left": border,
}

func init() {
	for _, p := range []string{"font-size", "line-height", "letter-spacing", "padding", "padding-top", "padding-right", "padding-bottom", "padding-left",
		"margin-top", "margin-right", "margin-bottom", "margin-left", "margin", "width", "max-width", "height", "border-radius", "border-spacing"} {
		properties[p] = measure
	}
}

// filterStyle leaves of a style attribute the declarations that properties allow. It
// knows no strings, comments or escapes of CSS: what has one in it does not match.
func filterStyle(style string) string {
	var kept []string
	for d := range strings.SplitSeq(style, ";") {
		name, value, ok := strings.Cut(d, ":")
		if !ok || len(value) > maxValue {
			continue
		}
		name, value = strings.ToLower(strings.TrimSpace(name)), withoutImportant(value)
		height := ""
		switch name {
		case "background", "background-image":
			name, value = "background-color", colourOf(value)
		case "font":
			value, height = fontOf(value)
		}
		if may := properties[name]; may == nil || len(value) > 200 || !may.MatchString(value) {
			continue
		}
		kept = append(kept, name+": "+value)
		if height != "" && properties["line-height"].MatchString(height) {
			kept = append(kept, "line-height: "+height)
		}
	}
	return strings.Join(kept, "; ")
}

// maxValue bounds a value that is looked at, in octets.
const maxValue = 2000

// withoutImportant is a value of a declaration, which counts as important or not.
func withoutImportant(value string) string {
	value = strings.TrimSpace(value)
	if i := strings.LastIndexByte(value, '!'); i >= 0 && strings.EqualFold(strings.TrimSpace(value[i+1:]), "important") {
		value = strings.TrimSpace(value[:i])
	}
	return value
}

// colourOf is the colour in the shorthand background, or the first of a gradient: without
// it white letters would be on white. "" if there is none.
func colourOf(value string) string {
	for _, found := range colourWords.FindAllString(address.ReplaceAllString(value, " "), 20) {
		if !placing[strings.ToLower(found)] && colour.MatchString(found) {
			return found
		}
	}
	return ""
}

var (
	colourWords = regexp.MustCompile(`(?i)#[0-9a-f]{3,8}\b|(rgb|hsl)a?\([^()]{1,40}\)|[a-z-]{3,30}`)

	// placing are words of backgrounds and gradients that are not colours.
	placing = map[string]bool{"none": true, "repeat": true, "space": true, "round": true, "scroll": true, "fixed": true, "local": true, "top": true, "bottom": true, "left": true,
		"right": true, "center": true, "cover": true, "contain": true, "auto": true, "inherit": true, "initial": true, "unset": true, "revert": true, "circle": true, "ellipse": true,
		"deg": true, "turn": true, "rad": true, "grad": true, "rem": true, "vmin": true, "vmax": true, "url": true}
)

var address = regexp.MustCompile(`(?i)url\([^)]*\)?`)

// fontOf divides the shorthand font: the line's height is after a slash.
func fontOf(value string) (font, height string) {
	font, rest, ok := strings.Cut(value, "/")
	if !ok {
		return value, ""
	}
	height, family, _ := strings.Cut(strings.TrimSpace(rest), " ")
	return strings.TrimSpace(font) + " " + strings.TrimSpace(family), height
}
