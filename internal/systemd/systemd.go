// Package systemd tells systemd in which state this process is, by the datagrams of sd_notify(3). A
// nil *Service, which is that of a process which systemd did not start, tells nobody.
package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"
)

// Service is this process as systemd knows it. Any number of goroutines may use it.
type Service struct {
	at       *net.UnixAddr
	watchdog time.Duration
	log      *slog.Logger
}

// Bounds of a datagram: how long the socket may refuse one, and the length of a status in bytes.
const (
	sendLimit = time.Second
	maxStatus = 400
)

// Open reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID by variable, which returns "" of what is
// not set; pid is this process. It returns nil where there is no socket, or one of another kind.
func Open(variable func(name string) string, pid int, log *slog.Logger) *Service {
	name := variable("NOTIFY_SOCKET")
	if !strings.HasPrefix(name, "/") && !strings.HasPrefix(name, "@") { // "@": an abstract socket
		return nil
	}
	s := &Service{at: &net.UnixAddr{Name: name, Net: "unixgram"}, log: log}
	if whose := variable("WATCHDOG_PID"); whose == "" || whose == strconv.Itoa(pid) {
		if usec, err := strconv.ParseInt(variable("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 {
			s.watchdog = time.Duration(usec) * time.Microsecond
		}
	}
	return s
}

// Ready says that the process serves, at a start and after a reload. status is a line for systemctl
// status.
func (s *Service) Ready(status string) { s.tell("READY=1", statusLine(status)) }

// Reloading says that a reload begins. Ready ends the reload. The time lets Type=notify-reload tell
// this reload from an earlier one.
func (s *Service) Reloading() {
	s.tell("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", monotonic().Microseconds()))
}

// Stopping says that the process ends, and that this may take so long.
func (s *Service) Stopping(limit time.Duration, status string) {
	s.tell("STOPPING=1", fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", limit.Microseconds()), statusLine(status))
}

// Status changes the line of systemctl status.
func (s *Service) Status(status string) { s.tell(statusLine(status)) }

// Watchdog is how often systemd wants a sign of life; 0: it wants none.
func (s *Service) Watchdog() time.Duration {
	if s == nil {
		return 0
	}
	return s.watchdog
}

// Watch gives systemd a sign of life in each half of Watchdog for as long as alive answers in time
// and without an error, until ctx ends. alive must return when its context ends.
func (s *Service) Watch(ctx context.Context, alive func(context.Context) error) {
	if s.Watchdog() == 0 {
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(s.watchdog / 2)
	defer tick.Stop()
	for {
		if err := within(ctx, s.watchdog/2, alive); err == nil {
			s.tell("WATCHDOG=1")
		} else if ctx.Err() == nil {
			s.log.Error("no sign of life for systemd: health check failed", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func within(ctx context.Context, limit time.Duration, alive func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := alive(ctx); err != nil {
		return err
	}
	return ctx.Err()
}

// tell sends one datagram. Nothing that goes wrong with it may end the service.
func (s *Service) tell(lines ...string) {
	if s == nil {
		return
	}
	if err := s.send(strings.Join(lines, "\n")); err != nil {
		s.log.Warn("systemd cannot be told", "error", err.Error())
	}
}

func (s *Service) send(text string) error {
	c, err := net.DialUnix(s.at.Net, nil, s.at)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // the datagram was written, or its error counts
	if err := c.SetWriteDeadline(time.Now().Add(sendLimit)); err != nil {
		return err
	}
	_, err = c.Write([]byte(text))
	return err
}

// statusLine keeps a status on its line: a line of its own would be another assignment.
func statusLine(status string) string {
	status = strings.Join(strings.Fields(strings.ToValidUTF8(status, "?")), " ")
	if len(status) > maxStatus {
		status = strings.ToValidUTF8(status[:maxStatus], "") + " …"
	}
	return "STATUS=" + status
}
