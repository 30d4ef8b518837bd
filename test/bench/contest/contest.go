// Package contest is who takes part: how each is prepared and started, and where it is asked what.
package contest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/grantor-auth/grantor/test/bench/load"
	"github.com/grantor-auth/grantor/test/bench/rivals"
	"github.com/grantor-auth/grantor/test/bench/stack"
)

// Contestant is a server that can be started any number of times.
type Contestant struct {
	Name    string   // what --contestants takes
	Title   string   // for people
	Redis   bool     // it keeps tokens there
	SQL     bool     // it keeps them in PostgreSQL
	Admin   bool     // it introspects at an address of its own
	TLS     bool     // it serves HTTPS
	Against string   // the contestant that it is compared with; "": the ceiling
	Before  string   // the contestant whose earlier version it is; "": none
	Cannot  []string // cases that it has no endpoint for
	Binds   bool     // it binds tokens to the keys of DPoP proofs (RFC 9449)
	Prepare func(ctx context.Context, e *Env) error
	furnish func(ctx context.Context, p place) error // fills its store before each start; nil: nothing to do
	start   func(e *Env, p place) (*stack.Process, error)
	front   front  // what checks tokens before it; nil: nothing
	plays   string // the one case that it plays; "": those of a token server
	paths   paths
}

// place is where an instance runs.
type place struct {
	listen, admin string       // addresses; without Admin they are the same
	redis         string       // an address
	sql           string       // a URL
	tls           *certificate // nil: plain HTTP
	dir           string
	people        int
}

type paths struct{ token, introspect, revoke string }

// ErrSkip is wrapped by the error of a Prepare whose contestant cannot take part here.
var ErrSkip = errors.New("left out")

// Env is what contestants are made from.
type Env struct {
	Root string // of the repository
	Dir  string // for everything that is built or generated
	Self string // this program
	Bin  string // a grantor binary; "": built from Root
	Say  func(format string, args ...any)

	Profile string // where profiles go; "": none

	tls   *certificate // of all contestants behind TLS; made when the first needs it
	route string       // the binary of ../route; built when the first needs it
}

// Can says whether the contestant can play a case.
func (c *Contestant) Can(name string) bool {
	switch {
	case c.plays != "":
		return name == c.plays
	case name == CaseCheck:
		return c.Name == Ceiling
	case IsBound(name):
		return c.Binds
	}
	return name != CaseRoute && !slices.Contains(c.Cannot, name)
}

// Bound is the end of the names of cases whose tokens are bound to keys; without it, the name is
// that of the case that they are compared with.
const Bound = "-bound"

// IsBound says whether a case is one of bound tokens.
func IsBound(name string) bool { return strings.HasSuffix(name, Bound) }

// Plays is the one case that the contestant plays; "": those of a token server.
func (c *Contestant) Plays() string { return c.plays }

// Instance is a contestant that runs.
type Instance struct {
	Server   *stack.Process
	Redis    *stack.Redis    // nil: it has none
	Postgres *stack.Postgres // nil: it has none
	Cold     time.Duration   // from the start of the process to its first token
	fronts   fronts
	place    place
	paths    paths

	profiled bool
}

// Start runs the contestant beside a store of its own, with so many users, and waits for its first
// token.
func (c *Contestant) Start(ctx context.Context, e *Env, people int) (*Instance, error) {
	i := &Instance{paths: c.paths, profiled: e.Profile != "" && strings.HasPrefix(c.Name, "grantor")}
	if err := i.start(ctx, c, e, people); err != nil {
		i.Stop()
		return nil, err
	}
	return i, nil
}

func (i *Instance) start(ctx context.Context, c *Contestant, e *Env, people int) (err error) {
	if i.place, err = i.settle(ctx, c, e, people); err != nil {
		return err
	}
	if c.furnish != nil {
		if err := c.furnish(ctx, i.place); err != nil {
			return err
		}
	}
	begun := time.Now()
	if i.Server, err = c.start(e, i.place); err != nil {
		return err
	}
	if err := i.Server.Await(ctx, 20*time.Second, i.firstToken); err != nil {
		return err
	}
	i.Cold = time.Since(begun)
	if c.front == nil {
		return nil
	}
	i.fronts, err = c.front(ctx, e, i.place, e.Bin)
	return err
}

// settle starts the store and finds addresses.
func (i *Instance) settle(ctx context.Context, c *Contestant, e *Env, people int) (p place, err error) {
	p.people = people
	if c.TLS {
		if p.tls, err = e.certificate(); err != nil {
			return p, err
		}
	}
	if p.dir, err = os.MkdirTemp(e.Dir, c.Name); err != nil {
		return p, err
	}
	if c.Redis {
		if i.Redis, err = stack.StartRedis(ctx, p.dir); err != nil {
			return p, err
		}
		p.redis = i.Redis.Addr
	}
	if c.SQL {
		if i.Postgres, err = stack.StartPostgres(ctx); err != nil {
			return p, err
		}
		p.sql = i.Postgres.URL
	}
	if p.listen, err = stack.FreeAddress(); err != nil || !c.Admin {
		p.admin = p.listen
		return p, err
	}
	p.admin, err = stack.FreeAddress()
	return p, err
}

func (i *Instance) firstToken() error {
	status, _, err := load.Ask(i.Issue(), "")
	if err == nil && status != 200 {
		err = errors.New("it issues no token")
	}
	return err
}

// Profiling begins and ends the profiles of a server that was started to be profiled.
func (i *Instance) Profiling(on bool) error {
	switch {
	case !i.profiled:
		return nil
	case on:
		return i.Server.Signal(syscall.SIGUSR1)
	}
	err := i.Server.Signal(syscall.SIGUSR2)
	time.Sleep(500 * time.Millisecond) // the files are being written
	return err
}

// Stop ends server and store.
func (i *Instance) Stop() {
	for _, p := range i.fronts.started {
		p.Stop()
	}
	i.Server.Stop()
	i.Redis.Stop()
	i.Postgres.Stop()
}

// Usage is CPU time that processes have used so far.
type Usage struct {
	Front  time.Duration // what stands before the server: a gate, nginx, an API
	Server time.Duration
	Store  time.Duration // Redis or PostgreSQL
}

// CPU is what front, server and store have used so far, as far as they count.
func (i *Instance) CPU() (u Usage, err error) {
	for _, p := range i.fronts.counted {
		one, err := p.CPU()
		if err != nil {
			return u, err
		}
		u.Front += one
	}
	if len(i.fronts.counted) > 0 && !i.fronts.all {
		return u, nil
	}
	if u.Server, err = i.Server.CPU(); err != nil {
		return u, err
	}
	switch {
	case i.Redis != nil:
		u.Store, err = i.Redis.CPU()
	case i.Postgres != nil:
		u.Store, err = i.Postgres.CPU()
	}
	return u, err
}

// Resident is the memory of what is measured: of the first front, else of the server.
func (i *Instance) Resident() (int64, error) {
	if len(i.fronts.counted) > 0 {
		return i.fronts.counted[0].Resident()
	}
	return i.Server.Resident()
}

// All are the contestants in the order of the table; the naive ceiling comes second.
func All() []*Contestant {
	return slices.Concat(ours(), grantors(), gates(), routes(), []*Contestant{oidcProvider()}, hydras())
}

// ours are served by this program itself.
func ours() []*Contestant {
	behindTLS := own(CeilingTLS, "the naive ceiling behind TLS (net/http)", "ceiling", true)
	behindTLS.TLS, behindTLS.Against = true, CeilingTLS
	return []*Contestant{
		own("gin", "Gin alone, a fixed answer", "gin", false, "garbage", "refresh", "revoke", "mixed"),
		own(Ceiling, "Gin + one go-redis v8 command (the naive ceiling)", "ceiling", true),
		behindTLS,
		own("go-oauth2", "go-oauth2 + Redis as commonly wired", "go-oauth2", true),
	}
}

func own(name, title, rival string, redis bool, cannot ...string) *Contestant {
	return &Contestant{Name: name, Title: title, Redis: redis, Cannot: cannot, paths: grantorPaths,
		Prepare: func(context.Context, *Env) error { return nil },
		start: func(e *Env, p place) (*stack.Process, error) {
			args := []string{"serve", rival, p.listen, p.redis}
			if p.tls != nil {
				args = append(args, p.tls.cert, p.tls.key)
			}
			return stack.Start(p.dir, filepath.Join(p.dir, "log"), nil, e.Self, args...)
		}}
}

// CeilingTLS is the ceiling that contestants behind TLS are compared with: the same certificate,
// HTTP/1.1 alike.
const CeilingTLS = "ceiling-tls"

// Ceiling is the contestant that all others are compared with.
const Ceiling = "ceiling"

var grantorPaths = paths{rivals.PathToken, rivals.PathIntrospect, rivals.PathRevoke}
