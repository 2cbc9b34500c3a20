package workspace

import (
	"context"
	"time"

	"postrider/engine/front/admin"
	"postrider/engine/host/history"
	"postrider/storage"
)

// Past is what the history has of a message. A server that runs writes first what waits.
func (ws *Workspace) Past(id storage.MessageID) (p admin.Past, err error) {
	if server := ws.Running(); server != nil {
		return server.Past(id)
	}
	p.Events, p.Summary, err = history.Find(ws.Config.HistoryDir(), ws.historySettings(), id, time.Now())
	return p, err
}

// SearchPast returns the events of messages that are selected.
func (ws *Workspace) SearchPast(s history.Search) (p admin.Past, err error) {
	if server := ws.Running(); server != nil {
		return server.Search(s)
	}
	p.Events, p.Summary, err = history.Look(context.Background(), ws.Config.HistoryDir(), ws.historySettings(), s, time.Now())
	return p, err
}

// AddEvents adds events of a history.Collector.
func (ws *Workspace) AddEvents(events []byte) error {
	if server := ws.Running(); server != nil {
		return server.AddEvents(events)
	}
	h := history.New(history.Options{Dir: ws.Config.HistoryDir(), Settings: ws.historySettings()})
	defer h.Flush()
	return h.AddAll(events)
}

func (ws *Workspace) historySettings() history.Settings {
	return history.Settings{Keep: ws.Config.Log.History, Room: ws.Config.Log.HistorySize}
}
