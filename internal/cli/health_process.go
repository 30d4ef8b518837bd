package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// listeners returns where the only other process of this program listens, as the kernel tells it
// (proc_pid_net(5)). None: it tells nothing, or there is no such process, or more than one.
func listeners() []netip.AddrPort {
	pid, err := findServer()
	if err != nil {
		return nil
	}
	proc := "/proc/" + strconv.Itoa(pid)
	own := sockets(proc)
	var found []netip.AddrPort
	for _, table := range []string{"/net/tcp", "/net/tcp6"} {
		text, err := os.ReadFile(proc + table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if at, socket, ok := listening(line); ok && own[socket] {
				found = append(found, at)
			}
		}
	}
	slices.SortFunc(found, netip.AddrPort.Compare)
	return slices.Compact(found)
}

// sockets returns the inodes of the sockets that a process has open.
func sockets(proc string) map[string]bool {
	found := map[string]bool{}
	files, _ := filepath.Glob(proc + "/fd/*")
	for _, f := range files {
		if to, err := os.Readlink(f); err == nil && strings.HasPrefix(to, "socket:[") {
			found[strings.Trim(to, "socket:[]")] = true
		}
	}
	return found
}

// listening reads a line of /proc/net/tcp: the address of a socket that listens, and its inode.
func listening(line string) (at netip.AddrPort, inode string, ok bool) {
	const state, listens, inodes = 3, "0A", 9
	f := strings.Fields(line)
	if len(f) <= inodes || f[state] != listens {
		return netip.AddrPort{}, "", false
	}
	host, port, _ := strings.Cut(f[1], ":")
	raw, err := hex.DecodeString(host)
	n, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, "", false
	}
	for i := 0; i < len(raw); i += 4 { // words in the order of the machine, which is little-endian
		slices.Reverse(raw[i : i+4])
	}
	address, ok := netip.AddrFromSlice(raw)
	if !ok {
		return netip.AddrPort{}, "", false
	}
	if address = address.Unmap(); address.IsUnspecified() {
		address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.AddrPortFrom(address, uint16(n)), f[inodes], true // #nosec G115 -- parsed with 16 bits
}

// askAll asks each listener of a server, for the file that cannot be read says which of them
// clients use. One must say that all is well. None may be silent, or say that the server cannot
// answer.
func askAll(ctx context.Context, all []netip.AddrPort, path string) error {
	var other error
	served := false
	for _, at := range all {
		err := hello(ctx, "http://"+at.String(), path)
		if err != nil {
			if secure := hello(ctx, "https://"+at.String(), path); secure == nil || isStatus(secure) {
				err = secure
			}
		}
		switch answer, answers := errors.AsType[statusError](err); {
		case err == nil:
			served = true
		case answers && answer.code < http.StatusInternalServerError:
			other = fmt.Errorf("%s: %w", at, err) // a listener for something else
		default:
			return err
		}
	}
	if served {
		return nil
	}
	return other
}

func hello(ctx context.Context, url, path string) error {
	status, err := get(ctx, url+path)
	return well(path, status, err)
}

func isStatus(err error) bool {
	_, ok := errors.AsType[statusError](err)
	return ok
}
