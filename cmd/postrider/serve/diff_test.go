package serve

import "testing"

func TestSame(t *testing.T) {
	f := func(want bool, running, file string) {
		t.Helper()
		if got := same(running, file); got != want {
			t.Errorf("%s runs, %s in the file: %v", running, file, got)
		}
	}
	f(true, `"1MiB"`, `"1MiB"`)
	f(false, `"1MiB"`, `"2MiB"`)
	f(true, `["[::]:25"]`, `[":25"]`)
	f(true, `["0.0.0.0:25"]`, `[":25"]`)
	f(true, `["[::]:41234", "127.0.0.1:25"]`, `[":0", "127.0.0.1:25"]`)
	f(true, `["[::]:25 auth=required"]`, `[":25 auth=required"]`)
	f(false, `["[::]:25"]`, `[":26"]`)
	f(false, `["127.0.0.1:25"]`, `[":25"]`)
	f(false, `["[::]:25"]`, `["0.0.0.0:25"]`)
	f(false, `["[::]:25", "[::]:587"]`, `[":25"]`)
}
