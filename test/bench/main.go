// Command bench measures Grantor beside the ceiling that HTTP and Redis set and beside other
// servers, in one run: see README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/grantor-auth/grantor/test/bench/rivals"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) >= 4 && args[0] == "serve" { // a contestant that this program serves: name, listen, Redis, a certificate and its key
		return rivals.Serve(args[1], args[2], args[3], args[4:]...)
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.draw {
		return redraw(o.out)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b, err := newBench(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()
	err = b.rounds(ctx)
	if err == nil && o.grow > 0 {
		err = b.grow(ctx)
	}
	return errors.Join(err, b.write()) // what was measured before an error or a signal counts
}
