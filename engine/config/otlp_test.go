package config

import "testing"

// web.otlp is a URL of HTTP without a login, or empty.
func TestCollector(t *testing.T) {
	f := func(text string, ok bool) {
		t.Helper()
		c := Default()
		if err := c.Key("web.otlp").Set(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		} else if ok && c.Web.OTLP != text {
			t.Errorf("%q is kept as %q", text, c.Web.OTLP)
		}
	}
	f("", true)
	f("http://collector.example:4318", true)
	f("https://collector.example/otlp/", true)
	f("http://[2001:db8::1]:4318", true)
	f("collector.example:4318", false)
	f("grpc://collector.example:4317", false)
	f("http://", false)
	f("http://:4318", false)
	f("http://me:secret@collector.example", false)
	f("http://collector.example/?a=b", false)
	f("http://collector.example/#a", false)
	f("http://collector.example:port", false)
	f("http://a b", false)
	f("http://a\n", false)
}
