package middleware

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
)

// following returns verifiers that follow, with a remembered token of each kind.
func following(b *testing.B, ends int) (v *Introspection, opaque string, local *JWT, signed string) {
	b.Helper()
	s := newFakeServer()
	for i := range ends {
		s.append(fmt.Sprint("end-", i))
	}
	f := s.follower(b)
	v = s.introspection(b, f)
	local = s.jwt(b, f, v)
	warm(b, f)
	opaque = "gat_" + fmt.Sprintf("%043d", 1)
	s.issue(opaque, time.Hour)
	signed = s.issueJWT(b, "1", nil)
	for _, err := range []error{second(v.Verify(b.Context(), opaque)), second(local.Verify(b.Context(), signed))} {
		require.NoError(b, err)
	}
	return v, opaque, local, signed
}

func second(_ *Token, err error) error { return err }

// BenchmarkLive is a check that is answered from memory, beside 10,000 ended names:
//
//	go test ./middleware -run '^$' -bench Live
func BenchmarkLive(b *testing.B) {
	v, opaque, local, signed := following(b, 10_000)
	for _, c := range []struct {
		name, token string
		v           Verifier
	}{{"introspection", opaque, v}, {"jwt", signed, local}} {
		check := func() {
			if _, err := c.v.Verify(b.Context(), c.token); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(c.name, func(b *testing.B) { measure(b, check) })
		b.Run(c.name+"/64 at once", func(b *testing.B) {
			b.SetParallelism(32)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					check()
				}
			})
		})
	}
}

// TestLiveAllocatesNothing: a check from memory is no work for the garbage collector.
func TestLiveAllocatesNothing(t *testing.T) {
	s := newFakeServer()
	f := s.follower(t)
	v := s.introspection(t, f)
	local := s.jwt(t, f, v)
	warm(t, f)
	opaque, signed := "gat_"+fmt.Sprintf("%043d", 1), s.issueJWT(t, "1", nil)
	s.issue(opaque, time.Hour)
	for verifier, token := range map[Verifier]string{v: opaque, local: signed} {
		require.Equal(t, "good", verdict(t, verifier, token))
		require.Zero(t, testing.AllocsPerRun(100, func() {
			if _, err := verifier.Verify(t.Context(), token); err != nil {
				t.Error(err)
			}
		}))
	}
}

// BenchmarkLiveRoute is a request to a route of Gin over HTTP, client and API in one process: open,
// protected live, and protected by a blind cache.
func BenchmarkLiveRoute(b *testing.B) {
	v, opaque, local, signed := following(b, 10_000)
	gin.SetMode(gin.TestMode)
	blind, err := NewIntrospection(IntrospectionConfig{URL: fakeIssuer + pathIntrospect, ClientID: "api", ClientSecret: "s", CacheTTL: time.Hour,
		Transport: v.cfg.Transport})
	require.NoError(b, err)
	router := gin.New()
	answer := func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"orders": []string{"apples", "pears"}}) }
	router.GET("/open", answer)
	for path, verifier := range map[string]Verifier{"/opaque": v, "/jwt": local, "/cache": blind} {
		g, err := New(Config{Verifier: verifier, Audience: api})
		require.NoError(b, err)
		router.GET(path, g.Authenticate(), g.RequireAll("orders:read"), answer)
	}
	server := httptest.NewServer(router)
	b.Cleanup(server.Close)
	for _, c := range []struct{ path, token string }{{"/open", opaque}, {"/opaque", opaque}, {"/open", signed}, {"/jwt", signed}, {"/cache", opaque}} {
		b.Run(fmt.Sprintf("%s %d bytes", c.path[1:], len(c.token)), func(b *testing.B) {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, server.URL+c.path, nil)
			require.NoError(b, err)
			req.Header.Set("Authorization", "Bearer "+c.token)
			measure(b, func() {
				res, err := http.DefaultClient.Do(req)
				if err != nil || res.StatusCode != http.StatusOK {
					b.Fatal(err, res)
				}
				_ = bytesOf(res)
				_ = res.Body.Close()
			})
		})
	}
}

// BenchmarkLiveMemory reports what ended names take.
func BenchmarkLiveMemory(b *testing.B) {
	for _, names := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(names), func(b *testing.B) {
			for b.Loop() {
				before := heapInUse()
				s := newEndedSet(defaultMaxEnded)
				for i := range names {
					s.add(fmt.Sprint("name-", i), 0)
				}
				b.ReportMetric(float64(heapInUse()-before)/float64(names), "B/name")
				b.ReportMetric(float64(s.count.Load()), "names")
			}
		})
	}
}
