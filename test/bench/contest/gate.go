package contest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/test/bench/load"
	"github.com/grantor-auth/grantor/test/bench/rivals"
	"github.com/grantor-auth/grantor/test/bench/stack"
)

// CaseCheck is the case that only those play who check tokens for an API, and the ceiling, whose
// check is its introspection.
const CaseCheck = "check"

// gates are what checks tokens in front of an API. Each stands beside Grantor on Redis.
func gates() []*Contestant {
	return []*Contestant{
		gate("gate", "grantor gate alone", frontGate()),
		gate("gate-asking", "grantor gate alone, --live=false: it asks about each request", frontGate("--live=false")),
		gate("nginx", "nginx, no check", frontNginx("nginx")),
		gate("nginx-gate", "nginx + gate", frontNginx("nginx-gate")),
		gate("nginx-gate-asking", "nginx + gate, --live=false", frontNginx("nginx-gate", "--live=false")),
		gate("nginx-introspect", "nginx + introspection of each request (auth_request to Grantor)", frontNginx("nginx-introspect")),
	}
}

// front starts what stands before a server. asked are the processes whose CPU counts; all says that
// the server's and the store's count too.
type front func(ctx context.Context, e *Env, p place, bin string) (f fronts, err error)

type fronts struct {
	started []*stack.Process
	counted []*stack.Process
	all     bool
	check   load.Kind

	protection protection // of a route
}

// awaitFront is how long a front may take to start.
const awaitFront = 10 * time.Second

func gate(name, title string, f front) *Contestant {
	c := grantor(name, title, setup{Store: "redis"}, current)
	c.front, c.plays = f, CaseCheck
	return c
}

// verifyPath is what a proxy asks.
const verifyPath = "/verify?scope=" + rivals.Scope + "&audience=" + rivals.Resource

func frontGate(args ...string) front {
	return func(ctx context.Context, _ *Env, p place, bin string) (f fronts, err error) {
		process, addr, err := startGate(ctx, p, bin, args...)
		f.started, f.counted = []*stack.Process{process}, []*stack.Process{process}
		f.check = load.Kind{Name: CaseCheck, Addr: addr, Path: verifyPath, Bearer: true}
		return f, err
	}
}

func startGate(ctx context.Context, p place, bin string, args ...string) (*stack.Process, string, error) {
	addr, err := stack.FreeAddress()
	if err != nil {
		return nil, "", err
	}
	env := []string{"GRANTOR_CLIENT_ID=" + rivals.APIID, "GRANTOR_CLIENT_SECRET=" + rivals.APISecret}
	process, err := stack.Start(p.dir, filepath.Join(p.dir, "gate.log"), env, bin,
		append([]string{"gate", "--issuer", "http://" + p.listen, "--listen", addr}, args...)...)
	if err != nil {
		return nil, "", err
	}
	return process, addr, process.Await(ctx, awaitFront, answers(addr, "/readyz"))
}

// answers says whether a path is answered 200.
func answers(addr, path string) func() error {
	return func() error {
		status, _, err := load.Ask(load.Kind{Addr: addr, Path: path, Bearer: true}, "none")
		if err == nil && status != 200 {
			err = fmt.Errorf("%s answers %d", path, status)
		}
		return err
	}
}

// frontNginx runs nginx before an API that costs nothing: nginx's own fixed answer.
func frontNginx(kind string, args ...string) front {
	return func(ctx context.Context, e *Env, p place, bin string) (f fronts, err error) {
		f.all = true
		gateAddr := p.listen
		if kind == "nginx-gate" {
			process, addr, err := startGate(ctx, p, bin, args...)
			if err != nil {
				return f, err
			}
			f.started, gateAddr = append(f.started, process), addr
		}
		process, addr, err := startNginx(ctx, e, p, kind, gateAddr)
		if process != nil {
			f.started = append(f.started, process)
		}
		f.counted = f.started
		f.check = load.Kind{Name: CaseCheck, Addr: addr, Path: "/orders", Bearer: true}
		return f, err
	}
}

func startNginx(ctx context.Context, e *Env, p place, kind, gateAddr string) (*stack.Process, string, error) {
	name, err := nginxProgram()
	if err != nil {
		return nil, "", err
	}
	addr, err1 := stack.FreeAddress()
	api, err2 := stack.FreeAddress()
	server, err3 := nginxServer(e, kind, p, addr, gateAddr, api)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, "", err
	}
	conf := filepath.Join(p.dir, "nginx.conf")
	text := strings.NewReplacer("DIR", p.dir, "API", api, "SERVER", server).Replace(nginxMain)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, "", err
	}
	process, err := stack.Start(p.dir, filepath.Join(p.dir, "nginx.log"), nil, name, "-p", p.dir, "-c", conf)
	if err != nil {
		return nil, "", err
	}
	return process, addr, process.Await(ctx, awaitFront, answers(addr, "/healthz"))
}

func nginxProgram() (string, error) {
	if path, err := exec.LookPath("nginx"); err == nil {
		return path, nil
	}
	if _, err := os.Stat("/usr/sbin/nginx"); err != nil {
		return "", fmt.Errorf("%w: nginx is not installed", ErrSkip)
	}
	return "/usr/sbin/nginx", nil
}

// nginxMain is one process, whose CPU is easily read.
const nginxMain = `daemon off; master_process off; pid DIR/pid; error_log DIR/nginx-error.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 10000000; client_body_temp_path DIR/b; proxy_temp_path DIR/p; fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u; scgi_temp_path DIR/s;
  server { listen API; keepalive_requests 10000000; location / { return 200 '{"orders":[]}'; } }
  SERVER
}
`

// nginxServer is the recipe of deploy/gate, and without a gate as much of it.
func nginxServer(e *Env, kind string, p place, addr, gateAddr, api string) (string, error) {
	folder := filepath.Join(e.Root, "deploy", "gate", "nginx")
	into := filepath.Join(p.dir, "grantor")
	if err := os.MkdirAll(into, 0o700); err != nil {
		return "", err
	}
	for _, name := range []string{"grantor.conf", "grantor-headers.conf"} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(into, name), text, 0o600); err != nil {
			return "", err
		}
	}
	recipe, err := os.ReadFile(filepath.Join(folder, "orders.conf"))
	if err != nil {
		return "", err
	}
	switch kind {
	case "nginx-gate":
		return strings.NewReplacer("127.0.0.1:8080", addr, "127.0.0.1:8081", api, "127.0.0.1:8082", gateAddr).Replace(string(recipe)), nil
	case "nginx-introspect":
		basic := base64.StdEncoding.EncodeToString([]byte(rivals.APIID + ":" + rivals.APISecret))
		return strings.NewReplacer("ADDR", addr, "BACKEND", api, "GRANTOR", gateAddr, "BASIC", basic).Replace(nginxAsks), nil
	}
	return strings.NewReplacer("ADDR", addr, "BACKEND", api).Replace(nginxPlain), nil
}

const nginxPlain = `upstream orders_api { server BACKEND; keepalive 64; }
  server { listen ADDR; location / { proxy_pass http://orders_api; proxy_http_version 1.1; proxy_set_header Connection ""; } }`

// nginxAsks shows what a question per request costs, and protects nothing: nginx does not read the
// answer, which is 200 for a revoked token too.
const nginxAsks = `upstream orders_api { server BACKEND; keepalive 64; }
  upstream grantor { server GRANTOR; keepalive 64; }
  map $http_authorization $bearer { "~^Bearer (.+)$" $1; }
  server { listen ADDR;
    location / { auth_request /_ask; proxy_pass http://orders_api; proxy_http_version 1.1; proxy_set_header Connection ""; }
    location /healthz { proxy_pass http://orders_api; }
    location = /_ask { internal; proxy_pass http://grantor/oauth2/introspect; proxy_method POST; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Authorization "Basic BASIC"; proxy_set_header Content-Type application/x-www-form-urlencoded; proxy_set_body "token=$bearer"; } }`
