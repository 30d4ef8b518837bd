package contest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/grantor-auth/grantor/test/bench/rivals"
	"github.com/grantor-auth/grantor/test/bench/stack"
)

// grantors are the real binary under several configurations.
func grantors() []*Contestant {
	return []*Contestant{
		grantor("grantor-memory", "Grantor, memory", setup{Store: "memory"}, current),
		grantor(Product, "Grantor, Redis, opaque tokens", setup{Store: "redis"}, current),
		behindTLS(grantor(ProductTLS, "Grantor, Redis, opaque tokens, behind TLS", setup{Store: "redis"}, current)),
		grantor("grantor-eddsa", "Grantor, Redis, JWT by EdDSA", setup{Store: "redis", Alg: "EdDSA"}, current),
		grantor("grantor-es256", "Grantor, Redis, JWT by ES256", setup{Store: "redis", Alg: "ES256"}, current),
	}
}

// Earlier is Grantor of a revision that the history has, plain and behind TLS: what the product was
// before.
func Earlier(revision string) []*Contestant {
	builder := fromHistory(revision)
	plain := grantor("grantor-before", "Grantor before ("+revision+")", setup{Store: "redis"}, builder)
	secured := behindTLS(grantor("grantor-before-tls", "Grantor before ("+revision+"), behind TLS", setup{Store: "redis"}, builder))
	plain.Before, secured.Before = Product, ProductTLS
	return []*Contestant{plain, secured}
}

func behindTLS(c *Contestant) *Contestant {
	c.TLS, c.Against = true, CeilingTLS
	return c
}

// Product is the contestant whose ratios are held against the goals; ProductTLS is the same behind
// TLS.
const (
	Product    = "grantor-redis"
	ProductTLS = "grantor-tls"
)

// setup is what grantor.toml is filled with.
type setup struct {
	Store, Alg                    string
	Listen, Redis, EncryptionKey  string
	MachineHash, APIHash, AppHash string
	Users                         []string
	Cert, Key                     string // paths; "": plain HTTP
}

//go:embed grantor.toml
var configuration string

// Versus is Grantor on Redis as another binary, or under other variables: "GOGC=400 /tmp/grantor".
// Without a binary it is the same.
func Versus(call string) *Contestant {
	c := grantor("grantor-versus", call, setup{Store: "redis"}, current)
	words := strings.Fields(call)
	c.start = func(e *Env, p place) (*stack.Process, error) {
		env, bin := words, e.Bin
		if last := words[len(words)-1]; !strings.Contains(last, "=") {
			env, bin = words[:len(words)-1], last
		}
		return setup{Store: "redis"}.serve(bin, p, env)
	}
	return c
}

// builder returns the path of a grantor binary, which it builds once.
type builder func(ctx context.Context, e *Env) (string, error)

func grantor(name, title string, s setup, build builder) *Contestant {
	var bin string
	return &Contestant{Name: name, Title: title, Redis: s.Store == "redis", Binds: true, paths: grantorPaths,
		Prepare: func(ctx context.Context, e *Env) (err error) {
			if bin, err = build(ctx, e); err != nil {
				return err
			}
			return checked(ctx, e, s, bin)
		},
		start: func(e *Env, p place) (*stack.Process, error) {
			var env []string
			if e.Profile != "" {
				env = append(env, "GRANTOR_TEST_PROFILE="+filepath.Join(e.Profile, name))
			}
			return s.serve(bin, p, env)
		}}
}

func (s setup) serve(bin string, p place, env []string) (*stack.Process, error) {
	path, err := s.write(p)
	if err != nil {
		return nil, err
	}
	return stack.Start(p.dir, filepath.Join(p.dir, "log"), env, bin, "serve", "--config", path)
}

// current makes the binary that users get; to be profiled, one that can be.
func current(ctx context.Context, e *Env) (_ string, err error) {
	if e.Bin != "" {
		return e.Bin, nil
	}
	source := "."
	if e.Profile != "" {
		source = "./test/bench/profile/main.go"
	}
	e.Bin, err = e.Build(ctx, "grantor", source)
	return e.Bin, err
}

// fromHistory makes the binary of a revision.
func fromHistory(revision string) builder {
	var bin string
	return func(ctx context.Context, e *Env) (string, error) {
		if bin != "" {
			return bin, nil
		}
		tree := filepath.Join(e.Dir, "before")
		archive := tree + ".tar"
		for _, call := range [][]string{
			{"git", "-C", e.Root, "archive", "--output", archive, revision}, {"mkdir", tree}, {"tar", "-xf", archive, "-C", tree},
		} {
			if out, err := exec.CommandContext(ctx, call[0], call[1:]...).CombinedOutput(); err != nil { // #nosec G204 -- the revision that the caller names
				return "", fmt.Errorf("%w: %s: %s", ErrSkip, revision, lastLine(out))
			}
		}
		made, err := e.buildIn(ctx, tree, "grantor-before", ".")
		bin = made
		return made, err
	}
}

// Build compiles a program in Grantor's module.
func (e *Env) Build(ctx context.Context, name, source string) (string, error) {
	return e.buildIn(ctx, e.Root, name, source)
}

func (e *Env) buildIn(ctx context.Context, module, name, source string) (string, error) {
	bin := filepath.Join(e.Dir, name)
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", bin, source)
	c.Dir = module
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s in %s: %w: %s", source, module, err, out)
	}
	return bin, nil
}

// checked asks the binary whether it takes the configuration: one that is older than a key refuses
// it.
func checked(ctx context.Context, e *Env, s setup, bin string) error {
	dir, err := os.MkdirTemp(e.Dir, "check")
	if err != nil {
		return err
	}
	path, err := s.write(place{listen: "127.0.0.1:8080", redis: "127.0.0.1:6379", dir: dir, people: 1})
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, bin, "config", "check", "--config", path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: grantor config check refuses it: %s", ErrSkip, firstLine(bytes.ReplaceAll(out, []byte(dir+"/"), nil)))
	}
	return nil
}

func firstLine(text []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return line
}

// write generates the configuration.
func (s setup) write(p place) (string, error) {
	s.Listen, s.Redis, s.Users = p.listen, p.redis, rivals.Users()[:max(1, p.people)]
	hash := func(secret string) string {
		sum := sha256.Sum256([]byte(secret))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	if p.tls != nil {
		s.Cert, s.Key = p.tls.cert, p.tls.key
	}
	s.MachineHash, s.APIHash, s.AppHash = hash(rivals.MachineSecret), hash(rivals.APISecret), hash(rivals.AppSecret)
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	s.EncryptionKey = base64.StdEncoding.EncodeToString(key)
	t, err := template.New("grantor.toml").Parse(configuration)
	if err != nil {
		return "", err
	}
	path := filepath.Join(p.dir, "config.toml")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return path, t.Execute(f, s)
}

func lastLine(text []byte) string {
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return all[len(all)-1]
}
