// Package contest is who takes part: how each is prepared and started, and where it is asked what.
package contest

import (
	"context"
	"encoding/base64"
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
	Prepare func(ctx context.Context, e *Env) error
	furnish func(ctx context.Context, p place) error // fills its store before each start; nil: nothing to do
	start   func(e *Env, p place) (*stack.Process, error)
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

	tls *certificate // of all contestants behind TLS; made when the first needs it
}

// Can says whether the contestant can play a case.
func (c *Contestant) Can(name string) bool { return !slices.Contains(c.Cannot, name) }

// Instance is a contestant that runs.
type Instance struct {
	Server   *stack.Process
	Redis    *stack.Redis    // nil: it has none
	Postgres *stack.Postgres // nil: it has none
	Cold     time.Duration   // from the start of the process to its first token
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
	return nil
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
	i.Server.Stop()
	i.Redis.Stop()
	i.Postgres.Stop()
}

// CPU is what server and store have used so far.
func (i *Instance) CPU() (server, store time.Duration, err error) {
	if server, err = i.Server.CPU(); err != nil {
		return 0, 0, err
	}
	switch {
	case i.Redis != nil:
		store, err = i.Redis.CPU()
	case i.Postgres != nil:
		store, err = i.Postgres.CPU()
	}
	return server, store, err
}

// Issue is client_credentials; its value is "".
func (i *Instance) Issue() load.Kind {
	return i.kind("issue", i.paths.token, basic(rivals.MachineID, rivals.MachineSecret), "grant_type=client_credentials&scope=orders%3Aread")
}

// Introspect takes a token and asks as another client than the one that it was issued to.
func (i *Instance) Introspect() load.Kind {
	k := i.kind("introspect", i.paths.introspect, basic(rivals.APIID, rivals.APISecret), "token=")
	k.Addr = i.place.admin
	return k
}

// Revoke takes a token.
func (i *Instance) Revoke() load.Kind {
	return i.kind("revoke", i.paths.revoke, basic(rivals.MachineID, rivals.MachineSecret), "token=")
}

// LogIn is the password grant; its value is a user's name.
func (i *Instance) LogIn() load.Kind {
	return i.kind("log-in", i.paths.token, basic(rivals.AppID, rivals.AppSecret),
		"grant_type=password&password=correct+horse+battery+staple&scope=orders%3Aread&username=")
}

// Refresh takes a refresh token.
func (i *Instance) Refresh() load.Kind {
	return i.kind("refresh", i.paths.token, basic(rivals.AppID, rivals.AppSecret), "grant_type=refresh_token&refresh_token=")
}

func (i *Instance) kind(name, path, basic, prefix string) load.Kind {
	k := load.Kind{Name: name, Addr: i.place.listen, Path: path, Basic: basic, Prefix: prefix}
	if i.place.tls != nil {
		k.Roots = i.place.tls.roots
	}
	return k
}

func basic(id, secret string) string {
	return base64.StdEncoding.EncodeToString([]byte(id + ":" + secret))
}

// All are the contestants in the order of the table; the naive ceiling comes second.
func All() []*Contestant {
	return slices.Concat(ours(), grantors(), []*Contestant{oidcProvider()}, hydras())
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
