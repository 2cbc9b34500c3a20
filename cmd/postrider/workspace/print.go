package workspace

import (
	"encoding/json"
	"io"
	"maps"
	"reflect"

	"postrider/engine/client"
)

// PrintJSON writes v, indented. What others have written can't command a terminal that
// shows it later: see useragent.AppendJSON.
func PrintJSON(w io.Writer, v any) error {
	text, err := json.MarshalIndent(emptied(v), "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(client.AppendJSON(nil, append(text, '\n')))
	return err
}

// emptied is v with an empty list in the place of a nil one, also among the values of a map:
// a program that reads it counts a list, and null has no length.
func emptied(v any) any {
	if m, ok := v.(map[string]any); ok {
		m = maps.Clone(m)
		for k := range m {
			m[k] = emptied(m[k])
		}
		return m
	}
	if list := reflect.ValueOf(v); list.Kind() == reflect.Slice && list.IsNil() {
		return []any{}
	}
	return v
}
