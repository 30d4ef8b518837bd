package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTrafficCountsEachFailure(t *testing.T) {
	var asked atomic.Int32
	ctx, stop := context.WithCancel(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch asked.Add(1) {
		case 1, 3:
			_, _ = w.Write([]byte(`{"access_token":"gat_x"}`))
		case 2:
			_, _ = w.Write([]byte(`{"active":true}`))
		case 4:
			_, _ = w.Write([]byte(`{"active":false}`))
		case 5:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			stop()
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(srv.Close)
	c := &traffic{url: srv.URL, http: srv.Client()}
	c.work(ctx)
	require.Equal(t, 6, c.requests)
	require.Equal(t, []string{"a token that was just issued is not active", "/oauth2/token answers 503 Service Unavailable"}, c.failures[:2])
	require.Contains(t, c.failures[2], "EOF")
	var said strings.Builder
	require.False(t, c.report(&said, 2, time.Minute), "more than may")
	require.True(t, c.report(&said, 3, time.Minute))
	require.False(t, c.report(&said, 3, 0), "for longer than they may")
	require.False(t, (&traffic{}).report(&said, 0, time.Minute), "nothing was asked")
	require.Contains(t, said.String(), "6 requests, 3 failed within")
}
