package http1

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNothingStays: what a handler does to its request and its answer, the next request of the
// connection does not see.
func TestNothingStays(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"header": func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("X-Junk", "a")
			r.Header.Add("X-Pad", "b")
			r.Header["Content-Type"][0] = "c"
			w.Header()["X-Junk"] = []string{"a"}
		},
		"everything else": func(w http.ResponseWriter, r *http.Request) {
			r.URL.Path, r.URL.RawQuery, r.Method, r.Host, r.RequestURI, r.RemoteAddr, r.Close = "/b", "a=c", "PUT", "b", "/c", "d", true
			r.Header, r.Body, r.TransferEncoding = http.Header{"X-Junk": {"a"}}, nil, []string{"chunked"}
			r.SetPathValue("a", "b")
			w.WriteHeader(http.StatusNoContent)
		},
		"forms": func(_ http.ResponseWriter, r *http.Request) { _ = r.ParseMultipartForm(10); _ = r.FormValue("a") },
		"a body read in part": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = r.Body.Read(make([]byte, 1))
			_ = r.Body.(*Body).Text()
			_, _ = io.ReadAll(r.Body)
		},
		"a body not read, and a long answer": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) },
		"a copy":                             func(_ http.ResponseWriter, r *http.Request) { r.WithContext(context.Background()).Header.Del("X-Pad") },
	} {
		t.Run("of a request of the connection in the next: "+name, func(t *testing.T) {
			addr, _ := front(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/do" {
					h(w, r)
					return
				}
				left := fmt.Sprint(r.Form, r.PostForm, r.MultipartForm, r.Pattern, r.PathValue("a"), r.Close, r.TransferEncoding, r.Context().Err())
				body, _ := io.ReadAll(r.Body)
				_, _ = fmt.Fprint(w, left, r.Method, r.URL, r.Host, r.RequestURI, r.Header, string(body), w.Header())
			})
			last := strings.Replace(post("a=b", "p"), "X-Pad", "Content-Type: application/x-www-form-urlencoded\r\nX-Pad", 1)
			var got []string
			for _, before := range []string{"", strings.Replace(last, "/", "/do", 1)} {
				c, r := dial(t, addr)
				send(t, c, before+last)
				for text := range strings.SplitSeq(before+last, "POST ") {
					if text == "" {
						continue
					}
					resp, err := http.ReadResponse(r, nil)
					require.NoError(t, err)
					body, err := io.ReadAll(resp.Body)
					require.NoError(t, err)
					resp.Header.Del("Date")
					if strings.HasPrefix(text, "/ ") {
						got = append(got, fmt.Sprint(resp.StatusCode, resp.Header, string(body)))
					}
				}
			}
			require.Len(t, got, 2)
			require.Equal(t, got[0], got[1])
		})
	}
}

func TestCarry(t *testing.T) {
	t.Run("what a request carries ends with it, and is one thing", func(t *testing.T) {
		var before []any
		addr, _ := front(t, func(w http.ResponseWriter, r *http.Request) {
			before = append(before, Carried(r.Context()))
			if !Carry(r.Context(), "load") || Carry(r.Context(), "another") || Carried(r.Context()) != "load" {
				w.WriteHeader(http.StatusInternalServerError)
			}
			if len(before) == 2 && (!Carry(r.Context(), nil) || Carried(r.Context()) != nil || !Carry(r.Context(), "another")) {
				w.WriteHeader(http.StatusInternalServerError)
			}
			echo(w, r)
		})
		c, r := dial(t, addr)
		for range 3 {
			send(t, c, post("a", ""))
			require.Equal(t, http.StatusOK, answered(t, r, "http1 0 a").StatusCode)
		}
		require.Equal(t, []any{nil, nil, nil}, before)
	})
	t.Run("other contexts carry nothing", func(t *testing.T) {
		require.False(t, Carry(t.Context(), "load"))
		require.Nil(t, Carried(t.Context()))
	})
}
