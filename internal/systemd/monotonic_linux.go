package systemd

import (
	"time"

	"golang.org/x/sys/unix"
)

// monotonic is the clock of MONOTONIC_USEC (sd_notify(3)).
func monotonic() time.Duration {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &at); err != nil {
		return 0
	}
	return time.Duration(at.Nano())
}
