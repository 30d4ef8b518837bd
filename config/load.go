package config

import (
	"reflect"
)

// Options is where a Config comes from, the strongest last: defaults, the file, Environ, Listen.
type Options struct {
	Path    string   // of config.toml
	Environ []string // as os.Environ gives it
	Listen  string   // --listen; "": not given
	Trial   bool     // --trial
	BuiltIn []byte   // read when there is no file at Path; nil: a missing file is an error
}

// Load reads and checks everything. The error is an Errors with every mistake; the warnings
// are what an operator should know. Load changes nothing and may be repeated.
func Load(o Options) (*Config, []string, error) {
	files, err := readAll(o.Path, o.BuiltIn)
	if files == nil {
		return nil, nil, err
	}
	d := &decoder{cfg: Default(), where: map[string]*file{}}
	d.cfg.origin = map[string]string{}
	if err != nil {
		d.problems = asErrors(err)
	}
	for _, f := range files {
		d.cfg.Files = append(d.cfg.Files, f.name)
		d.table(reflect.ValueOf(d.cfg).Elem(), f.values, "", f)
	}
	d.environment(o.Environ)
	d.flags(o)
	warnings := d.validate()
	if len(d.problems) > 0 {
		return nil, nil, d.problems
	}
	return d.cfg, warnings, nil
}

func (d *decoder) flags(o Options) {
	if o.Listen != "" {
		d.cfg.Listen = o.Listen
		delete(d.where, "listen")
		d.cfg.origin["listen"] = "--listen"
	}
	if !o.Trial {
		return
	}
	for key, set := range map[string]bool{"redis.url": d.cfg.Redis.URL != "", "redis.addrs": len(d.cfg.Redis.Addrs) > 0} {
		if set {
			d.bad(key, "--trial keeps tokens in memory and takes no [redis]: leave one of them out")
		}
	}
	d.cfg.Trial = true
	d.cfg.Store = StoreMemory
	d.cfg.origin["store"] = "--trial"
	delete(d.where, "store")
}
