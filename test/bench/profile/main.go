//go:build ignore

// Command profile is grantor itself with a CPU and an allocation profile between SIGUSR1 and
// SIGUSR2, which bench --profile sends around a measurement. The files are named by
// GRANTOR_TEST_PROFILE. It is compiled in Grantor's module, as fill is.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"syscall"

	"github.com/grantor-auth/grantor/internal/cli"
)

func main() {
	if base := os.Getenv("GRANTOR_TEST_PROFILE"); base != "" {
		runtime.MemProfileRate = 16 << 10
		go watch(base)
	}
	os.Exit(cli.Main(cli.Program{Args: os.Args[1:], Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}))
}

func watch(base string) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	for s := range signals {
		if err := turn(s, base); err != nil {
			fmt.Fprintln(os.Stderr, "profile:", err)
		}
	}
}

// turn begins or ends the profiles. Allocations of before are in allocs-0, to be taken off by pprof
// -diff_base.
func turn(s os.Signal, base string) error {
	if s == syscall.SIGUSR2 {
		pprof.StopCPUProfile()
		return heap(base + ".allocs")
	}
	if err := heap(base + ".allocs-0"); err != nil {
		return err
	}
	f, err := os.Create(base + ".cpu")
	if err != nil {
		return err
	}
	return pprof.StartCPUProfile(f)
}

func heap(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	runtime.GC() // what the profile knows is of the last collection
	return pprof.Lookup("allocs").WriteTo(f, 0)
}
