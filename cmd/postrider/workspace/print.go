package workspace

import (
	"encoding/json"
	"io"

	"postrider/engine/client"
)

// PrintJSON writes v, indented. What others have written can't command a terminal that
// shows it later: see useragent.AppendJSON.
func PrintJSON(w io.Writer, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(client.AppendJSON(nil, append(text, '\n')))
	return err
}
