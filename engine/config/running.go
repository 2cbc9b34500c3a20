package config

import (
	"path/filepath"
	"strings"
)

// Values are the values of all keys, as TOML, by name: see Running.
func (c *Config) Values() map[string]string {
	values := make(map[string]string, len(c.keys))
	for _, k := range c.keys {
		values[k.Name] = k.Value()
	}
	return values
}

// Running is the configuration of a running server, from its Values and its working
// directory, which relative paths begin at. A key that this version does not know is
// passed over.
func Running(values map[string]string, dir string) (*Config, error) {
	c := Default()
	var text strings.Builder
	group := ""
	for _, k := range c.keys {
		value, ok := values[k.Name]
		if !ok {
			continue
		}
		if k.Group() != group {
			group = k.Group()
			text.WriteString("[" + group + "]\n")
		}
		text.WriteString(k.Base() + " = " + value + "\n")
	}
	if err := c.read("the running server", text.String()); err != nil {
		return nil, err
	}
	for _, k := range c.keys {
		k.line = 0
	}
	c.resolve(dir)
	return c, nil
}

// At is a copy whose relative paths begin at dir.
func (c *Config) At(dir string) *Config {
	n := c.Clone()
	n.resolve(dir)
	return n
}

// resolve makes relative paths begin at dir.
func (c *Config) resolve(dir string) {
	for _, k := range c.keys {
		if w, ok := k.value.(*words); ok && strings.HasPrefix(w.what, "a path") {
			*w.p = below(dir, *w.p)
		}
	}
	for i := range c.TLS.Certificates {
		f := &c.TLS.Certificates[i]
		f.Cert, f.Key = below(dir, f.Cert), below(dir, f.Key)
	}
}

func below(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
