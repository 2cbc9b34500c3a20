package message

import (
	"testing"
	"time"
)

const dateLayout = "Mon, 2 Jan 2006 15:04:05 -0700 (MST)"

// AppendDate is AppendFormat, for every time in every zone.
func FuzzAppendDate(f *testing.F) {
	f.Add(int64(0), 0, "UTC")
	f.Add(int64(1795996800), -5*3600, "EST")
	f.Add(int64(1795996800), 5*3600+1800, "")
	f.Add(int64(253402300800), 0, "UTC")  // year 10000
	f.Add(int64(-62135596801), 0, "UTC")  // year 0
	f.Add(int64(-30610224001), 0, "UTC")  // year 999
	f.Add(int64(1000000000), 3599, "LMT") // an offset with seconds
	f.Add(int64(1000000000), -1800, "-0030")
	f.Fuzz(func(t *testing.T, seconds int64, offset int, zone string) {
		if offset < -100*3600 || offset > 100*3600 || seconds > 1<<40 || seconds < -1<<40 {
			return
		}
		at := time.Unix(seconds, 123).In(time.FixedZone(zone, offset))
		if got, want := string(AppendDate(nil, at)), at.Format(dateLayout); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestAppendDateInRealZones(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "America/Sao_Paulo", "Pacific/Kiritimati"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Skip(err)
		}
		for at := time.Date(1890, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2100; at = at.Add(1111 * time.Hour) {
			if got, want := string(AppendDate(nil, at.In(zone))), at.In(zone).Format(dateLayout); got != want {
				t.Fatalf("%s: %q, want %q", name, got, want)
			}
		}
	}
}

func BenchmarkAppendDate(b *testing.B) {
	at := time.Date(2026, 11, 30, 3, 4, 5, 0, time.Local)
	var dst []byte
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			dst = AppendDate(dst[:0], at)
		}
	})
	b.Run("format", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			dst = at.AppendFormat(dst[:0], dateLayout)
		}
	})
}
