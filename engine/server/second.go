package server

import (
	"sync"
	"time"
)

// eachSecond calls f once a second, on one goroutine, until stop is called.
func eachSecond(f func(now time.Time)) (stop func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case now := <-tick.C:
				f(now)
			}
		}
	}()
	return sync.OnceFunc(func() { close(done) })
}
