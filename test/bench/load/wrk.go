package load

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

//go:embed wrk.lua
var script []byte

// HasWrk says whether wrk is installed (Debian's package wrk).
func HasWrk() bool {
	_, err := exec.LookPath("wrk")
	return err == nil
}

// Wrk runs a plan with wrk, one thread, for a time that wrk counts in whole seconds.
func Wrk(ctx context.Context, p Plan, connections int, d time.Duration) (Result, error) {
	dir, err := os.MkdirTemp("", "grantor-wrk")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(dir)
	lua, plan := filepath.Join(dir, "plan.lua"), filepath.Join(dir, "plan")
	if err := errors.Join(os.WriteFile(lua, script, 0o600), p.write(plan)); err != nil {
		return Result{}, err
	}
	seconds := max(1, int(d.Round(time.Second)/time.Second))
	begun := time.Now()
	out, err := exec.CommandContext(ctx, "wrk", "-t", "1", "-c", strconv.Itoa(connections), "-d", strconv.Itoa(seconds),
		"--timeout", "5s", "-s", lua, p.url(), "--", plan).CombinedOutput()
	if err != nil {
		return Result{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	return parseWrk(out, begun)
}

func parseWrk(out []byte, begun time.Time) (Result, error) {
	_, text, ok := bytes.Cut(out, []byte("RESULT "))
	if !ok {
		return Result{}, fmt.Errorf("wrk said no result: %s", out)
	}
	var r struct {
		Requests             int
		Seconds, Ended       float64
		P50, P99, Max        int64 // µs
		Status, Socket, Body int
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&r); err != nil {
		return Result{}, fmt.Errorf("wrk: %w: %s", err, text)
	}
	elapsed := time.Duration(r.Seconds * float64(time.Second))
	if r.Ended > 0 { // the plan was used up before the time was
		elapsed = min(elapsed, time.UnixMicro(int64(r.Ended*1e6)).Sub(begun))
	}
	micro := func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
	return Result{Requests: r.Requests, Elapsed: elapsed, P50: micro(r.P50), P99: micro(r.P99), Max: micro(r.Max),
		Errors: max(r.Status, r.Body) + r.Socket}, nil
}
