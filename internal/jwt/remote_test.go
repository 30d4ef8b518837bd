package jwt

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const where = "https://client.example.com/jwks"

// publisher answers requests as it is told, without a network, so that synctest's time holds.
type publisher struct {
	mu       sync.Mutex
	asked    map[string]int
	set      *KeySet
	header   string
	err      error
	slow     time.Duration
	metadata string
}

func (p *publisher) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked == nil {
		p.asked = map[string]int{}
	}
	p.asked[r.URL.Path]++
	if p.slow > 0 {
		select {
		case <-time.After(p.slow):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if p.err != nil {
		return nil, p.err
	}
	text, err := json.Marshal(p.set)
	if strings.HasPrefix(r.URL.Path, "/.well-known/") {
		text = []byte(p.metadata)
	}
	res := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(text))), Request: r}
	res.Header.Set("Cache-Control", p.header)
	return res, err
}

func (p *publisher) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *publisher) fetches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked["/jwks"]
}

// remote runs a test in synctest's time with a publisher of the set "p256".
func remote(t *testing.T, name string, test func(t *testing.T, p *publisher, r *Remote)) {
	t.Helper()
	k := keys()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := &publisher{set: &KeySet{keys: []publicKey{{id: "old", public: k.p256.Public()}}}}
			f := NewFetcher(Options{Transport: p})
			defer f.Close()
			r, err := f.Remote(where)
			require.NoError(t, err)
			test(t, p, r)
		})
	})
}

func known(t *testing.T, r *Remote, kid string) bool {
	t.Helper()
	s, err := r.Keys(t.Context(), kid)
	require.NoError(t, err)
	return s.has(kid)
}

func (p *publisher) rotate() {
	p.change(func() { p.set = &KeySet{keys: []publicKey{{id: "new", public: keys().p256.Public()}}} })
}

func TestRemote(t *testing.T) {
	remote(t, "CJ-12 a fetched set is kept: 1,000 questions, one fetch", func(t *testing.T, p *publisher, r *Remote) {
		for range 1000 {
			require.True(t, known(t, r, "old"))
		}
		require.Equal(t, 1, p.fetches())
	})
	remote(t, "CJ-12 S-50 1,000 unknown kids: at most one fetch a minute", func(t *testing.T, p *publisher, r *Remote) {
		require.True(t, known(t, r, "old"))
		time.Sleep(time.Minute)
		for i := range 1000 {
			require.False(t, known(t, r, "unknown"+string(rune('a'+i%26))))
		}
		require.Equal(t, 2, p.fetches())
		time.Sleep(59 * time.Second)
		require.False(t, known(t, r, "x"))
		require.Equal(t, 2, p.fetches())
		time.Sleep(time.Second)
		require.False(t, known(t, r, "x"))
		require.Equal(t, 3, p.fetches())
	})
	remote(t, "CJ-12 S-50 1,000 unknown kids before anything was fetched, all at once: one fetch", func(t *testing.T, p *publisher, r *Remote) {
		p.change(func() { p.slow = time.Second })
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { require.False(t, known(t, r, "x")) })
		}
		wg.Wait()
		require.Equal(t, 1, p.fetches())
	})
	remote(t, "CJ-12 S-50 1,000 unknown kids while the source fails: one fetch, an error and no refusal", func(t *testing.T, p *publisher, r *Remote) {
		require.True(t, known(t, r, "old"))
		time.Sleep(time.Minute)
		p.change(func() { p.err = errors.New("down") })
		for range 1000 {
			_, err := r.Keys(t.Context(), "x")
			require.ErrorContains(t, err, "down")
		}
		require.Equal(t, 2, p.fetches())
		require.True(t, known(t, r, "old"))
	})
	remote(t, "JK-04 a new key is known at the first token that names it", func(t *testing.T, p *publisher, r *Remote) {
		require.True(t, known(t, r, "old"))
		p.rotate()
		time.Sleep(time.Minute)
		require.True(t, known(t, r, "new"))
		require.False(t, known(t, r, "old"))
	})
	remote(t, "a stale set is refreshed behind the back of those who ask", func(t *testing.T, p *publisher, r *Remote) {
		require.True(t, known(t, r, "old"))
		p.change(func() { p.slow = 2 * time.Second })
		p.rotate()
		time.Sleep(5 * time.Minute)
		start := time.Now()
		require.True(t, known(t, r, "old"))
		require.Zero(t, time.Since(start))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.False(t, known(t, r, "old"))
		require.Equal(t, 2, p.fetches())
	})
	t.Run("RFC 7517 §5 published keys that cannot be used are told of once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var log strings.Builder
			p := &publisher{set: keys().set}
			f := NewFetcher(Options{Transport: p, Log: slog.New(slog.NewTextHandler(&log, nil))})
			defer f.Close()
			f.opts.Log.Info("begin")
			r, err := f.Remote(where)
			require.NoError(t, err)
			r.fetch = func(context.Context) (*KeySet, time.Duration, error) {
				s, err := parsePublished([]byte(setOf(jwkOf(t, keys().p256.Public(), "old", nil), jwkOf(t, keys().p256.Public(), "e", map[string]any{"use": "enc"}))), signatures)
				return s, time.Minute, err
			}
			for range 5 {
				require.True(t, known(t, r, "old"))
				time.Sleep(10 * time.Minute)
			}
			require.Equal(t, 1, strings.Count(log.String(), "passed over"), log.String())
			require.Contains(t, log.String(), "keys[1]")
		})
	})
	remote(t, "V-24 after a long silence nobody is verified by an old set", func(t *testing.T, p *publisher, r *Remote) {
		require.True(t, known(t, r, "old"))
		p.rotate()
		time.Sleep(10 * time.Minute)
		require.False(t, known(t, r, "old"))
	})
	remote(t, "V-24 the old set is kept for an hour while the source fails, and not longer", func(t *testing.T, p *publisher, r *Remote) {
		require.True(t, known(t, r, "old"))
		p.change(func() { p.err = errors.New("down") })
		for range 59 {
			time.Sleep(time.Minute)
			require.True(t, known(t, r, "old"))
		}
		time.Sleep(time.Minute)
		_, err := r.Keys(t.Context(), "old")
		require.ErrorContains(t, err, "down")
		synctest.Wait()
		p.change(func() { p.err = nil })
		time.Sleep(time.Minute)
		require.True(t, known(t, r, "old"))
	})
	remote(t, "a source that fails is asked after 5, 10, 20, 40 s, then once a minute, however many want it", func(t *testing.T, p *publisher, r *Remote) {
		p.change(func() { p.err = errors.New("down") })
		for range 5 * 60 {
			_, err := r.Keys(t.Context(), "")
			require.Error(t, err)
			time.Sleep(time.Second)
		}
		require.Equal(t, 8, p.fetches()) // at 0, 5, 15, 35, 75, 135, 195, 255 s
	})
	remote(t, "CJ-12 a source that does not answer: 3 seconds", func(t *testing.T, p *publisher, r *Remote) {
		p.change(func() { p.slow = time.Hour })
		start := time.Now()
		_, err := r.Keys(t.Context(), "")
		require.Error(t, err)
		require.Equal(t, 3*time.Second, time.Since(start))
	})
	remote(t, "S-20 a source that does not answer takes as many places of a server as it may, and no more", func(t *testing.T, p *publisher, r *Remote) {
		const maxWaiting = 128
		r.fetcher.opts.MaxWaiting = maxWaiting
		p.change(func() { p.slow = time.Hour })
		var crowded, late atomic.Int64
		for range maxWaiting + 72 {
			go func() {
				start := time.Now()
				_, err := r.Keys(t.Context(), "")
				switch {
				case errors.Is(err, ErrCrowded) && time.Since(start) == 0:
					crowded.Add(1)
				case err != nil && time.Since(start) == 3*time.Second:
					late.Add(1)
				}
			}()
		}
		time.Sleep(4 * time.Second)
		require.EqualValues(t, 72, crowded.Load())
		require.EqualValues(t, maxWaiting, late.Load())
		require.Zero(t, r.waiting.Load()+r.fetcher.waiting.Load())
	})
	remote(t, "who asked first may go away: the others get their answer", func(t *testing.T, p *publisher, r *Remote) {
		p.change(func() { p.slow = time.Second })
		var wg sync.WaitGroup
		wg.Go(func() { require.True(t, known(t, r, "old")) })
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := r.Keys(gone, "old")
		require.Error(t, err)
		wg.Wait()
		require.Equal(t, 1, p.fetches())
	})
	remote(t, "a panic of the parser is an error", func(t *testing.T, _ *publisher, r *Remote) {
		r.fetch = func(context.Context) (*KeySet, time.Duration, error) { panic("index out of range") }
		_, err := r.Keys(t.Context(), "")
		require.ErrorContains(t, err, "index out of range")
	})
	remote(t, "after Close nothing is fetched", func(t *testing.T, p *publisher, r *Remote) {
		r.fetcher.Close()
		_, err := r.Keys(t.Context(), "")
		require.Error(t, err)
		require.Zero(t, p.fetches())
	})
	t.Run("the same URL is the same Remote, and its limits hold for all", func(t *testing.T) {
		f := NewFetcher(Options{Transport: &publisher{}})
		defer f.Close()
		a, err := f.Remote(where)
		require.NoError(t, err)
		b, err := f.Remote(where)
		require.NoError(t, err)
		require.Same(t, a, b)
	})
	t.Run("sources that nobody asks are forgotten, not before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := NewFetcher(Options{Transport: &publisher{set: keys().set}})
			defer f.Close()
			r, err := f.Remote(where)
			require.NoError(t, err)
			_, err = r.Keys(t.Context(), "")
			require.NoError(t, err)
			f.forget()
			require.Len(t, f.sources, 1)
			time.Sleep(time.Hour)
			f.forget()
			require.Empty(t, f.sources)
		})
	})
	for header, want := range map[string]time.Duration{"": 5 * time.Minute, "max-age=1": time.Minute, "public, Max-Age=600": 10 * time.Minute,
		"max-age=99999999999999999": time.Hour, "max-age=999999": time.Hour, "max-age=-5": time.Minute, "max-age=600, no-store": time.Minute, "no-cache": time.Minute, "max-age=x": 5 * time.Minute} {
		t.Run("RFC 9111 §5.2.2.1 fresh within [1 min, 1 h]: "+header, func(t *testing.T) { require.Equal(t, want, freshness(header)) })
	}
}

func TestIssuer(t *testing.T) {
	issuer := func(t *testing.T, metadata string) (*Remote, *publisher) {
		p := &publisher{set: keys().set, metadata: metadata}
		f := NewFetcher(Options{Transport: p})
		t.Cleanup(f.Close)
		r, err := f.Issuer("https://as.example.com")
		require.NoError(t, err)
		return r, p
	}
	t.Run("RFC 8414 §2 the metadata names the keys", func(t *testing.T) {
		r, p := issuer(t, `{"issuer":"https://as.example.com","jwks_uri":"https://as.example.com/jwks"}`)
		require.True(t, known(t, r, "p256"))
		require.Equal(t, 1, p.fetches())
	})
	for name, metadata := range map[string]string{
		"MD-03 RFC 8414 §3.3 another issuer": `{"issuer":"https://as.example.com/","jwks_uri":"https://as.example.com/jwks"}`,
		"no jwks_uri":                        `{"issuer":"https://as.example.com"}`,
		"S-51 a jwks_uri without TLS":        `{"issuer":"https://as.example.com","jwks_uri":"http://as.example.com/jwks"}`,
		"S-51 a jwks_uri on loopback":        `{"issuer":"https://as.example.com","jwks_uri":"https://127.0.0.1/jwks"}`,
		"no JSON":                            `<html>`,
	} {
		t.Run(name+" is an error", func(t *testing.T) {
			r, p := issuer(t, metadata)
			_, err := r.Keys(t.Context(), "")
			require.ErrorContains(t, err, "discovery")
			require.Zero(t, p.fetches())
		})
	}
}

// TestFetch is over real connections.
func TestFetch(t *testing.T) {
	var asked atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if want := r.URL.Query().Get("bearer"); want != "" && r.Header.Get("Authorization") != "Bearer "+want {
			w.WriteHeader(401)
			return
		}
		_ = json.NewEncoder(w).Encode(keys().set)
	})
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/jwks", http.StatusFound) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"keys":[],"x":"`+strings.Repeat("a", 256<<10)+`"}`)
	})
	mux.HandleFunc("/html", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
	s := httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	keysAt := func(t *testing.T, path string, opts Options) error {
		opts.RootCAs, opts.Timeout = roots, time.Minute // a busy machine is no failure
		f := NewFetcher(opts)
		t.Cleanup(f.Close)
		r, err := f.Remote(s.URL + path)
		if err == nil {
			_, err = r.Keys(t.Context(), "")
		}
		return err
	}
	local := Options{AllowPrivate: true}
	t.Run("CJ-12 https with the given CA", func(t *testing.T) { require.NoError(t, keysAt(t, "/jwks", local)) })
	t.Run("S-51 a redirect is not followed", func(t *testing.T) {
		before := asked.Load()
		require.ErrorContains(t, keysAt(t, "/redirect", local), "302")
		require.Equal(t, before, asked.Load())
	})
	t.Run("CJ-12 more than 256 kB", func(t *testing.T) { require.ErrorContains(t, keysAt(t, "/large", local), "256 kB") })
	t.Run("no JSON", func(t *testing.T) { require.Error(t, keysAt(t, "/html", local)) })
	t.Run("404", func(t *testing.T) { require.ErrorContains(t, keysAt(t, "/no", local), "404") })
	t.Run("token_file: a token is sent along", func(t *testing.T) {
		opts := local
		opts.Bearer = func() (string, error) { return "t", nil }
		require.ErrorContains(t, keysAt(t, "/jwks?bearer=t", opts), "set jwks_uri")
		opts.BearerTo = []string{strings.ToUpper(s.URL[:8]) + s.URL[8:] + "/elsewhere"}
		require.NoError(t, keysAt(t, "/jwks?bearer=t", opts))
		opts.Bearer = func() (string, error) { return "", errors.New("no such file") }
		require.ErrorContains(t, keysAt(t, "/jwks", opts), "no such file")
	})
	t.Run("S-51 loopback is refused: in the URL, and by name when it is dialled", func(t *testing.T) {
		before := asked.Load()
		require.ErrorContains(t, keysAt(t, "/jwks", Options{}), "loopback")
		f := NewFetcher(Options{RootCAs: roots, Timeout: time.Minute})
		t.Cleanup(f.Close)
		_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "https://"), ":")
		_, _, err := f.get(t.Context(), "https://localhost:"+port+"/jwks")
		require.ErrorContains(t, err, "loopback, private or reserved")
		require.Equal(t, before, asked.Load())
	})
}

func TestAddresses(t *testing.T) {
	refused := reserved()
	for _, text := range []string{"127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.255",
		"192.0.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1",
		"::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "::127.0.0.1", "::ffff:0:127.0.0.1",
		"2002:7f00:1::1", "2001::1", "2001:db8::1", "2606:4700::1%eth0"} {
		t.Run("S-51 "+text+" is not dialled", func(t *testing.T) {
			require.Error(t, checkAddress(netip.MustParseAddr(text), refused))
			require.Error(t, dialControl()("tcp", netip.AddrPortFrom(netip.MustParseAddr(text), 443).String(), nil))
		})
	}
	for _, text := range []string{"1.1.1.1", "172.32.0.1", "100.128.0.1", "192.0.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"} {
		t.Run("S-51 "+text+" is", func(t *testing.T) { require.NoError(t, checkAddress(netip.MustParseAddr(text), refused)) })
	}
	for _, text := range []string{"http://127.0.0.1:8080/jwks", "http://169.254.169.254/", "https://169.254.169.254/", "https://127.0.0.1/", "https://[::1]/", "https://[::ffff:7f00:1]/", "https://localhost/",
		"http://client.example.com/jwks", "ftp://client.example.com/", "file:///etc/passwd", "client.example.com", "", "https://", "https://a:b@client.example.com/", "https://client.example.com/#x", "https://a/" + strings.Repeat("a", 2048)} {
		t.Run("S-51 RFC 7591 §2 a jwks_uri that cannot be registered: "+text[:min(len(text), 40)], func(t *testing.T) {
			require.Error(t, NewFetcher(Options{}).Check(text))
		})
	}
	t.Run("AllowPrivate: https anywhere, http on loopback alone", func(t *testing.T) {
		f := NewFetcher(Options{AllowPrivate: true})
		for _, text := range []string{"https://10.0.0.1:6443/openid/v1/jwks", "http://127.0.0.1:1/", "http://localhost/", "http://[::1]/"} {
			require.NoError(t, f.Check(text), text)
		}
		for _, text := range []string{"http://10.0.0.1/", "http://client.example.com/"} {
			require.Error(t, f.Check(text), text)
		}
	})
}
