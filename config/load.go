package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/grantor-auth/grantor/scopes"
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
	c, warnings, problems := Read(o)
	if len(problems) > 0 {
		return nil, nil, problems
	}
	return c, warnings, nil
}

// Parse is Load for the text of a config.toml that a program holds itself. Names of files in it
// are relative to the working directory.
func Parse(text string) (*Config, []string, error) {
	main, err := parseFile("configuration", []byte(text))
	files, problems := main.withIncluded(asErrors(err))
	c, warnings, problems := readFrom(files, problems, Options{})
	if len(problems) > 0 {
		return nil, nil, problems
	}
	return c, warnings, nil
}

// Read is Load for those who need a part of the configuration alone: the Config holds what could
// be read, and Problems says whether a part is sound.
func Read(o Options) (*Config, []string, Errors) {
	files, problems := readAll(o.Path, o.BuiltIn)
	return readFrom(files, problems, o)
}

func readFrom(files []*tomlFile, problems Errors, o Options) (*Config, []string, Errors) {
	d := &decoder{cfg: Default(), where: map[string]*tomlFile{}, problems: problems}
	d.cfg.origin = map[string]string{}
	for _, f := range files {
		d.cfg.Files = append(d.cfg.Files, f.name)
		d.table(reflect.ValueOf(d.cfg).Elem(), f.values, "", f)
	}
	d.environment(o.Environ)
	d.flags(o)
	found := len(d.problems)
	warnings := d.check()
	if d.cfg.broken = len(files) == 0 || slices.ContainsFunc(files, func(f *tomlFile) bool { return f.broken }); d.cfg.broken {
		return d.cfg, nil, d.problems[:found] // what follows from a file that is not whole is no mistake of its own
	}
	return d.cfg, warnings, d.problems
}

// Check is Load for a Config that a program fills itself, beginning with Default. It returns what
// Load returns. A Config is checked once, by Load, Parse, Read or the first Check: change nothing
// afterwards.
func (c *Config) Check() (warnings []string, err error) {
	if !c.checked {
		d := &decoder{cfg: c, where: map[string]*tomlFile{}}
		d.check()
	}
	if len(c.problems) > 0 {
		return nil, slices.Clone(c.problems)
	}
	return c.warnings, nil
}

// Copy returns the values of a Config, unchecked, for a program to change: its scopes, clients and
// users can be replaced without changing c.
func (c *Config) Copy() *Config {
	n := *c
	n.Scopes, n.Clients, n.Users.Config = maps.Clone(c.Scopes), slices.Clone(c.Clients), slices.Clone(c.Users.Config)
	n.Metadata.Extra = maps.Clone(c.Metadata.Extra)
	n.catalogue, n.clients, n.users, n.userScope = nil, nil, nil, scopes.Rules{}
	n.problems, n.warnings, n.checked, n.where = nil, nil, false, nil
	return &n
}

// check validates the values, and keeps in the Config where they stand and what is wrong.
func (d *decoder) check() (warnings []string) {
	c := d.cfg
	c.checked, c.warnings = true, d.validate()
	c.where, c.problems = d.where, slices.Clone(d.problems)
	return c.warnings
}

// Problems returns the mistakes in a part of the configuration: in the keys and tables named, and
// what contains them.
func (c *Config) Problems(keys ...string) Errors { return c.problems.about(keys) }

// Patterns returns the patterns of include, with their folder.
func (c *Config) Patterns() (list []string) {
	for _, p := range c.Include {
		if len(c.Files) > 0 && strings.ContainsAny(p, "*?[") {
			list = append(list, beside(c.Files[0], p))
		}
	}
	return list
}

// Whole says whether every file could be read to its end.
func (c *Config) Whole() bool { return !c.broken }

// Mistake is a mistake that is found after Read, in a key or in keys that do not fit together,
// with its place.
func (c *Config) Mistake(text string, keys ...string) Problem {
	d := &decoder{cfg: c, where: c.where}
	d.clash(keys, "%s", text)
	return d.problems[0]
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
